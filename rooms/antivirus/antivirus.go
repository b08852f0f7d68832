// Package antivirus looks through what comes into the house before it is sealed:
// uploads, imports, attachments. It protects people who open a file later, and
// the computers that they open it on.
//
// Only what an engine with fresh signatures looked through to its end is clean.
// What is harmful is kept sealed and isolated, where it came, under the patient's
// own key; two people let it out, never one. What could not be looked through
// (too large, locked, too deep, no scanner) is not clean either: it says why, and
// a person decides. Both are facts.
package antivirus

import (
	"context"
	"embed"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/antivirus/clamav"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Engine looks through bytes. clamav.Engine is one.
type Engine interface {
	// Scan reads r to its end whatever happens; the error is r's own.
	Scan(ctx context.Context, r io.Reader) (clamav.Answer, error)
	// Check has the engine find the standard test file, and says how old its signatures are.
	Check(ctx context.Context) clamav.State
	// Update fetches signatures.
	Update(ctx context.Context) (clamav.Outcome, error)
}

// People knows who works in the practice.
type People interface {
	Name(ctx context.Context, p id.Person) string // as colleagues say it; empty if unknown
	// Working is how many people have doors here, and whether somebody is an owner.
	Working(ctx context.Context) (n int, err error)
	Owner(ctx context.Context, p id.Person) (bool, error)
}

// Device is a computer of the practice, as the room that watches it says it.
type Device struct {
	Name  string // "Dana’s Mac"
	State layer.State
	Text  string // one sentence on its own antivirus, with an age
}

// Config is what the room needs from the house.
type Config struct {
	DB       *store.DB
	Now      func() time.Time
	Practice string   // its id, to which boxes are bound
	Key      seal.Key // seals findings and names contents; lies outside of the database
	Engine   Engine
	People   People
	// Tap is a fresh tap of the acting person for one act.
	Tap     func(r *http.Request, act, object string) (ctx context.Context, done func(), err error)
	Devices func(context.Context) ([]Device, error) // optional
	Served  func() bool                             // people come in: the engine is kept running
	MadeUp  bool                                    // a made-up house: it fetches nothing from outside
	Log     *slog.Logger
}

// Antivirus is the room. See New.
type Antivirus struct {
	Config
	pages  *web.Pages
	server string      // this server's own name in the table
	weak   atomic.Bool // a drill’s sabotage: what is found is called clean
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Antivirus {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Served == nil {
		c.Served = func() bool { return false }
	}
	a := &Antivirus{Config: c, pages: web.MustPages(pages)}
	a.pages.Now = c.Now
	host, _ := os.Hostname()
	k := c.Key.Derive("antivirus server v1", host)
	a.server = hex.EncodeToString(k[:5])
	return a
}

// How often the engine is looked at, and signatures are fetched.
const (
	checkEvery = 5 * time.Minute
	fetchEvery = 2 * time.Hour
)

// Layer describes the room to the house. The jobs belong to each server, as its
// engine does.
func (a *Antivirus) Layer() layer.Layer {
	return layer.Layer{
		Name:     "antivirus",
		Schema:   schema,
		Mount:    a.mount,
		Evidence: a.evidence,

		Jobs: []layer.Job{
			{Name: "look at the scanner of " + a.server, Every: checkEvery, Run: a.check},
			{Name: "fetch signatures for " + a.server, Every: fetchEvery, Run: a.fetch},
		},
		Erase: a.erase,
	}
}

// Blind makes the scanner call everything clean: a drill's sabotage in its trial house.
func (a *Antivirus) Blind(yes bool) { a.weak.Store(yes) }

// Words say why something could not be looked through, as the end of a sentence
// that begins with "This file".
var Words = map[string]string{
	clamav.TooLarge:    "is larger than 100 MB, or unpacks to more than 200 MB",
	clamav.TooDeep:     "holds archives in archives, or more files than are unpacked",
	clamav.Encrypted:   "is locked with a password",
	clamav.Macros:      "is a document with a program in it (a macro)",
	clamav.TooLong:     "took too long to look through",
	clamav.Broken:      "could not be read by the scanner",
	clamav.NoMemory:    "came when the scanner had no memory left",
	clamav.Down:        "came when the scanner did not answer",
	clamav.Missing:     "came to a server without a virus scanner",
	clamav.NoRules:     "came when the scanner had no signatures yet",
	clamav.OldRules:    "came when the scanner’s signatures were older than 7 days",
	clamav.PartOf:      "is one part of an archive that was cut in pieces",
	clamav.Interrupted: "did not come whole",
}

// tag is a keyed hash of a content: the same each time, and of no use without the key.
func (a *Antivirus) tag(sum []byte) string {
	k := a.Key.Derive("antivirus content v1", hex.EncodeToString(sum))
	return hex.EncodeToString(k[:16])
}

func (a *Antivirus) slot(f id.Record) seal.Slot {
	return seal.Slot{Kind: "scan-finding", Practice: a.Practice, Record: string(f)}
}
