package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs"
)

// openFor is how long one opening lasts: the same session may read on in the
// same compartment without another fact. It bounds what the ledger has to carry
// while a page loads its parts; a minute later there is a new fact.
const openFor = time.Minute

type opening struct {
	session id.Session
	patient id.Patient
	part    string
	why     string // the reason that its fact gives
}

// Compartment is one opened compartment of one patient. Close it when done.
type Compartment struct {
	v       *Vault
	teams   teams
	ring    *ring
	written map[string]ledger.Write
	now     stamp
	glass   bool   // read under a broken glass: see Glass
	why     string // the reason of its opening, for the fact
	own     bool   // written is this compartment's own map, and not shared with others
}

// Open lets the acting person into one compartment of one patient: keys, then
// the gate, then the fact, and only then can anything be read. It returns
// ErrNotYours, ErrUnknown, ErrChanged, ErrLocked, or the gate's *layer.Refusal.
func (v *Vault) Open(ctx context.Context, p id.Patient, part string) (*Compartment, error) {
	return v.enter(ctx, p, part, "")
}

// enter is Open, and OpenEmergency where why says so.
func (v *Vault) enter(ctx context.Context, p id.Patient, part, why string) (*Compartment, error) {
	all, err := v.teams(ctx)
	if err != nil {
		return nil, err
	}
	c := &Compartment{v: v, teams: all, ring: &ring{patient: p, part: part}, why: why}
	if err := c.settled(ctx, c.load); err != nil {
		return nil, v.refused(ctx, p, part, err)
	}
	gate := part
	if why != "" {
		gate = why
		if err := c.ownCare(ctx); err != nil {
			c.Close()
			return nil, v.refused(ctx, p, part, err)
		}
	}
	if v.Gate != nil {
		if err := v.Gate.MayOpen(ctx, id.From(ctx), gate); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, v.recordOpening(ctx, c)
}

// ownCare tells whether a care team of the acting person cares for the patient:
// ErrNotYours if not. Who may know names holds the identity key of everybody, so
// there the sealed card says who cares.
func (c *Compartment) ownCare(ctx context.Context) error {
	var care []id.Team
	for _, s := range c.ring.care {
		care = append(care, s.Team)
	}
	if c.ring.part == Identity {
		card, _, err := c.Card(ctx)
		if err != nil {
			return err
		}
		care = card.Care
	}
	if c.glass || !slices.ContainsFunc(care, c.teams.mine) {
		return ErrNotYours
	}
	return nil
}

// load opens the keys, and reads what the ledger knows of the patient.
func (c *Compartment) load(ctx context.Context) error {
	p, part := c.ring.patient, c.ring.part
	wraps, err := recall(c.v, c.now, place{p, part, "wraps"}, sizeOfWraps, func() ([]wrap, error) { return c.v.readWraps(ctx, p, part) })
	if err != nil {
		return err
	}
	r, err := c.v.openWraps(ctx, c.teams, p, part, wraps)
	if c.glass = errors.Is(err, ErrNotYours); c.glass {
		r, err = c.v.underGlass(ctx, c.teams, p, part, wraps)
	}
	if err != nil {
		return c.v.missing(ctx, p, part, err)
	}
	c.ring = r
	c.own = false
	c.written, err = recall(c.v, c.now, place{p, "", "facts"}, func(w map[string]ledger.Write) int { return rowSize * (1 + len(w)) },
		func() (map[string]ledger.Write, error) { return c.v.Ledger.Written(ctx, string(p)) })
	if err != nil {
		return err
	}
	return c.checkKeys()
}

// wrote notes what this act is about to write.
func (c *Compartment) wrote(record string, version uint64, hash []byte) {
	if !c.own {
		c.written, c.own = maps.Clone(c.written), true
	}
	c.written[record] = ledger.Write{Version: int64(version), Hash: hash}
}

// settled compares rows with the ledger, and again where they differ: they are
// read one after the other, and what somebody writes in between is no change
// from outside. What was changed from outside stays so.
func (c *Compartment) settled(ctx context.Context, compare func(context.Context) error) error {
	c.now = c.v.stamp(ctx)
	err := compare(ctx)
	for range 3 {
		if !errors.Is(err, ErrChanged) {
			return err
		}
		c.now = stamp{} // what is remembered may be as mixed
		if err = c.load(ctx); err == nil {
			err = compare(ctx)
		}
	}
	return err
}

// missing tells a compartment that never was from one whose keys were deleted:
// of that one the ledger knows records. Else the next write would begin it anew.
func (v *Vault) missing(ctx context.Context, p id.Patient, part string, reason error) error {
	if !errors.Is(reason, ErrUnknown) || v.weak {
		return reason
	}
	written, err := v.Ledger.Written(ctx, string(p))
	if err != nil {
		return err
	}
	if _, keyed := written[keyRecord(part)]; keyed {
		return fmt.Errorf("%w: the keys of %s of patient %s are gone", ErrChanged, part, p)
	}
	return reason
}

// checkKeys compares the newest key with the newest that the ledger knows: a
// deleted newer key would let a leaver's key come back into use.
func (c *Compartment) checkKeys() error {
	w, ok := c.written[keyRecord(c.ring.part)]
	if ok && uint64(w.Version) == c.ring.newest && bytes.Equal(w.Hash, c.ring.hash()) {
		return nil
	}
	return fmt.Errorf("%w: the newest key of %s of patient %s", ErrChanged, c.ring.part, c.ring.patient)
}

// recordOpening appends the fact that a compartment was opened, durably, before
// anything is released.
func (v *Vault) recordOpening(ctx context.Context, c *Compartment) error {
	a, now := id.From(ctx), v.Now()
	why := c.why
	if c.glass {
		why = "glass"
	}
	o := opening{a.Session, c.ring.patient, c.ring.part, why}
	v.mu.Lock()
	until, ok := v.opened[o]
	v.mu.Unlock()
	if ok && now.Before(until) {
		return nil
	}
	f := ledger.Fact{Kind: "vault.opened", Subject: string(o.patient), Part: o.part, Reason: why}
	if err := v.fact(ctx, f); err != nil {
		return err
	}
	v.remember(o, now)
	return nil
}

// remember lets an opening last a while.
func (v *Vault) remember(o opening, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.opened) > 10_000 {
		clear(v.opened) // costs a fact more, never one less
	}
	v.opened[o] = now.Add(openFor)
}

