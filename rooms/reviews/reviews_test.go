package reviews_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/reviews"
)

var start = time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC)

const (
	maya = id.Person("MAYAAAAAAAAAAAAAAAAAAAAAAA")
	tom  = id.Person("TOMAAAAAAAAAAAAAAAAAAAAAAA")
)

type practice struct {
	*reviews.Reviews
	t      *testing.T
	mux    *web.Mux
	now    time.Time
	says   []layer.Evidence
	people []id.Person
	noTap  bool
	tapped []string
}

func newPractice(t *testing.T) *practice {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p := &practice{t: t, now: start, people: []id.Person{maya, tom}}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), db, key, p.clock); err != nil {
		t.Fatal(err)
	}
	p.Reviews = reviews.New(reviews.Config{DB: db, Now: p.clock, Installed: start, Practice: func() string { return "Harbor Counseling" },
		Evidence: func(context.Context) ([]layer.Evidence, error) { return p.says, nil },
		Name: func(_ context.Context, who id.Person) string {
			return map[id.Person]string{maya: "Maya Lindqvist", tom: "Tom Reyes"}[who]
		},
		People: func(context.Context) ([]id.Person, error) { return p.people, nil },
		Tap: func(r *http.Request, act, object string) (context.Context, func(), error) {
			if p.noTap {
				return nil, nil, errors.New("no tap")
			}
			p.tapped = append(p.tapped, act+" "+object)
			return r.Context(), func() {}, nil
		},
	})
	room := p.Layer()
	if err := db.Migrate(t.Context(), room.Name, room.Schema); err != nil {
		t.Fatal(err)
	}
	p.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: p.clock})
	p.mux.SetSessions(somebody{})
	p.mux.Script("passkey.js", []byte("export {}"))
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

