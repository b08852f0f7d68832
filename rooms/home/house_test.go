package home_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/home"
)

// start is when every test begins.
var start = time.Date(2026, 11, 23, 15, 2, 0, 0, time.UTC)

// practice is a home in a house of made-up rooms: what they say, and the clock,
// are in the test's hand.
type practice struct {
	*home.Home
	t        *testing.T
	db       *store.DB
	ledger   *ledger.Ledger
	mux      *web.Mux
	now      time.Time
	said     []answer
	patients int
	owner    bool
}

// answer is what a room yields.
type answer struct {
	layer.Evidence
	err error
}

func newPractice(t *testing.T) *practice {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newPracticeIn(t, db)
}

func newPracticeIn(t *testing.T, db *store.DB) *practice {
	t.Helper()
	p := &practice{t: t, db: db, now: start, owner: true}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	if p.ledger, err = ledger.Open(t.Context(), db, key, p.clock); err != nil {
		t.Fatal(err)
	}
	p.Home = home.New(home.Config{DB: db, Now: p.clock, Evidence: p.evidence,
		Patients: func(context.Context) (int, error) {
			if p.patients < 0 {
				return 0, errors.New("count: disk went away")
			}
			return p.patients, nil
		},
		Drills: func() []layer.Drill {
			return []layer.Drill{{Name: "tamper"}, {Name: "theft"}, {Name: "row-swap"}, {Name: "push-spam"}}
		},
		Owner: func(context.Context) bool { return p.owner },
	})
	p.furnish()
	return p
}

// furnish mounts the room as the house does.
func (p *practice) furnish() {
	p.t.Helper()
	l := p.Layer()
	if err := p.db.Migrate(p.t.Context(), l.Name, l.Schema); err != nil {
		p.t.Fatal(err)
	}
	p.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: p.clock})
	p.mux.SetSessions(somebody{})
	l.Mount(p.mux)
}

func (p *practice) clock() time.Time { return p.now }

func (p *practice) evidence(context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		for _, a := range p.said {
			if !yield(a.Evidence, a.err) {
				return
			}
		}
	}
}

// says sets what the rooms say, and lets home look.
func (p *practice) says(all ...layer.Evidence) {
	p.t.Helper()
	p.said = nil
	for _, e := range all {
		p.said = append(p.said, answer{e, nil})
	}
	if err := p.look(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *practice) look() error { return home.Look(p.Home, p.t.Context()) }

func (p *practice) tried(r layer.Report, at time.Time) {
	p.t.Helper()
	if err := p.Save(p.t.Context(), r, at); err != nil {
		p.t.Fatal(err)
	}
}

func (p *practice) allHeld(at time.Time) {
	p.t.Helper()
	p.tried(layer.Report{Drill: "theft", Held: new(true), Tried: 33000, TookMS: 4210}, at)
	p.tried(layer.Report{Drill: "row-swap", Held: new(true), Tried: 10000, TookMS: 8900}, at)
	p.tried(layer.Report{Drill: "tamper", Held: new(true), Tried: 42, TookMS: 640}, at)
	p.tried(layer.Report{Drill: "push-spam", Held: new(true), Tried: 10000, TookMS: 151000}, at)
}

// page is what somebody signed in reads at a path.
func (p *practice) page(path string) string {
	p.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		p.t.Fatalf("%s answers %d:\n%s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// somebody is the Sessions of a house where one person is signed in by any cookie.
type somebody struct{}

func (somebody) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	if _, err := r.Cookie(web.SessionCookie); err != nil {
		return nil, nil, web.ErrNoSession
	}
	return r.Context(), func() {}, nil
}
func (somebody) IsOwner(context.Context) bool  { return true }
func (somebody) Person(context.Context) string { return "Maya Lindqvist" }

// The rooms' words in tests.

func safe(claim string, at layer.Place, text string, seen time.Time) layer.Evidence {
	return layer.Evidence{Claim: claim, Place: at, Text: text, State: layer.Safe, Seen: seen, Until: seen.Add(24 * time.Hour)}
}

func needs(claim string, at layer.Place, text, fix, page string, minutes int, seen time.Time) layer.Evidence {
	return layer.Evidence{Claim: claim, Place: at, Text: text, State: layer.NeedsYou, Seen: seen, Until: seen.Add(24 * time.Hour), Fix: fix, Page: page, Minutes: minutes}
}

// full is a house of which all five places are measured.
func full(seen time.Time) []layer.Evidence {
	laptop := needs("devices.silent", layer.Devices, "Ben’s laptop has been silent since Sunday. It may still open the vault until tomorrow, then it waits.", "Ask Ben", "/devices", 2, seen)
	laptop.Why = "Switching it on is enough."
	return []layer.Evidence{
		safe("vault.sealed", layer.Records, "Every record is sealed under a key of its own patient.", seen),
		laptop,
		safe("devices.encrypted", layer.Devices, "11 of 12 computers reported an encrypted disk.", seen),
		needs("identity.kit", layer.People, "There is no recovery kit. If all keys are lost, nobody can open what is sealed here.", "Make the recovery kit", "/kit", 3, seen),
		safe("identity.doors", layer.People, "All 12 people have at least 2 ways in.", seen),
		safe("backup.opened", layer.Backups, "The newest backup was opened and compared, 33,000 of 33,000 records.", seen.Add(-20*time.Hour)),
		{Claim: "backup.going", Place: layer.Backups, Text: "Today’s backup is being opened and compared.", State: layer.Checking, Seen: seen, Until: seen.Add(time.Hour)},
		{Claim: "mail.vendor", Place: layer.Edges, Text: "The mail provider has signed an agreement.", State: layer.YourWord, Seen: seen.AddDate(0, -6, 0), Why: "Look at it again in May."},
		{Claim: "trackers.scan", Place: layer.Edges, Text: "The scan of the web site is off until December 1: the site is being rebuilt.", State: layer.Off, Seen: seen.AddDate(0, 0, -3)},
	}
}
