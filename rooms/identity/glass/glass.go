// Package glass lets somebody open, in an emergency, one chart that is not
// theirs: with a reason, a fresh tap, for one patient, for 60 minutes, to read
// and not to write; and sees to it that the owner and the patient's clinicians
// are told at once and somebody reviews it within 72 hours.
//
// It protects against two mistakes: that care waits for a key, and that a key
// for emergencies is a key for everything. The team keys are sealed to a pair
// whose private half lies nowhere (see seal.GlassPair): half A is sealed to each
// person who may break the glass and opens with that person's tap, half B lies
// with the house, outside of the database. The pair exists within one request,
// opens the keys of the teams that care for the one patient, and is forgotten;
// what the session keeps for 60 minutes, sealed under its cookie, are that one
// patient's keys. Psychotherapy notes have keys of their own, which no team
// holds: they stay closed.
package glass

import (
	"context"
	"embed"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

//go:embed schema
var schema embed.FS

//go:embed pages/*.html
var pages embed.FS

// How long a broken glass stays open, and by when somebody has to have looked at it.
const (
	openFor   = 60 * time.Minute
	reviewFor = 72 * time.Hour
)

// What one taps for. The object of breaking is the patient, that of the others
// is oneself.
const (
	ActBreak = "break-glass"
	ActMake  = "make-glass"
	ActOff   = "glass-off"
)

// Vault opens what a broken glass reaches. It is the only room that does.
type Vault interface {
	Open(ctx context.Context, p id.Patient, part string) (layer.Compartment, error)
	// PatientKeys opens the keys of one compartment of one patient with team keys
	// that are lent for this one act, and tells which teams share it.
	PatientKeys(ctx context.Context, p id.Patient, part string, lend func(id.Team, uint64) (seal.Key, error)) (keys map[uint64]seal.Key, care []id.Team, err error)
	// SealWords seals what somebody typed about a patient under that patient's own
	// key; name tells one text from another. OpenWords opens it again.
	SealWords(ctx context.Context, p id.Patient, name, words string) ([]byte, error)
	OpenWords(ctx context.Context, p id.Patient, name string, box []byte) (string, error)
}

// Ledger tells what was opened.
type Ledger interface {
	Facts(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Entry, error]
}

// House keeps the house's half, outside of the database.
type House interface {
	// GlassHalf returns the secret of which half B is made. ErrNoHalf if it is not there.
	GlassHalf() (seal.Key, error)
	// MakeGlassHalf returns it too, and makes it where there is none.
	MakeGlassHalf() (seal.Key, error)
	// DropGlassHalf removes it.
	DropGlassHalf() error
}

// Notify tells people, in the transaction of the act.
type Notify interface {
	Notify(ctx context.Context, tx *store.Tx, n layer.Notice) error
}

// Errors that callers act upon.
var (
	// ErrNoHalf means that the house's half is not on this server.
	ErrNoHalf = errors.New("glass: the house's half is missing")
	// ErrOff means that the practice has no such pair.
	ErrOff = errors.New("glass: nobody may break it here")
	// ErrNotYou means that this person may not.
	ErrNotYou = errors.New("glass: this person may not break it")
	// ErrUnfit means that halves, pair and signed list do not belong together.
	ErrUnfit = errors.New("glass: the pair is not the one that the practice signed")
	// ErrNotReached means that no key of a team that cares for the patient is sealed to the pair.
	ErrNotReached = errors.New("glass: the keys of the caring teams are not sealed for it")
)

// Config is what the room needs from the house.
type Config struct {
	DB       *store.DB
	Identity *identity.Identity
	Vault    Vault
	Ledger   Ledger
	House    House
	Notify   Notify // optional: without one, people are told on their home page only
	Now      func() time.Time
}

// Glass is the room. See New.
type Glass struct {
	Config
	pages *web.Pages
	weak  atomic.Bool // a drill’s sabotage: the 60 minutes are not looked at

	mu     sync.Mutex
	filled map[id.Session]mark
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Glass {
	g := &Glass{Config: c, pages: web.MustPages(pages), filled: map[id.Session]mark{}}
	g.pages.Now = c.Now
	return g
}

// Layer describes the room to the house.
func (g *Glass) Layer() layer.Layer {
	return layer.Layer{
		Name:     "glass",
		Schema:   schema,
		Mount:    g.mount,
		Evidence: g.evidence,
		Drills:   []layer.Drill{g.drill()},
		Contain:  g.contain,
		Offboard: g.offboard,
		Knock:    g.knock,
		Erase:    g.erase,
	}
}

// contain ends what is open.
func (g *Glass) contain(ctx context.Context, tx *store.Tx, s layer.Scope) error {
	if s.All {
		return g.endAll(ctx, tx, "")
	}
	if s.Person == "" {
		return nil
	}
	return g.endAll(ctx, tx, s.Person)
}

// offboard takes a leaver's half away and ends what is open. The leaver may
// remember half A: nothing more is sealed to the pair until an owner makes it
// anew, see Make.
func (g *Glass) offboard(ctx context.Context, tx *store.Tx, l layer.Leaving) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM glass_halves WHERE person = $1`, l.Person); err != nil {
		return err
	}
	return g.endAll(ctx, tx, l.Person)
}

// erase forgets what was typed about a patient. That the glass was broken stays
// in the ledger.
func (g *Glass) erase(ctx context.Context, tx *store.Tx, p id.Patient) error {
	_, err := tx.ExecContext(ctx, `UPDATE glass_breaks SET words = NULL, verdict = NULL WHERE patient = $1`, p)
	return err
}

// mayBreak tells whether a role counts: those who treat.
func mayBreak(who seal.RosterPerson) bool {
	return !who.Gone && (slices.Contains(who.Roles, identity.Clinician) || slices.Contains(who.Roles, identity.Supervisor))
}
