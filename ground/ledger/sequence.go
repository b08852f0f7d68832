package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"quietroom/ground/store"
)

const (
	leaseName = "ledger.sequencer"
	leaseTime = 2 * time.Second       // how long others wait for an instance that died
	pollTime  = 40 * time.Millisecond // a fact is numbered within 100 ms
	batchSize = 2048                  // bounds how long one step holds the writer
)

// Run numbers facts as they come, until ctx ends; then it numbers what is still
// waiting and returns nil. It returns the first error: ErrBroken needs a person,
// after any other one (a full disk, a lost connection) it may be run again.
//
// Several instances may run it. One at a time works, by a lease that is only
// taken while there is work, so that an idle house writes nothing. The lease
// saves work and is not needed for order: where its holder numbers nothing, or
// where a wrong clock made it last for years, another one steps in.
func (l *Ledger) Run(ctx context.Context) error {
	if l.key.signer == nil {
		return ErrKeyless
	}
	t := turn{l: l, holder: rand.Text()}
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.drain(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		mine, err := t.take(ctx)
		if err == nil && mine {
			err = l.drain(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("number the facts: %w", err)
		}
	}
}

// turn tells one instance whether it is its turn to number facts. Its times are
// the machine's monotonic ones.
type turn struct {
	l      *Ledger
	holder string
	until  time.Time // the lease is held
	first  int64     // the fact that has waited longest, 0 if none waits
	since  time.Time // when it was first seen to be that
}

func (t *turn) take(ctx context.Context) (mine bool, err error) {
	first, err := t.l.firstWaiting(ctx)
	if err != nil || first == 0 {
		t.first = 0
		return false, err
	}
	now := time.Now()
	if first != t.first {
		t.first, t.since = first, now
	}
	if now.Before(t.until) {
		return true, nil
	}
	if mine, err = t.l.db.Lease(ctx, leaseName, t.holder, t.l.now(), leaseTime); err != nil {
		return false, err
	}
	if mine {
		t.until = now.Add(leaseTime / 2)
	}
	return mine || now.Sub(t.since) > 2*leaseTime, nil
}

// firstWaiting returns the row of the fact that has waited longest, 0 if none waits.
func (l *Ledger) firstWaiting(ctx context.Context) (first int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT id FROM ledger_waiting ORDER BY id LIMIT 1`).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return first, err
}

// drain runs steps until none is left.
func (l *Ledger) drain(ctx context.Context) error {
	for {
		if n, err := l.Sequence(ctx); err != nil || n < batchSize {
			return err
		}
	}
}

// Sequence runs one step: it numbers up to some thousands of waiting facts in
// the order they were written, extends the tree and signs its head, in one
// transaction. It returns how many it numbered. Any number of instances may
// call it at once.
func (l *Ledger) Sequence(ctx context.Context) (n int, err error) {
	if l.key.signer == nil {
		return 0, ErrKeyless
	}
	err = l.db.Update(ctx, func(tx *store.Tx) error {
		n, err = l.step(ctx, tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("number the waiting facts: %w", err)
	}
	return n, nil
}

func (l *Ledger) step(ctx context.Context, tx *store.Tx) (int, error) {
	if err := l.lock(ctx, tx); err != nil {
		return 0, err
	}
	head, err := l.head(ctx, tx)
	if err != nil {
		return 0, err
	}
	e, err := readEdge(ctx, tx, head.Size)
	if err != nil {
		return 0, err
	}
	if e.root() != head.Root {
		return 0, ErrBroken
	}
	bodies, last, err := l.readWaiting(ctx, tx)
	if err != nil || len(bodies) == 0 {
		return 0, err
	}
	if err := move(ctx, tx, head.Size, last, int64(len(bodies))); err != nil {
		return 0, err
	}
	if err := extend(ctx, tx, e, bodies); err != nil {
		return 0, err
	}
	return len(bodies), l.sign(ctx, tx, e.size, e.root())
}

// readWaiting reads the facts that are next, and the id of the last of them.
func (l *Ledger) readWaiting(ctx context.Context, tx *store.Tx) (bodies [][]byte, last int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, body, mac FROM ledger_waiting ORDER BY id LIMIT $1`, batchSize)
	if err != nil {
		return nil, 0, fmt.Errorf("read waiting facts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body, m []byte
		if err := rows.Scan(&last, &body, &m); err != nil {
			return nil, 0, fmt.Errorf("read waiting facts: %w", err)
		}
		if _, err := parse(string(body)); err != nil || !l.wrote(string(body), m) {
			return nil, 0, fmt.Errorf("waiting fact in row %d was not written by this program: %w", last, ErrBroken)
		}
		bodies = append(bodies, body)
	}
	return bodies, last, rows.Err()
}

// move gives the facts that were read, up to the id last, their numbers after
// size. It insists on their count: none may come or go between two statements.
func move(ctx context.Context, tx *store.Tx, size, last, count int64) error {
	added, err := tx.ExecContext(ctx, `INSERT INTO ledger_facts (n, body, mac)
		SELECT $1 + row_number() OVER (ORDER BY id), body, mac FROM ledger_waiting WHERE id <= $2 ORDER BY id`, size, last)
	if err != nil {
		return fmt.Errorf("give numbers: %w", err)
	}
	removed, err := tx.ExecContext(ctx, `DELETE FROM ledger_waiting WHERE id <= $1`, last)
	if err != nil {
		return fmt.Errorf("give numbers: %w", err)
	}
	for _, done := range []sql.Result{added, removed} {
		if n, err := done.RowsAffected(); err != nil || n != count {
			return fmt.Errorf("gave numbers to %d facts instead of %d (%w)", n, count, err)
		}
	}
	return nil
}

// extend adds facts to the tree, and writes what changed of it.
func extend(ctx context.Context, tx *store.Tx, e *edge, bodies [][]byte) error {
	var errs []error
	old := e.size
	for _, body := range bodies {
		e.push(0, tlog.RecordHash(body), func(level int, hashes []Hash) {
			full := (e.size>>(tileHeight*level))/tileWidth - 1
			errs = append(errs, writeTile(ctx, tx, level, full, hashes))
		})
	}
	for level, hashes := range e.levels {
		grew := e.size>>(tileHeight*level) > old>>(tileHeight*level)
		if grew && len(hashes) > 0 {
			tile, _ := tileAt(e.size, level)
			errs = append(errs, writeTile(ctx, tx, level, tile, hashes))
		}
	}
	return errors.Join(errs...)
}
