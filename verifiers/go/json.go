package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON as this record uses it: objects without duplicate keys, lists, strings of valid Unicode,
// whole numbers within ±(2^53-1), true, false, null. Nothing else is read.

const (
	maxDepth   = 32
	maxValues  = 1 << 18 // counted as commas and opening brackets
	maxInteger = 1<<53 - 1
)

type object = map[string]interface{}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// parseJSON reads one value: nil, bool, int64, string, []interface{} or object.
func parseJSON(data []byte) (interface{}, error) {
	if !utf8.Valid(data) {
		return nil, malformed("not UTF-8")
	}
	if bytes.Count(data, []byte(","))+bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxValues {
		return nil, malformed("more than %d values", maxValues)
	}
	if !json.Valid(data) {
		return nil, malformed("not JSON")
	}
	if loneSurrogate(data) {
		return nil, malformed("half a surrogate pair")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := parseValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, malformed("text after the JSON value")
	}
	return value, nil
}

func parseValue(decoder *json.Decoder, depth int) (interface{}, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, malformed("not JSON: %v", err)
	}
	switch token := token.(type) {
	case json.Number:
		number, err := strconv.ParseInt(token.String(), 10, 64)
		whole := wholeNumber.MatchString(token.String())
		if err != nil || !whole || number > maxInteger || number < -maxInteger {
			return nil, malformed("%s is not a whole number within ±(2^53-1)", token)
		}
		return number, nil
	case json.Delim:
		if depth == maxDepth {
			return nil, malformed("nested more than %d deep", maxDepth)
		}
		if token == '[' {
			list := []interface{}{}
			for decoder.More() {
				value, err := parseValue(decoder, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, value)
			}
			_, err := decoder.Token()
			return list, err
		}
		found := object{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, malformed("not JSON: %v", err)
			}
			if _, twice := found[key.(string)]; twice {
				return nil, malformed("key %q stands twice", key)
			}
			if found[key.(string)], err = parseValue(decoder, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := decoder.Token()
		return found, err
	default: // nil, bool, string
		return token, nil
	}
}

// loneSurrogate says whether a \u escape is half of a pair: Go's decoder would replace it.
func loneSurrogate(data []byte) bool {
	unit := func(at int) rune {
		if at+6 > len(data) || data[at] != '\\' || data[at+1] != 'u' {
			return -1
		}
		code, err := strconv.ParseUint(string(data[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(code)
	}
	for at := 0; at < len(data); at++ {
		if data[at] != '\\' {
			continue
		}
		switch first := unit(at); {
		case first < 0:
			at++ // another escape, of one character
		case !utf16.IsSurrogate(first):
			at += 5
		case utf16.DecodeRune(first, unit(at+6)) == utf8.RuneError:
			return true
		default:
			at += 11
		}
	}
	return false
}

// canonical encodes a parsed value as RFC 8785 does.
func canonical(value interface{}) []byte {
	var out bytes.Buffer
	encode(&out, value)
	return out.Bytes()
}

func encode(out *bytes.Buffer, value interface{}) {
	switch value := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(value))
	case int64:
		out.WriteString(strconv.FormatInt(value, 10))
	case string:
		encodeString(out, value)
	case []interface{}:
		out.WriteByte('[')
		for i, element := range value {
			if i > 0 {
				out.WriteByte(',')
			}
			encode(out, element)
		}
		out.WriteByte(']')
	case object:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Slice(keys, func(i, j int) bool { return unitsBefore(keys[i], keys[j]) })
		out.WriteByte('{')
		for i, key := range keys {
			if i > 0 {
				out.WriteByte(',')
			}
			encodeString(out, key)
			out.WriteByte(':')
			encode(out, value[key])
		}
		out.WriteByte('}')
	}
}

// unitsBefore orders keys by their UTF-16 code units (RFC 8785 §3.2.3).
func unitsBefore(a, b string) bool {
	one, other := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := 0; i < len(one) && i < len(other); i++ {
		if one[i] != other[i] {
			return one[i] < other[i]
		}
	}
	return len(one) < len(other)
}

var shortEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`,
}

func encodeString(out *bytes.Buffer, text string) {
	const hexDigits = "0123456789abcdef"
	out.WriteByte('"')
	for _, r := range text {
		switch short, known := shortEscapes[r]; {
		case known:
			out.WriteString(short)
		case r < 0x20:
			out.WriteString(`\u00`)
			out.WriteByte(hexDigits[r>>4])
			out.WriteByte(hexDigits[r&15])
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
}

// A reader takes the keys of one object, each once and of one type, and remembers the first fault.
type reader struct {
	what string
	left object
	err  error
}

func read(what string, value interface{}) *reader {
	found, ok := value.(object)
	if !ok {
		return &reader{what: what, left: object{}, err: malformed("%s: not an object", what)}
	}
	left := object{}
	for key, value := range found {
		left[key] = value
	}
	return &reader{what: what, left: left}
}

func (r *reader) fail(format string, values ...interface{}) {
	if r.err == nil {
		r.err = malformed(r.what+": "+format, values...)
	}
}

func (r *reader) take(key string) interface{} {
	value, ok := r.left[key]
	if !ok {
		r.fail("%s is missing", key)
	}
	delete(r.left, key)
	return value
}

func (r *reader) text(key string) string {
	text, ok := r.take(key).(string)
	if !ok {
		r.fail("%s is not a text", key)
	}
	return text
}

// maybeText is nil for null.
func (r *reader) maybeText(key string) *string {
	value := r.take(key)
	text, ok := value.(string)
	if value == nil {
		return nil
	}
	if !ok {
		r.fail("%s is neither a text nor null", key)
	}
	return &text
}

// maybeFlag is true or false, if it stands there at all.
func (r *reader) maybeFlag(key string) {
	value, there := r.left[key]
	if _, ok := value.(bool); there && !ok {
		r.fail("%s is neither true nor false", key)
	}
	delete(r.left, key)
}

// integer may be below 0, as times are.
func (r *reader) integer(key string) int64 {
	number, ok := r.take(key).(int64)
	if !ok {
		r.fail("%s is not a whole number", key)
	}
	return number
}

// count is a whole number from 0.
func (r *reader) count(key string) int64 {
	number, ok := r.take(key).(int64)
	if !ok || number < 0 {
		r.fail("%s is not a whole number from 0", key)
	}
	return number
}

// hex is exactly size bytes, or any whole number of 32-byte names where size is negative.
func (r *reader) hex(key string, size int) []byte {
	return r.hexOf(key, r.text(key), size)
}

func (r *reader) hexOf(key, text string, size int) []byte {
	data, err := unhex(text)
	if err != nil || size >= 0 && len(data) != size {
		r.fail("%s is not lower-case hex of the right length", key)
		return make([]byte, max(size, 0))
	}
	return data
}

func (r *reader) list(key string) []interface{} {
	list, ok := r.take(key).([]interface{})
	if !ok {
		r.fail("%s is not a list", key)
	}
	return list
}

// done returns the first fault; a key that nobody took is one.
func (r *reader) done() error {
	for key := range r.left {
		r.fail("unknown key %s", strings.ToValidUTF8(strconv.Quote(key), "?"))
	}
	return r.err
}
