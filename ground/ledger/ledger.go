// Package ledger keeps what happened in the house as facts in an append-only
// Merkle log (RFC 6962, golang.org/x/mod/sumdb/tlog), inside the practice's
// own database.
//
// A fact is written in the transaction of the act that it tells of: there is
// no act without its fact, and no fact without its act. A sequencer then
// numbers the waiting facts, extends the tree and signs its head, within 100 ms.
//
// Whoever edits, removes or reorders numbered facts is found by Verify. Whoever
// also holds the signing key can rewrite everything, so heads are kept by
// witnesses elsewhere: one older checkpoint is enough to find a truncation or a
// fork. What no log can show is a fact that was never written, or one that was
// removed in the moment before it was numbered.
//
// A fact holds opaque identifiers and fixed words only: the ledger stays
// readable when a patient's keys are gone, and then says nothing of anybody.
package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"quietroom/ground/store"
)

//go:embed schema
var schema embed.FS

var (
	// ErrKeyless means that the ledger was opened to be read and verified only.
	ErrKeyless = errors.New("ledger: opened without its signing key")
	// ErrBroken means that the tree on disk is not the one that was signed.
	// Nothing is numbered or signed on top of it; Verify names what was changed.
	ErrBroken = errors.New("ledger: the tree is not the one that was signed; run quietroom verify")
	// ErrNoFact means that there is no fact with that number.
	ErrNoFact = errors.New("ledger: no fact with that number")
)

// Ledger is the log of one practice.
type Ledger struct {
	db  *store.DB
	key Key
	now func() time.Time

	mu    sync.Mutex       // of what is remembered
	known map[string]known // see Written, by subject
	held  int              // writes in known
	sure  int64            // the size of a head whose signature this process has checked
}

// Schema are the ledger's tables, which Open brings up to date.
func Schema() fs.FS { return schema }

// Open brings the ledger's tables up to date. With a signing key, a new ledger
// gets its first head, of no facts. With a verifier alone the ledger can be
// read and verified, and numbers nothing.
func Open(ctx context.Context, db *store.DB, key Key, now func() time.Time) (*Ledger, error) {
	if key.verifier == nil {
		return nil, errors.New("open ledger: no key")
	}
	if err := db.Migrate(ctx, "ledger", schema); err != nil {
		return nil, err
	}
	l := &Ledger{db: db, key: key, now: now, known: map[string]known{}}
	if key.signer == nil {
		return l, nil
	}
	db.Attach(macKey{}, key.waiting)
	if err := db.Update(ctx, l.begin); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, nil
}

// begin signs the head of the empty tree, where nothing was numbered yet. A
// head that is missing later is never made anew: that is for Verify to find.
func (l *Ledger) begin(tx *store.Tx) error {
	ctx := context.Background()
	if err := l.lock(ctx, tx); err != nil {
		return err
	}
	var used bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM ledger_heads) OR EXISTS (SELECT 1 FROM ledger_tiles)
		OR EXISTS (SELECT 1 FROM ledger_facts)`).Scan(&used)
	if err != nil || used {
		return err
	}
	return l.sign(ctx, tx, 0, merkle(nil))
}

// lock lets one instance at a time extend the tree. SQLite has one writer anyway.
func (l *Ledger) lock(ctx context.Context, tx *store.Tx) error {
	if l.db.Kind() != store.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `LOCK TABLE ledger_heads IN EXCLUSIVE MODE`)
	return err
}

// Head returns the newest signed head.
func (l *Ledger) Head(ctx context.Context) (Checkpoint, error) {
	return l.head(ctx, l.db)
}

// querier is a DB or a Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) store.Row
}

func (l *Ledger) head(ctx context.Context, q querier) (Checkpoint, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT note FROM ledger_heads ORDER BY size DESC, day DESC LIMIT 1`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return Checkpoint{}, fmt.Errorf("the head of the tree is missing: %w", ErrBroken)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the head of the tree: %w", err)
	}
	c, err := ParseCheckpoint([]byte(text), l.key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return c, nil
}

// sign keeps a head of the tree in place of the day's earlier one.
func (l *Ledger) sign(ctx context.Context, tx *store.Tx, size int64, root Hash) error {
	c, err := newCheckpoint(l.key, size, root)
	if err != nil {
		return err
	}
	day := l.now().Unix() / (24 * 60 * 60)
	return tx.Send(ctx, `INSERT INTO ledger_heads (day, size, note) VALUES ($1, $2, $3)
		ON CONFLICT (day) DO UPDATE SET size = excluded.size, note = excluded.note`, day, size, c.Note)
}
