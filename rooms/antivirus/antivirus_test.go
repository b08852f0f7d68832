package antivirus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/antivirus/clamav"
)

// engine says what a test wants.
type engine struct {
	answer clamav.Answer
	state  clamav.State
	update clamav.Outcome
}

func (e *engine) Scan(_ context.Context, r io.Reader) (clamav.Answer, error) {
	_, err := io.Copy(io.Discard, r)
	return e.answer, err
}
func (e *engine) Check(context.Context) clamav.State             { return e.state }
func (e *engine) Update(context.Context) (clamav.Outcome, error) { return e.update, nil }

// staff is who works here.
type staff map[id.Person]bool // owner

func (s staff) Name(_ context.Context, p id.Person) string         { return "Jo Rivera" }
func (s staff) Working(context.Context) (int, error)               { return len(s), nil }
func (s staff) Owner(_ context.Context, p id.Person) (bool, error) { return s[p], nil }

type house struct {
	*Antivirus
	*engine
	t      *testing.T
	now    time.Time
	db     *store.DB
	ledger *ledger.Ledger
	staff  staff
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC), staff: staff{}}
	h.engine = &engine{answer: clamav.Answer{Kind: clamav.Clean}, state: clamav.State{Version: clamav.Version{Engine: "1.4.6", Number: 27000, Built: h.now.Add(-20 * time.Hour)}, Loaded: true}}
	var err error
	h.db, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	h.must(err)
	t.Cleanup(func() { h.db.Close() })
	practice := string(id.New[id.Record]())
	signer, _, err := ledger.NewKey("quietroom/" + practice)
	h.must(err)
	key, err := ledger.ParseKey(signer)
	h.must(err)
	h.ledger, err = ledger.Open(t.Context(), h.db, key, time.Now)
	h.must(err)
	h.Antivirus = New(Config{DB: h.db, Now: func() time.Time { return h.now }, Practice: practice, Key: seal.NewKey(), Engine: h.engine, People: h.staff, Served: func() bool { return true },
		Tap: func(r *http.Request, _, _ string) (context.Context, func(), error) {
			return r.Context(), func() {}, nil
		}})
	h.must(h.db.Migrate(t.Context(), "antivirus", schema))
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) person(owner bool) context.Context {
	p := id.New[id.Person]()
	h.staff[p] = owner
	return id.With(h.t.Context(), id.Actor{Person: p, Session: id.New[id.Session]()})
}

func (h *house) scan(ctx context.Context, in layer.Incoming, body string) layer.Scan {
	h.t.Helper()
	s, err := h.Antivirus.Scan(ctx, in, strings.NewReader(body))
	h.must(err)
	return s
}

func (h *house) free(f id.Record) bool {
	h.t.Helper()
	m, err := h.Free(h.t.Context(), []id.Record{f})
	h.must(err)
	return m[f]
}

func (h *house) facts() (kinds []string) {
	h.t.Helper()
	for {
		n, err := h.ledger.Sequence(h.t.Context())
		h.must(err)
		if n == 0 {
			break
		}
	}
	for e, err := range h.ledger.Facts(h.t.Context(), ledger.Query{}) {
		h.must(err)
		kinds = append(kinds, strings.TrimPrefix(e.Kind, "antivirus."))
	}
	return kinds
}

func refusedWith(err error, status int) bool {
	e, ok := errors.AsType[*web.Error](err)
	return ok && e.Status == status
}

func TestOnlyFreshSignaturesCallAFileClean(t *testing.T) {
	h := newHouse(t)
	me := h.person(true)
	for _, c := range []struct {
		name  string
		state clamav.State
		want  layer.Scan
		says  layer.State
	}{
		{"fresh", h.state, layer.Scan{State: layer.Safe}, layer.Safe},
		{"three days", clamav.State{Version: clamav.Version{Engine: "1", Number: 1, Built: h.now.Add(-72 * time.Hour)}}, layer.Scan{State: layer.Safe}, layer.NeedsYou},
		{"eight days", clamav.State{Version: clamav.Version{Engine: "1", Number: 1, Built: h.now.Add(-8 * 24 * time.Hour)}}, layer.Scan{Why: clamav.OldRules}, layer.NeedsYou},
		{"none", clamav.State{Version: clamav.Version{Engine: "1"}}, layer.Scan{Why: clamav.NoRules}, layer.Checking},
		{"blind", clamav.State{Err: clamav.ErrBlind}, layer.Scan{Why: clamav.Down}, layer.NeedsYou},
		{"no engine", clamav.State{Err: clamav.ErrMissing}, layer.Scan{Why: clamav.Down}, layer.NotKnown},
	} {
		h.engine.state = c.state
		h.must(h.check(me))
		got := h.scan(me, layer.Incoming{From: "upload"}, "x")
		got.Finding = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		e, err := h.scanner(t.Context())
		h.must(err)
		if e.State != c.says {
			t.Errorf("%s: the page says %v (%s), want %v", c.name, e.State, e.Text, c.says)
		}
		if later := e.At(h.now.Add(25 * time.Hour)); later.State == layer.Safe {
			t.Errorf("%s: still safe a day later", c.name)
		}
	}
}

