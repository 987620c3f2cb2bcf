package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Names of members and grants, and the bucketed tree they stand in.

const (
	nameSize = 32
	maxBits  = 32 // rows name members by 32-bit indexes
)

func prefixed(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

func memberAlpha(origin, account string) []byte {
	alpha := append([]byte("letterlock/member/v1\x00"), prefixed(origin)...)
	return append(alpha, prefixed(account)...)
}

func pseudonym(origin string, index int64, leaf tlog.Hash, y []byte) []byte {
	scope := append([]byte("letterlock/pseudonym/v1\x00"), prefixed(origin)...)
	scope = binary.BigEndian.AppendUint64(scope, uint64(index))
	t := sha256.Sum256(append(scope, leaf[:]...))
	p := sha256.Sum256(append(t[:], y...))
	return p[:]
}

func grantTag(y []byte, k int64) []byte {
	text := append([]byte("letterlock/event/v1\x00"), y...)
	tag := sha256.Sum256(binary.BigEndian.AppendUint64(text, uint64(k)))
	return tag[:]
}

// A memberSet is what a sealed entry says of its names.
type memberSet struct {
	count, depth int64
	root         tlog.Hash
}

func (r *reader) memberSet(count string) memberSet {
	set := memberSet{count: r.count(count), depth: r.count("depth")}
	copy(set.root[:], r.hex("root", tlog.HashSize))
	return set
}

// has answers whether name is in the set: bucket and path are untrusted.
func (s memberSet) has(name, bucket []byte, path []tlog.Hash) (bool, error) {
	depth := int64(0)
	if s.count > 1 {
		depth = int64(bits.Len64(uint64(s.count - 1)))
	}
	if s.depth != depth || depth > maxBits {
		return false, untrue("%d names do not make a tree of depth %d", s.count, s.depth)
	}
	if len(bucket)%nameSize != 0 || int64(len(bucket)/nameSize) > s.count {
		return false, untrue("the bucket does not hold names of the set")
	}
	place := func(name []byte) int64 {
		return int64(binary.BigEndian.Uint64(name) >> 1 >> (63 - depth))
	}
	found := false
	for at := 0; at < len(bucket); at += nameSize {
		here := bucket[at : at+nameSize]
		if at > 0 && bytes.Compare(bucket[at-nameSize:at], here) >= 0 {
			return false, untrue("the names of the bucket do not ascend")
		}
		if place(here) != place(name) {
			return false, untrue("the bucket holds a name of another bucket")
		}
		found = found || bytes.Equal(here, name)
	}
	leaf := tlog.RecordHash(bucket)
	if err := tlog.CheckRecord(path, 1<<uint(depth), s.root, place(name), leaf); err != nil {
		return false, untrue("the bucket is not the one that was sealed")
	}
	return found, nil
}
