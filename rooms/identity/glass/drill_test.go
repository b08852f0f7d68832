package glass_test

import (
	"path/filepath"
	"testing"

	"quietroom/ground/store"
	"quietroom/layer"
)

// stage is a trial house of the four.
func (h *house) stage(sabotage bool) *layer.Stage {
	return &layer.Stage{Sabotage: sabotage, Trial: &layer.Trial{URL: h.origin, DB: h.db, Later: h.clock.pass,
		Codes: map[string]string{"owner-1": h.codes["ana"].Text(), "clinician-1": h.codes["sam"].Text(), "clinician-2": h.codes["jo"].Text(), "front-desk-1": h.codes["pat"].Text()}}}
}

func TestTheDrillHoldsAndFailsWithSabotage(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		drill := h.glass.Layer().Drills[0]
		report, err := drill.Run(t.Context(), h.stage(false))
		if err != nil {
			t.Fatal(err)
		}
		if report.Held == nil || !*report.Held || report.Opened != 0 || report.Tried < 14 {
			t.Errorf("the drill did not hold: %d of %d opened, %v", report.Opened, report.Tried, report.Findings)
		}
		report, err = drill.Run(t.Context(), h.stage(true))
		if err != nil {
			t.Fatal(err)
		}
		if report.Held == nil || *report.Held || report.Opened == 0 {
			t.Errorf("the hour was not looked at, and the drill says %v, %d opened: %v", *report.Held, report.Opened, report.Findings)
		}
	})
}

// A house in which nobody may break the glass shows that the drill really breaks it.
func TestADrillInWhichNothingOpensProvesNothing(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := newHouse(t, db)
	h.on()
	h.must(h.half.DropGlassHalf())
	report, err := h.glass.Layer().Drills[0].Run(t.Context(), h.stage(false))
	if err != nil {
		t.Fatal(err)
	}
	if report.Held == nil || *report.Held {
		t.Error("nothing opens at all, and the drill holds")
	}
	for _, trial := range []*layer.Trial{nil, {Later: nil}} {
		report, err := h.glass.Layer().Drills[0].Run(t.Context(), &layer.Stage{Trial: trial, Step: func(int, int) {}})
		if err != nil || report.Held != nil || report.Skipped == "" {
			t.Errorf("without a house to try it on: %+v, %v", report, err)
		}
	}
}
