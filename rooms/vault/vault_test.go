package vault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs/disk"
	"quietroom/layer"
)

// staff hands out team keys to made-up people.
type staff struct {
	teams []layer.Team
	keys  map[id.Team]map[uint64]seal.Key
	in    map[id.Person][]id.Team
}

func (s *staff) add(kind string, members ...id.Person) id.Team {
	team := id.New[id.Team]()
	s.teams = append(s.teams, layer.Team{ID: team, Kind: kind})
	s.keys[team] = map[uint64]seal.Key{}
	for _, m := range members {
		s.in[m] = append(s.in[m], team)
	}
	s.rotate(team)
	return team
}

func (s *staff) rotate(team id.Team) {
	for i := range s.teams {
		if t := &s.teams[i]; t.ID == team {
			t.Epoch++
			s.keys[team][t.Epoch] = seal.NewKey()
			pair, _ := seal.TeamInbox(s.keys[team][t.Epoch])
			t.Inbox = pair.Public()
		}
	}
}

func (s *staff) Teams(ctx context.Context) ([]layer.Team, error) {
	var teams []layer.Team
	for _, t := range s.teams {
		_, err := s.TeamKey(ctx, t.ID, t.Epoch)
		t.Mine = err == nil
		teams = append(teams, t)
	}
	return teams, nil
}

func (s *staff) TeamKey(ctx context.Context, team id.Team, epoch uint64) (seal.Key, error) {
	for _, t := range s.in[id.From(ctx).Person] {
		if t == team {
			if k, ok := s.keys[team][epoch]; ok {
				return k, nil
			}
		}
	}
	return seal.Key{}, errors.New("not in this team")
}

// house is a practice with a clinician, a second clinician, and a front desk.
type house struct {
	*Vault
	db             *store.DB
	key            ledger.Key
	staff          *staff
	now            time.Time
	jo, ana, desk  context.Context
	joTeam, anTeam id.Team
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return houseIn(t, db)
}

func houseIn(t testing.TB, db *store.DB) *house {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shelf, err := disk.Open(filepath.Join(t.TempDir(), "blobs"))
	must(err)
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	must(err)
	key, err := ledger.ParseKey(signer)
	must(err)
	l, err := ledger.Open(t.Context(), db, key, time.Now)
	must(err)
	must(db.Migrate(t.Context(), "vault", schema))
	h := &house{db: db, key: key, now: time.Now(), staff: &staff{keys: map[id.Team]map[uint64]seal.Key{}, in: map[id.Person][]id.Team{}}}
	h.Vault = New(Config{DB: db, Blobs: shelf, Ledger: l, Keys: h.staff, Practice: practice, Now: func() time.Time { return h.now }})
	as := func(p id.Person) context.Context {
		return id.With(t.Context(), id.Actor{Person: p, Session: id.New[id.Session]()})
	}
	jo, ana, desk := id.New[id.Person](), id.New[id.Person](), id.New[id.Person]()
	h.staff.add("directory", jo, ana, desk)
	h.staff.add("billing")
	h.joTeam, h.anTeam = h.staff.add("care", jo), h.staff.add("care", ana)
	h.jo, h.ana, h.desk = as(jo), as(ana), as(desk)
	return h
}

func (h *house) admit(t testing.TB, ctx context.Context, family, given string, care ...id.Team) id.Patient {
	t.Helper()
	b, err := h.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Admit(ctx, Card{Family: family, Given: given, Born: "1991-03-04", Phones: []string{"(503) 555-0142"}, Care: care})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *house) write(t testing.TB, ctx context.Context, p id.Patient, part, text string) id.Record {
	t.Helper()
	rec, err := h.tryWrite(ctx, p, part, text)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (h *house) tryWrite(ctx context.Context, p id.Patient, part, text string) (id.Record, error) {
	b, err := h.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, part)
	if err != nil {
		return "", err
	}
	rec, err := b.Put(ctx, c, Draft{Head: []byte("head of " + text), Body: []byte(text)})
	if err != nil {
		return "", err
	}
	return rec, b.Commit(ctx)
}