func (p *practice) get(path string) string {
	p.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		p.t.Fatalf("%s answers %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (p *practice) post(path string, form ...string) int {
	p.t.Helper()
	v := url.Values{"_token": {token.FindStringSubmatch(p.get("/reviews/risk"))[1]}}
	for i := 0; i < len(form); i += 2 {
		v.Set(form[i], form[i+1])
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	return w.Code
}

func (p *practice) evidence(claim string) layer.Evidence {
	p.t.Helper()
	for e, err := range p.Layer().Evidence(p.t.Context()) {
		if err != nil {
			p.t.Fatal(err)
		}
		if e.Claim == claim {
			return e
		}
	}
	p.t.Fatalf("nobody claims %s", claim)
	return layer.Evidence{}
}

var fields = regexp.MustCompile(`<select id="[a-z0-9-]+" name="((?:place|q)\.[a-z0-9-]+)"`)

// answerAll answers everything on the page: nothing is used, and each question
// with the given word.
func (p *practice) answerAll(word string) (questions int) {
	p.t.Helper()
	form, seen := []string{}, map[string]bool{}
	for _, m := range fields.FindAllStringSubmatch(p.get("/reviews/risk"), -1) {
		if seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		if strings.HasPrefix(m[1], "place.") {
			form = append(form, m[1], "unused")
			continue
		}
		questions++
		form = append(form, m[1], word)
	}
	for _, part := range []string{"where", "practice", "people", "place", "devices", "vendors", "plan"} {
		if code := p.post("/reviews/risk/parts/"+part, form...); code != http.StatusSeeOther {
			p.t.Fatalf("answering %s answers %d", part, code)
		}
	}
	return questions
}

var findingForm = regexp.MustCompile(`action="/reviews/risk/findings/([a-z0-9.-]+)"`)

func (p *practice) decideAll(treatment, due string) (n int) {
	p.t.Helper()
	for _, m := range findingForm.FindAllStringSubmatch(p.get("/reviews/risk"), -1) {
		n++
		if code := p.post("/reviews/risk/findings/"+m[1], "treatment", treatment, "owner", string(tom), "due", due, "reason", "because we do"); code != http.StatusSeeOther {
			p.t.Fatalf("deciding %s answers %d", m[1], code)
		}
	}
	return n
}

func TestARiskAnalysisIsADraftUntilSomebodySigns(t *testing.T) {
	p := newPractice(t)
	if page := p.get("/reviews/risk"); strings.Contains(page, " selected") || strings.Contains(page, " checked") {
		t.Fatal("something is answered beforehand")
	}
	if e := p.evidence("reviews.risk-analysis"); e.State != layer.NotKnown {
		t.Fatalf("an empty risk analysis reads %v", e.State)
	}
	if !strings.Contains(p.get("/reviews/risk/read"), "Draft") || !strings.Contains(p.get("/reviews/risk/read"), "Not known") {
		t.Error("an empty document does not say that it is a draft")
	}
	if code := p.post("/reviews/risk/sign"); code != http.StatusUnprocessableEntity {
		t.Fatalf("an empty draft can be signed: %d", code)
	}
	if n := p.answerAll("unsure"); n == 0 || n > 20 {
		t.Fatalf("%d questions are asked, want 20 at most", n)
	}
	if code := p.post("/reviews/risk/sign"); code != http.StatusUnprocessableEntity {
		t.Fatalf("it can be signed with findings that nobody decided: %d", code)
	}
	if n := p.decideAll("fix", "2027-03-01"); n < 10 {
		t.Fatalf("only %d findings follow from being unsure of everything", n)
	}
	p.noTap = true
	if code := p.post("/reviews/risk/sign"); code < 400 {
		t.Fatal("it was signed without a tap")
	}
	p.noTap = false
	if code := p.post("/reviews/risk/sign"); code != http.StatusSeeOther || len(p.tapped) != 1 {
		t.Fatalf("signing answers %d, taps %v", code, p.tapped)
	}
	if strings.Contains(p.get("/reviews/risk/read"), "Draft") {
		t.Error("the signed document is still named a draft")
	}
	e := p.evidence("reviews.risk-analysis")
	if e.State != layer.YourWord || !strings.Contains(e.Text, "Maya Lindqvist") {
		t.Errorf("signed, it reads %v: %s", e.State, e.Text)
	}
	p.now = time.Date(2027, 3, 3, 12, 0, 0, 0, time.UTC)
	if e := p.evidence("reviews.treatments"); e.State != layer.Urgent {
		t.Errorf("two days after its day a treatment reads %v", e.State)
	}
	p.now = start.AddDate(1, 0, 3)
	if e := p.evidence("reviews.risk-analysis"); e.State != layer.NotKnown {
		t.Errorf("after a year in which nothing else was done either it reads %v", e.State)
	}
}

func TestWhatChangesReopensJustItsParagraph(t *testing.T) {
	p := newPractice(t)
	p.answerAll("no")
	p.decideAll("accept", "2027-03-01")
	if code := p.post("/reviews/risk/sign"); code != http.StatusSeeOther {
		t.Fatalf("signing answers %d", code)
	}
	p.people = []id.Person{maya}
	e := p.evidence("reviews.risk-analysis")
	if e.State != layer.NeedsYou || !strings.Contains(e.Text, "“People”") || strings.Count(e.Text, "“") != 1 {
		t.Errorf("after somebody left it reads %v: %s", e.State, e.Text)
	}
	p.people = []id.Person{maya, tom}
	if e := p.evidence("reviews.risk-analysis"); e.State != layer.YourWord {
		t.Errorf("as it was when it was signed, it reads %v", e.State)
	}
	p.post("/reviews/vendors", "name", "SimplePractice", "holds", "records")
	if e := p.evidence("reviews.risk-analysis"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "“Vendors and tools”") {
		t.Errorf("with a new vendor it reads %v: %s", e.State, e.Text)
	}
}

func TestAPlaceWithoutAnAgreementIsAFinding(t *testing.T) {
	p := newPractice(t)
	p.answerAll("no")
	p.post("/reviews/risk/parts/where", "place.ehr", "used", "place.ehr.note", "SimplePractice")
	const finding = "no agreement or reason is written down"
	if !strings.Contains(p.get("/reviews/risk"), finding) {
		t.Fatal("a vendor without agreement is no finding")
	}
	if code := p.post("/reviews/vendors", "name", "SimplePractice", "holds", "records", "signed", "2027-03-01"); code != http.StatusUnprocessableEntity {
		t.Errorf("an agreement was signed on a day to come: %d", code)
	}
	p.post("/reviews/vendors", "name", "SimplePractice", "holds", "records", "signed", "2026-03-01")
	if strings.Contains(p.get("/reviews/risk"), finding) {
		t.Error("with an agreement it is still a finding")
	}
}

func TestRulesAreSignedByEachPersonAndAgainWhenTheyChange(t *testing.T) {
	p := newPractice(t)
	p.post("/reviews/officials", "security", string(maya), "privacy", string(tom))
	if page := p.get("/reviews/papers/security"); !strings.Contains(page, "Maya Lindqvist answers for security") {
		t.Error("the rules are not filled with who answers")
	}
	for _, kind := range []string{"security", "workstation", "contingency", "incidents", "sanctions", "notice"} {
		if code := p.post("/reviews/papers/" + kind + "/sign"); code != http.StatusSeeOther {
			t.Fatalf("signing %s answers %d", kind, code)
		}
	}
	if e := p.evidence("reviews.policies"); e.State != layer.YourWord {
		t.Errorf("all signed, it reads %v: %s", e.State, e.Text)
	}
	if e := p.evidence("reviews.officials"); e.State != layer.YourWord {
		t.Errorf("who answers reads %v", e.State)
	}
	p.people = []id.Person{tom} // the signer has left
	if e := p.evidence("reviews.officials"); e.State != layer.NeedsYou {
		t.Errorf("who answers for security has left, and it reads %v", e.State)
	}
	p.people = []id.Person{maya, tom}
	p.post("/reviews/officials", "security", string(tom), "privacy", string(tom))
	if page := p.get("/reviews/papers"); !strings.Contains(page, "It changed since it was signed") {
		t.Error("the rules name somebody else, and are still signed")
	}
}

func TestTheFeedTellsDaysAndNothingElse(t *testing.T) {
	p := newPractice(t)
	v := url.Values{"_token": {token.FindStringSubmatch(p.get("/reviews/risk"))[1]}}
	r := httptest.NewRequest("POST", "/reviews/feed", strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	feed := "/reviews/feed/" + strings.TrimPrefix(w.Header().Get("Location"), "/reviews?feed=") + ".ics"
	text := p.get(feed)
	if !strings.Contains(text, "DTSTART;VALUE=DATE:2026") || strings.Contains(text, "Harbor") || strings.Contains(strings.ToLower(text), "risk") {
		t.Errorf("the feed reads:\n%s", text)
	}
	w = httptest.NewRecorder()
	p.mux.ServeHTTP(w, httptest.NewRequest("GET", "/reviews/feed/AAAAAAAAAAAAAAAAAAAAAAAAAA.ics", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("another address answers %d", w.Code)
	}
}

func TestAYearMissesNothingAndNagsNobody(t *testing.T) {
	for _, sabotage := range []bool{false, true} {
		for day := range 4 { // whichever day of the week it begins
			p := newPractice(t)
			p.now = start.AddDate(0, 0, 11*day)
			r, err := p.Layer().Drills[0].Run(t.Context(), &layer.Stage{Sabotage: sabotage, Step: func(int, int) {}})
			if err != nil {
				t.Fatal(err)
			}
			if *r.Held == sabotage || r.Tried < 365 {
				t.Errorf("from %s, sabotage %v: held %v after %d looks: %v %v", p.now.Format(time.DateOnly), sabotage, *r.Held, r.Tried, r.Findings, r.More)
			}
			if sabotage {
				break
			}
		}
	}
}
