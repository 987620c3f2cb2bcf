package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Signed notes (c2sp.org/signed-note), checkpoints (tlog-checkpoint), cosignatures
// (tlog-cosignature). Notes are opened by golang.org/x/mod/sumdb/note, which knows type 01 alone.

const (
	ed25519Note   = 1
	ed25519Cosign = 4
	mldsa44Cosign = 6
	mldsa44Size   = 1312
	maxNote       = 1000000 // bytes; sumdb/note itself reads up to 100 signatures
	maxExtra      = 65536
	maxSize       = 1 << 62 // sumdb/tlog does not return from sizes beyond
	maxText       = 255     // bytes of a key's name or an origin: type 06 counts them in one byte
)

// A key is one vkey: a note.Verifier for types 01 and 04; type 06 is known, and never verified here.
type key struct {
	name   string
	hash   uint32
	kind   byte
	public []byte
}

func (k *key) Name() string    { return k.name }
func (k *key) KeyHash() uint32 { return k.hash }

func (k *key) Verify(message, signature []byte) bool {
	switch {
	case k.kind == ed25519Note:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, message, signature)
	case k.kind == ed25519Cosign && len(signature) == 8+ed25519.SignatureSize:
		seconds := binary.BigEndian.Uint64(signature)
		if seconds > 1<<63-1 {
			return false
		}
		signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, message)
		return ed25519.Verify(k.public, []byte(signed), signature[8:])
	}
	return false
}

func parseKey(vkey string) (*key, error) {
	parts := strings.SplitN(vkey, "+", 3) // base64 may hold a plus
	if len(parts) != 3 {
		return nil, malformed("%q is not a vkey", vkey)
	}
	name, id := parts[0], parts[1]
	data, err := base64Strict(parts[2])
	if err != nil || len(data) < 2 || !validName(name) {
		return nil, malformed("%q is not a vkey", vkey)
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), data...))
	hash := binary.BigEndian.Uint32(sum[:])
	if id != fmt.Sprintf("%08x", hash) {
		return nil, malformed("%s: the key does not have the id %s", name, id)
	}
	k := &key{name: name, hash: hash, kind: data[0], public: data[1:]}
	switch {
	case k.kind == mldsa44Cosign && len(k.public) == mldsa44Size:
		return k, nil
	case k.kind == ed25519Note || k.kind == ed25519Cosign:
		if _, err := validPoint(k.public); err != nil {
			return nil, malformed("%s: not an Ed25519 key: %v", name, err)
		}
		return k, nil
	}
	return nil, malformed("%s: a key of type %02x with %d bytes", name, k.kind, len(k.public))
}

func validName(name string) bool {
	return name != "" && len(name) <= maxText && utf8.ValidString(name) && !strings.Contains(name, "+") && strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || r < 0x20
	}) < 0
}

// base64Strict reads standard base64 with padding in its one canonical spelling.
func base64Strict(text string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(data) != text {
		return nil, malformed("not base64")
	}
	return data, nil
}

// A seen is one signature that verified; seconds is 0 for a plain one (type 01).
type seen struct {
	key     *key
	seconds uint64
}

// opened checks every line of a listed key. It returns the text, what verified, and how many
// lines of listed ML-DSA-44 keys were passed over.
func opened(data []byte, keys []*key) (string, []seen, int, error) {
	if len(data) > maxNote {
		return "", nil, 0, malformed("a note of more than %d bytes", maxNote)
	}
	var known []note.Verifier
	for _, k := range keys {
		if k.kind != mldsa44Cosign {
			known = append(known, k)
		}
	}
	verifiers := note.VerifierList(known...)
	whole, err := note.Open(data, verifiers)
	var unsigned *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &invalid):
		return "", nil, 0, untrue("the signature of %s does not verify", invalid.Name)
	case errors.As(err, &unsigned):
		whole = unsigned.Note
	case err != nil:
		return "", nil, 0, malformed("not a signed note")
	}
	// sumdb/note checks the first line of each key, and reads base64 with stray bits: look at each.
	var found []seen
	passed := 0
	lines := strings.SplitAfter(string(data[len(whole.Text)+1:]), "\n")
	for _, line := range lines[:len(lines)-1] {
		name, text, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "— "), "\n"), " ")
		blob, err := base64Strict(text)
		if err != nil || !validName(name) {
			return "", nil, 0, malformed("%q is not a signature line", strings.TrimSuffix(line, "\n"))
		}
		for _, k := range keys {
			if k.name != name || k.hash != binary.BigEndian.Uint32(blob) {
				continue
			}
			if k.kind == mldsa44Cosign {
				passed++
				continue
			}
			if _, err := note.Open([]byte(whole.Text+"\n"+line), verifiers); err != nil {
				return "", nil, 0, untrue("the signature of %s does not verify", name)
			}
			seconds := uint64(0)
			if k.kind == ed25519Cosign {
				seconds = binary.BigEndian.Uint64(blob[4:])
			}
			found = append(found, seen{k, seconds})
		}
	}
	return whole.Text, found, passed, nil
}

// A checkpoint is a log's root at one size.
type checkpoint struct {
	origin     string
	size       int64
	root       tlog.Hash
	extensions string
}

func parseCheckpoint(text string) (checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || !strings.HasSuffix(text, "\n") {
		return checkpoint{}, malformed("a checkpoint has at least three lines")
	}
	for _, line := range lines {
		if line == "" {
			return checkpoint{}, malformed("an empty line in a checkpoint")
		}
	}
	if len(lines[0]) > maxText {
		return checkpoint{}, malformed("an origin of more than %d bytes", maxText)
	}
	size, err := parseDecimal(lines[1])
	if err != nil || size > maxSize {
		return checkpoint{}, malformed("%q is not a size that this program counts to", lines[1])
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return checkpoint{}, malformed("%q is not a root", lines[2])
	}
	if size == 0 && root != emptyRoot {
		return checkpoint{}, untrue("an empty log with another root than the empty one's")
	}
	return checkpoint{lines[0], size, root, strings.Join(lines[3:], "\n")}, nil
}

var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// parseDecimal reads ASCII decimal without sign or leading zeros, up to 2^63-1.
func parseDecimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || strconv.FormatInt(number, 10) != text {
		return 0, malformed("%q is not a whole number", text)
	}
	return number, nil
}

func parseHash(text string) (tlog.Hash, error) {
	data, err := base64Strict(text)
	if err != nil || len(data) != tlog.HashSize {
		return tlog.Hash{}, malformed("%q is not a hash", text)
	}
	var hash tlog.Hash
	copy(hash[:], data)
	return hash, nil
}

// A proofFile is a c2sp.org/tlog-proof.
type proofFile struct {
	index int64
	path  tlog.RecordProof
	note  []byte
}

func parseProof(data []byte) (*proofFile, error) {
	head, signed, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, malformed("not a c2sp.org/tlog-proof@v1")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra, err := base64Strict(lines[0][len("extra "):])
		if err != nil || len(extra) == 0 || len(extra) > maxExtra {
			return nil, malformed("the extra line of a proof is not base64 of 1 to %d bytes", maxExtra)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return nil, malformed("a proof without an index line")
	}
	index, err := parseDecimal(lines[0][len("index "):])
	if err != nil {
		return nil, err
	}
	proof := &proofFile{index: index, note: signed}
	if len(lines) > 1+63 {
		return nil, malformed("a proof of more than 63 hashes")
	}
	for _, line := range lines[1:] {
		hash, err := parseHash(line)
		if err != nil {
			return nil, err
		}
		proof.path = append(proof.path, hash)
	}
	return proof, nil
}
