package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"quietroom/ground/store"
)

func TestTheVersionGrowsWhoeverCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "house.db")
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	stranger, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	ours := func(query string) func() error {
		return func() error {
			return db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(), query)
				return err
			})
		}
	}
	last := uint64(0)
	for _, step := range []struct {
		name  string
		do    func() error
		grows bool
	}{
		{"a table is made", ours(`CREATE TABLE t (n INTEGER)`), true},
		{"a row is written", ours(`INSERT INTO t VALUES (1)`), true},
		{"rows are read", func() error {
			var n int
			return db.QueryRowContext(t.Context(), `SELECT count(*) FROM t`).Scan(&n)
		}, false},
		{"a stranger writes", func() error { _, err := stranger.Exec(`UPDATE t SET n = 2`); return err }, true},
		{"nothing happens", func() error { return nil }, false},
		{"a row is deleted", ours(`DELETE FROM t`), true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now, ok := db.Version(t.Context())
		if !ok || now < last || step.grows != (now > last) {
			t.Errorf("%s: the version is %d, %t, after %d", step.name, now, ok, last)
		}
		last = now
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, ok := db.Version(ended); ok {
		t.Error("a version for somebody who is gone")
	}
}
