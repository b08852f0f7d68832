package identity

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// signs taps for an act of the owner and posts its form.
func (s *served) signs(b *authenticator.Browser, act, object, path string, form url.Values) int {
	s.t.Helper()
	ticket, err := b.Tap(s.t.Context(), act, object)
	if err != nil {
		s.t.Fatal(err)
	}
	if form == nil {
		form = url.Values{}
	}
	form.Set(TapField, ticket)
	status, err := b.Post(s.t.Context(), path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

func (s *served) teamOf(kind string) (id.Team, seal.RosterTeam) {
	s.t.Helper()
	roster, err := s.Roster(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range roster.Teams() {
		if t, _ := roster.Team(name); t.Kind == kind {
			return id.Team(name), t
		}
	}
	s.t.Fatalf("there is no team of kind %s", kind)
	return "", seal.RosterTeam{}
}

// withJo is a practice of Ana and of Jo at the front desk.
func withJo(t *testing.T) (s *served, ana, jo *authenticator.Browser, p id.Person) {
	t.Helper()
	s = serveSQLite(t, false)
	ana = s.claimed()
	jo, _ = s.joins(s.invites(ana, nil))
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := jo.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, ana, jo, s.session(jo).Person
}

func TestAnOwnerChangesWhatSomebodyMayOpenInOneAct(t *testing.T) {
	s, ana, jo, p := withJo(t)
	directory, _ := s.teamOf(DirectoryTeam)
	billing, before := s.teamOf(BillingTeam)
	at := "/people/" + string(p)
	if got := s.signs(ana, actChangePerson, string(p), at, url.Values{"role": {FrontDesk, Billing}, "team": {string(directory), string(billing)}}); got != http.StatusSeeOther {
		t.Fatalf("giving billing answers %d", got)
	}
	if r := s.ringOf(jo); r.Teams[billing] == nil {
		t.Error("Jo was let into billing, and the open session does not hold its key")
	}
	if got := s.signs(ana, actChangePerson, string(p), at, url.Values{"role": {FrontDesk}, "team": {string(billing)}}); got != http.StatusSeeOther {
		t.Fatalf("taking the names away answers %d", got)
	}
	roster, _ := s.Roster(t.Context())
	who, _ := roster.Person(string(p))
	dir, _ := roster.Team(string(directory))
	if !slices.Equal(who.Roles, []string{FrontDesk}) || slices.Contains(dir.Members, string(p)) || dir.Epoch != 2 {
		t.Errorf("after taking the names away: roles %v, key %d of the directory for %d members", who.Roles, dir.Epoch, len(dir.Members))
	}
	if _, now := s.teamOf(BillingTeam); now.Epoch != before.Epoch {
		t.Errorf("billing got key %d, and nobody was taken out of it", now.Epoch)
	}
	if r := s.ringOf(jo); member(roster, directory, r.Person) {
		t.Error("Jo still is in the directory")
	}
	if got := s.signs(ana, actChangePerson, string(p), at, url.Values{"role": {Clinician}, "team": {string(billing)}}); got != http.StatusSeeOther {
		t.Fatalf("making a clinician answers %d", got)
	}
	if _, err := s.OwnTeam(t.Context(), p); err != nil {
		t.Errorf("a clinician has no team of one's own: %v", err)
	}
	if status, err := jo.Post(t.Context(), at, url.Values{"role": {Owner}}); err != nil || status != http.StatusForbidden {
		t.Errorf("Jo, who is no owner, changes roles: %d (%v)", status, err)
	}
}

func TestTheLastOwnerStaysOne(t *testing.T) {
	s, ana, _, _ := withJo(t)
	me := string(s.session(ana).Person)
	if got := s.signs(ana, actChangePerson, me, "/people/"+me, url.Values{"role": {Clinician}}); got != http.StatusConflict {
		t.Errorf("the last owner gives it up: %d", got)
	}
	if _, page := s.get(ana, "/people"); !strings.Contains(page, "owner, clinician") {
		t.Error("something was changed")
	}
}

func TestTheLastWhoCanOpenSomethingKeepsIt(t *testing.T) {
	s, ana, _, _ := withJo(t)
	billing, before := s.teamOf(BillingTeam)
	g := grant{Person: s.session(ana).Person, Team: billing}
	if got := s.signs(ana, actDropTeam, g.Object(), "/review/drop", url.Values{"person": {string(g.Person)}, "team": {string(g.Team)}}); got != http.StatusConflict {
		t.Errorf("the only member of billing is taken out with %d", got)
	}
	if _, now := s.teamOf(BillingTeam); now.Epoch != before.Epoch || len(now.Members) != 1 {
		t.Error("billing was changed, and nobody can open it")
	}
}

func TestTheReviewShowsWhatIsRealAndDropsWithOneTap(t *testing.T) {
	s, ana, jo, p := withJo(t)
	directory, _ := s.teamOf(DirectoryTeam)
	evidence := func() layer.Evidence {
		for e, err := range s.evidence(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Claim == "identity.review" {
				return e
			}
		}
		t.Fatal("nothing is said of the review")
		return layer.Evidence{}
	}
	if e := evidence(); e.State != layer.Safe {
		t.Fatalf("in the first quarter: %v %s", e.State, e.Text)
	}
	s.clock.pass(reviewEvery + time.Hour)
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := evidence(); e.State != layer.NeedsYou || e.By.IsZero() {
		t.Fatalf("after a quarter: %v %s", e.State, e.Text)
	}
	s.do(`DELETE FROM identity_team_keys WHERE holder = $1`, p)
	if _, page := s.get(ana, "/review"); !strings.Contains(page, "Jo Park") || !strings.Contains(page, "not sealed to this person") {
		t.Error("the review does not show the keys as they lie")
	}
	g := grant{Person: p, Team: directory}
	if got := s.signs(ana, actDropTeam, g.Object(), "/review/drop", url.Values{"person": {string(p)}, "team": {string(directory)}}); got != http.StatusSeeOther {
		t.Fatalf("dropping answers %d", got)
	}
	if _, dir := s.teamOf(DirectoryTeam); dir.Epoch != 2 || slices.Contains(dir.Members, string(p)) {
		t.Errorf("after dropping the directory has key %d for %v", dir.Epoch, dir.Members)
	}
	if status, err := ana.Post(t.Context(), "/review", nil); err != nil || status != http.StatusSeeOther {
		t.Fatalf("finishing answers %d (%v)", status, err)
	}
	e := evidence()
	if e.State != layer.Safe || !strings.HasPrefix(e.Text, "Ana Reyes looked at") {
		t.Errorf("after the review: %v %s", e.State, e.Text)
	}
	if later := e.At(s.clock.now().Add(reviewEvery + time.Hour)); later.State != layer.NotKnown {
		t.Errorf("a review of last quarter reads as %v", later.State)
	}
	if got := s.facts("identity.access-reviewed"); got != 1 {
		t.Errorf("%d facts tell of it", got)
	}
	if status, _ := s.get(jo, "/review"); status == http.StatusOK {
		t.Error("who is no owner reviews")
	}
}

func TestRightsInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false)
	tab.Authenticator(webtest.Abilities{PRF: true})
	s := serveSQLite(t, false)
	claimAt(t, s, tab, false)
	me := string(s.owner())
	tab.EveryWay(s.origin+"/people/"+me, "person", pictures)
	tab.EveryWay(s.origin+"/review", "review", pictures)
	tab.Dark(false)
	tab.Go(s.origin + "/people/" + me)
	tab.Click("input[value=supervisor]")
	tab.Click("button.first")
	tab.Arrive("/people")
	if got := tab.See("main"); !strings.Contains(got, "supervisor") {
		t.Errorf("the page says %q", got)
	}
	tab.Go(s.origin + "/review")
	tab.Click("form[action='/review'] button")
	tab.Arrive("/people")
	tab.Calm()
}
