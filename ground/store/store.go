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
	"strings"
	"sync"
	"sync/atomic"
)

// Errors that callers act upon.
var (
	// ErrUnknown means that the connection broke between COMMIT and its answer.
	ErrUnknown = errors.New("store: the connection broke while committing; whether it was written is not known, look before trying again")
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

// maxReaders bounds the connections to PostgreSQL that read.
const maxReaders = 16

// maxStatements bounds the statements kept prepared on a connection, should a
// room build its SQL text by the number of values.
const maxStatements = 1000

// DB is the house's database: many readers, and one writer that joins callers
// into group commits.
type DB struct {
	kind  Kind
	path  string  // of the SQLite file
	pool  *sql.DB // readers: they cannot write
	write *sql.DB // where the writer takes its one connection from

	watch watch
	stmts sync.Map // query -> *sql.Stmt on pool
	with  sync.Map // see Attach
	kept  atomic.Int64

	queue   chan *update
	errands chan func(*writer) // between two commits, outside of any transaction
	stop    chan struct{}
	ended   chan struct{}
	closed  sync.Once
}

// Open opens a database by address: a path of a SQLite file, or a postgres://
// address. The caller holds the directory's lock (see Lock) for SQLite.
func Open(ctx context.Context, address string) (*DB, error) {
	db := &DB{
		queue: make(chan *update, maxBatch), errands: make(chan func(*writer)),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	var err error
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		err = db.openPostgres(address)
	} else {
		err = db.openSQLite(address)
	}
	if err != nil {
		return nil, err
	}
	if err := db.start(ctx); err != nil {
		db.closePools()
		return nil, err
	}
	return db, nil
}

// start connects everyone first, so that a wrong address fails here.
func (db *DB) start(ctx context.Context) error {
	if err := db.pool.PingContext(ctx); err != nil {
		return fmt.Errorf("open database: %w", storeError(err))
	}
	w := &writer{db: db}
	if err := w.connect(ctx); err != nil {
		return err
	}
	go w.run()
	return nil
}

// Kind tells which database this is.
func (db *DB) Kind() Kind { return db.kind }

// QueryContext reads rows. Statements are prepared once and kept: pass values
// as arguments, never as text. Connections that broke meanwhile are replaced.
// On SQLite a context that ends stops no statement that has begun: two
// goroutines that watch it would cost more than most statements take.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	if db.kind == SQLite {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ctx = context.WithoutCancel(ctx)
	}
	for range maxReaders + 1 { // after a restart of PostgreSQL every one of them is dead
		rows, err = db.query(ctx, query, args)
		if !broke(err) || ctx.Err() != nil {
			break
		}
	}
	return rows, storeError(err)
}

func (db *DB) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	st, err := db.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return db.pool.QueryContext(ctx, query, args...)
	}
	return st.QueryContext(ctx, args...)
}

// QueryRowContext reads one row; Scan gives sql.ErrNoRows where there is none.
func (db *DB) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return failedRow{err}
	}
	return firstRow{rows}
}

// Row is the one row of a QueryRowContext.
type Row interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type firstRow struct{ rows *sql.Rows }

func (r firstRow) Scan(dest ...any) error {
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return storeError(err)
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return storeError(r.rows.Close())
}

// prepared gives nil where too many statements are kept already.
func (db *DB) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := db.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	if db.kept.Load() >= maxStatements {
		return nil, nil
	}
	st, err := db.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, loaded := db.stmts.LoadOrStore(query, st); loaded {
		st.Close()
		return first.(*sql.Stmt), nil
	}
	db.kept.Add(1)
	return st, nil
}

// Close ends the writer after what it has begun, and closes all connections.
// Callers that still wait get ErrClosed.
func (db *DB) Close() error {
	db.closed.Do(func() {
		close(db.stop)
		<-db.ended
		db.closePools()
	})
	return nil
}

func (db *DB) closePools() {
	db.watch.close()
	if db.pool != nil {
		db.pool.Close()
	}
	if db.write != nil {
		db.write.Close()
	}
}

// Attach gives every Tx of this database something that is not in it, such as
// the key that tells a program's own rows from those of somebody who can only
// write the database. Call it when the database is opened.
func (db *DB) Attach(key, value any) { db.with.Store(key, value) }

// Attached returns what was given with Attach; nil if nothing was.
func (tx *Tx) Attached(key any) any {
	value, _ := tx.w.db.with.Load(key)
	return value
}
