package trackers_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/trackers"
)

// house is the room alone, in a house that has nothing else.
type house struct {
	*trackers.Trackers
	t      testing.TB
	ledger *ledger.Ledger
	mux    *web.Mux
	now    time.Time
	next   func(trackers.Options) (*trackers.Result, error) // what the next scan sees
	asked  []trackers.Options
}

type owner struct{}

func (owner) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	return id.With(r.Context(), id.Actor{Person: "the.owner"}), func() {}, nil
}
func (owner) IsOwner(context.Context) bool  { return true }
func (owner) Person(context.Context) string { return "Jo" }

func newHouse(t testing.TB, db *store.DB) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return h.now }
	if h.ledger, err = ledger.Open(t.Context(), db, key, clock); err != nil {
		t.Fatal(err)
	}
	h.Trackers = trackers.New(trackers.Config{DB: db, Now: clock, Scratch: func() (string, func(), error) { return "", func() {}, nil },
		Name: func(context.Context, id.Person) string { return "Jo Rivera" },
		Scan: func(_ context.Context, o trackers.Options) (*trackers.Result, error) {
			h.asked = append(h.asked, o)
			return h.next(o)
		}})
	l := h.Layer()
	if err := db.Migrate(t.Context(), l.Name, l.Schema); err != nil {
		t.Fatal(err)
	}
	h.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: clock})
	h.mux.SetSessions(owner{})
	l.Mount(h.mux)
	return h
}

func sqlite(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// post sends a form as the owner's page does, and returns status and body.
func (h *house) post(path string, form url.Values) (int, string) {
	h.t.Helper()
	form.Set(web.TokenField, tokenIn(h.t, h.get("/site")))
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "a session"})
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func tokenIn(t testing.TB, page string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `name="`+web.TokenField+`" value="`)
	if !ok {
		t.Fatal("the page has no form")
	}
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

func (h *house) get(path string) string {
	h.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "a session"})
	h.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		h.t.Fatalf("GET %s: status %d", path, w.Code)
	}
	return w.Body.String()
}

func (h *house) says() (all []layer.Evidence) {
	h.t.Helper()
	for e, err := range h.Layer().Evidence(h.t.Context()) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, e.At(h.now))
	}
	return all
}

