package vault

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// ring holds the keys of one compartment of one patient, old versions included.
type ring struct {
	patient id.Patient
	part    string
	newest  uint64
	keys    map[uint64]seal.Key
	care    []share // for whom the newest key is wrapped
	stated  []byte  // the sealed statement of it
	stale   bool    // the next write makes a new version
}

// share is one team that holds a compartment's key, under that team's key of a number.
type share struct {
	Team  id.Team `json:"t"`
	Epoch uint64  `json:"e"`
}

func (r *ring) wipe() { clear(r.keys) }

// wrap is one row of vault_wraps.
type wrap struct {
	version uint64
	team    id.Team
	epoch   uint64
	inbox   bool
	box     []byte
	tag     []byte
	tagged  uint64
	stated  []byte // for whom the key is wrapped, sealed under it
}

func holder(team id.Team, epoch uint64) string {
	return string(team) + "." + strconv.FormatUint(epoch, 10)
}

func (v *Vault) wrapSlot(p id.Patient, part string, version uint64, team id.Team, epoch uint64) seal.Slot {
	s := v.slot("patient-key", holder(team, epoch), p, part)
	s.Version = version
	return s
}

func (v *Vault) tagSlot(p id.Patient, part string, version, epoch uint64) seal.Slot {
	s := v.slot("key-tag", strconv.FormatUint(epoch, 10), p, part)
	s.Version = version
	return s
}

// keyRecord is the name under which a new key version stands in the ledger.
func keyRecord(part string) string { return "key." + part }

// hash is what the ledger keeps of the newest key and of who holds it.
func (r *ring) hash() []byte {
	stated := sha256.Sum256(r.stated)
	sum := sha256.Sum256(append(r.keys[r.newest].Commitment(), stated[:]...))
	return sum[:]
}

func (v *Vault) careSlot(p id.Patient, part string, version uint64) seal.Slot {
	s := v.slot("care", "", p, part)
	s.Version = version
	return s
}

// wrapFor wraps a compartment's key for a team: under the team's key where the
// acting person holds it, else to its signed inbox with a tag.
func (v *Vault) wrapFor(ctx context.Context, all teams, p id.Patient, part string, version uint64, key seal.Key, team layer.Team) (wrap, error) {
	w := wrap{version: version, team: team.ID, epoch: team.Epoch}
	slot := v.wrapSlot(p, part, version, team.ID, team.Epoch)
	if team.Mine {
		k, err := v.Keys.TeamKey(ctx, team.ID, team.Epoch)
		if err == nil {
			w.box = k.SealKey(key, slot)
			return w, nil
		}
	}
	dir, err := all.kind("directory")
	if err != nil {
		return w, err
	}
	dirKey, err := v.Keys.TeamKey(ctx, dir.ID, dir.Epoch)
	if err != nil {
		return w, fmt.Errorf("%w: only people who know names may hand over a patient", ErrNotYours)
	}
	w.inbox, w.tagged = true, dir.Epoch
	w.tag = dirKey.Seal(key.Commitment(), v.tagSlot(p, part, version, dir.Epoch))
	w.box, err = seal.SealTo(team.Inbox, key[:], slot)
	return w, err
}

// unwrap opens one wrap with the acting person's keys.
func (v *Vault) unwrap(ctx context.Context, all teams, p id.Patient, part string, w wrap) (seal.Key, error) {
	k, err := v.Keys.TeamKey(ctx, w.team, w.epoch)
	if err != nil {
		return seal.Key{}, ErrNotYours
	}
	slot := v.wrapSlot(p, part, w.version, w.team, w.epoch)
	if !w.inbox {
		key, err := k.OpenKey(w.box, slot)
		if err != nil {
			return key, fmt.Errorf("%w: key %d of %s of patient %s", ErrChanged, w.version, part, p)
		}
		return key, nil
	}
	pair, err := seal.TeamInbox(k)
	if err != nil {
		return seal.Key{}, err
	}
	key, err := pair.OpenKey(w.box, slot)
	if err != nil {
		return key, fmt.Errorf("%w: key %d of %s of patient %s", ErrChanged, w.version, part, p)
	}
	return key, v.checkTag(ctx, all, p, part, w, key)
}

// checkTag accepts a key from an inbox only if somebody who holds the directory
// key vouched for it: a box to a public key alone names no sender.
func (v *Vault) checkTag(ctx context.Context, all teams, p id.Patient, part string, w wrap, key seal.Key) error {
	dir, err := all.kind("directory")
	if err != nil {
		return err
	}
	dirKey, err := v.Keys.TeamKey(ctx, dir.ID, w.tagged)
	if err != nil {
		return ErrNotYours
	}
	commitment, err := dirKey.Open(w.tag, v.tagSlot(p, part, w.version, w.tagged))
	if err != nil || string(commitment) != string(key.Commitment()) {
		return fmt.Errorf("%w: key %d of %s of patient %s was put in from outside", ErrChanged, w.version, part, p)
	}
	return nil
}

