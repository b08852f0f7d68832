package identity

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Attempt is what a thief does with the rows of a copied house and with keys
// found anywhere: each is tried as the secret of a code, as a passkey's PRF
// output, as a person's seed, as the recovery kit's part and as a pair's secret,
// on every door, team key and pin. It is for drills.
//
// To try a pair on a box is slow. So of Keys the public halves are made, in each
// of the forms and for each door, and compared with all that the roster names,
// to which the boxes were sealed; only one that is named is tried on the boxes.
// Those of Near are tried on every box, whatever the roster says.
type Attempt struct {
	DB       *store.DB
	Practice string
	Keys     []seal.Key
	Near     []seal.Key // some of Keys
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
	named, err := a.named(ctx)
	if err != nil {
		return Attempted{}, fmt.Errorf("try keys: %w", err)
	}
	done := Attempted{Boxes: len(boxes)}
	near := map[seal.Key]bool{}
	for _, k := range a.Near {
		near[k] = true
	}
	var mu sync.Mutex
	next := make(chan seal.Key)
	errs := make([]error, 2)
	opened := map[int]bool{}
	var wg sync.WaitGroup
	for half := range errs {
		wg.Go(func() {
			for k := range next {
				tries, won, err := a.tryKey(k, boxes, named, near[k])
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

// named are the public halves of all doors, people and the kit, as the roster
// of the copy names them.
func (a Attempt) named(ctx context.Context) (map[string]bool, error) {
	chain, err := readChain(ctx, a.DB, 0)
	if err != nil {
		return nil, err
	}
	roster, err := seal.ReadRoster(chain, nil) // a thief takes the list as it is
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		named[string(p.Keys.Pair)] = true
		for _, d := range p.Doors {
			named[string(d.Pair)] = true
		}
	}
	if kit, ok := roster.PublicKey(recoveryHolder); ok {
		named[string(kit)] = true
	}
	return named, nil
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
func (a Attempt) tryKey(k seal.Key, boxes []lockedBox, named map[string]bool, near bool) (tries int64, won map[int][]byte, err error) {
	won = map[int][]byte{}
	fits := func(p *seal.Pair) bool { return near || named[string(p.Public())] }
	pairs, err := a.forms(k, fits)
	if err != nil {
		return 0, nil, err
	}
	for at, b := range boxes {
		tries += 3
		switch {
		case b.pin:
			for _, pin := range []seal.Key{k, seal.Seed{Key: k}.Pin()} {
				if plain, err := pin.Open(b.box, b.slot); err == nil {
					won[at] = plain
				}
			}
			continue
		case b.door != "":
			doors, err := a.doors(k, b, fits)
			if err != nil {
				return tries, won, err
			}
			open(at, b, doors, won)
		}
		open(at, b, pairs, won)
	}
	return tries, won, nil
}

func open(at int, b lockedBox, pairs []*seal.Pair, won map[int][]byte) {
	for _, p := range pairs {
		if plain, err := p.Open(b.box, b.slot); err == nil {
			won[at] = plain
		}
	}
}

// forms are the pairs that a key could stand for and that fit: its own, a
// person's, the kit's.
func (a Attempt) forms(k seal.Key, fits func(*seal.Pair) bool) (pairs []*seal.Pair, err error) {
	own, err := seal.PairFrom(k)
	if err != nil {
		return nil, err
	}
	user, err := seal.Seed{Key: k}.User()
	if err != nil {
		return nil, err
	}
	kit, err := seal.RecoveryFromCode(k, a.Practice)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc([]*seal.Pair{own, user.Pair, kit}, func(p *seal.Pair) bool { return !fits(p) }), nil
}

// doors are the pairs of one door that a key could stand for and that fit.
func (a Attempt) doors(k seal.Key, b lockedBox, fits func(*seal.Pair) bool) ([]*seal.Pair, error) {
	code, err := seal.DoorFromCode(k, a.Practice, string(b.of), b.door)
	if err != nil {
		return nil, err
	}
	passkey, err := seal.DoorFromPRF(k[:], a.Practice, string(b.of), b.door)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc([]*seal.Pair{code, passkey}, func(p *seal.Pair) bool { return !fits(p) }), nil
}

// fixed is the anchor of a house that is only looked at.
type fixed string

func (f fixed) Practice() string     { return string(f) }
func (f fixed) Root() []byte         { return nil }
func (f fixed) SetRoot([]byte) error { return nil }
