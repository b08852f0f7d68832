package main

import (
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

// open serves the bench house over HTTP.
func (h *benchmarked) open(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h.mux}
	go srv.Serve(l)
	b.Cleanup(func() { srv.Close() })
	return "http://localhost:" + fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// clients is how many come at once (issue 2, "Speed").
const clients = 16

// storm has 16 clients do a request over and over, and reports rate and tail.
func storm(b *testing.B, one func(i int) error) {
	b.Helper()
	var mu sync.Mutex
	var took []time.Duration
	work := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			for i := range work {
				began := time.Now()
				if err := one(i); err != nil {
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

func BenchmarkHTTP(b *testing.B) {
	h, ctx := openBench(b)
	base := h.open(b)
	who := h.signIn(b, base, "owner-1")
	some := h.somePatients(b, 1000)
	want := func(path string, status int) error {
		resp, _, err := who.do("GET", path, nil)
		if err == nil && resp.StatusCode != status {
			err = fmt.Errorf("GET: status %d", resp.StatusCode)
		}
		return err
	}
	b.Run("patient list", func(b *testing.B) { storm(b, func(int) error { return want("/patients", 200) }) })
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
		storm(b, func(int) error { return want("/patients", 200) })
		stop()
		wg.Wait()
	})
	b.Run("read a chart", func(b *testing.B) {
		storm(b, func(i int) error { return want("/patients/"+string(some[i%50]), 200) })
	})
	notes := h.someNotes(b, ctx, some, 50)
	b.Run("read a note", func(b *testing.B) { storm(b, func(i int) error { return want(notes[i%len(notes)], 200) }) })
	b.Run("write a note", func(b *testing.B) {
		storm(b, func(i int) error {
			rec := id.New[id.Record]()
			resp, text, err := who.do("POST", "/patients/"+string(some[i%len(some)])+"/notes", url.Values{
				"form": {"free"}, "record": {string(rec)}, "version": {"0"}, "on": {time.Now().Format(time.DateOnly)}, "f-note": {strings.Repeat("What was said. ", 60)},
			})
			if err == nil && resp.StatusCode != http.StatusSeeOther {
				err = fmt.Errorf("POST: status %d: %.400s", resp.StatusCode, text)
			}
			return err
		})
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
