package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/madeup"
	"quietroom/rooms/exchange"
)

// browser is a signed-in person over real HTTP on loopback, as 16 of which the
// benchmarks come at once. It sends its two cookies and the form token itself:
// Go's cookie jar withholds Secure cookies from plain loopback, where browsers send them.
type browser struct {
	base    string
	client  *http.Client
	cookies []*http.Cookie
	token   string
}

// do is for signing in: see wire for what is measured.
func (b *browser) do(method, path string, form url.Values) (*http.Response, string, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, b.base+path, body)
	if err != nil {
		return nil, "", err
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Form-Token", b.token)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

var formToken = regexp.MustCompile(`<meta name="form-token" content="([^"]+)"`)

// signIn opens a demo link.
func (h *benchmarked) signIn(tb testing.TB, base, handle string) *browser {
	tb.Helper()
	b := &browser{base: base, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	resp, _, err := b.do("POST", h.identity.DemoLink(handle, h.codes[handle]), url.Values{})
	if err != nil {
		tb.Fatal(err)
	}
	b.cookies = resp.Cookies()
	_, page, err := b.do("GET", "/", nil)
	if err != nil {
		tb.Fatal(err)
	}
	m := formToken.FindStringSubmatch(page)
	if m == nil {
		tb.Fatalf("no form token on home: %d, %.300s", resp.StatusCode, page)
	}
	b.token = m[1]
	return b
}

// serve serves over HTTP on loopback, and returns the address.
func serve(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	b.Cleanup(func() { srv.Close() })
	return "http://localhost:" + fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// clients is how many come at once.
const clients = 16

// asked is one request of a benchmark, and the status that answers it.
type asked struct {
	path string
	form url.Values // posted, if there is one
	want int
}

// wire is a browser's one kept-alive connection, with as little around it as HTTP
// allows: it runs on the cores of the server that it measures.
type wire struct {
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	as     string // what each request says of who asks
	length int    // of the last body
}

func (b *browser) wire() (*wire, error) {
	host := strings.TrimPrefix(b.base, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	as := " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nCookie: "
	for i, c := range b.cookies {
		if i > 0 {
			as += "; "
		}
		as += c.Name + "=" + c.Value
	}
	return &wire{conn: conn, in: bufio.NewReader(conn), as: as + "\r\n"}, nil
}

// do sends a request and reads its answer whole.
func (w *wire) do(c asked, token string) error {
	if w.out = w.out[:0]; c.form == nil {
		w.out = fmt.Appendf(w.out, "GET %s%s\r\n", c.path, w.as)
	} else {
		form := c.form.Encode()
		w.out = fmt.Appendf(w.out, "POST %s%sContent-Type: application/x-www-form-urlencoded\r\nX-Form-Token: %s\r\nSec-Fetch-Site: same-origin\r\nContent-Length: %d\r\n\r\n%s", c.path, w.as, token, len(form), form)
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return err
	}
	status, err := w.in.ReadSlice('\n') // HTTP/1.1 200 OK
	if err != nil {
		return err
	}
	got, err := strconv.Atoi(string(status[9:12]))
	if err != nil {
		return err
	}
	w.length = -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if w.length, err = strconv.Atoi(string(bytes.TrimSpace(n))); err != nil {
				return err
			}
		}
	}
	if w.length < 0 {
		return fmt.Errorf("%s: an answer without a length", strings.SplitN(c.path, "/", 3)[1])
	}
	if _, err := w.in.Discard(w.length); err != nil {
		return err
	}
	if got != c.want {
		return fmt.Errorf("%s: status %d", strings.SplitN(c.path, "/", 3)[1], got)
	}
	return nil
}

// storm has 16 clients do requests over and over, and reports rate and tail.
func storm(b *testing.B, who *browser, ask func(i int) asked) {
	b.Helper()
	var mu sync.Mutex
	var took []time.Duration
	work := make(chan int, 4*clients)
	var wg sync.WaitGroup
	for range clients {
		w, err := who.wire()
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer w.conn.Close()
			var mine []time.Duration
			for i := range work {
				c := ask(i)
				began := time.Now()
				if err := w.do(c, who.token); err != nil {
					b.Error(err)
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	began, i := time.Now(), 0
	for b.Loop() {
		work <- i
		i++
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(i)/time.Since(began).Seconds(), "requests/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkHTTP(b *testing.B) { onBoth(b, benchHTTP) }

func benchHTTP(b *testing.B) {
	h, ctx := openBench(b)
	base := serve(b, h.mux)
	who := h.signIn(b, base, "owner-1")
	some := h.somePatients(b, 1000)
	get := func(path string) asked { return asked{path: path, want: 200} }
	b.Run("patient list", func(b *testing.B) { storm(b, who, func(int) asked { return get("/patients") }) })
	b.Run("patient list while an import and verify run", func(b *testing.B) {
		busy, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { h.importOn(b, busy) })
		wg.Go(func() {
			for busy.Err() == nil {
				h.ledger.Verify(busy, ledger.Options{})
				h.vault.Verify(busy, func(int, int) {})
			}
		})
		storm(b, who, func(int) asked { return get("/patients") })
		stop()
		wg.Wait()
	})
	b.Run("read a chart", func(b *testing.B) {
		storm(b, who, func(i int) asked { return get("/patients/" + string(some[i%50])) })
	})
	notes := h.someNotes(b, ctx, some, 50)
	b.Run("read a note", func(b *testing.B) { storm(b, who, func(i int) asked { return get(notes[i%len(notes)]) }) })
	b.Run("read a note while one in sixteen writes", func(b *testing.B) {
		storm(b, who, func(i int) asked {
			if i%clients == 0 {
				return aNote(some[i/clients%len(some)])
			}
			return get(notes[i%len(notes)])
		})
	})
	b.Run("write a note", func(b *testing.B) { storm(b, who, func(i int) asked { return aNote(some[i%len(some)]) }) })
	b.Run("ceiling", func(b *testing.B) { // net/http and the clients, and nothing of ours
		page := pageLike(b, who, notes[0])
		fixed := &browser{base: serve(b, page), cookies: who.cookies}
		storm(b, fixed, func(int) asked { return get(notes[0]) })
	})
}

// aNote is a new note of some length.
func aNote(p id.Patient) asked {
	return asked{want: 303, path: "/patients/" + string(p) + "/notes", form: url.Values{
		"form": {"free"}, "record": {string(id.New[id.Record]())}, "version": {"0"}, "on": {time.Now().Format(time.DateOnly)}, "f-note": {strings.Repeat("What was said. ", 60)},
	}}
}

// pageLike answers everything with bytes as many as a page has.
func pageLike(b *testing.B, who *browser, path string) http.Handler {
	w, err := who.wire()
	if err != nil {
		b.Fatal(err)
	}
	defer w.conn.Close()
	if err := w.do(asked{path: path, want: 200}, ""); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, w.length)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
}

// someNotes returns addresses of notes that are there.
func (h *benchmarked) someNotes(b *testing.B, ctx context.Context, some []id.Patient, n int) (paths []string) {
	b.Helper()
	for _, p := range some {
		c, err := h.vault.Open(ctx, p, "chart")
		if err != nil {
			b.Fatal(err)
		}
		list, err := c.List(ctx)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
		for _, e := range list {
			if strings.Contains(string(e.Head), `"note"`) {
				paths = append(paths, "/patients/"+string(p)+"/notes/"+string(e.Record))
			}
		}
		if len(paths) >= n {
			return paths
		}
	}
	return paths
}

// importOn imports made-up patients, again and again other ones, until ctx ends.
func (h *benchmarked) importOn(b *testing.B, ctx context.Context) {
	care, err := h.identity.OwnTeam(ctx, id.From(ctx).Person)
	if err != nil {
		b.Error(err)
		return
	}
	for seed := uint64(time.Now().UnixNano()); ctx.Err() == nil; seed++ {
		p := madeup.New(seed, 1000, today())
		dir := b.TempDir()
		for i := range p.Len() {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), p.Bundle(i), 0o600); err != nil {
				b.Error(err)
				return
			}
		}
		if r, err := h.exchange.Import(ctx, []string{dir}, exchange.Options{Care: []id.Team{care}}); err == nil && r.New != p.Len() {
			b.Errorf("imported %d of %d: %+v", r.New, p.Len(), r.Problems[:min(1, len(r.Problems))])
			return
		}
	}
}
