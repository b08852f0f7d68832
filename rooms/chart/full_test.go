package chart_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/chart"
	"quietroom/rooms/vault"
)

var (
	update   = flag.Bool("update", false, "write the golden pages anew")
	pictures = os.Getenv("QUIETROOM_PICTURES") // where screenshots go for a person to look at, if set
)

// elsewhere knows what another system sent.
type elsewhere struct{}

func (elsewhere) Items(_ context.Context, p id.Patient, entries []layer.Entry) (items []layer.Item, err error) {
	for i, e := range entries {
		items = append(items, layer.Item{Title: string(e.Head), Kind: []string{"Medication", "Condition"}[i%2], When: e.At, Page: page(p, "/resources/", string(e.Record))})
	}
	return items, nil
}

// looked looks through files: what is called so is harmful, or locked.
type looked struct {
	free map[id.Record]bool
	why  string
}

func (looked) Scan(_ context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error) {
	b, err := io.ReadAll(body)
	switch {
	case err != nil:
		return layer.Scan{}, err
	case strings.Contains(string(b), "harmful"):
		return layer.Scan{State: layer.Urgent, Name: "Test.Harm", Finding: id.New[id.Record]()}, nil
	case strings.Contains(string(b), "locked") && in.Taken:
		return layer.Scan{State: layer.YourWord, Why: "encrypted", Finding: id.New[id.Record]()}, nil
	case strings.Contains(string(b), "locked"):
		return layer.Scan{Why: "encrypted", Finding: id.New[id.Record]()}, nil
	}
	return layer.Scan{State: layer.Safe}, nil
}

func (l looked) Free(_ context.Context, findings []id.Record) (map[id.Record]bool, error) {
	return l.free, nil
}

func (l looked) Ready(context.Context) string { return l.why }

