package exchange

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// A record of kind "fhir" holds all resources of one compartment, a line each:
//
//	{"type":"Observation","id":"17","url":"urn:uuid:...","resource":{...}}
//
// The resource stands there as it came. Its type and id stand before it, so that
// a set is read without looking into the resources.

// head is what lists show of a record of this room.
type head struct {
	Kind  string         `json:"kind"`
	Count int            `json:"count"`
	Types map[string]int `json:"types"`
}

const kind = "fhir"

func (h *head) count(kind string) {
	h.Count++
	h.Types[kind]++
}

// readHead tells whether a record is of this room.
func readHead(b []byte) (h head, ours bool) {
	return h, json.Unmarshal(b, &h) == nil && h.Kind == kind
}

func newHead() head { return head{Kind: kind, Types: map[string]int{}} }

// lead is what stands before a resource.
type lead struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	URL  string `json:"url,omitempty"`
}

var middle = []byte(`,"resource":`)

// appendLine writes one resource.
func appendLine(b []byte, r fhir.Resource) []byte {
	before, err := json.Marshal(lead{r.Type, r.ID, r.FullURL})
	if err != nil {
		panic(err) // three texts can always be marshaled
	}
	b = append(b, before[:len(before)-1]...)
	b = append(b, middle...)
	b = append(b, r.Raw...)
	return append(b, '}', '\n')
}

var errUnreadable = errors.New("exchange: a stored set of resources is not readable")

// parseLine reads one resource. Raw is a part of line. The first middle is the
// right one: inside the texts before it a quote would be escaped.
func parseLine(line []byte) (fhir.Resource, error) {
	before, raw, ok := bytes.Cut(line, middle)
	raw, closed := bytes.CutSuffix(raw, []byte("}\n"))
	if !ok || !closed {
		return fhir.Resource{}, errUnreadable
	}
	var l lead
	if err := json.Unmarshal(append(bytes.Clone(before), '}'), &l); err != nil {
		return fhir.Resource{}, errUnreadable
	}
	return fhir.Resource{Type: l.Type, ID: l.ID, FullURL: l.URL, Raw: raw}, nil
}

// reader returns the stored form of a sequence of resources, made as it is read.
func reader(seq iter.Seq2[fhir.Resource, error]) *setReader {
	next, stop := iter.Pull2(seq)
	return &setReader{next: next, stop: stop}
}

type setReader struct {
	next func() (fhir.Resource, error, bool)
	stop func()
	buf  []byte
	at   int
}

// Read implements io.Reader.
func (s *setReader) Read(b []byte) (int, error) {
	for s.at == len(s.buf) {
		r, err, ok := s.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		s.buf, s.at = appendLine(s.buf[:0], r), 0
	}
	n := copy(b, s.buf[s.at:])
	s.at += n
	return n, nil
}

// Close wipes what was read last.
func (s *setReader) Close() {
	clear(s.buf[:cap(s.buf)])
	s.stop()
}

// set is one compartment's record of resources, if it has one.
type set struct {
	c     layer.Compartment
	part  string
	entry layer.Entry
	head  head
	found bool
}

// setOf finds the record of this room in a compartment.
func setOf(ctx context.Context, c layer.Compartment, part string) (set, error) {
	list, err := c.List(ctx)
	if err != nil {
		return set{}, err
	}
	for _, e := range list {
		if h, ours := readHead(e.Head); ours {
			return set{c: c, part: part, entry: e, head: h, found: true}, nil
		}
	}
	return set{c: c, part: part}, nil
}

// all yields the resources as they are stored, each with memory of its own.
func (s set) all(ctx context.Context) iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		if !s.found {
			return
		}
		_, body, err := s.c.Stream(ctx, s.entry.Record)
		if err != nil {
			yield(fhir.Resource{}, err)
			return
		}
		defer body.Close()
		in := bufio.NewReaderSize(body, 64<<10)
		for {
			line, err := in.ReadBytes('\n')
			if err == io.EOF && len(line) == 0 {
				return
			}
			var r fhir.Resource
			switch {
			case err == io.EOF:
				err = errUnreadable
			case err == nil:
				r, err = parseLine(line)
			}
			if err != nil {
				yield(fhir.Resource{}, fmt.Errorf("read resources of patient %s: %w", s.c.Patient(), err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// opened opens one compartment's set to be read. found is false, without an
// error, where the patient has no such compartment or nothing was imported.
func (x *Exchange) opened(ctx context.Context, p id.Patient, part string) (set, error) {
	c, err := x.Vault.Open(ctx, p, part)
	if err != nil {
		return set{}, err
	}
	s, err := setOf(ctx, c, part)
	if err != nil {
		c.Close()
	}
	return s, err
}
