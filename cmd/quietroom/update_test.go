package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
)

// older makes a house whose tables are those of an older program: it knows
// nothing yet of how keys were tried.
func older(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "house")
	m := madeUp{Seed: 7, Patients: 5, Day: time.Now()}
	if _, err := makeDemo(t.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	change(t, dir, `DROP TABLE backup_keys`, `DROP TABLE backup_restored`, `DELETE FROM store_versions WHERE room = 'backup' AND version = 2`)
	return dir
}

func change(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Scrub(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func checkUpdateOf(t *testing.T, dir string) updateCheck {
	t.Helper()
	s, err := readSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.checkUpdate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "run", "update-check")); err == nil {
		t.Error("the check leaves a copy of the house behind")
	}
	return r
}

func TestAnUpdateIsTriedOnACopyFirst(t *testing.T) {
	dir := older(t)
	before, err := os.ReadFile(filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := checkUpdateOf(t, dir)
	if !r.Held || r.Fits || len(r.Changes) != 1 || r.Changes[0] != (changeOf{"backup", 1, 2}) || r.Tried == nil || r.Tried.Patients != 5 || r.Compared < 100 {
		t.Fatalf("%+v", r)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "house.db")); !bytes.Equal(before, after) {
		t.Fatal("the check changed the house")
	}
	h, err := openHouse(t.Context(), dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.vault.Count(t.Context()); err != nil || n != 5 {
		t.Errorf("%d patients after the update, %v", n, err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, updateDir)); err == nil {
		t.Error("a copy of all keys stays after the update")
	}
	if r := checkUpdateOf(t, dir); !r.Held || !r.Fits {
		t.Errorf("after the update: %+v", r)
	}
}

// TestAnUpdateThatFailsLeavesTheHouseAsItWas: the changed copy is not as it
// should be, or does not come about; the house is byte for byte what it was.
func TestAnUpdateThatFailsLeavesTheHouseAsItWas(t *testing.T) {
	for name, statement := range map[string]string{
		"a table of that name is there already": `CREATE TABLE backup_restored (x TEXT)`,
		"a key is missing":                      `DELETE FROM vault_wraps WHERE patient = (SELECT MIN(patient) FROM vault_wraps)`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := older(t)
			change(t, dir, statement)
			before, _ := os.ReadFile(filepath.Join(dir, "house.db"))
			if r := checkUpdateOf(t, dir); r.Held || !strings.Contains(r.Said, "would not go through") {
				t.Errorf("the check says: %+v", r)
			}
			if _, err := openHouse(t.Context(), dir, quiet()); !errors.Is(err, errUpdate) {
				t.Fatalf("got %v, want errUpdate", err)
			}
			after, _ := os.ReadFile(filepath.Join(dir, "house.db"))
			if !bytes.Equal(before, after) {
				t.Error("the house was changed")
			}
			if _, err := os.Stat(filepath.Join(dir, updateDir)); err == nil {
				t.Error("a copy stays")
			}
		})
	}
}

// TestAnUpdateCutOffGoesBack: killed after the old database was taken away, or
// after the new one was put there, the next start has the old one.
func TestAnUpdateCutOffGoesBack(t *testing.T) {
	for _, half := range []bool{true, false} {
		dir := older(t)
		before, _ := os.ReadFile(filepath.Join(dir, "house.db"))
		s, err := readSettings(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, updateDir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.database(), s.was()); err != nil {
			t.Fatal(err)
		}
		if !half {
			if err := os.WriteFile(s.database(), []byte("a changed copy"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.putBack(); err != nil {
			t.Fatal(err)
		}
		if after, _ := os.ReadFile(s.database()); !bytes.Equal(before, after) {
			t.Errorf("half %v: the old database is not back", half)
		}
		h, err := openHouse(t.Context(), dir, quiet())
		if err != nil {
			t.Fatal(err)
		}
		h.close()
	}
}

func TestAnOlderProgramSaysSo(t *testing.T) {
	dir := older(t)
	change(t, dir, `INSERT INTO store_versions (room, version, file, at) VALUES ('vault', 99, '0099_new.sql', 0)`)
	if r := checkUpdateOf(t, dir); r.Held || !strings.Contains(r.Said, "older than the house") {
		t.Errorf("%+v", r)
	}
	if _, err := openHouse(t.Context(), dir, quiet()); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

// TestACopyThatLostARowIsRefused: the comparison can fail.
func TestACopyThatLostARowIsRefused(t *testing.T) {
	dir := older(t)
	s, err := readSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), s.database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := db.CopyTo(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	other, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	err = other.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE vault_wraps SET epoch = epoch + 1 WHERE patient = (SELECT MIN(patient) FROM vault_wraps)`)
		return err
	})
	if err := errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if _, err := s.compareCopy(t.Context(), snap, file); err == nil || !strings.Contains(err.Error(), "vault_wraps") {
		t.Errorf("got %v", err)
	}
}
