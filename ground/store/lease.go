package store

import (
	"context"
	"fmt"
	"time"
)

// Lease takes or renews the lease name for holder until now+ttl, and tells
// whether holder has it. A lease runs out by itself when its holder dies. The
// servers' clocks have to agree to well within ttl.
func (db *DB) Lease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (held bool, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO store_leases (name, holder, until) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE store_leases.holder = excluded.holder OR store_leases.until < $4`,
			name, holder, now.Add(ttl).UnixMilli(), now.UnixMilli())
		if err != nil {
			return fmt.Errorf("lease %s: %w", name, err)
		}
		n, err := res.RowsAffected()
		held = n == 1
		return err
	})
	return held && err == nil, err
}
