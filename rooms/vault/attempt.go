package vault

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs"
)

// Attempt is what a thief does with the rows of a copied house and with keys
// found anywhere: each key is tried in every place where a key of its kind could
// fit. What a wrap gives away is tried in its turn. It is for drills.
type Attempt struct {
	DB       *store.DB
	Blobs    blobs.Store // may be nil
	Practice string
	Keys     []seal.Key            // tried on every wrap, and on the head of every record
	Near     []seal.Key            // those that lay in the open: also on every body and stream
	Step     func(done, total int) // told how many records were attacked; may be nil
}

// Attempted is what came of it.
type Attempted struct {
	Records int   // that were attacked: head, body and stream
	Wraps   int   // boxes that hold a patient's key
	Boxes   int   // of the directory and of what searches showed
	Streams int   // in the blob store
	Tries   int64 // of one key on one box

	OpenedWraps, OpenedBoxes int
	Opened                   map[id.Patient]int // records that opened, of whom
}

// Run tries everything.
func (a Attempt) Run(ctx context.Context) (Attempted, error) {
	t := &thief{Attempt: a, v: &Vault{Config: Config{Practice: a.Practice}}, won: map[opening]map[uint64]seal.Key{}}
	t.done.Opened = map[id.Patient]int{}
	t.keys, t.near = seal.NewBunch(a.Keys), seal.NewBunch(a.Near)
	derived := make([]seal.Key, len(a.Keys))
	for i, k := range a.Keys {
		derived[i] = k.Derive("directory v1")
	}
	t.names = seal.NewBunch(append(derived, a.Keys...))
	for _, attack := range []func(context.Context) error{t.directory, t.wraps, t.older, t.records} {
		if err := attack(ctx); err != nil {
			return t.done, fmt.Errorf("try keys: %w", err)
		}
	}
	t.done.Tries = t.tries.Load()
	return t.done, nil
}

type thief struct {
	Attempt
	v                 *Vault // for its slots
	keys, near, names *seal.Bunch
	tries             atomic.Int64

	mu   sync.Mutex
	won  map[opening]map[uint64]seal.Key // patients' keys that wraps gave away
	done Attempted
}

// try tries a bunch on one box.
func (t *thief) try(b *seal.Bunch, room, box []byte, s seal.Slot) (plain []byte, opened bool) {
	which, plain := b.Open(room, box, s)
	if which < 0 {
		t.tries.Add(int64(b.Len()))
		return nil, false
	}
	t.tries.Add(int64(which + 1))
	return plain, true
}

// directory tries the sealed names, and what searches showed.
func (t *thief) directory(ctx context.Context) error {
	base, err := (&Vault{Config: Config{DB: t.DB}}).readBase(ctx)
	if err != nil {
		return err
	}
	room := make([]byte, 0, 1<<20)
	one := func(box []byte, s seal.Slot) {
		t.done.Boxes++
		if _, ok := t.try(t.names, room, box, s); ok {
			t.done.OpenedBoxes++
		}
	}
	for _, s := range base {
		one(s.ids, t.v.segmentSlot("ids", s, 0))
		one(s.texts, t.v.segmentSlot("texts", s, 0))
		for i, b := range s.blocks {
			one(b, t.v.segmentSlot("lines", s, i))
		}
	}
	tail, err := (&Vault{Config: Config{DB: t.DB}}).readTail(ctx, 0)
	if err != nil {
		return err
	}
	for _, e := range tail {
		one(e.box, t.v.entrySlot(e.patient, e.epoch))
	}
	return t.shown(ctx, one)
}

func (t *thief) shown(ctx context.Context, one func([]byte, seal.Slot)) error {
	rows, err := t.DB.QueryContext(ctx, `SELECT ref, box FROM vault_shown`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		slot := t.v.slot("shown", "", "", "")
		var box []byte
		if err := rows.Scan(&slot.Record, &box); err != nil {
			return err
		}
		one(box, slot)
	}
	return rows.Err()
}

