package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// The directory is what a search looks through: all names, birth dates and
// phone numbers, sealed under the key of the directory team as a few large
// boxes. It is kept sealed in memory too; a search opens it, looks, and wipes.
// So an idle server holds no name that could be read, and 33,000 patients are
// searched in about a millisecond.
//
// It is derived from identity records and can be rebuilt from them. In the
// database it is a sorted base of segments and a tail of what changed since.

const (
	segmentSize = 2048 // patients in one segment
	blockSize   = 128  // patients in one block of shown lines
	pendingMost = 64   // changes that memory keeps as single boxes before it seals them together
	tailMost    = 512  // changes in the database before they are merged into the base; grows with the base
)

type directory struct {
	mu sync.RWMutex
	memory
}

type memory struct {
	loaded  bool   // sealed bytes are in memory
	indexed bool   // and where is filled, which needs the key
	number  uint64 // generation that this memory knows
	merged  uint64
	base    []*segment // in order of names
	fresh   *segment   // what changed since, sealed together; may be nil
	pending []sealedEntry
	seen    map[id.Patient]uint64 // generation of each change in fresh and pending
	where   map[id.Patient]spot   // in base and fresh
	tail    int                   // rows of vault_tail
	owed    bool                  // somebody was erased: the next merge does not wait
}

// segment is one sealed run of patients, in order of their names.
type segment struct {
	number uint64 // its place in the base, or the generation of a fresh one
	epoch  uint64
	ids    []byte   // the patients' identifiers
	texts  []byte   // what is searched, a line a patient
	blocks [][]byte // what is shown, a JSON line a patient

	n    int    // known once indexed
	dead []bool // replaced by a later change
	gone int    // how many are dead
}

type spot struct {
	seg *segment
	pos int
}

// sealedEntry is one change.
type sealedEntry struct {
	patient id.Patient
	epoch   uint64
	at      uint64
	box     []byte
}

// dirEntry is one change before it is sealed.
type dirEntry struct {
	patient id.Patient
	card    Card
}

// dirLine is a line and what a search looks through to find it.
type dirLine struct {
	Line
	text string
}

func line(e dirEntry) dirLine {
	c := e.card
	l := Line{Patient: e.patient, Name: c.Shown(), Preferred: c.Preferred, Born: c.Born, Safe: c.Safe.Words, Care: c.Care, Times: c.Times}
	if len(c.Phones) > 0 {
		l.Phone = c.Phones[0]
	}
	return dirLine{l, searchText(c)}
}

// directoryKey returns the key that the directory is sealed under, if the
// acting person may know names.
func (v *Vault) directoryKey(ctx context.Context, all teams, epoch uint64) (seal.Key, layer.Team, error) {
	team, err := all.kind("directory")
	if err != nil {
		return seal.Key{}, team, err
	}
	if epoch == 0 {
		epoch = team.Epoch
	}
	k, err := v.Keys.TeamKey(ctx, team.ID, epoch)
	if err != nil {
		return seal.Key{}, team, ErrNotYours
	}
	return k.Derive("directory v1"), team, nil
}

// seal seals changes, one box a patient.
func (d *directory) seal(ctx context.Context, v *Vault, all teams, changed []dirEntry) ([]sealedEntry, error) {
	if len(changed) == 0 {
		return nil, nil
	}
	key, team, err := v.directoryKey(ctx, all, 0)
	if err != nil {
		return nil, err
	}
	rows := make([]sealedEntry, 0, len(changed))
	last := map[id.Patient]int{}
	for i, e := range changed {
		last[e.patient] = i
	}
	for i, e := range changed {
		if last[e.patient] != i {
			continue // changed twice in one act
		}
		plain := encodeLine(line(e))
		rows = append(rows, sealedEntry{patient: e.patient, epoch: team.Epoch, box: key.Seal(plain, v.entrySlot(e.patient, team.Epoch))})
		clear(plain)
	}
	return rows, nil
}

// encodeLine writes a line as its search text and what is shown, a newline between.
func encodeLine(l dirLine) []byte {
	return append(append([]byte(l.text), '\n'), writeLine(l.Line)...)
}

