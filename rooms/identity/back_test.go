package identity

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// linksBack has an owner make a link for somebody who lost every way in.
func (s *served) linksBack(owner *authenticator.Browser, p id.Person) (link string) {
	s.t.Helper()
	ticket, err := owner.Tap(s.t.Context(), actLetBack, string(p))
	if err != nil {
		s.t.Fatal(err)
	}
	status, page, err := owner.PostPage(s.t.Context(), "/people/"+string(p)+"/back", url.Values{TapField: {ticket}})
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("making a link back answers %d (%v)", status, err)
	}
	return joinLink.FindString(page)
}

// confirms has an owner sign that the words were the same.
func (s *served) confirms(owner *authenticator.Browser, p id.Person) int {
	s.t.Helper()
	v, err := s.returning(s.t.Context(), p)
	if err != nil || v.ID == "" {
		s.t.Fatalf("nobody waits (%v)", err)
	}
	ticket, err := owner.Tap(s.t.Context(), actConfirm, v.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := owner.Post(s.t.Context(), "/people/"+string(p)+"/back/"+v.ID+"/confirm", url.Values{"same": {"yes"}, TapField: {ticket}})
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// member is somebody who joined by an invitation.
func (s *served) member(owner *authenticator.Browser, form url.Values) (*authenticator.Browser, seal.Code, id.Person) {
	s.t.Helper()
	b, code := s.joins(s.invites(owner, form))
	if _, err := owner.Tap(s.t.Context(), "export", "everything"); err != nil {
		s.t.Fatal(err)
	}
	if err := b.SignIn(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return b, code, s.session(b).Person
}

func (s *served) makesOwner(owner *authenticator.Browser, p id.Person) {
	s.t.Helper()
	ticket, err := owner.Tap(s.t.Context(), actChangePerson, string(p))
	if err != nil {
		s.t.Fatal(err)
	}
	form := url.Values{"role": {Owner, Clinician}, TapField: {ticket}}
	roster, _ := s.Roster(s.t.Context())
	for _, team := range roster.Teams() {
		if t, _ := roster.Team(team); t.Kind != BillingTeam {
			form.Add("team", team)
		}
	}
	if status, err := owner.Post(s.t.Context(), "/people/"+string(p), form); err != nil || status != http.StatusSeeOther {
		s.t.Fatalf("making an owner answers %d (%v)", status, err)
	}
}

func TestWhoLostEveryWayInComesBackFaceToFace(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		told := map[id.Person][]string{}
		s.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error {
			told[n.To] = append(told[n.To], n.Subject)
			return nil
		}
		ana := s.claimed()
		jo, joCode, p := s.member(ana, url.Values{"role": {Clinician}}) // Ana is not in Jo's own team
		own, err := s.OwnTeam(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		_, _, leeP := s.member(ana, url.Values{"name": {"Lee Ito"}})

		link := s.linksBack(ana, p)
		back, _ := s.joins(link)
		if err := back.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Fatalf("nobody compared words, and who made keys is in: %v", err)
		}
		_, waits := s.get(back, link)
		_, page := s.get(ana, "/people/"+string(p)+"/back")
		words := regexp.MustCompile(`<code>([a-z ]+)</code>`).FindStringSubmatch(waits)
		if words == nil || !strings.Contains(page, words[1]) {
			t.Fatal("both screens have to show the same six words")
		}
		if got := s.confirms(ana, p); got != http.StatusSeeOther {
			t.Fatalf("confirming answers %d", got)
		}
		for who, subjects := range map[id.Person][]string{p: told[p], leeP: told[leeP], s.session(ana).Person: told[s.session(ana).Person]} {
			if !strings.Contains(strings.Join(subjects, "|"), "Somebody gets new ways in") {
				t.Errorf("person %s is not told: %q", who, subjects)
			}
		}
		if err := ana.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := back.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("one owner alone let somebody in at once: %v", err)
		}
		if !s.home(jo) {
			t.Error("the old session ended before the new doors open")
		}
		s.clock.pass(backWaits + time.Minute)
		if err := ana.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := back.SignIn(t.Context()); err != nil {
			t.Fatalf("a day later the new passkey opens nothing: %v", err)
		}
		if err := jo.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("the lost passkey still opens: %v", err)
		}
		if _, err := s.UnlockCode(t.Context(), joCode.Auth(), joCode.KEK()); err == nil {
			t.Error("the lost code still opens")
		}
		if s.home(jo) {
			t.Error("a session of before goes on")
		}
		// The owner is not in Jo's own team: of it there is a new key and, from nobody, an old one.
		r := s.ringOf(back)
		team, _ := mustRoster(t, s).Team(string(own))
		if _, ok := r.Teams[own][team.Epoch]; !ok || team.Epoch != 2 {
			t.Errorf("the own team is at key %d, and who came back holds %d keys of it", team.Epoch, len(r.Teams[own]))
		}
		if late, err := s.Overdue(t.Context()); err != nil || len(late) != 0 {
			t.Errorf("teams still wait for new keys: %v (%v)", late, err)
		}
		// Whoever writes the database does not have it happen twice.
		number := mustRoster(t, s).Number
		s.do(`UPDATE identity_invitations SET state = $1 WHERE confirmed IS NOT NULL`, confirmed)
		if err := ana.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustRoster(t, s).Number; got != number {
			t.Errorf("a return that was put back in the database signed %d entries", got-number)
		}
		s.do(`UPDATE identity_invitations SET state = $1 WHERE confirmed IS NOT NULL`, joined)
		if got, _ := s.get(back, link); got != http.StatusGone {
			t.Errorf("the link is used again: %d", got)
		}
	})
}

