// Package backup saves the house, and counts a backup only after it has been
// opened again. It protects against a dead disk, a burnt office, a program that
// encrypts everything, and a backup that nobody ever tried.
//
// What is saved goes in two streams. The records, sealed as they lie, with the
// ledger, the list of people and the house's own files, are kept for years. The
// keys of patients, wrapped for their teams, and the sealed list of names are
// kept for 35 days, and only where they can expire: so a patient who was erased
// is gone from the backups too, and a key is never lost because a clock was
// wrong. docs/design/backup.md tells why, and what was not done.
//
// The room has no key of a patient and opens nothing but its own drill records.
package backup

import (
	"context"
	"embed"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/backup/restic"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

// Stream says with what a table is saved.
type Stream string

// The streams.
const (
	Records Stream = "records" // kept for years
	Wraps   Stream = "wraps"   // keys and what is derived: 35 days
	None    Stream = ""        // queues, and what the house measures anew
)

// Config is what the room needs from the house.
type Config struct {
	DB       *store.DB
	Dir      string   // the house's directory
	Files    []string // files and folders in Dir that are saved with the records
	Blobs    string   // the folder of sealed blobs in Dir
	Practice string
	MadeUp   bool // everybody in the house is invented
	Now      func() time.Time
	Secret   seal.Key                        // of the house, outside of the database
	Program  string                          // which build this is
	Restic   string                          // the program; "restic" if empty
	Free     func(dir string) (int64, error) // bytes free on the disk of a folder. Optional

	Mirror   func(context.Context) error                                                                                         // copies blobs from elsewhere into the folder Blobs first. Optional
	Stream   func(table string) Stream                                                                                           // with what a table is saved
	Head     func(context.Context) (ledger.Checkpoint, error)                                                                    // the ledger's newest head
	Root     func() []byte                                                                                                       // fingerprint of the first entry of the list of people
	Log      *slog.Logger                                                                                                        // how a place failed, for the operator
	Name     func() string                                                                                                       // the practice's name
	Erased   func(context.Context) ([]id.Patient, error)                                                                         // who was erased, ever
	Incident func(context.Context) (bool, error)                                                                                 // something is being looked into: nothing expires. Optional
	Check    func(ctx context.Context, dir string, m Manifest, erased []id.Patient, look func(*store.DB) error) (Checked, error) // makes a house of what came back, and looks at it
	Person   func(context.Context) string                                                                                        // the name of who acts, for what is somebody's word
	Keys     Keys                                                                                                                // the vault. Optional
	Fresh    Fresh                                                                                                               // the installation, while nobody has founded a practice in it. Optional
	SameDisk func(a, b string) bool                                                                                              // tells whether two folders lie on one disk. Optional
	Notify   func(context.Context, *store.Tx, layer.Notice) error                                                                // sends a notice. Optional
	Owners   func(context.Context) []id.Person                                                                                   // whom an alarm goes to
	TeamName func(context.Context, id.Team) string                                                                               // as people read it. Optional
}

// Checked is what a house that was brought back showed.
type Checked struct {
	Facts    int64    `json:"facts"`
	Patients int      `json:"patients"`
	Records  int      `json:"records"`
	Head     string   `json:"head"` // six words
	Findings []string `json:"findings,omitempty"`
}

// Backup is the room. See New.
type Backup struct {
	Config
	pages  *web.Pages
	one    sync.Mutex // one run, proof or expiry at a time
	now    progress
	weak   bool // see Weaken
	rounds rounds
	coming coming
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Backup {
	if dir, err := filepath.Abs(c.Dir); err == nil {
		c.Dir = dir // restic works in other folders
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b := &Backup{Config: c, pages: web.MustPages(pages)}
	b.pages.Now = c.Now
	return b
}

// Layer describes the room to the house.
func (b *Backup) Layer() layer.Layer {
	return layer.Layer{
		Name:     "backup",
		Schema:   schema,
		Mount:    b.mount,
		Evidence: b.evidence,
		Jobs: []layer.Job{
			{Name: "back up", Every: time.Minute, Run: b.runWhenDue},
			{Name: "prove a backup", Every: 10 * time.Minute, Run: b.proveWhenDue},
			{Name: "tell owners of backups", Every: 10 * time.Minute, Run: b.tellOwners},
			{Name: "let old backups expire", Every: time.Hour, Run: b.expireWhenDue},
		},
	}
}

// engine is restic with this house's folders.
func (b *Backup) engine(t Target) restic.Restic {
	return restic.Restic{Program: b.Restic, Dir: filepath.Join(b.Dir, "run", "restic"), Up: t.UpKiB}
}

// Weaken takes one protection away: a proof does not ask how old the newest
// backup is, nor whether a place has lost what was saved there. A drill has to
// notice that. It is for made-up houses; in a real house it panics.
func (b *Backup) Weaken() {
	if !b.MadeUp {
		panic("backup: weakened in a real house")
	}
	b.weak = true
}

// Password is the backup's password: it belongs to the house's secret, stands on
// the recovery sheet, and opens the backup, not what is sealed in it.
func (b *Backup) Password() string { return PasswordOf(b.Secret) }
