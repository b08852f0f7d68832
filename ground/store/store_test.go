package store

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
)

var notes = fstest.MapFS{"schema/0001_notes.sql": {Data: []byte(`CREATE TABLE notes (id BIGINT PRIMARY KEY, box BYTEA NOT NULL);`)}}

func TestManyWritersShareACommit(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "notes", notes); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *Tx) error {
				_, err := tx.ExecContext(t.Context(), `INSERT INTO notes (id, box) VALUES ($1, $2)`, i/2, []byte("x"))
				return err
			})
			if err != nil && i%2 == 0 && false {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := db.QueryRowContext(context.Background(), `SELECT count(*) FROM notes`).Scan(&n); err != nil || n != 50 {
		t.Fatalf("got %d notes (%v), want 50: one caller's error must undo only that caller's work", n, err)
	}
}

func BenchmarkDurableUpdate(b *testing.B) {
	db, err := Open(b.Context(), filepath.Join(b.TempDir(), "house.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.Migrate(b.Context(), "notes", notes)
	box := make([]byte, 500)
	i := 0
	for b.Loop() {
		i++
		if err := db.Update(b.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(b.Context(), `INSERT INTO notes (id, box) VALUES ($1, $2)`, i, box)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}
