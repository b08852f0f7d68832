package identity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/web/webtest"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

// said waits until the page says something that begins so.
func said(t *testing.T, tab *webtest.Tab, css, start string) {
	t.Helper()
	got := ""
	for range 300 {
		got = webtest.Eval[string](tab, `document.querySelector('`+css+`')?.textContent ?? ''`)
		if strings.HasPrefix(got, start) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the page says %q, want %q", got, start)
}

// claimAt founds a practice in a tab.
func claimAt(t *testing.T, s *served, tab *webtest.Tab, look bool) {
	t.Helper()
	at := s.origin + "/claim/" + s.link()
	if look {
		tab.EveryWay(at, "claim", pictures)
	}
	tab.Go(at)
	tab.Type("#practice", "Harbor Counseling")
	tab.Type("#name", "Ana Reyes")
	tab.Click("button.first")
	tab.Arrive(strings.TrimPrefix(at, s.origin) + "/passkey")
	if look {
		tab.EveryWay(at+"/passkey", "claim-passkey", pictures)
	}
	tab.Click("button.first")
	tab.Arrive("/first/door")
}

// makeCode makes a code in the page's form, reads it, and types it back.
func makeCode(t *testing.T, tab *webtest.Tab, form string) string {
	t.Helper()
	tab.Click(form + " button[data-do=make]")
	said(t, tab, form+" [role=status]", "It is shown once.")
	code := webtest.Eval[string](tab, `[...document.querySelectorAll('`+form+` .kit span')].map(s => s.textContent).join(' ')`)
	tab.Type(form+" textarea", strings.ToLower(code[:12]))
	said(t, tab, form+" [role=status]", "2 of 9 groups fit so far.")
	tab.Type(form+" textarea", strings.ToLower(code[12:]))
	said(t, tab, form+" [role=status]", "All nine groups fit.")
	return code
}

func TestTheFirstTenMinutesInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	tab.EveryWay(s.origin+"/unlock", "no-owner", pictures)
	claimAt(t, s, tab, true)
	tab.EveryWay(s.origin+"/first/door", "second", pictures)
	typed := makeCode(t, tab, "form[data-act=add-code]")
	if pictures != "" {
		tab.Width(390)
		tab.Screenshot(pictures + "/second-made-390.png")
	}
	tab.Axe()
	tab.Click("form[data-act=add-code] button:not([type=button])")
	s.waitForDoors(t, tab, 2)
	tab.Go(s.origin + "/first/door")
	if got := tab.See(".lead"); got != "You have 2 ways in. That is enough." {
		t.Errorf("after the code the page says %q", got)
	}
	tab.EveryWay(s.origin+"/kit", "kit", pictures)
	kit := makeCode(t, tab, "form[data-act=kit]")
	if pictures != "" {
		tab.Screenshot(pictures + "/kit-made-1280.png")
	}
	tab.Axe()
	tab.Click("form[data-act=kit] button:not([type=button])")
	tab.Arrive("/")
	tab.Calm()

	if doors, have, err := s.Ready(t.Context()); err != nil || doors != 2 || !have {
		t.Fatalf("ready: %d doors, kit %v, %v", doors, have, err)
	}
	k, err := seal.ParseCode(seal.Kit, kit)
	if err != nil {
		t.Fatalf("the kit of the browser: %v", err)
	}
	pair, err := seal.RecoveryFromCode(k.KEK(), s.Anchor.Practice())
	if err != nil {
		t.Fatal(err)
	}
	roster, _ := s.Roster(t.Context())
	if public, _ := roster.PublicKey(recoveryHolder); !public.Equal(pair.Public()) {
		t.Error("the kit on paper is not the one that the practice signed")
	}
	c, err := seal.ParseCode(seal.Personal, typed)
	if err != nil {
		t.Fatalf("the code of the browser: %v", err)
	}
	_, done, _, err := s.EnterOnce(t.Context(), c)
	if err != nil {
		t.Fatalf("the printed code opens nothing: %v", err)
	}
	done()
	for _, page := range []string{"doors", "people"} {
		tab.EveryWay(s.origin+"/"+page, page, pictures)
	}
}

