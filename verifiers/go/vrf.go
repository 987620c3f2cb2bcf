package main

import (
	"bytes"
	"crypto/sha512"

	"filippo.io/edwards25519"
)

// ECVRF-EDWARDS25519-SHA512-TAI, RFC 9381 suite 0x03: verification with key validation (§5.4.5),
// and one rule more: key and Γ lie in the subgroup of prime order.

const (
	vrfSuite     = 0x03
	vrfProofSize = 80
)

// minusOne is q-1: times a point, it is the point's negative in the subgroup of order q only.
var minusOne = func() *edwards25519.Scalar {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	return edwards25519.NewScalar().Negate(one)
}()

// decodePoint is RFC 8032 §5.1.3: one encoding a point.
func decodePoint(data []byte) (*edwards25519.Point, error) {
	point, err := new(edwards25519.Point).SetBytes(data)
	if err != nil || !bytes.Equal(point.Bytes(), data) {
		return nil, malformed("not the canonical encoding of a point")
	}
	return point, nil
}

// validPoint decodes a point of the subgroup of prime order, other than the identity.
func validPoint(data []byte) (*edwards25519.Point, error) {
	if len(data) != 32 {
		return nil, malformed("a point has 32 bytes")
	}
	point, err := decodePoint(data)
	if err != nil {
		return nil, err
	}
	if point.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, malformed("the identity")
	}
	negative := new(edwards25519.Point).Negate(point)
	if new(edwards25519.Point).ScalarMult(minusOne, point).Equal(negative) != 1 {
		return nil, malformed("a point outside the subgroup of prime order")
	}
	return point, nil
}

// verifyVRF returns the 64 bytes β that public and alpha have, if proof shows so.
func verifyVRF(public, alpha, proof []byte) ([]byte, error) {
	y, err := validPoint(public)
	if err != nil {
		return nil, untrue("the VRF key is no valid key: %v", err)
	}
	if len(proof) != vrfProofSize {
		return nil, untrue("a VRF proof has %d bytes", vrfProofSize)
	}
	gamma, err := validPoint(proof[:32])
	if err != nil {
		return nil, untrue("the VRF proof holds no valid point: %v", err)
	}
	c, err := edwards25519.NewScalar().SetCanonicalBytes(append(proof[32:48:48], make([]byte, 16)...))
	if err != nil {
		return nil, untrue("the VRF proof holds no valid challenge")
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(proof[48:])
	if err != nil {
		return nil, untrue("the VRF proof holds a number that is not below the group's order")
	}
	h, err := encodeToCurve(public, alpha)
	if err != nil {
		return nil, err
	}
	// U = sB - cY, V = sH - cΓ.
	minusC := edwards25519.NewScalar().Negate(c)
	u := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusC, y, s)
	v := new(edwards25519.Point).VarTimeMultiScalarMult(
		[]*edwards25519.Scalar{s, minusC}, []*edwards25519.Point{h, gamma})
	challenge := vrfHash(0x02, public, h.Bytes(), gamma.Bytes(), u.Bytes(), v.Bytes())[:16]
	if !bytes.Equal(challenge, proof[32:48]) {
		return nil, untrue("the VRF proof does not verify")
	}
	return vrfHash(0x03, new(edwards25519.Point).MultByCofactor(gamma).Bytes()), nil
}

// encodeToCurve is try-and-increment, RFC 9381 §5.4.1.1.
func encodeToCurve(salt, alpha []byte) (*edwards25519.Point, error) {
	for counter := 0; counter < 256; counter++ {
		point, err := decodePoint(vrfHash(0x01, salt, alpha, []byte{byte(counter)})[:32])
		if err != nil {
			continue
		}
		point.MultByCofactor(point)
		if point.Equal(edwards25519.NewIdentityPoint()) != 1 {
			return point, nil
		}
	}
	return nil, untrue("no point of the curve belongs to this account")
}

func vrfHash(domain byte, parts ...[]byte) []byte {
	hash := sha512.New()
	hash.Write([]byte{vrfSuite, domain})
	for _, part := range parts {
		hash.Write(part)
	}
	hash.Write([]byte{0x00})
	return hash.Sum(nil)
}
