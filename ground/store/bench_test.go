package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

var benchSchema = fstest.MapFS{"schema/0001_notes.sql": {Data: []byte(`
CREATE TABLE patients (id BIGINT PRIMARY KEY, team BIGINT NOT NULL);
CREATE TABLE notes (id BIGINT PRIMARY KEY, patient BIGINT NOT NULL, box BYTEA NOT NULL);
CREATE INDEX notes_of ON notes (patient);
CREATE TABLE facts (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, subject BIGINT NOT NULL, body BYTEA NOT NULL);`)}}

// note is what writing a note costs: a look, the note, and its fact.
func note(ctx context.Context, db *store.DB, id int64, box []byte) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		var team int64
		if err := tx.QueryRowContext(ctx, `SELECT team FROM patients WHERE id = $1`, id%1000).Scan(&team); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO notes (id, patient, box) VALUES ($1, $2, $3)`, id, id%1000, box); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO facts (id, kind, subject, body) VALUES ($1, $2, $3, $4)`, id, "chart.written", id%1000, box[:160])
		return err
	})
}

func benchmark(b *testing.B, run func(b *testing.B, db *store.DB)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			address := filepath.Join(b.TempDir(), "house.db")
			if kind == "postgres" {
				address = storetest.Postgres(b)
			}
			db, err := store.Open(b.Context(), address)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { db.Close() })
			if err := db.Migrate(b.Context(), "bench", benchSchema); err != nil {
				b.Fatal(err)
			}
			if err := db.Update(b.Context(), func(tx *store.Tx) error {
				for i := range 1000 {
					if _, err := tx.ExecContext(b.Context(), `INSERT INTO patients (id, team) VALUES ($1, $2)`, i, i); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			run(b, db)
		})
	}
}

// BenchmarkNote is one durable update of three statements at a time.
func BenchmarkNote(b *testing.B) {
	box := make([]byte, 600)
	benchmark(b, func(b *testing.B, db *store.DB) {
		id := int64(0)
		for b.Loop() {
			id++
			if err := note(b.Context(), db, id, box); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, id)
	})
}

// BenchmarkNoteJoined is the same from many callers at once.
func BenchmarkNoteJoined(b *testing.B) {
	box := make([]byte, 600)
	for _, callers := range []int{16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			benchmark(b, func(b *testing.B, db *store.DB) {
				var id atomic.Int64
				for b.Loop() { // an iteration is one note of each caller, 8 times
					var wg sync.WaitGroup
					for range callers {
						wg.Go(func() {
							for range 8 {
								if err := note(b.Context(), db, id.Add(1), box); err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
				}
				perSecond(b, id.Load())
			})
		})
	}
}

func BenchmarkPointRead(b *testing.B) {
	benchmark(b, func(b *testing.B, db *store.DB) {
		id := int64(0)
		for b.Loop() {
			id++
			var team int64
			if err := db.QueryRowContext(b.Context(), `SELECT team FROM patients WHERE id = $1`, id%1000).Scan(&team); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, id)
	})
}

// BenchmarkBulkInsert is a thousand rows in one update.
func BenchmarkBulkInsert(b *testing.B) {
	box := make([]byte, 600)
	benchmark(b, func(b *testing.B, db *store.DB) {
		id := int64(0)
		for b.Loop() {
			if err := db.Update(b.Context(), func(tx *store.Tx) error {
				for range 1000 {
					id++
					if _, err := tx.ExecContext(b.Context(), `INSERT INTO notes (id, patient, box) VALUES ($1, $2, $3)`, id, id%1000, box); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, id)
	})
}

func perSecond(b *testing.B, done int64) {
	b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "per_s")
	b.ReportMetric(0, "ns/op")
}
