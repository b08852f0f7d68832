package backup

import (
	"context"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// exercise records that the plan was tried by people. The date is a fact.
func (b *Backup) exercise(ctx context.Context, by, said string) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if err := changeIn(ctx, tx, func(s *Settings) { s.Exercised, s.ExercisedBy, s.ExerciseSaid = b.Now(), by, said }); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.plan-exercised"})
	})
}
