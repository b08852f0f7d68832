package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
)

// maxBatch bounds how many callers one commit may join.
const maxBatch = 256

// Tx is one caller's part of a commit.
type Tx struct {
	w        *writer
	onCommit []func()
}

// OnCommit has f called after the commit is durable, and never if it fails. f is quick.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// ExecContext runs a statement. A cancelled context does not stop it: an
// interrupted statement would take the joined callers' work with it.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := tx.w.prepared(query)
	if err != nil {
		return nil, storeError(err)
	}
	res, err := st.ExecContext(context.WithoutCancel(ctx), args...)
	return res, storeError(err)
}

// QueryContext reads rows, and sees what this update has written so far. Close
// them before the next statement.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := tx.w.prepared(query)
	if err != nil {
		return nil, storeError(err)
	}
	return st.QueryContext(context.WithoutCancel(ctx), args...)
}

// QueryRowContext reads one row, and sees what this update has written so far.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	st, err := tx.w.prepared(query)
	if err != nil {
		return failedRow{storeError(err)}
	}
	return st.QueryRowContext(context.WithoutCancel(ctx), args...)
}

type update struct {
	ctx  context.Context
	fn   func(*Tx) error
	tx   *Tx
	err  error
	done chan struct{}
}

// Update runs fn and returns after its work is durable. Callers that come at
// the same time are joined into one commit, a savepoint each: one caller's
// error undoes only that caller's work. fn is quick, waits for nobody, calls no
// Update, and may run twice.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case db.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.stop:
		return ErrClosed
	}
	select {
	case <-u.done: // not ctx.Done: the outcome has to be known
		return u.err
	case <-db.ended:
		select {
		case <-u.done:
			return u.err
		default:
			return ErrClosed
		}
	}
}

// writer owns the one writing connection and its prepared statements.
type writer struct {
	db    *DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		w.conn.Close()
	}
	conn, err := w.db.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the writing connection: %w", err)
	}
	w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

func (w *writer) prepared(query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.stmts[query] = st
	}
	return st, err
}

func (w *writer) run() {
	defer close(w.db.ended)
	defer func() { w.conn.Close() }()
	for {
		select {
		case <-w.db.stop:
			return
		case u := <-w.db.queue:
			w.commit(w.join(u))
		}
	}
}

// join takes whoever waits already: the longer a commit takes, the more callers the next one carries.
func (w *writer) join(first *update) []*update {
	batch := []*update{first}
	for len(batch) < maxBatch {
		select {
		case u := <-w.db.queue:
			batch = append(batch, u)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. Where the transaction as a whole
// breaks, each caller is tried again alone, so that nobody fails for another.
func (w *writer) commit(batch []*update) {
	err := w.transact(batch)
	if err != nil && len(batch) > 1 {
		for _, u := range batch {
			w.commit([]*update{u})
		}
		return
	}
	for _, u := range batch {
		if u.err == nil {
			u.err = storeError(err)
		}
		if u.err == nil {
			for _, f := range u.tx.onCommit {
				f()
			}
		}
		close(u.done)
	}
}

// transact returns an error if the batch as a whole did not commit; a single
// caller's error stands in its update.
func (w *writer) transact(batch []*update) error {
	if err := w.exec("BEGIN" + w.immediate()); err != nil {
		if w.connect(context.Background()) != nil {
			return err
		}
		if err := w.exec("BEGIN" + w.immediate()); err != nil {
			return err
		}
	}
	for _, u := range batch {
		if err := w.runOne(u); err != nil {
			w.exec("ROLLBACK")
			return err
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		w.exec("ROLLBACK")
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *writer) runOne(u *update) error {
	u.tx, u.err = &Tx{w: w}, nil
	if u.err = u.ctx.Err(); u.err != nil {
		return nil
	}
	if err := w.exec("SAVEPOINT one"); err != nil {
		return err
	}
	if u.err = call(u.fn, u.tx); u.err != nil {
		// A full disk may have ended the whole transaction; then this fails, and the batch with it.
		if err := w.exec("ROLLBACK TO SAVEPOINT one"); err != nil {
			return errors.Join(u.err, err)
		}
	}
	return w.exec("RELEASE SAVEPOINT one")
}

func (w *writer) immediate() string {
	if w.db.kind == SQLite {
		return " IMMEDIATE"
	}
	return ""
}

func (w *writer) exec(text string) error {
	st, err := w.prepared(text)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background())
	return err
}

// call turns a panic of fn into an error, so that one caller's mistake does not end the writer.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("update panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}
