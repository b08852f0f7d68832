package identity

import (
	"context"
	"encoding/json"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// CloseDoors ends, with the commit of tx, everything by which a person comes in
// or goes on: passkeys, codes, browsers in which a code is taken, sessions, taps
// that wait for their act, and acts that wait for approval. It needs no keys and
// tells no fact: the caller knows why. On the signed list the doors stand until an
// owner signs, and open nothing: their rows hold the seed.
func (i *Identity) CloseDoors(ctx context.Context, tx *store.Tx, p id.Person) error {
	for _, table := range []string{"doors", "browsers"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_`+table+` WHERE person = $1`, p); err != nil {
			return fmt.Errorf("close doors of %s: %w", p, err)
		}
	}
	return i.EndSessions(ctx, tx, p, "")
}

// EndSessions ends, with the commit of tx, all sessions of a person but one, if
// one is named, and what waits for an act in any of them.
func (i *Identity) EndSessions(ctx context.Context, tx *store.Tx, p id.Person, but id.Session) error {
	err := i.dropKept(ctx, tx, keptSession, func(value []byte) (bool, error) {
		var s session
		err := json.Unmarshal(value, &s)
		return s.Person == p && (but == "" || s.ID != but), err
	})
	if err != nil {
		return err
	}
	err = i.dropKept(ctx, tx, keptTap, func(value []byte) (bool, error) {
		var t ticket
		err := json.Unmarshal(value, &t)
		return t.Person == p, err
	})
	if err != nil {
		return err
	}
	return i.dropKept(ctx, tx, keptApproval, func(value []byte) (bool, error) {
		var a approval
		err := json.Unmarshal(value, &a)
		return a.By == p, err
	})
}

// EndSession ends, with the commit of tx, one session of a person, wherever it
// is. web.ErrNoSession if there is none.
func (i *Identity) EndSession(ctx context.Context, tx *store.Tx, p id.Person, which id.Session) error {
	found := false
	err := i.dropKept(ctx, tx, keptSession, func(value []byte) (bool, error) {
		var s session
		err := json.Unmarshal(value, &s)
		mine := s.Person == p && s.ID == which
		found = found || mine
		return mine, err
	})
	if err == nil && !found {
		err = web.ErrNoSession
	}
	return err
}

// dropKept forgets the kept things of a kind that are meant.
func (i *Identity) dropKept(ctx context.Context, tx *store.Tx, kind string, meant func(value []byte) (bool, error)) error {
	all, err := i.kept.all(ctx, tx, kind, i.Now())
	if err != nil {
		return err
	}
	var keys []string
	for key, value := range all {
		ok, err := meant(value)
		clear(value)
		if err != nil {
			return fmt.Errorf("read a kept %s: %w", kind, err)
		}
		if ok {
			keys = append(keys, key)
		}
	}
	return i.kept.drop(ctx, tx, kind, keys...)
}

// doorStands tells whether a door's row is there: not closed meanwhile by
// somebody who has no keys.
func (i *Identity) doorStands(ctx context.Context, p id.Person, door string) (stands bool, err error) {
	err = i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_doors WHERE door = $1 AND person = $2)`, door, p).Scan(&stands)
	if err != nil {
		return false, fmt.Errorf("find door %s: %w", door, err)
	}
	return stands, nil
}