// refused appends the fact that an opening was refused, and returns its reason.
func (v *Vault) refused(ctx context.Context, p id.Patient, part string, reason error) error {
	why := ""
	switch {
	case errors.Is(reason, ErrNotYours):
		why = "not-yours"
	case errors.Is(reason, ErrChanged):
		why = "changed"
	default:
		return reason
	}
	return errors.Join(reason, v.fact(ctx, ledger.Fact{Kind: "vault.refused", Subject: string(p), Part: part, Reason: why}))
}

// fact appends one fact in the acting person's name.
func (v *Vault) fact(ctx context.Context, f ledger.Fact) error {
	f.At, f.Actor = v.Now(), id.From(ctx)
	return v.DB.Update(ctx, func(tx *store.Tx) error { return ledger.Append(ctx, tx, f) })
}

// Close wipes the compartment's keys.
func (c *Compartment) Close() { c.ring.wipe() }

// Patient is whose compartment it is.
func (c *Compartment) Patient() id.Patient { return c.ring.patient }

// row is one record as it is stored.
type row struct {
	Entry
	keyed     uint64
	head, box []byte
	sum       []byte
	blob      string
}

// recordName is a record's name in the ledger.
func recordName(part string, r id.Record) string { return part + "." + string(r) }

// hash is what the ledger keeps of a row: all of it but the names that the fact
// holds anyway. Time and size are not sealed, and are bound here.
func (r *row) hash() []byte {
	h := sha256.Sum256(r.head)
	b := append(h[:], r.sum...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Size))
	b = binary.BigEndian.AppendUint64(b, r.keyed)
	all := sha256.Sum256(append(b, r.blob...))
	return all[:]
}

