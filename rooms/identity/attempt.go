package identity

import (
	"context"
	"fmt"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Attempt is what a thief does with the rows of a copied house and with keys
// found anywhere: each is tried as the secret of a code, as a passkey's PRF
// output, as a person's seed, as the recovery kit's part and as a pair's secret,
// on every door, team key and pin. It is for drills.
type Attempt struct {
	DB       *store.DB
	Practice string
	Keys     []seal.Key
}

// Attempted is what came of it.
type Attempted struct {
	Boxes  int        // seeds, team keys, pins
	Tries  int64      // of one key on one box
	Opened int        // boxes
	Keys   []seal.Key // what lay in them: seeds and team keys
}

// Run tries everything.
func (a Attempt) Run(ctx context.Context) (Attempted, error) {
	boxes, err := a.boxes(ctx)
	if err != nil {
		return Attempted{}, fmt.Errorf("try keys: %w", err)
	}
	done := Attempted{Boxes: len(boxes)}
	var mu sync.Mutex
	next := make(chan seal.Key)
	errs := make([]error, 2)
	opened := map[int]bool{}
	var wg sync.WaitGroup
	for half := range errs {
		wg.Go(func() {
			for k := range next {
				tries, won, err := a.tryKey(k, boxes)
				mu.Lock()
				done.Tries += tries
				for at, plain := range won {
					opened[at] = true
					if key, err := seal.KeyFrom(plain); err == nil {
						done.Keys = append(done.Keys, key)
					}
				}
				if err != nil {
					errs[half] = err
				}
				mu.Unlock()
			}
		})
	}
	for _, k := range a.Keys {
		next <- k
	}
	close(next)
	wg.Wait()
	done.Opened = len(opened)
	for _, err := range errs {
		if err != nil {
			return done, fmt.Errorf("try keys: %w", err)
		}
	}
	return done, nil
}

// lockedBox is one sealed box, and which of a key's forms could open it.
type lockedBox struct {
	box  []byte
	slot seal.Slot
	door string    // of a seed
	of   id.Person // whose
	pin  bool
}

func (a Attempt) boxes(ctx context.Context) (boxes []lockedBox, err error) {
	i := &Identity{Config: Config{DB: a.DB, Anchor: fixed(a.Practice)}}
	read := func(query string, one func(scan func(...any) error) (lockedBox, error)) error {
		rows, err := a.DB.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			b, err := one(rows.Scan)
			if err != nil {
				return err
			}
			boxes = append(boxes, b)
		}
		return rows.Err()
	}
	err = read(`SELECT door, person, seed FROM identity_doors`, func(scan func(...any) error) (b lockedBox, err error) {
		err = scan(&b.door, &b.of, &b.box)
		b.slot = i.seedSlot(b.of, b.door)
		return b, err
	})
	if err != nil {
		return nil, err
	}
	err = read(`SELECT team, epoch, holder, box FROM identity_team_keys`, func(scan func(...any) error) (b lockedBox, err error) {
		var t teamBox
		err = scan(&t.team, &t.epoch, &b.of, &b.box)
		b.slot = i.teamSlot(string(b.of), t.team, t.epoch)
		return b, err
	})
	if err != nil {
		return nil, err
	}
	err = read(`SELECT person, box FROM identity_pins`, func(scan func(...any) error) (b lockedBox, err error) {
		err = scan(&b.of, &b.box)
		b.slot, b.pin = i.pinSlot(b.of), true
		return b, err
	})
	return boxes, err
}

// tryKey tries one key on every box, in all forms, and returns what opened, by box.
func (a Attempt) tryKey(k seal.Key, boxes []lockedBox) (tries int64, won map[int][]byte, err error) {
	won = map[int][]byte{}
	pairs, err := a.forms(k)
	if err != nil {
		return 0, nil, err
	}
	for at, b := range boxes {
		if b.pin {
			tries += 2
			for _, pin := range []seal.Key{k, seal.Seed{Key: k}.Pin()} {
				if plain, err := pin.Open(b.box, b.slot); err == nil {
					won[at] = plain
				}
			}
			continue
		}
		fit := pairs
		if b.door != "" {
			if fit, err = a.doors(k, b); err != nil {
				return tries, won, err
			}
			fit = append(fit, pairs[0])
		}
		for _, p := range fit {
			tries++
			if plain, err := p.Open(b.box, b.slot); err == nil {
				won[at] = plain
			}
		}
	}
	return tries, won, nil
}

// forms are the pairs that a key could stand for: its own, a person's, the kit's.
func (a Attempt) forms(k seal.Key) ([]*seal.Pair, error) {
	own, err := seal.PairFrom(k)
	if err != nil {
		return nil, err
	}
	user, err := seal.Seed{Key: k}.User()
	if err != nil {
		return nil, err
	}
	kit, err := seal.RecoveryFromCode(k, a.Practice)
	return []*seal.Pair{own, user.Pair, kit}, err
}

func (a Attempt) doors(k seal.Key, b lockedBox) ([]*seal.Pair, error) {
	code, err := seal.DoorFromCode(k, a.Practice, string(b.of), b.door)
	if err != nil {
		return nil, err
	}
	passkey, err := seal.DoorFromPRF(k[:], a.Practice, string(b.of), b.door)
	return []*seal.Pair{code, passkey}, err
}

// fixed is the anchor of a house that is only looked at.
type fixed string

func (f fixed) Practice() string     { return string(f) }
func (f fixed) Root() []byte         { return nil }
func (f fixed) SetRoot([]byte) error { return nil }
