package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quietroom/layer"
)

// drilled runs one drill of a small trial house on a copy of a small made-up house.
func drilled(t *testing.T, name string, sabotage bool) layer.Report {
	t.Helper()
	patients := 60
	if testing.Short() {
		patients = 30
	}
	dir := filepath.Join(t.TempDir(), "house")
	if _, err := makeDemo(t.Context(), dir, "http://localhost:8470", madeUp{Seed: 7, Patients: patients, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	return drilledOn(t, dir, patients, name, sabotage)
}

// drilledOn runs one drill of a small trial house on a copy of a house.
func drilledOn(t *testing.T, dir string, patients int, name string, sabotage bool) layer.Report {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	copied := t.TempDir()
	must(takeHouse(t.Context(), dir, copied))
	s, err := readSettings(dir)
	must(err)
	trial, err := newTrial(t.Context(), patients)
	must(err)
	defer func() { must(trial.close()) }()
	stage := &layer.Stage{Copy: copied, Trial: &trial.Trial, Sabotage: sabotage, Step: func(int, int) {}, Known: s.known()}
	for _, d := range trial.drills() {
		if d.Name != name {
			continue
		}
		r, err := d.Run(t.Context(), stage)
		must(err)
		if r.Held == nil {
			t.Fatalf("skipped: %s", r.Skipped)
		}
		if r.Tried == 0 {
			t.Error("nothing was tried")
		}
		t.Logf("%s: tried %d, opened %d, %v", name, r.Tried, r.Opened, r.More)
		return r
	}
	t.Fatalf("no drill %s", name)
	return layer.Report{}
}

// holds wants a drill that found nothing.
func holds(t *testing.T, r layer.Report) {
	t.Helper()
	if !*r.Held || r.Opened != 0 {
		t.Errorf("held %v, %d opened: %s", *r.Held, r.Opened, strings.Join(r.Findings, "\n"))
	}
}

// fails wants a drill that found all of these.
func fails(t *testing.T, r layer.Report, want ...string) {
	t.Helper()
	all := strings.Join(r.Findings, "\n")
	if *r.Held {
		t.Error("it held with a protection taken away")
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("no finding says %q: %s", w, all)
		}
	}
}

func TestTheftOpensNothing(t *testing.T) { holds(t, drilled(t, "theft", false)) }

func TestTheftFindsATeamKeyThatLiesAboutAndANoteInTheLog(t *testing.T) {
	r := drilled(t, "theft", true)
	fails(t, r, "quietroom.log: secret", "directory.txt", "that were not marked opened")
	if r.Opened < 30 {
		t.Errorf("%d opened with the directory's key, want every identity at least", r.Opened)
	}
}

func TestTheftFindsTheOwnersCodeInTheHouse(t *testing.T) {
	dir, copied := filepath.Join(t.TempDir(), "house"), t.TempDir()
	codes, err := makeDemo(t.Context(), dir, "http://localhost:8470", madeUp{Seed: 9, Patients: 5, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := takeHouse(t.Context(), dir, copied); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "house", "note.txt"), []byte("my code: "+strings.ToLower(codes["owner-1"].Text())+", keep it safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := rob(t.Context(), copied, nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, n := range r.records.Opened {
		opened += n
	}
	if opened != r.records.Records || r.records.OpenedWraps != r.records.Wraps || r.records.OpenedBoxes != r.records.Boxes {
		t.Errorf("with the owner's code %d of %d records opened, %d of %d keys, %d of %d names", opened, r.records.Records, r.records.OpenedWraps, r.records.Wraps, r.records.OpenedBoxes, r.records.Boxes)
	}
}