func TestOneTapResumes(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	tab.Go(s.origin + "/doors")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	tab.Go(s.origin + "/people")
	tab.Arrive("/unlock")
	tab.EveryWay(s.origin+"/unlock?next=%2Fpeople", "cover", pictures)
	tab.Click("button.first")
	tab.Arrive("/people")

	// a form with data-tap
	tab.Go(s.origin + "/")
	tab.Click("form[data-tap] button.first")
	for range 250 {
		if len(s.acted) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(s.acted) != 1 {
		t.Errorf("the tapped form acted %v", s.acted)
	}

	// the page renews its proof while somebody is there
	s.clock.pass(8 * time.Minute)
	webtest.Eval[any](tab, `localStorage.setItem('quietroom renewed', 0)`)
	tab.Go(s.origin + "/doors")
	webtest.Eval[bool](tab, `new Promise(r => { const look = () => Number(localStorage.getItem('quietroom renewed')) > 0 ? r(true) : setTimeout(look, 20); look() })`)
	s.clock.pass(5 * time.Minute)
	tab.Go(s.origin + "/doors")
	if tab.Path() != "/doors" {
		t.Error("a renewed session was closed after 13 minutes")
	}
	// and its key cannot be read
	exported := webtest.Eval[string](tab, `new Promise(r => { const o = indexedDB.open('quietroom', 1); o.onsuccess = () => { const g = o.result.transaction('keys').objectStore('keys').get('renew'); g.onsuccess = () => crypto.subtle.exportKey('pkcs8', g.result).then(() => r('exported'), (e) => r(e.name)) } })`)
	if exported != "InvalidAccessError" {
		t.Errorf("the browser's key: %s", exported)
	}
	seen := webtest.Eval[string](tab, `document.cookie`)
	if seen != "" {
		t.Errorf("a script sees the cookies %q", seen)
	}
	tab.Calm()
}

func TestACodeInABrowserIsShownItsSuccessor(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	phone := tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	code := makeCode(t, tab, "form[data-act=add-code]")
	tab.Click("form[data-act=add-code] button:not([type=button])")
	s.waitForDoors(t, tab, 2)
	tab.Go(s.origin + "/doors")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	phone.Remove()
	tab.Authenticator(webtest.Abilities{PRF: true})

	stranger := tab.Another()
	stranger.EveryWay(s.origin+"/unlock/code", "code-unknown", pictures)
	if got := stranger.See("#not"); !strings.HasPrefix(got, "Not at once") {
		t.Errorf("a browser that nobody has used says %q", got)
	}
	tab.EveryWay(s.origin+"/unlock/code", "code", pictures)
	tab.Type("#code", "0000 0000")
	tab.Click("form[data-act=code] button.first")
	said(t, tab, "form[data-act=code] [role=status]", "This is not a code")
	webtest.Eval[any](tab, `document.getElementById('code').value = ''`)
	tab.Type("#code", code)
	tab.Click("form[data-act=code] button.first")
	tab.See("#next-code .kit")
	next := webtest.Eval[string](tab, `[...document.querySelectorAll('#next-code .kit span')].map(s => s.textContent).join('-')`)
	tab.Axe()
	if pictures != "" {
		tab.Screenshot(pictures + "/code-next-1280.png")
	}
	tab.Click("form[data-act=add-passkey] button.first")
	tab.Arrive("/")
	c, err := seal.ParseCode(seal.Personal, next)
	if err != nil {
		t.Fatal(err)
	}
	_, done, _, err := s.EnterOnce(t.Context(), c)
	if err != nil {
		t.Errorf("the next code opens nothing: %v", err)
	} else {
		done()
	}
	if doors, _, _ := s.Ready(t.Context()); doors != 3 {
		t.Errorf("%d doors, want two passkeys and a code", doors)
	}
	tab.Calm()
}

func TestAPasskeyWithoutKeysLeavesNothingHalfMade(t *testing.T) {
	for name, c := range map[string]struct {
		abilities webtest.Abilities
		says      string
	}{
		"without PRF":               {webtest.Abilities{}, "This passkey cannot open records"},
		"without user verification": {webtest.Abilities{PRF: true, Unproven: true}, "The passkey was not shown, or it did not recognise you."},
	} {
		t.Run(name, func(t *testing.T) {
			tab := webtest.Browser(t)
			tab.Dark(false)
			weak := tab.Authenticator(c.abilities)
			s := serveSQLite(t, false)
			at := s.origin + "/claim/" + s.link()
			tab.Go(at)
			tab.Type("#practice", "Harbor Counseling")
			tab.Type("#name", "Ana Reyes")
			tab.Click("button.first")
			tab.Arrive(strings.TrimPrefix(at, s.origin) + "/passkey")
			tab.Click("button.first")
			said(t, tab, "[role=status]", c.says)
			tab.Axe()
			if s.Founded() {
				t.Fatal("a practice was founded with it")
			}
			weak.Remove()
			tab.Authenticator(webtest.Abilities{PRF: true})
			tab.Click("button.first") // the link, and the page, still work
			tab.Arrive("/first/door")
			tab.Calm()
		})
	}
}

func TestAPasskeyThatGivesItsKeyOnlyWhenAskedAgainIsTaken(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false)
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	token := s.link()
	s.named(s.browser(), token)
	tab.Go(s.origin + "/claim/" + token + "/passkey")
	// as Safari and some security keys do: create() says enabled, and gives nothing
	webtest.Eval[any](tab, `(() => { const real = navigator.credentials.create.bind(navigator.credentials); navigator.credentials.create = async (o) => { const c = await real(o); c.getClientExtensionResults = () => ({prf: {enabled: true}}); return c } })()`)
	tab.Click("button.first")
	tab.Arrive("/first/door")
	tab.Go(s.origin + "/doors")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	tab.Click("button.first")
	tab.Arrive("/")
	tab.Calm()
}

