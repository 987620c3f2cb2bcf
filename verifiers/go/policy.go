package main

import (
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// c2sp.org/tlog-policy: whose signatures a checkpoint needs.

const maxListed = 50 // logs, witnesses and groups, each

type group struct {
	needed  int
	members []string
}

type policy struct {
	logs      []*key
	witnesses map[string]*key
	groups    map[string]group
	quorum    string
	until     uint64 // seconds; later signatures do not count
}

const ahead = 300 // seconds by which another clock may be ahead of ours

// A trusted is a checkpoint that the policy accepts, and by whose signatures.
type trusted struct {
	checkpoint
	logs      []seen
	witnesses map[string]seen
	passed    int // lines of listed ML-DSA-44 keys, which nobody checked here
}

func parsePolicy(data []byte) (*policy, error) {
	if len(data) > maxNote {
		return nil, malformed("policy: more than %d bytes", maxNote)
	}
	for _, octet := range data {
		if octet < 0x20 && octet != '\t' && octet != '\n' || octet == 0x7f {
			return nil, malformed("policy: a control character")
		}
	}
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, malformed("policy: the last line is not ended")
	}
	p := &policy{witnesses: map[string]*key{}, groups: map[string]group{}}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	member := map[string]bool{} // a name may be listed in one group only
	for number, line := range lines {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := p.line(words, member); err != nil {
			return nil, malformed("policy, line %d: %v", number+1, err)
		}
	}
	if max(len(p.logs), max(len(p.witnesses), len(p.groups))) > maxListed {
		return nil, malformed("policy: more than %d logs, witnesses or groups", maxListed)
	}
	if p.quorum == "" {
		return nil, malformed("policy: no quorum line")
	}
	return p, nil
}

func (p *policy) defined(name string) bool {
	_, witness := p.witnesses[name]
	_, group := p.groups[name]
	return witness || group
}

// lists says that a key is there already, as a log's or a witness's, or that two share an id.
func (p *policy) lists(k *key) bool {
	for _, other := range p.keys() {
		if string(other.public) == string(k.public) || other.name == k.name && other.hash == k.hash {
			return true
		}
	}
	return false
}

// address is a line's URL, the last of its words, if there is one more than it needs.
func address(words []string, needed int) bool {
	return len(words) == needed || len(words) == needed+1 && utf8.ValidString(words[needed])
}

func (p *policy) free(name string) bool {
	return name != "none" && len(name) <= maxText && !p.defined(name)
}

func (p *policy) line(words []string, member map[string]bool) error {
	switch words[0] {
	case "log":
		if !address(words, 2) {
			return malformed("log <vkey> [<url>]")
		}
		k, err := parseKey(words[1])
		if err != nil {
			return err
		}
		if k.kind == ed25519Cosign {
			return malformed("%s: a log signs with type 01 or 06", k.name)
		}
		if p.lists(k) {
			return malformed("%s: this key is listed twice", k.name)
		}
		p.logs = append(p.logs, k)
	case "witness":
		if !address(words, 3) {
			return malformed("witness <name> <vkey> [<url>]")
		}
		k, err := parseKey(words[2])
		if err != nil {
			return err
		}
		if k.kind == ed25519Note {
			return malformed("%s: a witness signs with type 04 or 06", k.name)
		}
		if p.lists(k) {
			return malformed("%s: this key is listed twice", k.name)
		}
		if !p.free(words[1]) {
			return malformed("the name %s is taken", words[1])
		}
		p.witnesses[words[1]] = k
	case "group":
		if len(words) < 4 {
			return malformed("group <name> all|any|<k> <name>…")
		}
		members := words[3:]
		if !p.free(words[1]) {
			return malformed("the name %s is taken", words[1])
		}
		for _, name := range members {
			if !p.defined(name) || member[name] {
				return malformed("%s is not defined above, or a member already", name)
			}
			member[name] = true
		}
		needed, err := strconv.Atoi(words[2])
		switch {
		case words[2] == "all":
			needed = len(members)
		case words[2] == "any":
			needed = 1
		case err != nil || words[2] != strconv.Itoa(needed) || needed < 1 || needed > len(members):
			return malformed("%q of %d members", words[2], len(members))
		}
		p.groups[words[1]] = group{needed, members}
	case "quorum":
		if len(words) != 2 || p.quorum != "" {
			return malformed("quorum <name|none>, once")
		}
		if words[1] != "none" && !p.defined(words[1]) {
			return malformed("%s is not defined above", words[1])
		}
		p.quorum = words[1]
	default:
		return malformed("unknown word %q", words[0])
	}
	return nil
}

func (p *policy) met(name string, witnesses map[string]seen) bool {
	if name == "none" {
		return true
	}
	if _, ok := p.witnesses[name]; ok {
		_, saw := witnesses[name]
		return saw
	}
	count := 0
	for _, member := range p.groups[name].members {
		if p.met(member, witnesses) {
			count++
		}
	}
	return count >= p.groups[name].needed
}

func (p *policy) keys() []*key {
	keys := append([]*key{}, p.logs...)
	for _, k := range p.witnesses {
		keys = append(keys, k)
	}
	return keys
}

// check opens a checkpoint: signed by a listed log under its origin, and seen by the quorum.
func (p *policy) check(data []byte) (*trusted, error) {
	text, found, passed, err := opened(data, p.keys())
	if err != nil {
		return nil, err
	}
	point, err := parseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	t := &trusted{checkpoint: point, witnesses: map[string]seen{}, passed: passed}
	for _, signature := range found {
		if signature.seconds > p.until {
			continue
		}
		if signature.key.kind == ed25519Note && signature.key.name == point.origin {
			t.logs = append(t.logs, signature)
		}
		for name, k := range p.witnesses {
			if earlier, twice := t.witnesses[name]; k == signature.key &&
				(!twice || signature.seconds > earlier.seconds) {
				t.witnesses[name] = signature
			}
		}
	}
	if len(t.logs) == 0 {
		return nil, untrue("%q at size %d is signed by no listed log key that this program can check%s",
			point.origin, point.size, unchecked(passed))
	}
	if !p.met(p.quorum, t.witnesses) {
		return nil, untrue("%s at size %d was not seen by the quorum %s%s",
			point.origin, point.size, p.quorum, unchecked(passed))
	}
	return t, nil
}

func unchecked(lines int) string {
	if lines == 0 {
		return ""
	}
	return " (" + strconv.Itoa(lines) + " ML-DSA-44 lines of listed keys ignored: not known here)"
}

// by tells whose signatures a checkpoint carries, and when each witness says that it saw it.
func (t *trusted) by() string {
	names := make([]string, 0, len(t.witnesses))
	for name := range t.witnesses {
		names = append(names, name)
	}
	sort.Strings(names)
	said := "log signature, no witness"
	if len(names) > 0 {
		said = "log signature, witnessed by"
		for i, name := range names {
			if i > 0 {
				said += ","
			}
			at := t.witnesses[name].seconds
			said += " " + name
			if at < 1<<40 {
				said += " at " + time.Unix(int64(at), 0).UTC().Format(time.RFC3339)
			}
		}
	}
	return said + unchecked(t.passed)
}
