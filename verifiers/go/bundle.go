package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Evidence files, letterlock/evidence/v1 (docs/spec/evidence.md).

const (
	maxFile        = 16 << 20
	maxEvent       = 1 << 20
	maxEntry       = 65535
	evidenceFormat = "letterlock/evidence/v1"
	receiptFormat  = "letterlock/receipt/v1"
	commitmentText = "letterlock/commitment/v1\x00"
)

var acts = map[string]string{"grant": "said yes", "withdraw": "withdrew", "object": "objected"}

// An answer is what a file proves, in a sentence, and the checkpoint that it rests on, if any;
// earlier are those that this one continues.
type answer struct {
	kind, says string
	at         *trusted
	earlier    []*trusted
}

const (
	notHers    = "that the account is hers, or her only one"
	notPast    = "what was used or copied past the gate"
	notElse    = "that no row of hers was filed under another account or under none"
	notFiles   = "that the release's files are those that were sealed"
	notHeeded  = "that the choice was heeded, or that none came after it"
	notLater   = "what was recorded later"
	notNumbers = "that grants were numbered as the platform says"
	notEntries = "what the entries say, or that others are shown the same log"
	notWitness = "that anybody but the log's operator saw it"
)

// notShown tells what evidence of each kind leaves open (docs/spec/evidence.md §6).
var notShown = map[string][]string{
	"receipt": {notHeeded, notHers, notPast},
	"member":  {notElse, notHers, notPast},
	"grants":  {notLater, notNumbers, notHers, notPast},
	"release": {notFiles, notPast},
	"history": {notEntries},
	"log":     {notEntries},
}

// A judge reads evidence under one policy.
type judge struct{ policy *policy }

func (j judge) bundle(data []byte) (answer, error) {
	if len(data) > maxFile {
		return answer{}, malformed("larger than 16 MiB")
	}
	value, err := parseJSON(data)
	if err != nil {
		return answer{}, err
	}
	r := read("evidence", value)
	if format := r.text("format"); r.err == nil && format != evidenceFormat {
		return answer{}, malformed("the format is %q, not %s", format, evidenceFormat)
	}
	kind := r.text("kind")
	if r.err != nil {
		return answer{}, r.err
	}
	r.what = kind
	check, known := map[string]func(*reader) (answer, error){
		"receipt": j.receipt,
		"member":  j.member,
		"grants":  j.grants,
		"release": j.release,
		"history": j.history,
	}[kind]
	if !known {
		return answer{}, malformed("this program does not check the kind %q", kind)
	}
	found, err := check(r)
	found.kind = kind
	return found, err
}

// A logged is one entry of a log, shown to be in it.
type logged struct {
	index int64
	leaf  tlog.Hash
	kind  string
	body  *reader
	at    *trusted
}

func oneOf(kinds []string, found string) bool {
	for _, kind := range kinds {
		if kind == found {
			return true
		}
	}
	return false
}

// event reads LOGGED: an event about everyone, of one of the given kinds.
func (j judge) event(r *reader, key string, kinds ...string) (*logged, error) {
	l := read(r.what+"."+key, r.take(key))
	index, entry, proof := l.count("index"), l.text("entry"), l.text("proof")
	if err := l.done(); err != nil {
		return nil, err
	}
	if len(entry) > maxEntry {
		return nil, malformed("%s: no entry of a log has %d bytes", l.what, len(entry))
	}
	value, err := parseJSON([]byte(entry))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canonical(value), []byte(entry)) {
		return nil, malformed("%s: the entry is not canonical", l.what)
	}
	e := read(l.what+".entry", value)
	its, found, version := e.count("index"), e.text("kind"), e.count("v")
	e.integer("time")
	body := read(l.what+".body", e.take("body"))
	if err := e.done(); err != nil {
		return nil, err
	}
	if body.err != nil {
		return nil, body.err
	}
	if its != index || !oneOf(kinds, found) || version != 1 {
		return nil, untrue("%s: the entry is event %d, %q, not event %d, %s", key, its, found, index,
			strings.Join(kinds, " or "))
	}
	leaf := tlog.RecordHash([]byte(entry))
	at, err := j.included([]byte(proof), index, leaf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &logged{index, leaf, found, body, at}, nil
}

