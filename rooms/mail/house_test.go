package mail_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/mail"
	"quietroom/rooms/mail/smtp"
)

// start is when every test begins.
var start = time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)

// house is a mail room with its people; the clock is in the test's hand.
type house struct {
	*mail.Mail
	t      testing.TB
	db     *store.DB
	ledger *ledger.Ledger
	mux    *web.Mux
	log    *strings.Builder
	now    time.Time
	people map[id.Person][]string
	jo, al id.Person
}

var outbox = seal.DeriveKey([]byte("an outbox key of the tests"), "test")

func newHouse(t testing.TB) *house {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newHouseIn(t, db, func(*mail.Config) {})
}

func newHouseIn(t testing.TB, db *store.DB, change func(*mail.Config)) *house {
	t.Helper()
	h := &house{t: t, db: db, now: start, log: &strings.Builder{}, jo: "jo.rivera.person", al: "al.person"}
	h.people = map[id.Person][]string{h.jo: {"jo@practice.example", "jo.at.home@elsewhere.example"}, h.al: nil}
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
	c := mail.Config{DB: db, Now: h.clock, Practice: "practice", Outbox: outbox, Origin: "https://vault.practice.example", Addresses: h,
		Name: func(_ context.Context, p id.Person) string {
			return map[id.Person]string{h.jo: "Jo Rivera", h.al: "Al Okafor"}[p]
		}}
	change(&c)
	h.Mail = mail.New(c)
	l := h.Layer()
	if err := db.Migrate(t.Context(), l.Name, l.Schema); err != nil {
		t.Fatal(err)
	}
	h.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: h.clock})
	h.mux.SetSessions(sessions{h})
	l.Mount(h.mux)
	return h
}

func (h *house) clock() time.Time { return h.now }

func (h *house) Addresses(_ context.Context, p id.Person) ([]string, error) {
	all, ok := h.people[p]
	if !ok {
		return nil, errors.New("nobody of that name")
	}
	return all, nil
}

// sends gives the house a server of Postfix.
func (h *house) sends(p *postfix, how string, security smtp.Security) {
	h.t.Helper()
	h.Config.Roots = p.roots
	h.uses(mail.Settings{Host: "localhost", Port: p.port[how], Security: security, Sender: "notices@practice.example"})
}

func (h *house) uses(s mail.Settings) {
	h.t.Helper()
	if err := h.Accept(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) notify(n layer.Notice) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *store.Tx) error { return h.Notify(h.t.Context(), tx, n) }); err != nil {
		h.t.Fatal(err)
	}
}

var notice = layer.Notice{Subject: "A new passkey was added", Text: "A passkey called “Jo’s phone” was added to your account today.\n\nIf this was not you, tell the owner at once.", Link: "/doors"}

func (h *house) told(p id.Person) {
	h.t.Helper()
	n := notice
	n.To = p
	h.notify(n)
}

func (h *house) deliver() {
	h.t.Helper()
	if err := h.Deliver(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// says returns the evidence of a claim.
func (h *house) says(claim string) layer.Evidence {
	h.t.Helper()
	for e, err := range h.Layer().Evidence(h.t.Context()) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Claim == claim {
			return e.At(h.now)
		}
	}
	return layer.Evidence{}
}

// states counts letters by their state.
func (h *house) states() map[string]int {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), `SELECT state, COUNT(*) FROM mail_queue GROUP BY state`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			h.t.Fatal(err)
		}
		all[state] = n
	}
	return all
}

// facts returns the kinds of all facts about a person.
func (h *house) facts(subject string) (kinds []string) {
	h.t.Helper()
	for e, err := range h.ledger.Facts(h.t.Context(), ledger.Query{Subject: subject}) {
		if err != nil {
			h.t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// sessions lets the owner, and somebody who is none, in.
type sessions struct{ h *house }

func (s sessions) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	who := s.h.jo
	if c.Value != "owner" {
		who = s.h.al
	}
	return id.With(r.Context(), id.Actor{Person: who, Session: "session"}), func() {}, nil
}

func (s sessions) IsOwner(ctx context.Context) bool { return id.From(ctx).Person == s.h.jo }

func (sessions) Person(context.Context) string { return "Jo Rivera" }

// get and post ask for a page as a person.
func (h *house) get(who, path string) (int, string) {
	h.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var tokenInPage = regexp.MustCompile(`name="_token" value="([^"]*)"`)

func (h *house) post(who, from, path string, values url.Values) (code int, to, page string) {
	h.t.Helper()
	_, body := h.get(who, from)
	if found := tokenInPage.FindStringSubmatch(body); found != nil {
		values.Set(web.TokenField, found[1])
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}
