package fhir

import "bytes"

// draft is a resource that is still being read.
type draft struct {
	kind  string
	entry bool // it has a member "entry", as a List or a Bundle has
	wide  bool // it has too many members
	line  int
	off   int64
}

// maxMembers bounds the members of one resource; FHIR's widest has some eighty.
const maxMembers = 10_000

// part is a member of the resource: places in the captured text.
type part struct{ key, keyEnd, val, valEnd int }

func (s *splitter) begin() draft {
	s.capture(MaxResource)
	s.parts = s.parts[:0]
	return draft{line: s.lineNow(), off: s.offset()}
}

// draftMember reads one member of a resource whose values lie at depth.
// With wantType it stops with errOrder where an "entry" comes before the type.
func (s *splitter) draftMember(d *draft, depth int, wantType bool) error {
	p := part{key: s.flush()}
	key, err := s.word()
	if err != nil {
		return err
	}
	p.keyEnd = s.flush()
	isType, isEntry := key.is("resourceType"), key.is("entry")
	if isEntry && d.kind == "" && wantType {
		return errOrder
	}
	if err := s.colon(); err != nil {
		return err
	}
	p.val = s.flush()
	if isType && s.peek() == '"' {
		var v view
		v, err = s.word()
		d.kind = v.text()
	} else {
		err = s.value(depth)
	}
	d.entry = d.entry || isEntry
	p.valEnd = s.flush()
	if d.wide = len(s.parts) >= maxMembers; !d.wide {
		s.parts = append(s.parts, p)
	}
	return err
}

// finish makes the resource, or says why it is none.
func (s *splitter) finish(d draft, end int64) (Resource, *Problem) {
	bad := func(reason string) (Resource, *Problem) {
		return Resource{}, &Problem{Line: d.line, Reason: reason}
	}
	raw := view(s.take())
	if s.tooBig {
		return bad("the resource is larger than 64 MiB")
	}
	if d.wide {
		return bad("the resource has more than 10,000 members")
	}
	if s.repeats(raw) {
		return bad("the resource has one member twice")
	}
	if !isTypeName(d.kind) {
		return bad("no resourceType: this is no FHIR resource")
	}
	r := Resource{Type: d.kind, Raw: raw, Line: d.line, at: span{d.off, end - d.off}}
	if v := s.find(raw, "id"); v != nil {
		if r.ID = v.text(); r.ID == "" || len(r.ID) > maxName || !printable(r.ID) {
			return bad("the id of the resource is not a short text")
		}
	}
	find := func(name string) view { return s.find(raw, name) }
	r.refs, r.files = references(r.Type, find), attachments(r.Type, find)
	return r, nil
}

// find returns the value of a member.
func (s *splitter) find(raw view, name string) view {
	for _, p := range s.parts {
		if raw[p.key:p.keyEnd].is(name) {
			return raw[p.val:p.valEnd]
		}
	}
	return nil
}

// repeats reports whether two members have one name: readers would disagree
// which of them counts.
func (s *splitter) repeats(raw view) bool {
	if len(s.parts) > 32 || bytes.IndexByte(raw, '\\') >= 0 {
		return len(s.names(raw)) < len(s.parts)
	}
	for i, p := range s.parts {
		for _, q := range s.parts[:i] {
			if bytes.Equal(raw[p.key:p.keyEnd], raw[q.key:q.keyEnd]) {
				return true
			}
		}
	}
	return false
}

func (s *splitter) names(raw view) map[string]bool {
	names := make(map[string]bool, len(s.parts))
	for _, p := range s.parts {
		names[raw[p.key:p.keyEnd].text()] = true
	}
	return names
}

// isTypeName reports whether s can name a type of resource, known or not.
func isTypeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	for _, c := range s {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}
