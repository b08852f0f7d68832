package identity

import (
	"bytes"
	"errors"
	"testing"

	"quietroom/layer"
)

// foundsOver tries to found another practice in a house.
func (h *house) foundsOver(t testing.TB) error {
	t.Helper()
	again := New(h.Config)
	n, err := again.Newcomer("Mallory", "", Clinician)
	if err != nil {
		t.Fatal(err)
	}
	_, err = again.Found(t.Context(), "Another Practice", n)
	return err
}

func TestAHouseWhoseListWasTakenAwayIsNotFoundedOver(t *testing.T) {
	h := newHouse(t)
	root := h.Anchor.Root()
	h.exec(t, `DELETE FROM identity_roster`)
	for _, table := range []string{"practice", "people", "doors", "team_keys"} {
		if err := h.foundsOver(t); !errors.Is(err, errListGone) {
			t.Errorf("without a list another practice is founded: %v", err)
		}
		if _, err := New(h.Config).ClaimLink(t.Context()); !errors.Is(err, errListGone) {
			t.Errorf("without a list a claim link is given: %v", err)
		}
		h.exec(t, `DELETE FROM identity_`+table) // the last round has pins left
	}
	if err := h.foundsOver(t); !errors.Is(err, errListGone) {
		t.Errorf("while somebody's pin is here another practice is founded: %v", err)
	}
	if !bytes.Equal(h.Anchor.Root(), root) {
		t.Error("the anchor of the practice was changed")
	}
	var said layer.State
	for e, err := range New(h.Config).evidence(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		said = e.State
	}
	if said != layer.Urgent {
		t.Errorf("the list is gone, and the house says %q", said)
	}
}

func TestAFoundingThatFailsLeavesTheAnchorAsItWas(t *testing.T) {
	h := newHouse(t)
	root := h.Anchor.Root()
	for _, table := range []string{"roster", "practice", "people", "doors", "team_keys", "pins", "browsers"} {
		h.exec(t, `DELETE FROM identity_`+table)
	}
	h.exec(t, `CREATE TRIGGER fails BEFORE INSERT ON identity_pins BEGIN SELECT RAISE(ABORT, 'no'); END`)
	if err := h.foundsOver(t); err == nil {
		t.Fatal("the test's founding did not fail")
	}
	if !bytes.Equal(h.Anchor.Root(), root) {
		t.Errorf("a founding failed, and the anchor is %x, was %x", h.Anchor.Root(), root)
	}
}
