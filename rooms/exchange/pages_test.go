package exchange_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
)

// sessions lets two people in, by their names.
type sessions struct{ h *house }

func (s sessions) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	who := map[string]context.Context{"jo": s.h.jo, "ana": s.h.ana}[c.Value]
	if who == nil {
		return nil, nil, web.ErrNoSession
	}
	return id.With(r.Context(), id.From(who)), func() {}, nil
}

func (sessions) IsOwner(context.Context) bool  { return false }
func (sessions) Person(context.Context) string { return "Jo Rivera" }

// served is a house with one imported patient, and its pages.
func served(t testing.TB) (h *house, m *web.Mux, p id.Patient) {
	t.Helper()
	h = newHouse(t)
	entries := []string{`{"resourceType":"Claim","id":"c1","patient":{"reference":"Patient/p1"},"total":{"value":12.50}}`,
		`{"resourceType":"Basic","id":"b1","subject":{"reference":"Patient/p1"},"code":{"text":"<script>alert(1)</script> ` + strings.Repeat("long", 200) + `"},"ok":true,"list":[1.10,[2,3]]}`}
	for i := range 210 {
		entries = append(entries, strings.Replace(observation(fmt.Sprint("o", i), "p1", "1.10"), "2024-05-06", fmt.Sprintf("20%02d-05-06", i%30), 1))
	}
	h.imports(t, write(t, "a.json", bundle("p1", entries...)))
	for p = range h.vault.Patients(h.jo) {
	}
	m = web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.DiscardHandler)})
	m.SetSessions(sessions{h})
	m.Nav(web.NavItem{Key: "patients", Text: "Patients", Path: "/patients"})
	h.Layer().Mount(m)
	return h, m, p
}

func get(t testing.TB, m *web.Mux, who, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if who != "" {
		r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: who})
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var link = regexp.MustCompile(`href="(/patients/[^"]*/imported/[^"]*)"`)

func TestImportedRecordsAreReadable(t *testing.T) {
	_, m, p := served(t)
	all := "/patients/" + string(p) + "/imported"
	seen := map[string]bool{}
	queue := []string{all}
	said := ""
	for len(queue) > 0 && len(seen) < 300 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		code, body := get(t, m, "jo", path)
		if code != 200 {
			t.Fatalf("%s gives %d", path, code)
		}
		said += body
		for _, l := range link.FindAllStringSubmatch(body, -1) {
			queue = append(queue, strings.ReplaceAll(l[1], "&amp;", "&"))
		}
	}
	if len(seen) < 210 {
		t.Errorf("only %d pages are linked, want one for each of 213 resources", len(seen))
	}
	for _, want := range []string{"Kim Fam-p1", "Observation", "Value quantity › Value", "1.10", "12.50", "List 2 2", "2029-05-06", "&lt;script&gt;"} {
		if !strings.Contains(said, want) {
			t.Errorf("no page says %q", want)
		}
	}
	if strings.Contains(said, "<script>alert") {
		t.Error("a page runs what was imported")
	}
}

func TestNothingImportedTurnsAPageAround(t *testing.T) {
	const turned = "12 \u202egm\u202c and \u2066more\u2069"
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1", `{"resourceType":"Basic","id":"b1","subject":{"reference":"Patient/p1"},"code":{"text":"`+turned+`"},"na\u202eme":"x"}`)))
	var p id.Patient
	for p = range h.vault.Patients(h.jo) {
	}
	m := web.NewMux(web.Config{Log: slog.New(slog.DiscardHandler)})
	m.SetSessions(sessions{h})
	h.Layer().Mount(m)
	all := "/patients/" + string(p) + "/imported"
	for _, path := range []string{all, all + "/chart/0", all + "/chart/is/0"} {
		code, body := get(t, m, "jo", path)
		if code != 200 || strings.ContainsAny(body, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
			t.Errorf("%s gives %d, and letters that are turned around", path, code)
		}
		if path != all && !strings.Contains(body, "12 gm and more") {
			t.Errorf("%s does not say the words:\n%s", path, body)
		}
	}
	stored, err := filepath.Glob(filepath.Join(h.exports(t), "patients", "*", "bundle.json"))
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	if text, err := os.ReadFile(stored[0]); err != nil || !strings.Contains(string(text), turned) {
		t.Errorf("what was stored is not as it came: %s, %v", text, err)
	}
}

func TestImportedRecordsStayWithTheirTeam(t *testing.T) {
	_, m, p := served(t)
	all := "/patients/" + string(p) + "/imported"
	code, body := get(t, m, "ana", all)
	if code != 200 || strings.Contains(body, "Observation") || !strings.Contains(body, "in the care of others") {
		t.Errorf("somebody of another team gets %d\n%s", code, body)
	}
	for path, want := range map[string]int{
		all + "/chart/0": 404, all + "/chart/is/0": 404, all + "/billing/0": 404, all + "/identity/0": 200,
		all + "/shared/0": 404, all + "/identity/7": 404, all + "/identity/is/9": 404, all + "/identity/-1": 404,
		"/patients/" + string(id.New[id.Patient]()) + "/imported": 404, "/patients/x/imported": 404,
	} {
		if code, _ := get(t, m, "ana", path); code != want {
			t.Errorf("%s gives %d, want %d", path, code, want)
		}
	}
	if code, body := get(t, m, "", all); strings.Contains(body, "Fam-p1") {
		t.Errorf("nobody gets %d and reads the name", code)
	}
}

func TestAChartListsWhatWasImported(t *testing.T) {
	h, _, p := served(t)
	c, err := h.vault.Open(h.jo, p, layer.PartChart)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	entries, err := c.List(h.jo)
	if err != nil {
		t.Fatal(err)
	}
	items, err := h.Items(h.jo, p, append(entries, layer.Entry{Head: []byte(`{"kind":"note"}`)}))
	if err != nil || len(items) != 2 || items[1].Title != "Observation" || items[1].Kind != "210 records" {
		t.Errorf("%+v, %v", items, err)
	}
}

func TestImportedPagesInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	_, m, p := served(t)
	url := webtest.Serve(t, m)
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: "jo", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	all := url + "/patients/" + string(p) + "/imported"
	for name, path := range map[string]string{"imported": all, "imported-kind": all + "/chart/1", "imported-one": all + "/chart/is/0", "imported-long": all + "/chart/0", "imported-bill": all + "/billing/is/0"} {
		tab.EveryWay(path, name, os.Getenv("QUIETROOM_PICTURES"))
	}
}
