package main

import (
	"testing"

	"quietroom/ground/store/storetest"
	"quietroom/layer"
)

func TestWhicheverDoorIsLostItsPersonComesBack(t *testing.T) {
	databases := map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "house.db" }}
	if !testing.Short() {
		databases["postgres"] = func(t *testing.T) string { return storetest.Postgres(t) }
	}
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			r, err := runLostKey(t.Context(), &layer.Stage{}, open(t))
			if err != nil {
				t.Fatal(err)
			}
			if r.Held == nil || !*r.Held || r.Tried != 10 || r.Opened != 0 || r.More["finders_tried"].(int) < 15 {
				t.Errorf("the drill did not hold: %+v", r)
			}
			t.Logf("%d ways in %d ms", r.Tried, r.TookMS)
		})
	}
}

func TestAKitThatReachesNothingIsNoticed(t *testing.T) {
	r, err := runLostKey(t.Context(), &layer.Stage{Sabotage: true}, "house.db")
	if err != nil {
		t.Fatal(err)
	}
	if r.Held == nil || *r.Held || len(r.Findings) == 0 {
		t.Errorf("the kit reached nothing, and the drill held: %+v", r)
	}
}
