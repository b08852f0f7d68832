package web_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

// signIn gives the tab the cookie of a session, as identity would.
func signIn(t *testing.T, tab *webtest.Tab, url, cookie string) {
	t.Helper()
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: cookie, Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPartLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, true)
	url := webtest.Serve(t, m)
	tab.EveryWay(url+"/unlock", "cover", pictures)
	tab.EveryWay(url+"/step", "step", pictures)
	tab.EveryWay(url+"/broken/x", "broken", pictures)
	signIn(t, tab, url, ownerCookie)
	for _, page := range []string{"parts", "patients", "refused", "error", "nowhere"} {
		tab.EveryWay(url+"/"+page, page, pictures)
	}
}

func TestIconsAreDrawn(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, false)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, ownerCookie)
	tab.Go(url + "/parts")
	tiny := webtest.Eval[[]string](tab, `new Promise(r => setTimeout(r, 300)).then(() => [...document.querySelectorAll('svg.i, svg.door')].filter(s => s.checkVisibility()).filter(s => { const b = s.querySelector('use').getBBox(); return b.width + b.height < 5 }).map(s => s.outerHTML))`)
	if len(tiny) > 0 {
		t.Errorf("%d icons are empty, the first: %s", len(tiny), tiny[0])
	}
	tab.Calm()
}

func TestSearchFindsAsOneTypesAndNothingReachesTheAddress(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, false)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, clinicianCookie)
	tab.Go(url + "/patients")
	webtest.Eval[any](tab, `document.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true})); document.activeElement.id`)
	if id := webtest.Eval[string](tab, "document.activeElement.id"); id != "q" {
		t.Errorf("after / the cursor is in %q, want the search field", id)
	}
	tab.Type("#q", "fald")
	names := webtest.Eval[[]string](tab, `new Promise(r => { const look = () => { const a = [...document.querySelectorAll('#found tbody a')].map(a => a.textContent); a.length === 1 ? r(a) : setTimeout(look, 20) }; look() })`)
	if !slices.Equal(names, []string{"Falding"}) {
		t.Errorf("typing fald shows %q, want Falding alone", names)
	}
	if at := webtest.Eval[string](tab, "location.href"); at != url+"/patients" {
		t.Errorf("a search leads to %s: what was looked for must not reach the address", at)
	}
	tab.Type("#q", "\r")
	tab.Arrive("/patients/Falding")
	tab.Calm()
}

func TestFormsOfAPageArePostedWithTheirToken(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, false)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, clinicianCookie)
	tab.Go(url + "/")
	tab.Type("#words-of", "kept words")
	tab.Click("form[data-unsaved] button.first")
	tab.Arrive("/parts")
	if !slices.Equal(m.kept, []string{"kept words"}) {
		t.Errorf("the form kept %q", m.kept)
	}
	if status := webtest.Eval[int](tab, `fetch('/notes', {method: 'POST', body: new URLSearchParams({note: 'x'})}).then(r => r.status)`); status != http.StatusForbidden {
		t.Errorf("a post without the token gets %d, want 403", status)
	}
	tab.Calm()
}

func TestThePolicyStopsWhatAPageMustNotDo(t *testing.T) {
	tab := webtest.Browser(t)
	url := webtest.Serve(t, newRoom(t, false))
	tab.Go(url + "/step")
	for _, attempt := range []string{
		`document.body.innerHTML = '<b>x</b>'`,
		`trustedTypes.createPolicy('own', {})`,
		`fetch('http://127.0.0.2:1/')`,
		`(() => { const s = document.createElement('script'); s.textContent = 'window.stolen = 1'; document.body.append(s) })()`,
	} {
		tab.Go(url + "/step")
		webtest.Eval[any](tab, `(async () => { try { await (`+attempt+`) } catch {} await new Promise(r => setTimeout(r, 50)); return null })()`)
		if len(tab.Complaints()) == 0 {
			t.Errorf("the policy lets a page run %s", attempt)
		}
	}
}
