package glass_test

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
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs/disk"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/chart"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/authenticator"
	"quietroom/rooms/identity/glass"
	"quietroom/rooms/vault"
)

// house is a practice of real rooms: Ana owns it, Jo and Sam treat, each with a
// team of one, and Pat is at the front desk. Sam's patient is Mara.
type house struct {
	t        testing.TB
	db       *store.DB
	ledger   *ledger.Ledger
	identity *identity.Identity
	vault    *vault.Vault
	glass    *glass.Glass
	half     *half
	clock    *clock
	mail     *mail
	origin   string

	ana              *identity.Unlocked
	codes            map[string]seal.Code
	people           map[string]id.Person
	joTeam, samTeam  id.Team
	mara, noor       id.Patient // Sam's
	lee              id.Patient // Jo's
	browsers         map[string]*authenticator.Browser
	secretInTheChart string
}

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

// half is where the house keeps its half.
type half struct {
	mu  sync.Mutex
	key *seal.Key
}

func (h *half) GlassHalf() (seal.Key, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.key == nil {
		return seal.Key{}, glass.ErrNoHalf
	}
	return *h.key, nil
}

func (h *half) MakeGlassHalf() (seal.Key, error) {
	if k, err := h.GlassHalf(); err == nil {
		return k, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key = new(seal.NewKey())
	return *h.key, nil
}

func (h *half) DropGlassHalf() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key = nil
	return nil
}

// mail keeps what people are told.
type mail struct {
	mu   sync.Mutex
	sent []layer.Notice
}

func (m *mail) Notify(_ context.Context, tx *store.Tx, n layer.Notice) error {
	tx.OnCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.sent = append(m.sent, n)
	})
	return nil
}

func (m *mail) to() (people []id.Person) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.sent {
		people = append(people, n.To)
	}
	return people
}

type anchor struct {
	practice string
	mu       sync.Mutex
	root     []byte
}

func (a *anchor) Practice() string { return a.practice }

func (a *anchor) Root() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root
}

func (a *anchor) SetRoot(r []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.root = r
	return nil
}

func newHouse(t testing.TB, db *store.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, clock: &clock{t: time.Now()}, half: &half{}, mail: &mail{}, codes: map[string]seal.Code{}, people: map[string]id.Person{},
		browsers: map[string]*authenticator.Browser{}, secretInTheChart: "the lighthouse keeper's daughter"}
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	h.must(err)
	key, err := ledger.ParseKey(signer)
	h.must(err)
	h.ledger, err = ledger.Open(t.Context(), db, key, h.clock.now)
	h.must(err)
	shelf, err := disk.Open(filepath.Join(t.TempDir(), "blobs"))
	h.must(err)
	h.identity = identity.New(identity.Config{DB: db, Anchor: &anchor{practice: practice}, Now: h.clock.now, MadeUp: true, Origin: "http://localhost", KeptKey: seal.NewKey()})
	h.glass = glass.New(glass.Config{DB: db, Identity: h.identity, Ledger: h.ledger, House: h.half, Notify: h.mail, Now: h.clock.now})
	h.vault = vault.New(vault.Config{DB: db, Blobs: shelf, Ledger: h.ledger, Keys: h.identity, Glass: h.glass, Practice: practice, Now: h.clock.now})
	h.glass.Vault = vault.Door{Vault: h.vault}
	for _, l := range []layer.Layer{h.identity.Layer(), h.vault.Layer(), h.glass.Layer()} {
		h.must(db.Migrate(t.Context(), l.Name, l.Schema))
	}
	h.hire()
	h.admit()
	h.serve()
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) hire() {
	ctx := h.t.Context()
	join := func(handle, name string, roles ...string) *identity.Newcomer {
		n, err := h.identity.Newcomer(name, handle+"@example.org", roles...)
		h.must(err)
		h.codes[handle] = seal.NewCode(seal.Personal)
		h.must(h.identity.AddCode(n, h.codes[handle], "paper"))
		h.people[handle] = n.Person
		if handle != "ana" {
			h.must(h.identity.Join(ctx, h.ana, n))
		}
		return n
	}
	var err error
	h.ana, err = h.identity.Found(ctx, "Harbor Counseling", join("ana", "Ana Reyes"))
	h.must(err)
	join("jo", "Jo Park", identity.Clinician)
	join("sam", "Sam Lee", identity.Clinician)
	join("pat", "Pat Kim", identity.FrontDesk)
	teams, err := h.identity.Teams(ctx)
	h.must(err)
	for _, t := range teams {
		if t.Kind == identity.DirectoryTeam {
			for _, who := range []string{"jo", "sam", "pat"} {
				h.must(h.identity.AddMember(ctx, h.ana, t.ID, h.people[who]))
			}
		}
	}
	h.joTeam, err = h.identity.FormOwnTeam(ctx, h.ana, "Jo Park", h.people["jo"])
	h.must(err)
	h.samTeam, err = h.identity.FormOwnTeam(ctx, h.ana, "Sam Lee", h.people["sam"])
	h.must(err)
}

// as opens a session at the command line.
func (h *house) as(who string) context.Context {
	h.t.Helper()
	ctx, done, err := h.identity.Enter(h.t.Context(), h.codes[who])
	h.must(err)
	h.t.Cleanup(done)
	return ctx
}

func (h *house) admit() {
	h.mara = h.patient("sam", "Haddad", "Mara", h.samTeam)
	h.noor = h.patient("sam", "Quinn", "Noor", h.samTeam)
	h.lee = h.patient("jo", "Ortiz", "Lee", h.joTeam)
}

