package vault

import (
	"context"
	"crypto/sha256"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
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

// Weaken takes one protection away: what is read is not compared with the
// ledger. A drill has to notice that. It is for made-up houses; in a real house
// it panics.
func (v *Vault) Weaken() {
	if v.Recovery != nil {
		panic("vault: weakened in a real house")
	}
	v.weak = true
}

// ForgeWrap makes a wrap of a key as somebody can who writes the database and
// knows this program: under a team key of one's own, or, with none, to the
// team's public inbox. It takes no secret of the house.
func (v *Vault) ForgeWrap(p id.Patient, part string, version uint64, team layer.Team, key seal.Key, under *seal.Key) ([]byte, error) {
	slot := v.wrapSlot(p, part, version, team.ID, team.Epoch)
	if under != nil {
		return under.SealKey(key, slot), nil
	}
	return seal.SealTo(team.Inbox, key[:], slot)
}

// ForgeRecord seals a record under a key of one's own, in its right place.
func (v *Vault) ForgeRecord(p id.Patient, part string, rec id.Record, version, keyed uint64, key seal.Key, text []byte) (head, box, sum []byte) {
	c := &Compartment{v: v, ring: &ring{patient: p, part: part}}
	head, box = key.Seal(text, c.slot("head", rec, version, keyed)), key.Seal(text, c.slot("record", rec, version, keyed))
	s := sha256.Sum256(box)
	return head, box, s[:]
}