// included checks a .tlog-proof: this leaf stands at this index in a log that the policy trusts.
func (j judge) included(data []byte, index int64, leaf tlog.Hash) (*trusted, error) {
	proof, err := parseProof(data)
	if err != nil {
		return nil, err
	}
	if proof.index != index {
		return nil, untrue("the proof is of entry %d, not of %d", proof.index, index)
	}
	at, err := j.policy.check(proof.note)
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(proof.path, at.size, at.root, index, leaf); err != nil {
		return nil, untrue("the entry is not in the log")
	}
	return at, nil
}

// oneView says that all entries are proved against one checkpoint.
func oneView(entries ...*logged) error {
	first := entries[0].at.checkpoint
	for _, entry := range entries {
		if entry.at.checkpoint != first {
			return untrue("the proofs lead to different checkpoints")
		}
	}
	return nil
}

// superseded is what seals a release after a drop list; release.sealed seals it first.
const superseded = "release.superseded"

// A sealedRelease is what key, release.opened and the seal say of each other.
type sealedRelease struct {
	key, opened, sealed *logged
	public              []byte
	members             memberSet
	id                  string
}

func (j judge) sealed(r *reader) (*sealedRelease, error) {
	key, public, err := j.vrfKey(r)
	if err != nil {
		return nil, err
	}
	opened, err := j.event(r, "opened", "release.opened")
	if err != nil {
		return nil, err
	}
	sealed, err := j.event(r, "sealed", "release.sealed", superseded)
	if err != nil {
		return nil, err
	}
	asked := opened.body.text("release")
	opened.body.text("purpose")
	opened.body.text("recipient")
	opened.body.integer("as_of")
	opened.body.count("upto")
	opened.body.list("sources")
	opened.body.count("shards")
	if err := opened.body.done(); err != nil {
		return nil, err
	}
	id, openedAt, keyAt := sealed.body.text("release"), sealed.body.count("opened"), sealed.body.count("key")
	members := sealed.body.memberSet("members")
	sealed.body.hex("manifest", sha256.Size)
	sealed.body.integer("checked")
	if sealed.kind == superseded {
		sealed.body.count("version")
		sealed.body.count("rows")
	}
	if err := sealed.body.done(); err != nil {
		return nil, err
	}
	switch {
	case id != asked || openedAt != opened.index:
		return nil, untrue("what was sealed is another release than what was opened")
	case keyAt != key.index:
		return nil, untrue("the release was sealed under another key")
	case key.index >= opened.index || opened.index >= sealed.index:
		return nil, untrue("key, opening and sealing do not follow each other in the log")
	}
	return &sealedRelease{key, opened, sealed, public, members, id}, oneView(key, opened, sealed)
}

func (j judge) vrfKey(r *reader) (*logged, []byte, error) {
	key, err := j.event(r, "key", "key.introduced")
	if err != nil {
		return nil, nil, err
	}
	use := key.body.text("use")
	if key.body.err == nil && use != "vrf" {
		return nil, nil, untrue("the key is introduced for %q, not for vrf", use)
	}
	public := key.body.hex("key", 32)
	key.body.maybeFlag("lost")
	return key, public, key.body.done()
}

// A claim is what member and grants evidence say of an account, and how they show it.
type claim struct {
	account string
	in      bool
	proof   []byte
	bucket  []byte
	path    []tlog.Hash
}

func (r *reader) claim() claim {
	c := claim{account: r.text("account")}
	switch said := r.text("claim"); said {
	case "in":
		c.in = true
	case "not in":
	default:
		r.fail("claim is %q, neither in nor not in", said)
	}
	if len(c.account) > 0xffff {
		r.fail("account has more than 65535 bytes")
	}
	c.proof = r.hex("vrf", vrfProofSize)
	c.bucket = r.hex("bucket", -1)
	for _, element := range r.list("path") {
		text, ok := element.(string)
		if !ok {
			r.fail("path holds something else than texts")
		}
		var hash tlog.Hash
		copy(hash[:], r.hexOf("path", text, tlog.HashSize))
		c.path = append(c.path, hash)
	}
	return c
}

func (c claim) answers(set memberSet, name []byte) error {
	in, err := set.has(name, c.bucket, c.path)
	if err == nil && in != c.in {
		err = untrue("the file claims the opposite of what it proves")
	}
	return err
}

