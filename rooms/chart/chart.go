// Package chart is the folder on the desk: patients, notes and files as people
// see them, and who looked at them when.
//
// It keeps nothing itself. What it shows was opened by the vault, which asks for
// the keys, the gate and the fact first; what it writes is sealed there. It adds
// the rules of paper: a signed note never changes, two people who write one
// draft both keep their words, and a name that somebody looks for never stands
// in an address.
package chart

import (
	"context"
	"embed"
	"io"
	"iter"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed all:pages
var pagesFS embed.FS

//go:embed static/note.js
var noteScript []byte

// Vault keeps what a chart holds.
type Vault interface {
	// Search looks for patients by any part of name, birth date or phone number.
	Search(ctx context.Context, text string, limit int) (layer.Found, error)
	Open(ctx context.Context, p id.Patient, part string) (layer.Compartment, error)
	Begin(ctx context.Context) (layer.Batch, error)
	// Caseload lists the acting person's own patients that fit; gate is what the
	// vault's gate is asked for.
	Caseload(ctx context.Context, gate string, fits func(layer.Line) bool, limit int) (layer.Found, error)
	// OpenEmergency is Open for a patient in one's own care, whatever the device's health.
	OpenEmergency(ctx context.Context, p id.Patient, part string) (layer.Compartment, error)
}

// People knows who works in the practice.
type People interface {
	Teams(ctx context.Context) ([]layer.Team, error)
	Name(ctx context.Context, p id.Person) string // as colleagues say it; empty if unknown
}

// Ledger tells who looked.
type Ledger interface {
	Facts(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Entry, error]
}

// Imported knows the records of a chart that came from another system.
type Imported interface {
	// Items returns what a chart lists of those among the entries that it
	// wrote, in the order of the entries.
	Items(ctx context.Context, p id.Patient, entries []layer.Entry) ([]layer.Item, error)
}

// Scanner looks through files for malware before they are sealed.
type Scanner interface {
	// Scan reads body to its end and says what it is. An error means that nothing
	// of it may be kept.
	Scan(ctx context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error)
	// Free tells which findings people have let out.
	Free(ctx context.Context, findings []id.Record) (map[id.Record]bool, error)
	// Ready tells why files are not looked through now; empty where they are.
	Ready(ctx context.Context) (why string)
}

// Glass knows whose charts somebody opened in an emergency.
type Glass interface {
	// Broken tells until when the acting session may read this patient's chart
	// although it is not the person's, and where one ends that early; zero if not.
	Broken(ctx context.Context, p id.Patient) (until time.Time, end string)
	// Offer is where the acting person may break the glass; empty if nowhere.
	Offer(ctx context.Context, p id.Patient) string
}

// Config is what the chart needs from the house.
type Config struct {
	Vault    Vault
	People   People
	Ledger   Ledger
	Imported Imported // optional
	Scanner  Scanner  // optional: without one every file is "Not looked through"
	Glass    Glass    // optional
	Now      func() time.Time
}

// Chart is the room. See New.
type Chart struct {
	Config
	pages *web.Pages
	teams teamNames
}

// New makes the room.
func New(c Config) *Chart {
	pages := web.MustPages(pagesFS)
	pages.Now = c.Now
	return &Chart{Config: c, pages: pages}
}

// Layer describes the room to the house.
func (c *Chart) Layer() layer.Layer {
	return layer.Layer{Name: "chart", Mount: c.mount, Export: c.export}
}
