package identity

import (
	"context"
	"fmt"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
)

// recoveryHolder stands for the practice's recovery pair among the holders of a team key.
const recoveryHolder = seal.Recovery

// recoveryBefore stands for the pair of a kit that was replaced: what is not sealed
// to the new one yet stays with the old paper.
const recoveryBefore = "recovery-before"

// Teams returns all teams as the signed roster has them, and which of them the
// acting person holds a key of.
func (i *Identity) Teams(ctx context.Context) ([]layer.Team, error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	mine := ringFrom(ctx)
	var teams []layer.Team
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		team := layer.Team{ID: id.Team(name), Kind: t.Kind, Name: t.Name, Epoch: t.Epoch, Inbox: t.Inbox}
		team.Mine = mine != nil && mine.Teams[team.ID] != nil && member(roster, team.ID, mine.Person)
		teams = append(teams, team)
	}
	return teams, nil
}

// TeamKey returns a key of a team that the acting person is in. It is handed to
// the vault alone. What a ring still holds of a team that its person was taken
// out of since the sign-in is not handed out: ErrNoKey.
func (i *Identity) TeamKey(ctx context.Context, team id.Team, epoch uint64) (seal.Key, error) {
	r := ringFrom(ctx)
	if r == nil {
		return seal.Key{}, ErrNoKey
	}
	k, ok := r.Teams[team][epoch]
	if !ok {
		return seal.Key{}, ErrNoKey
	}
	roster, err := i.known(ctx)
	if err != nil {
		return seal.Key{}, err
	}
	if !member(roster, team, r.Person) {
		return seal.Key{}, ErrNoKey
	}
	return k, nil
}

// member tells whether the signed list has a person in a team now.
func member(roster *seal.Roster, team id.Team, p id.Person) bool {
	t, _ := roster.Team(string(team))
	who, ok := roster.Person(string(p))
	return ok && !who.Gone && slices.Contains(t.Members, string(p))
}

// FormTeam makes a team with its first key. The signer need not be a member.
func (i *Identity) FormTeam(ctx context.Context, by *Unlocked, kind, name string, members ...id.Person) (id.Team, error) {
	return i.form(ctx, by, seal.RosterTeam{Kind: kind, Name: name}, members)
}

// FormOwnTeam makes a clinician's own care team: patients whom that person
// takes in belong to it.
func (i *Identity) FormOwnTeam(ctx context.Context, by *Unlocked, name string, own id.Person, others ...id.Person) (id.Team, error) {
	return i.form(ctx, by, seal.RosterTeam{Kind: CareTeam, Name: name, Own: string(own)}, append([]id.Person{own}, others...))
}

func (i *Identity) form(ctx context.Context, by *Unlocked, t seal.RosterTeam, members []id.Person) (id.Team, error) {
	team := id.New[id.Team]()
	return team, i.Change(ctx, by, func(c *Change) error { return c.Form(ctx, team, t, members) })
}

// OwnTeam returns a clinician's own care team. It comes from the signed roster:
// nobody who writes the database decides where new patients go.
func (i *Identity) OwnTeam(ctx context.Context, p id.Person) (id.Team, error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range roster.Teams() {
		if t, _ := roster.Team(name); t.Kind == CareTeam && t.Own == string(p) {
			return id.Team(name), nil
		}
	}
	return "", ErrNoTeam
}

// AddMember takes a person into a team: the team's keys, old ones too, are
// sealed to that person. by has to be a member.
func (i *Identity) AddMember(ctx context.Context, by *Unlocked, team id.Team, p id.Person) error {
	return i.Change(ctx, by, func(c *Change) error { return c.AddMember(ctx, team, p) })
}

// Rotate gives a team a new key, for these members only; see Change.Rotate.
func (i *Identity) Rotate(ctx context.Context, by *Unlocked, team id.Team, members []id.Person) error {
	return i.Change(ctx, by, func(c *Change) error { return c.Rotate(ctx, team, members) })
}

// teamEntry is the roster's statement of a team, its members and its key; of t it
// takes what a team keeps: kind, name and whose own it is.
func teamEntry(team id.Team, t seal.RosterTeam, epoch uint64, key seal.Key, members []id.Person) (seal.Entry, error) {
	inbox, err := seal.TeamInbox(key)
	if err != nil {
		return seal.Entry{}, err
	}
	e := seal.Entry{Act: seal.Form, Team: string(team), Kind: t.Kind, Name: t.Name, Person: t.Own, Epoch: epoch, Commitment: key.Commitment(), Public: inbox.Public()}
	for _, m := range members {
		e.Members = append(e.Members, string(m))
	}
	return e, nil
}

// teamBox seals a team key to a holder's public key from the signed roster.
// Before there is a kit, there is no recovery pair to seal to: nil.
func (i *Identity) teamBox(roster *seal.Roster, team id.Team, epoch uint64, key seal.Key, holder string) ([]byte, error) {
	var public seal.Public
	if holder == recoveryHolder {
		var ok bool
		if public, ok = roster.PublicKey(recoveryHolder); !ok {
			return nil, nil
		}
	} else {
		p, ok := roster.Person(holder)
		if !ok || p.Gone {
			return nil, fmt.Errorf("seal key of team %s: %s does not belong to the practice", team, holder)
		}
		public = p.Keys.Pair
	}
	return seal.SealTo(public, key[:], i.teamSlot(holder, team, epoch))
}

// SetRecovery names the practice's recovery pair and seals every team key that
// the signer holds to it. Its private half is printed on the kit and kept nowhere here.
func (i *Identity) SetRecovery(ctx context.Context, by *Unlocked, public seal.Public) error {
	return i.Change(ctx, by, func(c *Change) error { return c.SetRecovery(ctx, public) })
}

func ids(names []string) []id.Person {
	people := make([]id.Person, len(names))
	for i, n := range names {
		people[i] = id.Person(n)
	}
	return people
}
