package fhir

import (
	"bytes"
	"errors"
	"io"
	"iter"
)

// errOrder means that a document shows its entries before its type.
var errOrder = errors.New("fhir: entry comes before resourceType")

// splitter takes a source apart into resources, one in memory at a time.
type splitter struct {
	*scanner
	kind     string // the document's type where it was looked up before, see typeOf
	bundle   int    // ordinal of the last Bundle
	inBundle bool
	seen     map[string]bool // members of the Bundle so far
	parts    []part          // members of the resource so far
	yield    func(Resource, *Problem) bool
}

// errStop means that the reader of the sequence wants no more.
var errStop = errors.New("fhir: enough")

// split takes one document apart, or, with lines, an NDJSON file. A problem
// ends it only where nothing after it can be understood (Problem.torn).
func split(r io.Reader, lines bool, kind string) iter.Seq2[Resource, *Problem] {
	return func(yield func(Resource, *Problem) bool) {
		s := splitter{scanner: newScanner(r), kind: kind, yield: yield}
		defer s.release()
		s.oneLine = lines
		if lines {
			s.lines()
			return
		}
		if err := s.whole(); err != nil && err != errStop {
			yield(Resource{}, s.problem(err))
		}
	}
}

// typeOf looks for the type of a document whose entries come first.
func typeOf(r io.Reader) (kind string, err error) {
	s := newScanner(r)
	defer s.release()
	s.mark()
	s.space()
	if s.peek() != '{' {
		return "", s.unexpected("a resource, which begins with {,")
	}
	err = s.members(1, func() error {
		key, err := s.word()
		if err != nil {
			return err
		}
		wanted := key.is("resourceType")
		if err := s.colon(); err != nil {
			return err
		}
		if !wanted || s.peek() != '"' {
			return s.value(2)
		}
		name, err := s.word()
		if err != nil {
			return err
		}
		kind = name.text()
		return errStop
	})
	if err == errStop {
		err = nil
	}
	return kind, err
}

func (s *splitter) problem(err error) *Problem {
	p := &Problem{Line: s.lineNow(), Reason: err.Error(), torn: true, order: err == errOrder}
	if s.inBundle {
		p.bundle = s.bundle
	}
	if f, ok := errors.AsType[*fault](err); ok {
		p.Line = f.line
	}
	return p
}

// whole reads one document that fills the source.
func (s *splitter) whole() error {
	s.mark()
	s.space()
	return s.document()
}

// ending checks that nothing follows a document: on its line, or in its file.
func (s *splitter) ending() error {
	s.space()
	switch {
	case s.pos == s.end && !s.fill():
		return s.readFault()
	case s.oneLine && s.buf[s.pos] == '\n':
		return nil
	case s.oneLine:
		return s.fault("more follows on the line after the end of the resource")
	}
	return s.fault("more follows after the end of the resource; a file with one resource a line ends in .ndjson")
}

// lines reads NDJSON: one resource a line, empty lines do not count.
// http://hl7.org/fhir/R4/nd-json.html
func (s *splitter) lines() {
	s.mark()
	for {
		s.space()
		if s.pos == s.end && !s.fill() {
			if err := s.readFault(); err != nil {
				s.yield(Resource{}, s.problem(err))
			}
			return
		}
		if s.buf[s.pos] == '\n' {
			s.pos++
			continue
		}
		err := s.document()
		if err == errStop {
			return
		}
		if err != nil {
			p := s.problem(err)
			s.capturing = false
			s.skipLine()
			p.torn = p.bundle > 0 // of the file, only this Bundle is lost
			if !s.yield(Resource{}, p) {
				return
			}
		}
	}
}

// readFault is the error that ended the source early, if one did.
func (s *splitter) readFault() error {
	if s.readErr == nil || errors.Is(s.readErr, io.EOF) {
		return nil
	}
	return s.unexpected("more")
}

