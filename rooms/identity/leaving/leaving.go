// Package leaving closes every door to somebody who leaves, in one act, and
// proves it. It protects against former colleagues, and whoever has got their
// passkeys, codes, sessions and old copies: what they could read they have read,
// and nothing that is written later opens with what they hold.
//
// A leaving is a line on the signed list, new keys for the person's teams, and
// the end of everything by which the person came in: one transaction over all
// rooms. It needs an owner's tap; for an hour at which nobody may be signed in
// the owner signs it beforehand, as a plan (see seal.Plan). Then the house asks
// every door at its verifier, and a made-up person leaves a trial house in the
// same way, with somebody behind who holds all secrets and tries them.
package leaving

import (
	"context"
	"embed"
	"iter"
	"log/slog"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Records are the patients whom somebody cared for. vault implements it.
type Records interface {
	// Caring counts the patients of each team whose charts it holds. It needs no keys.
	Caring(ctx context.Context) (map[id.Team]int, error)
	// HandOver gives at most so many patients of one care team, in order of id
	// after one, to another team instead. closed counts those whom the acting
	// person's keys do not reach: they stay as they are. next is the last one that
	// was looked at, and empty when there are no more.
	HandOver(ctx context.Context, from, to id.Team, after id.Patient, most int) (moved, closed int, next id.Patient, err error)
	// WrittenSince counts the newest records that were written since a moment, and
	// how many of them lie under a key that a team key of such a number, or an older
	// one, opens. It needs no keys.
	WrittenSince(ctx context.Context, since time.Time, held map[id.Team]uint64) (written, reached int, err error)
}

// Config is what the room needs from the house.
type Config struct {
	DB       *store.DB
	Identity *identity.Identity
	Ledger   *ledger.Ledger
	Records  Records
	// Offboard closes the doors of all rooms, in one transaction. Knock asks them.
	// Both are made when all rooms exist, see layer.Layer.
	Offboard func(context.Context, *store.Tx, layer.Leaving) error
	Knock    layer.Knock
	// Walk has a made-up person leave a trial house, with somebody who holds all
	// of that person's secrets and tries every door before and after. nil in a
	// trial house.
	Walk func(context.Context) (layer.Report, error)
	Log  *slog.Logger
	Now  func() time.Time
}

// Leaving is the room. See New.
type Leaving struct {
	Config
	pages *web.Pages
	due   chan struct{} // an hour has come
	walks chan struct{} // somebody left
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Leaving {
	l := &Leaving{Config: c, pages: web.MustPages(pages), due: make(chan struct{}, 1), walks: make(chan struct{}, 1)}
	l.pages.Now = c.Now
	return l
}

// Layer describes the room to the house. The doors that it closes and asks are
// identity's, of which it is a part.
func (l *Leaving) Layer() layer.Layer {
	return layer.Layer{
		Name:     "leaving",
		Schema:   schema,
		Mount:    l.mount,
		Evidence: l.evidence,
		Offboard: l.Identity.Offboard,
		Knock:    l.Identity.Knock,
		Jobs: []layer.Job{
			{Name: "close doors at their hour", Every: dueEvery, Wake: l.due, Run: l.carryOutDue},
			{Name: "try the doors of who left", Every: time.Hour, Run: l.tryAgain},
			{Name: "have a made-up person leave", Every: time.Hour, Wake: l.walks, Run: l.walkMadeUp},
		},
	}
}

// dueEvery is how often plans are looked at whose hour may have come. For an hour
// that comes before the next look the job is woken.
const dueEvery = 20 * time.Second

// wake wakes a job, unless it is about to run anyway.
func wake(job chan struct{}) {
	select {
	case job <- struct{}{}:
	default:
	}
}

// knocks asks all doors to a person, and how long each took to answer.
func (l *Leaving) knocks(ctx context.Context, p id.Person, known []layer.Door) (answers []answer, err error) {
	at := time.Now()
	for d, err := range l.Knock(ctx, p, known) {
		if err != nil {
			return nil, err
		}
		now := time.Now()
		answers = append(answers, answer{d, now.Sub(at)})
		at = now
	}
	return answers, nil
}

// answer is what one door's verifier said.
type answer struct {
	layer.Door
	took time.Duration
}

// All makes one Offboard and one Knock of those of all rooms, for Config.
func All(layers func() []layer.Layer) (offboard func(context.Context, *store.Tx, layer.Leaving) error, knock layer.Knock) {
	offboard = func(ctx context.Context, tx *store.Tx, who layer.Leaving) error {
		for _, l := range layers() {
			if l.Offboard == nil {
				continue
			}
			if err := l.Offboard(ctx, tx, who); err != nil {
				return err
			}
		}
		return nil
	}
	knock = func(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
		return func(yield func(layer.Door, error) bool) {
			for _, l := range layers() {
				if l.Knock == nil {
					continue
				}
				for d, err := range l.Knock(ctx, p, known) {
					if !yield(d, err) {
						return
					}
				}
			}
		}
	}
	return offboard, knock
}
