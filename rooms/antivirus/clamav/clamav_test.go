package clamav

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// engine starts a real clamd in a folder of its own.
func engine(t testing.TB, change ...func(*Config)) *Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("starts clamd")
	}
	c := Config{Dir: t.TempDir()}
	for _, f := range change {
		f(&c)
	}
	e := New(c)
	if !e.Installed() {
		if os.Getenv("CI") != "" {
			t.Fatal(ErrMissing)
		}
		t.Skip(ErrMissing)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func zipped(t testing.TB, name string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(body)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

func tarred(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "a", Mode: 0o600, Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

func TestWhatIsHarmfulIsFoundInsideOfOthers(t *testing.T) {
	e := engine(t)
	deep := TestFile()
	for range mostDeep + 5 {
		deep = zipped(t, "a", deep)
	}
	locked := zipped(t, "a.txt", []byte("under a password"))
	for _, mark := range []string{"PK\x03\x04", "PK\x01\x02"} { // bit 0 of the flags (APPNOTE 4.4.4)
		at := bytes.Index(locked, []byte(mark))
		locked[at+6+2*strings.Count(mark, "\x01")] |= 1
	}
	mail := fmt.Sprintf("From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b\"\r\n\r\n--=b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--=b\r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\nContent-Disposition: attachment; filename=\"x.bin\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s\r\n--=b--\r\n", TestFile())
	for name, c := range map[string]struct {
		body []byte
		want Answer
	}{
		"bare":             {TestFile(), Answer{Kind: Found, Name: ownName}},
		"zip":              {zipped(t, "a", TestFile()), Answer{Kind: Found, Name: ownName}},
		"zip in zip":       {zipped(t, "b.zip", zipped(t, "a", TestFile())), Answer{Kind: Found, Name: ownName}},
		"tar.gz":           {gzipped(t, tarred(t, TestFile())), Answer{Kind: Found, Name: ownName}},
		"mail":             {[]byte(mail), Answer{Kind: Found, Name: ownName}},
		"too deep":         {deep, Answer{Why: TooDeep}},
		"locked":           {locked, Answer{Why: Encrypted}},
		"nothing":          {nil, Answer{Kind: Clean}},
		"a note":           {[]byte("Nothing is in here."), Answer{Kind: Clean}},
		"a bomb":           {gzipped(t, make([]byte, 210<<20)), Answer{Why: TooLarge}},
		"one byte before":  {append([]byte("x"), TestFile()...), Answer{Kind: Clean}}, // eicar.org: not the test file
		"a zip with names": {zipped(t, "../../etc/\xff\u202e\x00.exe", TestFile()), Answer{Kind: Found, Name: ownName}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := e.Scan(t.Context(), bytes.NewReader(c.body))
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	t.Run("larger than the engine takes", func(t *testing.T) {
		r := io.LimitReader(endless{}, MostBytes+1)
		got, err := e.Scan(t.Context(), r)
		if err != nil || got != (Answer{Why: TooLarge}) {
			t.Fatalf("got %+v, %v, want too large", got, err)
		}
		if n, _ := r.Read(make([]byte, 1)); n != 0 {
			t.Fatal("the stream was not read to its end, so that it could not be sealed")
		}
	})
	t.Run("a torn stream is nobody's clean file", func(t *testing.T) {
		got, err := e.Scan(t.Context(), io.MultiReader(strings.NewReader("half"), torn{}))
		if !errors.Is(err, errTorn) || got.Kind != Unscanned {
			t.Fatalf("got %+v, %v", got, err)
		}
	})
	var left []string
	for range 100 { // that of the torn stream goes when the engine notices
		if left, _ = filepath.Glob(filepath.Join(e.proc.dir, "tmp", "*")); len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("temporary files stayed: %d", len(left))
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i * 7)
	}
	return len(b), nil
}

var errTorn = errors.New("torn")

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errTorn }

// TestTheTestFilesOfTheEngineAreAllFound has the engine find its own samples, in
// all the wrappings that it knows.
func TestTheTestFilesOfTheEngineAreAllFound(t *testing.T) {
	e := engine(t)
	files, _ := filepath.Glob("/usr/share/clamav-testfiles/*")
	if len(files) == 0 {
		t.Skip("clamav-testfiles is not installed")
	}
	if err := e.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.signatures(), "samples.hdb"), []byte("aa15bcf478d165efd2065190eb473bcb:544:clam.exe\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.Scan(t.Context(), f)
		f.Close()
		if err != nil || a.Kind != Found {
			t.Errorf("%s: %+v, %v", filepath.Base(path), a, err)
		}
	}
}

// TestAnEngineThatDiesOrHangsSaysNothingIsClean kills and stops clamd while many
// files are looked through; each holds the test file.
func TestAnEngineThatDiesOrHangsSaysNothingIsClean(t *testing.T) {
	e := engine(t)
	if s := e.Check(t.Context()); s.Err != nil {
		t.Fatal(s.Err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[Answer]int{}
	body := zipped(t, "a", append(TestFile(), make([]byte, 1<<20)...)[:68])
	for range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				a, _ := e.Scan(context.WithoutCancel(ctx), bytes.NewReader(body))
				mu.Lock()
				count[a]++
				mu.Unlock()
			}
		})
	}
	for range 5 {
		time.Sleep(300 * time.Millisecond)
		if pid := e.Pid(); pid != 0 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	time.Sleep(300 * time.Millisecond)
	if pid := e.Pid(); pid != 0 {
		syscall.Kill(pid, syscall.SIGSTOP) // hangs: it is noticed, ended and started anew
	}
	time.Sleep(8 * time.Second)
	stop()
	wg.Wait()
	var clean, found, not int
	for a, n := range count {
		switch a.Kind {
		case Clean:
			clean += n
		case Found:
			found += n
		default:
			not += n
		}
	}
	t.Logf("found %d, not scanned %d", found, not)
	if clean > 0 || found == 0 || not == 0 {
		t.Fatalf("clean %d (want 0), found %d and not scanned %d (want some of both)", clean, found, not)
	}
	if s := e.Check(t.Context()); s.Err != nil {
		t.Fatalf("after all that the engine does not work: %v", s.Err)
	}
}

func TestBadSignaturesArePutAsideAndSaid(t *testing.T) {
	e := engine(t)
	if err := e.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.signatures(), "bad.ndb"), []byte("broken:0:0:zz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := e.Check(t.Context())
	if s.Err != nil || s.Refused != "bad.ndb" {
		t.Fatalf("got %+v, want a working engine that tells of bad.ndb", s)
	}
}

func TestTooLittleMemoryIsSaidAndNeverClean(t *testing.T) {
	e := engine(t, func(c *Config) { c.Memory = 48 << 20 })
	big := bytes.Repeat([]byte("<html><script>var a = 'x';</script></html>\n"), 400_000)
	a, err := e.Scan(t.Context(), bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := e.Scan(t.Context(), bytes.NewReader(zipped(t, "a", TestFile()))); got.Kind == Clean {
		t.Fatal("an engine without memory called the test file clean")
	}
	t.Logf("with 48 MB: %+v", a)
	e = engine(t, func(c *Config) { c.Memory = 1 << 20 })
	if a, err := e.Scan(t.Context(), strings.NewReader("a note")); err != nil || a.Kind != Unscanned {
		t.Fatalf("with 1 MB: %+v, %v, want not scanned", a, err)
	}
	if s := e.Check(t.Context()); s.Err == nil {
		t.Fatal("an engine that does not start is said to work")
	}
}

// TestUpdatesAreCheckedAndSaid feeds freshclam from a mirror of our own, with
// databases that ClamAV's authors signed for such tests.
func TestUpdatesAreCheckedAndSaid(t *testing.T) {
	served := map[string][]byte{}
	var mu sync.Mutex
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, ok := served[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	defer mirror.Close()
	e := engine(t, func(c *Config) { c.Mirror = mirror.URL })
	if e.fetcher() == "" {
		t.Skip("no freshclam")
	}
	serve := func(n int, change func([]byte) []byte) {
		b, err := os.ReadFile(fmt.Sprintf("testdata/test-%d.cvd", n))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			b = change(b)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"main.cvd", "daily.cvd", "bytecode.cvd"} {
			served[name] = b
		}
	}
	update := func(want Outcome, number int) {
		t.Helper()
		got, err := e.Update(t.Context())
		if got != want || err != nil {
			t.Fatalf("update: %q, %v, want %q", got, err, want)
		}
		if s := e.Check(t.Context()); s.Err != nil || s.Number != number || !s.Loaded {
			t.Fatalf("after it: %+v, want signatures number %d in use", s, number)
		}
	}
	serve(1, nil)
	update(Updated, 1)
	if s := e.Check(t.Context()); s.Built.Format(time.DateOnly) != "2021-06-22" {
		t.Fatalf("signatures of %v, want June 22, 2021", s.Built)
	}
	update(Same, 1) // a frozen mirror looks like this: only the age tells
	serve(3, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-9] ^= 1; return b })
	update(Forged, 1)
	serve(3, func(b []byte) []byte { // not signed at all
		b = bytes.Clone(b)
		copy(b[bytes.IndexByte(b, ':')+60:], strings.Repeat("A", 60))
		return b
	})
	if got, _ := e.Update(t.Context()); got == Updated || got == Same {
		t.Fatalf("an unsigned database: %q", got)
	}
	serve(3, nil)
	update(Updated, 3)
	mu.Lock()
	clear(served)
	mu.Unlock()
	if got, _ := e.Update(t.Context()); got != Unreached {
		t.Fatalf("a mirror without databases: %q, want %q", got, Unreached)
	}
	mirror.Close()
	if got, _ := e.Update(t.Context()); got != Unreached {
		t.Fatalf("no mirror: %q, want %q", got, Unreached)
	}
	if s := e.Check(t.Context()); s.Err != nil || s.Number != 3 {
		t.Fatalf("after failed updates: %+v, want number 3 in use", s)
	}
}