// mark skips a byte order mark, which RFC 8259 8.1 lets a reader ignore.
func (s *scanner) mark() {
	for s.end-s.pos < 3 && s.fill() {
	}
	if bytes.HasPrefix(s.buf[s.pos:s.end], []byte("\xef\xbb\xbf")) {
		s.pos += 3
	}
}

// document reads a resource, or a Bundle with its entries.
func (s *splitter) document() error {
	if s.peek() != '{' {
		return s.unexpected("a resource, which begins with {,")
	}
	s.inBundle = false
	if s.kind == "Bundle" {
		s.startBundle(nil)
		if err := s.members(1, s.bundleMember); err != nil {
			return err
		}
		return s.ending()
	}
	d := s.begin()
	err := s.members(1, func() error {
		if s.inBundle {
			return s.bundleMember()
		}
		if err := s.draftMember(&d, 2, !s.oneLine && s.kind == ""); err != nil {
			return err
		}
		if d.kind == "Bundle" && !d.entry {
			s.capturing = false
			s.startBundle(s.names(s.out))
		}
		return nil
	})
	end := s.offset()
	if err == nil {
		err = s.ending()
	}
	if err != nil || s.inBundle {
		return err
	}
	r, p := s.finish(d, end)
	if p == nil && r.Type == "Bundle" {
		p = &Problem{Line: d.line, Reason: "a Bundle on one line must name its resourceType before its entries"}
	}
	return s.send(r, p)
}

func (s *splitter) startBundle(seen map[string]bool) {
	s.inBundle = true
	s.bundle++
	s.seen = seen
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
}

// bundleMember reads one member of a Bundle. Of its envelope only the entries
// are kept. http://hl7.org/fhir/R4/bundle.html
func (s *splitter) bundleMember() error {
	key, err := s.word()
	if err != nil {
		return err
	}
	name := key.text()
	if s.seen[name] && (name == "entry" || name == "resourceType") {
		return s.fault("the Bundle has %s twice", name)
	}
	if len(s.seen) < 64 {
		s.seen[name] = true
	}
	if err := s.colon(); err != nil {
		return err
	}
	if name != "entry" || s.peek() == 'n' {
		return s.value(2)
	}
	if s.peek() != '[' {
		return s.fault("the entries of the Bundle are no list")
	}
	return s.elements(2, s.entry)
}

// entry reads one entry of a Bundle.
func (s *splitter) entry() error {
	line := s.lineNow()
	if s.peek() != '{' {
		if err := s.value(3); err != nil {
			return err
		}
		return s.send(Resource{}, &Problem{Line: line, Reason: "an entry of the Bundle is no object"})
	}
	var (
		r       Resource
		p       *Problem
		fullURL string
		found   int
	)
	err := s.members(3, func() error {
		key, err := s.word()
		if err != nil {
			return err
		}
		isResource, isURL := key.is("resource"), key.is("fullUrl")
		if err := s.colon(); err != nil {
			return err
		}
		switch c := s.peek(); {
		case isResource && c == '{':
			found++
			r, p, err = s.resource(4)
		case isURL && c == '"':
			var v view
			v, err = s.word()
			fullURL = v.text()
		default:
			err = s.value(4)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case found == 0:
		p = &Problem{Line: line, Reason: "an entry of the Bundle holds no resource"}
	case found > 1:
		p = &Problem{Line: line, Reason: "an entry of the Bundle holds two resources"}
	}
	r.FullURL = fullURL
	return s.send(r, p)
}

// resource reads the resource of an entry.
func (s *splitter) resource(depth int) (Resource, *Problem, error) {
	d := s.begin()
	err := s.members(depth, func() error { return s.draftMember(&d, depth+1, false) })
	if err != nil {
		return Resource{}, nil, err
	}
	r, p := s.finish(d, s.offset())
	return r, p, nil
}

func (s *splitter) send(r Resource, p *Problem) error {
	if p != nil {
		r = Resource{}
	}
	if s.inBundle {
		r.bundle = s.bundle
	}
	if !s.yield(r, p) {
		return errStop
	}
	return nil
}