func TestALostNetworkLosesNothing(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	at := s.origin + "/claim/" + s.link()
	tab.Go(at)
	tab.Type("#practice", "Harbor Counseling")
	tab.Type("#name", "Ana Reyes")
	tab.Click("button.first")
	tab.Arrive(strings.TrimPrefix(at, s.origin) + "/passkey")
	// the network goes between the question and the answer
	webtest.Eval[any](tab, `(() => { const real = window.fetch; window.fetch = (u, o) => String(u).endsWith('/finish') ? Promise.reject(new TypeError('network')) : real(u, o); window.mend = () => { window.fetch = real } })()`)
	tab.Click("button.first")
	said(t, tab, "[role=status]", "The house did not answer.")
	if s.Founded() {
		t.Fatal("founded without an answer")
	}
	webtest.Eval[any](tab, `window.mend()`)
	tab.Offline(true)
	tab.Click("button.first")
	said(t, tab, "[role=status]", "The house did not answer.")
	tab.Offline(false)
	tab.Click("button.first")
	tab.Arrive("/first/door")

	// the answer of a sign-in is lost on its way back
	tab.Go(s.origin + "/doors")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	webtest.Eval[any](tab, `(() => { const real = window.fetch; window.fetch = async (u, o) => { const a = await real(u, o); if (String(u).endsWith('/finish')) { window.fetch = real; throw new TypeError('network') } return a } })()`)
	tab.Click("button.first")
	said(t, tab, "[role=status]", "The house did not answer.")
	tab.Click("button.first")
	tab.Arrive("/")
	tab.Calm()
}

