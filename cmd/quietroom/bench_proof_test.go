package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/compliance/binder"
)

// BenchmarkProof measures home from what is kept, all evidence asked again, a
// binder of twelve months without its PDF, and its verification, in a house with
// patients and many facts.
func BenchmarkProof(b *testing.B) {
	const facts = 100_000
	dir := filepath.Join(b.TempDir(), "house")
	if _, err := makeDemo(b.Context(), dir, "http://localhost:8470", madeUp{Seed: 7, Patients: 500, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		b.Fatal(err)
	}
	h, err := openHouse(b.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer h.close()
	for from := 0; from < facts; from += 5000 {
		err := h.db.Update(b.Context(), func(tx *store.Tx) error {
			for i := range 5000 {
				kind := "vault.searched"
				if i%50 == 0 {
					kind = "backup.proven"
				}
				if err := ledger.Append(b.Context(), tx, ledger.Fact{At: time.Now().Add(-time.Duration(facts-from-i) * time.Minute), Kind: kind}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for n := 1; n > 0; {
		if n, err = h.ledger.Sequence(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	h.proof.Print = func(context.Context, []byte) ([]byte, error) { return nil, fmt.Errorf("not here") }
	measure := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("evidence asked again", func() error { return h.home.Look(b.Context()) })
	measure("standings from what is kept", func() error { _, err := h.proof.Standings(b.Context()); return err })
	var bundle []byte
	measure("binder of 12 months", func() error {
		m, err := h.proof.Make(b.Context(), time.Now().AddDate(-1, 0, 0), time.Now())
		if err == nil {
			bundle = m.Bundle
		}
		return err
	})
	measure("verified", func() error {
		r, err := binder.Verify(bytes.NewReader(bundle), int64(len(bundle)))
		if err == nil && !r.Held {
			err = fmt.Errorf("it does not hold: %v", r.Findings)
		}
		return err
	})
}
