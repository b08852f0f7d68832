package identity

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/identity/authenticator"
)

// clock is a time that a test can put forward.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// served is a house of this room alone, with a home that is a stub.
type served struct {
	*Identity
	t      testing.TB
	db     *store.DB
	log    *ledger.Ledger
	url    string
	origin string
	clock  *clock
	acted  []string // what POST /act did
}

func serve(t testing.TB, db *store.DB, madeUp bool) *served {
	t.Helper()
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, db: db, clock: &clock{t: time.Now()}}
	if s.log, err = ledger.Open(t.Context(), db, key, s.clock.now); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "identity", schema); err != nil {
		t.Fatal(err)
	}
	s.Identity = New(Config{DB: db, Anchor: &anchor{practice: practice}, Now: s.clock.now, MadeUp: madeUp, Origin: "http://localhost"})
	s.serveHouse()
	return s
}

var stub = web.MustPages(stubPages)

// serveHouse mounts the room and the stub of a home around it.
func (s *served) serveHouse() {
	server := httptest.NewServer(s.muxOf())
	s.t.Cleanup(server.Close)
	s.url = server.URL
	s.origin = "http://localhost:" + server.URL[strings.LastIndex(server.URL, ":")+1:]
}

func (s *served) muxOf() *web.Mux {
	m := web.NewMux(web.Config{
		Practice: func() string { return s.PracticeName(context.Background()) },
		MadeUp:   s.MadeUp, Now: s.clock.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	m.SetSessions(s.Sessions())
	s.mount(m)
	m.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		return stub.Show(w, r, "home", web.View{Title: "Home", Data: string(id.From(r.Context()).Person)})
	}, web.Signed)
	m.Handle("POST /act", func(w http.ResponseWriter, r *http.Request) error {
		_, done, err := s.Tap(r, "export", "everything")
		if err != nil {
			return err
		}
		defer done()
		s.acted = append(s.acted, "export")
		return web.SeeOther(w, r, "/")
	}, web.Signed)
	return m
}

func serveSQLite(t testing.TB, madeUp bool) *served {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return serve(t, db, madeUp)
}

// browser is a new browser with a device of its own.
func (s *served) browser() *authenticator.Browser {
	return &authenticator.Browser{Client: &http.Client{Transport: http.DefaultTransport}, Base: s.url, Origin: s.origin, Device: &authenticator.Device{}}
}

// claimed founds the practice and returns its owner's browser, signed in.
func (s *served) claimed() *authenticator.Browser {
	s.t.Helper()
	b := s.browser()
	token := s.link()
	s.named(b, token)
	if err := b.Register(s.t.Context(), "/claim/"+token+"/begin", "/claim/"+token+"/finish"); err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *served) link() string {
	s.t.Helper()
	token, err := s.ClaimLink(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *served) named(b *authenticator.Browser, token string) {
	s.t.Helper()
	status, err := b.Post(s.t.Context(), "/claim/"+token, url.Values{"practice": {"Harbor Counseling"}, "name": {"Ana Reyes"}, "mail": {""}})
	if err != nil || status != http.StatusSeeOther {
		s.t.Fatalf("naming the practice answers %d (%v), want 303", status, err)
	}
}

// home tells whether the room is open to this browser.
func (s *served) home(b *authenticator.Browser) bool {
	s.t.Helper()
	status, _, err := b.Get(s.t.Context(), "/")
	if err != nil {
		s.t.Fatal(err)
	}
	return status == http.StatusOK
}

// facts counts the facts of a kind.
func (s *served) facts(kind string) (n int) {
	s.t.Helper()
	if _, err := s.log.Sequence(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	for e, err := range s.log.Facts(s.t.Context(), ledger.Query{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Kind == kind {
			n++
		}
	}
	return n
}
