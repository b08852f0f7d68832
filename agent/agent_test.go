package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/devices/wire"
)

// practice is a house as an agent sees it: a real ledger, and answers in the
// test's hand.
type practice struct {
	t        *testing.T
	ledger   *ledger.Ledger
	key      ledger.Key
	db       *store.DB
	url      string
	public   []byte
	device   string
	bad      func(*wire.Answer) // what this answer is bent to
	heard    []wire.Report
	remember ledger.Checkpoint // an older head
}

func newPractice(t *testing.T) *practice {
	t.Helper()
	p := &practice{t: t, device: string(id.New[id.Device]())}
	p.ledger, p.key, p.db = newLedger(t)
	p.fact("backup.proven")
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func newLedger(t *testing.T) (*ledger.Ledger, ledger.Key, *store.DB) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l, key, db
}

func (p *practice) fact(kind string) {
	p.t.Helper()
	err := p.db.Update(p.t.Context(), func(tx *store.Tx) error {
		return ledger.Append(p.t.Context(), tx, ledger.Fact{At: time.Now(), Kind: kind})
	})
	if err == nil {
		_, err = p.ledger.Sequence(p.t.Context())
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *practice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, err := wire.Read(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var size int64
	var out any
	answer := wire.Answer{Nonce: "n", Link: "l", Next: 60}
	if r.URL.Path == wire.EnrolPath {
		e, err := m.Enrol()
		if err != nil || !m.By(e.Key, wire.LabelEnrol) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		p.public = e.Key
	} else {
		report, err := m.Report()
		if err != nil || !m.By(p.public, wire.LabelReport) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		p.heard, size = append(p.heard, report), report.Witness.Size
	}
	head, err := p.ledger.Head(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	answer.Head = head.Note
	if size <= head.Size {
		answer.Proof, _ = p.ledger.Consistency(r.Context(), size, head.Size)
	}
	if in, err := p.ledger.Prove(r.Context(), 1); err == nil {
		answer.Backup = &in
	}
	if p.bad != nil {
		p.bad(&answer)
	}
	out = answer
	if r.URL.Path == wire.EnrolPath {
		out = wire.Enrolled{Device: p.device, Name: "Dana’s laptop", Practice: "Harbor Counseling", Ledger: p.key.Verifier(), Answer: answer}
	}
	json.NewEncoder(w).Encode(out)
}

const code = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// join enrols a computer with some checks, and returns its agent.
func (p *practice) join(checks ...Check) (*Agent, *[]string) {
	p.t.Helper()
	var alarms []string
	c := Config{Dir: p.t.TempDir(), Checks: checks, Agent: "test", System: wire.System{OS: "linux"},
		Alarm: func(_ context.Context, title, _ string) { alarms = append(alarms, title) }}
	name, _, err := Enroll(p.t.Context(), Join{Config: c, Link: p.url + wire.JoinPath + "#" + code})
	if err != nil || name != "Dana’s laptop" {
		p.t.Fatalf("enrolled as %q: %v", name, err)
	}
	a, err := New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	return a, &alarms
}

func TestAComputerJoinsAndTellsWhatItFound(t *testing.T) {
	p := newPractice(t)
	firewall := Finding{wire.Pass, "The firewall is on."}
	a, _ := p.join(Check{Name: wire.Firewall, Every: time.Hour, Look: func(context.Context) Finding { return firewall }})
	a.Turn(t.Context())
	firewall = Finding{wire.Fail, "The firewall is off."}
	a.Turn(t.Context()) // not due: nothing is looked at, nothing told
	if len(p.heard) != 1 || p.heard[0].Checks[0].Result != wire.Pass || p.heard[0].Hardware {
		t.Fatalf("the house heard %+v", p.heard)
	}
	a.Wake()
	a.Turn(t.Context())
	if len(p.heard) != 2 || p.heard[1].Checks[0].Result != wire.Fail || p.heard[1].Count <= p.heard[0].Count {
		t.Fatalf("the house heard %+v", p.heard)
	}
	if again, err := New(a.Config); err != nil || again.state.Count != p.heard[1].Count {
		t.Errorf("after a restart the count is not the one that was used: %v", err)
	}
	info, err := os.Stat(filepath.Join(a.Dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the device's key is readable by others: %v, %v", info.Mode(), err)
	}
}

func TestACheckThatDoesNotAnswerIsNotKnown(t *testing.T) {
	p := newPractice(t)
	a, _ := p.join(
		Check{Name: wire.Firewall, Look: func(context.Context) Finding { select {} }},
		Check{Name: wire.Updates, Look: func(context.Context) Finding { panic("no such tool") }},
		Check{Name: wire.Time, Look: func(context.Context) Finding { return Finding{} }})
	start := time.Now()
	a.Look(t.Context(), true)
	if took := time.Since(start); took > 3*lookFor {
		t.Errorf("a look took %v", took)
	}
	for _, c := range a.Results() {
		if c.Result != wire.Unknown || c.Said == "" {
			t.Errorf("%s is %q (%q), want unknown with a reason", c.Name, c.Result, c.Said)
		}
	}
	if n := len(a.Results()); n != 3 {
		t.Errorf("%d results, want 3", n)
	}
}

func TestAnEventIsKeptUntilTheHouseTookIt(t *testing.T) {
	p := newPractice(t)
	a, _ := p.join()
	d := &Desk{a: a}
	if err := d.Tell("antivirus.found", map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	good := a.state.Origin
	a.state.Origin = "http://127.0.0.1:1" // nobody is there
	if _, err := a.Report(t.Context(), false); err == nil {
		t.Fatal("a house that is not there took a report")
	}
	a.state.Origin = good
	for range 2 {
		if _, err := a.Report(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.heard[0].Events) != 1 || p.heard[0].Events[0].Kind != "antivirus.found" || len(p.heard[1].Events) != 0 {
		t.Errorf("the house heard %+v", p.heard)
	}
}

// The agent is a witness: a ledger that goes on is good; one that was put back,
// another one, and another key are said on the computer's own screen, once.
func TestARollbackIsNoticedAtTheNextReport(t *testing.T) {
	for title, c := range map[string]struct {
		bend func(*practice)
		want string
	}{
		"the ledger goes on": {func(p *practice) { p.fact("vault.opened") }, ""},
		"it stands still":    {func(*practice) {}, ""},
		"its head is older":  {func(p *practice) { p.bad = func(a *wire.Answer) { a.Head = p.remember.Note } }, wire.AlarmRollback},
		"a proof is missing": {func(p *practice) {
			p.fact("vault.opened")
			p.bad = func(a *wire.Answer) { a.Proof = ledger.Consistency{} }
		}, wire.AlarmRollback},
		"another server, another key": {func(p *practice) { p.ledger, p.key, p.db = newLedger(p.t); p.fact("vault.opened") }, wire.AlarmReplaced},
		"no head at all":              {func(p *practice) { p.bad = func(a *wire.Answer) { a.Head = "" } }, wire.AlarmReplaced},
	} {
		t.Run(title, func(t *testing.T) {
			p := newPractice(t)
			old, err := p.ledger.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.remember = old
			a, alarms := p.join()
			p.fact("identity.signed-in")
			if _, err := a.Report(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			kept := a.state.Head
			c.bend(p)
			for range 2 {
				if _, err := a.Report(t.Context(), false); err != nil {
					t.Fatal(err)
				}
			}
			if got := a.state.Alarm; got != c.want {
				t.Fatalf("the alarm is %q, want %q", got, c.want)
			}
			if c.want == "" {
				return
			}
			if len(*alarms) != 1 || a.state.Head != kept {
				t.Errorf("%d alarms on the screen, want 1; the good head is kept: %v", len(*alarms), a.state.Head == kept)
			}
			if last := p.heard[len(p.heard)-1]; last.Witness.Alarm != c.want {
				t.Errorf("the house is told %q", last.Witness.Alarm)
			}
		})
	}
}

func TestABackupThatDidNotHappenIsNoticed(t *testing.T) {
	p := newPractice(t)
	a, alarms := p.join()
	a.Now = func() time.Time { return time.Now().Add(backupFor + time.Hour) }
	if _, err := a.Report(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if a.state.Alarm != wire.AlarmBackup || len(*alarms) != 1 {
		t.Errorf("alarm %q, on the screen %v", a.state.Alarm, *alarms)
	}
}

func TestAWrongLinkAndAnOpenWireAreRefused(t *testing.T) {
	for _, link := range []string{"", "https://vault.example.org", "http://vault.example.org" + wire.JoinPath + "#" + code, "https://user:x@vault.example.org" + wire.JoinPath + "#" + code,
		"https://vault.example.org" + wire.JoinPath + "#SHORT", "file:///etc/passwd" + wire.JoinPath + "#" + code} {
		dir := t.TempDir()
		if _, _, err := Enroll(t.Context(), Join{Config: Config{Dir: dir}, Link: link}); err == nil || !strings.Contains(err.Error(), "no link of a practice") {
			t.Errorf("%q: %v", link, err)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%q left %v behind", link, files)
		}
	}
	if _, err := New(Config{Dir: t.TempDir()}); err != ErrNotEnrolled {
		t.Errorf("an empty folder is an agent: %v", err)
	}
}
