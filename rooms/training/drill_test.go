package training_test

import (
	"testing"

	"quietroom/layer"
)

func TestAYearHoldsAndFailsWhenItIsWeakened(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("two years of a practice take some seconds: skipped under -short")
	}
	h := newHouse(t, 1)
	drill := h.Layer().Drills[0]
	for _, sabotage := range []bool{false, true} {
		r, err := drill.Run(t.Context(), &layer.Stage{Trial: &layer.Trial{Dir: t.TempDir()}, Sabotage: sabotage})
		if err != nil {
			t.Fatal(err)
		}
		if r.Held == nil || *r.Held == sabotage || r.Tried == 0 {
			t.Errorf("weakened %v: %+v", sabotage, r)
		}
		t.Logf("weakened %v: tried %d, %v, %v", sabotage, r.Tried, r.More, r.Findings)
	}
}
