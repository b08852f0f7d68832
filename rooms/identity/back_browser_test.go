package identity

import (
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web/webtest"
)

// made reads the codes that a page shows.
func made(tab *webtest.Tab, css string) string {
	return webtest.Eval[string](tab, `[...document.querySelectorAll('`+css+` span')].map(s => s.textContent).join('')`)
}

// An owner shares the kit, loses everything, and is back with two papers: with the
// browser's own ML-KEM, as a person walks it.
func TestTheKitIsSharedTriedAndUsedInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false)
	phone := tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	tab.EveryWay(s.origin+"/kit/shares", "kit-shares", pictures)
	for n, name := range []string{"Ana Reyes", "Kim Sol", "A lawyer"} {
		tab.Type([]string{"#t1", "#t2", "#t3"}[n], name)
	}
	tab.Click("button[data-do=make-shares]")
	said(t, tab, "form [role=status]", "The three shares are shown once.")
	if pictures != "" {
		tab.Screenshot(pictures + "/kit-shares-made.png")
	}
	tab.Axe()
	var shares []string
	for n, at := range []string{"#k1", "#k2", "#k3"} {
		shares = append(shares, made(tab, `section:nth-of-type(`+string(rune('1'+n))+`) .kit`))
		tab.Type(at, shares[n])
	}
	tab.Click("[data-after] button.first")
	tab.Arrive("/kit")
	if kit := mustRoster(t, s).Kit(); len(kit.Trusted) != 3 || kit.Sign == nil {
		t.Fatalf("the kit is %+v", kit)
	}
	tab.EveryWay(s.origin+"/rehearse", "rehearse", pictures)
	tab.Type("#first", shares[0])
	tab.Type("#second", shares[2])
	tab.Click("#kit ~ form button.first")
	for range 3000 { // a minute: each key is opened by plain script
		if s.facts("identity.kit-rehearsed") == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if s.facts("identity.kit-rehearsed") != 1 {
		t.Fatalf("the kit was not tried: %q", webtest.Eval[string](tab, `[...document.querySelectorAll('[role=status]')].map(s => s.textContent).join('|')`))
	}
	tab.Calm()

	phone.Remove()
	lost := tab.Another()
	lost.Dark(false)
	lost.Authenticator(webtest.Abilities{PRF: true})
	lost.EveryWay(s.origin+"/unlock/lost", "lost", pictures)
	lost.EveryWay(s.origin+"/unlock/kit", "kit-back", pictures)
	if webtest.Eval[bool](lost, `document.querySelector('#kit-next section').checkVisibility()`) {
		t.Error("the second step shows before the first is done")
	}
	lost.Type("#first", shares[1])
	lost.Type("#second", shares[1])
	lost.Click("form[data-act=kit-show] button.first")
	said(t, lost, "form[data-act=kit-show] [role=status]", "These two papers are not shares")
	webtest.Eval[any](lost, `document.getElementById('second').value = ''`)
	lost.Type("#second", shares[2])
	lost.Click("form[data-act=kit-show] button.first")
	lost.See("#kit-next h2")
	if webtest.Eval[bool](lost, `document.querySelector('#first').checkVisibility()`) {
		t.Error("the first step still shows, with its papers")
	}
	if pictures != "" {
		lost.Screenshot(pictures + "/kit-next.png")
	}
	lost.Axe()
	lost.Click("form[data-act=kit-finish] button.first")
	for range 3000 {
		if s.facts("identity.kit-used") == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	lost.Arrive("/doors")
	if got := lost.See(".sentence [role=status]"); !strings.HasPrefix(got, "You are back in.") {
		t.Errorf("after the return the page says %q", got)
	}
	lost.Calm()
}

// A colleague is let back in: both screens, phone and desktop.
func TestAColleagueComesBackInABrowser(t *testing.T) {
	owner := webtest.Browser(t)
	owner.Dark(false)
	owner.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, owner, false)
	code := makeCode(t, owner, "form[data-act=add-code]")
	owner.Click("form[data-act=add-code] button:not([type=button])")
	s.waitForDoors(t, owner, 2)
	c, err := seal.ParseCode(seal.Personal, code)
	if err != nil {
		t.Fatal(err)
	}
	jo := s.joinsDirectly(c)
	at := s.origin + "/people/" + string(jo) + "/back"
	owner.EveryWay(at, "back", pictures)
	owner.Go(at)
	owner.Click("form[data-tap=let-back] button.first")
	link := owner.See(".copy")
	owner.Axe()
	phone := owner.Another()
	phone.Dark(false)
	phone.Width(390)
	phone.Authenticator(webtest.Abilities{PRF: true})
	phone.EveryWay(link, "join-back", pictures)
	phone.Go(link)
	phone.Click("form button.first")
	phone.Arrive(strings.TrimPrefix(link, s.origin) + "/passkey")
	phone.Click("button.first")
	phone.Arrive(strings.TrimPrefix(link, s.origin) + "/second")
	makeCode(t, phone, "form[data-act=join-code]")
	phone.Click("form[data-act=join-code] button:not([type=button])")
	phone.Arrive(strings.TrimPrefix(link, s.origin))
	words := phone.See(".lead code")
	phone.EveryWay(link, "join-back-words", pictures)
	owner.EveryWay(at, "back-words", pictures)
	owner.Go(at)
	if got := owner.See(".lead code"); got != words || len(strings.Fields(words)) != 6 {
		t.Fatalf("the owner sees %q, the colleague %q", got, words)
	}
	owner.Click("label.choice")
	owner.Click("form[data-tap=confirm-words] button.first")
	for range 500 {
		if s.facts("identity.words-confirmed") == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	owner.EveryWay(at, "back-waits", pictures)
	phone.EveryWay(link, "join-back-waits", pictures)
	if v, err := s.returning(t.Context(), jo); err != nil || v.state != confirmed {
		t.Errorf("it is %q (%v)", v.state, err)
	}
	owner.Calm()
	phone.Calm()
}

// joinsDirectly has Jo Park join in the name of the holder of a code.
func (s *served) joinsDirectly(code seal.Code) id.Person {
	s.t.Helper()
	u, err := s.UnlockCode(s.t.Context(), code.Auth(), code.KEK())
	if err != nil {
		s.t.Fatal(err)
	}
	defer u.Wipe()
	n, err := s.Newcomer("Jo Park", "jo@example.org", FrontDesk)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.AddCode(n, seal.NewCode(seal.Personal), "Code"); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Join(s.t.Context(), u, n); err != nil {
		s.t.Fatal(err)
	}
	return n.Person
}
