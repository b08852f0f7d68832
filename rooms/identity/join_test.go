package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

var joinLink = regexp.MustCompile(`/join/[A-Za-z0-9_-]{43}`)

// invites has the owner of a browser invite somebody, and returns the link's path.
func (s *served) invites(b *authenticator.Browser, form url.Values) string {
	s.t.Helper()
	ticket, err := b.Tap(s.t.Context(), actInvite, string(s.session(b).Person))
	if err != nil {
		s.t.Fatal(err)
	}
	all := url.Values{"name": {"Jo Park"}, "mail": {"jo@example.org"}, "role": {FrontDesk}, "account": {"own"}, TapField: {ticket}}
	for k, v := range form {
		all[k] = v
	}
	status, page, err := b.PostPage(s.t.Context(), "/people/invite", all)
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("inviting answers %d (%v)", status, err)
	}
	link := joinLink.FindString(page)
	if link == "" {
		s.t.Fatal("the page shows no link")
	}
	return link
}

// joins goes the newcomer's way, up to the keys, and returns the browser and the code.
func (s *served) joins(link string) (*authenticator.Browser, seal.Code) {
	s.t.Helper()
	b := s.browser()
	for _, path := range []string{link, link} {
		if status, _, err := b.Get(s.t.Context(), path); err != nil || status != http.StatusOK {
			s.t.Fatalf("the link answers %d (%v)", status, err)
		}
	}
	if status, err := b.Post(s.t.Context(), link, nil); err != nil || status != http.StatusSeeOther {
		s.t.Fatalf("going on answers %d (%v)", status, err)
	}
	if err := b.Make(s.t.Context(), link+"/first/begin", link+"/first/finish"); err != nil {
		s.t.Fatal(err)
	}
	code := seal.NewCode(seal.Personal)
	if err := s.sendParts(b, link+"/code", "", code); err != nil {
		s.t.Fatal(err)
	}
	return b, code
}

func (s *served) get(b *authenticator.Browser, path string) (int, string) {
	s.t.Helper()
	status, page, err := b.Get(s.t.Context(), path)
	if err != nil {
		s.t.Fatal(err)
	}
	return status, page
}

func TestWhoIsInvitedComesInAtAnOwnersNextTap(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		var told []layer.Notice
		s.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { told = append(told, n); return nil }
		ana := s.claimed()
		link := s.invites(ana, url.Values{"role": {Clinician}, "shared": {"yes"}})
		if len(told) != 1 || told[0].Address != "jo@example.org" || told[0].Link != link || strings.Contains(told[0].Subject+told[0].Text, link[6:]) {
			t.Errorf("the mail to the newcomer: %+v", told)
		}
		jo, _ := s.joins(link)
		if err := jo.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("nobody signed, and the newcomer is in: %v", err)
		}
		_, waits := s.get(jo, link)
		words := regexp.MustCompile(`<code>([a-z ]+)</code>`).FindStringSubmatch(waits)
		_, people := s.get(ana, "/people")
		if !strings.Contains(waits, "Ana Reyes opens the door for you") || words == nil || !strings.Contains(people, words[1]) {
			t.Error("the six words of the newcomer and of the owner are not the same, or are not shown")
		}
		if _, err := ana.Tap(t.Context(), "export", "everything"); err != nil {
			t.Fatal(err)
		}
		if err := jo.SignIn(t.Context()); err != nil {
			t.Fatalf("an owner tapped, and the newcomer gets %v", err)
		}
		roster, _ := s.Roster(t.Context())
		who, _ := roster.Person(string(s.session(jo).Person))
		if who.Name != "Jo Park" || !slices.Equal(who.Roles, []string{Clinician}) || len(who.Doors) != 2 {
			t.Errorf("the newcomer is %+v", who)
		}
		r := s.ringOf(jo)
		own, err := s.OwnTeam(t.Context(), r.Person)
		if err != nil || len(r.Teams) != 2 || r.Teams[own] == nil {
			t.Errorf("the newcomer holds %d teams (%v), want the directory and the own one", len(r.Teams), err)
		}
		if team, _ := roster.Team(string(own)); len(team.Members) != 2 {
			t.Errorf("the own team has %d members, want the newcomer and who invited", len(team.Members))
		}
		if got := s.facts("identity.joined"); got != 1 {
			t.Errorf("%d facts tell of it", got)
		}
		if got, page := s.get(s.browser(), link); got != http.StatusGone || !strings.Contains(page, "used already") {
			t.Errorf("the link is used again: %d", got)
		}
		if last := told[len(told)-1]; last.To != r.Person || last.Subject != "The door is open" {
			t.Errorf("the newcomer is told %+v", last)
		}
	})
}

