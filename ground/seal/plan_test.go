package seal

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// planned is a practice of the owners ana and lee, and of jo, with two teams of
// all three, and a plan that jo leaves both.
func planned(t *testing.T) (*Roster, Plan) {
	t.Helper()
	r, _ := begun("P")
	inbox := users()[6].Pair.Public()
	keys := func(i int) *Keys { k := users()[i].Keys(); return &k }
	everybody, stay := []string{"ana", "jo", "lee"}, []string{"ana", "lee"}
	for _, e := range []Entry{
		{Act: Join, Person: "jo", Keys: keys(1), Roles: []string{"clinician"}},
		{Act: Join, Person: "lee", Keys: keys(2), Roles: []string{Owner}},
		{Act: Join, Person: "kim", Keys: keys(3)},
		{Act: Form, Team: "t", Kind: "care", Members: everybody, Epoch: 1, Commitment: NewKey().Commitment(), Public: inbox},
		{Act: Form, Team: "u", Kind: "care", Members: everybody, Epoch: 1, Commitment: NewKey().Commitment(), Public: inbox},
		{Act: Foresee, Person: "jo", After: 10, Teams: []PlannedTeam{
			{Team: "u", Members: stay, Epoch: 2, Commitment: NewKey().Commitment(), Public: inbox},
			{Team: "t", Members: stay, Epoch: 2, Commitment: NewKey().Commitment(), Public: inbox},
		}},
	} {
		must(r.Sign("ana", users()[0].Signer, e))
	}
	p, ok := r.PlanOf("jo")
	if !ok || len(r.Ready(p)) != 2 {
		t.Fatalf("the plan is %+v", p)
	}
	return r, p
}

func TestAPlanChangesNothingUntilItIsDueAndHappensOnce(t *testing.T) {
	r, p := planned(t)
	jo, _ := r.Person("jo")
	if team, _ := r.Team("t"); jo.Gone || team.Epoch != 1 {
		t.Fatal("a plan changed something")
	}
	must(r.CarryOut(p.Number))
	jo, _ = r.Person("jo")
	for _, name := range []string{"t", "u"} {
		if team, _ := r.Team(name); !jo.Gone || team.Epoch != 2 || r.Stale(name) || !slices.Equal(team.Members, []string{"ana", "lee"}) {
			t.Errorf("the plan was carried out, and team %s is %+v", name, team)
		}
	}
	if _, err := r.CarryOut(p.Number); err == nil {
		t.Error("a plan was carried out twice")
	}
	if done, _ := r.PlanOf("jo"); !done.Done {
		t.Error("nothing tells that the plan was carried out")
	}
}

// What happened since an owner planned is respected: the team waits for an owner.
func TestATeamThatMovedOnSinceThePlanIsLeftOut(t *testing.T) {
	inbox := users()[6].Pair.Public()
	keys := users()[5].Keys()
	form := func(members []string, epoch uint64) func(*Roster) Entry {
		return func(r *Roster) Entry {
			team, _ := r.Team("t")
			e := Entry{Act: Form, Team: "t", Kind: "care", Members: members, Epoch: epoch, Commitment: team.Commitments[1], Public: inbox}
			if epoch > 1 {
				e.Commitment = NewKey().Commitment()
			}
			return e
		}
	}
	just := func(e Entry) func(*Roster) Entry { return func(*Roster) Entry { return e } }
	for what, c := range map[string]struct {
		since func(*Roster) Entry
		left  []string // out
		stale bool
	}{
		"another key":                  {form([]string{"ana", "jo", "lee"}, 2), []string{"t"}, true},
		"the person was taken out":     {form([]string{"ana", "lee"}, 2), []string{"t"}, false},
		"somebody came into it":        {form([]string{"ana", "jo", "kim", "lee"}, 1), []string{"t"}, true},
		"a member has other keys":      {just(Entry{Act: Rekey, Person: "lee", Keys: &keys}), []string{"t", "u"}, true},
		"a member has left":            {just(Entry{Act: Leave, Person: "lee"}), []string{"t", "u"}, true},
		"another kit":                  {just(Entry{Act: Name, Name: "recovery", Public: inbox}), []string{"t", "u"}, true},
		"nothing of it concerns teams": {just(Entry{Act: Doors, Person: "ana"}), nil, false},
	} {
		r, p := planned(t)
		must(r.Sign("ana", users()[0].Signer, c.since(r)))
		must(r.CarryOut(p.Number))
		if jo, _ := r.Person("jo"); !jo.Gone {
			t.Errorf("%s: jo did not leave", what)
		}
		for _, name := range []string{"t", "u"} {
			team, _ := r.Team(name)
			out := slices.Contains(c.left, name)
			if got := slices.ContainsFunc(p.Teams, func(n PlannedTeam) bool {
				return n.Team == name && hasKey(team, n)
			}); got == out {
				t.Errorf("%s: team %s has the planned key: %v", what, name, got)
			}
		}
		if r.Stale("t") != c.stale {
			t.Errorf("%s: whether a key is one that jo held reads %v", what, r.Stale("t"))
		}
	}
}

