package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// A sealed stream is a header (format, 32 random bytes) and chunks of 256 KiB,
// each a box of its own, bound to its number and to being the last. Memory is
// bounded by one chunk, whatever the length. A stream that was cut, reordered,
// doubled or joined with another does not open.

const (
	chunk      = 256 << 10
	headerSize = 1 + 32
)

// SealedSize is how long n plain bytes are as a sealed stream.
func SealedSize(n int64) int64 {
	chunks := max(1, (n+chunk-1)/chunk)
	return headerSize + n + chunks*Overhead
}

type sealer struct {
	w    io.Writer
	aead cipher.AEAD
	slot Slot
	buf  []byte // plain bytes of the chunk that is being filled
	box  []byte
	err  error
}

// SealStream returns a writer that seals what is written into w. Close writes
// the last chunk: without it the stream does not open. So whoever could not read
// its source to the end does not close the stream, which would make a whole one
// of the part that came.
func (k Key) SealStream(w io.Writer, s Slot) (io.WriteCloser, error) {
	header := make([]byte, headerSize)
	header[0] = Format
	rand.Read(header[1:])
	if err := writeAll(w, header); err != nil {
		return nil, err
	}
	return &sealer{w: w, aead: k.streamKey(header).aead(), slot: s, buf: make([]byte, 0, chunk)}, nil
}

// streamKey gives each stream a key of its own, from its header.
func (k Key) streamKey(header []byte) Key { return k.Derive("stream v1", string(header)) }

func (e *sealer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && e.err == nil {
		if len(e.buf) == chunk { // more follows, so this chunk is not the last
			e.flush()
			continue
		}
		m := copy(e.buf[len(e.buf):chunk], p)
		e.buf, p, n = e.buf[:len(e.buf)+m], p[m:], n+m
	}
	return n, e.err
}

var errClosed = errors.New("seal: the stream is closed")

// Close seals the last chunk. A second Close, like a Write after Close, says
// that the stream is closed; after an error it says that error again.
func (e *sealer) Close() error {
	if e.err != nil {
		return e.err
	}
	e.slot.Last = true
	e.flush()
	if e.err != nil {
		return e.err
	}
	e.aead, e.err = nil, errClosed
	return nil
}

// flush writes the chunk, and leaves none of its plain bytes behind.
func (e *sealer) flush() {
	e.box = sealWith(e.aead, e.box[:0], e.buf, e.slot)
	e.err = writeAll(e.w, e.box)
	clear(e.buf)
	e.buf = e.buf[:0]
	e.slot.Chunk++
}

// writeAll takes a short write without an error for what it is.
func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err != nil {
		return fmt.Errorf("write sealed stream: %w", err)
	}
	if n != len(b) {
		return fmt.Errorf("write sealed stream: %w", io.ErrShortWrite)
	}
	return nil
}

type opener struct {
	r     io.Reader
	key   Key
	aead  cipher.AEAD
	slot  Slot
	box   []byte // the sealed chunk, one byte longer than a full one to see whether more follows
	kept  int    // bytes of the next chunk that were read already
	plain []byte // what is left of the opened chunk
	open  []byte
	done  bool
	err   error
}

// OpenStream returns a reader of what SealStream sealed in the same slot. It
// gives out a chunk only after checking it, and ErrSealed at the first that
// does not fit; io.EOF comes only after the last chunk proved itself.
func (k Key) OpenStream(r io.Reader, s Slot) io.Reader {
	return &opener{r: r, key: k, slot: s}
}

func (d *opener) Read(p []byte) (int, error) {
	for len(d.plain) == 0 {
		if d.err == nil {
			d.err = d.next()
		}
		if d.err != nil {
			return 0, d.err
		}
	}
	n := copy(p, d.plain)
	clear(d.plain[:n])
	d.plain = d.plain[n:]
	return n, nil
}

func (d *opener) next() error {
	if d.done {
		return io.EOF
	}
	if d.aead == nil {
		if err := d.start(); err != nil {
			return err
		}
	}
	n, err := io.ReadFull(d.r, d.box[d.kept:])
	n += d.kept
	switch {
	case err == nil: // a full chunk and one byte of the next
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		d.done, d.slot.Last = true, true
	default:
		return fmt.Errorf("read sealed stream: %w", err)
	}
	full := min(n, chunk+Overhead)
	d.open, err = openWith(d.aead, d.open[:0], d.box[:full], d.slot)
	if err != nil {
		return err
	}
	d.plain = d.open
	d.kept = copy(d.box, d.box[full:n])
	d.slot.Chunk++
	return nil
}

func (d *opener) start() error {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(d.r, header); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrFormat
		}
		return fmt.Errorf("read sealed stream: %w", err)
	}
	if header[0] != Format {
		return ErrFormat
	}
	d.aead = d.key.streamKey(header).aead()
	d.key.Wipe()
	d.box = make([]byte, chunk+Overhead+1)
	d.open = make([]byte, 0, chunk)
	return nil
}
