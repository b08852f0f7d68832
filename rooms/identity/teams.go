package identity

import (
	"context"
	"fmt"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// recoveryHolder stands for the practice's recovery pair among the holders of a team key.
const recoveryHolder = "recovery"

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
	i.acts.Lock()
	defer i.acts.Unlock()
	return i.form(ctx, by, kind, name, "", members)
}

// FormOwnTeam makes a clinician's own care team: patients whom that person
// takes in belong to it.
func (i *Identity) FormOwnTeam(ctx context.Context, by *Unlocked, name string, own id.Person, others ...id.Person) (id.Team, error) {
	i.acts.Lock()
	defer i.acts.Unlock()
	return i.form(ctx, by, CareTeam, name, own, append([]id.Person{own}, others...))
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

func (i *Identity) form(ctx context.Context, by *Unlocked, kind, name string, own id.Person, members []id.Person) (id.Team, error) {
	team := id.New[id.Team]()
	return team, i.keyTeam(ctx, by, team, seal.RosterTeam{Kind: kind, Name: name, Own: string(own)}, 1, seal.NewKey(), members, func(*store.Tx) error { return nil })
}

// AddMember takes a person into a team: the team's keys, old ones too, are
// sealed to that person. by has to be a member.
func (i *Identity) AddMember(ctx context.Context, by *Unlocked, team id.Team, p id.Person) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	t, err := i.team(ctx, team)
	if err != nil {
		return err
	}
	key, ok := by.ring.Teams[team][t.Epoch]
	if !ok {
		return ErrNoKey
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	members := append(ids(t.Members), p)
	return i.keyTeam(ctx, by, team, t, t.Epoch, key, members, func(tx *store.Tx) error {
		for epoch, old := range by.ring.Teams[team] {
			if epoch == t.Epoch {
				continue
			}
			if err := i.sealTeamKey(ctx, tx, roster, team, epoch, old, string(p)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rotate gives a team a new key, for these members only. Whoever is left out
// keeps what he could read before and reads nothing that is written later.
func (i *Identity) Rotate(ctx context.Context, by *Unlocked, team id.Team, members []id.Person) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	t, err := i.team(ctx, team)
	if err != nil {
		return err
	}
	return i.keyTeam(ctx, by, team, t, t.Epoch+1, seal.NewKey(), members, func(tx *store.Tx) error {
		for _, m := range t.Members {
			if slices.Contains(members, id.Person(m)) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM identity_team_keys WHERE holder = $1 AND team = $2`, m, team); err != nil {
				return err
			}
		}
		return nil
	})
}

func (i *Identity) team(ctx context.Context, team id.Team) (seal.RosterTeam, error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return seal.RosterTeam{}, err
	}
	t, ok := roster.Team(string(team))
	if !ok {
		return t, fmt.Errorf("team %s: unknown", team)
	}
	return t, nil
}

// keyTeam signs the team as it shall be, seals its key to each member and to
// the recovery pair, and takes it into the signer's own ring if a member.
func (i *Identity) keyTeam(ctx context.Context, by *Unlocked, team id.Team, t seal.RosterTeam, epoch uint64, key seal.Key, members []id.Person, more func(*store.Tx) error) error {
	e, err := teamEntry(team, t, epoch, key, members)
	if err != nil {
		return err
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	err = i.actLocked(ctx, by, e, func(tx *store.Tx, number uint64, s seal.Signed) error {
		if err := i.addEntry(ctx, tx, number, s); err != nil {
			return err
		}
		if err := i.sealTeamKeyToAll(ctx, tx, roster, team, epoch, key, e.Members); err != nil {
			return err
		}
		if err := more(tx); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: by.actor(), Kind: "identity.team-keyed", Subject: string(team), Version: int64(epoch)})
	})
	if err == nil && slices.Contains(members, by.Person) {
		by.ring.add(team, epoch, key)
	}
	return err
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

// sealTeamKeyToAll seals a team key to its members and to the recovery pair.
func (i *Identity) sealTeamKeyToAll(ctx context.Context, tx *store.Tx, roster *seal.Roster, team id.Team, epoch uint64, key seal.Key, members []string) error {
	for _, holder := range append(slices.Clone(members), recoveryHolder) {
		if err := i.sealTeamKey(ctx, tx, roster, team, epoch, key, holder); err != nil {
			return err
		}
	}
	return nil
}

// sealTeamKey seals a team key to a holder's public key from the signed roster.
// Before there is a kit, there is no recovery pair to seal to.
func (i *Identity) sealTeamKey(ctx context.Context, tx *store.Tx, roster *seal.Roster, team id.Team, epoch uint64, key seal.Key, holder string) error {
	var public seal.Public
	if holder == recoveryHolder {
		var ok bool
		if public, ok = roster.PublicKey(recoveryHolder); !ok {
			return nil
		}
	} else {
		p, ok := roster.Person(holder)
		if !ok || p.Gone {
			return fmt.Errorf("seal key of team %s: %s does not belong to the practice", team, holder)
		}
		public = p.Keys.Pair
	}
	box, err := seal.SealTo(public, key[:], i.teamSlot(holder, team, epoch))
	if err != nil {
		return err
	}
	return addTeamKey(ctx, tx, team, epoch, holder, box)
}

// SetRecovery names the practice's recovery pair and seals every team key that
// the signer holds to it. Its private half is printed on the kit and kept nowhere here.
func (i *Identity) SetRecovery(ctx context.Context, by *Unlocked, public seal.Public) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	e := seal.Entry{Act: seal.Name, Name: recoveryHolder, Public: public}
	return i.actLocked(ctx, by, e, func(tx *store.Tx, number uint64, s seal.Signed) error {
		if err := i.addEntry(ctx, tx, number, s); err != nil {
			return err
		}
		for team, keys := range by.ring.Teams {
			for epoch, key := range keys {
				box, err := seal.SealTo(public, key[:], i.teamSlot(recoveryHolder, team, epoch))
				if err != nil {
					return err
				}
				if err := addTeamKey(ctx, tx, team, epoch, recoveryHolder, box); err != nil {
					return err
				}
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: by.actor(), Kind: "identity.recovery-named", Subject: string(by.Person)})
	})
}

func ids(names []string) []id.Person {
	people := make([]id.Person, len(names))
	for i, n := range names {
		people[i] = id.Person(n)
	}
	return people
}
