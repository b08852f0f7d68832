package store

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ownSchema is the store's own table of versions and leases. BYTEA and BIGINT
// mean the same to SQLite as BLOB and INTEGER.
const ownSchema = `
CREATE TABLE IF NOT EXISTS store_versions (room TEXT NOT NULL, version BIGINT NOT NULL, file TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (room, version));
CREATE TABLE IF NOT EXISTS store_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);`

type migration struct {
	version int
	file    string
	text    string
}

// Migrate brings a room's tables up to date: every file schema/NNNN_word.sql
// (or NNNN_word.sqlite.sql and NNNN_word.postgres.sql) that has not run yet
// runs once, in order, each with its record in one transaction. Migrations only
// add. ErrNewer if the database has versions that the program does not know.
func (db *DB) Migrate(ctx context.Context, room string, fsys fs.FS) error {
	steps, err := readMigrations(fsys, db.kind)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", room, err)
	}
	done, err := db.migrateAlone(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", room, err)
	}
	defer done()
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.script(ownSchema); err != nil {
			return fmt.Errorf("migrate %s: %w", room, err)
		}
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM store_versions WHERE room = $1`, room).Scan(&have); err != nil {
			return fmt.Errorf("migrate %s: %w", room, err)
		}
		if have > len(steps) { // readMigrations saw to it that they count 1, 2, 3
			return fmt.Errorf("migrate %s: version %d: %w", room, have, ErrNewer)
		}
		for _, m := range steps {
			if m.version <= have {
				continue
			}
			if err := tx.script(m.text); err != nil {
				return fmt.Errorf("migrate %s: %s: %w", room, m.file, err)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO store_versions (room, version, file, at) VALUES ($1, $2, $3, $4)`,
				room, m.version, m.file, time.Now().UnixMilli()); err != nil {
				return fmt.Errorf("migrate %s: %s: %w", room, m.file, err)
			}
		}
		return nil
	})
}

// migrateAlone keeps a second server on the same PostgreSQL waiting, so that
// each migration runs once. The lock is a session's: a transaction that waited
// for one would go on with the database as it was before. SQLite has one server.
func (db *DB) migrateAlone(ctx context.Context) (done func(), err error) {
	if db.kind == SQLite {
		return func() {}, nil
	}
	const key = 7_177_001 // any number that nobody else uses
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, key); err != nil {
		conn.Close()
		return nil, err
	}
	return func() {
		conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, key)
		conn.Close()
	}, nil
}

// script runs several statements without arguments.
func (tx *Tx) script(text string) error {
	if err := tx.check(); err != nil {
		return err
	}
	if err := tx.fail(tx.w.flush()); err != nil {
		return err
	}
	tx.wrote = true
	_, err := tx.w.conn.ExecContext(context.Background(), text)
	return tx.fail(err)
}

var migrationName = regexp.MustCompile(`^(\d{4})_[a-z0-9-]+(\.sqlite|\.postgres)?\.sql$`)

func readMigrations(fsys fs.FS, kind Kind) ([]migration, error) {
	files, err := fs.Glob(fsys, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	other := map[Kind]string{SQLite: ".postgres", Postgres: ".sqlite"}[kind]
	var steps []migration
	for _, f := range files {
		m := migrationName.FindStringSubmatch(path.Base(f))
		if m == nil {
			return nil, fmt.Errorf("%s: name a migration like 0001_word.sql", f)
		}
		if m[2] == other {
			continue
		}
		text, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		version, _ := strconv.Atoi(m[1])
		steps = append(steps, migration{version, path.Base(f), string(text)})
	}
	slices.SortFunc(steps, func(a, b migration) int { return a.version - b.version })
	for i, s := range steps {
		if s.version != i+1 {
			return nil, fmt.Errorf("%s: want version %04d next (have you %s?)", s.file, i+1, strings.TrimPrefix(other, "."))
		}
	}
	return steps, nil
}

// Versions are the versions of all rooms' tables; empty for a new database. It
// changes nothing.
func (db *DB) Versions(ctx context.Context) (map[string]int, error) {
	versions := map[string]int{}
	var there bool
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'store_versions')`
	if db.kind == Postgres {
		query = `SELECT to_regclass('store_versions') IS NOT NULL`
	}
	if err := db.QueryRowContext(ctx, query).Scan(&there); err != nil || !there {
		return versions, err
	}
	rows, err := db.QueryContext(ctx, `SELECT room, MAX(version) FROM store_versions GROUP BY room`)
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var room string
		var n int
		if err := rows.Scan(&room, &n); err != nil {
			return nil, fmt.Errorf("read versions: %w", err)
		}
		versions[room] = n
	}
	return versions, rows.Err()
}

// Newest is the version to which Migrate would bring a room's tables.
func (db *DB) Newest(fsys fs.FS) (int, error) {
	steps, err := readMigrations(fsys, db.kind)
	return len(steps), err
}
