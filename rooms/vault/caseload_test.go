package vault

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/layer"
)

func (h *house) admitCard(t testing.TB, card Card) id.Patient {
	t.Helper()
	b, err := h.Begin(h.jo)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Admit(h.jo, card)
	if err == nil {
		err = b.Commit(h.jo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kinds counts the facts of a kind.
func (h *house) kinds(t testing.TB, kind, reason string) (n int) {
	t.Helper()
	for e, err := range h.Ledger.Facts(t.Context(), ledger.Query{Kinds: []string{kind}}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Reason == reason {
			n++
		}
	}
	return n
}

func TestACaseloadIsOnesOwnPatientsAndCostsOneFact(t *testing.T) {
	h := newHouse(t)
	at := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	times := []layer.Time{{At: at.UnixMilli(), Minutes: 50, Every: 7, Until: at.AddDate(1, 0, 0).UnixMilli(), Except: []int64{at.AddDate(0, 0, 7).UnixMilli()}, Zone: "America/New_York", With: id.New[id.Person]()}, {At: at.AddDate(0, 0, 1).UnixMilli()}}
	mine := h.admitCard(t, Card{Family: "Quintana", Care: []id.Team{h.joTeam}, Times: times})
	h.admitCard(t, Card{Family: "Aldridge", Care: []id.Team{h.joTeam}})
	h.admitCard(t, Card{Family: "Baldwin", Care: []id.Team{h.anTeam}, Times: times})
	coming := func(l Line) bool { return len(l.Times) > 0 }
	check := func(when string) {
		t.Helper()
		h.now = h.now.Add(time.Hour)
		before, opened := h.kinds(t, "vault.searched", ""), h.kinds(t, "vault.opened", "")
		f, err := h.Caseload(h.jo, Identity, coming, 100)
		if err != nil || f.Total != 1 || f.All != 3 || f.Lines[0].Patient != mine || !reflect.DeepEqual(f.Lines[0].Times, times) {
			t.Fatalf("%s: %+v, %v", when, f, err)
		}
		if n := h.kinds(t, "vault.searched", "") - before; n != 1 {
			t.Errorf("%s: %d facts tell that names were shown, want 1", when, n)
		}
		if n := h.kinds(t, "vault.opened", "") - opened; n != 0 {
			t.Errorf("%s: %d compartments were opened for a list", when, n)
		}
	}
	check("fresh")
	if f, err := h.Caseload(h.jo, Identity, func(Line) bool { return true }, 1); err != nil || f.Total != 2 || len(f.Lines) != 1 || f.Lines[0].Name != "Aldridge" {
		t.Fatalf("the first of a caseload: %+v, %v", f, err)
	}
	if f, err := h.Caseload(h.desk, Identity, coming, 100); err != nil || f.Total != 0 {
		t.Fatalf("the front desk has a caseload of %d: %v", f.Total, err)
	}
	h.dir.owed = true
	if err := h.Tidy(h.jo); err != nil {
		t.Fatal(err)
	}
	check("after the merge")
	h.Vault = New(h.Config)
	check("after a restart")
}

func TestALineWrittenBeforeTimesWereStillReads(t *testing.T) {
	l, err := readLine([]byte("P\x1fQuintana\x1f\x1f\x1f\x1f\x1f\x1f1764079200000"))
	if err != nil || len(l.Times) != 1 || l.Times[0].At != 1764079200000 {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, bad := range []string{"x", "1,2", "1,2,3,4,,,x", ";"} {
		if _, err := readTimes(bad); !errors.Is(err, errLine) {
			t.Errorf("%q reads: %v", bad, err)
		}
	}
}

// shutGate closes everything but what is named.
type shutGate struct{ open string }

func (g shutGate) MayOpen(_ context.Context, _ id.Actor, part string) error {
	if part == g.open {
		return nil
	}
	return &layer.Refusal{Why: "This computer is not healthy"}
}

func TestTheEmergencyCardOpensAtAClosedGateForOnesOwnPatientsOnly(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Quintana", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "the plan")
	h.Gate = shutGate{layer.GateEmergency}
	if _, err := h.Open(h.jo, p, Chart); err == nil {
		t.Fatal("the gate closes nothing")
	}
	c, err := h.OpenEmergency(h.jo, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, body, err := c.Read(h.jo, rec); err != nil || string(body) != "the plan" {
		t.Fatalf("%q, %v", body, err)
	}
	if n := h.kinds(t, "vault.opened", layer.GateEmergency); n != 1 {
		t.Errorf("%d facts say that it was an emergency, want 1", n)
	}
	for who, ctx := range map[string]context.Context{"another clinician": h.ana, "the front desk": h.desk} {
		for _, part := range []string{Chart, Identity} {
			if _, err := h.OpenEmergency(ctx, p, part); !errors.Is(err, ErrNotYours) {
				t.Errorf("%s, %s: %v", who, part, err)
			}
		}
	}
	h.Gate = shutGate{}
	h.now = h.now.Add(time.Hour)
	if _, err := h.OpenEmergency(h.jo, p, Chart); err == nil {
		t.Error("a gate that closes everything is not asked")
	}
}

func BenchmarkACaseloadOfThirtyAmongThirtyThousand(b *testing.B) {
	h := newHouse(b)
	at := []layer.Time{{At: h.now.UnixMilli(), Minutes: 50, Every: 7}}
	for range 33 {
		batch, err := h.Begin(h.jo)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 1000 {
			team := h.anTeam
			if i == 0 {
				team = h.joTeam
			}
			if _, err := batch.Admit(h.jo, Card{Family: string(id.New[id.Record]()), Phones: []string{"503 555 0101"}, Care: []id.Team{team}, Times: at}); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(h.jo); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		f, err := h.Caseload(h.jo, Identity, func(l Line) bool { return len(l.Times) > 0 }, 100)
		if err != nil || f.Total != 33 {
			b.Fatal(f.Total, err)
		}
	}
}
