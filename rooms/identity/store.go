package identity

import (
	"context"
	"database/sql"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// reader is what both store.DB and store.Tx can do.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) store.Row
}

func readChain(ctx context.Context, db reader, after uint64) ([]seal.Signed, error) {
	rows, err := db.QueryContext(ctx, `SELECT body, signature FROM identity_roster WHERE number > $1 ORDER BY number`, after)
	if err != nil {
		return nil, fmt.Errorf("read roster: %w", err)
	}
	defer rows.Close()
	var chain []seal.Signed
	for rows.Next() {
		var s seal.Signed
		if err := rows.Scan(&s.Body, &s.Signature); err != nil {
			return nil, fmt.Errorf("read roster: %w", err)
		}
		chain = append(chain, s)
	}
	return chain, rows.Err()
}

// addEntry writes a signed entry; what is kept in memory of the list is read anew after the commit.
func (i *Identity) addEntry(ctx context.Context, tx *store.Tx, number uint64, s seal.Signed) error {
	tx.OnCommit(i.listGrew)
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_roster (number, body, signature) VALUES ($1, $2, $3)`, number, s.Body, s.Signature)
	if err != nil {
		return fmt.Errorf("roster entry %d: %w", number, err)
	}
	return nil
}

func addPerson(ctx context.Context, tx *store.Tx, n *Newcomer, at int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_people (person, mail, joined) VALUES ($1, $2, $3)`, n.Person, n.Mail, at)
	if err != nil {
		return fmt.Errorf("add person %s: %w", n.Person, err)
	}
	return nil
}

func addDoor(ctx context.Context, tx *store.Tx, person id.Person, d door, at int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_doors (door, person, kind, label, auth, credential_id, credential, seed, made)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		d.id, person, d.kind, d.label, d.auth, d.credentialID, d.credential, d.seed, at)
	if err != nil {
		return fmt.Errorf("add door %s: %w", d.id, err)
	}
	return nil
}

func addTeamKey(ctx context.Context, tx *store.Tx, team id.Team, epoch uint64, holder string, box []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_team_keys (team, epoch, holder, box) VALUES ($1, $2, $3, $4)
		ON CONFLICT (holder, team, epoch) DO UPDATE SET box = excluded.box`, team, epoch, holder, box)
	if err != nil {
		return fmt.Errorf("add key of team %s: %w", team, err)
	}
	return nil
}

// dropTeamKeys deletes all keys of a team that are sealed to a holder.
func dropTeamKeys(ctx context.Context, tx *store.Tx, team id.Team, holder string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM identity_team_keys WHERE holder = $1 AND team = $2`, holder, team); err != nil {
		return fmt.Errorf("drop keys of team %s: %w", team, err)
	}
	return nil
}

// dropOldKit deletes what is sealed to the kit before this one, as far as the new one reaches it too.
func dropOldKit(ctx context.Context, tx *store.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_team_keys WHERE holder = $1 AND EXISTS
		(SELECT 1 FROM identity_team_keys k WHERE k.holder = $2 AND k.team = identity_team_keys.team AND k.epoch = identity_team_keys.epoch)`, recoveryBefore, recoveryHolder)
	if err != nil {
		return fmt.Errorf("drop what the old kit opens: %w", err)
	}
	return nil
}

type teamBox struct {
	team  id.Team
	epoch uint64
	box   []byte
}

func teamBoxes(ctx context.Context, db reader, holder string) ([]teamBox, error) {
	rows, err := db.QueryContext(ctx, `SELECT team, epoch, box FROM identity_team_keys WHERE holder = $1`, holder)
	if err != nil {
		return nil, fmt.Errorf("read team keys: %w", err)
	}
	defer rows.Close()
	var boxes []teamBox
	for rows.Next() {
		var b teamBox
		if err := rows.Scan(&b.team, &b.epoch, &b.box); err != nil {
			return nil, fmt.Errorf("read team keys: %w", err)
		}
		boxes = append(boxes, b)
	}
	return boxes, rows.Err()
}

// Name returns a person's name, as an owner signed it.
func (i *Identity) Name(ctx context.Context, p id.Person) (string, error) {
	roster, err := i.known(ctx)
	if err != nil {
		return "", err
	}
	who, ok := roster.Person(string(p))
	if !ok {
		return "", fmt.Errorf("person %s: unknown", p)
	}
	return who.Name, nil
}

// PracticeName returns the practice's name; empty until it is founded.
func (i *Identity) PracticeName(ctx context.Context) (name string) {
	i.DB.QueryRowContext(ctx, `SELECT name FROM identity_practice WHERE one = 1`).Scan(&name)
	return name
}
