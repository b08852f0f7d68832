// Package compliance shows what the practice can prove, against the rules that it
// is asked about. The state of a control follows from what the rooms observed,
// with who observed it, when, and until when it counts; nobody can tick it. What
// only a person can say is that person's word, with name and date, and never
// looks like a measurement. What nobody observed or said is not known.
//
// It says nothing of whether a practice complies: findings are facts, conclusions
// are people's. The same pages leave as a bundle that a stranger can check on
// another machine: see binder.
package compliance

import (
	"context"
	"embed"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Config is what the room needs from the house.
type Config struct {
	DB     *store.DB
	Now    func() time.Time
	Ledger *ledger.Ledger
	Key    string // the public half of the ledger's key, for bundles
	// Evidence is what all rooms said at the last look, and what came of drills.
	Evidence func(context.Context) ([]layer.Evidence, error)
	Name     func(context.Context, id.Person) string // as colleagues call them; "" if unknown
	Works    func(context.Context, id.Person) bool   // is still here
	Practice func() string
	Version  string
	// Papers are the practice's documents in a period, for the bundle; may be nil.
	Papers func(ctx context.Context, from, to time.Time) ([]Paper, error)
	// Letters are the heads that were printed in the owner's letters; may be nil.
	Letters func(context.Context) ([]Letter, error)
	// Print makes a PDF of a page that stands alone; nil, or an error, where no
	// browser is there.
	Print func(ctx context.Context, html []byte) ([]byte, error)
}

// Paper is one document of the practice, as it goes into a bundle.
type Paper struct {
	Name   string // the entry: "risk-analysis"
	Title  string
	Status string // "Draft", "Signed by Maya Lindqvist on March 3, 2026"
	At     time.Time
	HTML   []byte // a page that stands alone
	State  layer.State
}

// Letter is the head that a weekly letter carried.
type Letter struct {
	At   time.Time
	Note string
}

// Compliance is the room. See New.
type Compliance struct {
	Config
	pages *web.Pages
	mu    sync.Mutex
	made  []*Made // binders that wait to be read
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Compliance {
	k := &Compliance{Config: c, pages: web.MustPages(pages)}
	k.pages.Now = c.Now
	return k
}

// Layer describes the room to the house.
func (c *Compliance) Layer() layer.Layer {
	return layer.Layer{
		Name:     "compliance",
		Schema:   schema,
		Mount:    c.mount,
		Evidence: c.evidence,
		Jobs: []layer.Job{
			{Name: "keep what was seen", Every: 5 * time.Minute, Run: c.Keep},
			{Name: "read the ledger again", Every: 12 * time.Hour, Run: c.ReadLedger},
			{Name: "forget ended links", Every: time.Hour, Run: c.forgetLinks},
		},
	}
}
