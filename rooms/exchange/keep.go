package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// outcome is what an import did with a patient, the most first.
type outcome int

const (
	unchanged outcome = iota
	changed
	admitted
)

// tries is how often an act starts again because somebody else wrote the same
// patient meanwhile: two imports of one folder, or a person at the chart.
const tries = 10

// again runs an act until it met nobody. A write between two reads of one
// opening looks like a change from outside; only what stays so is one.
func again[T any](act func() (T, error)) (did T, err error) {
	for range tries {
		did, err = act()
		if !errors.Is(err, layer.ErrConflict) && !errors.Is(err, layer.ErrChanged) && !errors.Is(err, store.ErrUnknown) {
			break
		}
	}
	return did, err
}

// keep stores one patient in one transaction, or nothing. Where everything is
// there already nothing is written.
func (x *Exchange) keep(ctx context.Context, u fhir.Unit, care []id.Team) (outcome, error) {
	return again(func() (outcome, error) {
		b, err := x.Vault.Begin(ctx)
		if err != nil {
			return unchanged, err
		}
		defer b.Drop()
		did, err := x.patient(ctx, b, u, care)
		if err != nil || did == unchanged {
			return unchanged, err
		}
		return did, b.Commit(ctx)
	})
}

func (x *Exchange) patient(ctx context.Context, b layer.Batch, u fhir.Unit, care []id.Team) (outcome, error) {
	by := sorted(u)
	p, err := x.Vault.Find(ctx, u.Key)
	if errors.Is(err, layer.ErrUnknown) {
		return admitted, x.admit(ctx, b, u, by, care)
	}
	if err != nil {
		return unchanged, err
	}
	did := unchanged
	for _, part := range parts {
		if len(by[part]) == 0 {
			continue
		}
		c, err := b.In(ctx, p, part)
		if err != nil {
			return unchanged, err
		}
		s, err := setOf(ctx, c, layer.PartShared)
		if err != nil {
			return unchanged, err
		}
		wrote, before, err := s.merge(ctx, b, by[part])
		if err != nil {
			return unchanged, err
		}
		if wrote {
			did = changed
		}
		if part == layer.PartIdentity && wrote && before.Type != "" {
			if err := updateCard(ctx, b, c, before, u.Patient); err != nil {
				return unchanged, err
			}
		}
	}
	return did, nil
}

func (x *Exchange) admit(ctx context.Context, b layer.Batch, u fhir.Unit, by map[string][]fhir.Resource, care []id.Team) error {
	card := cardOf(u.Patient)
	card.Care = care
	card.Since = x.Now().Format("2006-01-02")
	p, err := b.Admit(ctx, card)
	if err != nil {
		return err
	}
	if err := b.Tag(ctx, p, u.Key); err != nil {
		return err
	}
	for _, part := range parts {
		if len(by[part]) == 0 {
			continue
		}
		c, err := b.In(ctx, p, part)
		if err != nil {
			return err
		}
		if _, _, err := (set{c: c, part: part}).merge(ctx, b, by[part]); err != nil {
			return err
		}
	}
	return nil
}

// updateCard lets the card follow a Patient that changed.
func updateCard(ctx context.Context, b layer.Batch, c layer.Compartment, before, after fhir.Resource) error {
	card, version, err := c.Card(ctx)
	if err != nil {
		return err
	}
	card, differs := follow(card, cardOf(before), cardOf(after))
	if !differs {
		return nil
	}
	return b.SetCard(ctx, c, card, version)
}

// keepShared stores resources that belong to no patient.
func (x *Exchange) keepShared(ctx context.Context, all []fhir.Resource) error {
	_, err := again(func() (outcome, error) {
		b, err := x.Vault.Begin(ctx)
		if err != nil {
			return unchanged, err
		}
		defer b.Drop()
		c, err := b.In(ctx, x.Vault.House(), layer.PartShared)
		if err != nil {
			return unchanged, err
		}
		s, err := setOf(ctx, c, layer.PartShared)
		if err != nil {
			return unchanged, err
		}
		wrote, _, err := s.merge(ctx, b, all)
		if err != nil || !wrote {
			return unchanged, err
		}
		return changed, b.Commit(ctx)
	})
	return err
}

// merge writes a new version of the set in which the fresh resources stand
// beside what was there, or in its place where they are the same by Key. It
// writes nothing where nothing differs. Neither version is ever whole in memory.
// patient is the Patient as it was before.
func (s set) merge(ctx context.Context, b layer.Batch, all []fhir.Resource) (wrote bool, patient fhir.Resource, err error) {
	fresh := make(map[string]fhir.Resource, len(all))
	for _, r := range all {
		fresh[r.Key()] = r
	}
	h := newHead()
	for old, err := range s.all(ctx) {
		if err != nil {
			return false, patient, err
		}
		h.count(old.Type)
		if old.Type == "Patient" {
			patient = old
		}
		key := old.Key()
		r, ok := fresh[key]
		switch {
		case !ok:
		case same(old, r):
			delete(fresh, key)
		default:
			h.Count--
			h.Types[old.Type]--
		}
	}
	if len(fresh) == 0 {
		return false, patient, nil
	}
	for _, r := range fresh {
		h.count(r.Type)
	}
	return true, patient, s.write(ctx, b, h, s.merged(ctx, all, fresh))
}

// same tells whether a resource came as it is there already. A file without
// fullUrls says nothing against the one that is known.
func same(old, r fhir.Resource) bool {
	return bytes.Equal(old.Raw, r.Raw) && (r.FullURL == "" || r.FullURL == old.FullURL)
}

// merged yields what was there, each resource in its place, then what is new in
// the order in which it came.
func (s set) merged(ctx context.Context, all []fhir.Resource, fresh map[string]fhir.Resource) iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		placed := make(map[string]bool)
		for old, err := range s.all(ctx) {
			if err != nil {
				yield(old, err)
				return
			}
			key := old.Key()
			if r, ok := fresh[key]; ok {
				placed[key] = true
				if r.FullURL == "" {
					r.FullURL = old.FullURL
				}
				old = r
			}
			if !yield(old, nil) {
				return
			}
		}
		for _, r := range all {
			key := r.Key()
			if _, ok := fresh[key]; !ok || placed[key] {
				continue
			}
			placed[key] = true
			if !yield(fresh[key], nil) {
				return
			}
		}
	}
}

// record is the set's own identifier, the same for everybody who writes it: two
// imports that both find none meet in layer.ErrConflict, and one starts again.
func (s set) record() id.Record {
	if s.found {
		return s.entry.Record
	}
	sum := sha256.Sum256([]byte("quietroom resources " + string(s.c.Patient()) + " " + s.part))
	return id.Record(base32.StdEncoding.EncodeToString(sum[:])[:26])
}

func (s set) write(ctx context.Context, b layer.Batch, h head, seq iter.Seq2[fhir.Resource, error]) error {
	shown, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write resources of patient %s: %w", s.c.Patient(), err)
	}
	body := reader(seq)
	defer body.Close()
	_, err = b.PutStream(ctx, s.c, layer.Draft{Record: s.record(), Version: s.entry.Version, Head: shown}, body)
	return err
}
