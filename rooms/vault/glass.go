package vault

import (
	"context"
	"encoding/binary"
	"maps"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
)

// Glass knows the keys of single patients that the acting session holds because
// its person broke the glass. Under it one reads and does not write, and each
// opening's fact has the reason "glass".
type Glass interface {
	// Keys returns the keys of one compartment of one patient, by version;
	// ErrNotYours if the session holds none, or if the hour is over.
	Keys(ctx context.Context, p id.Patient, part string) (map[uint64]seal.Key, error)
}

// underGlass opens the keys of a compartment that is not the acting person's.
func (v *Vault) underGlass(ctx context.Context, all teams, p id.Patient, part string, wraps []wrap) (*ring, error) {
	if v.Glass == nil {
		return nil, ErrNotYours
	}
	keys, err := v.Glass.Keys(ctx, p, part)
	if err != nil {
		return nil, err
	}
	r := &ring{patient: p, part: part, newest: wraps[0].version, keys: keys, stated: wraps[0].stated}
	if _, ok := keys[r.newest]; !ok {
		r.wipe()
		return nil, &layer.Refusal{Why: "This chart got a new key since you broke the glass", Fix: "End it, and break the glass once more if you still need to."}
	}
	return r, v.openCare(all, r)
}

// openToWrite is Open for a batch: what a broken glass opened stays as it is.
func (v *Vault) openToWrite(ctx context.Context, p id.Patient, part string) (*Compartment, error) {
	c, err := v.Open(ctx, p, part)
	if err != nil || !c.glass {
		return c, err
	}
	c.Close()
	return nil, &layer.Refusal{Why: "You opened this chart by breaking the glass: it can be read, and not written in", Fix: "Tell the patient’s clinician what should stand in it, or ask to be taken into the care team."}
}

// PatientKeys opens the keys of one compartment of one patient with team keys
// that are lent for this one act, and tells which teams share it. It is for
// breaking the glass, whose fact comes before anything is released. ErrNotYours
// if what is lent opens nothing, ErrUnknown, ErrChanged.
func (v *Vault) PatientKeys(ctx context.Context, p id.Patient, part string, lend func(id.Team, uint64) (seal.Key, error)) (keys map[uint64]seal.Key, care []id.Team, err error) {
	all, err := v.teams(ctx)
	if err != nil {
		return nil, nil, err
	}
	under := &Vault{Config: v.Config}
	under.Keys = lent{v.Keys, lend}
	r, err := under.openKeys(ctx, all, p, part)
	if err != nil {
		return nil, nil, v.missing(ctx, p, part, err)
	}
	defer r.wipe()
	for _, s := range r.care {
		care = append(care, s.Team)
	}
	return maps.Clone(r.keys), care, nil
}

// lent are team keys that somebody else hands out for one act.
type lent struct {
	Keys
	lend func(id.Team, uint64) (seal.Key, error)
}

func (l lent) TeamKey(_ context.Context, team id.Team, epoch uint64) (seal.Key, error) {
	return l.lend(team, epoch)
}

// SealWords seals what somebody typed about a patient under the patient's own
// identity key, so that it is shredded with it: whoever may know names may open
// it. Who keeps the box keeps its name too.
func (v *Vault) SealWords(ctx context.Context, p id.Patient, name, words string) ([]byte, error) {
	b, err := v.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, Identity)
	if err != nil {
		return nil, err
	}
	stale := c.ring.stale // somebody who left may hold the key
	if err := b.rekey(ctx, c); err != nil {
		return nil, err
	}
	version := c.ring.newest
	box := c.ring.keys[version].Seal([]byte(words), v.wordsSlot(p, name, version))
	if stale {
		if err := b.Commit(ctx); err != nil {
			return nil, err
		}
	}
	return append(binary.BigEndian.AppendUint64(nil, version), box...), nil
}

// OpenWords opens what SealWords sealed.
func (v *Vault) OpenWords(ctx context.Context, p id.Patient, name string, box []byte) (string, error) {
	if len(box) < 8 {
		return "", ErrChanged
	}
	c, err := v.Open(ctx, p, Identity)
	if err != nil {
		return "", err
	}
	defer c.Close()
	version := binary.BigEndian.Uint64(box)
	words, err := c.ring.keys[version].Open(box[8:], v.wordsSlot(p, name, version))
	if err != nil {
		return "", ErrChanged
	}
	defer clear(words)
	return string(words), nil
}

func (v *Vault) wordsSlot(p id.Patient, name string, version uint64) seal.Slot {
	s := v.slot("words", "", p, Identity)
	s.Record, s.Version = name, version
	return s
}
