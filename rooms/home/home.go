// Package home is the first page: what every room can prove, as sentences, the
// worst of them first.
//
// It checks nothing while somebody waits. A job asks the rooms once a minute
// and keeps what they say; the page reads what was kept, with its age. What was
// seen too long ago, or never, reads as Not known and is never counted as safe,
// so a job that stopped, or a room that broke, turns the page honest by itself.
package home

import (
	"context"
	"embed"
	"iter"
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

// Config is what home needs from the house.
type Config struct {
	DB  *store.DB
	Now func() time.Time
	// Evidence is what all rooms say, one after another. An error comes with the
	// claim that could not be looked at, or with none when a whole room broke.
	Evidence func(context.Context) iter.Seq2[layer.Evidence, error]
	// Patients counts the patients that are sealed here.
	Patients func(context.Context) (int, error)
	// Drills are the attacks that this house can try. One that was never tried
	// reads as Not known.
	Drills func() []layer.Drill
	// Owner tells whether the person of the context can mend what is asked for.
	// Others read the same sentences without the buttons.
	Owner func(context.Context) bool
	// Verbs are the acts that are always here. Only those whose page exists.
	Verbs []Verb
	// Elsewhere is where else patients' information is, by somebody's word; "" if
	// nobody said. May be nil.
	Elsewhere func(context.Context) (places string, said time.Time, err error)
	// Week is what comes in the next days; may be nil.
	Week func(context.Context) ([]Day, error)
	// Head is the newest head of the ledger, for the weekly letter; nil: no letters.
	Head      func(context.Context) (ledger.Checkpoint, error)
	Installed time.Time
	Owners    func(context.Context) ([]id.Person, error)
	Notify    func(context.Context, *store.Tx, layer.Notice) error // may be nil
}

// Day is something that comes on a day.
type Day struct {
	At   time.Time
	Text string
	Page string
}

// Verb is an act that is offered on every home page.
type Verb struct {
	Text  string // "Someone is leaving"
	About string // "Close every door to one person, and prove it. 1 minute."
	Icon  string // a symbol of icons.svg
	Path  string
}

// Home is the room. See New.
type Home struct {
	Config
	pages *web.Pages
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Home {
	h := &Home{Config: c, pages: web.MustPages(pages)}
	h.pages.Now = c.Now
	return h
}

// Layer describes the room to the house.
func (h *Home) Layer() layer.Layer {
	return layer.Layer{
		Name:   "home",
		Schema: schema,
		Mount:  h.mount,
		Jobs:   []layer.Job{{Name: "ask the rooms", Every: time.Minute, Run: h.look}, {Name: "write the weekly letter", Every: time.Hour, Run: h.write}},
	}
}
