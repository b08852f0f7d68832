package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// inline is how long a body may be to lie in its row; longer ones are streams.
const inline = 256 << 10

// freePatients is how many real patients may be admitted before two ways in and
// a checked kit make sure that nobody is locked out of them (design.md, section 3).
const freePatients = 3

// Batch is one act of writing: everything is sealed first, then written with
// its facts in one transaction, or not at all.
type Batch struct {
	v       *Vault
	teams   teams
	made    map[opening]*Compartment // of patients who are admitted in this batch
	cards   map[id.Patient]Card
	writes  []func(context.Context, *store.Tx) error
	facts   []ledger.Fact
	changed []dirEntry
	streams []string // blobs that are written already
	opened  []*Compartment
}

// Begin starts an act of writing. Commit or Drop ends it.
func (v *Vault) Begin(ctx context.Context) (*Batch, error) {
	all, err := v.teams(ctx)
	if err != nil {
		return nil, err
	}
	return &Batch{v: v, teams: all, made: map[opening]*Compartment{}, cards: map[id.Patient]Card{}}, nil
}

// Admit takes in a new patient. The card names the care teams.
func (b *Batch) Admit(ctx context.Context, card Card) (id.Patient, error) {
	ready, err := b.ready(ctx)
	if err != nil {
		return "", err
	}
	if _, err := b.teams.caring(Chart, card.Care); err != nil {
		return "", err
	}
	p := id.New[id.Patient]()
	now := b.v.Now()
	b.cards[p] = card
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		if !ready { // counted where nobody else can be admitted meanwhile
			if full, err := full(ctx, tx); full || err != nil {
				return errors.Join(err, notReady(full))
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_patients (patient, admitted) VALUES ($1, $2)`, p, now.UnixMilli())
		return err
	})
	c, err := b.create(ctx, p, Identity, card)
	if err != nil {
		return "", err
	}
	if err := b.putCard(ctx, c, card, 0, "vault.admitted"); err != nil {
		return "", err
	}
	// The chart's key is made with the patient: who cares is settled by whoever
	// takes the patient in, and not by whoever writes first.
	_, err = b.create(ctx, p, Chart, card)
	return p, err
}

// ready tells whether more than the first patients may be admitted. Where they
// may not, and the first are here, it says so before anything is sealed.
func (b *Batch) ready(ctx context.Context) (bool, error) {
	if b.v.Recovery == nil {
		return true, nil
	}
	doors, kit, err := b.v.Recovery.Ready(ctx)
	if err != nil || doors >= 2 && kit {
		return err == nil, err
	}
	full, err := full(ctx, b.v.DB)
	return false, errors.Join(err, notReady(full))
}

// full tells whether as many patients are here as may be without a way back.
func full(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) store.Row
}) (bool, error) {
	var have int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM vault_patients LIMIT $1) AS first`, freePatients).Scan(&have); err != nil {
		return false, fmt.Errorf("count patients: %w", err)
	}
	return have >= freePatients, nil
}

func notReady(full bool) error {
	if !full {
		return nil
	}
	return &layer.Refusal{
		Why:     "A fourth patient waits until nobody can be locked out of the records",
		Fix:     "The owner needs a second way in, and the recovery kit printed and checked.",
		Minutes: 4,
	}
}

// SetCard replaces what the identity compartment holds, but for who cares: see
// SetCare. version is the one that was read.
func (b *Batch) SetCard(ctx context.Context, c *Compartment, card Card, version uint64) error {
	was, _, err := c.Card(ctx)
	if err != nil {
		return err
	}
	card.Care = was.Care
	return b.putCard(ctx, c, card, version, "vault.written")
}

func (b *Batch) putCard(ctx context.Context, c *Compartment, card Card, version uint64, kind string) error {
	body, err := json.Marshal(card)
	if err != nil {
		return fmt.Errorf("write card of patient %s: %w", c.ring.patient, err)
	}
	defer clear(body)
	b.changed = append(b.changed, dirEntry{patient: c.ring.patient, card: card})
	return b.put(ctx, c, Draft{Record: id.Record(c.ring.patient), Version: version, Body: body}, kind)
}

// Put writes a record. c comes from In.
func (b *Batch) Put(ctx context.Context, c *Compartment, d Draft) (id.Record, error) {
	if d.Record == "" {
		d.Record = id.New[id.Record]()
	}
	return d.Record, b.put(ctx, c, d, "vault.written")
}

// In returns a compartment to write into: one that was made in this batch, the
// existing one, or a new one where the patient has none yet.
func (b *Batch) In(ctx context.Context, p id.Patient, part string) (*Compartment, error) {
	if c, ok := b.made[opening{patient: p, part: part}]; ok {
		return c, nil
	}
	if card, ok := b.cards[p]; ok {
		return b.create(ctx, p, part, card)
	}
	c, err := b.open(ctx, p, part)
	if errors.Is(err, ErrUnknown) && part != Identity && part != Chart { // those two are made with the patient
		card, err := b.v.careOf(ctx, p)
		if err != nil {
			return nil, err
		}
		return b.create(ctx, p, part, card)
	}
	return c, err
}

// open opens an existing compartment for this batch.
func (b *Batch) open(ctx context.Context, p id.Patient, part string) (*Compartment, error) {
	if c, ok := b.made[opening{patient: p, part: part}]; ok {
		return c, nil
	}
	c, err := b.v.openToWrite(ctx, p, part)
	if err != nil {
		return nil, err
	}
	b.opened = append(b.opened, c)
	b.made[opening{patient: p, part: part}] = c
	return c, nil
}

// careOf reads who cares for the patient, from the sealed card: what stands in
// the database beside it is not believed.
func (v *Vault) careOf(ctx context.Context, p id.Patient) (Card, error) {
	if p == v.House() {
		return Card{}, nil
	}
	c, err := v.openToWrite(ctx, p, Identity)
	if err != nil {
		return Card{}, err
	}
	defer c.Close()
	card, _, err := c.Card(ctx)
	return card, err
}

// create makes the first key of a compartment and wraps it for every team that cares.
func (b *Batch) create(ctx context.Context, p id.Patient, part string, card Card) (*Compartment, error) {
	caring, err := b.teams.caring(part, card.Care)
	if err != nil {
		return nil, err
	}
	c := &Compartment{v: b.v, teams: b.teams, ring: &ring{patient: p, part: part, newest: 1, keys: map[uint64]seal.Key{1: seal.NewKey()}}, written: map[string]ledger.Write{}, own: true}
	if err := b.share(ctx, c, caring, "vault.keyed"); err != nil {
		return nil, err
	}
	b.made[opening{patient: p, part: part}] = c
	b.opened = append(b.opened, c)
	return c, nil
}

// share wraps the newest key for each team, states under the key itself who they
// are, and has the ledger remember both.
func (b *Batch) share(ctx context.Context, c *Compartment, caring []layer.Team, kind string) error {
	r := c.ring
	version, key := r.newest, r.keys[r.newest]
	r.care, r.stale = nil, false
	for _, team := range caring {
		w, err := b.v.wrapFor(ctx, b.teams, r.patient, r.part, version, key, team)
		if err != nil {
			return err
		}
		r.care = append(r.care, share{team.ID, team.Epoch})
		b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error { return addWrap(ctx, tx, r.patient, r.part, w) })
	}
	plain, err := json.Marshal(r.care)
	if err != nil {
		return err
	}
	r.stated = key.Seal(plain, b.v.careSlot(r.patient, r.part, version))
	stated := r.stated
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_care (patient, part, version, box) VALUES ($1, $2, $3, $4)`, r.patient, r.part, version, stated)
		return err
	})
	b.fact(ctx, ledger.Fact{Kind: kind, Subject: string(r.patient), Part: r.part, Record: keyRecord(r.part), Version: int64(version), Hash: r.hash()})
	c.wrote(keyRecord(r.part), version, r.hash())
	return nil
}

// rekey makes a new version of the compartment's key where the newest is stale:
// nothing is written under a key that somebody who left could hold, or that
// somebody else vouched for. It goes to the teams that the key itself names.
func (b *Batch) rekey(ctx context.Context, c *Compartment) error {
	if !c.ring.stale {
		return nil
	}
	caring := make([]layer.Team, 0, len(c.ring.care))
	for _, s := range c.ring.care {
		team, ok := b.teams.by(s.Team)
		if !ok {
			return fmt.Errorf("%w: team %s, which holds %s of patient %s, is unknown", ErrChanged, s.Team, c.ring.part, c.ring.patient)
		}
		caring = append(caring, team)
	}
	return b.renew(ctx, c, caring)
}

// renew makes a new version of a compartment's key for these teams.
func (b *Batch) renew(ctx context.Context, c *Compartment, caring []layer.Team) error {
	r := c.ring
	old := r.keys[r.newest]
	r.newest++
	r.keys[r.newest] = seal.NewKey()
	if err := b.share(ctx, c, caring, "vault.rekeyed"); err != nil {
		return err
	}
	version, box := r.newest, r.keys[r.newest].SealKey(old, b.v.olderSlot(r.patient, r.part, r.newest))
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_older (patient, part, version, box) VALUES ($1, $2, $3, $4)`, r.patient, r.part, version, box)
		return err
	})
	return nil
}

