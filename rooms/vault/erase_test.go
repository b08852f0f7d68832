package vault

import (
	"context"
	"testing"

	"quietroom/ground/id"
	"quietroom/ground/store"
)

func (h *house) erase(t *testing.T, p id.Patient) {
	t.Helper()
	if err := h.db.Update(h.jo, func(tx *store.Tx) error { return h.Erase(h.jo, tx, p) }); err != nil {
		t.Fatal(err)
	}
}

func TestAnErasedPatientIsGoneAndTheOthersAreNot(t *testing.T) {
	h := newHouse(t)
	gone, stays := h.admit(t, h.jo, "Quintana", "Sam", h.joTeam), h.admit(t, h.jo, "Ravensworth", "Sam", h.joTeam)
	h.write(t, h.jo, gone, Chart, "a")
	h.write(t, h.jo, stays, Chart, "b")
	h.erase(t, gone)
	check := func(when string) {
		t.Helper()
		if c, err := h.Open(h.jo, gone, Chart); err == nil {
			c.Close()
			t.Fatalf("%s: the erased chart opens", when)
		}
		c, err := h.Open(h.jo, stays, Chart)
		if err != nil {
			t.Fatalf("%s: the other chart: %v", when, err)
		}
		c.Close()
		if f, err := h.Search(h.jo, "quintana", 10); err != nil || f.Total != 0 {
			t.Fatalf("%s: the erased name is found %d times: %v", when, f.Total, err)
		}
		if f, err := h.Search(h.jo, "ravensworth", 10); err != nil || f.Total != 1 {
			t.Fatalf("%s: the other name is found %d times: %v", when, f.Total, err)
		}
		for _, table := range append(patientTables, "vault_wraps") {
			var n int
			if err := h.db.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table+` WHERE patient = $1`, gone).Scan(&n); err != nil || n != 0 {
				t.Fatalf("%s: %s has %d rows of the erased: %v", when, table, n, err)
			}
		}
		if r, err := h.Verify(context.Background(), func(int, int) {}); err != nil || r.Finding != "" {
			t.Fatalf("%s: %s, %v", when, r.Finding, err)
		}
	}
	check("at once")
	if err := h.Tidy(h.jo); err != nil {
		t.Fatal(err)
	}
	var tail int
	if err := h.db.QueryRowContext(t.Context(), `SELECT count(*) FROM vault_tail`).Scan(&tail); err != nil || tail != 0 {
		t.Fatalf("after the merge %d rows of the tail are left: %v", tail, err)
	}
	check("after the merge")
	h.Vault = New(h.Config)
	check("after a restart")
	list, err := h.Erased(t.Context())
	if err != nil || len(list) != 1 || list[0] != gone {
		t.Fatalf("the list of the erased: %v, %v", list, err)
	}
	if n, err := h.Bury(t.Context(), []id.Patient{gone, stays}); err != nil || n != 1 {
		t.Fatalf("buried %d of one who was still here: %v", n, err)
	}
	if c, err := h.Open(h.jo, stays, Chart); err == nil {
		c.Close()
		t.Fatal("a buried chart opens")
	}
}

func TestARecordWithoutAKeyIsCounted(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Quintana", "Sam", h.joTeam)
	h.write(t, h.jo, p, Chart, "a")
	if n, err := h.MissingKeys(t.Context()); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM vault_wraps WHERE patient = $1 AND part = $2`, p, Chart)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := h.MissingKeys(t.Context()); err != nil || n == 0 {
		t.Fatal(n, err)
	}
}
