package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/store"
)

// takeHouse copies what a thief finds: the directory with its database, log and
// blobs as they lie there (also while the house is served), a consistent copy of
// the rows and of the blobs wherever they lie, the program, and its environment.
func takeHouse(ctx context.Context, dir, to string) error {
	house := filepath.Join(to, "house")
	if err := copyTree(dir, house); err != nil {
		return err
	}
	s, err := readSettings(dir)
	if err != nil {
		return err
	}
	whole := filepath.Join(to, "whole.db")
	if strings.Contains(s.Database, "://") {
		err = takeRows(ctx, s, whole)
	} else {
		err = copyDatabase(ctx, s.database(), whole)
	}
	if err != nil {
		return err
	}
	if s.taken() != s.Blobs {
		if err := s.takeBlobs(ctx, filepath.Join(house, s.taken())); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err == nil {
		err = copyFile(program, filepath.Join(to, "program"))
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "environment"), []byte(strings.Join(os.Environ(), "\n")), 0o600)
}

// copyDatabase copies a SQLite house consistently, beside its server.
func copyDatabase(ctx context.Context, path, to string) error {
	db, err := store.Open(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(db.CopyTo(ctx, to), db.Close())
}

// takeRows copies the rows of a house on PostgreSQL into a SQLite file with the
// same tables, so that a copy is attacked in the same way wherever it was taken.
func takeRows(ctx context.Context, s *settings, to string) error {
	if err := emptyHouse(ctx, s, to); err != nil {
		return fmt.Errorf("make a place for the rows: %w", err)
	}
	db, err := sql.Open("pgx", s.database())
	if err != nil {
		return err
	}
	defer db.Close()
	from, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}) // one moment, beside the servers
	if err != nil {
		return err
	}
	defer from.Rollback()
	into, err := store.Open(ctx, to)
	if err != nil {
		return err
	}
	defer into.Close()
	tables, err := column(ctx, from, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := takeTable(ctx, from, into, table); err != nil {
			return fmt.Errorf("copy table %s: %w", table, err)
		}
	}
	return nil
}

// emptyHouse makes the tables of a house in a SQLite file, with nothing in them.
func emptyHouse(ctx context.Context, s *settings, to string) error {
	dir := to + ".house"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	empty := &settings{Format: s.Format, ID: s.ID, Database: "house.db", Blobs: "blobs", Origin: s.Origin, MadeUp: s.MadeUp, dir: dir}
	if err := empty.save(); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(s.dir, "ledger.key"), filepath.Join(dir, "ledger.key")); err != nil {
		return err
	}
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(copyDatabase(ctx, empty.database(), to), h.close())
}

// takeTable copies one table. One that SQLite's house does not have, like the
// sessions that PostgreSQL's instances share, is made with the same columns.
func takeTable(ctx context.Context, from reader, into *store.DB, table string) error {
	quoted := quote(table)
	columns, err := column(ctx, from, `SELECT column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position`, table)
	if err != nil {
		return err
	}
	var listed, marks []string
	values := make([]any, len(columns))
	for i, c := range columns {
		listed, marks, values[i] = append(listed, quote(c)), append(marks, fmt.Sprintf("$%d", i+1)), new(any)
	}
	rows, err := from.QueryContext(ctx, `SELECT `+strings.Join(listed, ", ")+` FROM `+quoted)
	if err != nil {
		return err
	}
	defer rows.Close()
	err = into.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+quoted+` (`+strings.Join(listed, ", ")+`)`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM `+quoted)
		return err
	})
	if err != nil {
		return err
	}
	insert := `INSERT INTO ` + quoted + ` (` + strings.Join(listed, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`
	put := func(some [][]any) error {
		return into.Update(ctx, func(tx *store.Tx) error {
			for _, row := range some {
				if _, err := tx.ExecContext(ctx, insert, row...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const together = 1000
	var some [][]any
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
		row := make([]any, len(values))
		for i, v := range values {
			row[i] = *v.(*any)
		}
		if some = append(some, row); len(some) == together {
			if err := put(some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return errors.Join(rows.Err(), put(some))
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// reader is what both a database and a transaction can do.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// column reads a query's one column of text.
func column(ctx context.Context, db reader, query string, args ...any) (list []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		list = append(list, name)
	}
	return list, rows.Err()
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the house goes on while it is copied
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case d.Type().IsRegular():
			return copyFile(path, filepath.Join(to, rel))
		}
		return nil // sockets hold nothing
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