func (h *house) facts() (kinds []string) {
	h.t.Helper()
	for e, err := range h.ledger.Facts(h.t.Context(), ledger.Query{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// tick runs the watch once, at a time.
func (h *house) tick(at time.Time) {
	h.t.Helper()
	h.now = at
	if err := h.Layer().Jobs[0].Run(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// saw is a scan that found these things on the booking page.
func (h *house) saw(findings ...trackers.Finding) func(trackers.Options) (*trackers.Result, error) {
	return func(o trackers.Options) (*trackers.Result, error) {
		r := &trackers.Result{URL: o.URL, Began: h.now, Browser: "Chromium 1", Sandbox: true, HAR: strings.Repeat("ab", 32), Findings: findings,
			Pages:  []trackers.Page{{URL: "https://harbor.example/book", Kind: trackers.Booking, Fields: 4}},
			Checks: []trackers.Check{{Name: "notice of privacy practices", State: trackers.Good, Text: "A link to a Notice of Privacy Practices stands on the home page."}}}
		return r, nil
	}
}

var (
	mail = trackers.Finding{Kind: trackers.FormData, Severity: trackers.Stop, Page: "https://harbor.example/book", PageKind: trackers.Booking, To: "www.facebook.com", Vendor: "Meta (Facebook)", URL: "https://www.facebook.com/tr?id=1&ud[em]=abc",
		What: "e-mail address", Encoding: "sha256", BeforeConsent: true, Evidence: trackers.Evidence{Request: 7, Text: "ud[em]=abc", Scripts: []string{"https://connect.facebook.net/en_US/fbevents.js"}}, Why: "Because."}
	who = trackers.Finding{Kind: trackers.FormData, Severity: trackers.Stop, Page: "https://harbor.example/book", PageKind: trackers.Booking, To: "www.facebook.com", Vendor: "Meta (Facebook)", URL: "https://www.facebook.com/tr?id=1&cd[who]=x",
		What: "what was chosen under “Clinician”", Encoding: "plain"}
)

func TestASiteIsScannedOnlyByTheOwnersWord(t *testing.T) {
	h := newHouse(t, sqlite(t))
	h.next = h.saw()
	for name, form := range map[string]url.Values{
		"no word":         {"url": {"https://harbor.example"}},
		"no site":         {"url": {"harbor"}, "ours": {"no"}},
		"a file":          {"url": {"file:///etc/passwd"}, "ours": {"yes"}},
		"somebody's page": {"url": {"https://harbor.example"}, "ours": {"yes"}, "named": {"https://other.example/x"}},
		"no host":         {"url": {"https://harbor.example"}, "ours": {"yes"}, "hosts": {"no host"}},
	} {
		if status, _ := h.post("/site", form); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d, want 422", name, status)
		}
	}
	h.tick(h.now)
	if len(h.asked) > 0 {
		t.Fatalf("a scan of %s was made that nobody asked for", h.asked[0].URL)
	}
	if e := h.says(); len(e) != 1 || e[0].State != layer.NotKnown {
		t.Errorf("without a site it says %+v, want one Not known", e)
	}
	if status, body := h.post("/site", url.Values{"url": {"harbor.example"}, "ours": {"yes"}, "hosts": {"booking.harbor.example"}, "named": {"https://booking.harbor.example/new"}, "days": {"7"}}); status != http.StatusSeeOther {
		t.Fatalf("naming a site: status %d %s", status, body)
	}
	h.tick(h.now)
	if len(h.asked) != 1 || h.asked[0].URL != "https://harbor.example" || !slices.Equal(h.asked[0].Hosts, []string{"booking.harbor.example"}) || len(h.asked[0].Tests) != 0 || h.asked[0].Local {
		t.Fatalf("scanned %+v", h.asked)
	}
}

func TestTheWatchTellsWhatIsNewAndSinceWhen(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) { watch(t, newHouse(t, open())) })
}

func watch(t *testing.T, h *house) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 9, 0, 0, 0, time.UTC) }
	h.now = day(1)
	h.post("/site", url.Values{"url": {"https://harbor.example"}, "ours": {"yes"}, "days": {"7"}})

	h.next = h.saw()
	h.tick(day(1))
	h.tick(day(3)) // not due
	if e := h.says(); len(h.asked) != 1 || e[0].State != layer.Safe || e[1].Claim != "trackers.notice" || e[1].State != layer.Safe {
		t.Fatalf("after a clean scan: %d scans, %+v", len(h.asked), e)
	}

	h.next = h.saw(mail, who)
	h.tick(day(9))
	e := h.says()
	if e[0].State != layer.NeedsYou || e[0].Text != "Your booking page told Meta (Facebook) a hash of the e-mail address and what was chosen under “Clinician”." {
		t.Fatalf("a new harm reads %+v", e[0])
	}
	if want := "Test data typed on this page reached Meta (Facebook). Real patients’ data may have left in the same way between November 1, 2026, the last clean scan of it, and November 9, 2026."; e[0].Why != want {
		t.Errorf("the question is\n%s\nwant\n%s", e[0].Why, want)
	}
	if n := len(slices.DeleteFunc(e, func(e layer.Evidence) bool { return e.State != layer.NeedsYou })); n != 1 {
		t.Errorf("one receiver on one page makes %d Needs you, want 1", n)
	}
	harm := e[0].Page
	page := h.get(harm)
	for _, want := range []string{"WordPress", "Squarespace", "Wix", "Google Tag Manager", "fbq(", "fbevents.js", "Hello,", "2024-06-20", strings.Repeat("ab", 32)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of a harm does not show %q", want)
		}
	}
	h.tick(day(16)) // the same again: one harm still
	if e := h.says(); e[0].Page != harm || !strings.Contains(e[0].Why, "between November 1, 2026") || !strings.Contains(e[0].Why, "November 16") {
		t.Errorf("seen again it reads %+v", e[0])
	}
	if status, _ := h.post(harm, url.Values{"decision": {"removed"}}); status != http.StatusSeeOther {
		t.Fatalf("deciding: status %d", status)
	}
	if e := h.says(); e[0].State == layer.Safe {
		t.Errorf("somebody's word made it safe: %+v", e[0])
	}
	h.tick(day(23)) // said to be gone, and is not
	if e := h.says(); e[0].State != layer.NeedsYou || e[0].Page != harm {
		t.Errorf("still there after it was said to be out, it reads %+v", e[0])
	}
	h.next = h.saw()
	h.tick(day(30))
	if e := h.says(); e[0].State != layer.Safe {
		t.Errorf("gone, it reads %+v", e[0])
	}
	h.now = day(30).AddDate(0, 2, 0)
	if e := h.says(); e[0].State != layer.NotKnown {
		t.Errorf("two months later it still reads %v", e[0].State)
	}
	got := h.facts()
	for _, want := range []string{"trackers.site-named", "trackers.scanned", "trackers.harm-found", "trackers.decided", "trackers.harm-gone"} {
		if !slices.Contains(got, want) {
			t.Errorf("no fact %s among %v", want, got)
		}
	}
	if n := len(slices.DeleteFunc(got, func(k string) bool { return k != "trackers.harm-found" })); n != 2 {
		t.Errorf("%d facts of a harm, want 2: when it was new, and when it was said to be out", n)
	}
}

