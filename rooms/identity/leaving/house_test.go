package leaving

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs/disk"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/vault"
)

type anchor struct {
	practice string
	root     []byte
}

func (a *anchor) Practice() string       { return a.practice }
func (a *anchor) Root() []byte           { return a.root }
func (a *anchor) SetRoot(r []byte) error { a.root = r; return nil }

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time       { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// house is a practice of the owners Ana and Lee, the clinicians Dana and Aisha,
// and June at the front desk. Dana shares her charts with Ana, Aisha hers with nobody.
type house struct {
	*Leaving
	t     testing.TB
	db    *store.DB
	clock *clock
	ids   *identity.Identity
	vault *vault.Vault
	log   *ledger.Ledger
	code  map[string]seal.Code
	who   map[string]id.Person
	team  map[string]id.Team
}

func newHouse(t testing.TB, db *store.DB) *house {
	t.Helper()
	practice := string(id.New[id.Record]())
	text, _, err := ledger.NewKey("quietroom/" + practice)
	h := &house{t: t, db: db, clock: &clock{t: time.Now()}, code: map[string]seal.Code{}, who: map[string]id.Person{}, team: map[string]id.Team{}}
	h.must(err)
	key, err := ledger.ParseKey(text)
	h.must(err)
	h.log, err = ledger.Open(t.Context(), db, key, h.clock.now)
	h.must(err)
	h.ids = identity.New(identity.Config{DB: db, Anchor: &anchor{practice: practice}, Now: h.clock.now, MadeUp: true, Origin: "http://localhost", KeptKey: seal.NewKey()})
	shelf, err := disk.Open(t.TempDir())
	h.must(err)
	t.Cleanup(func() { shelf.Close() })
	h.vault = vault.New(vault.Config{DB: db, Blobs: shelf, Ledger: h.log, Keys: h.ids, Practice: practice, Now: h.clock.now})
	var layers []layer.Layer
	offboard, knock := All(func() []layer.Layer { return layers })
	h.Leaving = New(Config{DB: db, Identity: h.ids, Ledger: h.log, Records: h.vault, Offboard: offboard, Knock: knock, Now: h.clock.now})
	layers = []layer.Layer{h.ids.Layer(), h.vault.Layer(), h.Layer()}
	for _, l := range layers {
		h.must(db.Migrate(t.Context(), l.Name, l.Schema))
	}
	h.hire()
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) hire() {
	h.t.Helper()
	ctx := h.t.Context()
	people := map[string]*identity.Newcomer{}
	for name, roles := range map[string][]string{"Ana": {identity.Clinician}, "Lee": {identity.Owner}, "Dana": {identity.Clinician}, "Aisha": {identity.Clinician}, "June": {identity.FrontDesk}} {
		n, err := h.ids.Newcomer(name, "", roles...)
		h.must(err)
		h.code[name] = seal.NewCode(seal.Personal)
		h.must(h.ids.AddCode(n, h.code[name], "Code of "+name))
		people[name], h.who[name] = n, n.Person
	}
	ana, err := h.ids.Found(ctx, "Harbor", people["Ana"])
	h.must(err)
	defer ana.Wipe()
	kit, err := seal.RecoveryFromCode(seal.NewCode(seal.Kit).KEK(), "harbor")
	h.must(err)
	h.must(h.ids.SetRecovery(ctx, ana, kit.Public()))
	teams, err := h.ids.Teams(ctx)
	h.must(err)
	for _, name := range []string{"Lee", "Dana", "Aisha", "June"} {
		h.must(h.ids.Join(ctx, ana, people[name]))
		for _, t := range teams {
			if t.Kind == identity.DirectoryTeam {
				h.must(h.ids.AddMember(ctx, ana, t.ID, h.who[name]))
			}
		}
	}
	for _, t := range teams {
		h.team[t.Kind] = t.ID
	}
	h.team["Ana"], err = h.ids.FormOwnTeam(ctx, ana, "Ana", h.who["Ana"])
	h.must(err)
	h.team["Dana"], err = h.ids.FormOwnTeam(ctx, ana, "Dana", h.who["Dana"], h.who["Ana"])
	h.must(err)
	h.team["Aisha"], err = h.ids.FormOwnTeam(ctx, ana, "Aisha", h.who["Aisha"])
	h.must(err)
}

// as opens a session of somebody, with the seed at hand as after a tap.
func (h *house) as(name string) (context.Context, *identity.Unlocked) {
	h.t.Helper()
	ctx, done, err := h.ids.Enter(h.t.Context(), h.code[name])
	h.must(err)
	h.t.Cleanup(done)
	u, _ := identity.UnlockedFrom(ctx)
	return ctx, u
}

func (h *house) enters(name string) error {
	_, done, err := h.ids.Enter(h.t.Context(), h.code[name])
	if err == nil {
		done()
	}
	return err
}

// admit takes a patient in with one note, in somebody's name.
func (h *house) admit(as, team, family string) id.Patient {
	h.t.Helper()
	ctx, _ := h.as(as)
	b, err := h.vault.Begin(ctx)
	h.must(err)
	defer b.Drop()
	p, err := b.Admit(ctx, layer.Card{Family: family, Given: "Sam", Care: []id.Team{h.team[team]}})
	h.must(err)
	c, err := b.In(ctx, p, vault.Chart)
	h.must(err)
	_, err = b.Put(ctx, c, layer.Draft{Head: []byte("note"), Body: []byte("written by " + as)})
	h.must(err)
	h.must(b.Commit(ctx))
	return p
}

// write puts a note into a chart.
func (h *house) write(ctx context.Context, p id.Patient, text string) error {
	b, err := h.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, vault.Chart)
	if err != nil {
		return err
	}
	if _, err := b.Put(ctx, c, layer.Draft{Head: []byte("note"), Body: []byte(text)}); err != nil {
		return err
	}
	return b.Commit(ctx)
}