func TestEachLinkThatLeadsNowhereSaysWhatToDo(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	if got, page := s.get(s.browser(), "/join/"+strings.Repeat("A", 43)); got != http.StatusNotFound || !strings.Contains(page, "ask whoever invited you") {
		t.Errorf("an unknown link: %d", got)
	}
	back := s.invites(ana, nil)
	open, _, err := s.invitations(t.Context())
	if err != nil || len(open) != 1 {
		t.Fatal(err)
	}
	if got, err := ana.Post(t.Context(), "/people/invitations/"+open[0].ID+"/withdraw", nil); err != nil || got != http.StatusSeeOther {
		t.Fatalf("taking it back answers %d (%v)", got, err)
	}
	if got, page := s.get(s.browser(), back); got != http.StatusGone || !strings.Contains(page, "taken this invitation back") {
		t.Errorf("a link that was taken back: %d", got)
	}
	lost := s.invites(ana, nil)
	jo := s.browser()
	if err := jo.Make(t.Context(), lost+"/first/begin", lost+"/first/finish"); err != nil {
		t.Fatal(err)
	}
	s.kept = keeper(s.db, seal.NewKey()) // a restart
	if err := s.sendParts(jo, lost+"/code", "", seal.NewCode(seal.Personal)); status(t, err) != http.StatusConflict {
		t.Errorf("after a restart the second step answers %v", err)
	}
	if got, _ := s.get(jo, lost+"/second"); got != http.StatusSeeOther {
		t.Errorf("after a restart the page of the second step answers %d", got)
	}
	if got, err := jo.Post(t.Context(), lost+"/stuck", nil); err != nil || got != http.StatusSeeOther {
		t.Fatalf("saying that nothing works answers %d (%v)", got, err)
	}
	if need, all, err := s.needKeys(t.Context()); err != nil || all != 2 || !slices.Contains(need, "Jo Park") {
		t.Errorf("%v of %d need a security key (%v)", need, all, err)
	}
	s.clock.pass(invitationLasts + time.Minute)
	if got, page := s.get(jo, lost); got != http.StatusGone || !strings.Contains(page, "Ask Ana Reyes for another one") {
		t.Errorf("an old link: %d", got)
	}
}

// Whoever writes the database lets nobody in, however the owner comes in.
func TestAForgedInvitationLetsNobodyIn(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, s *served, v invitation){
		"another role": func(t *testing.T, s *served, v invitation) {
			body := bytes.Replace(s.bodyOf(v.ID), []byte(`"role":"front-desk"`), []byte(`"role":"owner"`), 1)
			s.do(`UPDATE identity_invitations SET body = $1 WHERE invitation = $2`, body, v.ID)
		},
		"other keys": func(t *testing.T, s *served, v invitation) {
			user, err := seal.NewSeed().User()
			if err != nil {
				t.Fatal(err)
			}
			o, err := v.offer()
			if err != nil {
				t.Fatal(err)
			}
			o.Keys = user.Keys()
			b, _ := json.Marshal(o)
			s.do(`UPDATE identity_invitations SET offered = $1 WHERE invitation = $2`, b, v.ID)
		},
		"another link's keys": func(t *testing.T, s *served, v invitation) {
			signer, err := linkSigner(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			proof, _ := signer.Sign(offerLabel, offerMessage(v.ID, v.offered))
			s.do(`UPDATE identity_invitations SET proof = $1 WHERE invitation = $2`, proof, v.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSQLite(t, false)
			ana := s.claimed()
			s.joins(s.invites(ana, nil))
			open, _, err := s.invitations(t.Context())
			if err != nil || len(open) != 1 || open[0].state != waiting {
				t.Fatalf("%v %v", open, err)
			}
			forge(t, s, open[0])
			if _, err := ana.Tap(t.Context(), "export", "everything"); err != nil {
				t.Fatal(err)
			}
			if err := ana.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			roster, _ := s.Roster(t.Context())
			if n := len(roster.People()); n != 1 {
				t.Errorf("%d people belong to the practice", n)
			}
			if _, page := s.get(ana, "/people"); !strings.Contains(page, "invite") {
				t.Error("the page does not say that nothing comes of it")
			}
		})
	}
}

func (s *served) bodyOf(invitation string) (body []byte) {
	s.t.Helper()
	if err := s.db.QueryRowContext(s.t.Context(), `SELECT body FROM identity_invitations WHERE invitation = $1`, invitation).Scan(&body); err != nil {
		s.t.Fatal(err)
	}
	return body
}

