package compliance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/compliance"
	"quietroom/rooms/compliance/binder"
)

var start = time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC)

// practice is a house with this one room; what the others say is in the test's hand.
type practice struct {
	*compliance.Compliance
	t    *testing.T
	mux  *web.Mux
	now  time.Time
	says []layer.Evidence
	gone bool // Maya has left
}

const maya = id.Person("MAYAAAAAAAAAAAAAAAAAAAAAAA")

func newPractice(t *testing.T) *practice {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p := &practice{t: t, now: start}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, key, p.clock)
	if err != nil {
		t.Fatal(err)
	}
	p.Compliance = compliance.New(compliance.Config{DB: db, Now: p.clock, Ledger: l, Key: key.Verifier(), Version: "test",
		Evidence: func(context.Context) ([]layer.Evidence, error) { return p.says, nil },
		Name:     func(context.Context, id.Person) string { return "Maya Lindqvist" },
		Works:    func(context.Context, id.Person) bool { return !p.gone },
		Practice: func() string { return "Harbor Counseling" },
	})
	room := p.Layer()
	if err := db.Migrate(t.Context(), room.Name, room.Schema); err != nil {
		t.Fatal(err)
	}
	p.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: p.clock})
	p.mux.SetSessions(somebody{})
	room.Mount(p.mux)
	return p
}

func (p *practice) clock() time.Time { return p.now }

type somebody struct{}

func (somebody) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	if _, err := r.Cookie(web.SessionCookie); err != nil {
		return nil, nil, web.ErrNoSession
	}
	return id.With(r.Context(), id.Actor{Person: maya, Session: "S"}), func() {}, nil
}
func (somebody) IsOwner(context.Context) bool  { return true }
func (somebody) Person(context.Context) string { return "Maya Lindqvist" }

var token = regexp.MustCompile(`name="_token" value="([^"]+)"`)

// ask sends a form the way a browser does: from a page, with its token.
func (p *practice) ask(method, path, from, form string) *httptest.ResponseRecorder {
	p.t.Helper()
	if method == "POST" {
		m := token.FindStringSubmatch(p.ask("GET", from, "", "").Body.String())
		if m == nil {
			p.t.Fatalf("%s has no form", from)
		}
		form += "&_token=" + strings.ReplaceAll(m[1], "+", "%2B")
	}
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	return w
}

func (p *practice) standing(control string) compliance.Standing {
	p.t.Helper()
	all, err := p.Standings(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == control {
			return s
		}
	}
	p.t.Fatalf("no standing of %s", control)
	return compliance.Standing{}
}

func (p *practice) saw(claim string, state layer.State, lasts time.Duration) layer.Evidence {
	return layer.Evidence{Claim: claim, Text: "Seen: " + claim + ".", State: state, Seen: p.now, Until: p.now.Add(lasts)}
}

func TestAControlIsAsItsWorstClaimAndRunsOut(t *testing.T) {
	p := newPractice(t)
	const audit = "164.312(b)" // compliance.ledger and home.drill.tamper
	if s := p.standing(audit); s.State != layer.NotKnown || len(s.Parts) != 2 || !s.Parts[0].Missing {
		t.Fatalf("what nobody claims reads %v", s.State)
	}
	p.says = []layer.Evidence{p.saw("compliance.ledger", layer.Safe, time.Hour), p.saw("home.drill.tamper", layer.Safe, 30*24*time.Hour)}
	if s := p.standing(audit); s.State != layer.Safe {
		t.Errorf("both claims are fresh, and it reads %v", s.State)
	}
	p.says[1].State = layer.Urgent
	if s := p.standing(audit); s.State != layer.Urgent {
		t.Errorf("one of two claims is urgent, and it reads %v", s.State)
	}
	p.says[1].State = layer.Safe
	p.now = p.now.Add(2 * time.Hour)
	if s := p.standing(audit); s.State != layer.NotKnown {
		t.Errorf("an hour after its end a claim still counts: %v", s.State)
	}
}

