// Package trackers looks at the practice's own web site with a real browser, as a
// patient would, and says what the site tells others about the people who visit
// it. It protects against pixels, recorders and scripts that somebody once added
// and that nobody sees by looking at a page.
//
// It fills forms with made-up values, leaves without sending, and looks for these
// values in all that left the browser. What a browser cannot see it does not
// know: what the practice's own server passes on, and lists that somebody uploads.
// Findings are facts; what they mean a person decides.
package trackers

import (
	"context"
	"embed"
	"log/slog"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/trackers/chrome"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Config is what the room needs from the house.
type Config struct {
	DB      *store.DB
	Now     func() time.Time
	Scratch Scratch                                         // a folder for the browser's profile
	Net     chrome.Network                                  // the Internet if zero
	Mail    MailRecords                                     // the system's resolver; nil: mail records are not looked at
	Local   bool                                            // sites on this machine may be scanned: for made-up houses
	Name    func(ctx context.Context, p id.Person) string   // as colleagues call them; "" if gone
	Scan    func(context.Context, Options) (*Result, error) // Scan if nil
	Log     *slog.Logger
}

// Trackers is the room. See New.
type Trackers struct {
	Config
	pages *web.Pages
	run   running
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Trackers {
	if c.Scan == nil {
		c.Scan = Scan
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Trackers{Config: c, pages: web.MustPages(pages)}
	t.pages.Now = c.Now
	return t
}

// Layer describes the room to the house.
func (t *Trackers) Layer() layer.Layer {
	return layer.Layer{
		Name:     "trackers",
		Schema:   schema,
		Mount:    t.mount,
		Evidence: t.evidence,
		Jobs:     []layer.Job{{Name: "look at the web site", Every: time.Hour, Run: t.lookWhenDue}},
	}
}
