package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/vault"
)

// benchHouses are one made-up house on each database, for all benchmarks of a
// run: 33,000 patients, or as many as QUIETROOM_BENCH_PATIENTS says.
var benchHouses = map[string]*benchmarked{}

// onBoth runs a benchmark on SQLite and on PostgreSQL.
func onBoth(b *testing.B, bench func(b *testing.B)) {
	b.Run("sqlite", bench)
	b.Run("postgres", bench)
}

func makeBench(b *testing.B, database string) (*benchmarked, error) {
	patients := 33_000
	if n, err := strconv.Atoi(os.Getenv("QUIETROOM_BENCH_PATIENTS")); err == nil {
		patients = n
	}
	above, err := os.MkdirTemp("", "quietroom-bench-")
	if err != nil {
		return nil, err
	}
	dir, quiet := filepath.Join(above, "house"), slog.New(slog.DiscardHandler)
	h := &benchmarked{above: above, patients: patients}
	m := madeUp{Seed: 1, Patients: patients, Day: today()}
	if _, err := newSettings(dir, database, "http://localhost", &m, time.Now()); err != nil {
		return nil, err
	}
	if h.codes, err = peopleDemo(b.Context(), dir, quiet, func(int, int) {}); err != nil {
		return nil, err
	}
	h.house, err = openHouse(context.Background(), dir, quiet)
	return h, err
}

type benchmarked struct {
	*house
	above    string
	patients int
	codes    map[string]seal.Code
}

// closeBench ends and removes the houses of the benchmarks.
func closeBench() {
	for _, h := range benchHouses {
		h.close()
		os.RemoveAll(h.above)
	}
}

// openBench opens the house on the database that the benchmark is named for.
func openBench(b *testing.B) (*benchmarked, context.Context) {
	b.Helper()
	kind := "sqlite"
	if slices.Contains(strings.Split(b.Name(), "/"), "postgres") {
		kind = "postgres"
	}
	h := benchHouses[kind]
	if h == nil {
		database := "house.db"
		if kind == "postgres" {
			database = storetest.LastingPostgres(b)
		}
		var err error
		if h, err = makeBench(b, database); err != nil {
			b.Fatal(err)
		}
		benchHouses[kind] = h
	}
	running, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.run(running) })
	b.Cleanup(func() { stop(); wg.Wait() })
	ctx, done, err := h.identity.Enter(b.Context(), h.codes["owner-1"])
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(done)
	return h, ctx
}

// From the passkey's answer to all names searchable: the seed is opened, team
// keys are opened and checked, and the first search is answered, by a process
// that has just started and holds nothing in memory.
func BenchmarkUnlockUntilNamesAreSearchable(b *testing.B) {
	onBoth(b, benchUnlockUntilNamesAreSearchable)
}

func benchUnlockUntilNamesAreSearchable(b *testing.B) {
	h, _ := openBench(b)
	for b.Loop() {
		h.identity.Recheck(b.Context())
		fresh := vault.New(h.vault.Config)
		ctx, done, err := h.identity.Enter(b.Context(), h.codes["clinician-1"])
		if err != nil {
			b.Fatal(err)
		}
		if f, err := fresh.Search(ctx, "rivera", 50); err != nil || f.All < h.patients { // more, where an import ran before
			b.Fatalf("searched %d of %d patients: %v", f.All, h.patients, err)
		}
		done()
	}
}

func BenchmarkSearch(b *testing.B) { onBoth(b, benchSearch) }

func benchSearch(b *testing.B) {
	h, ctx := openBench(b)
	for _, text := range []string{"ald", "ander", "sam ri", "1987", "555-0142"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.vault.Search(ctx, text, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func (h *benchmarked) somePatients(b *testing.B, n int) (some []id.Patient) {
	b.Helper()
	for p, err := range h.vault.Patients(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		if some = append(some, p); len(some) == n {
			return some
		}
	}
	return some
}

func BenchmarkOpenChart(b *testing.B) { onBoth(b, benchOpenChart) }

func benchOpenChart(b *testing.B) {
	h, ctx := openBench(b)
	some := h.somePatients(b, 1000)
	i := 0
	for b.Loop() {
		c, err := h.vault.Open(ctx, some[i%len(some)], vault.Chart)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.List(ctx); err != nil {
			b.Fatal(err)
		}
		c.Close()
		i++
	}
}

func (h *benchmarked) note(ctx context.Context, p id.Patient) error {
	b, err := h.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, vault.Chart)
	if err != nil {
		return err
	}
	if _, err := b.Put(ctx, c, layer.Draft{Head: []byte(`{"kind":"note"}`), Body: make([]byte, 1200)}); err != nil {
		return err
	}
	return b.Commit(ctx)
}

func BenchmarkDurableNote(b *testing.B) { onBoth(b, benchDurableNote) }

func benchDurableNote(b *testing.B) {
	h, ctx := openBench(b)
	some := h.somePatients(b, 1000)
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint(writers, "writers"), func(b *testing.B) {
			began, n := time.Now(), 0
			work := make(chan id.Patient)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for p := range work {
						if err := h.note(ctx, p); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				work <- some[n%len(some)]
				n++
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(n)/time.Since(began).Seconds(), "notes/s")
		})
	}
}
