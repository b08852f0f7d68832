package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// Tx is one caller's part of a commit. Once a statement has failed the update
// fails, even where fn goes on: PostgreSQL works so, and on SQLite a full disk
// ends the transaction under the caller's feet.
type Tx struct {
	w        *writer
	onCommit []func()
	rows     []*sql.Rows
	wrote    bool  // there may be something to undo
	failed   error // of the first statement that failed
}

// OnCommit has f called, before Update returns, after the commit is durable;
// never if it fails. f is quick.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// ExecContext runs a statement. A cancelled context does not stop it: an
// interrupted statement would take the joined callers' work with it.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := tx.begin(query)
	if err != nil {
		return nil, err
	}
	tx.wrote = true
	res, err := st.ExecContext(context.WithoutCancel(ctx), args...)
	return res, tx.fail(err)
}

// Send writes what nobody asks the outcome of: a failure fails the update, as
// that of any statement does. PostgreSQL is told with the next statement that
// somebody waits for, or with the commit, so that many cost one round trip.
// Until then the arguments stay as they are.
func (tx *Tx) Send(ctx context.Context, query string, args ...any) error {
	if tx.w.db.kind == SQLite {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
	if err := tx.check(); err != nil {
		return err
	}
	tx.wrote = true
	tx.w.sent = append(tx.w.sent, sent{query, args})
	if len(tx.w.sent) < maxSent {
		return nil
	}
	return tx.fail(tx.w.flush())
}

// QueryContext reads rows, and sees what this update has written so far. Close
// them before the next statement.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := tx.begin(query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(context.WithoutCancel(ctx), args...)
	if err == nil {
		tx.rows = append(tx.rows, rows)
	}
	return rows, tx.fail(err)
}

// QueryRowContext reads one row, and sees what this update has written so far.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	st, err := tx.begin(query)
	if err != nil {
		return failedRow{err}
	}
	return txRow{tx, st.QueryRowContext(context.WithoutCancel(ctx), args...)}
}

type txRow struct {
	tx  *Tx
	row *sql.Row
}

func (r txRow) Scan(dest ...any) error {
	err := r.row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return r.tx.fail(err)
}

// begin finds the prepared statement of a query.
func (tx *Tx) begin(query string) (*sql.Stmt, error) {
	if err := tx.check(); err != nil {
		return nil, err
	}
	if err := tx.fail(tx.w.flush()); err != nil {
		return nil, err
	}
	tx.wrote = tx.wrote || !reads(query)
	st, err := tx.w.prepared(query)
	return st, tx.fail(err)
}

// reads is true where a query certainly changes nothing.
func reads(query string) bool {
	query = strings.TrimSpace(query)
	return len(query) > 6 && strings.EqualFold(query[:6], "select")
}

// fail remembers the first failure.
func (tx *Tx) fail(err error) error {
	err = storeError(err)
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// check tells the failure that the caller may have overlooked.
func (tx *Tx) check() error {
	for _, r := range tx.rows {
		tx.fail(r.Err())
	}
	return tx.failed
}

// dirty means that a failed update has to be undone.
func (tx *Tx) dirty() bool { return tx.wrote || tx.failed != nil }

// end closes what fn left open.
func (tx *Tx) end() error {
	for _, r := range tx.rows {
		r.Close()
	}
	return tx.check()
}

// settle sends what still waits to be sent, where this caller can be undone alone.
func (tx *Tx) settle() error {
	if !tx.w.saved {
		return nil
	}
	return tx.fail(tx.w.flush())
}
