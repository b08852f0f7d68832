// Package signins watches the door of the practice's mailboxes from outside: it
// reads the sign-in logs of Microsoft Entra and Google Workspace that an owner
// downloads there, and tells what in them is worth a question. It protects
// against a mailbox that was taken by wearing its person down with prompts, or
// through an old protocol, and that nobody noticed.
//
// Findings are facts: they say what the log says. What they mean a person
// decides. No log is kept: only what the rules need, under keyed hashes and in
// boxes, and no content of any message is in such a log.
package signins

import (
	"context"
	"embed"
	"encoding/hex"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Mailboxes knows whose mailbox an address is; "" if nobody's.
type Mailboxes interface {
	Mailbox(ctx context.Context, address string) (id.Person, error)
}

// Config is what the room needs from the house.
type Config struct {
	DB        *store.DB
	Now       func() time.Time
	Practice  string   // its id, to which boxes are bound
	Key       seal.Key // names mailboxes and seals addresses; lies outside of the database
	Mailboxes Mailboxes
	Name      func(ctx context.Context, p id.Person) string // as colleagues call them; "" if gone
}

// Signins is the room. See New.
type Signins struct {
	Config
	pages *web.Pages
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Signins {
	s := &Signins{Config: c, pages: web.MustPages(pages)}
	s.pages.Now = c.Now
	return s
}

// Layer describes the room to the house.
func (s *Signins) Layer() layer.Layer {
	return layer.Layer{
		Name:     "signins",
		Schema:   schema,
		Mount:    s.mount,
		Evidence: s.evidence,
		Jobs:     []layer.Job{{Name: "forget old sign-ins", Every: 24 * time.Hour, Run: s.forget}},
	}
}

// tag is a keyed hash of something that must not stand in the database: the same
// each time, and of no use without the key.
func (s *Signins) tag(what, value string) string {
	k := s.Key.Derive("signins "+what+" v1", value)
	return hex.EncodeToString(k[:13])
}

func (s *Signins) slot(kind, record string) seal.Slot {
	return seal.Slot{Kind: kind, Practice: s.Practice, Record: record}
}
