package layer

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"quietroom/ground/id"
)

// The words about a patient that rooms share. vault keeps what they hold; other
// rooms show it, bring it in and carry it out.

// The compartments of a patient.
const (
	PartIdentity = "identity" // who it is: names, contacts, safe contact
	PartChart    = "chart"    // what was said: notes, files, clinical resources
	PartBilling  = "billing"  // what was charged
	PartShared   = "shared"   // what is about the practice and no patient
)

// GateEmergency is what a vault's gate is asked for in place of a compartment
// when the emergency card of somebody in one's own care is opened: care comes
// first, so that a device's health closes charts and not this.
const GateEmergency = "emergency"

// Errors of the vault that other rooms act upon.
var (
	// ErrNotYours means that no team of the person cares for the patient in that compartment.
	ErrNotYours = errors.New("vault: no team of this person cares for the patient there")
	// ErrUnknown means that there is no such patient or record.
	ErrUnknown = errors.New("vault: unknown")
	// ErrChanged means that rows were moved, replaced, put back or deleted from outside.
	ErrChanged = errors.New("vault: the stored record is not the one that was written")
	// ErrConflict means that somebody else wrote the record meanwhile.
	ErrConflict = errors.New("vault: somebody else changed it meanwhile")
	// ErrLocked means that nobody is signed in who could open anything.
	ErrLocked = errors.New("vault: nobody is signed in")
)

// Card is what the identity compartment holds of a patient: who it is and how
// to reach that person safely. It is one record, sealed under the identity key.
type Card struct {
	Family    string      `json:"family"`
	Given     string      `json:"given"`
	Preferred string      `json:"preferred,omitempty"`
	Pronouns  string      `json:"pronouns,omitempty"`
	Born      string      `json:"born,omitempty"` // YYYY-MM-DD, as far as known
	Sex       string      `json:"sex,omitempty"`
	Phones    []string    `json:"phones,omitempty"`
	Mails     []string    `json:"mails,omitempty"`
	Address   string      `json:"address,omitempty"`
	Language  string      `json:"language,omitempty"`
	Emergency []Contact   `json:"emergency,omitempty"`
	Safe      SafeContact `json:"safe,omitzero"`
	Insurance string      `json:"insurance,omitempty"`
	Numbers   []Number    `json:"numbers,omitempty"` // outside identifiers
	Care      []id.Team   `json:"care"`              // the care teams, who may open the chart
	Times     []Time      `json:"times,omitempty"`   // when the patient comes
	Where     Whereabouts `json:"where,omitzero"`    // where the patient was, as far as known
	Since     string      `json:"since,omitempty"`   // YYYY-MM-DD
}

// Contact is somebody to call in an emergency.
type Contact struct {
	Name  string `json:"name"`
	Bond  string `json:"bond,omitempty"` // "mother"
	Phone string `json:"phone,omitempty"`
}

// SafeContact is how the patient may be reached without harm.
type SafeContact struct {
	Name  string          `json:"name,omitempty"` // to use on an envelope, or to whoever picks up
	Words string          `json:"words,omitempty"`
	Ways  map[string]bool `json:"ways,omitempty"` // "text", "phone", "voicemail", "mail", "post", "portal": allowed or not
	Said  string          `json:"said,omitempty"` // YYYY-MM-DD
}

// Whereabouts is where a patient was last: where help is sent to.
type Whereabouts struct {
	Place string `json:"place,omitempty"` // an address, or how to find it
	At    int64  `json:"at,omitempty"`    // when somebody learned it, unix milliseconds
}

// Number is an identifier that another system gave.
type Number struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// Shown is the name as lists show it.
func (c Card) Shown() string {
	switch {
	case c.Family == "":
		return c.Given
	case c.Given == "":
		return c.Family
	}
	return c.Family + ", " + c.Given
}

// Called is the name as one says it.
func (c Card) Called() string {
	given := c.Given
	if c.Preferred != "" {
		given = c.Preferred
	}
	return strings.TrimSpace(given + " " + c.Family)
}

// Line is what a list shows of a patient.
type Line struct {
	Patient   id.Patient
	Name      string
	Preferred string
	Born      string
	Phone     string
	Safe      string
	Care      []id.Team
	Times     []Time
}

// Found is what a search shows.
type Found struct {
	Lines []Line // in order of names, at most as many as asked for
	Total int    // how many fit
	All   int    // how many patients there are
}

// Entry is what a list shows of a record.
type Entry struct {
	Record  id.Record
	Version uint64
	At      time.Time
	Head    []byte // what the room that wrote it put there
	Size    int64  // of the body, in bytes
}

// Draft is a record to be written.
type Draft struct {
	Record  id.Record // to replace one; empty for a new one
	Version uint64    // the version that was read, when replacing
	At      time.Time // when it happened; zero: now
	Head    []byte    // what lists show
	Body    []byte
	// HeadOf gives the head after the body was read to its end, in place of Head:
	// for a head that says what the body was. PutStream asks it once.
	HeadOf func() ([]byte, error)
}

// Compartment is one opened compartment of one patient. Close it when done.
type Compartment interface {
	Patient() id.Patient
	// List returns the records, newest first, compared with the ledger.
	List(context.Context) ([]Entry, error)
	// Read opens a record's body whole.
	Read(context.Context, id.Record) (Entry, []byte, error)
	// Stream opens a record's body. What it gives out was checked, chunk by chunk.
	Stream(context.Context, id.Record) (Entry, io.ReadCloser, error)
	// Card opens who the patient is; the compartment is PartIdentity.
	Card(context.Context) (card Card, version uint64, err error)
	// Close wipes the compartment's keys.
	Close()
}

// Batch is one act of writing: everything in one transaction with its facts, or
// nothing. Commit or Drop ends it.
type Batch interface {
	// Admit takes in a new patient. The card names the care teams.
	Admit(context.Context, Card) (id.Patient, error)
	// In returns a compartment to write into; it belongs to the batch.
	In(ctx context.Context, p id.Patient, part string) (Compartment, error)
	// SetCard replaces the card; version is the one that was read.
	SetCard(ctx context.Context, identity Compartment, card Card, version uint64) error
	// SetCare changes who cares for a patient; the acting person holds the chart.
	SetCare(ctx context.Context, p id.Patient, care []id.Team) error
	// Put writes a record into a compartment that came from In.
	Put(context.Context, Compartment, Draft) (id.Record, error)
	// PutStream writes a record whose body may be long: sealed as it is read.
	PutStream(ctx context.Context, c Compartment, d Draft, body io.Reader) (id.Record, error)
	// Tag lets the vault find the patient by an outside name from now on.
	Tag(ctx context.Context, p id.Patient, name string) error
	// Commit writes everything, durably.
	Commit(context.Context) error
	// Drop forgets the batch.
	Drop()
}

// Item is a clinical resource as a chart lists it.
type Item struct {
	Title, Kind string    // "Sertraline 50 mg", "Medication"
	When        time.Time // zero: not said
	Page        string    // where to read it; may be empty
}
