package exchange_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
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
	"quietroom/rooms/exchange"
	"quietroom/rooms/exchange/fhir"
	"quietroom/rooms/vault"
)

// staff hands out team keys to made-up people.
type staff struct {
	teams []layer.Team
	keys  map[id.Team]seal.Key
	in    map[id.Person]map[id.Team]bool
}

func newStaff() *staff {
	return &staff{keys: map[id.Team]seal.Key{}, in: map[id.Person]map[id.Team]bool{}}
}

func (s *staff) add(kind string, team id.Team, key seal.Key, members ...id.Person) id.Team {
	pair, err := seal.TeamInbox(key)
	if err != nil {
		panic(err)
	}
	s.teams = append(s.teams, layer.Team{ID: team, Kind: kind, Epoch: 1, Inbox: pair.Public()})
	s.keys[team] = key
	for _, m := range members {
		if s.in[m] == nil {
			s.in[m] = map[id.Team]bool{}
		}
		s.in[m][team] = true
	}
	return team
}

func (s *staff) Teams(ctx context.Context) ([]layer.Team, error) {
	var teams []layer.Team
	for _, t := range s.teams {
		t.Mine = s.in[id.From(ctx).Person][t.ID]
		teams = append(teams, t)
	}
	return teams, nil
}

func (s *staff) TeamKey(ctx context.Context, team id.Team, _ uint64) (seal.Key, error) {
	if !s.in[id.From(ctx).Person][team] {
		return seal.Key{}, errors.New("not in this team")
	}
	return s.keys[team], nil
}

// house is a practice with two clinicians, each a care team.
type house struct {
	*exchange.Exchange
	vault      vault.Door
	db         *store.DB
	ledger     *ledger.Ledger
	jo, ana    context.Context
	team, anas id.Team
	stop       context.CancelFunc
	ended      chan struct{}
}

// keep is what a house needs to be opened again after a crash.
type keep struct {
	Practice, Signer string
	Database         string // address; empty: SQLite in the directory
	Jo, Ana          id.Person
	Teams            []id.Team
	Keys             []seal.Key
}

func newKeep(t testing.TB) keep {
	t.Helper()
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	if err != nil {
		t.Fatal(err)
	}
	k := keep{Practice: practice, Signer: signer, Jo: id.New[id.Person](), Ana: id.New[id.Person]()}
	for range 4 {
		k.Teams = append(k.Teams, id.New[id.Team]())
		k.Keys = append(k.Keys, seal.NewKey())
	}
	return k
}

func newHouse(t testing.TB) *house {
	t.Helper()
	return open(t, t.TempDir(), newKeep(t))
}

func open(t testing.TB, dir string, k keep) *house {
	t.Helper()
	h, err := openHouse(t.Context(), dir, k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// close ends what runs beside, as a server does.
func (h *house) close() {
	h.stop()
	<-h.ended
	h.db.Close()
}

func openHouse(ctx context.Context, dir string, k keep) (*house, error) {
	db, err := store.Open(ctx, cmp.Or(k.Database, filepath.Join(dir, "house.db")))
	if err != nil {
		return nil, err
	}
	shelf, err := disk.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, err
	}
	key, err := ledger.ParseKey(k.Signer)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, db, key, time.Now)
	if err != nil {
		return nil, err
	}
	s := newStaff()
	v := vault.New(vault.Config{DB: db, Blobs: shelf, Ledger: l, Keys: s, Practice: k.Practice, Now: time.Now})
	if err := db.Migrate(ctx, "vault", v.Layer().Schema); err != nil {
		return nil, err
	}
	s.add("directory", k.Teams[0], k.Keys[0], k.Jo, k.Ana)
	s.add("billing", k.Teams[1], k.Keys[1])
	h := &house{vault: vault.Door{Vault: v}, db: db, ledger: l}
	h.team = s.add("care", k.Teams[2], k.Keys[2], k.Jo)
	h.anas = s.add("care", k.Teams[3], k.Keys[3], k.Ana)
	as := func(p id.Person) context.Context {
		return id.With(ctx, id.Actor{Person: p, Session: id.New[id.Session]()})
	}
	h.jo, h.ana = as(k.Jo), as(k.Ana)
	h.Exchange = exchange.New(exchange.Config{Vault: h.vault})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop, h.ended = stop, make(chan struct{})
	go func() { // numbers the facts, as in every house
		defer close(h.ended)
		l.Run(running)
	}()
	return h, nil
}

// imports brings in paths, and fails on any problem.
func (h *house) imports(t testing.TB, paths ...string) exchange.Imported {
	t.Helper()
	sum, err := h.Import(h.jo, paths, exchange.Options{Care: []id.Team{h.team}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range sum.Problems {
		t.Fatalf("a problem where none was expected: %s", p.Detail())
	}
	return sum
}

// facts counts the facts that are no openings.
func (h *house) facts(t testing.TB) (n int) {
	t.Helper()
	for f, err := range h.ledger.Facts(t.Context(), ledger.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind != "vault.opened" {
			n++
		}
	}
	return n
}

func (h *house) count(t testing.TB) int {
	t.Helper()
	n, err := h.vault.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// exports takes everything out into a new folder.
func (h *house) exports(t testing.TB) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if _, err := h.Export(h.jo, out, exchange.Takeout{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// content is what files say, by patient/resourceType/id: with numbers as they stand.
func content(t testing.TB, paths ...string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for u, err := range fhir.Read(t.Context(), paths, fhir.Options{}) {
		if p, ok := errors.AsType[*fhir.Problem](err); ok && p.LeftAlone {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		list := u.Resources
		if !u.Shared() {
			list = append(list, u.Patient)
		}
		for _, r := range list {
			d := json.NewDecoder(bytes.NewReader(r.Raw))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatal(err)
			}
			all[u.Patient.ID+"/"+r.Type+"/"+r.ID] = []any{v, r.FullURL}
		}
	}
	return all
}

func samples(t testing.TB) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("the sample patients are left out by -short")
	}
	dir := os.Getenv("QUIETROOM_SHARED")
	if dir == "" {
		dir = filepath.Join(repository(t), "..", "shared")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "data", "fhir-r4-synthea", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		if os.Getenv("CI") == "1" {
			t.Fatal("the sample patients are missing: set QUIETROOM_SHARED")
		}
		t.Skip("the sample patients are not here: set QUIETROOM_SHARED")
	}
	return paths
}

func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// write puts one file into a new folder and returns its path.
func write(t testing.TB, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bundle is a small Bundle of one patient.
func bundle(patient string, entries ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:%s","resource":{"resourceType":"Patient","id":"%s","name":[{"family":"Fam-%[2]s","given":["Kim"]}],"birthDate":"1990-01-02"}}`, patient, patient)
	for _, e := range entries {
		fmt.Fprintf(&b, `,{"resource":%s}`, e)
	}
	return b.String() + "]}"
}

func observation(key, patient, value string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"subject":{"reference":"Patient/%s"},"effectiveDateTime":"2024-05-06","code":{"text":"Mood"},"valueQuantity":{"value":%s}}`, key, patient, value)
}
