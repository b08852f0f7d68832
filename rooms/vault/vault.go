// Package vault keeps patients' records sealed. A record is sealed under the
// key of one compartment of one patient, that key under the keys of the teams
// who care for the patient, and those only to the people in them. The server
// holds no key that opens a record: a stolen disk, database or backup shows
// sizes and times, and not one name.
//
// Open is the one place where a record becomes readable: keys, then the gate,
// then the fact, then plaintext. Whoever can write the database can delete or
// put back rows, and is noticed: each write's fact carries record, version and
// hash, and every opening compares.
package vault

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs"
	"quietroom/layer"
)

//go:embed schema
var schema embed.FS

// The compartments of a patient.
const (
	Identity = layer.PartIdentity
	Chart    = layer.PartChart
	Billing  = layer.PartBilling
	Shared   = layer.PartShared // see House
)

// Errors that callers act upon; see package layer.
var (
	ErrNotYours = layer.ErrNotYours
	ErrUnknown  = layer.ErrUnknown
	ErrChanged  = layer.ErrChanged
	ErrConflict = layer.ErrConflict
	ErrLocked   = layer.ErrLocked
)

// Keys hands out team keys of the acting person. identity implements it, for
// the vault alone.
type Keys interface {
	TeamKey(ctx context.Context, team id.Team, epoch uint64) (seal.Key, error)
	Teams(ctx context.Context) ([]layer.Team, error)
}

// Gate says whether the acting person's device may open a compartment now; a
// *layer.Refusal says why not. Without a gate every device may.
type Gate interface {
	MayOpen(ctx context.Context, a id.Actor, part string) error
}

// Recovery tells how many ways in the owner has, and whether the kit was
// checked: before that no more than three real patients are admitted.
type Recovery interface {
	Ready(ctx context.Context) (doors int, kit bool, err error)
}

// Config is what the vault needs from the house.
type Config struct {
	DB       *store.DB
	Blobs    blobs.Store
	Ledger   *ledger.Ledger
	Keys     Keys
	Gate     Gate     // optional
	Glass    Glass    // optional
	Recovery Recovery // optional: nil in a made-up house
	Practice string
	Now      func() time.Time
}

// Vault is the room. See New.
type Vault struct {
	Config
	dir  directory
	rows rowMemory
	weak bool // see Weaken

	mu     sync.Mutex
	opened map[opening]time.Time
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Vault {
	return &Vault{Config: c, opened: map[opening]time.Time{}}
}

func (v *Vault) slot(kind string, holder string, p id.Patient, part string) seal.Slot {
	return seal.Slot{Kind: kind, Practice: v.Practice, Holder: holder, Subject: string(p), Part: part}
}

// teams are the teams as one act sees them.
type teams struct {
	all []layer.Team
}

func (v *Vault) teams(ctx context.Context) (teams, error) {
	if id.From(ctx).Person == "" {
		return teams{}, ErrLocked
	}
	all, err := v.Keys.Teams(ctx)
	return teams{all}, err
}

func (t teams) by(team id.Team) (layer.Team, bool) {
	for _, x := range t.all {
		if x.ID == team {
			return x, true
		}
	}
	return layer.Team{}, false
}

func (t teams) kind(kind string) (layer.Team, error) {
	for _, x := range t.all {
		if x.Kind == kind {
			return x, nil
		}
	}
	return layer.Team{}, fmt.Errorf("vault: the practice has no %s team", kind)
}

// caring returns the teams that a compartment's key is wrapped for.
func (t teams) caring(part string, care []id.Team) (list []layer.Team, err error) {
	if part == Identity || part == Shared {
		dir, err := t.kind("directory")
		return []layer.Team{dir}, err
	}
	for _, c := range care {
		team, ok := t.by(c)
		if !ok || team.Kind != "care" {
			return nil, fmt.Errorf("vault: team %s is no care team of the practice", c)
		}
		list = append(list, team)
	}
	if part == Billing {
		billing, err := t.kind("billing")
		if err != nil {
			return nil, err
		}
		list = append(list, billing)
	}
	if len(list) == 0 {
		return nil, errors.New("vault: a patient needs a care team")
	}
	return list, nil
}