func (h *house) patient(by, family, given string, team id.Team) id.Patient {
	h.t.Helper()
	ctx := h.as(by)
	b, err := h.vault.Begin(ctx)
	h.must(err)
	p, err := b.Admit(ctx, layer.Card{Family: family, Given: given, Care: []id.Team{team}, Phones: []string{"(503) 555-0142"}})
	h.must(err)
	c, err := b.In(ctx, p, vault.Chart)
	h.must(err)
	_, err = b.Put(ctx, c, chart.SignedNote("dap", "About "+given+": "+h.secretInTheChart, h.people[by], h.clock.now()))
	h.must(err)
	h.must(b.Commit(ctx))
	return p
}

// names gives the chart the names that colleagues use.
type names struct{ *identity.Identity }

func (n names) Name(ctx context.Context, p id.Person) string {
	name, _ := n.Identity.Name(ctx, p)
	return name
}

func (h *house) serve() {
	m := web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Now: h.clock.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	m.SetSessions(h.glass.Sessions(h.identity.Sessions()))
	c := chart.New(chart.Config{Vault: vault.Door{Vault: h.vault}, People: names{h.identity}, Ledger: h.ledger, Glass: h.glass, Now: h.clock.now})
	for _, l := range []layer.Layer{h.identity.Layer(), h.glass.Layer(), c.Layer()} {
		l.Mount(m)
	}
	m.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error { return web.SeeOther(w, r, "/patients") }, web.Signed)
	server := httptest.NewServer(m)
	h.t.Cleanup(server.Close)
	h.origin = "http://localhost:" + server.URL[strings.LastIndex(server.URL, ":")+1:]
}

// browser signs somebody in, with a passkey, once.
func (h *house) browser(who string) *authenticator.Browser {
	h.t.Helper()
	if b := h.browsers[who]; b != nil {
		return b
	}
	b := h.another()
	ticket, _, err := b.Code(h.t.Context(), h.codes[who])
	h.must(err)
	h.must(b.Register(h.t.Context(), "/doors/begin", "/doors/passkey", identity.TapHeader, ticket))
	h.must(b.SignIn(h.t.Context()))
	h.browsers[who] = b
	return b
}

func (h *house) another() *authenticator.Browser {
	return &authenticator.Browser{Client: &http.Client{Transport: http.DefaultTransport}, Base: strings.Replace(h.origin, "localhost", "127.0.0.1", 1), Origin: h.origin, Device: &authenticator.Device{}}
}

// on makes the pair, for everybody who treats, and has Jo and Sam come in, whose
// sessions seal their own teams' keys.
func (h *house) on() {
	h.t.Helper()
	h.must(h.glass.Make(h.t.Context(), h.ana))
	for _, who := range []string{"jo", "sam"} {
		if status, _ := h.get(who, "/patients"); status != http.StatusOK {
			h.t.Fatalf("%s comes in and gets %d", who, status)
		}
	}
}

func (h *house) get(who, path string) (int, string) {
	h.t.Helper()
	status, page, err := h.browser(who).Get(h.t.Context(), path)
	h.must(err)
	return status, page
}

// tap taps for breaking one patient's glass.
func (h *house) tap(who, act string, object string) string {
	h.t.Helper()
	ticket, err := h.browser(who).Tap(h.t.Context(), act, object)
	h.must(err)
	return ticket
}

// post breaks the glass with what is given.
func (h *house) post(who string, p id.Patient, reason, words, ticket string) int {
	h.t.Helper()
	status, err := h.browser(who).Post(h.t.Context(), "/glass/break/"+string(p), url.Values{"reason": {reason}, "words": {words}, identity.TapField: {ticket}})
	h.must(err)
	return status
}

// breaks breaks it as it is meant.
func (h *house) breaks(who string, p id.Patient) {
	h.t.Helper()
	if status := h.post(who, p, "cover", "Sam is ill, and Mara is here.", h.tap(who, glass.ActBreak, string(p))); status != http.StatusSeeOther {
		_, page := h.get(who, "/glass/break/"+string(p))
		h.t.Fatalf("breaking the glass answers %d, want 303: %.600s", status, inside(page))
	}
}

// reads tells whether a chart is open to somebody, and what is said where it is not.
func (h *house) reads(who string, p id.Patient) bool {
	h.t.Helper()
	status, page := h.get(who, "/patients/"+string(p)+"/all")
	open := strings.Contains(page, `<h2 id="notes">`)
	if open && status != http.StatusOK {
		h.t.Fatalf("an open chart answers %d", status)
	}
	return open
}

func inside(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page, _, _ = strings.Cut(page, "</main>")
	return page
}

// facts are the facts of a kind, the oldest first.
func (h *house) facts(kind string) (all []ledger.Fact) {
	h.t.Helper()
	for e, err := range h.ledger.Facts(h.t.Context(), ledger.Query{Kinds: []string{kind}}) {
		h.must(err)
		all = append(all, e.Fact)
	}
	return all
}

// evidence is what the room says of a claim.
func (h *house) evidence(claim string) (found layer.Evidence) {
	h.t.Helper()
	for e, err := range h.glass.Layer().Evidence(h.t.Context()) {
		h.must(err)
		if e.Claim == claim {
			found = e
		}
	}
	return found
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	h.must(h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(h.t.Context(), query, args...)
		return err
	}))
}