// openKeys opens every version of a compartment's key that the acting person
// can reach: the newest by a wrap, the older ones each by the next newer.
func (v *Vault) openKeys(ctx context.Context, all teams, p id.Patient, part string) (*ring, error) {
	wraps, err := v.readWraps(ctx, p, part)
	if err != nil {
		return nil, err
	}
	return v.openWraps(ctx, all, p, part, wraps)
}

// openWraps is openKeys of wraps that were read.
func (v *Vault) openWraps(ctx context.Context, all teams, p id.Patient, part string, wraps []wrap) (*ring, error) {
	if len(wraps) == 0 {
		return nil, ErrUnknown
	}
	r := &ring{patient: p, part: part, newest: wraps[0].version, keys: map[uint64]seal.Key{}}
	for _, w := range wraps {
		if w.version != r.newest { // a team that is taken out keeps what it could read, and gets no newer key
			break
		}
		key, err := v.unwrap(ctx, all, p, part, w)
		if errors.Is(err, ErrNotYours) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Who vouches for a key in an inbox may know names, and need not belong to
		// the team: one reads under such a key, and writes under one of one's own.
		r.keys[w.version], r.stale, r.stated = key, w.inbox, w.stated
		if err := v.openCare(all, r); err != nil {
			return nil, err
		}
		return r, v.openOlder(ctx, r)
	}
	return nil, ErrNotYours
}

// openCare reads for whom the newest key is wrapped. Where one of those teams
// has got a newer key since, somebody who left may hold this one.
func (v *Vault) openCare(all teams, r *ring) error {
	changed := fmt.Errorf("%w: who holds key %d of %s of patient %s", ErrChanged, r.newest, r.part, r.patient)
	plain, err := r.keys[r.newest].Open(r.stated, v.careSlot(r.patient, r.part, r.newest))
	if err != nil || json.Unmarshal(plain, &r.care) != nil {
		return changed
	}
	for _, s := range r.care {
		if t, ok := all.by(s.Team); !ok || t.Epoch > s.Epoch {
			r.stale = true
		}
	}
	return nil
}

func (v *Vault) openOlder(ctx context.Context, r *ring) error {
	for version := r.newest; version > 1; version-- {
		var box []byte
		err := v.DB.QueryRowContext(ctx, `SELECT box FROM vault_older WHERE patient = $1 AND part = $2 AND version = $3`, r.patient, r.part, version).Scan(&box)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read keys of patient %s: %w", r.patient, err)
		}
		older, err := r.keys[version].OpenKey(box, v.olderSlot(r.patient, r.part, version))
		if err != nil {
			return fmt.Errorf("%w: key %d of %s of patient %s", ErrChanged, version-1, r.part, r.patient)
		}
		r.keys[version-1] = older
	}
	return nil
}

func (v *Vault) olderSlot(p id.Patient, part string, version uint64) seal.Slot {
	s := v.slot("older-key", "", p, part)
	s.Version = version
	return s
}

func (v *Vault) readWraps(ctx context.Context, p id.Patient, part string) ([]wrap, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT version, team, epoch, inbox, box, tag, tagged,
		(SELECT box FROM vault_care c WHERE c.patient = w.patient AND c.part = w.part AND c.version = w.version) FROM vault_wraps w
		WHERE patient = $1 AND part = $2 ORDER BY version DESC, inbox`, p, part)
	if err != nil {
		return nil, fmt.Errorf("read keys of patient %s: %w", p, err)
	}
	defer rows.Close()
	var wraps []wrap
	for rows.Next() {
		var w wrap
		var inbox int
		if err := rows.Scan(&w.version, &w.team, &w.epoch, &inbox, &w.box, &w.tag, &w.tagged, &w.stated); err != nil {
			return nil, fmt.Errorf("read keys of patient %s: %w", p, err)
		}
		w.inbox = inbox == 1
		wraps = append(wraps, w)
	}
	return wraps, rows.Err()
}

func sizeOfWraps(wraps []wrap) (n int) {
	for _, w := range wraps {
		n += rowSize + len(w.box) + len(w.tag) + len(w.stated)
	}
	return n
}

func addWrap(ctx context.Context, tx *store.Tx, p id.Patient, part string, w wrap) error {
	inbox := 0
	if w.inbox {
		inbox = 1
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO vault_wraps (patient, part, version, team, epoch, inbox, box, tag, tagged) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT DO NOTHING`, p, part, w.version, w.team, w.epoch, inbox, w.box, w.tag, w.tagged)
	if err != nil {
		return fmt.Errorf("add key of patient %s: %w", p, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 { // somebody else made this version meanwhile
		return errors.Join(ErrConflict, err)
	}
	return nil
}
