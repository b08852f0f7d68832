package chart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"quietroom/ground/store/blobs/disk"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/chart"
	"quietroom/rooms/vault"
)

// staff hands out team keys to made-up people, and knows their names.
type staff struct {
	teams []layer.Team
	keys  map[id.Team]seal.Key
	in    map[id.Person][]id.Team
	names map[id.Person]string
	asked int
}

func (s *staff) add(kind, name string, members ...id.Person) id.Team {
	team, key := id.New[id.Team](), seal.NewKey()
	pair, err := seal.TeamInbox(key)
	if err != nil {
		panic(err)
	}
	s.keys[team] = key
	s.teams = append(s.teams, layer.Team{ID: team, Kind: kind, Name: name, Epoch: 1, Inbox: pair.Public()})
	for _, m := range members {
		s.in[m] = append(s.in[m], team)
	}
	return team
}

func (s *staff) Teams(ctx context.Context) ([]layer.Team, error) {
	s.asked++
	var teams []layer.Team
	for _, t := range s.teams {
		_, err := s.TeamKey(ctx, t.ID, 1)
		t.Mine = err == nil
		teams = append(teams, t)
	}
	return teams, nil
}

func (s *staff) TeamKey(ctx context.Context, team id.Team, _ uint64) (seal.Key, error) {
	for _, t := range s.in[id.From(ctx).Person] {
		if t == team {
			return s.keys[team], nil
		}
	}
	return seal.Key{}, errors.New("not in this team")
}

func (s *staff) Name(_ context.Context, p id.Person) string { return s.names[p] }

// house is a practice with two clinicians, a front desk, and somebody who may
// not even know names.
type house struct {
	*web.Mux
	t      testing.TB
	chart  *chart.Chart
	vault  *vault.Vault
	ledger *ledger.Ledger
	gate   *gate
	staff  *staff
	dir    string
	now    time.Time
	log    lockedLog
	people map[string]id.Actor
	rivera id.Team
	bello  id.Team
	config chart.Config
}

// lockedLog is a log that many goroutines may write.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gate closes what a test wants closed.
type gate struct{ closed map[string]*layer.Refusal }

func (g *gate) MayOpen(_ context.Context, _ id.Actor, part string) error {
	if r := g.closed[part]; r != nil {
		return r
	}
	return nil
}

func (h *house) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	a, ok := h.people[c.Value]
	if !ok {
		return nil, nil, web.ErrNoSession
	}
	return id.With(r.Context(), a), func() {}, nil
}

func (h *house) IsOwner(context.Context) bool { return false }

func (h *house) Person(ctx context.Context) string { return h.staff.names[id.From(ctx).Person] }

func newHouse(t testing.TB, change ...func(*chart.Config, *vault.Config)) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 23, 15, 2, 0, 0, time.UTC), people: map[string]id.Actor{}, gate: &gate{closed: map[string]*layer.Refusal{}},
		staff: &staff{keys: map[id.Team]seal.Key{}, in: map[id.Person][]id.Team{}, names: map[id.Person]string{}}}
	now := func() time.Time { return h.now }
	db, err := store.Open(t.Context(), filepath.Join(h.dir, "house.db"))
	h.must(err)
	t.Cleanup(func() { h.must(db.Close()) })
	shelf, err := disk.Open(filepath.Join(h.dir, "blobs"))
	h.must(err)
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	h.must(err)
	key, err := ledger.ParseKey(signer)
	h.must(err)
	h.ledger, err = ledger.Open(t.Context(), db, key, time.Now)
	h.must(err)
	vc := vault.Config{DB: db, Blobs: shelf, Ledger: h.ledger, Keys: h.staff, Gate: h.gate, Practice: practice, Now: now}
	h.config = chart.Config{People: h.staff, Ledger: h.ledger, Now: now}
	for _, f := range change {
		f(&h.config, &vc)
	}
	h.vault = vault.New(vc)
	h.must(db.Migrate(t.Context(), "vault", h.vault.Layer().Schema))
	h.hire()
	h.config.Vault = vault.Door{Vault: h.vault}
	h.chart = chart.New(h.config)
	h.Mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(&h.log, nil)), Now: now})
	h.SetSessions(h)
	h.chart.Layer().Mount(h.Mux)
	h.Handle("POST /lock", func(w http.ResponseWriter, r *http.Request) error { return web.SeeOther(w, r, "/unlock") }, web.Signed)
	h.Handle("GET /unlock", func(http.ResponseWriter, *http.Request) error {
		return &web.Error{Status: 200, Text: "The room is closed."}
	}, web.Anyone)
	return h
}

func (h *house) hire() {
	person := func(handle, name string) id.Person {
		p := id.New[id.Person]()
		h.people[handle] = id.Actor{Person: p, Session: id.New[id.Session]()}
		h.staff.names[p] = name
		return p
	}
	jo, ana, desk := person("rivera", "Tomás Rivera"), person("bello", "Aisha Bello"), person("desk", "June Park")
	person("stranger", "Lee Nobody")
	h.staff.add("directory", "", jo, ana, desk)
	h.staff.add("billing", "")
	h.rivera, h.bello = h.staff.add("care", "Dr. Rivera", jo), h.staff.add("care", "Dr. Bello", ana)
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) as(who string) context.Context { return id.With(h.t.Context(), h.people[who]) }