func TestADemoOpensWithOneButton(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	h := newHouse(t)
	h.Origin = "http://localhost"
	s := &served{t: t, db: h.db, Identity: h.Identity, clock: &clock{t: time.Now()}}
	s.serveHouse()
	link := h.DemoLink("clinician-1", h.jo)
	tab.EveryWay(s.origin+link, "demo", pictures)
	if s.facts0("identity.code-used") {
		t.Error("looking at the link opened something")
	}
	tab.Click("button.first")
	tab.Arrive("/")
	tab.Click("form[data-tap] button.first") // a demo needs no passkey
	for range 250 {
		if len(s.acted) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(s.acted) != 1 {
		t.Errorf("the tapped form acted %v", s.acted)
	}
	tab.Calm()
}

// waitForDoors waits until the owner has so many ways in.
func (s *served) waitForDoors(t *testing.T, tab *webtest.Tab, want int) {
	t.Helper()
	for range 250 {
		if doors, _, _ := s.Ready(t.Context()); doors == want {
			time.Sleep(200 * time.Millisecond) // the page goes on by itself
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no %d doors; the page says %q", want, webtest.Eval[string](tab, `[...document.querySelectorAll('[role=status]')].map(s => s.textContent).join('|')`))
}

// facts0 tells whether anybody used a door, without a ledger at hand.
func (s *served) facts0(string) bool {
	var n int
	if err := s.db.QueryRowContext(s.t.Context(), `SELECT COUNT(*) FROM identity_doors WHERE used > 0`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n > 0
}

func TestTheBrowserSplitsACodeAsTheServerDoes(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	s := serveSQLite(t, false)
	s.claimed()
	tab.Go(s.origin + "/unlock")
	const module = `const m = await import(document.querySelector('script[src$="passkey.js"]').src);
		const hex = (b) => [...b].map(x => x.toString(16).padStart(2, '0')).join('');`
	golden, err := os.ReadFile("../../ground/seal/testdata/codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var codes []struct {
		Kind             seal.CodeKind
		Text             string
		Auth, KEK, Notes string
	}
	if err := json.Unmarshal(golden, &codes); err != nil || len(codes) == 0 {
		t.Fatalf("%d golden codes (%v)", len(codes), err)
	}
	for _, c := range codes {
		got := webtest.Eval[[]string](tab, fmt.Sprintf(`(async () => { %s const s = await m.readCode('%s', '%s'); return Promise.all(['auth', 'kek', 'notes'].map(async p => hex(await m.part(s, p)))) })()`, module, c.Kind, strings.ToLower(c.Text)))
		if want := []string{c.Auth, c.KEK, c.Notes}; !slices.Equal(got, want) {
			t.Errorf("the browser splits a %s code into %v, want %v", c.Kind, got, want)
		}
		made := webtest.Eval[string](tab, fmt.Sprintf(`(async () => { %s return m.newCode('%s') })()`, module, c.Kind))
		if _, err := seal.ParseCode(c.Kind, made); err != nil {
			t.Errorf("a %s code made in the browser: %v", c.Kind, err)
		}
	}
	c, err := seal.NewCeremony()
	if err != nil {
		t.Fatal(err)
	}
	box := webtest.Eval[string](tab, fmt.Sprintf(`(async () => { %s return m.sealTo({ceremony: 'NAME', seal: '%s'}, new Uint8Array([1, 2, 3])) })()`, module, base64.StdEncoding.EncodeToString(c.Public())))
	b, err := base64.StdEncoding.DecodeString(box)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := c.Open("NAME", b); err != nil || string(plain) != "\x01\x02\x03" {
		t.Errorf("what the browser sealed opens as %x, %v", plain, err)
	}
	if _, err := c.Open("OTHER", b); err == nil {
		t.Error("it opens for another ceremony")
	}
}

func TestOnesOwnDoorsInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	tab.EveryWay(s.origin+"/doors", "doors-one", pictures)
	makeCode(t, tab, "form[data-act=add-code]")
	tab.Click("form[data-act=add-code] button:not([type=button])")
	s.waitForDoors(t, tab, 2)
	tab.EveryWay(s.origin+"/doors", "doors", pictures)
	tab.Go(s.origin + "/doors")
	tab.Click("ul.list li:nth-child(2) a")
	if got := tab.See("h1"); got != "Printed code" {
		t.Fatalf("the second way in is called %q", got)
	}
	at := tab.Path()
	tab.EveryWay(s.origin+at, "door", pictures)
	tab.Go(s.origin + at)
	tab.Type("#label", "The envelope: ")
	tab.Click("form[action$='/name'] button")
	tab.Arrive("/doors")
	if got := tab.See("ul.list"); !strings.Contains(got, "The envelope: Printed code") {
		t.Errorf("the name is not kept: %q", got)
	}
	tab.Go(s.origin + at)
	tab.Click("form[action$='/remove'] button.first")
	tab.Arrive("/doors")
	said(t, tab, "p[role=status]", "That way in is closed.")
	if got := s.facts("identity.door-removed"); got != 1 {
		t.Errorf("%d facts tell of it", got)
	}
	// The passkey that stayed opens the new seed.
	tab.Click(".foot button, form[action='/lock'] button")
	tab.Arrive("/unlock")
	tab.Click("button.first")
	tab.Arrive("/")
	tab.Calm()
}
