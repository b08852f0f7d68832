package ledger

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

// benchSize is how many facts the benchmarks stand on: LEDGER_FACTS=1000000 for
// the figures in docs/benchmarks.md, fewer by default.
func benchSize(b *testing.B) int {
	size := 100_000
	if s := os.Getenv("LEDGER_FACTS"); s != "" {
		if _, err := fmt.Sscan(s, &size); err != nil {
			b.Fatal(err)
		}
	}
	return size
}

func onBoth(b *testing.B, bench func(b *testing.B, l *Ledger)) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			address := b.TempDir() + "/house.db"
			if name == "postgres" {
				address = storetest.Postgres(b)
			}
			db, err := store.Open(b.Context(), address)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			l, err := Open(b.Context(), db, testKey(b), time.Now)
			if err != nil {
				b.Fatal(err)
			}
			bench(b, l)
		})
	}
}

// fill writes and numbers facts in batches of 1,000, as an import does.
func fill(b *testing.B, l *Ledger, total int) {
	for done := 0; done < total; done += 1000 {
		facts := make([]Fact, min(1000, total-done))
		for i := range facts {
			facts[i] = opened(done + i)
			facts[i].Subject = fmt.Sprintf("S7H2K4M6Q2R5T7V3W5X7Y2Z%03d", (done+i)%1000)
		}
		appendFacts(b, l.db, facts...)
		if done%2000 == 0 {
			sequence(b, l)
		}
	}
	sequence(b, l)
}

// BenchmarkAppendAndNumber reports facts a second from the first Append to the
// last signed head.
func BenchmarkAppendAndNumber(b *testing.B) {
	onBoth(b, func(b *testing.B, l *Ledger) {
		const batch = 10_000
		n := 0
		for b.Loop() {
			fill(b, l, batch)
			n += batch
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "facts/s")
	})
}

func BenchmarkOverManyFacts(b *testing.B) {
	onBoth(b, func(b *testing.B, l *Ledger) {
		size := benchSize(b)
		fill(b, l, size)
		for i := range 10 {
			appendFacts(b, l.db, wrote("ANN", fmt.Sprintf("R%d", i), 1, "a"), wrote("ANN", fmt.Sprintf("R%d", i), 2, "b"))
		}
		sequence(b, l)
		older, err := l.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.Run("verify", func(b *testing.B) {
			for b.Loop() {
				if r := verify(b, l, older); !r.Held() {
					b.Fatal(r.Finding)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "facts/s")
		})
		b.Run("prove", func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Prove(b.Context(), int64(size/3)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("consistency", func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Consistency(b.Context(), int64(size/3), older.Size); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("written, 10 records", func(b *testing.B) {
			for b.Loop() {
				if w, err := l.Written(b.Context(), "ANN"); err != nil || len(w) != 10 {
					b.Fatal(len(w), err)
				}
			}
		})
		b.Run("page of a subject", func(b *testing.B) {
			for b.Loop() {
				for _, err := range l.Facts(b.Context(), Query{Subject: "S7H2K4M6Q2R5T7V3W5X7Y2Z007", Newest: true, Limit: 50}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("one fact, numbered at once", func(b *testing.B) {
			for b.Loop() {
				appendFacts(b, l.db, opened(1))
				if _, err := l.Sequence(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkUntilNumbered is the time from an act's commit until its fact has a
// number: the goal is 100 ms.
func BenchmarkUntilNumbered(b *testing.B) {
	l := openLedger(b)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	n := int64(0)
	for b.Loop() {
		appendFacts(b, l.db, opened(int(n)))
		n++
		numbered(b, l, n)
	}
	stop()
	<-done
}
