package seal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"
)

func sealedStream(t testing.TB, k Key, s Slot, plain []byte) []byte {
	t.Helper()
	var sealed bytes.Buffer
	w, err := k.SealStream(&sealed, s)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

// A file of 2 GiB (QUIETROOM_SOAK=1; 64 MiB otherwise) goes in and out while the
// heap grows by less than 8 MiB.
func TestALongStreamNeedsLittleMemory(t *testing.T) {
	const most = 8 << 20
	length := int64(64 << 20)
	if os.Getenv("QUIETROOM_SOAK") == "1" {
		length = 2 << 30
	}
	k := NewKey()
	before := heap(true)
	r, w := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		s, err := k.SealStream(w, recordSlot)
		if err == nil {
			_, err = io.Copy(s, &counting{left: length})
		}
		if err == nil {
			err = s.Close()
		}
		w.CloseWithError(err)
	})
	check := &checking{}
	n, err := io.CopyBuffer(check, onlyReader{k.OpenStream(r, recordSlot)}, make([]byte, 64<<10))
	wg.Wait()
	if err != nil || n != length || check.wrong {
		t.Fatalf("%d of %d bytes came back, wrong: %v, %v", n, length, check.wrong, err)
	}
	if grown := int64(check.peak) - int64(before); grown > most {
		t.Errorf("the heap grew by %d bytes for a stream of %d, want at most %d", grown, length, most)
	}
	t.Logf("%d MiB, heap grew by %d KiB at most", length>>20, (int64(check.peak)-int64(before))>>10)
}

// heap is how many bytes lie on the heap, collected or not.
func heap(collect bool) uint64 {
	if collect {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

type onlyReader struct{ io.Reader }

// counting gives out bytes that tell their position.
type counting struct{ at, left int64 }

func (c *counting) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.left))
	for i := range p[:n] {
		p[i] = patterned(c.at + int64(i))
	}
	c.at, c.left = c.at+int64(n), c.left-int64(n)
	return n, nil
}

func patterned(at int64) byte { return byte(at ^ at>>8 ^ at>>18) }

// checking compares what comes with counting, and watches the heap.
type checking struct {
	at, seen int64
	wrong    bool
	peak     uint64
}

func (c *checking) Write(p []byte) (int, error) {
	for i := range p {
		c.wrong = c.wrong || p[i] != patterned(c.at+int64(i))
	}
	c.at += int64(len(p))
	if c.at-c.seen >= 1<<20 {
		c.seen = c.at
		c.peak = max(c.peak, heap(false))
	}
	return len(p), nil
}

func TestAStreamOpensHoweverItsReaderBehaves(t *testing.T) {
	k := NewKey()
	for _, n := range []int{0, 1, chunk, chunk + 1} {
		plain := bytes.Repeat([]byte("x"), n)
		sealed := sealedStream(t, k, recordSlot, plain)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"a byte at a time":       iotest.OneByteReader,
			"half of what is wanted": iotest.HalfReader,
			"the end with the data":  iotest.DataErrReader,
		} {
			got, err := io.ReadAll(k.OpenStream(wrap(bytes.NewReader(sealed)), recordSlot))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: %d came back, %v", name, n, len(got), err)
			}
		}
		if err := iotest.TestReader(k.OpenStream(bytes.NewReader(sealed), recordSlot), plain); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestAFailureOfTheReaderIsNoEndOfTheStream(t *testing.T) {
	k, broken := NewKey(), errors.New("the disk is gone")
	sealed := sealedStream(t, k, recordSlot, make([]byte, 3*chunk))
	for _, at := range []int{0, headerSize - 1, headerSize, headerSize + 5, len(sealed) / 2, len(sealed) - 1, len(sealed)} {
		r := k.OpenStream(io.MultiReader(bytes.NewReader(sealed[:at]), iotest.ErrReader(broken)), recordSlot)
		n, err := io.Copy(io.Discard, r)
		if !errors.Is(err, broken) {
			t.Errorf("broken after %d of %d bytes: %d came out and then %v", at, len(sealed), n, err)
		}
		if _, again := r.Read(make([]byte, 1)); again != err {
			t.Errorf("the next read says %v, and said %v before", again, err)
		}
	}
}

// failing takes so many bytes, then fails, or takes less than it says.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

func TestAWriterThatFailsOrWritesShortIsNoticed(t *testing.T) {
	broken := errors.New("no space left")
	for _, c := range []struct{ fails, want error }{{broken, broken}, {nil, io.ErrShortWrite}} {
		for _, left := range []int{0, headerSize - 1, headerSize, headerSize + 100, headerSize + chunk + Overhead + 1} {
			w, err := NewKey().SealStream(&failing{left, c.fails}, recordSlot)
			if left < headerSize {
				if !errors.Is(err, c.want) {
					t.Errorf("no room for the header: %v, want %v", err, c.want)
				}
				continue
			}
			_, err = w.Write(make([]byte, 2*chunk))
			if err == nil {
				err = w.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("room for %d bytes: %v, want %v", left, err, c.want)
			}
			if again := w.Close(); again == nil {
				t.Errorf("room for %d bytes: a stream that was not written closed well", left)
			}
			nothingPlain(t, w)
		}
	}
}

func TestAClosedStreamTakesNothingMore(t *testing.T) {
	var sealed bytes.Buffer
	k := NewKey()
	w := must(k.SealStream(&sealed, recordSlot))
	io.WriteString(w, "plain words")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := sealed.Len()
	if _, err := io.WriteString(w, "more"); err != errClosed {
		t.Errorf("a write after close says %v", err)
	}
	if err := w.Close(); err != errClosed {
		t.Errorf("a second close says %v", err)
	}
	if sealed.Len() != n {
		t.Error("a closed stream wrote more")
	}
	nothingPlain(t, w)
}

// nothingPlain looks at the sealer's buffer, past its length too.
func nothingPlain(t *testing.T, w io.WriteCloser) {
	t.Helper()
	buf := w.(*sealer).buf
	if left := bytes.Trim(buf[:cap(buf)], "\x00"); len(left) > 0 {
		t.Errorf("%d plain bytes stayed in the sealer", len(left))
	}
}

func TestWhatWasReadIsClearedBehindTheReader(t *testing.T) {
	k := NewKey()
	r := k.OpenStream(bytes.NewReader(sealedStream(t, k, recordSlot, bytes.Repeat([]byte("x"), chunk+9))), recordSlot)
	if _, err := io.Copy(io.Discard, onlyReader{r}); err != nil {
		t.Fatal(err)
	}
	o := r.(*opener)
	if left := bytes.Trim(o.open[:cap(o.open)], "\x00"); len(left) > 0 {
		t.Errorf("%d plain bytes stayed in the opener", len(left))
	}
	if o.key != (Key{}) {
		t.Error("the stream's key stayed in the opener")
	}
}
