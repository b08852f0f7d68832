package vault

import (
	"context"
	"errors"
	"testing"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Somebody who left held keys of his time, and writes the database.

// textUnder opens a record's row with a key, as a thief would.
func (h *house) textUnder(t *testing.T, key seal.Key, p id.Patient, rec id.Record) (string, error) {
	t.Helper()
	var version, keyed uint64
	var box []byte
	if err := h.db.QueryRowContext(t.Context(), `SELECT version, keyed, box FROM vault_records WHERE record = $1`, rec).Scan(&version, &keyed, &box); err != nil {
		t.Fatal(err)
	}
	c := &Compartment{v: h.Vault, ring: &ring{patient: p, part: Chart}}
	plain, err := key.Open(box, c.slot("record", rec, version, keyed))
	return string(plain), err
}

func (h *house) do(t *testing.T, query string, args ...any) {
	t.Helper()
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.ExecContext(t.Context(), query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func (h *house) keyOf(t *testing.T, ctx context.Context, p id.Patient) seal.Key {
	t.Helper()
	c, err := h.Open(ctx, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	return c.ring.keys[c.ring.newest]
}

// The leaver seals the old chart key to the team's new, public inbox and vouches
// for it with the directory key of his time.
func TestALeaverDoesNotHandAnOldKeyBack(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	h.write(t, h.jo, p, Chart, "before")
	held := h.keyOf(t, h.jo, p)
	directory := h.staff.teams[0].ID
	names := h.staff.keys[directory][1]
	h.staff.rotate(h.joTeam)
	h.staff.rotate(directory)
	for _, team := range h.staff.teams {
		if team.ID != h.joTeam {
			continue
		}
		box, err := seal.SealTo(team.Inbox, held[:], h.wrapSlot(p, Chart, 1, team.ID, team.Epoch))
		if err != nil {
			t.Fatal(err)
		}
		h.do(t, `UPDATE vault_wraps SET epoch = $1, inbox = 1, box = $2, tag = $3, tagged = 1 WHERE patient = $4 AND part = 'chart'`,
			team.Epoch, box, names.Seal(held.Commitment(), h.tagSlot(p, Chart, 1, 1)), p)
	}
	rec, err := h.tryWrite(h.jo, p, Chart, "after the leaving")
	if err != nil {
		return // refused, and noticed
	}
	if text, err := h.textUnder(t, held, p, rec); err == nil {
		t.Fatalf("the leaver's key opens what was written later: %q", text)
	}
}

// Two teams care. Somebody leaves the second, and takes that team's wrap away.
func TestATeamThatIsMissingFromTheRowsStillMakesAKeyStale(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam, h.anTeam)
	h.write(t, h.jo, p, Chart, "before")
	held := h.keyOf(t, h.jo, p)
	h.staff.rotate(h.anTeam)
	h.do(t, `DELETE FROM vault_wraps WHERE patient = $1 AND part = 'chart' AND team = $2`, p, h.anTeam)
	rec, err := h.tryWrite(h.jo, p, Chart, "after the leaving")
	if err != nil {
		return
	}
	if text, err := h.textUnder(t, held, p, rec); err == nil {
		t.Fatalf("the leaver's key opens what was written later: %q", text)
	}
}

// Who holds the directory key, and writes the database, plants a key for a chart.
func TestAPlantedChartKeyIsNotWrittenUnder(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.desk, "Aldridge", "Sam", h.joTeam)
	planted := seal.NewKey()
	names := h.staff.keys[h.staff.teams[0].ID][1]
	for _, team := range h.staff.teams {
		if team.ID != h.joTeam {
			continue
		}
		box, err := seal.SealTo(team.Inbox, planted[:], h.wrapSlot(p, Chart, 1, team.ID, team.Epoch))
		if err != nil {
			t.Fatal(err)
		}
		h.do(t, `UPDATE vault_wraps SET box = $1, tag = $2 WHERE patient = $3 AND part = 'chart'`, box, names.Seal(planted.Commitment(), h.tagSlot(p, Chart, 1, 1)), p)
	}
	if rec, err := h.tryWrite(h.jo, p, Chart, "first session"); err == nil {
		text, err := h.textUnder(t, planted, p, rec)
		t.Fatalf("a planted key was taken: %q, %v", text, err)
	}
}

func TestATeamThatIsTakenOutReadsNothingLater(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	before := h.write(t, h.jo, p, Chart, "before")
	set := func(ctx context.Context, care ...id.Team) {
		t.Helper()
		b, err := h.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SetCare(ctx, p, care); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	set(h.jo, h.joTeam, h.anTeam)
	if got, err := h.read(h.ana, p, Chart, before); err != nil || got != "before" {
		t.Fatalf("Ana joined the care and got %q, %v", got, err)
	}
	set(h.ana, h.anTeam)
	later := h.write(t, h.ana, p, Chart, "later")
	for _, rec := range []id.Record{before, later} {
		if got, err := h.read(h.jo, p, Chart, rec); !errors.Is(err, ErrNotYours) {
			t.Fatalf("Jo does not care for the patient any more and got %q, %v", got, err)
		}
	}
	b, _ := h.Begin(h.jo)
	defer b.Drop()
	if err := b.SetCare(h.jo, p, []id.Team{h.joTeam}); !errors.Is(err, ErrNotYours) {
		t.Fatalf("Jo takes the patient back without the chart: %v", err)
	}
}