// SetCare changes who cares for a patient. Whoever does it holds the chart. The
// new teams read what was written before; a team that is taken out keeps what it
// could read, loses its wraps, and reads nothing that is written later.
func (b *Batch) SetCare(ctx context.Context, p id.Patient, care []id.Team) error {
	identity, err := b.In(ctx, p, Identity)
	if err != nil {
		return err
	}
	card, version, err := identity.Card(ctx)
	if err != nil {
		return err
	}
	card.Care = care
	for _, part := range []string{Chart, Billing} {
		caring, err := b.teams.caring(part, care)
		if err != nil {
			return err
		}
		c, err := b.open(ctx, p, part)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if err := b.renew(ctx, c, caring); err != nil {
			return err
		}
		b.unwrapOthers(p, part, caring)
	}
	b.fact(ctx, ledger.Fact{Kind: "vault.care-changed", Subject: string(p)})
	return b.putCard(ctx, identity, card, version, "vault.written")
}

// unwrapOthers takes away the wraps of teams that do not care any more.
func (b *Batch) unwrapOthers(p id.Patient, part string, caring []layer.Team) {
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT DISTINCT team FROM vault_wraps WHERE patient = $1 AND part = $2`, p, part)
		if err != nil {
			return err
		}
		var gone []id.Team
		for rows.Next() {
			var team id.Team
			if err := rows.Scan(&team); err != nil {
				rows.Close()
				return err
			}
			if !slices.ContainsFunc(caring, func(t layer.Team) bool { return t.ID == team }) {
				gone = append(gone, team)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, team := range gone {
			if _, err := tx.ExecContext(ctx, `DELETE FROM vault_wraps WHERE patient = $1 AND part = $2 AND team = $3`, p, part, team); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Batch) fact(ctx context.Context, f ledger.Fact) {
	f.At, f.Actor = b.v.Now(), id.From(ctx)
	b.facts = append(b.facts, f)
}

func (b *Batch) put(ctx context.Context, c *Compartment, d Draft, kind string) error {
	return b.putRow(ctx, c, d, kind, int64(len(d.Body)), func(version uint64) (string, []byte, error) { return "", d.Body, nil })
}

// putRow seals a record and plans its row. content gives the blob's name, if
// any, and what the row's box holds.
func (b *Batch) putRow(ctx context.Context, c *Compartment, d Draft, kind string, size int64, content func(version uint64) (string, []byte, error)) error {
	if err := b.rekey(ctx, c); err != nil {
		return err
	}
	if d.At.IsZero() {
		d.At = b.v.Now()
	}
	version, keyed := d.Version+1, c.ring.newest
	key := c.ring.keys[keyed]
	blob, body, err := content(version)
	if err != nil {
		return err
	}
	r := row{Entry: Entry{Record: d.Record, Version: version, At: d.At, Size: size}, keyed: keyed, blob: blob}
	r.head = key.Seal(d.Head, c.slot("head", d.Record, version, keyed))
	r.box = key.Seal(body, c.slot("record", d.Record, version, keyed))
	sum := sha256.Sum256(r.box)
	r.sum = sum[:]
	hash := r.hash()
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		return writeRow(ctx, tx, c.ring.patient, c.ring.part, r)
	})
	b.fact(ctx, ledger.Fact{Kind: kind, Subject: string(c.ring.patient), Part: c.ring.part, Record: recordName(c.ring.part, d.Record), Version: int64(version), Hash: hash})
	c.wrote(recordName(c.ring.part, d.Record), version, hash)
	return nil
}

func writeRow(ctx context.Context, tx *store.Tx, p id.Patient, part string, r row) error {
	if r.Version == 1 {
		res, err := tx.ExecContext(ctx, `INSERT INTO vault_records (record, patient, part, version, keyed, at, head, box, sum, blob, size) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (record) DO NOTHING`,
			r.Record, p, part, r.Version, r.keyed, r.At.UnixMilli(), r.head, r.box, r.sum, r.blob, r.Size)
		return one(res, err, r.Record)
	}
	res, err := tx.ExecContext(ctx, `UPDATE vault_records SET version = $1, keyed = $2, at = $3, head = $4, box = $5, sum = $6, blob = $7, size = $8
		WHERE record = $9 AND patient = $10 AND part = $11 AND version = $12`,
		r.Version, r.keyed, r.At.UnixMilli(), r.head, r.box, r.sum, r.blob, r.Size, r.Record, p, part, r.Version-1)
	return one(res, err, r.Record)
}

// one insists that one row was written: else somebody else wrote it first.
func one(res sql.Result, err error, rec id.Record) error {
	if err != nil {
		return fmt.Errorf("write record %s: %w", rec, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrConflict, err)
	}
	return nil
}

// PutStream writes a record whose body may be long: it is sealed as it is read,
// in bounded memory, and never lies anywhere in plain.
func (b *Batch) PutStream(ctx context.Context, c *Compartment, draft Draft, body io.Reader) (id.Record, error) {
	d := asked{draft}
	start, err := io.ReadAll(io.LimitReader(body, inline+1))
	if err != nil {
		return "", fmt.Errorf("read what is to be sealed: %w", err)
	}
	defer clear(start)
	if len(start) <= inline {
		d.Body = start
		if err := d.ask(); err != nil {
			return "", err
		}
		return b.Put(ctx, c, d.Draft)
	}
	if d.Record == "" {
		d.Record = id.New[id.Record]()
	}
	// The stream's slot names the key version of its row.
	if err := b.rekey(ctx, c); err != nil {
		return "", err
	}
	// A key of its own binds the stream to this row: no other stream fits.
	name, key := string(id.New[id.Record]()), seal.NewKey()
	defer key.Wipe()
	size, err := b.seal(ctx, c, d.Draft, name, key, io.MultiReader(bytes.NewReader(start), body))
	if err == nil {
		err = d.ask()
	}
	if err != nil {
		return "", err
	}
	return d.Record, b.putRow(ctx, c, d.Draft, "vault.written", size, func(uint64) (string, []byte, error) {
		return name, key[:], nil
	})
}

// asked is a draft whose head may be asked for once the body was read.
type asked struct{ Draft }

func (a *asked) ask() (err error) {
	if a.HeadOf != nil {
		a.Head, err = a.HeadOf()
	}
	return err
}

// seal streams a body into a blob and returns its plain size.
func (b *Batch) seal(ctx context.Context, c *Compartment, d Draft, name string, key seal.Key, body io.Reader) (int64, error) {
	pr, pw := io.Pipe()
	sealed := make(chan int64, 1)
	slot := c.slot("file", d.Record, d.Version+1, c.ring.newest)
	go func() {
		var size int64
		w, err := key.SealStream(pw, slot)
		if err == nil {
			size, err = io.Copy(w, body)
		}
		if err == nil {
			err = w.Close()
		}
		sealed <- size
		pw.CloseWithError(err)
	}()
	err := b.v.Blobs.Put(ctx, name, pr)
	pr.CloseWithError(io.ErrClosedPipe) // where Put stopped early, sealing stops too
	size := <-sealed
	if err != nil {
		return 0, fmt.Errorf("seal a stream: %w", err)
	}
	b.streams = append(b.streams, name)
	return size, nil
}

// Commit writes everything, durably, in one transaction.
func (b *Batch) Commit(ctx context.Context) error {
	rows, err := b.v.dir.seal(ctx, b.v, b.teams, b.changed)
	if err != nil {
		b.Drop()
		return err
	}
	err = b.v.DB.Update(ctx, func(tx *store.Tx) error {
		for _, write := range b.writes {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		for _, f := range b.facts {
			if err := ledger.Append(ctx, tx, f); err != nil {
				return err
			}
		}
		return b.v.dir.write(ctx, tx, b.v.Now(), rows)
	})
	if errors.Is(err, store.ErrUnknown) {
		b.streams = nil // it may have been written: what nobody names is swept in a day
	}
	if err != nil {
		b.Drop()
		return err
	}
	b.v.dir.take(rows)
	b.streams = nil
	b.Drop()
	if len(rows) > 0 {
		b.v.merge(ctx, b.teams) // where it fails, the tail stays long until the next act merges it
	}
	return nil
}

// Drop forgets the batch: keys are wiped, streams that nothing refers to are removed.
func (b *Batch) Drop() {
	for _, c := range b.opened {
		c.Close()
	}
	for _, name := range b.streams {
		b.v.Blobs.Delete(context.Background(), name)
	}
	b.opened, b.streams, b.writes, b.facts = nil, nil, nil, nil
}
