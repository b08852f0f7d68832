package signins_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/signins"
	"quietroom/rooms/signins/logs"
)

type house struct {
	*signins.Signins
	t      testing.TB
	db     *store.DB
	ledger *ledger.Ledger
	mux    *web.Mux
	log    *bytes.Buffer
	now    time.Time
}

const owner, dana id.Person = "the.owner", "dana.person"

func newHouse(t testing.TB, db *store.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	if h.ledger, err = ledger.Open(t.Context(), db, key, h.clock); err != nil {
		t.Fatal(err)
	}
	h.Signins = signins.New(signins.Config{DB: db, Now: h.clock, Practice: "practice", Key: seal.DeriveKey([]byte("a key of these tests"), "test"), Mailboxes: h,
		Name: func(_ context.Context, p id.Person) string {
			return map[id.Person]string{owner: "Jo Rivera", dana: "Dana Whitfield"}[p]
		}})
	l := h.Layer()
	if err := db.Migrate(t.Context(), l.Name, l.Schema); err != nil {
		t.Fatal(err)
	}
	h.mux = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: h.clock})
	h.mux.SetSessions(sessions{})
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

func (h *house) clock() time.Time { return h.now }

func (h *house) Mailbox(_ context.Context, address string) (id.Person, error) {
	if address == "dana@harbor.example" {
		return dana, nil
	}
	return "", nil
}

type sessions struct{}

func (sessions) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	return id.With(r.Context(), id.Actor{Person: id.Person(c.Value)}), func() {}, nil
}
func (sessions) IsOwner(ctx context.Context) bool { return id.From(ctx).Person == owner }
func (sessions) Person(context.Context) string    { return "Jo Rivera" }

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("logs", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (h *house) reads(r io.Reader) error {
	_, err := h.Import(id.With(h.t.Context(), id.Actor{Person: owner}), r)
	return err
}

func (h *house) mustRead(name string) {
	h.t.Helper()
	if err := h.reads(bytes.NewReader(sample(h.t, name))); err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
}

// found is every finding in a line: kind, word, times, accepted.
func (h *house) found() (all []string) {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), `SELECT kind || ' ' || word || ' ' || times || ' ' || accepted FROM signins_findings`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

func (h *house) facts(kinds ...string) (n int) {
	h.t.Helper()
	for _, err := range h.ledger.Facts(h.t.Context(), ledger.Query{Kinds: kinds}) {
		if err != nil {
			h.t.Fatal(err)
		}
		n++
	}
	return n
}

func (h *house) says() layer.Evidence {
	h.t.Helper()
	for e, err := range h.Layer().Evidence(h.t.Context()) {
		if err != nil {
			h.t.Fatal(err)
		}
		return e.At(h.now)
	}
	return layer.Evidence{}
}

var allFacts = []string{"signins.prompts-refused", "signins.prompt-accepted", "signins.old-protocol", "signins.one-factor", "signins.far-apart"}

func TestALogIsJudgedTheSameHoweverItComes(t *testing.T) {
	want := []string{"legacy imap 1 0", "one-factor  1 0", "one-factor  1 0", "prompts  4 1", "travel  1 0"}
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		h := newHouse(t, open())
		for _, name := range []string{"entra.json", "entra.json", "entra.ndjson", "entra-graph.json", "entra.csv"} {
			h.mustRead(name)
			if got := h.found(); !slices.Equal(got, want) {
				t.Fatalf("after %s: got %q, want %q", name, got, want)
			}
			if got := h.facts(allFacts...); got != 6 {
				t.Errorf("after %s: %d facts, want 6: one a finding, and one that a prompt was accepted", name, got)
			}
		}
		for e, err := range h.ledger.Facts(t.Context(), ledger.Query{Subject: string(dana)}) {
			if err != nil || e.Ref == "" {
				t.Errorf("a fact about Dana without a finding: %+v, %v", e, err)
			}
		}
	})
}