func (s *served) do(query string, args ...any) {
	s.t.Helper()
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(s.t.Context(), query, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTemporaryStaffsDoorsCloseOnTheLastDay(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	day := s.clock.now().AddDate(0, 0, 3)
	jo, _ := s.joins(s.invites(ana, url.Values{"until": {day.Format(time.DateOnly)}}))
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := jo.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.closeEnded(t.Context()); err != nil || !s.home(jo) {
		t.Fatalf("before the last day: %v", err)
	}
	s.clock.pass(4 * 24 * time.Hour)
	if err := s.closeEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := jo.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
		t.Errorf("after the last day the passkey gives %v", err)
	}
	if late, err := s.Overdue(t.Context()); err != nil || len(late) != 1 || !late[0].Gone {
		t.Errorf("the teams that wait for a new key: %v %v", late, err)
	}
	before := s.epochs()
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	roster, _ := s.Roster(t.Context())
	for team, epoch := range s.epochs() {
		rt, _ := roster.Team(string(team))
		if rt.Kind == DirectoryTeam && (epoch != before[team]+1 || len(rt.Members) != 1) {
			t.Errorf("after an owner came in the directory has key %d for %d members", epoch, len(rt.Members))
		}
	}
	if got := s.facts("identity.last-day"); got != 1 {
		t.Errorf("%d facts tell of the last day", got)
	}
}

func TestOnlyWhoHoldsATeamsKeyLetsSomebodyIn(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	code := s.withCode(ana)
	u, err := s.UnlockCode(t.Context(), code.Auth(), code.KEK())
	if err != nil {
		t.Fatal(err)
	}
	jo, joCode := s.joins(s.invites(ana, url.Values{"role": {Clinician}})) // a team of one: Ana is not in it
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _ = jo, joCode
	var own id.Team
	for team := range s.epochs() {
		roster, _ := s.Roster(t.Context())
		if rt, _ := roster.Team(string(team)); rt.Own != "" && !slices.Contains(rt.Members, string(u.Person)) {
			own = team
		}
	}
	if own == "" {
		t.Fatal("Jo has no team of one")
	}
	ticket, err := ana.Tap(t.Context(), actInvite, string(u.Person))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"name": {"Sam"}, "role": {Supervisor}, "account": {"own"}, "team": {string(own)}, TapField: {ticket}}
	if got, err := ana.Post(t.Context(), "/people/invite", form); err != nil || got != http.StatusForbidden {
		t.Errorf("letting somebody into a team of others answers %d (%v)", got, err)
	}
}

func TestSomebodyIsInvitedInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false)
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	tab.EveryWay(s.origin+"/people/invite", "invite", pictures)
	tab.Width(1280)
	tab.Dark(false)
	tab.Go(s.origin + "/people/invite")
	tab.Type("#name", "Jo Park")
	tab.Click("input[value=clinician]")
	tab.Click("input[name=account][value=own]")
	tab.Click("button.first")
	said(t, tab, "h1", "Hand this link to Jo Park.")
	tab.Axe()
	tab.Calm()
	if pictures != "" {
		for _, px := range []int{390, 1280} {
			tab.Width(px)
			tab.Screenshot(fmt.Sprintf("%s/invited-%d.png", pictures, px))
		}
	}
	link := strings.TrimPrefix(tab.See(".copy"), s.origin)

	jo := tab.Another()
	jo.Dark(false)
	jo.Authenticator(webtest.Abilities{PRF: true})
	jo.EveryWay(s.origin+link, "join", pictures)
	jo.Dark(false)
	jo.Go(s.origin + link)
	jo.Click("button.first")
	jo.Arrive(link + "/passkey")
	jo.EveryWay(s.origin+link+"/passkey", "join-passkey", pictures)
	jo.Dark(false)
	jo.Go(s.origin + link + "/passkey")
	jo.Offline(true)
	jo.Click("button.first")
	said(t, jo, "[role=status]", "The house did not answer.")
	jo.Offline(false)
	jo.Complaints() // the network broke off
	jo.Click("button.first")
	jo.Arrive(link + "/second")
	jo.EveryWay(s.origin+link+"/second", "join-second", pictures)
	jo.Dark(false)
	jo.Go(s.origin + link + "/second")
	makeCode(t, jo, "form[data-act=join-code]")
	jo.Click("form[data-act=join-code] button:not([type=button])")
	jo.Arrive(link)
	jo.EveryWay(s.origin+link, "join-waiting", pictures)
	tab.EveryWay(s.origin+"/people", "people-waiting", pictures)
	tab.Dark(false)
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	tab.Click("button.first")
	tab.Arrive("/")
	tab.EveryWay(s.origin+"/people", "people", pictures)
	jo.Dark(false)
	jo.Go(s.origin + "/unlock")
	jo.Click("button.first")
	jo.Arrive("/")
	jo.Calm()
}

func TestAPhoneThatGivesNoKeyTellsTheOwner(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false)
	tab.Authenticator(webtest.Abilities{PRF: false})
	s := serveSQLite(t, false)
	ana := s.claimed()
	link := s.invites(ana, url.Values{"account": {"key"}})
	tab.Go(s.origin + link + "/passkey")
	if got := tab.See(".proof"); !strings.Contains(got, "asks you to use a hardware security key") {
		t.Errorf("the page says %q", got)
	}
	tab.Click("button.first")
	said(t, tab, "[role=status]", "This passkey cannot open records")
	tab.Click("details summary")
	tab.Click("form[action$='/stuck'] button")
	tab.Arrive(link)
	if _, page := s.get(ana, "/people"); !strings.Contains(page, "Needs a hardware security key") {
		t.Error("the owner is not told")
	}
}
