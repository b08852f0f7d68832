package leaving

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
)

// remembered is how long home tells of a leaving in which nothing is left to do.
const remembered = 90 * 24 * time.Hour

// keysClaim is of teams that write under a key which somebody who left had.
const keysClaim = "identity.left-keys"

// evidence says of every leaving what is true of it.
func (l *Leaving) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		if !l.Identity.Founded() {
			return
		}
		roster, err := l.Identity.Roster(ctx)
		if err != nil {
			return // identity says so itself
		}
		acts, err := l.acts(ctx)
		if err != nil {
			yield(layer.Evidence{Claim: "identity.left", Place: layer.People}, err)
			return
		}
		for _, a := range acts {
			found, err := l.findings(ctx, roster, a)
			if err != nil {
				yield(layer.Evidence{Claim: "identity.left", Place: layer.People}, err)
				return
			}
			old := !a.Closed.IsZero() && l.Now().Sub(a.Closed) > remembered
			for _, e := range found {
				if e.Claim == keysClaim {
					continue // identity says so itself, for every way in
				}
				if old && e.State != layer.NeedsYou && e.State != layer.Urgent {
					continue
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// findings are what is true of one leaving: first whether its doors are closed,
// then what is left to do.
func (l *Leaving) findings(ctx context.Context, roster *seal.Roster, a act) (found []layer.Evidence, err error) {
	name := nameOf(roster, a.Person)
	say := func(claim string, state layer.State, text, fix string, minutes int) *layer.Evidence {
		found = append(found, layer.Evidence{Claim: claim, Place: layer.People, State: state, Text: text, Fix: fix, Minutes: minutes,
			Page: pageOf(a.ID), Seen: l.Now(), Until: l.Now().Add(24 * time.Hour)})
		return &found[len(found)-1]
	}
	if a.Closed.IsZero() {
		l.sayPlanned(roster, a, name, say)
	} else if err := l.sayClosed(ctx, roster, a, name, say); err != nil {
		return nil, err
	}
	if err := l.sayPatients(ctx, roster, a, name, say); err != nil {
		return nil, err
	}
	list, err := l.outside(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	if !a.Closed.IsZero() {
		l.sayOutsideFound(roster, name, list, say)
	}
	return found, nil
}

type sayer = func(claim string, state layer.State, text, fix string, minutes int) *layer.Evidence

// sayPlanned tells of doors that stand open until an hour.
func (l *Leaving) sayPlanned(roster *seal.Roster, a act, name string, say sayer) {
	hour := spoken(a.Hour.In(l.Now().Location()))
	plan, ok := roster.PlanOf(string(a.Person))
	if !ok || plan.Number != a.Plan {
		say("identity.leaving-planned", layer.Urgent, fmt.Sprintf("%s was to leave on %s, and the signed list does not have that plan.", name, hour), "Plan it again", 1)
		return
	}
	if late := l.Now().Sub(a.Hour); late > time.Minute {
		e := say("identity.leaving-planned", layer.Urgent, fmt.Sprintf("The doors to %s were to close on %s, and stand open.", name, hour), "Close them now", 1)
		if _, err := roster.Clone().CarryOut(plan.Number); err != nil {
			e.Why = "The owner who planned it is none any more, or this is the last owner."
		}
		return
	}
	ready, unready := readyTeams(roster, plan, a.Person)
	if len(unready) > 0 {
		e := say("identity.leaving-planned", layer.NeedsYou, fmt.Sprintf("The plan that %s leaves on %s does not fit any more for %s.", name, hour, teams(unready)), "Plan it again", 1)
		e.Why = "Its members or their keys have changed since. The doors close all the same."
		return
	}
	e := say("identity.leaving-planned", layer.Safe, fmt.Sprintf("%s leaves on %s.", name, hour), "", 0)
	e.Why = "The doors close by themselves, and " + has(ready) + " a new key ready."
}

func has(n int) string {
	if n == 1 {
		return "1 team has"
	}
	return many(n, "team has", "teams have")
}

// sayClosed tells of doors that are closed, as their verifiers said last.
func (l *Leaving) sayClosed(ctx context.Context, roster *seal.Roster, a act, name string, say sayer) error {
	doors, err := doorsOf(ctx, l.DB, a.ID)
	if err != nil {
		return err
	}
	t := tallied(doors)
	numbers := fmt.Sprintf("%d of %s accepted, %s reachable", t.Open, many(t.Doors, "door", "doors"), many(t.Reached, "current key", "current keys"))
	switch {
	case t.Open > 0:
		e := say("identity.left", layer.Urgent, fmt.Sprintf("%s left, and %s.", name, numbers), "See which", 1)
		e.Seen = a.Tried
	case a.Tried.IsZero():
		say("identity.left", layer.NotKnown, fmt.Sprintf("%s left. The doors were closed and not tried yet.", name), "", 0)
	default:
		e := say("identity.left", layer.Safe, fmt.Sprintf("%s left. %s.", name, capital(numbers)), "", 0)
		e.Seen, e.Until = a.Tried, a.Tried.Add(2*tryEvery)
	}
	if a.Closed.Before(a.Hour) && a.Plan > 0 {
		e := say("identity.left-early", layer.Urgent, fmt.Sprintf("The doors to %s were closed before the hour that was planned.", name), "Ask whoever looks after the server who wrote to the database", 10)
		e.Why = "Nobody signs the moment. Only somebody who writes the database can choose it."
	}
	if stale := staleTeams(roster); len(stale) > 0 && t.Reached > 0 {
		e := say(keysClaim, layer.NeedsYou, fmt.Sprintf("New records of %s still go under a key that %s held.", teams(stale), name), "Give new keys", 1)
		e.Why = "Something had changed since the leaving was planned. One tap of an owner gives the teams their new keys."
	}
	return nil
}

// sayPatients tells of patients who wait for a colleague.
func (l *Leaving) sayPatients(ctx context.Context, roster *seal.Roster, a act, name string, say sayer) error {
	h, err := l.handover(ctx, a.ID)
	if err != nil || h.Left == 0 {
		return err
	}
	team, _ := roster.Team(string(h.Team))
	reached := len(staying(roster, team, a.Person)) > 0
	patients, state := many(h.Left, "patient", "patients"), layer.NeedsYou
	wait := "waits"
	if h.Left > 1 {
		wait = "wait"
	}
	switch {
	case !reached && a.Planned():
		e := say("identity.hand-over", state, fmt.Sprintf("%s of %s can be opened by nobody else.", patients, name), "Have them handed over", 5)
		e.Why, e.By = fmt.Sprintf("%s has to hand them over before leaving. Afterwards only the recovery kit opens them.", name), a.Hour
	case !reached:
		e := say("identity.hand-over", layer.Urgent, fmt.Sprintf("%s of %s can be opened by nobody who is here.", patients, name), "See what can be done", 10)
		e.Why = "Nobody else was in that care team. Only the recovery kit opens them."
	case a.Planned():
		return nil // they go at the hour, or afterwards
	case a.Successor == "":
		say("identity.hand-over", state, fmt.Sprintf("%s of %s %s for a colleague.", patients, name, wait), "Choose who takes them over", 2)
	default:
		say("identity.hand-over", state, fmt.Sprintf("%s of %s %s to be handed over to %s.", patients, name, wait, nameOf(roster, a.Successor)), "Hand them over", 1)
	}
	return nil
}

// sayOutsideFound tells of systems that nobody here can see into.
func (l *Leaving) sayOutsideFound(roster *seal.Roster, name string, list []outside, say sayer) {
	var open []string
	var by time.Time
	for _, o := range list {
		if !o.Open() {
			e := say("identity.left-outside", layer.YourWord, fmt.Sprintf("%s of %s: closed. %s said so on %s.", o.item.Name, name, nameOf(roster, o.SaidBy), o.Done.In(l.Now().Location()).Format("January 2")), "", 0)
			e.Seen = o.Done
			continue
		}
		open = append(open, strings.ToLower(o.item.Name))
		if !o.Due.IsZero() && (by.IsZero() || o.Due.Before(by)) {
			by = o.Due
		}
	}
	if len(open) > 0 {
		e := say("identity.left-outside", layer.NeedsYou, fmt.Sprintf("Outside Quietroom, %s of %s: nobody has said that it is closed.", listed(open), name), "Go through the list", 2*len(open))
		e.By = by
	}
}

// staleTeams are the teams whose newest key somebody who left could hold.
func staleTeams(roster *seal.Roster) (names []string) {
	for _, name := range roster.Teams() {
		if roster.Stale(name) {
			t, _ := roster.Team(name)
			names = append(names, t.Name)
		}
	}
	return names
}

// readyTeams counts the teams that get their key with a plan, and names those of
// the person's that would not.
func readyTeams(roster *seal.Roster, plan seal.Plan, p id.Person) (ready int, unready []string) {
	fit := roster.Ready(plan)
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		if in(t.Members, p) && !slices.ContainsFunc(fit, func(n seal.PlannedTeam) bool { return n.Team == name }) {
			unready = append(unready, t.Name)
		}
	}
	return len(fit), unready
}

// teams names teams in a sentence.
func teams(names []string) string {
	if len(names) == 1 {
		return "the team " + names[0]
	}
	return "the teams " + listed(names)
}

func listed(names []string) string {
	switch n := len(names); {
	case n < 2:
		return strings.Join(names, "")
	case n > 4:
		return fmt.Sprintf("%s and %d others", strings.Join(names[:3], ", "), n-3)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// spoken is an hour in a sentence.
func spoken(t time.Time) string { return t.Format("Monday, January 2, 3:04\u00a0pm") }
