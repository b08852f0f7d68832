package vault

import (
	"context"
	"crypto/sha256"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Mark puts a patient with some records into a made-up house, sealed like any
// other, but for a team that does not exist and whose key is given. A drill that
// leaves this key lying about has to open these records, and no others: else it
// could not have opened anything. In a real house it panics.
func (v *Vault) Mark(ctx context.Context, key seal.Key, records int) (id.Patient, error) {
	if v.Recovery != nil {
		panic("vault: marked records in a real house")
	}
	p, team, own := id.New[id.Patient](), id.New[id.Team](), seal.NewKey()
	c := &Compartment{v: v, ring: &ring{patient: p, part: Chart, newest: 1, keys: map[uint64]seal.Key{1: own}}}
	err := v.DB.Update(ctx, func(tx *store.Tx) error {
		w := wrap{version: 1, team: team, epoch: 1, box: key.SealKey(own, v.wrapSlot(p, Chart, 1, team, 1))}
		if err := addWrap(ctx, tx, p, Chart, w); err != nil {
			return err
		}
		for range records {
			r := row{Entry: Entry{Record: id.New[id.Record](), Version: 1, At: v.Now()}, keyed: 1}
			r.head = own.Seal([]byte("a marked record of a drill"), c.slot("head", r.Record, 1, 1))
			r.box = own.Seal([]byte("a marked record of a drill"), c.slot("record", r.Record, 1, 1))
			sum := sha256.Sum256(r.box)
			r.sum = sum[:]
			if err := writeRow(ctx, tx, p, Chart, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("mark records: %w", err)
	}
	return p, nil
}
