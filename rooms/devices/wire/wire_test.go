package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

func signer(t testing.TB) *seal.Signer {
	t.Helper()
	s, err := seal.SignerFrom(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sample() Report {
	return Report{Format: 1, Device: string(id.New[id.Device]()), Agent: "v1", Count: 7, Nonce: "n", Link: "l", Port: 47470,
		System: System{OS: "linux", Name: "Debian GNU/Linux 12", Version: "12", Arch: "amd64"},
		Checks: []Check{{Firewall, Pass, "The firewall is on.", 3}, {Updates, Unknown, "apt was not there.", 60}},
		Events: []Event{{ID: string(id.New[id.Record]()), Kind: "antivirus.found", Body: json.RawMessage(`{"a":1}`)}}}
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	k := signer(t)
	m, err := Sign(k, LabelReport, sample())
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(m)
	back, err := Read(bytes.NewReader(b))
	if err != nil || !back.By(k.Public(), LabelReport) {
		t.Fatalf("a signed report does not come back: %v", err)
	}
	if back.By(k.Public(), LabelEnrol) || back.By(signer(t).Public(), LabelReport) {
		t.Error("a signature counts for another purpose, or another key")
	}
	r, err := back.Report()
	if err != nil || r.Count != 7 || r.Checks[1].Result != Unknown {
		t.Errorf("got %+v, %v", r, err)
	}
	if at := time.Unix(1000, 0); r.Checks[0].Taken(at) != time.Unix(997, 0) {
		t.Error("an age is not counted from when it was received")
	}
}

func TestWhatIsNoReportIsRefusedWithAReason(t *testing.T) {
	k := signer(t)
	for title, change := range map[string]func(*Report){
		"no format":               func(r *Report) { r.Format = 0 },
		"no device":               func(r *Report) { r.Device = "x" },
		"a device with a path":    func(r *Report) { r.Device = "../../../../../etc/passwd!" },
		"no count":                func(r *Report) { r.Count = 0 },
		"a check from the future": func(r *Report) { r.Checks[0].Age = -1 },
		"a check as old as hills": func(r *Report) { r.Checks[0].Age = 1 << 40 },
		"a fifth result":          func(r *Report) { r.Checks[0].Result = "fine" },
		"a check twice":           func(r *Report) { r.Checks[1].Name = Firewall },
		"a check with a path":     func(r *Report) { r.Checks[0].Name = "../x" },
		"unknown without reason":  func(r *Report) { r.Checks[1].Said = "" },
		"a sentence of two lines": func(r *Report) { r.Checks[0].Said = "a\nb" },
		"a sentence turned over":  func(r *Report) { r.Checks[0].Said = "a\u202eb" },
		"a long sentence":         func(r *Report) { r.Checks[0].Said = strings.Repeat("x", 301) },
		"too many checks":         func(r *Report) { r.Checks = make([]Check, MostChecks+1) },
		"an event without a room": func(r *Report) { r.Events[0].Kind = "found" },
		"a made-up alarm":         func(r *Report) { r.Witness.Alarm = "fire" },
		"another system":          func(r *Report) { r.System.OS = "plan9" },
	} {
		r := sample()
		change(&r)
		m, err := Sign(k, LabelReport, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Report(); !errors.Is(err, ErrTorn) {
			t.Errorf("%s: got %v, want a refusal", title, err)
		}
	}
	if _, err := Read(strings.NewReader(`{"body":"` + strings.Repeat("A", 3*MostBytes) + `"}`)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a message of %d bytes: %v", 3*MostBytes, err)
	}
	if _, err := Read(strings.NewReader(`{"body":"e30=","signature":""} {}`)); !errors.Is(err, ErrTorn) {
		t.Errorf("two messages in one: %v", err)
	}
}

// A newer agent may say more: what is not known here is left out, and its checks
// are kept.
func TestTheNextVersionIsUnderstood(t *testing.T) {
	body := `{"format":2,"device":"` + string(id.New[id.Device]()) + `","agent":"v9","count":1,"nonce":"","link":"","system":{"os":"linux","kernel":"7"},"checks":[{"name":"moon-phase","result":"pass","said":"Full.","age":0,"colour":"silver"}],"mood":"calm"}`
	r, err := Signed{Body: []byte(body)}.Report()
	if err != nil || len(r.Checks) != 1 || r.Checks[0].Name != "moon-phase" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Every check says what to do on every system on which it can fail.
func TestEveryCheckSaysHowToMendIt(t *testing.T) {
	only := map[string][]string{Integrity: {"darwin"}, Gatekeeper: {"darwin"}}
	for _, a := range Known {
		if !Word(a.Name) || a.Title == "" || a.Why == "" || a.Asks == "" || a.Failing == "" || a.Minutes < 1 {
			t.Errorf("%s lacks words: %+v", a.Name, a)
		}
		systems := only[a.Name]
		if systems == nil {
			systems = []string{"linux", "darwin", "windows"}
		}
		for _, s := range systems {
			if a.Fix[s] == "" {
				t.Errorf("%s does not say what to do on %s", a.Name, s)
			}
		}
	}
}

// What a stranger sends is refused or read; what was read can be sent on.
func FuzzMessage(f *testing.F) {
	k := signer(f)
	m, _ := Sign(k, LabelReport, sample())
	b, _ := json.Marshal(m)
	f.Add(b)
	f.Add([]byte(`{"body":"e30=","signature":"AA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bytes.NewReader(b))
		if err != nil {
			m = Signed{Body: b}
		}
		if m.By(signerPublic, LabelReport) {
			t.Fatal("somebody signed with a key that is nobody's")
		}
		m.Enrol()
		r, err := m.Report()
		if err != nil {
			return
		}
		if len(r.Checks) > MostChecks || id.Check(r.Device) != nil {
			t.Fatalf("a report beyond its bounds was taken: %+v", r)
		}
		for _, c := range r.Checks {
			if c.Result == Unknown && c.Said == "" || strings.ContainsAny(c.Said, "\r\n\x00") {
				t.Fatalf("a check beyond its bounds was taken: %+v", c)
			}
		}
		for _, s := range []string{Line(string(b)), Name(string(b))} {
			if !text(s, mostSaid) {
				t.Fatalf("what was cleaned is not clean: %q", s)
			}
		}
	})
}

var signerPublic = func() []byte {
	s, err := seal.SignerFrom(seal.DeriveKey([]byte("a secret that is nobody’s"), "test"))
	if err != nil {
		panic(err)
	}
	return s.Public()
}()
