package backup

import (
	"context"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
)

// TestFailureAndSilenceReachTheOwners: once a day for as long as it lasts, and
// not when all is well.
func TestFailureAndSilenceReachTheOwners(t *testing.T) {
	b, _ := room(t)
	now := noon
	b.Now = func() time.Time { return now }
	var sent []layer.Notice
	b.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { sent = append(sent, n); return nil }
	b.Owners = func(context.Context) []id.Person { return []id.Person{"DANA"} }
	tell := func(want int, about string) {
		t.Helper()
		sent = nil
		if err := b.tellOwners(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(sent) != want {
			t.Fatalf("%d notices, want %d: %v", len(sent), want, sent)
		}
		if want > 0 && (!strings.Contains(sent[0].Text, about) || sent[0].To != "DANA" || sent[0].Link != "/backups") {
			t.Fatalf("%+v, want %q", sent[0], about)
		}
	}
	tell(0, "") // no place: home asks for one, mail does not
	err := b.DB.Update(t.Context(), func(tx *store.Tx) error {
		if err := b.writeTarget(t.Context(), tx, Target{ID: "A", Name: "USB", Kind: Folder, Place: "/mnt/usb", Expires: true, Added: noon}); err != nil {
			return err
		}
		for _, q := range []string{`INSERT INTO backup_saved (target, pair, at, facts, records, wraps, sum, took, added) VALUES ('A', 'X', $1, 12, 'r', 'w', X'00', 4000, 1)`,
			`INSERT INTO backup_proofs (at, held, report) VALUES ($1, 1, '{"at":"2026-11-25T12:00:00Z","held":true,"target":"USB"}')`} {
			if _, err := tx.ExecContext(t.Context(), q, noon.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tell(0, "") // all is well
	now = noon.Add(3 * time.Hour)
	tell(1, "one is due every") // silence: nothing failed, nothing came
	now = now.Add(time.Hour)
	tell(0, "")
	now = now.Add(day)
	tell(1, "one is due every")
	fail := func(held int, text string) {
		t.Helper()
		err := b.DB.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `UPDATE backup_saved SET at = $1`, now.UnixMilli()); err != nil {
				return err
			}
			_, err := tx.ExecContext(t.Context(), `INSERT INTO backup_proofs (at, held, report) VALUES ($1, $2, $3)`, now.UnixMilli(), held, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fail(0, `{"at":"`+now.Format(time.RFC3339)+`","held":false,"target":"USB","findings":["It did not come back."]}`)
	tell(1, "It did not come back.")
	b.MadeUp = true
	now = now.Add(3 * day)
	tell(0, "") // nobody is called in an exercise
}
