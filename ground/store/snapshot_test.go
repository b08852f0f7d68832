package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

var oddSchema = fstest.MapFS{
	"schema/0001_odd.sqlite.sql":   {Data: []byte(`CREATE TABLE odd (id INTEGER PRIMARY KEY, text TEXT, box BYTEA, twice INTEGER GENERATED ALWAYS AS (id * 2) VIRTUAL); INSERT INTO odd (id) VALUES (99);`)},
	"schema/0001_odd.postgres.sql": {Data: []byte(`CREATE TABLE odd (id BIGINT PRIMARY KEY, text TEXT, box BYTEA, twice BIGINT GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO odd (id) VALUES (99);`)},
}

var oddTexts = []string{"", "it's", "''", "two\nlines", "tab\t", "naïve 🙂", "); DROP TABLE odd;--", "X'00'", "NULL"}

func openOdd(t *testing.T, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), "odd", oddSchema); err != nil {
		t.Fatal(err)
	}
	return db
}

func copyOf(t *testing.T, db *store.DB) (text []byte, rows int) {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		n, err := s.Write(t.Context(), &out, table)
		if err != nil {
			t.Fatal(err)
		}
		rows += n
	}
	return out.Bytes(), rows
}

func TestASnapshotFillsEitherDatabaseWithTheSameRows(t *testing.T) {
	addresses := map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "house.db") },
		"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
	}
	for from, at := range addresses {
		for to, there := range addresses {
			t.Run(from+" to "+to, func(t *testing.T) {
				db := openOdd(t, at(t))
				if err := db.Update(t.Context(), func(tx *store.Tx) error {
					for i, text := range oddTexts {
						box := make([]byte, i*100)
						rand.Read(box)
						if _, err := tx.ExecContext(t.Context(), `INSERT INTO odd (id, text, box) VALUES ($1, $2, $3)`, i-4, text, box); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				text, rows := copyOf(t, db)
				if rows != len(oddTexts)+1 {
					t.Fatalf("%d rows, want %d", rows, len(oddTexts)+1)
				}
				other := openOdd(t, there(t))
				got, err := other.Fill(t.Context(), bytes.NewReader(text), nil)
				if err != nil || got["odd"] != rows {
					t.Fatalf("%v, %v", got, err)
				}
				want, have := strings.Split(string(text), "\n"), strings.Split(string(second(t, other)), "\n")
				if len(want) != len(have) {
					t.Fatalf("%d lines came back, want %d", len(have), len(want))
				}
				for _, line := range want {
					if !strings.Contains(string(second(t, other)), line) {
						t.Fatalf("the copy of the copy lacks %.80s", line)
					}
				}
				if n := count(t, other, `SELECT twice FROM odd WHERE id = -4`); n != -8 {
					t.Fatalf("the computed column has %d", n)
				}
			})
		}
	}
}

func second(t *testing.T, db *store.DB) []byte { text, _ := copyOf(t, db); return text }

func TestPlainSQLiteReadsASnapshot(t *testing.T) {
	db := openOdd(t, filepath.Join(t.TempDir(), "house.db"))
	db.Update(t.Context(), func(tx *store.Tx) error {
		for i, text := range oddTexts {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO odd (id, text, box) VALUES ($1, $2, X'0102')`, i, text); err != nil {
				return err
			}
		}
		return nil
	})
	text, _ := copyOf(t, db)
	plain, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "plain.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	for i, want := range oddTexts {
		var got string
		var box []byte
		if err := plain.QueryRow(`SELECT text, box FROM odd WHERE id = ?`, i).Scan(&got, &box); err != nil || got != want || !bytes.Equal(box, []byte{1, 2}) {
			t.Errorf("row %d: got %q and %x (%v), want %q", i, got, box, err, want)
		}
	}
}

func TestASnapshotShowsOneMomentWhileUpdatesGoOn(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := db.Migrate(t.Context(), "pairs", pairs); err != nil {
			t.Fatal(err)
		}
		var id atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				addPair(ctx, db, id.Add(1), []byte("x"))
			}
		}()
		for range 20 {
			s, err := db.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var before, torn, after int64
			s.QueryRowContext(t.Context(), `SELECT count(*) FROM pairs`).Scan(&before)
			seen := id.Load()
			for id.Load() < seen+3 { // updates go on
			}
			s.QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT id FROM pairs GROUP BY id HAVING count(*) <> 2) AS torn`).Scan(&torn)
			s.QueryRowContext(t.Context(), `SELECT count(*) FROM pairs`).Scan(&after)
			if before != after || torn != 0 {
				t.Fatalf("%d rows, then %d, %d of them torn", before, after, torn)
			}
			s.Close()
		}
		stop()
		<-ended
	})
}

func TestWhatIsNoSnapshotFillsNothing(t *testing.T) {
	db := openOdd(t, filepath.Join(t.TempDir(), "house.db"))
	for _, text := range []string{
		"DROP TABLE odd;\n", "INSERT INTO \"odd\" VALUES(1,'a',NULL);\n", "CREATE TABLE IF NOT EXISTS \"other\" (\"id\");\n",
		"CREATE TABLE IF NOT EXISTS \"odd\" (\"id\");\nINSERT INTO \"odd\" VALUES(1); DELETE FROM odd;\n",
		"CREATE TABLE IF NOT EXISTS \"odd\" (\"id\");\nINSERT INTO \"odd\" VALUES((SELECT 1));\n",
		"CREATE TABLE IF NOT EXISTS \"odd\" (\"id\");\nINSERT INTO \"odd\" VALUES(1",
	} {
		if _, err := db.Fill(t.Context(), strings.NewReader(text), nil); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzFill(f *testing.F) {
	db, err := store.Open(f.Context(), filepath.Join(f.TempDir(), "house.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	if err := db.Migrate(f.Context(), "odd", oddSchema); err != nil {
		f.Fatal(err)
	}
	f.Add("CREATE TABLE IF NOT EXISTS \"odd\" (\"id\", \"text\");\nINSERT INTO \"odd\" VALUES(1,'it''s');\n")
	f.Fuzz(func(t *testing.T, text string) {
		db.Fill(t.Context(), strings.NewReader(text), nil)
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_master WHERE name = 'odd'`).Scan(&n); err != nil || n != 1 {
			t.Fatalf("the table is gone: %v", err)
		}
	})
}
