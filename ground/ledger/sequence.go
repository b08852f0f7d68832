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
// waiting and returns nil. Several instances may run it: one at a time works, by
// a lease that is only taken while there is work, so that an idle house writes
// nothing. It returns ErrBroken as soon as the tree is not the signed one.
func (l *Ledger) Run(ctx context.Context) error {
	if l.key.signer == nil {
		return ErrKeyless
	}
	var (
		holder = rand.Text()
		until  time.Time // by the monotonic clock: a wrong wall clock stops nobody
		tick   = time.NewTicker(pollTime)
	)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.drain(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		waiting, err := l.anyWaiting(ctx)
		if err == nil && waiting && time.Now().After(until) {
			var held bool
			if held, err = l.db.Lease(ctx, leaseName, holder, l.now(), leaseTime); held {
				until = time.Now().Add(leaseTime / 2)
			}
			waiting = held
		}
		if err == nil && waiting {
			err = l.drain(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("number the facts: %w", err)
		}
	}
}

func (l *Ledger) anyWaiting(ctx context.Context) (waiting bool, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM ledger_facts WHERE n IS NULL)`).Scan(&waiting)
	return waiting, err
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
	if err := number(ctx, tx, head.Size); err != nil {
		return 0, err
	}
	if err := extend(ctx, tx, e); err != nil || e.size == head.Size {
		return 0, err
	}
	return int(e.size - head.Size), l.sign(ctx, tx, e.size, e.root())
}

func number(ctx context.Context, tx *store.Tx, size int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE ledger_facts SET n = w.n
		FROM (SELECT id, $1 + row_number() OVER (ORDER BY id) AS n FROM ledger_facts WHERE n IS NULL ORDER BY id LIMIT $2) AS w
		WHERE ledger_facts.id = w.id`, size, batchSize)
	if err != nil {
		return fmt.Errorf("give numbers: %w", err)
	}
	return nil
}

// extend adds the facts beyond the edge to the tree, and writes what changed of it.
func extend(ctx context.Context, tx *store.Tx, e *edge) error {
	bodies, err := readBodies(ctx, tx, e.size)
	if err != nil {
		return err
	}
	if len(bodies) == 0 {
		return nil
	}
	var errs []error
	old := e.size
	for _, body := range bodies {
		e.push(0, tlog.RecordHash(body), func(level int, hashes []Hash) {
			last := (e.size>>(tileHeight*level))/tileWidth - 1
			errs = append(errs, writeTile(ctx, tx, level, last, hashes))
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

// readBodies reads the bodies that have numbers above n, and makes sure that no number is missing.
func readBodies(ctx context.Context, tx *store.Tx, n int64) ([][]byte, error) {
	rows, err := tx.QueryContext(ctx, `SELECT n, body FROM ledger_facts WHERE n > $1 ORDER BY n`, n)
	if err != nil {
		return nil, fmt.Errorf("read facts after %d: %w", n, err)
	}
	defer rows.Close()
	var bodies [][]byte
	for rows.Next() {
		var at int64
		var body sql.RawBytes
		if err := rows.Scan(&at, &body); err != nil {
			return nil, fmt.Errorf("read facts after %d: %w", n, err)
		}
		if at != n+int64(len(bodies))+1 {
			return nil, fmt.Errorf("fact %d is missing: %w", n+int64(len(bodies))+1, ErrBroken)
		}
		bodies = append(bodies, append([]byte(nil), body...))
	}
	return bodies, rows.Err()
}
