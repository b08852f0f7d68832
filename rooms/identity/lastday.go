package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// ended are the people whose last day, set at the invitation, is over, and who
// are still on the signed list. An owner is never among them.
func (i *Identity) ended(ctx context.Context, roster *seal.Roster) (map[id.Person]time.Time, error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT person, until FROM identity_people WHERE until > 0 AND until <= $1`, i.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read last days: %w", err)
	}
	defer rows.Close()
	over := map[id.Person]time.Time{}
	for rows.Next() {
		var p id.Person
		var until int64
		if err := rows.Scan(&p, &until); err != nil {
			return nil, fmt.Errorf("read last days: %w", err)
		}
		if who, ok := roster.Person(string(p)); ok && !who.Gone && !slices.Contains(who.Roles, Owner) {
			over[p] = time.UnixMilli(until)
		}
	}
	return over, rows.Err()
}

// closeEnded closes the doors of temporary staff on the last day, while nobody is
// signed in. The teams get their new keys when an owner comes in next.
func (i *Identity) closeEnded(ctx context.Context) error {
	if !i.Founded() {
		return nil
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	over, err := i.ended(ctx, roster)
	if err != nil {
		return err
	}
	for p, at := range over {
		open, err := i.anyDoor(ctx, p)
		if err != nil {
			return err
		}
		if !open {
			continue // done before
		}
		err = i.DB.Update(ctx, func(tx *store.Tx) error {
			closing := i.Leave
			if closing == nil {
				closing = i.Offboard
			}
			if err := closing(ctx, tx, layer.Leaving{Person: p, At: at}); err != nil {
				return err
			}
			return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Kind: "identity.last-day", Subject: string(p)})
		})
		if err != nil {
			return fmt.Errorf("close the doors of %s on the last day: %w", p, err)
		}
	}
	return nil
}

func (i *Identity) anyDoor(ctx context.Context, p id.Person) (open bool, err error) {
	err = i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_doors WHERE person = $1)`, p).Scan(&open)
	return open, err
}

// notify sends a notice, where the house can.
func (i *Identity) notify(ctx context.Context, tx *store.Tx, n layer.Notice) error {
	if i.Notify == nil {
		return nil
	}
	return i.Notify(ctx, tx, n)
}

// lastDays are the last days of temporary staff.
func (i *Identity) lastDays(ctx context.Context) (map[id.Person]time.Time, error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT person, until FROM identity_people WHERE until > 0`)
	if err != nil {
		return nil, fmt.Errorf("read last days: %w", err)
	}
	defer rows.Close()
	days := map[id.Person]time.Time{}
	for rows.Next() {
		var p id.Person
		var until int64
		if err := rows.Scan(&p, &until); err != nil {
			return nil, fmt.Errorf("read last days: %w", err)
		}
		days[p] = time.UnixMilli(until).Add(-time.Minute) // it ends with the day before this midnight
	}
	return days, rows.Err()
}
