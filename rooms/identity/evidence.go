package identity

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
)

// evidenceLasts is how long a look at the roster counts.
const evidenceLasts = 24 * time.Hour

// evidence says what the signed list and the kept wraps show, without keys.
func (i *Identity) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		if !i.Founded() && !i.remains(ctx) {
			return // nothing was promised yet
		}
		err := i.Recheck(ctx) // every entry again, not only what came since
		var roster *seal.Roster
		if err == nil {
			roster, err = i.Roster(ctx)
		}
		if err != nil {
			yield(layer.Evidence{Claim: "identity.roster", Place: layer.People, State: layer.Urgent, Seen: i.Now(),
				Text: "The list of people and keys is not the one that the practice signed. Nothing is opened with it.",
				Page: "/people", Fix: "Ask whoever looks after the server to bring back the newest backup", Minutes: 30}, nil)
			return
		}
		for _, look := range []func(context.Context, *seal.Roster) (layer.Evidence, error){i.doorsEvidence, i.kitEvidence, i.rehearsedEvidence, i.holdersEvidence, i.overdueEvidence, i.joiningEvidence, i.reviewEvidence} {
			e, err := look(ctx, roster)
			e.Place = layer.People
			if e.Seen.IsZero() { // it was looked at now
				e.Seen, e.Until = i.Now(), i.Now().Add(evidenceLasts)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// doorsEvidence: a passkey is never the only door.
func (i *Identity) doorsEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.doors", State: layer.Safe, Page: "/doors"}
	var single []string
	living, fewest, only := 0, 0, ""
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		if p.Gone {
			continue
		}
		called, err := i.Name(ctx, id.Person(name))
		if err != nil {
			return e, err
		}
		if living++; living == 1 || len(p.Doors) < fewest {
			fewest = len(p.Doors)
		}
		only = called
		if len(p.Doors) < 2 {
			single = append(single, called)
		}
	}
	switch {
	case len(single) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 2, "Add another way in"
		e.Text = few(single) + " " + has(len(single)) + " one way in only. A lost phone would close the room for good."
	case living == 1:
		e.Text = fmt.Sprintf("%s has %d ways in.", only, fewest)
	default:
		e.Text = fmt.Sprintf("All %d people have at least %d ways in.", living, fewest)
	}
	return e, nil
}

func has(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// few names up to three people.
func few(names []string) string {
	slices.Sort(names)
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), len(names)-2)
	}
	return list(names)
}

