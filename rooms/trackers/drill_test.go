package trackers_test

import (
	"context"
	"testing"

	"quietroom/layer"
	"quietroom/rooms/trackers"
)

// The drill holds, and cannot but fail where the scan is weakened.
func TestTheDrillHoldsAndCanFail(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	drill := trackers.Drill(func() (string, func(), error) { return profile(t), func() {}, nil })
	for _, sabotage := range []bool{false, true} {
		r, err := drill.Run(context.WithoutCancel(t.Context()), &layer.Stage{Brief: true, Sabotage: sabotage})
		if err != nil {
			t.Fatal(err)
		}
		if r.Held == nil || *r.Held == sabotage || r.Tried < 10 || sabotage && len(r.Findings) == 0 {
			t.Errorf("weakened %v: held %v, tried %d, skipped %q: %q", sabotage, r.Held != nil && *r.Held, r.Tried, r.Skipped, r.Findings)
		}
	}
}
