package identity

import (
	"context"
	"errors"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Found makes the practice, with the newcomer as its first owner, and the two
// teams that every practice has: the directory and billing. It returns the
// owner with the seed open. A practice stands whole or not at all.
func (i *Identity) Found(ctx context.Context, practice string, n *Newcomer) (*Unlocked, error) {
	i.acts.Lock()
	defer i.acts.Unlock()
	return i.found(ctx, practice, n)
}

// firstTeam is a team that stands from the first moment on.
type firstTeam struct {
	kind, name string
	id         id.Team
	key        seal.Key
	entry      seal.Signed
	number     uint64
}

func (i *Identity) found(ctx context.Context, practice string, n *Newcomer, more ...firstTeam) (*Unlocked, error) {
	fail := func(err error) (*Unlocked, error) {
		return nil, fmt.Errorf("found %s: %w", i.Anchor.Practice(), err)
	}
	if err := i.mayFound(ctx); err != nil {
		return fail(err)
	}
	e := n.entry(seal.Found)
	e.At, e.Practice = i.Now().UnixMilli(), i.Anchor.Practice()
	roster, first, err := seal.Begin(string(n.Person), n.user, e)
	if err != nil {
		return fail(err)
	}
	teams := append([]firstTeam{{kind: DirectoryTeam, name: "Names and contacts"}, {kind: BillingTeam, name: "Billing"}}, more...)
	u := &Unlocked{Person: n.Person, seed: n.seed, user: n.user, ring: newRing(n.Person)}
	if len(n.doors) > 0 {
		u.Door = n.doors[0].id
	}
	for k := range teams {
		if err := teams[k].sign(roster, n, e.At); err != nil {
			return fail(err)
		}
		u.ring.add(teams[k].id, 1, teams[k].key)
	}
	// The anchor comes first: after a crash between the two there is an anchor and
	// no list, which counts as nothing, and the next founding replaces it. The
	// other way round a lost anchor would look like a practice to be made anew.
	before := i.Anchor.Root()
	if err := i.Anchor.SetRoot(roster.Root); err != nil {
		return fail(err)
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		return i.writeFounding(ctx, tx, practice, n, roster, first, teams, e.At)
	})
	if err != nil {
		return fail(errors.Join(err, i.anchorAgain(before)))
	}
	i.forget()
	return u, nil
}

// anchorAgain puts back the fingerprint from before a founding that failed: it
// may be all that tells of a practice whose list was taken away. Where there was
// none, the new one stays, and counts as nothing without its list.
func (i *Identity) anchorAgain(before []byte) error {
	if before == nil {
		return nil
	}
	return i.Anchor.SetRoot(before)
}

// Founded tells whether the practice has its first owner.
func (i *Identity) Founded() bool {
	if i.founded.Load() {
		return true
	}
	if i.Anchor.Root() == nil || !i.listed(context.Background()) {
		return false
	}
	i.founded.Store(true)
	return true
}

// listed tells whether the database holds a list of people and keys; true
// where that cannot be found out.
func (i *Identity) listed(ctx context.Context) bool {
	var n int
	err := i.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM identity_roster WHERE number = 1`).Scan(&n)
	return err != nil || n > 0
}

// errNoAnchor means that the database holds a practice that this house does not
// know. Founding another one over it would destroy its keys.
var errNoAnchor = errors.New("identity: the database holds a practice, and the anchor that belongs to it is missing; bring the anchor back from where the house's own files are kept")

// remains tells whether anything of a practice is in the database; true where
// that cannot be found out.
func (i *Identity) remains(ctx context.Context) bool {
	for _, table := range []string{"roster", "practice", "people", "doors", "team_keys", "pins", "browsers"} {
		var some bool
		if err := i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_`+table+`)`).Scan(&some); err != nil || some {
			return true
		}
	}
	return false
}

// errListGone means that a practice lived here and its signed list was taken away.
var errListGone = errors.New("identity: the database holds people or keys of a practice, and the signed list of them is gone; bring back the newest backup")

// mayFound tells why a practice cannot be founded here, if so.
func (i *Identity) mayFound(ctx context.Context) error {
	switch {
	case i.Founded():
		return ErrFounded
	case i.listed(ctx):
		return errNoAnchor
	case i.remains(ctx):
		return errListGone
	}
	return nil
}

func (t *firstTeam) sign(roster *seal.Roster, n *Newcomer, at int64) error {
	t.id, t.key = id.New[id.Team](), seal.NewKey()
	as := seal.RosterTeam{Kind: t.kind, Name: t.name}
	if t.kind == CareTeam {
		as.Own = string(n.Person)
	}
	e, err := teamEntry(t.id, as, 1, t.key, []id.Person{n.Person})
	if err != nil {
		return err
	}
	e.At = at
	t.entry, err = roster.Sign(string(n.Person), n.user.Signer, e)
	t.number = roster.Number
	return err
}

func (i *Identity) writeFounding(ctx context.Context, tx *store.Tx, practice string, n *Newcomer, roster *seal.Roster, first seal.Signed, teams []firstTeam, at int64) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO identity_practice (one, name) VALUES (1, $1)`, practice); err != nil {
		return err
	}
	if err := i.addEntry(ctx, tx, 1, first); err != nil {
		return err
	}
	if err := i.writeNewcomer(ctx, tx, n, at); err != nil {
		return err
	}
	for _, t := range teams {
		if err := i.addEntry(ctx, tx, t.number, t.entry); err != nil {
			return err
		}
		box, err := i.teamBox(roster, t.id, 1, t.key, string(n.Person))
		if err != nil {
			return err
		}
		if err := addTeamKey(ctx, tx, t.id, 1, string(n.Person), box); err != nil {
			return err
		}
	}
	if err := i.pin(ctx, tx, n.Person, n.seed, roster.Pin()); err != nil {
		return err
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.Actor{Person: n.Person}, Kind: "identity.founded", Subject: string(n.Person), Hash: roster.Root})
}