// hasKey tells whether a team's newest key is the planned one.
func hasKey(t RosterTeam, p PlannedTeam) bool {
	return string(t.Commitments[t.Epoch]) == string(p.Commitment)
}

func TestAPlanThatDoesNotCountAnyMoreIsNotCarriedOut(t *testing.T) {
	keys := users()[5].Keys()
	for what, c := range map[string]struct {
		since []Entry
		by    string
		want  string
	}{
		"withdrawn":                     {[]Entry{{Act: Withdraw, Plan: 7}}, "lee", "no such plan"},
		"another one in its place":      {[]Entry{{Act: Foresee, Person: "jo", After: 99}}, "lee", "no such plan"},
		"the person has left":           {[]Entry{{Act: Leave, Person: "jo"}}, "ana", "no such plan"},
		"who planned has left":          {[]Entry{{Act: Leave, Person: "ana"}}, "lee", "no owner any more"},
		"who planned is owner no more":  {[]Entry{{Act: Assign, Person: "ana"}}, "lee", "no owner any more"},
		"the person is the last owner":  {[]Entry{{Act: Assign, Person: "jo", Roles: []string{Owner}}, {Act: Assign, Person: "lee"}, {Act: Assign, Person: "ana"}}, "ana", "no owner any more"},
		"who planned has new keys only": {[]Entry{{Act: Rekey, Person: "ana", Keys: &keys}}, "ana", ""},
	} {
		r, p := planned(t)
		by := map[string]*Signer{"ana": users()[0].Signer, "lee": users()[2].Signer}[c.by]
		for _, e := range c.since {
			must(r.Sign(c.by, by, e))
		}
		before := written(r)
		_, err := r.CarryOut(p.Number)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || written(r) != before) {
			t.Errorf("%s: %v, want it refused: %s", what, err, c.want)
		}
	}
}

func TestTheLastOwnersLeavingIsNeitherPlannedNorCarriedOut(t *testing.T) {
	r, _ := begun("P")
	if _, err := r.Sign("ana", users()[0].Signer, Entry{Act: Foresee, Person: "ana", After: 10}); err == nil || !strings.Contains(err.Error(), "without an owner") {
		t.Errorf("the last owner's leaving was planned: %v", err)
	}
	keys := users()[2].Keys()
	must(r.Sign("ana", users()[0].Signer, Entry{Act: Join, Person: "lee", Keys: &keys, Roles: []string{Owner}}))
	must(r.Sign("ana", users()[0].Signer, Entry{Act: Foresee, Person: "lee", After: 10}))
	must(r.Sign("lee", users()[2].Signer, Entry{Act: Foresee, Person: "ana", After: 10}))
	a, _ := r.PlanOf("lee")
	b, _ := r.PlanOf("ana")
	must(r.CarryOut(a.Number))
	if _, err := r.CarryOut(b.Number); err == nil {
		t.Error("two owners who planned each other's leaving both left")
	}
}

