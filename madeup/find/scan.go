package find

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// windowSize is how much of a stream is held at a time, if no spelling is
// longer than an eighth of it.
const windowSize = 256 << 10

var windowPool = sync.Pool{New: func() any { return new(make([]byte, windowSize)) }}

// Scan yields each secret in what r gives, in no certain order, and holds a
// bounded part of it. An error comes with an empty Hit: one from r ends the
// scan; one about a compressed stream means that a part was not looked at.
func (f *Finder) Scan(r io.Reader) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		s := scan{Finder: f, yield: yield}
		defer s.stop()
		if err := s.run(r); err != nil {
			yield(Hit{}, fmt.Errorf("scan at %d: %w", s.base, err))
		}
	}
}

// scan is the state of one pass over one stream.
type scan struct {
	*Finder
	yield func(Hit, error) bool
	depth int // how many compressed streams it is in

	base   int64 // offset in the stream of the first byte in the window
	magic  int   // first place in the window where no compressed stream was looked for
	anchor int   // first place in the window that was not compared
	live   []*packed
}

// run returns the error of r, nil at its end or when the caller has enough.
func (s *scan) run(r io.Reader) error {
	pooled := windowPool.Get().(*[]byte)
	defer windowPool.Put(pooled)
	window := *pooled
	if 8*s.longest > len(window) {
		window = make([]byte, 8*s.longest)
	}
	held := 0
	for {
		n, err := io.ReadFull(r, window[held:])
		fresh := window[held : held+n]
		b := window[:held+n]
		last := err != nil
		if !s.feed(fresh, last) || !s.unpack(b, last) || !s.compare(b, last) {
			return nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		held = s.slide(b)
	}
}

// compare looks for spellings around all places that have enough bytes after
// them, at the end around all.
func (s *scan) compare(b []byte, last bool) bool {
	to := len(b) - s.longest
	if last {
		to = len(b) - 7
	}
	if to <= s.anchor {
		return true
	}
	from := s.anchor
	s.anchor = to
	return s.windows(b, from, to, func(start int, e entry) bool {
		return s.yield(Hit{Secret: int(s.index[e.secret()]), Encoding: e.encoding().kind(), Offset: s.base + int64(start)}, nil)
	})
}

// slide keeps what a spelling around the next place may need, and returns how
// much that is.
func (s *scan) slide(b []byte) int {
	keep := max(0, min(s.anchor-s.longest, s.magic))
	s.base += int64(keep)
	s.anchor -= keep
	s.magic -= keep
	return copy(b, b[keep:])
}

func (s *scan) stop() {
	for _, p := range s.live {
		p.stop()
	}
}
