package exchange_test

import (
	"testing"

	"quietroom/ground/id"
	"quietroom/rooms/exchange"
)

func TestASecondImportChangesNothing(t *testing.T) {
	h := newHouse(t)
	path := write(t, "a.json", bundle("p1", observation("o1", "p1", "1.10"), `{"resourceType":"Claim","id":"c1","patient":{"reference":"Patient/p1"}}`))
	first := h.imports(t, path)
	if first.New != 1 || first.Resources != 3 || first.Types["Observation"] != 1 {
		t.Fatalf("the first import says %+v", first)
	}
	before := h.facts(t)
	second := h.imports(t, path)
	if second.New != 0 || second.Unchanged != 1 || second.Changed != 0 || second.Resources != 3 {
		t.Errorf("the second import says %+v", second)
	}
	if after := h.facts(t); after != before {
		t.Errorf("the second import left %d facts that are no openings, want 0", after-before)
	}
}

func TestTheSamplesComeIn(t *testing.T) {
	h := newHouse(t)
	sum, err := h.Import(h.jo, samples(t), exchange.Options{Care: []id.Team{h.team}})
	if err != nil || sum.Bad != 0 || sum.New != 9 {
		t.Fatalf("%+v, %v", sum, err)
	}
	t.Logf("%+v", sum)
}
