package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"modernc.org/sqlite" // driver "sqlite"
)

func (db *DB) openSQLite(path string) (err error) {
	modernLocks()
	if db.path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := makePrivate(db.path); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	// 16 MB of log before it is folded in: fewer, larger checkpoints.
	if db.write, err = sql.Open("sqlite", db.dsn("wal_autocheckpoint(4000)", "cache_size(-65536)")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if err = db.write.Ping(); err != nil { // the writer makes the file and its WAL first
		return fmt.Errorf("open database: %w", sqliteError(err))
	}
	if db.pool, err = sql.Open("sqlite", db.dsn("query_only(ON)", "cache_size(-8192)")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	db.pool.SetMaxOpenConns(9) // one of them is the watch
	db.pool.SetMaxIdleConns(9)
	return nil
}

func (db *DB) dsn(pragmas ...string) string {
	q := url.Values{}
	for _, p := range append([]string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)",
		"foreign_keys(ON)", "temp_store(MEMORY)", // nothing is ever spooled to disk
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	return sqliteAddress(db.path, q)
}

func sqliteAddress(path string, q url.Values) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// modernLocks asks for two Linux ways that SQLite leaves off: a lock that stays
// when any other code of this process opens and closes the file, and fdatasync,
// which commits as surely as fsync and faster. Elsewhere they are refused, and
// nothing changes.
func modernLocks() {
	sqlite.OFDLocking(true)
	sqlite.Fdatasync(true)
}

// makePrivate makes the file, readable by the server's user only, before SQLite
// would; SQLite gives its log and index the same mode.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Scrub overwrites what was deleted: on SQLite the write-ahead log is folded in
// and truncated, so that no older page holds a deleted key (with secure_delete
// the bytes are gone only after this checkpoint). A reader of an older page may
// hold it up; it tries for five seconds while updates go on. On PostgreSQL it
// does nothing: see Rewrite.
func (db *DB) Scrub(ctx context.Context) error {
	if db.kind == Postgres {
		return nil
	}
	for range 50 {
		busy, err := db.checkpoint(ctx)
		if err != nil {
			return fmt.Errorf("scrub: %w", storeError(err))
		}
		if !busy {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("scrub: a reader holds an older page; try again")
}

// checkpoint runs on the writer's own connection: no second writer has to wait for it.
func (db *DB) checkpoint(ctx context.Context) (busy bool, err error) {
	err = db.errand(ctx, func(w *writer) error {
		w.conn.ExecContext(context.Background(), `PRAGMA busy_timeout = 50`) // updates wait meanwhile
		defer w.conn.ExecContext(context.Background(), `PRAGMA busy_timeout = 10000`)
		var log, moved int
		return w.conn.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved)
	})
	return busy, err
}

// CopyTo writes a consistent copy of the database as it is now to a new file,
// while reading and updating go on. Free pages are left out. The file appears
// whole or not at all; fs.ErrExist if there is one already. It is for SQLite:
// PostgreSQL is copied by the backup room, with pg_dump.
func (db *DB) CopyTo(ctx context.Context, path string) error {
	if db.kind == Postgres {
		return fmt.Errorf("copy database: %w: PostgreSQL is copied with pg_dump", errors.ErrUnsupported)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("copy database: %s: %w", path, fs.ErrExist)
	}
	half := path + ".half"
	os.Remove(half) // of a copy that was killed
	defer os.Remove(half)
	if err := db.vacuumInto(ctx, half); err != nil {
		return fmt.Errorf("copy database: %w", storeError(err))
	}
	// SQLite does not sync what VACUUM INTO writes (sqlite.org/lang_vacuum.html).
	if err := syncPath(half); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	if err := os.Rename(half, path); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func (db *DB) vacuumInto(ctx context.Context, half string) error {
	if err := makePrivate(half); err != nil { // SQLite takes an empty file
		return err
	}
	conn, err := sql.Open("sqlite", db.dsn()) // of its own: a query_only connection may not write a copy either
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, `VACUUM INTO $1`, half)
	return err
}

func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there, a rename is in the journal
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
