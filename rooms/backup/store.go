package backup

import (
	"context"
	"encoding/json"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// exercise records that the plan was tried by people. The date is a fact.
func (b *Backup) exercise(ctx context.Context, by, said string) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		s, err := readSettings(ctx, tx)
		if err != nil {
			return err
		}
		s.Exercised, s.ExercisedBy, s.ExerciseSaid = b.Now(), by, said
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_settings (one, text) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET text = excluded.text`, string(text)); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.plan-exercised"})
	})
}