func (c *Compartment) slot(kind string, r id.Record, version, keyed uint64) seal.Slot {
	s := c.v.slot(kind, "", c.ring.patient, c.ring.part)
	s.Record, s.Version, s.Chunk = string(r), version, 0
	s.Holder = fmt.Sprint(keyed)
	return s
}

// List returns the compartment's records, newest first. It compares them with
// the ledger: a record that was deleted, put back or replaced gives ErrChanged.
func (c *Compartment) List(ctx context.Context) (list []Entry, err error) {
	err = c.settled(ctx, func(ctx context.Context) error {
		list, err = c.list(ctx)
		return err
	})
	return list, err
}

func (c *Compartment) list(ctx context.Context) ([]Entry, error) {
	before := c.written
	rows, err := recall(c.v, c.now, place{c.ring.patient, c.ring.part, "heads"}, sizeOfRows, func() ([]row, error) { return c.readHeads(ctx) })
	if err != nil {
		return nil, err
	}
	list, seen := make([]Entry, 0, len(rows)), make(map[string]bool, len(rows))
	for _, r := range rows {
		if err := c.openHead(ctx, &r); err != nil {
			return nil, err
		}
		list = append(list, r.Entry)
		seen[recordName(c.ring.part, r.Record)] = true
	}
	for name, w := range before { // what the ledger knew before the rows were read has to be among them
		if !strings.HasPrefix(name, c.ring.part+".") || w.Removed() || seen[name] || c.v.weak {
			continue
		}
		if err := c.catchUp(ctx); err != nil {
			return nil, err
		}
		if !c.written[name].Removed() {
			return nil, fmt.Errorf("%w: of %s of patient %s, %s is gone", ErrChanged, c.ring.part, c.ring.patient, name)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return b.At.Compare(a.At) })
	return list, nil
}

// readHeads reads the compartment's rows without their bodies.
func (c *Compartment) readHeads(ctx context.Context) ([]row, error) {
	found, err := c.v.DB.QueryContext(ctx, `SELECT record, version, keyed, at, head, sum, blob, size FROM vault_records WHERE patient = $1 AND part = $2`, c.ring.patient, c.ring.part)
	if err != nil {
		return nil, fmt.Errorf("list records of patient %s: %w", c.ring.patient, err)
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		var r row
		var at int64
		if err := found.Scan(&r.Record, &r.Version, &r.keyed, &at, &r.head, &r.sum, &r.blob, &r.Size); err != nil {
			return nil, fmt.Errorf("list records of patient %s: %w", c.ring.patient, err)
		}
		r.At = time.UnixMilli(at)
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("list records of patient %s: %w", c.ring.patient, err)
	}
	return rows, nil
}

// catchUp reads what the ledger knows by now.
func (c *Compartment) catchUp(ctx context.Context) error {
	written, err := c.v.Ledger.Written(ctx, string(c.ring.patient))
	if err == nil {
		c.written, c.own = written, false
	}
	return err
}

// openHead compares a row with the ledger and opens what lists show of it.
func (c *Compartment) openHead(ctx context.Context, r *row) error {
	changed := fmt.Errorf("%w: record %s of patient %s", ErrChanged, r.Record, c.ring.patient)
	if !c.fits(r) {
		if err := c.catchUp(ctx); err != nil {
			return err
		}
		if !c.fits(r) {
			return changed
		}
	}
	key, ok := c.ring.keys[r.keyed]
	if !ok {
		return changed
	}
	head, err := key.Open(r.head, c.slot("head", r.Record, r.Version, r.keyed))
	if err != nil {
		return changed
	}
	r.Head = head
	return nil
}

// fits tells whether a row is the latest that the ledger knows of the record.
func (c *Compartment) fits(r *row) bool {
	w, ok := c.written[recordName(c.ring.part, r.Record)]
	return c.v.weak || ok && uint64(w.Version) == r.Version && bytes.Equal(w.Hash, r.hash())
}

func (c *Compartment) row(ctx context.Context, rec id.Record) (r row, err error) {
	err = c.settled(ctx, func(ctx context.Context) error {
		r, err = c.readRow(ctx, rec)
		return err
	})
	return r, err
}

