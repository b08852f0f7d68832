package identity

import (
	"errors"
	"testing"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// exec changes the database as somebody does who can write it.
func (h *house) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// takeJoOut gives the care team a new key, for Ana alone.
func (h *house) takeJoOut(t testing.TB) {
	t.Helper()
	if err := h.Rotate(t.Context(), h.anaU, h.care, []id.Person{h.anaU.Person}); err != nil {
		t.Fatal(err)
	}
}

func TestAMemberWhoWasTakenOutLosesTheTeamInTheRunningSession(t *testing.T) {
	h := newHouse(t)
	ctx, done, err := h.Enter(t.Context(), h.jo)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := h.TeamKey(ctx, h.care, 1); err != nil {
		t.Fatalf("Jo is in the team and got %v", err)
	}
	h.takeJoOut(t)
	if _, err := h.TeamKey(ctx, h.care, 1); !errors.Is(err, ErrNoKey) {
		t.Errorf("Jo was taken out, and the session still hands out the team's key: %v", err)
	}
	teams, err := h.Teams(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, team := range teams {
		if team.Mine {
			t.Errorf("Jo was taken out, and the team %s is still Jo's", team.Kind)
		}
	}
}

func TestAnOldTeamKeyThatIsPutBackOpensNothing(t *testing.T) {
	h := newHouse(t)
	var box []byte
	if err := h.db.QueryRowContext(t.Context(), `SELECT box FROM identity_team_keys WHERE holder = $1 AND team = $2`, h.joPerson, h.care).Scan(&box); err != nil {
		t.Fatal(err)
	}
	h.takeJoOut(t)
	h.exec(t, `INSERT INTO identity_team_keys (team, epoch, holder, box) VALUES ($1, 1, $2, $3)`, h.care, h.joPerson, box)
	u, err := h.UnlockCode(t.Context(), h.jo.Auth(), h.jo.KEK())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Wipe()
	if keys := u.ring.Teams[h.care]; keys != nil {
		t.Errorf("an old row was put back, and Jo's ring has %d keys of the team", len(keys))
	}
}

func TestSpendingACodeBringsBackNoTeam(t *testing.T) {
	h := newHouse(t)
	u, err := h.UnlockCode(t.Context(), h.jo.Auth(), h.jo.KEK())
	if err != nil {
		t.Fatal(err)
	}
	h.takeJoOut(t) // between the typing of the code and its spending
	next := seal.NewCode(seal.Personal)
	defer u.Wipe()
	if err := h.spend(t.Context(), u, id.Actor{Person: u.Person}, next.Auth(), next.KEK()); err != nil {
		t.Fatal(err)
	}
	if keys := u.ring.Teams[h.care]; keys != nil {
		t.Errorf("Jo was taken out while a code was spent, and the session has %d keys of the team", len(keys))
	}
	var n int
	if err := h.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM identity_team_keys WHERE holder = $1 AND team = $2`, h.joPerson, h.care).Scan(&n); err != nil || n != 0 {
		t.Errorf("Jo was taken out while a code was spent, and %d keys were sealed to Jo again (%v)", n, err)
	}
}