// wraps tries every wrap of every patient's keys.
func (t *thief) wraps(ctx context.Context) error {
	inboxes, err := t.inboxes()
	if err != nil {
		return err
	}
	type row struct {
		opening
		wrap
	}
	return pour(ctx, t.DB, `SELECT patient, part, version, team, epoch, inbox, box FROM vault_wraps`, func(rows scanner) (r row, err error) {
		var inbox int
		err = rows.Scan(&r.patient, &r.part, &r.version, &r.team, &r.epoch, &inbox, &r.box)
		r.inbox = inbox == 1
		return r, err
	}, func(r row, room []byte) {
		slot := t.v.wrapSlot(r.patient, r.part, r.version, r.team, r.epoch)
		plain, opened := []byte(nil), false
		if r.inbox {
			plain, opened = t.tryPairs(inboxes, r.box, slot)
		} else {
			plain, opened = t.try(t.keys, room, r.box, slot)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done.Wraps++
		if opened {
			t.done.OpenedWraps++
			t.win(r.opening, r.version, plain)
		}
	})
}

// inboxes are the pairs of the teams whose key each found key could be. To
// derive one is slow, so only keys that lay in the open are taken.
func (t *thief) inboxes() (pairs []*seal.Pair, err error) {
	for _, k := range t.Near {
		p, err := seal.TeamInbox(k)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (t *thief) tryPairs(pairs []*seal.Pair, box []byte, s seal.Slot) ([]byte, bool) {
	t.tries.Add(int64(len(pairs)))
	for _, p := range pairs {
		if plain, err := p.Open(box, s); err == nil {
			return plain, true
		}
	}
	return nil, false
}

// win keeps a patient's key. The caller holds the lock.
func (t *thief) win(o opening, version uint64, plain []byte) {
	key, err := seal.KeyFrom(plain)
	if err != nil {
		return
	}
	if t.won[o] == nil {
		t.won[o] = map[uint64]seal.Key{}
	}
	t.won[o][version] = key
}

// older follows keys that were won to the ones before them, and tries all on the rest.
func (t *thief) older(ctx context.Context) error {
	type row struct {
		opening
		version uint64
		box     []byte
	}
	return pour(ctx, t.DB, `SELECT patient, part, version, box FROM vault_older ORDER BY version DESC`, func(rows scanner) (r row, err error) {
		err = rows.Scan(&r.patient, &r.part, &r.version, &r.box)
		return r, err
	}, func(r row, room []byte) {
		slot := t.v.olderSlot(r.patient, r.part, r.version)
		plain, opened := t.try(t.keys, room, r.box, slot)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done.Wraps++
		if key, ok := t.won[r.opening][r.version]; ok && !opened {
			var err error
			plain, err = key.Open(r.box, slot)
			opened = err == nil
		}
		if opened {
			t.done.OpenedWraps++
			t.win(r.opening, r.version-1, plain)
		}
	})
}

// records tries every record: all keys on its head, the near ones and those that
// were won on its body and stream too.
func (t *thief) records(ctx context.Context) error {
	var total int
	if err := t.DB.QueryRowContext(ctx, `SELECT count(*) FROM vault_records`).Scan(&total); err != nil {
		return err
	}
	type stored struct {
		opening
		row
	}
	return pour(ctx, t.DB, `SELECT record, patient, part, version, keyed, head, box, blob FROM vault_records`, func(rows scanner) (r stored, err error) {
		err = rows.Scan(&r.Record, &r.patient, &r.part, &r.Version, &r.keyed, &r.head, &r.box, &r.blob)
		return r, err
	}, func(r stored, room []byte) {
		slot := t.v.slot("head", strconv.FormatUint(r.keyed, 10), r.patient, r.part)
		slot.Record, slot.Version = string(r.Record), r.Version
		_, opened := t.try(t.keys, room, r.head, slot)
		body := slot
		body.Kind = "record"
		if _, ok := t.try(t.near, room, r.box, body); ok {
			opened = true
		}
		for _, k := range t.won[r.opening] {
			for _, box := range []struct {
				box  []byte
				slot seal.Slot
			}{{r.head, slot}, {r.box, body}} {
				t.tries.Add(1)
				if _, err := k.OpenInto(room, box.box, box.slot); err == nil {
					opened = true
				}
			}
		}
		if r.blob != "" && t.Blobs != nil && t.stream(ctx, r.opening, r.row, body) {
			opened = true
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done.Records++
		if opened {
			t.done.Opened[r.patient]++
		}
		if t.Step != nil {
			t.Step(t.done.Records, total)
		}
	})
}

// stream tries the near keys and those that were won on the first chunk of a stream.
func (t *thief) stream(ctx context.Context, o opening, r row, slot seal.Slot) (opened bool) {
	slot.Kind = "file"
	keys := t.Near
	for _, k := range t.won[o] {
		keys = append(keys[:len(keys):len(keys)], k)
	}
	t.mu.Lock()
	t.done.Streams++
	t.mu.Unlock()
	for _, k := range keys {
		sealed, err := t.Blobs.Get(ctx, r.blob)
		if err != nil {
			return false // written or removed while the house was copied
		}
		t.tries.Add(1)
		n, _ := k.OpenStream(sealed, slot).Read(make([]byte, 1))
		sealed.Close()
		if n > 0 {
			return true
		}
	}
	return false
}

type scanner interface{ Scan(...any) error }

// pour reads rows in one goroutine and hands them to two, each with room of its own.
func pour[T any](ctx context.Context, db *store.DB, query string, read func(scanner) (T, error), each func(T, []byte)) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	lines := make(chan []T, 4)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			room := make([]byte, 0, inline+4096)
			for some := range lines {
				for _, r := range some {
					each(r, room)
				}
			}
		})
	}
	var some []T
	for err == nil && rows.Next() {
		var r T
		if r, err = read(rows); err == nil {
			some = append(some, r)
		}
		if len(some) == 64 {
			lines <- some
			some = nil
		}
	}
	lines <- some
	close(lines)
	wg.Wait()
	if err == nil {
		err = rows.Err()
	}
	return err
}