// kitEvidence: the kit was made, and read back from paper; nobody who left holds a
// share of it, and nobody typed it anywhere since.
func (i *Identity) kitEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.kit", State: layer.Safe, Page: "/kit", Text: "The practice has a recovery kit of one paper: its key stands in the signed list."}
	if _, ok := roster.PublicKey(recoveryHolder); !ok {
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 3, "Make the recovery kit"
		e.Text = "There is no recovery kit. If all keys are lost, nobody can open what is sealed here."
		return e, nil
	}
	var used bool
	err := i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_done WHERE kind = $1 AND number = $2)`, kitUsed, roster.Kit().Number).Scan(&used)
	if err != nil {
		return e, fmt.Errorf("read what was done: %w", err)
	}
	names, gone := trustedNames(roster)
	asked, shown, err := i.waiting(ctx, kitWait, fmt.Sprint(roster.Kit().Number))
	if err != nil {
		return e, err
	}
	switch {
	case shown && i.Now().Before(asked.Add(kitWaits+kitPatient)):
		e.State, e.Minutes, e.Fix, e.By, e.Page = layer.NeedsYou, 1, "Look who it was", i.Now(), "/people"
		e.Text = "Somebody has shown the recovery kit. From " + asked.Add(kitWaits).Format("2 January, 15:04") + " on it gives an owner new ways in, unless it is stopped."
	case used:
		e.State, e.Minutes, e.Fix, e.By = layer.NeedsYou, 5, "Make a new kit", i.Now()
		e.Text = "The recovery kit was used. A new one takes its place, so that the old paper signs nothing any more."
	case len(gone) > 0:
		e.State, e.Minutes, e.Fix, e.By, e.Page = layer.NeedsYou, 8, "Share a new kit", i.Now(), "/kit/shares"
		e.Text = few(gone) + " left with a share of the recovery kit. A new kit makes that share worthless."
	case len(names) > 0:
		e.Text = "Any two of " + list(names) + " can bring the practice back: each has a share of the recovery kit."
	}
	return e, nil
}

// holdersEvidence: every team key has two living holders and a recovery wrap.
// In a practice of one, or in a team of one, that person's two doors count.
func (i *Identity) holdersEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.holders", State: layer.Safe, Page: "/people"}
	held, err := i.wraps(ctx)
	if err != nil {
		return e, err
	}
	_, kit := roster.PublicKey(recoveryHolder)
	thin, bare, teams := 0, 0, roster.Teams()
	for _, name := range teams {
		t, _ := roster.Team(name)
		if holders(roster, held, name, t) < 2 {
			thin++
		}
		if !held[wrap{name, t.Epoch, recoveryHolder}] {
			bare++
		}
	}
	switch {
	case thin == 0 && bare == 0:
		e.Text = fmt.Sprintf("Each of the %d team keys has two living holders, or one with two ways in, and a recovery wrap.", len(teams))
	case !kit:
		e.State, e.Minutes, e.Fix, e.Page = layer.NeedsYou, 3, "Make the recovery kit", "/kit"
		e.Text = fmt.Sprintf("None of the %d team keys is sealed to a recovery kit yet.", len(teams))
	case bare > 0:
		e.State, e.Minutes, e.Fix, e.Page = layer.NeedsYou, 3, "Ask a member of each team to seal its key to the kit", "/kit"
		e.Text = fmt.Sprintf("%d of %d team keys are not sealed to the recovery kit.", bare, len(teams))
	default:
		e.State, e.Minutes, e.Fix, e.Page = layer.NeedsYou, 2, "Add another way in, or another member", "/doors"
		e.Text = fmt.Sprintf("%d of %d team keys hang on one door. If it is lost, only the kit opens them.", thin, len(teams))
	}
	return e, nil
}

// holders counts the living members who hold the newest key; somebody with two
// doors counts as two where the team is of one.
func holders(roster *seal.Roster, held map[wrap]bool, name string, t seal.RosterTeam) int {
	n, doors := 0, 0
	for _, m := range t.Members {
		if p, ok := roster.Person(m); ok && !p.Gone && held[wrap{name, t.Epoch, m}] {
			n++
			doors = max(doors, len(p.Doors))
		}
	}
	if n == 1 && doors >= 2 {
		return 2
	}
	return n
}

type wrap struct {
	team   string
	epoch  uint64
	holder string
}

// wraps are the team keys that lie in the database, by whom they are sealed to.
func (i *Identity) wraps(ctx context.Context) (map[wrap]bool, error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT team, epoch, holder FROM identity_team_keys`)
	if err != nil {
		return nil, fmt.Errorf("read team keys: %w", err)
	}
	defer rows.Close()
	held := map[wrap]bool{}
	for rows.Next() {
		var w wrap
		if err := rows.Scan(&w.team, &w.epoch, &w.holder); err != nil {
			return nil, fmt.Errorf("read team keys: %w", err)
		}
		held[w] = true
	}
	return held, rows.Err()
}

// overdueEvidence: no team writes under a key that a leaver or a lost door reached.
func (i *Identity) overdueEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.rotated", State: layer.Safe, Page: "/people", Text: "No team writes under a key that a lost way in, or somebody who left, could have reached."}
	late, err := i.Overdue(ctx)
	if err != nil || len(late) == 0 {
		return e, err
	}
	teams, people := map[id.Team]bool{}, map[string]bool{}
	for _, o := range late {
		who, _ := roster.Person(string(o.Who))
		teams[o.Team], people[who.Name] = true, true
	}
	e.State, e.Minutes, e.Fix = layer.NeedsYou, 1, "Give the teams new keys"
	e.Text = fmt.Sprintf("New records of %d %s still go under keys that a closed way in, or the leaving, of %s could have reached. An owner’s next tap ends that.",
		len(teams), words(len(teams), "team", "teams"), few(slices.Collect(maps.Keys(people))))
	return e, nil
}

func words(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// joiningEvidence: nobody waits at the door for long.
func (i *Identity) joiningEvidence(ctx context.Context, _ *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.joining", State: layer.Safe, Page: "/people", Text: "Nobody waits at the door."}
	open, _, err := i.invitations(ctx)
	if err != nil {
		return e, err
	}
	var ready, need, back []string
	for _, v := range open {
		switch {
		case v.over(i.Now()):
		case v.Back:
			if due, ok := v.opensAt(); v.state == waiting || ok && !i.Now().Before(due) {
				back = append(back, v.Name)
			}
		case v.state == waiting && i.Now().Sub(v.changed) > 12*time.Hour:
			ready = append(ready, v.Name)
		case v.state == stuck:
			need = append(need, v.Name)
		}
	}
	switch {
	case len(back) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 2, "Compare the words, or come in"
		e.Text = few(back) + " lost every way in and " + words(len(back), "waits", "wait") + " for an owner to open the door again."
	case len(ready) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 1, "Open the door"
		e.Text = few(ready) + " " + words(len(ready), "has", "have") + " made the keys and " + words(len(ready), "waits", "wait") + " at the door. It opens when an owner who is in the same teams comes in next."
	case len(need) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Get a security key"
		e.Text = few(need) + " " + words(len(need), "needs", "need") + " a hardware security key to come in."
	}
	return e, nil
}
