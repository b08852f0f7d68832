// Package blobstest is the suite of promises that every blobs.Store keeps.
package blobstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/store/blobs"
)

// TestStore checks an empty store.
func TestStore(t *testing.T, s blobs.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blobs.Store)
	}{
		{"a saved blob comes back whole", comesBack},
		{"a blob is replaced whole", replaced},
		{"a half-written blob is never seen, and what was there stays", halfWritten},
		{"a cancelled write leaves nothing", cancelled},
		{"what is not there is not found, and may be deleted", notThere},
		{"a deleted blob is gone", deleted},
		{"listing gives what has the prefix, and ends when told", listed},
		{"names that lead elsewhere are refused", refused},
		{"many callers write at once", many},
		{"a large blob takes little memory", large},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

func put(t *testing.T, s blobs.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s blobs.Store, name string, data []byte) {
	t.Helper()
	r, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("blob %s: got %d bytes (%v), want the %d that were saved", name, len(got), err, len(data))
	}
}

func wantNone(t *testing.T, s blobs.Store, name string) {
	t.Helper()
	if r, err := s.Get(t.Context(), name); !errors.Is(err, blobs.ErrNotFound) {
		if err == nil {
			r.Close()
		}
		t.Fatalf("blob %s: got %v, want ErrNotFound", name, err)
	}
	if got := names(t, s, name); len(got) != 0 {
		t.Fatalf("blob %s is listed: %v", name, got)
	}
}

func names(t *testing.T, s blobs.Store, prefix string) (names []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}

func comesBack(t *testing.T, s blobs.Store) {
	for i, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 17 << 20} {
		name, data := fmt.Sprintf("WHOLE/%c", 'A'+i), make([]byte, size)
		for j := range data {
			data[j] = byte(j * 7 >> 3)
		}
		put(t, s, name, data)
		want(t, s, name, data)
		for info, err := range s.List(t.Context(), name) {
			if err != nil || info.Size != int64(size) || time.Since(info.Modified).Abs() > time.Hour {
				t.Errorf("listed as %+v (%v), want %d bytes, now", info, err, size)
			}
		}
	}
}

func replaced(t *testing.T, s blobs.Store) {
	put(t, s, "REPLACED", []byte("the first, longer one"))
	put(t, s, "REPLACED", []byte("the second"))
	want(t, s, "REPLACED", []byte("the second"))
}

var errTorn = errors.New("the source broke")

// torn gives n bytes and then breaks.
func torn(n int64) io.Reader {
	return io.MultiReader(io.LimitReader(rand.NewChaCha8([32]byte{}), n), broken{})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errTorn }

func halfWritten(t *testing.T, s blobs.Store) {
	put(t, s, "HALF/STAYS", []byte("what was there"))
	for _, size := range []int64{0, 100, 20 << 20} {
		for _, name := range []string{"HALF/NEW", "HALF/STAYS"} {
			if err := s.Put(t.Context(), name, torn(size)); !errors.Is(err, errTorn) {
				t.Fatalf("a source that broke after %d bytes: got %v, want its error", size, err)
			}
		}
	}
	wantNone(t, s, "HALF/NEW")
	want(t, s, "HALF/STAYS", []byte("what was there"))
}

func cancelled(t *testing.T, s blobs.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(io.LimitReader(rand.NewChaCha8([32]byte{}), 12<<20), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}))
	if err := s.Put(ctx, "CANCELLED", r); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	wantNone(t, s, "CANCELLED")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func notThere(t *testing.T, s blobs.Store) {
	wantNone(t, s, "NOWHERE/AT.ALL")
	if err := s.Delete(t.Context(), "NOWHERE/AT.ALL"); err != nil {
		t.Fatalf("deleting again after a crash: %v", err)
	}
}