// read returns all that stands in a chart.
func (h *house) read(ctx context.Context, p id.Patient) (string, error) {
	c, err := h.vault.Open(ctx, p, vault.Chart)
	if err != nil {
		return "", err
	}
	defer c.Close()
	list, err := c.List(ctx)
	if err != nil {
		return "", err
	}
	var all []string
	for _, e := range list {
		_, body, err := c.Read(ctx, e.Record)
		if err != nil {
			return "", err
		}
		all = append(all, string(body))
	}
	return strings.Join(all, "; "), nil
}

func (h *house) epoch(team string) uint64 {
	h.t.Helper()
	roster, err := h.ids.Roster(h.t.Context())
	h.must(err)
	t, _ := roster.Team(string(h.team[team]))
	return t.Epoch
}

func (h *house) gone(name string) bool {
	h.t.Helper()
	roster, err := h.ids.Roster(h.t.Context())
	h.must(err)
	p, _ := roster.Person(string(h.who[name]))
	return p.Gone
}

// facts counts the facts of a kind.
func (h *house) facts(kind string) (n int) {
	h.t.Helper()
	for _, err := range h.log.Facts(h.t.Context(), ledger.Query{Kinds: []string{kind}}) {
		h.must(err)
		n++
	}
	return n
}

// says returns the evidence of one claim, as "State: text".
func (h *house) says(claim string) (said []string) {
	h.t.Helper()
	for e, err := range h.evidence(h.t.Context()) {
		h.must(err)
		if e.Claim == claim {
			said = append(said, fmt.Sprintf("%s: %s", e.State, e.Text))
		}
	}
	return said
}

func on(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) { test(t, newHouse(t, open())) })
}

// refusedWith fails unless an error is words for a person that begin so.
func refusedWith(t *testing.T, err error, start string) {
	t.Helper()
	var words interface{ Unwrap() error }
	if err == nil || !errors.As(err, &words) || !strings.HasPrefix(err.Error(), start) {
		t.Fatalf("got %v, want a sentence that begins %q", err, start)
	}
}
