package web_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
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
	for _, name := range []string{"parts", "patients", "refused", "error", "nowhere"} {
		tab.EveryWay(url+"/"+name, name, pictures)
		tab.Width(320)
		tab.Go(url + "/" + name)
		tab.Axe()
	}
	if pictures != "" {
		tab.Width(390)
		tab.ForcedColors(true)
		tab.Go(url + "/parts")
		tab.Screenshot(pictures + "/parts-390-forced.png")
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

func TestARoomWhereNobodyIsIsClosed(t *testing.T) {
	tab := webtest.Browser(t)
	m := newIdleRoom(t, false, 2*time.Second)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, clinicianCookie)
	tab.Go(url + "/parts")
	tab.Type("#words-of", "words that nobody kept") // asks before it is left, but not before it is closed
	tab.Arrive("/unlock")
	if !slices.Equal(m.kept, []string{"locked"}) {
		t.Errorf("the server heard %q, want that it locks", m.kept)
	}
	if next := webtest.Eval[string](tab, "location.search"); next != "?next=%2Fparts" {
		t.Errorf("the way back is %q", next)
	}
	tab.Calm()
}

func TestAnIdleRoomIsCoveredEvenWithoutANetwork(t *testing.T) {
	tab := webtest.Browser(t)
	url := webtest.Serve(t, newIdleRoom(t, false, 2*time.Second))
	signIn(t, tab, url, clinicianCookie)
	tab.Go(url + "/parts")
	tab.Offline(true)
	time.Sleep(4 * time.Second)
	if text := webtest.Eval[string](tab, "document.body.innerText"); strings.Contains(text, "Your records are safe") {
		t.Errorf("without a network the screen still shows the page:\n%s", text)
	}
}

func TestAPageFollowsWhatIsGoingOn(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, false)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, clinicianCookie)
	tab.Go(url + "/going")
	tab.Type("#words-of", "typed meanwhile")
	webtest.Eval[bool](tab, `new Promise(r => { const look = () => document.getElementById('rounds').textContent.startsWith('3 looks') ? r(true) : setTimeout(look, 50); look() })`)
	if typed := webtest.Eval[string](tab, "document.getElementById('words-of').value"); typed != "typed meanwhile" {
		t.Errorf("following the page lost what was typed: %q", typed)
	}
	time.Sleep(1500 * time.Millisecond)
	if m.rounds != 3 {
		t.Errorf("the page was asked %d times, want 3: it is done", m.rounds)
	}
	tab.Calm()
}

func TestTimesAreTheBrowsersOwn(t *testing.T) {
	tab := webtest.Browser(t)
	url := webtest.Serve(t, newRoom(t, false))
	signIn(t, tab, url, clinicianCookie)
	if _, err := chromedp.Call(tab.Context(), emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "America/Los_Angeles"}); err != nil {
		t.Fatal(err)
	}
	tab.Go(url + "/parts")
	got := webtest.Eval[string](tab, "document.querySelector('time[data-time=moment]').textContent")
	if !strings.HasPrefix(got, "Nov 20") || !strings.Contains(got, "7:02") {
		t.Errorf("3:02 pm in London reads %q in Los Angeles, want Nov 20, 7:02 am", got)
	}
}

func TestEnhancingNothingStillWorks(t *testing.T) {
	tab := webtest.Browser(t)
	m := newRoom(t, false)
	url := webtest.Serve(t, m)
	signIn(t, tab, url, clinicianCookie)
	if _, err := chromedp.Call(tab.Context(), emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	tab.Go(url + "/patients")
	submitted := chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.SendKeys(chromedp.CSS("#q"), "fald\r"))
	if _, err := chromedp.Run(tab.Context(), submitted); err != nil {
		t.Fatal(err)
	}
	if count := tab.See("#count"); count != "1 of 1,284 patients" {
		t.Errorf("without scripts the search found %q", count)
	}
	tab.Go(url + "/going")
	tab.Type("#words-of", "by hand")
	tab.Click("form[data-unsaved] button")
	tab.Arrive("/parts")
	if !slices.Contains(m.kept, "by hand") {
		t.Errorf("without scripts the form kept %q", m.kept)
	}
}

func TestAVirtualPasskeyYieldsAKeyOnlyWhenItCan(t *testing.T) {
	const ask = `(async () => {
		const salt = new Uint8Array(32).fill(7);
		try {
			const made = await navigator.credentials.create({publicKey: {challenge: salt, rp: {name: 'q'}, user: {id: salt, name: 'n', displayName: 'n'},
				pubKeyCredParams: [{type: 'public-key', alg: -7}], authenticatorSelection: {residentKey: 'required', userVerification: 'required'}, extensions: {prf: {eval: {first: salt}}}}});
			return made.getClientExtensionResults().prf?.enabled ? 'key' : 'no key';
		} catch (e) { return e.name }
	})()`
	for _, c := range []struct {
		able webtest.Abilities
		want string
	}{{webtest.Abilities{PRF: true}, "key"}, {webtest.Abilities{}, "no key"}, {webtest.Abilities{PRF: true, Unproven: true}, "NotAllowedError"}} {
		tab := webtest.Browser(t)
		key := tab.Authenticator(c.able)
		tab.Go(webtest.Serve(t, newRoom(t, false)) + "/step")
		if got := webtest.Eval[string](tab, ask); got != c.want {
			t.Errorf("%+v yields %s, want %s", c.able, got, c.want)
		}
		if n := len(key.Credentials()); (n == 1) != (c.want != "NotAllowedError") {
			t.Errorf("%+v holds %d passkeys", c.able, n)
		}
	}
}