func TestGoogleLogsAreJudgedToo(t *testing.T) {
	for _, name := range []string{"google.json", "google.csv"} {
		h := newHouse(t, sqlite(t))
		h.mustRead(name)
		if got, want := h.found(), []string{"one-factor  1 0", "prompts  3 1", "travel  1 0"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestABurstThatComesInTwoLogsIsOneFinding(t *testing.T) {
	lines := strings.SplitAfter(string(sample(t, "entra.ndjson")), "\n")
	h := newHouse(t, sqlite(t))
	for _, part := range []string{lines[1] + lines[2] + lines[3], lines[0] + lines[1], lines[3] + lines[4]} {
		if err := h.reads(strings.NewReader(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.found(); !slices.Equal(got, []string{"prompts  4 1"}) {
		t.Errorf("got %q, want one burst of 4", got)
	}
}

func TestALogOfAnotherOrganisationIsRefused(t *testing.T) {
	text := string(sample(t, "entra.ndjson"))
	other := strings.ReplaceAll(strings.ReplaceAll(text, "1d0c3b7e-5a52-4b0e-9a55-3f0e1b2c4d5e", "77777777-1111-4222-8333-444444444444"), "harbor.example", "elsewhere.example")
	h := newHouse(t, sqlite(t))
	h.mustRead("entra.ndjson")
	before := h.found()
	if err := h.reads(strings.NewReader(other)); !errors.Is(err, signins.ErrOther) {
		t.Errorf("it is taken: %v", err)
	}
	if !slices.Equal(h.found(), before) || h.facts("signins.imported") != 1 {
		t.Error("a refused log left something behind")
	}
	if err := h.reads(strings.NewReader(text + other)); err != nil { // a part of it is ours
		t.Fatal(err)
	}
	if !slices.Equal(h.found(), before) {
		t.Errorf("the others’ sign-ins count: %q", h.found())
	}
}

func TestWhatIsNoLogLeavesNothing(t *testing.T) {
	h := newHouse(t, sqlite(t))
	if err := h.reads(strings.NewReader("Name,Date,Diagnosis\nQuillfeather,2026-11-20,F41.1\n")); !errors.Is(err, logs.ErrNotALog) {
		t.Errorf("it is taken: %v", err)
	}
	if e := h.says(); e.State != layer.NotKnown {
		t.Errorf("it says %s: %s", e.State, e.Text)
	}
}

func TestAThiefOfTheDatabaseReadsNoAddressAndNoPlace(t *testing.T) {
	h := newHouse(t, sqlite(t))
	h.mustRead("entra.json")
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := h.db.CopyTo(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"dana@", "lee@harbor", "192.0.2.", "Lagos", "-118.2", "tomorrow"} {
		if bytes.Contains(disk, []byte(secret)) {
			t.Errorf("a stolen database shows %q", secret)
		}
	}
}

func TestWhatWasReadLongAgoIsNotKnown(t *testing.T) {
	h := newHouse(t, sqlite(t))
	lines := strings.SplitAfter(string(sample(t, "entra.ndjson")), "\n")
	if err := h.reads(strings.NewReader(lines[4])); err != nil { // one sign-in as it should be
		t.Fatal(err)
	}
	if e := h.says(); e.State != layer.Safe {
		t.Errorf("it says %s: %s", e.State, e.Text)
	}
	h.now = h.now.Add(31 * 24 * time.Hour)
	if e := h.says(); e.State != layer.NotKnown {
		t.Errorf("a month later it says %s: %s", e.State, e.Text)
	}
}

func TestAcceptedPromptsPressUntilSomebodyDecides(t *testing.T) {
	h := newHouse(t, sqlite(t))
	h.mustRead("entra.json")
	if e := h.says(); e.State != layer.Urgent || strings.Contains(e.Text, "breach") {
		t.Fatalf("it says %s: %s", e.State, e.Text)
	}
	for range 5 {
		_, page := h.get(owner, "/signins")
		number := regexp.MustCompile(`/signins/findings/([A-Z0-9]+)"`).FindStringSubmatch(page)
		if number == nil {
			t.Fatalf("nothing is left to decide:\n%s", page)
		}
		if code := h.post("/signins/findings/"+number[1], "conclusion=handled", page); code != 303 {
			t.Fatalf("it answers %d", code)
		}
	}
	if e := h.says(); e.State != layer.Safe {
		t.Errorf("all is decided, and it says %s: %s", e.State, e.Text)
	}
	if got := h.facts("signins.concluded"); got != 5 {
		t.Errorf("%d conclusions in the ledger, want 5", got)
	}
}

func (h *house) get(who id.Person, path string) (int, string) {
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: string(who)})
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var tokenInPage = regexp.MustCompile(`name="_token" value="([^"]*)"`)

func (h *house) post(path, form, page string) int {
	r := httptest.NewRequest("POST", path, strings.NewReader(form+"&_token="+tokenInPage.FindStringSubmatch(page)[1]))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: string(owner)})
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code
}

func (h *house) uploads(name string, text []byte) (code int, to, page string) {
	_, first := h.get(owner, "/signins")
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	m.WriteField(web.TokenField, tokenInPage.FindStringSubmatch(first)[1])
	f, err := m.CreateFormFile("log", name)
	if err != nil {
		h.t.Fatal(err)
	}
	f.Write(text)
	m.Close()
	r := httptest.NewRequest("POST", "/signins", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: string(owner)})
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

func TestAnOwnerBringsALogAndReadsWhatItSays(t *testing.T) {
	h := newHouse(t, sqlite(t))
	broken := bytes.Replace(sample(t, "entra.csv"), []byte("2026-11-20T14:09:00Z"), []byte("yesterday"), 1)
	code, to, page := h.uploads("signins.csv", broken)
	if code != 303 {
		t.Fatalf("it answers %d:\n%s", code, page)
	}
	_, page = h.get(owner, to)
	for _, want := range []string{"1 place could not be read", "line 11: its time cannot be read", "tomorrow&#39;s column", "13 sign-ins were read"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	_, page = h.get(owner, "/signins")
	for _, want := range []string{"Dana Whitfield", "4 sign-in prompts were refused or not answered", "by IMAP", "lee@harbor.example", "face to face"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if code, _, page := h.uploads("x.csv", []byte("Name,Date,Diagnosis\nQuillfeather,2026-11-20,F41.1\n")); code != 422 || !strings.Contains(page, "no sign-in log") || strings.Contains(page, "Quillfeather") {
		t.Errorf("another table answers %d:\n%s", code, page)
	}
	for _, path := range []string{"/signins", to} {
		if code, _ := h.get(dana, path); code != 403 {
			t.Errorf("%s answers %d to somebody who is no owner", path, code)
		}
	}
	if said := h.log.String(); strings.Contains(said, "harbor") || strings.Contains(said, "Quill") {
		t.Errorf("the log tells of the file:\n%s", said)
	}
}

func TestAChecklistIsAPersonsWordForAYear(t *testing.T) {
	h := newHouse(t, sqlite(t))
	h.mustRead("entra.json")
	_, page := h.get(owner, "/signins")
	if strings.Contains(page, "Google Workspace: 0") || !strings.Contains(page, "Microsoft Entra: 0 of 7") {
		t.Error("the list is not that of the practice’s own provider")
	}
	if code := h.post("/signins/checks", "kind=entra&item=number-matching&done=yes", page); code != 303 {
		t.Fatalf("it answers %d", code)
	}
	if _, page = h.get(owner, "/signins"); !strings.Contains(page, "1 of 7") || !strings.Contains(page, "Your word") {
		t.Error("the word is not kept")
	}
	h.now = h.now.Add(366 * 24 * time.Hour)
	if _, page = h.get(owner, "/signins"); !strings.Contains(page, "0 of 7") {
		t.Error("a year later it still counts")
	}
}

func TestTheSignInWatchLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	pictures := os.Getenv("QUIETROOM_PICTURES")
	h := newHouse(t, sqlite(t))
	url := webtest.Serve(t, h.mux)
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{URL: url, Name: web.SessionCookie, Value: string(owner), Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	tab.EveryWay(url+"/signins", "signins-new", pictures)
	_, to, _ := h.uploads("log.csv", sample(t, "entra.csv"))
	tab.EveryWay(url+to, "signins-import", pictures)
	tab.EveryWay(url+"/signins", "signins", pictures)
	tab.Click("main table a")
	tab.Arrive(to)
	tab.Calm()
}