// write puts the changes into the tail, in the act's own transaction, with a
// fact that keeps their sum.
func (d *directory) write(ctx context.Context, tx *store.Tx, now time.Time, rows []sealedEntry) error {
	if len(rows) == 0 {
		return nil
	}
	var number uint64
	if err := tx.QueryRowContext(ctx, `UPDATE vault_generation SET number = number + 1 WHERE one = 1 RETURNING number`).Scan(&number); err != nil {
		return fmt.Errorf("write directory: %w", err)
	}
	for i := range rows {
		rows[i].at = number
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_tail (patient, epoch, at, box) VALUES ($1, $2, $3, $4)`,
			rows[i].patient, rows[i].epoch, number, rows[i].box)
		if err != nil {
			return fmt.Errorf("write directory: %w", err)
		}
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: listed, Version: int64(number), Hash: sumRows(rows)})
}

// take brings committed changes into memory.
func (d *directory) take(rows []sealedEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loaded {
		d.takeLocked(rows)
	}
}

func (d *directory) takeLocked(rows []sealedEntry) {
	for _, r := range rows {
		if d.seen[r.patient] >= r.at {
			continue // a later change came first
		}
		d.seen[r.patient] = r.at
		d.pending = append(d.pending, r)
		d.owed = d.owed || len(r.box) == 0
		d.bury(r.patient)
		d.number = max(d.number, r.at)
		d.tail++
	}
}

// bury marks what a segment says of a patient as replaced.
func (d *directory) bury(p id.Patient) {
	if at, ok := d.where[p]; ok {
		at.seg.dead[at.pos] = true
		at.seg.gone++
		delete(d.where, p)
	}
}

// ready loads the directory where memory is behind the database. Only sealed
// bytes are loaded, so it needs no key.
func (v *Vault) ready(ctx context.Context) error {
	d := &v.dir
	d.mu.RLock()
	loaded, known, knownMerged := d.loaded, d.number, d.merged
	d.mu.RUnlock()
	if loaded && v.DB.Kind() == store.SQLite {
		return nil // this process is the only writer
	}
	number, merged, err := v.generation(ctx)
	switch {
	case err != nil:
		return err
	case !loaded || merged != knownMerged:
		return v.load(ctx)
	case number == known:
		return nil
	}
	rows, err := v.readTail(ctx, known)
	if err != nil {
		return err
	}
	d.take(rows)
	return nil
}

func (v *Vault) generation(ctx context.Context) (number, merged uint64, err error) {
	err = v.DB.QueryRowContext(ctx, `SELECT number, merged FROM vault_generation WHERE one = 1`).Scan(&number, &merged)
	if err != nil {
		err = fmt.Errorf("load directory: %w", err)
	}
	return number, merged, err
}

func (v *Vault) load(ctx context.Context) error {
	d := &v.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	number, merged, err := v.generation(ctx)
	if err != nil || d.loaded && d.merged == merged && d.number == number {
		return err
	}
	var base []*segment
	var tail []sealedEntry
	for range 10 { // somebody may write while it is read
		if base, tail, err = v.readChecked(ctx, number); err == nil {
			break
		}
		was := number
		var e error
		if number, merged, e = v.generation(ctx); e != nil || number == was {
			return errors.Join(err, e)
		}
	}
	if err != nil {
		return err
	}
	d.memory = memory{loaded: true, merged: merged, base: base, seen: map[id.Patient]uint64{}, where: map[id.Patient]spot{}}
	d.takeLocked(tail)
	d.number = number
	return nil
}

func (v *Vault) readBase(ctx context.Context) ([]*segment, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT segment, epoch, ids, texts, lines FROM vault_directory ORDER BY segment`)
	if err != nil {
		return nil, fmt.Errorf("load directory: %w", err)
	}
	defer rows.Close()
	var base []*segment
	for rows.Next() {
		var s segment
		var lines []byte
		if err := rows.Scan(&s.number, &s.epoch, &s.ids, &s.texts, &lines); err != nil {
			return nil, fmt.Errorf("load directory: %w", err)
		}
		if s.blocks, err = splitBlocks(lines); err != nil {
			return nil, err
		}
		base = append(base, &s)
	}
	return base, rows.Err()
}

func (v *Vault) readTail(ctx context.Context, after uint64) ([]sealedEntry, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT patient, epoch, at, box FROM vault_tail WHERE at > $1`, after)
	if err != nil {
		return nil, fmt.Errorf("load directory: %w", err)
	}
	defer rows.Close()
	var tail []sealedEntry
	for rows.Next() {
		var r sealedEntry
		if err := rows.Scan(&r.patient, &r.epoch, &r.at, &r.box); err != nil {
			return nil, fmt.Errorf("load directory: %w", err)
		}
		tail = append(tail, r)
	}
	return tail, rows.Err()
}
