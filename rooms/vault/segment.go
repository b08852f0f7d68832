package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// dirKeys opens the directory key of each epoch once an act.
type dirKeys struct {
	v     *Vault
	ctx   context.Context
	teams teams
	keys  map[uint64]seal.Key
}

func (v *Vault) dirKeys(ctx context.Context, all teams) *dirKeys {
	return &dirKeys{v: v, ctx: ctx, teams: all, keys: map[uint64]seal.Key{}}
}

func (k *dirKeys) of(epoch uint64) (seal.Key, error) {
	if key, ok := k.keys[epoch]; ok {
		return key, nil
	}
	key, _, err := k.v.directoryKey(k.ctx, k.teams, epoch)
	if err == nil {
		k.keys[epoch] = key
	}
	return key, err
}

func (v *Vault) entrySlot(p id.Patient, epoch uint64) seal.Slot {
	return v.slot("directory-entry", strconv.FormatUint(epoch, 10), p, "")
}

func (v *Vault) segmentSlot(kind string, s *segment, block int) seal.Slot {
	slot := v.slot("directory-"+kind, strconv.FormatUint(s.epoch, 10), "", "")
	slot.Version, slot.Chunk = s.number, uint64(block)
	return slot
}

// sealSegment seals lines, which are sorted, as one segment.
func (v *Vault) sealSegment(key seal.Key, number, epoch uint64, lines []dirLine) *segment {
	s := &segment{number: number, epoch: epoch, n: len(lines), dead: make([]bool, len(lines))}
	var ids, texts, shown bytes.Buffer
	for i, l := range lines {
		ids.WriteString(string(l.Patient))
		texts.WriteString(l.text)
		texts.WriteByte('\n')
		shown.Write(writeLine(l.Line))
		shown.WriteByte('\n')
		if (i+1)%blockSize == 0 || i == len(lines)-1 {
			s.blocks = append(s.blocks, key.Seal(shown.Bytes(), v.segmentSlot("lines", s, len(s.blocks))))
			clear(shown.Bytes())
			shown.Reset()
		}
	}
	s.ids = key.Seal(ids.Bytes(), v.segmentSlot("ids", s, 0))
	s.texts = key.Seal(texts.Bytes(), v.segmentSlot("texts", s, 0))
	clear(texts.Bytes())
	return s
}

// openBlock opens the shown lines of one block.
func (v *Vault) openBlock(key seal.Key, s *segment, block int) ([]dirLine, error) {
	shown, err := key.Open(s.blocks[block], v.segmentSlot("lines", s, block))
	if err != nil {
		return nil, fmt.Errorf("%w: the directory", ErrChanged)
	}
	defer clear(shown)
	var lines []dirLine
	for one := range bytes.Lines(shown) {
		l, err := readLine(bytes.TrimSuffix(one, newline))
		if err != nil {
			return nil, err
		}
		lines = append(lines, dirLine{Line: l})
	}
	return lines, nil
}

// openSegment opens all of a segment that was not replaced, for merging.
func (v *Vault) openSegment(key seal.Key, s *segment) ([]dirLine, error) {
	texts, err := key.Open(s.texts, v.segmentSlot("texts", s, 0))
	if err != nil {
		return nil, fmt.Errorf("%w: the directory", ErrChanged)
	}
	defer clear(texts)
	var lines []dirLine
	for block := range s.blocks {
		some, err := v.openBlock(key, s, block)
		if err != nil {
			return nil, err
		}
		lines = append(lines, some...)
	}
	i := 0
	for text := range bytes.Lines(texts) {
		if i == len(lines) {
			return nil, errLine
		}
		lines[i].text = string(bytes.TrimSuffix(text, []byte{'\n'}))
		i++
	}
	alive := lines[:0]
	for i, l := range lines {
		if !s.dead[i] {
			alive = append(alive, l)
		}
	}
	return alive, nil
}

func (v *Vault) openEntry(keys *dirKeys, e sealedEntry) (l dirLine, err error) {
	key, err := keys.of(e.epoch)
	if err != nil {
		return l, err
	}
	plain, err := key.Open(e.box, v.entrySlot(e.patient, e.epoch))
	if err != nil {
		return l, fmt.Errorf("%w: the directory entry of patient %s", ErrChanged, e.patient)
	}
	defer clear(plain)
	text, shown, _ := bytes.Cut(plain, []byte{'\n'})
	if l.Line, err = readLine(shown); err != nil || l.Patient != e.patient {
		return l, fmt.Errorf("%w: the directory entry of patient %s", ErrChanged, e.patient)
	}
	l.text = string(text)
	return l, nil
}

// index notes where each patient stands, once after loading. The caller holds the lock.
func (v *Vault) index(keys *dirKeys) error {
	d := &v.dir
	for _, s := range d.base {
		if err := v.indexSegment(keys, s); err != nil {
			return err
		}
	}
	for p := range d.seen {
		d.bury(p)
	}
	d.indexed = true
	return nil
}

func (v *Vault) indexSegment(keys *dirKeys, s *segment) error {
	key, err := keys.of(s.epoch)
	if err != nil {
		return err
	}
	ids, err := key.Open(s.ids, v.segmentSlot("ids", s, 0))
	if err != nil || len(ids)%26 != 0 {
		return fmt.Errorf("%w: the directory", ErrChanged)
	}
	s.n = len(ids) / 26
	s.dead = make([]bool, s.n)
	for i := range s.n {
		v.dir.where[id.Patient(ids[i*26:i*26+26])] = spot{s, i}
	}
	return nil
}

