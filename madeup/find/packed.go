package find

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Bounds of what is unpacked.
const (
	maxDepth  = 3         // streams within streams
	maxLive   = 64        // streams at a time
	maxWindow = 32 << 20  // bytes of history that a zstd stream may ask for
	maxOut    = 256 << 20 // bytes that one stream may unfold to
)

// packed is a compressed stream that is unpacked while the bytes around it
// come in: a coroutine that asks for more.
type packed struct {
	chunk []byte
	last  bool
	yield func(step) bool
	next  func() (step, bool)
	stop  func()
}

// step is what a coroutine hands out: a hit, an error, or the wish for more.
type step struct {
	more bool
	hit  Hit
	err  error
}

// magicLen bytes are enough to tell a compressed stream.
const magicLen = 4

// unpack begins to unpack where something looks like a compressed stream.
func (s *scan) unpack(b []byte, last bool) bool {
	if s.depth >= maxDepth {
		s.magic = len(b)
		return true
	}
	to := len(b) - magicLen + 1
	if to <= s.magic {
		return true
	}
	for k := range formats {
		kind := &formats[k]
		for at := s.magic; at < to; at++ {
			ahead := bytes.IndexByte(b[at:to], kind.first)
			if ahead < 0 {
				break
			}
			at += ahead
			if kind.is(b[at:]) && !s.begin(kind, b[at:], s.base+int64(at), last) {
				return false
			}
		}
	}
	s.magic = to
	return true
}

// format is a kind of compressed stream.
type format struct {
	name  string
	first byte
	is    func(b []byte) bool // b has magicLen bytes
	open  func(*packed) (io.Reader, func(), error)
}

// formats are what can be unpacked: RFC 1952, RFC 1950, RFC 8878 and the
// members of zip files (APPNOTE 4.3.7).
var formats = [...]format{
	{"gzip", 0x1f, func(b []byte) bool { return b[1] == 0x8b && b[2] == 8 && b[3] < 32 }, openGzip},
	{"zlib", 0x78, func(b []byte) bool {
		return b[1] == 0x01 || b[1] == 0x5e || b[1] == 0x9c || b[1] == 0xda
	}, openZlib},
	{"zstd", 0x28, func(b []byte) bool { return b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd }, openZstd},
	{"zip", 'P', func(b []byte) bool { return b[1] == 'K' && b[2] == 3 && b[3] == 4 }, openZip},
}

// begin starts a coroutine on the stream whose first bytes are b.
func (s *scan) begin(kind *format, b []byte, at int64, last bool) bool {
	if len(s.live) >= maxLive {
		return s.yield(Hit{}, fmt.Errorf("%s stream at %d was not unpacked: more than %d at a time", kind.name, at, maxLive))
	}
	p := &packed{chunk: b, last: last}
	p.next, p.stop = iter.Pull(func(yield func(step) bool) {
		p.yield = yield
		s.inside(p, kind, at)
	})
	alive, goOn := s.advance(p)
	if alive {
		s.live = append(s.live, p)
	} else {
		p.stop()
	}
	return goOn
}

// feed gives fresh bytes to the streams that are being unpacked.
func (s *scan) feed(fresh []byte, last bool) bool {
	kept := s.live[:0]
	goOn := true
	for _, p := range s.live {
		p.chunk, p.last = fresh, last
		alive := false
		if goOn {
			alive, goOn = s.advance(p)
		}
		if alive {
			kept = append(kept, p)
		} else {
			p.stop()
		}
	}
	clear(s.live[len(kept):])
	s.live = kept
	return goOn
}

// advance lets a stream work until it needs more bytes or has ended.
func (s *scan) advance(p *packed) (alive, goOn bool) {
	for {
		st, ok := p.next()
		switch {
		case !ok:
			return false, true
		case st.more:
			return true, true
		case !s.yield(st.hit, st.err):
			return false, false
		}
	}
}

// inside runs in the coroutine: it opens the stream and scans what unfolds.
// That a stream is torn, or was none, is no error: what unfolded was looked at.
func (s *scan) inside(p *packed, kind *format, at int64) {
	r, done, err := kind.open(p)
	if err != nil {
		return
	}
	defer done()
	inner := scan{Finder: s.Finder, depth: s.depth + 1}
	inner.yield = func(h Hit, err error) bool {
		if err != nil {
			return p.yield(step{err: fmt.Errorf("inside %s at %d: %w", kind.name, at, err)})
		}
		h.Offset = at
		if h.Packed = kind.name + "/" + h.Packed; h.Packed == kind.name+"/" {
			h.Packed = kind.name
		}
		return p.yield(step{hit: h})
	}
	defer inner.stop()
	if err := inner.run(&bounded{r: r, left: maxOut}); errors.Is(err, errTooLong) {
		p.yield(step{err: fmt.Errorf("%s stream at %d: %w", kind.name, at, err)})
	}
}

var (
	errTooLong = fmt.Errorf("unfolds to more than %d bytes: the rest was not looked at", maxOut)
	errStopped = errors.New("nobody reads on")
)

// bounded ends with errTooLong after so many bytes.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// fill waits for the next bytes of the stream around.
func (p *packed) fill() error {
	for len(p.chunk) == 0 {
		if p.last {
			return io.EOF
		}
		if !p.yield(step{more: true}) {
			p.last = true
			return errStopped
		}
	}
	return nil
}

func (p *packed) Read(b []byte) (int, error) {
	if err := p.fill(); err != nil {
		return 0, err
	}
	n := copy(b, p.chunk)
	p.chunk = p.chunk[n:]
	return n, nil
}

// ReadByte keeps compress/flate from reading ahead.
func (p *packed) ReadByte() (byte, error) {
	if err := p.fill(); err != nil {
		return 0, err
	}
	c := p.chunk[0]
	p.chunk = p.chunk[1:]
	return c, nil
}

func openGzip(p *packed) (io.Reader, func(), error) {
	z, err := gzip.NewReader(p)
	if err != nil {
		return nil, nil, err
	}
	z.Multistream(false) // the next one is found by itself
	return z, func() {}, nil
}

var zlibPool sync.Pool // two random bytes in 16 KiB look like zlib: keep their 40 KiB of state

func openZlib(p *packed) (io.Reader, func(), error) {
	z, ok := zlibPool.Get().(io.ReadCloser)
	if !ok {
		fresh, err := zlib.NewReader(p)
		if err != nil {
			return nil, nil, err
		}
		return fresh, func() { zlibPool.Put(fresh) }, nil
	}
	if err := z.(zlib.Resetter).Reset(p, nil); err != nil {
		zlibPool.Put(z)
		return nil, nil, err
	}
	return z, func() { zlibPool.Put(z) }, nil
}

func openZstd(p *packed) (io.Reader, func(), error) {
	z, err := zstd.NewReader(p, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// openZip opens a deflated member behind its local header. A stored member
// stands in the open.
func openZip(p *packed) (io.Reader, func(), error) {
	var header [30]byte
	if _, err := io.ReadFull(p, header[:]); err != nil {
		return nil, nil, err
	}
	if method := binary.LittleEndian.Uint16(header[8:]); method != 8 {
		return nil, nil, fmt.Errorf("zip method %d", method)
	}
	skip := int64(binary.LittleEndian.Uint16(header[26:])) + int64(binary.LittleEndian.Uint16(header[28:]))
	if _, err := io.CopyN(io.Discard, p, skip); err != nil {
		return nil, nil, err
	}
	z := flate.NewReader(p)
	return z, func() { z.Close() }, nil
}
