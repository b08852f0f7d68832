// Package store keeps the house's rows in SQLite or PostgreSQL behind one small
// surface. It promises that an acknowledged Update is on disk, that an Update
// is seen whole or not at all, and that deleted bytes are overwritten
// (secure_delete), so that a shredded key is gone from the file.
//
// It knows nothing of keys: everything about a patient arrives here sealed.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"
)

// Errors that callers act upon.
var (
	// ErrFull means that the disk has no room: writing stops, reading goes on.
	ErrFull = errors.New("store: the disk is full, nothing was written; free some space and try again")
	// ErrClosed means that the database was closed before the update ran.
	ErrClosed = errors.New("store: closed")
	// ErrNewer means that a newer program wrote this database.
	ErrNewer = errors.New("store: the database is newer than this program; install the newer program, nothing was changed")
)

// Kind tells the two databases apart where their SQL differs.
type Kind int

// The two databases.
const (
	SQLite Kind = iota
	Postgres
)

// DB is the house's database: many readers, and one writer that joins callers
// into group commits.
type DB struct {
	kind  Kind
	pool  *sql.DB  // readers, and on PostgreSQL also the writer's connection
	write *sql.DB  // where the writer takes its one connection from
	stmts sync.Map // query -> *sql.Stmt on pool

	queue  chan *update
	stop   chan struct{}
	ended  chan struct{}
	closed sync.Once
}

// Open opens a database by address: a path of a SQLite file, or a postgres://
// address. The caller holds the directory's lock (see Lock) for SQLite.
func Open(ctx context.Context, address string) (*DB, error) {
	db := &DB{queue: make(chan *update, maxBatch), stop: make(chan struct{}), ended: make(chan struct{})}
	var err error
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		err = db.openPostgres(address)
	} else {
		err = db.openSQLite(address)
	}
	if err != nil {
		return nil, err
	}
	if err := db.pool.PingContext(ctx); err != nil {
		db.closePools()
		return nil, fmt.Errorf("open database: %w", err)
	}
	w := &writer{db: db}
	if err := w.connect(ctx); err != nil {
		db.closePools()
		return nil, err
	}
	go w.run()
	return db, nil
}

func (db *DB) openSQLite(path string) (err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	dsn := func(pragmas ...string) string {
		q := url.Values{}
		for _, p := range append([]string{
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)",
			"foreign_keys(ON)", "temp_store(MEMORY)", // nothing is ever spooled to disk
		}, pragmas...) {
			q.Add("_pragma", p)
		}
		return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs), RawQuery: q.Encode()}).String()
	}
	if db.write, err = sql.Open("sqlite", dsn("wal_autocheckpoint(4000)", "cache_size(-65536)")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if err = db.write.Ping(); err != nil { // the writer makes the file and its WAL first
		return fmt.Errorf("open database: %w", sqliteError(err))
	}
	if db.pool, err = sql.Open("sqlite", dsn("query_only(ON)", "cache_size(-8192)")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.pool.SetMaxOpenConns(8)
	db.pool.SetMaxIdleConns(8)
	return nil
}

func (db *DB) openPostgres(address string) (err error) {
	db.kind = Postgres
	if db.pool, err = sql.Open("pgx", address); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.pool.SetMaxOpenConns(16)
	db.pool.SetMaxIdleConns(16)
	db.write = db.pool
	return nil
}

// Kind tells which database this is.
func (db *DB) Kind() Kind { return db.kind }

// QueryContext reads rows. Statements are prepared once and kept: pass values
// as arguments, never as text.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := db.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// QueryRowContext reads one row; Scan gives sql.ErrNoRows where there is none.
func (db *DB) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	st, err := db.prepared(ctx, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(ctx, args...)
}

// Row is the one row of a QueryRowContext.
type Row interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

func (db *DB) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := db.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := db.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, loaded := db.stmts.LoadOrStore(query, st); loaded {
		st.Close()
		return first.(*sql.Stmt), nil
	}
	return st, nil
}

// Scrub overwrites what was deleted: on SQLite the write-ahead log is folded in
// and truncated, so that no older page holds a deleted key (facts: with
// secure_delete the bytes are gone only after this checkpoint).
func (db *DB) Scrub(ctx context.Context) error {
	if db.kind == Postgres {
		return nil // vault rewrites its wrap table; WAL recycling is the server's
	}
	var busy, log, moved int
	if err := db.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	if busy != 0 {
		return errors.New("scrub: a reader holds an older page; try again")
	}
	return nil
}

// Close ends the writer after what it has begun, and closes all connections.
func (db *DB) Close() error {
	db.closed.Do(func() {
		close(db.stop)
		<-db.ended
		db.closePools()
	})
	return nil
}

func (db *DB) closePools() {
	if db.pool != nil {
		db.pool.Close()
	}
	if db.write != nil && db.write != db.pool {
		db.write.Close()
	}
}