func (h *house) read(ctx context.Context, p id.Patient, part string, rec id.Record) (string, error) {
	c, err := h.Open(ctx, p, part)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_, body, err := c.Read(ctx, rec)
	return string(body), err
}

func TestOnlyTheCareTeamReadsANote(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "what was said")
	if got, err := h.read(h.jo, p, Chart, rec); err != nil || got != "what was said" {
		t.Fatalf("the clinician got %q, %v", got, err)
	}
	for name, ctx := range map[string]context.Context{"another clinician": h.ana, "the front desk": h.desk} {
		if _, err := h.read(ctx, p, Chart, rec); !errors.Is(err, ErrNotYours) {
			t.Errorf("%s got %v, want ErrNotYours", name, err)
		}
	}
	if _, err := h.read(context.Background(), p, Chart, rec); !errors.Is(err, ErrLocked) {
		t.Errorf("nobody got %v, want ErrLocked", err)
	}
}

func TestTheFrontDeskHandsAPatientToAClinicianAndReadsNothing(t *testing.T) {
	h := newHouse(t)
	b, err := h.Begin(h.desk)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Admit(h.desk, Card{Family: "Aldridge", Given: "Sam", Care: []id.Team{h.joTeam}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.In(h.desk, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := b.PutStream(h.desk, c, Draft{Head: []byte("intake")}, strings.NewReader(strings.Repeat("intake ", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(h.desk); err != nil {
		t.Fatal(err)
	}
	if got, err := h.read(h.jo, p, Chart, rec); err != nil || len(got) != 700_000 {
		t.Fatalf("the clinician got %d bytes, %v", len(got), err)
	}
	if _, err := h.read(h.desk, p, Chart, rec); !errors.Is(err, ErrNotYours) {
		t.Fatalf("the front desk reads what it handed over: %v", err)
	}
}

func TestEveryOpeningIsAFact(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "x")
	opened := func() (n int) {
		for _, err := range h.Ledger.Facts(t.Context(), ledger.Query{Subject: string(p), Kinds: []string{"vault.opened"}}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	h.now = h.now.Add(openFor + time.Second) // writing opened it too
	before := opened()
	for range 3 {
		if _, err := h.read(h.jo, p, Chart, rec); err != nil {
			t.Fatal(err)
		}
	}
	if got := opened() - before; got != 1 {
		t.Fatalf("three reads within a minute left %d facts, want 1", got)
	}
	h.now = h.now.Add(openFor + time.Second)
	if _, err := h.read(h.jo, p, Chart, rec); err != nil {
		t.Fatal(err)
	}
	if got := opened() - before; got != 2 {
		t.Fatalf("a read after a minute left %d facts in all, want 2", got)
	}
}

func TestNothingIsWrittenUnderAKeyThatALeaverHeld(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	old := h.write(t, h.jo, p, Chart, "before")
	was := h.staff.keys[h.joTeam][1]
	h.staff.rotate(h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "after")
	for r, want := range map[id.Record]string{old: "before", rec: "after"} {
		if got, err := h.read(h.jo, p, Chart, r); err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	h.staff.keys[h.joTeam] = map[uint64]seal.Key{1: was} // what a leaver and an old copy hold
	if got, err := h.read(h.jo, p, Chart, rec); err == nil {
		t.Fatalf("the leaver's key opened what was written later: %q", got)
	}
}

func TestAChangedRowIsNoticed(t *testing.T) {
	for name, sql := range map[string]string{
		"deleted record":    `DELETE FROM vault_records WHERE part = 'chart'`,
		"other body":        `UPDATE vault_records SET box = head, sum = sum WHERE part = 'chart'`,
		"version":           `UPDATE vault_records SET version = version + 1 WHERE part = 'chart'`,
		"other key version": `UPDATE vault_records SET keyed = keyed + 1 WHERE part = 'chart'`,
		"wrap of a sibling": `UPDATE vault_wraps SET box = (SELECT box FROM vault_wraps w WHERE w.part = 'identity' LIMIT 1) WHERE part = 'chart'`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
			rec := h.write(t, h.jo, p, Chart, "x")
			if err := h.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.ExecContext(t.Context(), sql); return err }); err != nil {
				t.Fatal(err)
			}
			if got, err := h.read(h.jo, p, Chart, rec); !errors.Is(err, ErrChanged) {
				t.Fatalf("got %q, %v; want ErrChanged", got, err)
			}
		})
	}
}

func TestSearchFindsAnyPartOfNameBirthDateAndPhone(t *testing.T) {
	h := newHouse(t)
	sam := h.admit(t, h.jo, "Aldridge", "Sám", h.joTeam)
	for i := range 200 {
		h.admit(t, h.jo, fmt.Sprintf("Other%03d", i), "Kim", h.joTeam)
	}
	for _, q := range []string{"aldr", "SAM", "sam aldridge", "1991-03-04 sam", "3/4/1991 ald", "555-0142 aldridge", "(503)5550142 sám", "Aldridge, Sam"} {
		f, err := h.Search(h.desk, q, 10)
		if err != nil || f.Total != 1 || f.All != 201 || len(f.Lines) != 1 || f.Lines[0].Patient != sam {
			t.Errorf("%q: got %d of %d, %v", q, f.Total, f.All, err)
		}
	}
	f, err := h.Search(h.desk, "", 5)
	if err != nil || len(f.Lines) != 5 || f.Lines[0].Patient != sam || f.Total != 201 {
		t.Fatalf("the list starts with %v, %v", f.Lines, err)
	}
	if _, err := h.Search(context.Background(), "sam", 5); !errors.Is(err, ErrLocked) {
		t.Fatalf("nobody searched names: %v", err)
	}
}

func TestTheDirectoryIsTheSameAfterMergingAndLoading(t *testing.T) {
	h := newHouse(t)
	for i := range 2500 {
		name := fmt.Sprintf("Name%04d", (i*7919)%2500)
		h.admit(t, h.jo, name, "Kim", h.joTeam)
	}
	again := New(h.Config)
	for _, v := range []*Vault{h.Vault, again} {
		f, err := v.Search(h.jo, "", 3000)
		if err != nil || f.All != 2500 || len(f.Lines) != 2500 {
			t.Fatalf("got %d lines of %d, %v", len(f.Lines), f.All, err)
		}
		for i, l := range f.Lines {
			if want := fmt.Sprintf("Name%04d, Kim", i); l.Name != want {
				t.Fatalf("line %d is %q, want %q", i, l.Name, want)
			}
		}
		if f, err := v.Search(h.jo, "name1234", 5); err != nil || f.Total != 1 {
			t.Fatalf("got %d, %v", f.Total, err)
		}
	}
}

func TestTwoWritersOfOneRecordDoNotOverwriteEachOther(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "one")
	edit := func(text string) error {
		b, _ := h.Begin(h.jo)
		c, err := b.In(h.jo, p, Chart)
		if err != nil {
			return err
		}
		if _, err := b.Put(h.jo, c, Draft{Record: rec, Version: 1, Body: []byte(text)}); err != nil {
			return err
		}
		return b.Commit(h.jo)
	}
	if err := edit("two"); err != nil {
		t.Fatal(err)
	}
	if err := edit("three"); !errors.Is(err, ErrConflict) {
		t.Fatalf("the second writer got %v, want ErrConflict", err)
	}
	if got, err := h.read(h.jo, p, Chart, rec); err != nil || got != "two" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestReadingWhileOthersWriteIsNoChangeFromOutside(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "first")
	done := make(chan error, 1)
	go func() {
		for i := range 200 {
			if _, err := h.tryWrite(h.jo, p, Chart, fmt.Sprint("note ", i)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for reads := 0; ; reads++ {
		c, err := h.Open(h.jo, p, Chart)
		if err != nil {
			t.Fatalf("after %d reads: %v", reads, err)
		}
		if _, err := c.List(h.jo); err != nil {
			t.Fatalf("after %d reads: %v", reads, err)
		}
		if _, body, err := c.Read(h.jo, rec); err != nil || string(body) != "first" {
			t.Fatalf("after %d reads: %q, %v", reads, body, err)
		}
		c.Close()
		select {
		case err := <-done:
			if err != nil || reads < 5 {
				t.Fatalf("%d reads meanwhile; the writer ended with %v", reads, err)
			}
			return
		default:
		}
	}
}
