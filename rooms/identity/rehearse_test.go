package identity

import (
	"net/http"
	"testing"
	"time"

	"quietroom/ground/seal"
	"quietroom/layer"
)

// The kit's rehearsal counts only where every key that is sealed to it opened.
func TestAKitIsTriedOnceAYear(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	state := func() layer.State {
		e, err := s.rehearsedEvidence(t.Context(), mustRoster(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return e.At(s.clock.now()).State
	}
	if got := state(); got != layer.NotKnown {
		t.Errorf("without a kit it is %s", got)
	}
	kit, _ := s.withKit(ana)
	if got := state(); got != layer.Safe {
		t.Errorf("a kit that was read back today is %s", got)
	}
	s.clock.pass(tryEvery + time.Hour)
	if got := state(); got != layer.NeedsYou {
		t.Errorf("a year later it is %s", got)
	}
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	try := func(bend func([][]byte) [][]byte) error {
		pair, err := seal.RecoveryFromCode(kit.Secret, kit.Practice)
		if err != nil {
			t.Fatal(err)
		}
		var q struct {
			Box   []byte          `json:"box"`
			Boxes []sealedTeamKey `json:"boxes"`
		}
		if err := ana.Ask(t.Context(), "/rehearse/kit/begin", struct{}{}, &q); err != nil {
			t.Fatal(err)
		}
		nonce, err := pair.Open(q.Box, seal.Slot{Kind: "kit-proof", Practice: kit.Practice, Holder: recoveryHolder})
		if err != nil {
			t.Fatal(err)
		}
		var all [][]byte
		for _, b := range q.Boxes {
			key, err := pair.OpenKey(b.Box, s.teamSlot(recoveryHolder, b.Team, b.Epoch))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, key.Commitment())
		}
		return ana.Ask(t.Context(), "/rehearse/kit", map[string]any{"nonce": nonce, "commitments": bend(all)}, nil)
	}
	if err := try(func(all [][]byte) [][]byte { return all[1:] }); status(t, err) != http.StatusConflict {
		t.Errorf("all but one opened: %v", err)
	}
	if err := try(func(all [][]byte) [][]byte { all[0] = make([]byte, 32); return all }); status(t, err) != http.StatusConflict {
		t.Errorf("one opened to another key: %v", err)
	}
	if got := state(); got != layer.NeedsYou {
		t.Errorf("after two rehearsals that failed it is %s", got)
	}
	if err := try(func(all [][]byte) [][]byte { return all }); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != layer.Safe || s.facts("identity.kit-rehearsed") != 1 {
		t.Errorf("after a rehearsal it is %s", got)
	}
	s.withKit(ana)
	if got := state(); got != layer.Safe {
		t.Errorf("a new kit, read back today, is %s", got)
	}
}

// A code that is tried is not used up, and somebody else's is nobody's here.
func TestACodeThatIsTriedIsNotUsedUp(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	code := s.withCode(ana)
	_, joCode, _ := s.member(ana, nil)
	if err := ana.GiveCode(t.Context(), "/rehearse/code", joCode); status(t, err) != http.StatusForbidden {
		t.Errorf("somebody else's code: %v", err)
	}
	for range 2 {
		if err := ana.GiveCode(t.Context(), "/rehearse/code", code); err != nil {
			t.Fatalf("the own code: %v", err)
		}
	}
	if _, _, err := ana.Copy().Code(t.Context(), code); err != nil {
		t.Errorf("after the rehearsal the code opens nothing: %v", err)
	}
}
