package vault

import (
	"errors"
	"testing"

	"quietroom/ground/store"
)

func TestADirectoryThatWasChangedFromOutsideIsNotSearched(t *testing.T) {
	for name, sql := range map[string]string{
		"a change deleted":       `DELETE FROM vault_tail WHERE at = 2`,
		"all changes deleted":    `DELETE FROM vault_tail`,
		"an older generation":    `UPDATE vault_generation SET number = 2`,
		"put back to an older":   `DELETE FROM vault_tail WHERE at = 3; UPDATE vault_generation SET number = 2`,
		"a change by a stranger": `INSERT INTO vault_tail (patient, epoch, at, box) SELECT patient, epoch, 9, box FROM vault_tail WHERE at = 1`,
		"a base by a stranger":   `INSERT INTO vault_directory (segment, epoch, ids, texts, lines) VALUES (0, 1, x'01', x'01', x'')`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			for _, family := range []string{"Aldridge", "Brook", "Castle"} {
				h.admit(t, h.jo, family, "Sam", h.joTeam)
			}
			if f, err := New(h.Config).Search(h.desk, "", 10); err != nil || f.All != 3 {
				t.Fatalf("untouched: %d found, %v", f.All, err)
			}
			outside(t, h, sql)
			if f, err := New(h.Config).Search(h.desk, "", 10); !errors.Is(err, ErrChanged) {
				t.Errorf("%d found, %v; want ErrChanged", f.All, err)
			}
		})
	}
}

func TestKeysThatWereDeletedAreNotMadeAnew(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	h.write(t, h.jo, p, Chart, "before")
	outside(t, h, `DELETE FROM vault_wraps WHERE part = 'chart'`)
	outside(t, h, `DELETE FROM vault_records WHERE part = 'chart'`)
	if _, err := h.Open(h.jo, p, Chart); !errors.Is(err, ErrChanged) {
		t.Errorf("opening gave %v, want ErrChanged", err)
	}
	if _, err := h.tryWrite(h.jo, p, Chart, "after"); !errors.Is(err, ErrChanged) {
		t.Errorf("writing gave %v, want ErrChanged", err)
	}
}

func TestTimeAndSizeOfARecordAreBound(t *testing.T) {
	for _, sql := range []string{`UPDATE vault_records SET at = at - 86400000`, `UPDATE vault_records SET size = size + 1`, `UPDATE vault_records SET blob = 'X'`} {
		h := newHouse(t)
		p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
		outside(t, h, sql)
		c, err := h.Open(h.jo, p, Identity)
		if err == nil {
			_, err = c.List(h.jo)
		}
		if !errors.Is(err, ErrChanged) {
			t.Errorf("%s: got %v, want ErrChanged", sql, err)
		}
	}
}

func TestATagThatWasTurnedToAnotherPatientIsRefused(t *testing.T) {
	h := newHouse(t)
	sam, kim := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam), h.admit(t, h.jo, "Brook", "Kim", h.joTeam)
	b, err := h.Begin(h.jo)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Tag(h.jo, sam, "urn:1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(h.jo); err != nil {
		t.Fatal(err)
	}
	if p, err := h.Find(h.jo, "urn:1"); p != sam || err != nil {
		t.Fatalf("found %s, %v", p, err)
	}
	outside(t, h, `UPDATE vault_index SET patient = '`+string(kim)+`'`)
	if p, err := h.Find(h.jo, "urn:1"); !errors.Is(err, ErrChanged) {
		t.Errorf("found %s, %v; want ErrChanged", p, err)
	}
}

// outside does what somebody with write access to the database does.
func outside(t *testing.T, h *house, sql string) {
	t.Helper()
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.ExecContext(t.Context(), sql); return err }); err != nil {
		t.Fatal(err)
	}
}

// A record's older row, put back together with a fact that says it is the newest.
func TestAnOlderRowWithAForgedFactIsRefused(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "what was said first")
	type stored struct {
		version, keyed, at, size int64
		head, box, sum           []byte
	}
	var old stored
	var body string
	scan := func(query string, arg any, into ...any) {
		t.Helper()
		if err := h.db.QueryRowContext(t.Context(), query, arg).Scan(into...); err != nil {
			t.Fatal(err)
		}
	}
	scan(`SELECT version, keyed, at, size, head, box, sum FROM vault_records WHERE record = $1`, rec, &old.version, &old.keyed, &old.at, &old.size, &old.head, &old.box, &old.sum)
	scan(`SELECT body FROM ledger_waiting WHERE body LIKE $1`, `%chart.`+string(rec)+`%`, &body)
	b, _ := h.Begin(h.jo)
	c, err := b.In(h.jo, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(h.jo, c, Draft{Record: rec, Version: 1, Body: []byte("what was put right")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(h.jo); err != nil {
		t.Fatal(err)
	}
	if got, err := h.read(h.jo, p, Chart, rec); err != nil || got != "what was put right" {
		t.Fatalf("got %q, %v", got, err)
	}
	err = h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE vault_records SET version = $1, keyed = $2, at = $3, size = $4, head = $5, box = $6, sum = $7 WHERE record = $8`,
			old.version, old.keyed, old.at, old.size, old.head, old.box, old.sum, rec)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(t.Context(), `INSERT INTO ledger_waiting (body, mac) VALUES ($1, $2)`, body, make([]byte, 32))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.read(h.jo, p, Chart, rec); err == nil {
		t.Fatalf("the older row reads as the newest: %q", got)
	}
}