func TestAHarmfulFileIsLetOutByTwoPeopleOneOfThemAnOwner(t *testing.T) {
	h := newHouse(t)
	owner, jo, ana := h.person(true), h.person(false), h.person(false)
	h.answer = clamav.Answer{Kind: clamav.Found, Name: "Test.Harm"}
	s := h.scan(jo, layer.Incoming{From: "upload", Taken: true}, "bad")
	if s.State != layer.Urgent || s.Name != "Test.Harm" || s.Finding == "" || h.free(s.Finding) {
		t.Fatalf("found: %+v", s)
	}
	if err := h.decide(jo, s.Finding, true); !refusedWith(err, 403) {
		t.Fatalf("one person takes it in: %v", err)
	}
	h.must(h.release(jo, s.Finding))
	if err := h.release(jo, s.Finding); !refusedWith(err, 403) || h.free(s.Finding) {
		t.Fatalf("the same person twice: %v", err)
	}
	h.now = h.now.Add(48 * time.Hour)
	if err := h.release(jo, s.Finding); !refusedWith(err, 403) || h.free(s.Finding) {
		t.Fatalf("the same person, days later, with colleagues: %v", err)
	}
	if err := h.release(ana, s.Finding); !refusedWith(err, 403) || h.free(s.Finding) {
		t.Fatalf("two people, no owner: %v", err)
	}
	h.must(h.release(owner, s.Finding))
	if !h.free(s.Finding) {
		t.Fatal("two people let it out, and it is not out")
	}
	again := h.scan(jo, layer.Incoming{From: "import"}, "bad")
	if again.State != layer.YourWord || again.Held() {
		t.Fatalf("the same content again: %+v", again)
	}
	if other := h.scan(jo, layer.Incoming{From: "upload"}, "bad too"); other.State != layer.Urgent {
		t.Fatalf("another content: %+v", other)
	}
	got := strings.Join(h.facts(), " ")
	if !strings.HasPrefix(got, "found release-asked released found") {
		t.Fatalf("facts: %s", got)
	}
}

func TestWhoWorksAloneWaitsADay(t *testing.T) {
	h := newHouse(t)
	me := h.person(true)
	h.answer = clamav.Answer{Kind: clamav.Found, Name: "Test.Harm"}
	s := h.scan(me, layer.Incoming{From: "upload"}, "bad")
	h.must(h.release(me, s.Finding))
	h.now = h.now.Add(23 * time.Hour)
	if err := h.release(me, s.Finding); !refusedWith(err, 403) || h.free(s.Finding) {
		t.Fatalf("after 23 hours: %v", err)
	}
	h.now = h.now.Add(2 * time.Hour)
	h.must(h.release(me, s.Finding))
	if !h.free(s.Finding) {
		t.Fatal("after a day it is not out")
	}
}

func TestWhatWasNotLookedThroughWaitsForAPerson(t *testing.T) {
	h := newHouse(t)
	me := h.person(false)
	h.answer = clamav.Answer{Why: clamav.Encrypted}
	s := h.scan(me, layer.Incoming{From: "upload"}, "locked")
	if !s.Held() || s.Why != clamav.Encrypted || h.free(s.Finding) {
		t.Fatalf("a locked file: %+v", s)
	}
	h.must(h.decide(me, s.Finding, false))
	if h.free(s.Finding) {
		t.Fatal("it was left isolated, and is out")
	}
	h.must(h.decide(me, s.Finding, true))
	if !h.free(s.Finding) {
		t.Fatal("it was taken in, and is not out")
	}
	if s := h.scan(me, layer.Incoming{From: "upload", Taken: true}, "locked too"); s.Held() || !h.free(s.Finding) || s.State == layer.Safe {
		t.Fatalf("taken in at once: %+v", s)
	}
	h.answer = clamav.Answer{Kind: clamav.Found, Name: "Test.Harm"}
	if s := h.scan(me, layer.Incoming{From: "upload"}, "locked"); s.State != layer.Urgent {
		t.Fatalf("what was taken in unscanned is found harmful later, and comes in: %+v", s)
	}
}

