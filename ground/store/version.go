package store

import (
	"context"
	"database/sql"
	"sync"
)

// watch is a connection of its own that sees others commit.
type watch struct {
	mu   sync.Mutex
	conn *sql.Conn
	st   *sql.Stmt
	held uint64 // how many connections came before this one
}

// Version returns a number that grows whenever anybody has committed to the
// database: this process, another one, or somebody who writes the file with
// SQLite by hand; now and then it grows without. What was read since a call is still what the database says as
// long as the next call gives the same number. It is as sharp as SQLite's own
// page cache, which goes by the same counter (sqlite.org/pragma.html#pragma_data_version).
// PostgreSQL has none: ok is false, and what was read has to be read again.
func (db *DB) Version(ctx context.Context) (n uint64, ok bool) {
	if db.kind != SQLite || ctx.Err() != nil {
		return 0, false
	}
	w := &db.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	if w.st == nil && w.open(ctx, db.pool) != nil {
		return 0, false
	}
	var seen uint32
	if err := w.st.QueryRowContext(ctx).Scan(&seen); err != nil {
		w.drop()
		return 0, false
	}
	return w.held<<32 | uint64(seen), true
}

func (w *watch) open(ctx context.Context, pool *sql.DB) (err error) {
	w.held++ // a new connection counts from anew
	if w.conn, err = pool.Conn(ctx); err != nil {
		return err
	}
	if w.st, err = w.conn.PrepareContext(ctx, `PRAGMA data_version`); err != nil {
		w.drop()
	}
	return err
}

func (w *watch) drop() {
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn, w.st = nil, nil
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop()
}