func (j judge) member(r *reader) (answer, error) {
	c := r.claim()
	if r.err != nil {
		return answer{}, r.err
	}
	release, err := j.sealed(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.done(); err != nil {
		return answer{}, err
	}
	origin := release.sealed.at.origin
	beta, err := verifyVRF(release.public, memberAlpha(origin, c.account), c.proof)
	if err != nil {
		return answer{}, err
	}
	name := pseudonym(origin, release.opened.index, release.opened.leaf, beta[:32])
	if err := c.answers(release.members, name); err != nil {
		return answer{}, err
	}
	not := "not "
	if c.in {
		not = ""
	}
	return answer{
		says: fmt.Sprintf("account %q is %samong the %d members of release %q",
			c.account, not, release.members.count, release.id),
		at: release.sealed.at,
	}, nil
}

func (j judge) grants(r *reader) (answer, error) {
	c, k := r.claim(), r.count("k")
	if r.err != nil {
		return answer{}, r.err
	}
	key, vrfKey, err := j.vrfKey(r)
	if err != nil {
		return answer{}, err
	}
	sealed, err := j.event(r, "sealed", "grants.sealed")
	if err != nil {
		return answer{}, err
	}
	if err := r.done(); err != nil {
		return answer{}, err
	}
	upto, keyAt := sealed.body.count("upto"), sealed.body.count("key")
	set := sealed.body.memberSet("count")
	if err := sealed.body.done(); err != nil {
		return answer{}, err
	}
	if keyAt != key.index || key.index >= sealed.index || upto >= sealed.index {
		return answer{}, untrue("key, grants and their sealing do not follow each other in the log")
	}
	if err := oneView(key, sealed); err != nil {
		return answer{}, err
	}
	beta, err := verifyVRF(vrfKey, memberAlpha(sealed.at.origin, c.account), c.proof)
	if err != nil {
		return answer{}, err
	}
	if err := c.answers(set, grantTag(beta[:32], k)); err != nil {
		return answer{}, err
	}
	says := fmt.Sprintf("account %q has at most %d grants recorded up to event %d", c.account, k, upto)
	if c.in {
		says = fmt.Sprintf("account %q has a grant numbered %d recorded up to event %d", c.account, k, upto)
	} else if k == 0 {
		says = fmt.Sprintf("account %q has no grant recorded up to event %d", c.account, upto)
	}
	return answer{says: says, at: sealed.at}, nil
}

func (j judge) release(r *reader) (answer, error) {
	id := r.text("release")
	release, err := j.sealed(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.done(); err != nil {
		return answer{}, err
	}
	if id != release.id {
		return answer{}, untrue("the file is about another release than the log's")
	}
	return answer{
		says: fmt.Sprintf("release %q of %d members was opened as event %d and sealed as event %d"+
			" (its files are not checked here)",
			release.id, release.members.count, release.opened.index, release.sealed.index),
		at: release.sealed.at,
	}, nil
}

func (j judge) receipt(r *reader) (answer, error) {
	receipt := r.take("receipt")
	event, salt := r.text("event"), r.hex("salt", 32)
	signed, proof := r.maybeText("signed"), r.maybeText("proof")
	if err := r.done(); err != nil {
		return answer{}, err
	}
	if len(event) > maxEvent {
		return answer{}, malformed("receipt: an event of more than %d bytes", maxEvent)
	}
	value, err := parseJSON([]byte(event))
	if err != nil {
		return answer{}, err
	}
	if !bytes.Equal(canonical(value), []byte(event)) {
		return answer{}, malformed("receipt: the event is not canonical")
	}
	e := read("receipt.event", value)
	index, kind, version := e.count("index"), e.text("kind"), e.count("v")
	e.integer("time")
	body, _ := e.take("body").(object)
	if err := e.done(); err != nil {
		return answer{}, err
	}
	act, known := acts[fmt.Sprint(body["act"])]
	subject, named := body["subject"].(string)
	if kind != "choice.made" || version != 1 || !known || !named {
		return answer{}, malformed("receipt: the event is not a choice that this program knows")
	}
	if signed == nil && proof == nil {
		return answer{}, untrue("nobody signed it: neither a signed note nor a proof")
	}
	sum := sha256.Sum256(append(append([]byte(commitmentText), salt...), event...))
	commitment := hex.EncodeToString(sum[:])
	found := answer{}
	said := []string{}
	origin := ""
	if signed != nil {
		receiptSum := sha256.Sum256(canonical(receipt))
		rest := fmt.Sprintf("%d\n%s\n%s\n", index, commitment, hex.EncodeToString(receiptSum[:]))
		if origin, err = j.promised([]byte(*signed), rest); err != nil {
			return answer{}, err
		}
		said = append(said, "signed by the log "+origin)
	}
	if proof != nil {
		leaf := tlog.RecordHash([]byte(`{"commitment":"` + commitment + `"}`))
		at, err := j.included([]byte(*proof), index, leaf)
		if err != nil {
			return answer{}, err
		}
		if signed != nil && at.origin != origin {
			return answer{}, untrue("the receipt is signed by one log and proved in another")
		}
		said = append(said, "in the log "+at.origin)
		found.at = at
	} else {
		said = append(said, "not yet shown to be in the log")
	}
	if signed == nil {
		said = append(said, "the receipt's own words are not signed")
	}
	if found.at != nil {
		origin = found.at.origin
	}
	if err := about(receipt, origin, index, commitment, subject); err != nil {
		return answer{}, err
	}
	found.says = fmt.Sprintf("account %q %s (event %d): %s", subject, act, index, strings.Join(said, ", "))
	return found, nil
}

// about holds what a receipt says of person and place against the event that is committed to. What
// else it says is the log's word, and signed with it or not at all.
func about(receipt interface{}, origin string, index int64, commitment, subject string) error {
	record, ok := receipt.(object)
	if !ok {
		return malformed("receipt: receipt is not an object")
	}
	person, _ := record["dpv:hasDataSubject"].(object)
	place, _ := record["ll:log"].(object)
	if person["dct:identifier"] != subject {
		return untrue("the receipt is about somebody else than its event")
	}
	if place["ll:origin"] != origin || place["ll:index"] != index || place["ll:commitment"] != commitment {
		return untrue("the receipt names another place in the log than its event's")
	}
	return nil
}

// promised opens the log's own note about a receipt and returns its origin; rest is what it must say.
func (j judge) promised(data []byte, rest string) (string, error) {
	keys := []*key{}
	for _, k := range j.policy.logs {
		if k.kind == ed25519Note {
			keys = append(keys, k)
		}
	}
	text, found, _, err := opened(data, keys)
	if err != nil {
		return "", err
	}
	head, after, _ := strings.Cut(text, "\n")
	origin, after, _ := strings.Cut(after, "\n")
	if head != receiptFormat || after != rest {
		return "", untrue("the signed note is about another receipt")
	}
	for _, signature := range found {
		if signature.key.name == origin {
			return origin, nil
		}
	}
	return "", untrue("the receipt is signed by no listed log key that this program can check")
}

func (j judge) history(r *reader) (answer, error) {
	notes, proofs := r.list("checkpoints"), r.list("consistency")
	if err := r.done(); err != nil {
		return answer{}, err
	}
	if len(notes) == 0 || len(proofs) != len(notes)-1 {
		return answer{}, malformed("history: %d checkpoints and %d consistency proofs", len(notes), len(proofs))
	}
	points := make([]*trusted, len(notes))
	for i, element := range notes {
		text, ok := element.(string)
		if !ok {
			return answer{}, malformed("history: a checkpoint is a text")
		}
		now, err := j.policy.check([]byte(text))
		if err != nil {
			return answer{}, fmt.Errorf("checkpoint %d: %w", i, err)
		}
		points[i] = now
		if i == 0 {
			continue
		}
		proof, err := treeProof(proofs[i-1])
		if err != nil {
			return answer{}, err
		}
		if err := continues(points[i-1], now, proof); err != nil {
			return answer{}, err
		}
	}
	first, last := points[0], points[len(points)-1]
	return answer{
		says: fmt.Sprintf("%s only grew from size %d to %d, over %d checkpoints",
			last.origin, first.size, last.size, len(points)),
		at:      last,
		earlier: points[:len(points)-1],
	}, nil
}

func treeProof(value interface{}) (tlog.TreeProof, error) {
	list, ok := value.([]interface{})
	if !ok || len(list) > 64 {
		return nil, malformed("history: a consistency proof is a list of up to 64 hashes")
	}
	var proof tlog.TreeProof
	for _, element := range list {
		text, _ := element.(string)
		hash, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		proof = append(proof, hash)
	}
	return proof, nil
}

func continues(before, now *trusted, proof tlog.TreeProof) error {
	switch {
	case before.origin != now.origin:
		return untrue("the checkpoints are of different logs")
	case before.size >= now.size:
		return untrue("the sizes do not ascend")
	case before.size == 0 && len(proof) == 0: // every log continues an empty one
		return nil
	case before.size == 0:
		return untrue("a proof where there is nothing to prove")
	}
	if err := tlog.CheckTree(proof, now.size, now.root, before.size, before.root); err != nil {
		return untrue("size %d does not continue size %d", now.size, before.size)
	}
	return nil
}