func (c *Compartment) readRow(ctx context.Context, rec id.Record) (r row, err error) {
	r, err = recall(c.v, c.now, place{c.ring.patient, c.ring.part, string(rec)}, func(r row) int { return sizeOfRows([]row{r}) },
		func() (row, error) { return c.fetch(ctx, rec) })
	if errors.Is(err, sql.ErrNoRows) {
		if w, ok := c.written[recordName(c.ring.part, rec)]; ok && !w.Removed() {
			return r, fmt.Errorf("%w: record %s of patient %s is gone", ErrChanged, rec, c.ring.patient)
		}
		return r, ErrUnknown
	}
	if err != nil {
		return r, fmt.Errorf("read record %s: %w", rec, err)
	}
	if sum := sha256.Sum256(r.box); !bytes.Equal(sum[:], r.sum) {
		return r, fmt.Errorf("%w: record %s of patient %s", ErrChanged, rec, c.ring.patient)
	}
	return r, c.openHead(ctx, &r)
}

// fetch reads a row as it stands.
func (c *Compartment) fetch(ctx context.Context, rec id.Record) (r row, err error) {
	var at int64
	err = c.v.DB.QueryRowContext(ctx, `SELECT record, version, keyed, at, head, box, sum, blob, size FROM vault_records WHERE record = $1 AND patient = $2 AND part = $3`, rec, c.ring.patient, c.ring.part).
		Scan(&r.Record, &r.Version, &r.keyed, &at, &r.head, &r.box, &r.sum, &r.blob, &r.Size)
	r.At = time.UnixMilli(at)
	return r, err
}

// rowSize is about what a row takes besides its boxes.
const rowSize = 200

func sizeOfRows(rows []row) (n int) {
	for _, r := range rows {
		n += rowSize + len(r.head) + len(r.box)
	}
	return n
}

// Read opens a record's body whole. For what may be long, see Stream.
func (c *Compartment) Read(ctx context.Context, rec id.Record) (Entry, []byte, error) {
	e, s, err := c.Stream(ctx, rec)
	if err != nil {
		return e, nil, err
	}
	defer s.Close()
	body, err := io.ReadAll(s)
	return e, body, err
}

// Stream opens a record's body. What it gives out was checked, chunk by chunk.
func (c *Compartment) Stream(ctx context.Context, rec id.Record) (Entry, io.ReadCloser, error) {
	r, err := c.row(ctx, rec)
	if err != nil {
		return Entry{}, nil, err
	}
	key := c.ring.keys[r.keyed]
	body, err := key.Open(r.box, c.slot("record", rec, r.Version, r.keyed))
	if err != nil {
		return Entry{}, nil, fmt.Errorf("%w: record %s of patient %s", ErrChanged, rec, c.ring.patient)
	}
	if r.blob == "" {
		return r.Entry, io.NopCloser(bytes.NewReader(body)), nil
	}
	sealed, err := c.v.Blobs.Get(ctx, r.blob)
	if errors.Is(err, blobs.ErrNotFound) {
		return Entry{}, nil, fmt.Errorf("%w: the stream of record %s of patient %s is gone", ErrChanged, rec, c.ring.patient)
	}
	if err != nil {
		return Entry{}, nil, fmt.Errorf("read record %s: %w", rec, err)
	}
	own, err := seal.KeyFrom(body)
	if err != nil {
		return Entry{}, nil, errors.Join(fmt.Errorf("%w: record %s of patient %s", ErrChanged, rec, c.ring.patient), sealed.Close())
	}
	return r.Entry, stream{own.OpenStream(sealed, c.slot("file", rec, r.Version, r.keyed)), sealed}, nil
}

type stream struct {
	io.Reader
	io.Closer
}

// Card opens who the patient is. The compartment is Identity.
func (c *Compartment) Card(ctx context.Context) (card Card, version uint64, err error) {
	e, body, err := c.Read(ctx, id.Record(c.ring.patient))
	if err != nil {
		return card, 0, err
	}
	defer clear(body)
	if err := json.Unmarshal(body, &card); err != nil {
		return card, 0, fmt.Errorf("read card of patient %s: not readable", c.ring.patient)
	}
	return card, e.Version, nil
}
