// Package reviews keeps what a practice decides and writes down: the risk
// analysis, its policies, its vendors, and the days on which each is looked at
// again. It protects against the finding that regulators make most often, that
// nobody ever looked: see law, 45 CFR 164.308(a)(1)(ii)(A).
//
// It prepares; the owner decides and signs with a passkey. Nothing is answered
// beforehand, what is not answered is not known, and a risk analysis is a draft
// until it is signed. What changes afterwards reopens the paragraph that it
// touches, and no other.
package reviews

import (
	"context"
	"embed"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

//go:embed data print
var data embed.FS

// Config is what the room needs from the house.
type Config struct {
	DB        *store.DB
	Now       func() time.Time
	Installed time.Time // from when on reviews are counted
	Practice  func() string
	Evidence  func(context.Context) ([]layer.Evidence, error) // as at the last look
	Name      func(context.Context, id.Person) string
	People    func(context.Context) ([]id.Person, error) // who works here
	// Tap checks that the person tapped a passkey for this act on this object.
	Tap func(r *http.Request, act, object string) (ctx context.Context, done func(), err error)
}

// Reviews is the room. See New.
type Reviews struct {
	Config
	pages   *web.Pages
	forgets bool // the drill of the year takes a protection away: one review never comes due
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Reviews {
	r := &Reviews{Config: c, pages: web.MustPages(pages)}
	r.pages.Now = c.Now
	return r
}

// Layer describes the room to the house.
func (r *Reviews) Layer() layer.Layer {
	return layer.Layer{Name: "reviews", Schema: schema, Mount: r.mount, Evidence: r.evidence, Drills: []layer.Drill{r.yearDrill()}}
}
