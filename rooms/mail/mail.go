// Package mail sends what the house has to tell its own people: that something
// about their account changed, that a thing waits for them. It protects against
// a notice that is lost while the mail server is away, that is read on the way,
// or that an address turns into something else.
//
// A notice is queued in the transaction of the act it tells of, sealed under the
// outbox key, and handed to the practice's own mail server over TLS by a job
// that needs no person. It is handed over at least once, always with the same
// Message-ID; what nobody takes within five days is dropped, and said so.
// Nothing about a patient is sent: whoever queues, writes to staff.
package mail

import (
	"context"
	"crypto/x509"
	"embed"
	"strings"
	"sync"
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

// Addresses knows where a person reads mail: every address they gave, so that
// who has taken one mailbox cannot hide what is said about the account.
type Addresses interface {
	Addresses(ctx context.Context, p id.Person) ([]string, error)
}

// Config is what mail needs from the house.
type Config struct {
	DB        *store.DB
	Now       func() time.Time
	Practice  string   // its id, to which boxes are bound
	Outbox    seal.Key // seals the queue and the server's password
	Origin    string   // where people find the house, for links
	MadeUp    bool     // a demo: nobody misses mail there
	Addresses Addresses
	Name      func(ctx context.Context, p id.Person) string // as colleagues call them; "" if gone
	Roots     *x509.CertPool                                // who vouches for mail servers; nil: the system's
}

// Mail is the room. See New.
type Mail struct {
	Config
	pages   *web.Pages
	woken   chan struct{}
	mu      sync.Mutex
	owed    []outcome                      // handed over, and not yet written down: the database refused
	between func(letter string, err error) // told between handing over and writing down; for tests

	patience time.Duration // how long one answer of the server may take; 0: as smtp has it
}

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Mail {
	m := &Mail{Config: c, pages: web.MustPages(pages), woken: make(chan struct{}, 1), between: func(string, error) {}}
	m.pages.Now = c.Now
	return m
}

// Layer describes the room to the house.
func (m *Mail) Layer() layer.Layer {
	return layer.Layer{
		Name:     "mail",
		Schema:   schema,
		Mount:    m.mount,
		Evidence: m.evidence,
		Jobs: []layer.Job{
			{Name: "deliver", Every: time.Minute, Wake: m.woken, Run: m.deliver},
			{Name: "greet the mail server", Every: 12 * time.Hour, Run: m.greet},
		},
		Offboard: m.offboard,
		Knock:    m.knock,
	}
}

// wake has the queue looked at now.
func (m *Mail) wake() {
	select {
	case m.woken <- struct{}{}:
	default: // it will be anyway
	}
}

func (m *Mail) slot(kind, record string) seal.Slot {
	return seal.Slot{Kind: kind, Practice: m.Practice, Record: record}
}

// lane is by which an address shares its pace with others: its domain, as a
// keyed hash that tells a thief of the database nothing.
func (m *Mail) lane(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	k := m.Outbox.Derive("mail lane v1", strings.ToLower(domain))
	return hex(k[:8])
}
