package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestEachChangeOfABinderIsNoticed(t *testing.T) { holds(t, drilled(t, "proof", false)) }

func TestWithoutTheSixWordsAForgedBinderPasses(t *testing.T) {
	fails(t, drilled(t, "proof", true), "signed with another key")
}

func TestABrokenRoomTurnsToNotKnown(t *testing.T) { holds(t, drilled(t, "honesty", false)) }

func TestAnOldAnswerThatCountsAsNewIsFound(t *testing.T) {
	fails(t, drilled(t, "honesty", true), "still shows identity.doors as safe")
}

func TestTheBinderNamesNoPatient(t *testing.T) {
	if testing.Short() {
		t.Skip("it prints with Chromium")
	}
	dir := filepath.Join(t.TempDir(), "house")
	if _, err := makeDemo(t.Context(), dir, "http://localhost:8470", madeUp{Seed: 7, Patients: 40, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "proof.zip")
	c := &call{args: []string{"--dir", dir, "--out", out}, out: &bytes.Buffer{}, err: &bytes.Buffer{}, flags: newFlags("proof")}
	if err := proofCommand(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for secret := range s.known() {
		if looked++; bytes.Contains(b, []byte(secret)) {
			t.Fatalf("the binder says %q", secret)
		}
	}
	if looked < 100 {
		t.Fatalf("only %d things were looked for", looked)
	}
}
