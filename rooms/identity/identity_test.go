package identity

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

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

// house is a practice with an owner, Ana, and a clinician, Jo.
type house struct {
	*Identity
	db       *store.DB
	ana, jo  seal.Code
	anaU     *Unlocked
	joPerson id.Person
	care     id.Team
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), db, key, time.Now); err != nil {
		t.Fatal(err)
	}
	h := &house{db: db, ana: seal.NewCode(seal.Personal), jo: seal.NewCode(seal.Personal)}
	h.Identity = New(Config{DB: db, Anchor: &anchor{practice: practice}, Now: time.Now, MadeUp: true})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.Migrate(t.Context(), "identity", schema))
	ana, err := h.Newcomer("Ana Reyes", "ana@example.org", Clinician)
	must(err)
	must(h.AddCode(ana, h.ana, "paper"))
	h.anaU, err = h.Found(t.Context(), "Harbor Counseling", ana)
	must(err)
	jo, err := h.Newcomer("Jo Park", "jo@example.org", Clinician)
	must(err)
	must(h.AddCode(jo, h.jo, "paper"))
	must(h.Join(t.Context(), h.anaU, jo))
	h.joPerson = jo.Person
	h.care, err = h.FormTeam(t.Context(), h.anaU, CareTeam, "Jo and Ana", ana.Person, jo.Person)
	must(err)
	return h
}

func TestAPersonHoldsTheKeysOfItsTeamsOnly(t *testing.T) {
	h := newHouse(t)
	ctx, done, err := h.Enter(t.Context(), h.jo)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	teams, err := h.Teams(ctx)
	if err != nil || len(teams) != 3 {
		t.Fatalf("got %d teams (%v), want directory, billing and care", len(teams), err)
	}
	for _, team := range teams {
		_, err := h.TeamKey(ctx, team.ID, team.Epoch)
		if want := team.ID == h.care; (err == nil) != want || team.Mine != want {
			t.Errorf("team %s: mine %v, key error %v; Jo is in the care team only", team.Kind, team.Mine, err)
		}
	}
}

func TestAWrongCodeOpensNothing(t *testing.T) {
	h := newHouse(t)
	if _, _, err := h.Enter(t.Context(), seal.NewCode(seal.Personal)); !errors.Is(err, ErrNoDoor) {
		t.Fatalf("got %v, want ErrNoDoor", err)
	}
}

func TestALeaverLosesTheTeamsNextKey(t *testing.T) {
	h := newHouse(t)
	if err := h.Rotate(t.Context(), h.anaU, h.care, []id.Person{h.anaU.Person}); err != nil {
		t.Fatal(err)
	}
	ctx, done, err := h.Enter(t.Context(), h.jo)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := h.TeamKey(ctx, h.care, 2); !errors.Is(err, ErrNoKey) {
		t.Fatalf("Jo left the team and got %v for its new key", err)
	}
	if _, err := h.TeamKey(ctx, h.care, 1); !errors.Is(err, ErrNoKey) {
		t.Fatalf("Jo left the team and still holds its old wrap: %v", err)
	}
}

func TestAForgedTeamKeyIsRefusedAtSignIn(t *testing.T) {
	h := newHouse(t)
	roster, _ := h.Roster(t.Context())
	jo, _ := roster.Person(string(h.joPerson))
	evil := seal.NewKey()
	box, err := seal.SealTo(jo.Keys.Pair, evil[:], h.teamSlot(string(h.joPerson), h.care, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		return addTeamKey(t.Context(), tx, h.care, 1, string(h.joPerson), box)
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Enter(t.Context(), h.jo); !errors.Is(err, ErrForged) {
		t.Fatalf("a team key that the practice never signed was taken: %v", err)
	}
}

func TestAChainThatWasPutBackIsNoticed(t *testing.T) {
	h := newHouse(t)
	if _, done, err := h.Enter(t.Context(), h.ana); err != nil {
		t.Fatal(err)
	} else {
		done()
	}
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM identity_roster WHERE number = (SELECT MAX(number) FROM identity_roster)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Enter(t.Context(), h.ana); !errors.Is(err, ErrForged) {
		t.Fatalf("the newest entry was deleted and Ana signed in: %v", err)
	}
}

func TestAPinThatWasTakenAwayIsNoticed(t *testing.T) {
	h := newHouse(t)
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM identity_pins WHERE person = $1`, h.joPerson)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Enter(t.Context(), h.jo); !errors.Is(err, ErrForged) {
		t.Fatalf("Jo's pin was deleted, so that the list could be put back unseen, and Jo signed in: %v", err)
	}
}