// TestAForgedRowLetsNothingOut: whoever writes the database has no key to say
// that people released something.
func TestAForgedRowLetsNothingOut(t *testing.T) {
	h := newHouse(t)
	owner, jo := h.person(true), h.person(false)
	h.answer = clamav.Answer{Kind: clamav.Found, Name: "Test.Harm"}
	bad := h.scan(jo, layer.Incoming{From: "upload"}, "bad")
	out := h.scan(jo, layer.Incoming{From: "upload"}, "let out")
	h.must(h.release(jo, out.Finding))
	h.must(h.release(owner, out.Finding))
	h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Send(t.Context(), `UPDATE antivirus_findings SET open = 0, box = (SELECT box FROM antivirus_findings WHERE finding = $1) WHERE finding = $2`, string(out.Finding), string(bad.Finding))
	}))
	free, err := h.Free(t.Context(), []id.Record{bad.Finding})
	if err == nil || free[bad.Finding] {
		t.Fatalf("a row that was moved lets a harmful file out: %v, %v", free, err)
	}
}

func TestPartsOfCutArchivesAreNotCalledClean(t *testing.T) {
	whole := "PK\x03\x04" + strings.Repeat("a", 300) + "PK\x01\x02 PK\x05\x06" + strings.Repeat("\x00", 18)
	for _, c := range []struct {
		name, body string
		part       bool
	}{
		{"a.zip", whole, false},
		{"a.zip", whole[:100], true},
		{"a.bin", whole[200:], true},
		{"a.zip.001", "anything", true},
		{"a.part2.rar", "anything", true},
		{"a.z01", "anything", true},
		{"a.r00", "anything", true},
		{"a.docx", "PK\x07\x08PK\x03\x04", true},
		{"visit 2026.11.001 notes.txt", "a note", false},
		{"letter.pdf", "%PDF-1.7", false},
		{"", "", false},
		{"song.mp3", "abc", false},
		{"photo.heic", strings.Repeat("PK", 70_000), false},
	} {
		for _, at := range []int{1, 7, len(c.body) + 1} { // however it arrives
			e := &ends{}
			for b := []byte(c.body); len(b) > 0; {
				n := min(at, len(b))
				e.Write(b[:n])
				b = b[n:]
			}
			if got := e.part(c.name); got != c.part {
				t.Errorf("%q %q: part %v, want %v", c.name, c.body[:min(20, len(c.body))], got, c.part)
			}
		}
	}
}

func TestATornStreamIsWrittenDownAsNothing(t *testing.T) {
	h := newHouse(t)
	torn := errors.New("torn")
	_, err := h.Antivirus.Scan(h.person(true), layer.Incoming{From: "upload"}, io.MultiReader(bytes.NewReader([]byte("half")), failing{torn}))
	if !errors.Is(err, torn) {
		t.Fatalf("got %v", err)
	}
	if all, _ := h.read(t.Context(), h.db, `TRUE`); len(all) != 0 {
		t.Fatalf("%d findings", len(all))
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

func TestUpdatesThatFailAreSaidOnce(t *testing.T) {
	h := newHouse(t)
	h.must(h.check(h.person(true)))
	for _, o := range []clamav.Outcome{clamav.Updated, clamav.Forged, clamav.Forged, clamav.Same, clamav.Unreached} {
		h.update = o
		h.must(h.fetch(t.Context()))
		if outcomes[o] == "" {
			t.Errorf("no sentence for %q", o)
		}
	}
	if got := strings.Join(h.facts(), " "); got != "scanner-works updated update-failed update-failed" {
		t.Fatalf("facts: %s", got)
	}
	for why := range Words {
		if strings.Trim(why, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no fixed word of a fact", why)
		}
	}
}
