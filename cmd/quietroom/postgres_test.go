package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/exchange"
	"quietroom/rooms/identity/authenticator"
	"quietroom/rooms/vault"
)

// group is a made-up practice on PostgreSQL, served by two instances: two
// directories with the same settings and ledger key, one database, one folder
// of blobs.
type group struct {
	dirs  [2]string
	codes map[string]seal.Code
}

const groupPatients = 60

func newGroup(t *testing.T, change ...func(*settings) error) *group {
	t.Helper()
	address := storetest.Postgres(t)
	above := t.TempDir()
	g := &group{dirs: [2]string{filepath.Join(above, "one"), filepath.Join(above, "two")}}
	s, err := newSettings(g.dirs[0], address, "http://localhost:8470", &madeUp{Seed: 31, Patients: groupPatients, Day: today()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.Blobs = "../blobs"
	for _, c := range change {
		if err := c(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if g.codes, err = peopleDemo(t.Context(), g.dirs[0], slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(g.dirs[1], 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{settingsFile, "ledger.key"} {
		if err := copyFile(filepath.Join(g.dirs[0], name), filepath.Join(g.dirs[1], name)); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *group) open(t *testing.T, which int) *house {
	t.Helper()
	h, err := openHouse(t.Context(), g.dirs[which], slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (g *group) enter(t *testing.T, h *house, who string) context.Context {
	t.Helper()
	ctx, done, err := h.identity.Enter(t.Context(), g.codes[who])
	if err != nil {
		t.Fatalf("%s does not get in: %v", who, err)
	}
	t.Cleanup(done)
	return ctx
}

func TestAHouseOnPostgreSQL(t *testing.T) {
	g := newGroup(t)
	one := g.open(t, 0)
	t.Cleanup(func() { one.close() })
	if one.db.Kind() != store.Postgres {
		t.Fatal("this is no house on PostgreSQL")
	}
	ctx := g.enter(t, one, "owner-1")
	if n := one.whole(t, ctx, nil); n != groupPatients {
		t.Fatalf("%d patients, want %d", n, groupPatients)
	}
	from := filepath.Join(t.TempDir(), "bundles")
	if err := writeBundles(from, 20); err != nil {
		t.Fatal(err)
	}
	team, err := one.identity.OwnTeam(ctx, id.From(ctx).Person)
	if err != nil {
		t.Fatal(err)
	}
	care := exchange.Options{Care: []id.Team{team}}
	if r, err := one.exchange.Import(ctx, []string{from}, care); err != nil || r.New != 20 || r.Bad != 0 {
		t.Fatalf("an import: %+v, %v", r, err)
	}

	// the other instance sees all of it, and writes where the first wrote
	two := g.open(t, 1)
	t.Cleanup(func() { two.close() })
	there := g.enter(t, two, "owner-1")
	if r, err := two.exchange.Import(there, []string{from}, care); err != nil || r.Unchanged != 20 {
		t.Fatalf("the same import at the other instance: %+v, %v", r, err)
	}
	all, err := one.allPatients(ctx)
	if err != nil {
		t.Fatal(err)
	}
	notes := g.writeAtBoth(t, [2]*house{one, two}, [2]context.Context{ctx, there}, all[:8])
	for i, h := range []*house{two, one} { // each reads what the other wrote
		for p, recs := range notes[i] {
			c, err := h.vault.Open([]context.Context{there, ctx}[i], p, vault.Chart)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range recs {
				if _, body, err := c.Read([]context.Context{there, ctx}[i], rec); err != nil || string(body) != string(noteText(p, 500)) {
					t.Fatalf("what one instance wrote, the other does not read: %v", err)
				}
			}
			c.Close()
		}
	}
	for _, h := range []*house{one, two} {
		if n := h.whole(t, map[*house]context.Context{one: ctx, two: there}[h], nil); n != groupPatients+20 {
			t.Fatalf("%d patients, want %d", n, groupPatients+20)
		}
	}

	// a key that changes at one instance is used at the other
	if _, err := one.rekey(t.Context(), g.codes["owner-1"]); err != nil {
		t.Fatal(err)
	}
	again := g.enter(t, two, "owner-1")
	if _, err := two.writeNote(again, all[0], 500); err != nil {
		t.Fatalf("after a new key at the one, the other writes nothing: %v", err)
	}
	if _, err := one.writeNote(g.enter(t, one, "owner-1"), all[0], 500); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(one.close(), two.close()); err != nil {
		t.Error(err)
	}
	// commands find the house too
	s := &tainted{T: t}
	if said := s.command("verify", "--dir", g.dirs[1]); !strings.Contains(said, "The ledger holds") {
		t.Errorf("verify: %s", said)
	}
	if said := s.command("doctor", "--dir", g.dirs[1]); !strings.Contains(said, "Directory") {
		t.Errorf("doctor: %s", said)
	}
}

// writeAtBoth has both instances write to the same patients at the same time.
func (g *group) writeAtBoth(t *testing.T, houses [2]*house, as [2]context.Context, patients []id.Patient) (notes [2]map[id.Patient][]id.Record) {
	t.Helper()
	var wg sync.WaitGroup
	for i, h := range houses {
		notes[i] = map[id.Patient][]id.Record{}
		wg.Go(func() {
			for range 3 {
				for _, p := range patients {
					rec, err := h.writeNote(as[i], p, 500)
					if err != nil {
						t.Errorf("instance %d: %v", i+1, err)
						return
					}
					notes[i][p] = append(notes[i][p], rec)
				}
			}
		})
	}
	wg.Wait()
	return notes
}

// turns sends each request to the next instance, as a careless balancer would.
type turns struct {
	bases []string
	next  atomic.Int64
	asked [2]atomic.Int64
}

func (b *turns) RoundTrip(r *http.Request) (*http.Response, error) {
	i := int(b.next.Add(1)) % len(b.bases)
	to, err := url.Parse(b.bases[i])
	if err != nil {
		return nil, err
	}
	b.asked[i].Add(1)
	r.URL.Host = to.Host
	return http.DefaultTransport.RoundTrip(r)
}

func TestAnyInstanceServesAnyRequest(t *testing.T) {
	g := newGroup(t)
	var bases []string
	for i := range g.dirs {
		bases = append(bases, serveHouse(t, g.open(t, i)))
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	ctx := t.Context()
	balancer := &turns{bases: bases}
	b := &authenticator.Browser{Client: &http.Client{Transport: balancer}, Base: bases[0], Origin: "http://localhost:8470", Device: &authenticator.Device{}}
	ticket, _, err := b.Code(ctx, g.codes["owner-1"])
	must("sign in with a code, asked by one and answered by the other", err)
	must("make a passkey", b.Register(ctx, "/doors/begin", "/doors/passkey", "X-Tap", ticket))
	must("sign in with a passkey", b.SignIn(ctx))
	for range 2 { // each page from each instance
		for _, path := range []string{"/", "/patients", "/people", "/doors", "/evidence"} {
			for range 2 {
				status, page, err := b.Get(ctx, path)
				if err != nil || status != http.StatusOK {
					t.Fatalf("%s: %d, %v", path, status, err)
				}
				if path == "/patients" && !strings.Contains(page, "/patients/") {
					t.Error("the list of patients is empty")
				}
			}
		}
		balancer.next.Add(1)
	}
	_, err = b.Tap(ctx, "door", "new")
	must("tap", err)
	must("renew the session", b.Renew(ctx))
	_, page, err := b.Get(ctx, "/patients/new")
	must("ask for a new patient's sheet", err)
	care := regexp.MustCompile(`name="care"[^>]*value="([^"]+)"`).FindStringSubmatch(page)
	if care == nil {
		t.Fatal("no team can be chosen for a new patient")
	}
	status, err := b.Post(ctx, "/patients/new", url.Values{"care": {care[1]}, "family": {"Quill"}, "given": {"Ada"}, "born": {"1984-02-29"}})
	if err != nil || status != http.StatusSeeOther {
		t.Fatalf("take in a patient: %d, %v", status, err)
	}
	for range 2 {
		if status, err := b.Post(ctx, "/patients/find", url.Values{"q": {"quill"}}); err != nil || status != http.StatusOK {
			t.Fatalf("search: %d, %v", status, err)
		}
	}
	status, err = b.Post(ctx, "/lock", nil)
	if err != nil || status != http.StatusSeeOther {
		t.Fatalf("lock: %d, %v", status, err)
	}
	for range 2 {
		if status, _, err := b.Get(ctx, "/patients"); err != nil || status == http.StatusOK {
			t.Fatalf("locked at one, and open at the other: %d, %v", status, err)
		}
	}
	if balancer.asked[0].Load() < 10 || balancer.asked[1].Load() < 10 {
		t.Error("one of the instances was hardly asked")
	}
}

func TestAJobRunsAtOneInstanceAtATime(t *testing.T) {
	g := newGroup(t)
	var ran [2]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	houses := [2]*house{g.open(t, 0), g.open(t, 1)}
	for i, h := range houses {
		h.layers = append(slices.Clone(h.layers), layer.Layer{Name: "counting", Jobs: []layer.Job{{Name: "count", Every: 5 * time.Millisecond, Run: func(context.Context) error {
			ran[i].Add(1)
			return nil
		}}}})
		wg.Go(func() { h.run(ctx) })
	}
	err := eventually(func() bool { return ran[0].Load()+ran[1].Load() >= 20 })
	// facts are numbered by both, and none twice
	who := [2]context.Context{g.enter(t, houses[0], "owner-1"), g.enter(t, houses[1], "owner-1")}
	all, listed := houses[0].allPatients(who[0])
	if err := errors.Join(err, listed); err != nil {
		t.Fatal(err)
	}
	g.writeAtBoth(t, houses, who, all[:5])
	stop()
	wg.Wait()
	if a, b := ran[0].Load(), ran[1].Load(); a > 0 && b > 0 {
		t.Errorf("the job ran %d and %d times: both instances had it", a, b)
	}
	if r, err := houses[1].ledger.Verify(t.Context(), ledger.Options{}); err != nil || !r.Held() {
		t.Errorf("the ledger of two sequencers does not hold: %+v, %v", r.Finding, err)
	}
	for _, h := range houses {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}
}