// fullHouse has a patient with everything, and returns the pages to look at.
func fullHouse(t testing.TB) (h *house, pages []fullPage) {
	h = newHouse(t, func(c *chart.Config, _ *vault.Config) { c.Imported, c.Scanner = elsewhere{}, looked{} })
	day := func(month time.Month, d, hour, minute int) {
		h.now = time.Date(2026, month, d, hour, minute, 0, 0, time.UTC)
	}
	day(10, 20, 9, 0)
	p := h.sam()
	h.admit(layer.Card{Family: "Baldwin", Given: "Thea", Born: "1978-10-19", Care: []id.Team{h.rivera, h.bello}, Safe: layer.SafeContact{Words: "Phone, post"}})
	h.admit(layer.Card{Family: `McDald <b>"Rory"</b>`, Given: strings.Repeat("Wolfeschlegelsteinhausenbergerdorff", 2), Born: "2012"})
	h.records(p)
	for i := range 4 {
		day(10, 26+i, 15, 4)
		h.write("rivera", p, []string{"intake", "letter", "dap", "soap"}[i], "sign", map[string]string{"why": "x", "text": "x", "plan": "x"})
	}
	day(11, 9, 15, 4)
	h.write("rivera", p, "safety-plan", "sign", map[string]string{"signs": "x"})
	day(11, 16, 15, 4)
	signed := h.write("rivera", p, "dap", "sign", map[string]string{
		"data":       "Arrived on time, slept five hours on most nights. Kept the diary on six of seven days.\n\nSpoke about the visit at their mother’s.",
		"assessment": "First time the plan was used without a call.", "plan": "The same hour next week.",
	})
	day(11, 17, 9, 30)
	add := h.want(200, "rivera", "GET", page(p, "/notes/", signed, "/add"), nil).Body.String()
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(add, "sign", map[string]string{"note": "The visit was on Sunday, not on Saturday."}))
	for _, name := range []string{"Sleep diary of the autumn, as photographed by Sam on the kitchen table.heic", "Letter from Dr. Osei.pdf", "Intake, signed.pdf"} {
		day(11, 18, 10, h.now.Minute()+1)
		if w := h.upload("rivera", p, name, strings.NewReader(strings.Repeat(name, 2000)+map[bool]string{true: " locked"}[strings.HasPrefix(name, "Letter")])); w.Code != 303 {
			t.Fatal(w.Body)
		}
	}
	day(11, 20, 11, 7)
	h.ask("bello", "GET", page(p, "/notes/new"), nil)
	day(11, 23, 13, 40)
	h.want(200, "desk", "GET", page(p), nil)
	day(11, 23, 14, 50)
	draft := h.write("rivera", p, "dap", "keep", map[string]string{"data": "Arrived on time."})
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/", draft), nil).Body.String()
	card := h.want(200, "rivera", "GET", page(p, "/edit"), nil).Body.String()
	day(11, 23, 15, 2)
	find := url.Values{"q": {"ald"}}
	twin := url.Values{"family": {"Aldridge"}, "given": {"Samantha"}, "born": {"1991-03-04"}, "care": {string(h.rivera)}}
	late := h.filled(sheet, "keep", map[string]string{"data": "Arrived late.", "plan": "Ask again."})
	late.Set("version", "7")
	away := url.Values{"version": {field(t, card, "version")}, "care": {string(h.bello)}}
	old := url.Values{"version": {fmt.Sprint(len(field(t, card, "version")) + 6)}, "given": {"Samantha"}, "family": {"Aldridge"}, "address": {"2 Second Street"}}
	return h, []fullPage{
		{"patients", "rivera", "GET", "/patients", nil, 200},
		{"find", "rivera", "POST", "/patients/find", find, 200},
		{"new", "rivera", "GET", "/patients/new", nil, 200},
		{"twin", "rivera", "POST", "/patients/new", twin, 409},
		{"chart", "rivera", "GET", page(p), nil, 200},
		{"emergencies", "rivera", "GET", "/emergency", nil, 200},
		{"emergency", "rivera", "GET", page(p, "/emergency"), nil, 200},
		{"chart-desk", "desk", "GET", page(p), nil, 200},
		{"all", "rivera", "GET", page(p, "/all"), nil, 200},
		{"looked", "rivera", "GET", page(p, "/looked"), nil, 200},
		{"card", "rivera", "GET", page(p, "/edit"), nil, 200},
		{"card-conflict", "rivera", "POST", page(p, "/edit"), old, 409},
		{"care", "rivera", "GET", page(p, "/care"), nil, 200},
		{"care-away", "rivera", "POST", page(p, "/care"), away, 409},
		{"note", "rivera", "GET", page(p, "/notes/", draft), nil, 200},
		{"note-conflict", "rivera", "POST", page(p, "/notes"), late, 409},
		{"signed", "rivera", "GET", page(p, "/notes/", signed), nil, 200},
		{"addendum", "rivera", "GET", page(p, "/notes/", signed, "/add"), nil, 200},
	}
}

type fullPage struct {
	name, who, method, path string
	form                    url.Values
	status                  int
}

// records puts what another room would bring in into a chart.
func (h *house) records(p id.Patient) {
	h.t.Helper()
	ctx := h.as("rivera")
	b, err := h.vault.Begin(ctx)
	h.must(err)
	c, err := b.In(ctx, p, layer.PartChart)
	h.must(err)
	for i := range 12 {
		_, err := b.Put(ctx, c, layer.Draft{At: h.now.AddDate(0, -i, 0), Head: fmt.Appendf(nil, "Sertraline %d mg", 25*(i+1)), Body: []byte("{}")})
		h.must(err)
	}
	h.must(b.Commit(ctx))
}

var moving = regexp.MustCompile(`/static/[0-9a-f]{16}/|[A-Z2-7]{26}|(value|content)="[A-Za-z0-9_-]{43}"|in \d+ milliseconds?|in less than a millisecond`)

func TestPagesAreAsTheyWere(t *testing.T) {
	h, pages := fullHouse(t)
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			got := inside(h.want(p.status, p.who, p.method, p.path, p.form).Body.String())
			got = moving.ReplaceAllStringFunc(got, func(s string) string {
				switch {
				case strings.HasPrefix(s, "/static"):
					return "/static/HASH/"
				case strings.HasPrefix(s, "in "):
					return "in TIME"
				case strings.Contains(s, "="):
					return `value="TOKEN"`
				}
				return "ID"
			})
			file := filepath.Join("testdata", "golden", p.name+".html")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the page differs from %s (look, then go test -update):\n%s", file, got)
			}
		})
	}
}