func TestWhatOnlyAPersonCanSayNeverLooksMeasured(t *testing.T) {
	p := newPractice(t)
	const door = "164.310(a)(1)"
	if s := p.standing(door); s.State != layer.NotKnown || s.Open == "" {
		t.Fatalf("nobody said how the office is locked, and it reads %v", s.State)
	}
	if w := p.ask("POST", "/proof/"+door+"/word", "/proof/"+door, "kind=said&text=The+office+is+locked+at+night"); w.Code != http.StatusSeeOther {
		t.Fatalf("saying so answers %d: %s", w.Code, w.Body)
	}
	s := p.standing(door)
	if s.State != layer.YourWord || s.Word.Who != "Maya Lindqvist" || s.Word.Text != "The office is locked at night" {
		t.Errorf("after a person's word it reads %v, %+v", s.State, s.Word)
	}
	page := p.ask("GET", "/proof/"+door, "", "").Body.String()
	if !strings.Contains(page, `data-is="word"`) || !strings.Contains(page, "The office is locked at night") || strings.Contains(page, `data-is="safe"`) {
		t.Error("the page does not show a person's word as such")
	}
	p.gone = true
	if s := p.standing(door); s.State != layer.NotKnown || !strings.Contains(s.Open, "has left") {
		t.Errorf("the word of somebody who left still stands: %v, %q", s.State, s.Open)
	}
	p.gone, p.now = false, p.now.AddDate(1, 0, 1)
	if s := p.standing(door); s.State != layer.NotKnown {
		t.Errorf("after a year without review it reads %v", s.State)
	}
	var due bool
	for e, err := range p.Layer().Evidence(t.Context()) {
		due = due || err == nil && e.Claim == "compliance.words" && e.State == layer.NeedsYou
	}
	if !due {
		t.Error("a word has to be said again, and home does not say so")
	}
}

func TestDoesNotApplyNeedsAReasonAndComesBack(t *testing.T) {
	p := newPractice(t)
	const plan = "164.314(b)(1)"
	if w := p.ask("POST", "/proof/"+plan+"/word", "/proof/"+plan, "kind=off&text="); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("it does not apply, without a reason: %d", w.Code)
	}
	if w := p.ask("POST", "/proof/"+plan+"/word", "/proof/"+plan, "kind=not-done&text=because"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a required standard was put aside as not reasonable: %d", w.Code)
	}
	p.ask("POST", "/proof/"+plan+"/word", "/proof/"+plan, "kind=off&text=We+are+no+health+plan")
	if s := p.standing(plan); s.State != layer.Off {
		t.Errorf("it does not apply, and reads %v", s.State)
	}
	p.ask("POST", "/proof/"+plan+"/word", "/proof/"+plan, "kind=taken-back&text=We+are+one+now")
	if s := p.standing(plan); s.State != layer.NotKnown || s.Word != nil {
		t.Errorf("what was taken back still reads %v", s.State)
	}
}

func TestTheBundleHoldsAndCarriesItsTimes(t *testing.T) {
	p := newPractice(t)
	p.says = []layer.Evidence{p.saw("compliance.ledger", layer.Safe, time.Hour), p.saw("home.drill.tamper", layer.Safe, time.Hour)}
	p.ask("POST", "/proof/164.310(a)(1)/word", "/proof/164.310(a)(1)", "kind=said&text=The+office+is+locked+at+night")
	m, err := p.Make(t.Context(), p.now.AddDate(-1, 0, 0), p.now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := binder.Verify(bytes.NewReader(m.Bundle), int64(len(m.Bundle)))
	if err != nil || !r.Held || r.Facts != 1 || r.Head != m.Head {
		t.Fatalf("it verifies as %+v, %v", r, err)
	}
	for _, want := range []string{"The office is locked at night", "Maya Lindqvist", "Seen: compliance.ledger.", "<b>not law</b>", "not privileged", "45 CFR 164.316(b)(2)(iii)"} {
		if !bytes.Contains(m.Bundle, []byte(want)) {
			t.Errorf("the bundle does not say %q", want)
		}
	}
	if n := m.Tally[layer.Safe] + m.Tally[layer.YourWord] + m.Tally[layer.NotKnown]; n != 65 {
		t.Errorf("the states of %d of 65 are counted", n)
	}
	if _, err := p.Make(t.Context(), p.now, p.now.Add(-time.Hour)); err == nil {
		t.Error("a period that ends before it begins is taken")
	}
}

func TestNothingLeavesBeforeItWasRead(t *testing.T) {
	p := newPractice(t)
	w := p.ask("POST", "/proof/binder", "/proof/binder", "months=12")
	made := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(made, "/proof/binder/") {
		t.Fatalf("making answers %d, to %q", w.Code, made)
	}
	if w := p.ask("POST", made+"/take", made, "read=yes"); w.Code != http.StatusConflict {
		t.Errorf("an unread bundle leaves: %d", w.Code)
	}
	if page := p.ask("GET", made, "", "").Body.String(); !strings.Contains(page, "These pages are not privileged. Ask your lawyer first if somebody is investigating you.") {
		t.Error("the sentence about privilege is missing")
	}
	if w := p.ask("GET", made+"/binder.html", "", ""); w.Code != http.StatusOK {
		t.Fatalf("the exact pages answer %d", w.Code)
	}
	if w := p.ask("POST", made+"/take", made, "read=no"); w.Code != http.StatusConflict {
		t.Errorf("a bundle leaves without the sentence: %d", w.Code)
	}
	w = p.ask("POST", made+"/take", made, "read=yes")
	if r, err := binder.Verify(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len())); err != nil || !r.Held {
		t.Errorf("what left does not hold: %v %+v", err, r)
	}
	p.now = p.now.Add(2 * time.Hour)
	if w := p.ask("GET", made, "", ""); w.Code != http.StatusNotFound {
		t.Errorf("a bundle of two hours ago is still there: %d", w.Code)
	}
}