func TestAScanThatCameToNothingIsNotKnown(t *testing.T) {
	h := newHouse(t, sqlite(t))
	h.post("/site", url.Values{"url": {"https://harbor.example"}, "ours": {"yes"}, "days": {"7"}})
	h.next = func(trackers.Options) (*trackers.Result, error) { return nil, trackers.ErrNoSite }
	h.tick(h.now)
	if e := h.says(); e[0].State != layer.NotKnown || !strings.Contains(e[0].Why, "did not answer") {
		t.Errorf("no answer reads %+v", e[0])
	}
	h.next = func(o trackers.Options) (*trackers.Result, error) {
		r, err := h.saw()(o)
		r.Pages[0].Problem = "blocked"
		return r, err
	}
	h.tick(h.now.Add(25 * time.Hour))
	if e := h.says(); e[0].State != layer.NotKnown {
		t.Errorf("a site that shows a scan something else reads %+v", e[0])
	}
}

func TestPagesOfTheRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	h := newHouse(t, sqlite(t))
	srv := httptest.NewServer(h.mux)
	t.Cleanup(srv.Close)
	dir := os.Getenv("QUIETROOM_PICTURES")
	tab := webtest.Browser(t)
	tab.EveryWay(srv.URL+"/site", "site-empty", dir)
	h.post("/site", url.Values{"url": {"https://harbor.example"}, "ours": {"yes"}, "hosts": {"booking.harbor.example"}, "days": {"7"}})
	h.next = h.saw()
	h.tick(h.now)
	h.next = h.saw(mail, who, trackers.Finding{Kind: trackers.Contact, Severity: trackers.Know, Page: "https://harbor.example/book", PageKind: trackers.Booking, To: "fonts.gstatic.com", Vendor: "Google Fonts", URL: "https://fonts.gstatic.com/x.woff2", What: "that somebody opened this page", Sentence: "Your booking page asked Google Fonts for something, so it knows that somebody was there."})
	h.tick(h.now.AddDate(0, 0, 8))
	harm := h.says()[0].Page
	tab.EveryWay(srv.URL+"/site", "site", dir)
	tab.EveryWay(srv.URL+harm, "site-harm", dir)
	_, rest, _ := strings.Cut(h.get("/site"), `href="/site/scans/`)
	scan, _, _ := strings.Cut(rest, `"`)
	tab.EveryWay(srv.URL+"/site/scans/"+scan, "site-scan", dir)
	if !bytes.Contains([]byte(h.get("/site/scans/"+scan)), []byte("Meta (Facebook)")) {
		t.Error("the report does not name the receiver")
	}
}