func signIn(t *testing.T, tab *webtest.Tab, url, who string) {
	t.Helper()
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: who, Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPageLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	h, pages := fullHouse(t)
	url := webtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range pages { // the answers to forms are looked at too
			if r.URL.Path == "/page/"+p.name {
				h.ServeHTTP(w, h.request(p.who, p.method, p.path, p.form))
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	for _, p := range pages {
		at := url + "/page/" + p.name
		tab.EveryWay(at, p.name, pictures)
		tab.Width(320)
		tab.Go(at)
		tab.Axe()
	}
}

func TestAPersonWritesANoteInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	h := newHouse(t)
	p := h.sam()
	url := webtest.Serve(t, h)
	signIn(t, tab, url, "rivera")
	tab.Dark(false) // with reduced motion: a page that still fades in takes no clicks
	tab.Go(url + "/patients")
	tab.Type("#q", "aldr")
	for range 200 { // the list follows what is typed, without a reload
		if strings.HasPrefix(tab.See("#count"), "1 of 1 patient") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := tab.See("#found mark"); got != "Aldr" {
		t.Fatalf("the search marks %q", got)
	}
	tab.Click("#found a")
	tab.Arrive(page(p))
	tab.Click("button.first")
	tab.Arrive(page(p, "/notes/new"))
	tab.Type("#f0", "what was said")
	if got := webtest.Eval[string](tab, `new Promise(r => { const e = document.getElementById('sealed'); const look = () => e.textContent ? r(e.textContent) : setTimeout(look, 50); look() })`); got != "Sealed just now" {
		t.Fatalf("the sheet says %q", got)
	}
	tab.Type("#f0", " and more")
	// What stands on the sheet when the room closes is kept too.
	webtest.Eval[bool](tab, `new Promise(done => { const waits = []; document.dispatchEvent(new CustomEvent('closing', {detail: {until: p => waits.push(p)}})); Promise.all(waits).then(() => done(true)) })`)
	contains := func(path, want string) {
		t.Helper()
		if got := h.want(200, "rivera", "GET", path, nil).Body.String(); !strings.Contains(got, want) {
			t.Fatalf("%q is not on %s:\n%s", want, path, inside(got))
		}
	}
	contains(page(p), "Draft of Tomás Rivera")
	rec := webtest.Eval[string](tab, `document.getElementById('sheet').elements.record.value`)
	contains(page(p, "/notes/", rec), "what was said and more")
	tab.Type("#f1", "before the cover")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	contains(page(p, "/notes/", rec), "before the cover")
	tab.Go(url + page(p, "/notes/", rec))
	tab.Click("button[value=sign]")
	tab.Arrive(page(p))
	contains(page(p, "/notes/", rec), "Signed by Tomás Rivera")
	tab.Calm()
}

func TestABrowserSavesAFileUnderItsNameAndShowsNothingOfIt(t *testing.T) {
	tab := webtest.Browser(t)
	h := newHouse(t)
	p := h.sam()
	const content = "<!doctype html><script>document.title = 'it ran'</script>"
	h.upload("rivera", p, "Brief an Frau Özdemir.html", strings.NewReader(content))
	dir := t.TempDir()
	if _, err := chromedp.Call(tab.Context(), browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: dir}); err != nil {
		t.Fatal(err)
	}
	url := webtest.Serve(t, h)
	signIn(t, tab, url, "rivera")
	tab.Dark(false)
	tab.Go(url + page(p))
	tab.Click("section[aria-labelledby=files] tbody a")
	for range 250 {
		if got, err := os.ReadFile(filepath.Join(dir, "Brief an Frau Özdemir.html")); err == nil && string(got) == content {
			if at := tab.Path(); at != page(p) {
				t.Errorf("the tab went to %s", at)
			}
			tab.Calm()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("nothing was saved: %v", filesUnder(t, dir))
}