func mustRoster(t *testing.T, s *served) *seal.Roster {
	t.Helper()
	r, err := s.Roster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With two owners who can watch each other nobody waits; a colleague who is in the
// team gives its older keys at the next sign-in.
func TestWithTwoOwnersTheDoorOpensAtOnce(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	jo, _, joP := s.member(ana, url.Values{"role": {Clinician}, "shared": {"yes"}})
	s.makesOwner(ana, joP)
	_, _, kimP := s.member(ana, url.Values{"name": {"Kim Sol"}, "role": {Clinician}, "shared": {"yes"}}) // Jo is not in Kim's team
	kimTeam, err := s.OwnTeam(t.Context(), kimP)
	if err != nil {
		t.Fatal(err)
	}
	if err := jo.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	kim, _ := s.joins(s.linksBack(jo, kimP))
	if got := s.confirms(jo, kimP); got != http.StatusSeeOther {
		t.Fatalf("confirming answers %d", got)
	}
	if err := kim.SignIn(t.Context()); err != nil {
		t.Fatalf("two owners, and the door is closed: %v", err)
	}
	if _, ok := s.ringOf(kim).Teams[kimTeam][1]; ok {
		t.Fatal("Jo is not in that team and cannot have given its first key")
	}
	if err := ana.SignIn(t.Context()); err != nil { // Ana is in it
		t.Fatal(err)
	}
	if err := kim.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.ringOf(kim).Teams[kimTeam][1]; !ok {
		t.Error("a colleague who holds the team's older key came in, and it was not handed on")
	}
}

// What only the database says lets nobody back in; neither does one's own word, a
// stop, or other keys than those whose words were compared.
func TestAForgedReturnLetsNobodyIn(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, s *served, ana *authenticator.Browser, v invitation){
		"without a signature": func(t *testing.T, s *served, _ *authenticator.Browser, v invitation) {
			body, _ := json.Marshal(confirmation{Invitation: v.ID, Offer: offerSum(v.offered), By: v.By})
			s.do(`UPDATE identity_invitations SET state = $1, confirmed = $2, confirmation = $3 WHERE invitation = $4`, confirmed, body, make([]byte, 70), v.ID)
		},
		"with other keys afterwards": func(t *testing.T, s *served, ana *authenticator.Browser, v invitation) {
			s.confirms(ana, v.Person)
			s.do(`UPDATE identity_invitations SET offered = $1 WHERE invitation = $2`, append([]byte(" "), v.offered...), v.ID)
		},
		"after somebody stopped it": func(t *testing.T, s *served, ana *authenticator.Browser, v invitation) {
			s.confirms(ana, v.Person)
			if got, err := ana.Post(t.Context(), "/people/"+string(v.Person)+"/back/stop", nil); err != nil || got != http.StatusSeeOther {
				t.Fatalf("stopping answers %d (%v)", got, err)
			}
		},
		"with the words not said to be the same": func(t *testing.T, s *served, ana *authenticator.Browser, v invitation) {
			ticket, err := ana.Tap(t.Context(), actConfirm, v.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := ana.Post(t.Context(), "/people/"+string(v.Person)+"/back/"+v.ID+"/confirm", url.Values{TapField: {ticket}}); got != http.StatusUnprocessableEntity {
				t.Errorf("not saying so answers %d", got)
			}
		},
		"with a tap for something else": func(t *testing.T, s *served, ana *authenticator.Browser, v invitation) {
			ticket, err := ana.Tap(t.Context(), actLetBack, v.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := ana.Post(t.Context(), "/people/"+string(v.Person)+"/back/"+v.ID+"/confirm", url.Values{"same": {"yes"}, TapField: {ticket}}); got != http.StatusForbidden {
				t.Errorf("it answers %d", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSQLite(t, false)
			ana := s.claimed()
			_, _, p := s.member(ana, nil)
			back, _ := s.joins(s.linksBack(ana, p))
			v, err := s.returning(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			forge(t, s, ana, v)
			s.clock.pass(backWaits + time.Hour)
			if err := ana.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := back.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
				t.Errorf("somebody is in: %v", err)
			}
		})
	}
}

func TestNobodyLetsOneselfBackIn(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	me := s.session(ana).Person
	ticket, err := ana.Tap(t.Context(), actLetBack, string(me))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := ana.PostPage(t.Context(), "/people/"+string(me)+"/back", url.Values{TapField: {ticket}}); got != http.StatusConflict {
		t.Errorf("a link for oneself: %d", got)
	}
}

// A new kit reaches at once what its maker holds. The rest stays with the old paper
// until a member of the team comes in.
func TestAKitMadeAnewIsFilledByTheMembers(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	code := s.withCode(ana)
	jo, _, joP := s.member(ana, url.Values{"role": {Clinician}})
	own, _ := s.OwnTeam(t.Context(), joP)
	count := func(holder string) (n int) {
		if err := s.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM identity_team_keys WHERE team = $1 AND holder = $2`, own, holder).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 2 {
		kit, err := seal.RecoveryFromCode(seal.NewCode(seal.Kit).KEK(), s.Anchor.Practice())
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.UnlockCode(t.Context(), code.Auth(), code.KEK())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetRecovery(t.Context(), u, kit.Public()); err != nil {
			t.Fatal(err)
		}
		if count(recoveryHolder) != 0 || count(recoveryBefore) != round {
			t.Errorf("round %d: %d sealed to a kit whose maker is not in the team, %d to the one before", round, count(recoveryHolder), count(recoveryBefore))
		}
		if err := jo.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if count(recoveryHolder) != 1 || count(recoveryBefore) != 0 {
			t.Errorf("round %d: a member came in; %d sealed to the kit, %d to the one before", round, count(recoveryHolder), count(recoveryBefore))
		}
		boxes, err := teamBoxes(t.Context(), s.db, recoveryHolder)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range boxes {
			if _, err := kit.OpenKey(b.box, s.teamSlot(recoveryHolder, b.team, b.epoch)); err != nil {
				t.Errorf("the kit does not open key %d of team %s", b.epoch, b.team)
			}
		}
	}
}