// ask sends one request as a person.
func (h *house) ask(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.send(h.request(who, method, path, form))
}

func (h *house) request(who, method, path string, form url.Values) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(web.TokenHeader, h.token(who))
	}
	return r
}

func (h *house) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var tokenMeta = regexp.MustCompile(`name="form-token" content="([^"]*)"`)

// token is what a page tells its scripts.
func (h *house) token(who string) string {
	r := httptest.NewRequest("GET", "/nowhere", nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	m := tokenMeta.FindStringSubmatch(h.send(r).Body.String())
	if m == nil {
		h.t.Fatal("a page without a form token")
	}
	return m[1]
}

// want asks and fails unless the answer has that status.
func (h *house) want(status int, who, method, path string, form url.Values) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.ask(who, method, path, form)
	if w.Code != status {
		h.t.Fatalf("%s %s as %s answered %d, want %d:\n%s\n%s", method, path, who, w.Code, status, inside(w.Body.String()), h.log.String())
	}
	return w
}

// inside is what stands between <main> and </main>.
func inside(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page, _, _ = strings.Cut(page, "</main>")
	return page
}

func (h *house) admit(card layer.Card) id.Patient {
	h.t.Helper()
	if card.Care == nil {
		card.Care = []id.Team{h.rivera}
	}
	ctx := h.as("rivera")
	b, err := h.vault.Begin(ctx)
	h.must(err)
	p, err := b.Admit(ctx, card)
	h.must(err)
	h.must(b.Commit(ctx))
	return p
}

// sam is a patient with everything on the card.
func (h *house) sam() id.Patient {
	return h.admit(layer.Card{
		Family: "Aldridge", Given: "Samantha", Preferred: "Sam", Pronouns: "they/them", Born: "1991-03-04", Language: "English",
		Phones: []string{"(503) 555-0142", "503 555 0199"}, Mails: []string{"sam@example.com"}, Address: "12 Alder Way, Salem, OR", Since: "2024-05-06",
		Emergency: []layer.Contact{{Name: "Noor Haddad", Bond: "partner", Phone: "503 555 0101"}}, Insurance: "Blue Shield 8841",
		Numbers: []layer.Number{{System: "SimplePractice", Value: "4471"}}, Times: []layer.Time{{At: time.Date(2026, 11, 18, 14, 0, 0, 0, time.UTC).UnixMilli(), Minutes: 50, Every: 7}},
		Safe: layer.SafeContact{Words: "Text only; a partner reads the post.", Said: "2026-10-02", Ways: map[string]bool{"text": true, "portal": true, "voicemail": false, "post": false}},
	})
}

// field reads a hidden field from a page.
func field(t testing.TB, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no field %s on the page:\n%s", name, page)
	}
	return m[1]
}

// write begins a note, and keeps or signs it.
func (h *house) write(who string, p id.Patient, form, act string, texts map[string]string) (rec string) {
	h.t.Helper()
	sheet := h.want(200, who, "POST", "/patients/"+string(p)+"/notes/new", url.Values{"form": {form}}).Body.String()
	rec = field(h.t, sheet, "record")
	h.want(303, who, "POST", "/patients/"+string(p)+"/notes", h.filled(sheet, act, texts))
	return rec
}

// filled is what a browser sends of a sheet.
func (h *house) filled(sheet, act string, texts map[string]string) url.Values {
	form := url.Values{"act": {act}}
	for _, name := range []string{"record", "version", "form", "of"} {
		form.Set(name, field(h.t, sheet, name))
	}
	for key, text := range texts {
		form.Set("f-"+key, text)
	}
	return form
}

// upload sends one file as a browser does.
func (h *house) upload(who string, p id.Patient, name string, content io.Reader) *httptest.ResponseRecorder {
	h.t.Helper()
	pr, pw := io.Pipe()
	m := multipart.NewWriter(pw)
	token := h.token(who)
	go func() {
		err := m.WriteField(web.TokenField, token)
		if err == nil {
			var part io.Writer
			if part, err = m.CreateFormFile("file", name); err == nil {
				_, err = io.Copy(part, content)
			}
		}
		if err == nil {
			err = m.Close()
		}
		pw.CloseWithError(err)
	}()
	r := httptest.NewRequest("POST", "/patients/"+string(p)+"/files", pr)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	r.Header.Set("Content-Type", m.FormDataContentType())
	w := h.send(r)
	pr.CloseWithError(errors.New("answered"))
	return w
}

var fileLink = regexp.MustCompile(`/patients/[A-Z2-7]{26}/files/[A-Z2-7]{26}`)

func page(p id.Patient, more ...string) string {
	return fmt.Sprint("/patients/", p, strings.Join(more, ""))
}