func deleted(t *testing.T, s blobs.Store) {
	put(t, s, "GONE/ONE", []byte("1"))
	put(t, s, "GONE/TWO", []byte("2"))
	if err := s.Delete(t.Context(), "GONE/ONE"); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, "GONE/ONE")
	want(t, s, "GONE/TWO", []byte("2"))
}

func listed(t *testing.T, s blobs.Store) {
	all := []string{"LIST/A", "LIST/A/A", "LIST/A/A/A", "LIST/AB", "LIST/B-2.7", "LIST/CON", "LISTED/X"}
	for _, name := range all {
		put(t, s, name, []byte(name))
	}
	for prefix, want := range map[string][]string{
		"LIST": all, "LIST/": all[:6], "LIST/A": all[:4], "LIST/A/": all[1:3], "LIST/A/A": all[1:3], "LIST/B-": all[4:5], "LIST/X": nil,
	} {
		if got := names(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("listing %q gives %v, want %v", prefix, got, want)
		}
	}
	if got := names(t, s, ""); len(got) < len(all) {
		t.Errorf("listing everything gives %v", got)
	}
	seen := 0
	for range s.List(t.Context(), "LIST") {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("saw %d", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	for _, err = range s.List(ctx, "LIST") {
	}
	if err == nil {
		t.Error("a cancelled listing looks complete")
	}
}

func refused(t *testing.T, s blobs.Store) {
	for _, name := range []string{"", "/", "/A", "A/", "A//B", "..", "../A", "A/../B", ".A", "A.", "-A", "a", "A B", "A\x00", "A\\B", "Ä", "A1", strings.Repeat("A", 201)} {
		if err := s.Put(t.Context(), name, strings.NewReader("x")); err == nil {
			t.Errorf("put took %q", name)
		}
		if _, err := s.Get(t.Context(), name); err == nil || errors.Is(err, blobs.ErrNotFound) {
			t.Errorf("get of %q: %v", name, err)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("delete took %q", name)
		}
	}
	longest := strings.Repeat("A", 200)
	put(t, s, longest, []byte("x"))
	want(t, s, longest, []byte("x"))
}

func many(t *testing.T, s blobs.Store) {
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			name := fmt.Sprintf("MANY/%c/%c", 'A'+i%5, 'A'+i/5%5) // some of the same name
			if err := s.Put(t.Context(), name, strings.NewReader(name)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := names(t, s, "MANY/"); len(got) != 25 {
		t.Fatalf("%d blobs, want 25", len(got))
	}
	want(t, s, "MANY/C/D", []byte("MANY/C/D"))
}

// large streams 64 MiB, or 2 GiB where QUIETROOM_SOAK=1, through 40 MiB of memory.
func large(t *testing.T, s blobs.Store) {
	size := int64(64 << 20)
	if testing.Short() {
		size = 48 << 20
	}
	if os.Getenv("QUIETROOM_SOAK") == "1" {
		size = 2 << 30
	}
	const most = 40 << 20
	used := watchMemory()
	sent, received := sha256.New(), sha256.New()
	source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{7}), size), sent)
	if err := s.Put(t.Context(), "LARGE", source); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), "LARGE")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(received, r); n != size || err != nil || !same(sent, received) {
		t.Fatalf("%d bytes of %d came back (%v), the same: %t", n, size, err, same(sent, received))
	}
	if peak := used(); peak > most {
		t.Errorf("%d MiB took %d MiB of memory, want at most %d", size>>20, peak>>20, most>>20)
	} else {
		t.Logf("%d MiB took %d MiB of memory", size>>20, peak>>20)
	}
	if err := s.Delete(t.Context(), "LARGE"); err != nil {
		t.Fatal(err)
	}
}

func same(a, b hash.Hash) bool { return bytes.Equal(a.Sum(nil), b.Sum(nil)) }

// watchMemory returns a function that tells by how much the heap grew at most.
func watchMemory() func() uint64 {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	before, peak := heap(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, heap())
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return peak - min(peak, before)
	}
}
