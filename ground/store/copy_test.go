package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

func TestACopyIsWholeAndUpdatesGoOnMeanwhile(t *testing.T) {
	dir := t.TempDir()
	db := openPairs(t, filepath.Join(dir, "house.db"))
	box := make([]byte, 2000)
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		for id := range 10_000 {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO pairs (id, half, box) VALUES ($1, 0, $2), ($1, 1, $2)`, -id-1, box); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var id atomic.Int64
	var slowest time.Duration
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			begun := time.Now()
			if err := addPair(t.Context(), db, id.Add(1), box); err != nil {
				t.Error(err)
			}
			slowest = max(slowest, time.Since(begun))
		}
	}()
	begun := time.Now()
	path := filepath.Join(dir, "copy.db")
	if err := db.CopyTo(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	took, during := time.Since(begun), id.Load()
	close(stop)
	<-stopped
	t.Logf("copied 40 MB in %s; %d updates meanwhile, the slowest %s", took, during, slowest)
	if during == 0 {
		t.Error("no update went through while copying")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the copy's mode is %v (%v), want it private", info.Mode(), err)
	}
	mirror := openPairs(t, path)
	if n := count(t, mirror, `SELECT count(*) FROM pairs WHERE id < 0`); n != 20_000 {
		t.Errorf("the copy has %d rows, want 20000", n)
	}
	if n := count(t, mirror, `SELECT count(*) FROM (SELECT id FROM pairs GROUP BY id HAVING count(*) <> 2) AS torn`); n != 0 {
		t.Errorf("the copy holds %d half updates", n)
	}
	if err := db.CopyTo(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a copy over another: got %v, want fs.ErrExist", err)
	}
}

func TestACopyThatIsStoppedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	db := openPairs(t, filepath.Join(dir, "house.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.CopyTo(ctx, filepath.Join(dir, "copy.db")); err == nil {
		t.Fatal("the copy was made")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "copy*")); len(left) != 0 {
		t.Fatalf("%v was left behind", left)
	}
}

func TestPostgresIsCopiedElsewhere(t *testing.T) {
	db := openPairs(t, storetest.Postgres(t))
	if err := db.CopyTo(t.Context(), filepath.Join(t.TempDir(), "copy")); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("got %v, want errors.ErrUnsupported", err)
	}
}