func TestALinkShowsOneBinderUntilItsDay(t *testing.T) {
	p := newPractice(t)
	made := p.ask("POST", "/proof/binder", "/proof/binder", "months=12").Header().Get("Location")
	if w := p.ask("POST", made+"/link", made, "read=yes&days=14"); w.Code != http.StatusConflict {
		t.Errorf("a link to an unread binder: %d", w.Code)
	}
	p.ask("GET", made+"/binder.html", "", "")
	if w := p.ask("POST", made+"/link", made, "read=yes&days=90"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a link for 90 days: %d", w.Code)
	}
	page := p.ask("POST", made+"/link", made, "read=yes&days=14").Body.String()
	m := regexp.MustCompile(`/auditor/[A-Z2-7]{26}`).FindString(page)
	if m == "" {
		t.Fatalf("no link is shown: %s", page)
	}
	stranger := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		p.mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	if w := stranger(m); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Harbor Counseling") {
		t.Errorf("the link answers %d", w.Code)
	}
	w := stranger(m + "/proof.zip")
	if r, err := binder.Verify(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len())); err != nil || !r.Held {
		t.Errorf("the file behind the link does not hold: %v %v", err, r.Findings)
	}
	if w := stranger(m + "/binder.html"); w.Code != http.StatusOK {
		t.Errorf("its pages answer %d", w.Code)
	}
	for _, path := range []string{"/auditor/AAAAAAAAAAAAAAAAAAAAAAAAAA", m + "/../../proof", m + "/no-such.html", "/proof"} {
		if w := stranger(path); w.Code == http.StatusOK {
			t.Errorf("a stranger reads %s", path)
		}
	}
	p.now = p.now.AddDate(0, 0, 15)
	if w := stranger(m); w.Code != http.StatusNotFound {
		t.Errorf("a day after its end the link answers %d", w.Code)
	}
}

// NIST's own schemas (public domain, see NOTICE).
func TestOSCALIsValidAgainstNISTsSchemas(t *testing.T) {
	p := newPractice(t)
	p.says = []layer.Evidence{p.saw("compliance.ledger", layer.Safe, time.Hour), p.saw("devices.encrypted", layer.NeedsYou, time.Hour)}
	p.ask("POST", "/proof/164.310(a)(1)/word", "/proof/164.310(a)(1)", "kind=said&text=The+office+is+locked+at+night")
	m, err := p.Make(t.Context(), p.now.AddDate(-1, 0, 0), p.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"catalog", "assessment-results"} {
		text := compliance.Entry(m, "oscal/"+name+".json")
		if text == nil {
			t.Fatalf("there is no %s", name)
		}
		schema := schemaOf(t, name)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		doc.(map[string]any)[name].(map[string]any)["surprise"] = true
		if schema.Validate(doc) == nil {
			t.Errorf("%s: the schema finds nothing, so it was not looked at", name)
		}
	}
	var results map[string]map[string]any
	if err := json.Unmarshal(compliance.Entry(m, "oscal/assessment-results.json"), &results); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(compliance.Entry(m, "oscal/assessment-results.json")), "satisfied\":") {
		t.Error("a conclusion is drawn, which people draw")
	}
}

func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "oscal", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	unsnarl(doc)
	k := jsonschema.NewCompiler()
	k.AssertFormat()
	if err := k.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := k.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unsnarl lets an $id stand beside a $ref, as NIST means it: in draft 7 what is
// beside a $ref is ignored, and its anchors would not be found.
func unsnarl(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			unsnarl(e)
		}
	case map[string]any:
		if ref, ok := v["$ref"]; ok && v["$id"] != nil {
			delete(v, "$ref")
			v["allOf"] = []any{map[string]any{"$ref": ref}}
		}
		for _, e := range v {
			unsnarl(e)
		}
	}
}
