package seal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A leaving that is planned closes its doors at an hour at which nobody may be
// signed in, and an entry that is signed now cannot follow a head that will
// exist then. So an owner signs what shall happen, with the teams' next keys,
// as a plan that changes nothing; and an entry that nobody signs carries it out,
// once. Whoever can write the database can have that happen early, or keep it
// from happening, and can have nothing else happen: the entry says nothing of
// its own.

// Plan is a leaving that an owner signed ahead of its hour.
type Plan struct {
	Number uint64 // of its entry
	By     string // the owner who signed it
	Person string // who leaves
	After  int64  // the hour, unix milliseconds
	Teams  []PlannedTeam
	Done   bool // it was carried out
}

// inOrder brings planned teams into their one order, and leaves the caller's alone.
func inOrder(teams []PlannedTeam) []PlannedTeam {
	teams = slices.Clone(teams)
	for i := range teams {
		teams[i].Members = slices.Compact(slices.Sorted(slices.Values(teams[i].Members)))
	}
	slices.SortFunc(teams, func(a, b PlannedTeam) int { return cmp.Compare(a.Team, b.Team) })
	return teams
}

// foresee takes a plan in. A person has one at most: the newest counts.
func (r *Roster) foresee(e Entry) (reason string) {
	if r.lastOwner(e.Person) {
		return "it would leave the practice without an owner"
	}
	if e.After <= 0 {
		return "it names no hour"
	}
	p := Plan{Number: e.Number, By: e.By, Person: e.Person, After: e.After, Teams: e.Teams}
	for i, t := range p.Teams {
		if i > 0 && p.Teams[i-1].Team >= t.Team {
			return "it names a team twice"
		}
		if r.stays(t, p) != "" || r.keyed(t) != "" {
			return "it gives a team another key or other members than its next"
		}
	}
	r.plans[e.Person] = p
	return ""
}

// stays tells what keeps a team from becoming what a plan has it become.
func (r *Roster) stays(t PlannedTeam, p Plan) (reason string) {
	now, known := r.teams[t.Team]
	left := slices.DeleteFunc(slices.Clone(now.Members), func(m string) bool { return m == p.Person })
	switch {
	case !known || len(left) == len(now.Members):
		return "the person is not in it"
	case t.Epoch != now.Epoch+1:
		return "it has another key since"
	case !slices.Equal(left, t.Members):
		return "others are in it since"
	}
	for _, m := range t.Members {
		if who, ok := r.people[m]; !ok || who.Gone || who.Keyed > p.Number {
			return "somebody in it has left, or has other keys since"
		}
	}
	if r.named > p.Number {
		return "the practice has another recovery kit since"
	}
	return ""
}

// keyed tells what is wrong with a planned team's next key, by the rules for every team's.
func (r *Roster) keyed(t PlannedTeam) (reason string) {
	now := r.teams[t.Team]
	return r.clone(t.Team).form(Entry{Team: t.Team, Kind: now.Kind, Person: now.Own, Members: t.Members, Epoch: t.Epoch, Commitment: t.Commitment, Public: t.Public})
}

// clone is as much of a roster as a rule about one team needs.
func (r *Roster) clone(team string) *Roster {
	c := &Roster{people: r.people, teams: map[string]RosterTeam{}}
	if t, ok := r.teams[team]; ok {
		c.teams[team] = t
	}
	return c
}

func (r *Roster) withdraw(number uint64) (reason string) {
	p, ok := r.plan(number)
	if !ok || p.Done {
		return "there is no such plan any more"
	}
	delete(r.plans, p.Person)
	return ""
}

// carryOut has the person of a plan leave, and gives new keys to those of the
// teams that still are as the plan knew them. The others wait for an owner: Stale.
func (r *Roster) carryOut(number uint64) (reason string) {
	p, ok := r.plan(number)
	by := r.people[p.By]
	switch {
	case !ok || p.Done:
		return "there is no such plan any more"
	case by.Gone || !slices.Contains(by.Roles, Owner):
		return "who planned it is no owner any more"
	case r.lastOwner(p.Person):
		return "it would leave the practice without an owner"
	}
	ready := r.Ready(p)
	who := r.people[p.Person]
	who.Gone = true
	r.people[p.Person] = who
	for _, t := range ready {
		now := r.teams[t.Team]
		if reason := r.form(Entry{Team: t.Team, Kind: now.Kind, Person: now.Own, Members: t.Members, Epoch: t.Epoch, Commitment: t.Commitment, Public: t.Public}); reason != "" {
			panic("seal: a team that was ready is not: " + reason)
		}
	}
	p.Done = true
	r.plans[p.Person] = p
	return ""
}

// Ready returns those teams of a plan that would get their new key now. A team
// that has another key, other members or another member's keys since is left out:
// its members could not open the key that was made for them.
func (r *Roster) Ready(p Plan) (teams []PlannedTeam) {
	for _, t := range p.Teams {
		if r.stays(t, p) == "" && r.keyed(t) == "" {
			teams = append(teams, t)
		}
	}
	return teams
}

// lastOwner tells that a person is an owner, and the only one.
func (r *Roster) lastOwner(person string) bool {
	p := r.people[person]
	return !p.Gone && slices.Contains(p.Roles, Owner) && r.owners(person) == 0
}

func (r *Roster) plan(number uint64) (Plan, bool) {
	for _, p := range r.plans {
		if p.Number == number && number > 0 {
			return p, true
		}
	}
	return Plan{}, false
}

// PlanOf returns the newest plan of a person's leaving that was not withdrawn; it
// may have been carried out.
func (r *Roster) PlanOf(person string) (Plan, bool) { p, ok := r.plans[person]; return p, ok }

// Plans returns all plans that were not withdrawn, carried out or not, in order of person.
func (r *Roster) Plans() []Plan {
	return slices.SortedFunc(maps.Values(r.plans), func(a, b Plan) int { return strings.Compare(a.Person, b.Person) })
}

// CarryOut makes the next entry, which carries out a plan, and takes it in. It
// needs nobody's key; that the hour has come is for the caller to know. As with
// Sign, work on a Clone.
func (r *Roster) CarryOut(plan uint64) (Signed, error) {
	body, err := json.Marshal(Entry{Number: r.Number + 1, Previous: bytes.Clone(r.head()), Act: Due, Plan: plan})
	if err != nil {
		return Signed{}, fmt.Errorf("carry out plan %d: %w", plan, err)
	}
	s := Signed{Body: body, Signature: []byte{}}
	return s, r.Add(s)
}
