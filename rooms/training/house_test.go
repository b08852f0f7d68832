package training_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training"
)

// start is a Monday morning in Chicago.
var start = time.Date(2026, 11, 30, 15, 30, 0, 0, time.UTC)

// house is a training room with its people and a mail server that takes all; the
// clock is in the test's hand.
type house struct {
	*training.Training
	t       testing.TB
	db      *store.DB
	ledger  *ledger.Ledger
	mux     *web.Mux
	mu      sync.Mutex
	now     time.Time
	staff   []training.Person
	sent    map[string]training.Message // by letter
	letters []string
	states  map[string]string // by letter: else sent
	code    string
	takes   time.Duration // until a letter is sent
	queued  map[string]time.Time
	notices []layer.Notice
	unsent  bool
	live    time.Time // since when the clock runs; zero: it stands still
	held    bool      // letters wait until a test says otherwise
	log     *strings.Builder
	dir     string
}

func newHouse(t testing.TB, people int) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := newHouseIn(t, db, people, "http://localhost")
	h.dir = dir
	return h
}

func newHouseIn(t testing.TB, db *store.DB, people int, origin string) *house {
	t.Helper()
	h := &house{t: t, db: db, now: start, sent: map[string]training.Message{}, states: map[string]string{}, queued: map[string]time.Time{}, log: &strings.Builder{}}
	roles := [][]string{{"owner", "clinician"}, {"clinician"}, {"front-desk"}, {"billing"}, {"clinician"}}
	for i := range people {
		h.staff = append(h.staff, training.Person{ID: id.Person(fmt.Sprintf("person%020d", i)), Name: fmt.Sprintf("Jo%d Rivera", i), Addresses: []string{fmt.Sprintf("jo%d@practice.example", i)}, Roles: roles[i%len(roles)], Joined: start.AddDate(-1, 0, 0)})
	}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	if h.ledger, err = ledger.Open(t.Context(), db, key, h.clock); err != nil {
		t.Fatal(err)
	}
	h.Training = training.New(training.Config{DB: db, Ledger: h.ledger, Now: h.clock, Practice: "practice", Key: seal.DeriveKey([]byte("a key of the tests"), "test"), Origin: origin,
		PracticeName: func() string { return "Harbor Counseling" }, People: h, Notices: h, Post: h, Log: slog.New(slog.NewTextHandler(h.log, nil))})
	l := h.Layer()
	if err := db.Migrate(t.Context(), l.Name, l.Schema); err != nil {
		t.Fatal(err)
	}
	h.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: h.clock})
	h.mux.SetSessions(sessions{h})
	l.Mount(h.mux)
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.live.IsZero() {
		return h.now.Add(time.Since(h.live))
	}
	return h.now
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) People(context.Context) ([]training.Person, error) { return h.staff, nil }

func (h *house) Notify(_ context.Context, _ *store.Tx, n layer.Notice) error {
	h.notices = append(h.notices, n)
	return nil
}

func (h *house) Post(_ context.Context, _ *store.Tx, m training.Message) (string, error) {
	if h.unsent {
		return "", training.ErrUnsent
	}
	letter := string(id.New[id.Record]())
	h.sent[letter], h.queued[letter] = m, h.clock()
	h.letters = append(h.letters, letter)
	if h.held {
		h.states[letter] = "waiting"
	}
	return letter, nil
}

func (h *house) Became(_ context.Context, letter string) (string, string, time.Time, error) {
	if s := h.states[letter]; s == "waiting" {
		return s, "", time.Time{}, nil
	} else if s != "" {
		return s, h.code, h.clock(), nil
	}
	if h.clock().Before(h.queued[letter].Add(h.takes)) {
		return "waiting", "", time.Time{}, nil
	}
	return "sent", "", h.queued[letter].Add(h.takes), nil
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// run lets days pass, two hours at a time, with all jobs.
func (h *house) run(d time.Duration) {
	h.t.Helper()
	for end := h.clock().Add(d); h.clock().Before(end); h.wait(2 * time.Hour) {
		h.must(h.Turn(h.t.Context()))
		h.must(h.Remind(h.t.Context()))
	}
}

// says returns the evidence of a claim.
func (h *house) says(claim string) layer.Evidence {
	h.t.Helper()
	for e, err := range h.Layer().Evidence(h.t.Context()) {
		h.must(err)
		if e.Claim == claim {
			return e.At(h.clock())
		}
	}
	return layer.Evidence{}
}

// as is the context of a person who acts.
func (h *house) as(n int) context.Context {
	return id.With(h.t.Context(), id.Actor{Person: h.staff[n].ID, Session: "session"})
}

// sessions lets in whoever's number the cookie holds.
type sessions struct{ h *house }

func (s sessions) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	var n int
	if _, err := fmt.Sscan(c.Value, &n); err != nil || n >= len(s.h.staff) {
		return nil, nil, web.ErrNoSession
	}
	return id.With(r.Context(), id.Actor{Person: s.h.staff[n].ID, Session: "session"}), func() {}, nil
}

func (s sessions) IsOwner(ctx context.Context) bool {
	return id.From(ctx).Person == s.h.staff[0].ID
}

func (sessions) Person(context.Context) string { return "Jo Rivera" }

// get and post ask for a page as the person of that number.
func (h *house) get(n int, path string) (int, string) {
	h.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: fmt.Sprint(n)})
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var tokenInPage = regexp.MustCompile(`name="_token" value="([^"]*)"`)

func (h *house) post(n int, from, path string, values url.Values) (code int, to, page string) {
	h.t.Helper()
	_, body := h.get(n, from)
	if found := tokenInPage.FindStringSubmatch(body); found != nil {
		values.Set(web.TokenField, found[1])
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: fmt.Sprint(n)})
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

var linkInMessage = regexp.MustCompile(`/m/[A-Z0-9a-z]+`)

// link is the path of a practice message's link.
func link(m training.Message) string { return linkInMessage.FindString(m.Text) }

// acts counts how often people acted on a message, as the figures would.
func (h *house) acts(m training.Message, _ string) (n int) {
	h.t.Helper()
	h.must(h.db.QueryRowContext(h.t.Context(), `SELECT COUNT(*) FROM training_acts WHERE what IN ('went-on', 'held') AND message IN (SELECT message FROM training_messages WHERE person = $1)`, string(m.To)).Scan(&n))
	return n
}

// whys are what was written down of a message.
func (h *house) whys(m training.Message) (all []string) {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), `SELECT what, why FROM training_acts WHERE message IN (SELECT message FROM training_messages WHERE person = $1)`, string(m.To))
	h.must(err)
	defer rows.Close()
	for rows.Next() {
		var what, why string
		h.must(rows.Scan(&what, &why))
		all = append(all, what+" "+why)
	}
	return all
}

func regexpFind(page, pattern string) string { return regexp.MustCompile(pattern).FindString(page) }

// files are the database's, as they lie on the disk.
func (h *house) files() (all [][]byte) {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.dir, "house.db*"))
	h.must(err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		h.must(err)
		all = append(all, b)
	}
	if len(all) == 0 {
		h.t.Fatal("no database was looked at")
	}
	return all
}
