package fhir

import (
	"bytes"
	"encoding/json"
	"iter"
)

// view looks into JSON that was checked before, without decoding it. On
// anything else it finds nothing, and never panics.
type view []byte

// field returns the value of a member, nil if there is none.
func (v view) field(name string) view {
	for k, val := range v.fields() {
		if k.is(name) {
			return val
		}
	}
	return nil
}

// path follows members by name; of a list it takes the first item.
func (v view) path(names ...string) view {
	for _, name := range names {
		v = v.first().field(name)
	}
	return v.first()
}

func (v view) first() view {
	for item := range v.items() {
		return item
	}
	return nil
}

// fields yields the members of an object, keys still quoted.
func (v view) fields() iter.Seq2[view, view] {
	return func(yield func(view, view) bool) {
		if len(v) == 0 || v[0] != '{' {
			return
		}
		for i := gap(v, 1); i < len(v) && v[i] == '"'; {
			keyEnd := skip(v, i)
			start := gap(v, keyEnd) + 1 // behind the colon
			start = gap(v, start)
			end := skip(v, start)
			if start >= end || !yield(v[i:keyEnd], v[start:end]) {
				return
			}
			i = gap(v, gap(v, end)+1) // behind the comma
		}
	}
}

// items yields the elements of an array; a value that is no array is its own
// only item, so that repeated and single elements read alike.
func (v view) items() iter.Seq[view] {
	return func(yield func(view) bool) {
		if len(v) == 0 {
			return
		}
		if v[0] != '[' {
			yield(v)
			return
		}
		for i := gap(v, 1); i < len(v) && v[i] != ']'; {
			end := skip(v, i)
			if end <= i || !yield(v[i:end]) {
				return
			}
			i = gap(v, gap(v, end)+1)
		}
	}
}

// is reports whether a string value says s.
func (v view) is(s string) bool {
	if len(v) == len(s)+2 && bytes.IndexByte(v, '\\') < 0 {
		return string(v[1:len(v)-1]) == s
	}
	return bytes.IndexByte(v, '\\') >= 0 && v.text() == s
}

// text returns what a string value says, "" for any other value.
func (v view) text() string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

// gap returns the place of the next byte that is no white space.
func gap(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return min(i, len(b))
}

// skip returns the place behind the value that starts at i.
func skip(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipText(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
		default:
			for i < len(b) && !isMark(b[i]) {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return len(b)
}

func isMark(c byte) bool {
	switch c {
	case '"', '{', '}', '[', ']', ',', ':', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}

func skipText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		i += plain(b[i:])
		if i >= len(b) {
			break
		}
		if b[i] == '"' {
			return i + 1
		}
		if b[i] == '\\' {
			i++
		}
	}
	return len(b)
}