// Nobody signs it, so it has one form, and nothing in it can be chosen.
func TestWhatNobodySignsSaysNothingOfItsOwn(t *testing.T) {
	r, p := planned(t)
	good := Entry{Number: r.Number + 1, Previous: r.head(), Act: Due, Plan: p.Number}
	for what, change := range map[string]func(*Entry){
		"a time":       func(e *Entry) { e.At = 5 },
		"a name":       func(e *Entry) { e.By = "ana" },
		"a person":     func(e *Entry) { e.Person = "lee" },
		"a team":       func(e *Entry) { e.Teams = p.Teams[:1] },
		"another plan": func(e *Entry) { e.Plan-- },
		"no plan":      func(e *Entry) { e.Plan = 0 },
		"an hour":      func(e *Entry) { e.After = 1 },
	} {
		e := good
		change(&e)
		if err := r.Clone().Add(Signed{must(json.Marshal(e)), nil}); err == nil {
			t.Errorf("an entry that nobody signed says %s", what)
		}
	}
	body := must(json.Marshal(good))
	if err := r.Clone().Add(Signed{body, must(users()[0].Sign(entryLabel, body))}); err == nil {
		t.Error("it is taken with a signature, and so in two forms")
	}
	if err := r.Clone().Add(Signed{body, nil}); err != nil {
		t.Errorf("the one form is refused: %v", err)
	}
}

func TestWhatAPlanMayNotSay(t *testing.T) {
	r, p := planned(t)
	next := func(change func(*PlannedTeam)) Entry {
		team := p.Teams[0]
		change(&team)
		return Entry{Act: Foresee, Person: "jo", After: 10, Teams: []PlannedTeam{team}}
	}
	for what, e := range map[string]Entry{
		"no hour":                {Act: Foresee, Person: "jo", Teams: p.Teams},
		"nobody":                 {Act: Foresee, Person: "nobody", After: 10},
		"a team twice":           {Act: Foresee, Person: "jo", After: 10, Teams: []PlannedTeam{p.Teams[0], p.Teams[0]}},
		"a team of others":       {Act: Foresee, Person: "kim", After: 10, Teams: p.Teams},
		"a leap":                 next(func(n *PlannedTeam) { n.Epoch++ }),
		"the same number":        next(func(n *PlannedTeam) { n.Epoch-- }),
		"who leaves stays":       next(func(n *PlannedTeam) { n.Members = []string{"ana", "jo", "lee"} }),
		"somebody else is out":   next(func(n *PlannedTeam) { n.Members = []string{"ana"} }),
		"somebody else comes in": next(func(n *PlannedTeam) { n.Members = []string{"ana", "kim", "lee"} }),
		"a key it had before": next(func(n *PlannedTeam) {
			team, _ := r.Team("t")
			n.Commitment = team.Commitments[1]
		}),
		"an inbox that is none": next(func(n *PlannedTeam) { n.Public = n.Public[1:] }),
		"more than a plan does": {Act: Foresee, Person: "jo", After: 10, Roles: []string{Owner}},
	} {
		if _, err := r.Clone().Sign("ana", users()[0].Signer, e); err == nil {
			t.Errorf("a plan says %s", what)
		}
	}
	if _, err := r.Clone().Sign("jo", users()[1].Signer, next(func(*PlannedTeam) {})); err == nil || !strings.Contains(err.Error(), "only an owner") {
		t.Errorf("a clinician plans: %v", err)
	}
	if _, err := r.Clone().Sign("jo", users()[1].Signer, Entry{Act: Withdraw, Plan: p.Number}); err == nil || !strings.Contains(err.Error(), "only an owner") {
		t.Errorf("who leaves takes the plan back: %v", err)
	}
}