// freshen seals single changes together. The caller holds the lock.
func (v *Vault) freshen(keys *dirKeys) error {
	d := &v.dir
	var lines []dirLine
	if d.fresh != nil {
		key, err := keys.of(d.fresh.epoch)
		if err != nil {
			return err
		}
		if lines, err = v.openSegment(key, d.fresh); err != nil {
			return err
		}
	}
	changed, err := v.openPending(keys)
	if err != nil {
		return err
	}
	lines = append(lines, changed...)
	slices.SortFunc(lines, dirLine.compare)
	key, team, err := v.directoryKey(keys.ctx, keys.teams, 0)
	if err != nil {
		return err
	}
	d.fresh, d.pending = v.sealSegment(key, d.number, team.Epoch, lines), nil
	for i, l := range lines {
		d.where[l.Patient] = spot{d.fresh, i}
	}
	return nil
}

// openPending opens the newest of the single changes of each patient.
func (v *Vault) openPending(keys *dirKeys) ([]dirLine, error) {
	var lines []dirLine
	for _, e := range v.dir.pending {
		if v.dir.seen[e.patient] != e.at {
			continue // replaced by a later one
		}
		if len(e.box) == 0 {
			continue // erased
		}
		l, err := v.openEntry(keys, e)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// merge writes the base anew with all that changed since, in order of names,
// when the tail has grown long. It needs the directory key, so it happens in a
// session, after writing.
func (v *Vault) merge(ctx context.Context, all teams) error {
	d := &v.dir
	if err := v.ready(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.owed && d.tail < tailMost+len(d.where)/8 {
		return nil
	}
	keys := v.dirKeys(ctx, all)
	if err := v.current(keys, true); err != nil {
		return err
	}
	lines, err := v.openAll(keys)
	if err != nil {
		return err
	}
	key, team, err := v.directoryKey(ctx, all, 0)
	if err != nil {
		return err
	}
	var base []*segment
	for some := range slices.Chunk(lines, segmentSize) {
		base = append(base, v.sealSegment(key, uint64(len(base)), team.Epoch, some))
	}
	number, merged := d.number, d.merged
	written := false
	err = v.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if written, err = writeBase(ctx, tx, base, number, merged); err != nil || !written {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: v.Now(), Actor: id.From(ctx), Kind: listMerged, Version: int64(number), Hash: sumBase(base)})
	})
	if err != nil || !written {
		return err // another instance merged first; its base is loaded at the next search
	}
	d.memory = memory{loaded: true, number: number, merged: merged + 1, base: base, seen: map[id.Patient]uint64{}, where: map[id.Patient]spot{}}
	return v.index(keys)
}

// current brings memory into a state that can be searched. The caller holds the lock.
func (v *Vault) current(keys *dirKeys, whole bool) error {
	d := &v.dir
	if !d.indexed {
		if err := v.index(keys); err != nil {
			return err
		}
	}
	if len(d.pending) > pendingMost || whole && len(d.pending) > 0 {
		return v.freshen(keys)
	}
	return nil
}

func (v *Vault) openAll(keys *dirKeys) ([]dirLine, error) {
	d := &v.dir
	all := d.base
	if d.fresh != nil {
		all = append(slices.Clone(all), d.fresh)
	}
	var lines []dirLine
	for _, s := range all {
		key, err := keys.of(s.epoch)
		if err != nil {
			return nil, err
		}
		some, err := v.openSegment(key, s)
		if err != nil {
			return nil, err
		}
		lines = append(lines, some...)
	}
	slices.SortFunc(lines, dirLine.compare)
	return lines, nil
}

func writeBase(ctx context.Context, tx *store.Tx, base []*segment, number, merged uint64) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE vault_generation SET merged = merged + 1 WHERE one = 1 AND merged = $1`, merged)
	if err != nil {
		return false, fmt.Errorf("merge directory: %w", err)
	}
	if n, err := res.RowsAffected(); n != 1 || err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM vault_directory`); err != nil {
		return false, fmt.Errorf("merge directory: %w", err)
	}
	for _, s := range base {
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_directory (segment, epoch, ids, texts, lines) VALUES ($1, $2, $3, $4, $5)`, s.number, s.epoch, s.ids, s.texts, joinBlocks(s.blocks))
		if err != nil {
			return false, fmt.Errorf("merge directory: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM vault_tail WHERE at <= $1`, number); err != nil {
		return false, fmt.Errorf("merge directory: %w", err)
	}
	return true, nil
}

func joinBlocks(blocks [][]byte) (all []byte) {
	for _, b := range blocks {
		all = binary.BigEndian.AppendUint32(all, uint32(len(b)))
		all = append(all, b...)
	}
	return all
}

func splitBlocks(all []byte) (blocks [][]byte, err error) {
	for len(all) > 0 {
		if len(all) < 4 || uint32(len(all)-4) < binary.BigEndian.Uint32(all) {
			return nil, fmt.Errorf("%w: the directory", ErrChanged)
		}
		n := binary.BigEndian.Uint32(all)
		blocks = append(blocks, all[4:4+n])
		all = all[4+n:]
	}
	return blocks, nil
}
