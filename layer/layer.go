// Package layer is the contract between a room and the house: what a room may
// offer, and the result types that rooms share. A room fills in the fields it
// has a use for; removing a room from the product is removing one line in
// cmd/quietroom/house.go.
package layer

import (
	"archive/zip"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// Layer is what one room offers to the house. Every field but Name is optional.
type Layer struct {
	Name     string
	Schema   fs.FS                                                // migrations, see store.Migrate
	Mount    func(*web.Mux)                                       // the room's pages
	Evidence func(context.Context) iter.Seq2[Evidence, error]     // what it can prove
	Drills   []Drill                                              // attacks that are really tried
	Jobs     []Job                                                // keyless work on a clock
	Contain  func(context.Context, *store.Tx, Scope) error        // stop a person, a device or all; reversible
	Offboard func(context.Context, *store.Tx, Leaving) error      // close this room's doors: needs no keys, quick
	Knock    Knock                                                // ask this room's doors to a person, at their verifiers
	Erase    func(context.Context, *store.Tx, id.Patient) error   // rows and wraps now; bytes by tx.OnCommit, retried after a crash
	Export   func(context.Context, id.Patient, *zip.Writer) error // all this room holds about a patient; ctx carries the actor and the keys
}

// Scope says whom Contain stops. All, or the person, or the device.
type Scope struct {
	Person id.Person
	Device id.Device
	All    bool
}

// Leaving is one person's last day.
type Leaving struct {
	Person, Successor id.Person
	By                id.Actor
	At                time.Time
}

// Knock asks the verifier of each of a room's doors to a person whether it would
// accept now what the room knows of it: a credential, the hash of a session or a
// token, a key that is sealed to the person. First come the known ones, which
// earlier knocks found, then those that were made since. It opens nothing.
type Knock func(ctx context.Context, p id.Person, known []Door) iter.Seq2[Door, error]

// Door is one way in to the practice that a person has or had.
type Door struct {
	Room string // "identity"
	Kind string // a fixed word: "passkey", "session", "key"
	Name string // as its person calls it; never a secret
	Key  string // how the room finds it again: an identifier or a hash, never a secret
	Open bool   // its verifier would accept it
}

// Notice is a message of the house to somebody of the practice, about that
// person's own account or work. It carries no secret and nothing about a
// patient; the subject says nothing that a stranger at the screen may not read.
// Links start at the house's root: "/people". Who sends it knows the addresses:
// all that the person has given, so that a stolen mailbox does not swallow it.
type Notice struct {
	To      id.Person
	Address string // instead of To, for somebody who has not joined yet
	Subject string
	Text    string // plain text, in paragraphs
	Link    string // where to act; may be empty
}

// State is one of the seven words of the product. The zero State is NotKnown:
// what nobody measured is never safe.
type State int

// The seven words, see docs/owner.md.
const (
	NotKnown State = iota // never counted as safe
	Safe                  // proven and fresh
	Checking              // being measured now
	YourWord              // stated by a person, not measured
	Off                   // off on purpose, with a reason and a name
	NeedsYou              // fixable by this person, with minutes and a day
	Urgent                // harm now
)

var stateWords = [...]struct{ attr, word string }{
	{"unknown", "Not known"}, {"safe", "Safe"}, {"checking", "Checking"}, {"word", "Your word"},
	{"off", "Off, on purpose"}, {"needs", "Needs you"}, {"urgent", "Urgent"},
}

// String returns the word that people read.
func (s State) String() string { return stateWords[s].word }

// Is returns the data-is attribute that colours the word.
func (s State) Is() string { return stateWords[s].attr }

// Place is one of the five rooms of home, as people see the house.
type Place string

// The five places of home.
const (
	Records Place = "records"
	Devices Place = "devices"
	People  Place = "people"
	Backups Place = "backups"
	Edges   Place = "edges" // on screens: "Web, mail"
)

// Evidence is one claim of a room and what was observed of it.
type Evidence struct {
	Claim   string    // "vault.sealed"; compliance maps claims to paragraphs of law, as data
	Place   Place     // where home shows it
	Text    string    // the sentence
	State   State     // what was observed
	Seen    time.Time // when it was observed; zero: never
	Until   time.Time // after it the evidence reads as NotKnown, whatever State says
	Fact    int64     // its number in the ledger, 0 if it has none
	Page    string    // where to look or to act
	Fix     string    // what to press, for NeedsYou and Urgent
	Minutes int       // what it costs
	By      time.Time // the day by which it should be done; zero: a week after it was first seen
	Why     string    // the reason behind the sentence
}

// fastClock is how far two clocks of one house may be apart.
const fastClock = 5 * time.Minute

// At returns the evidence as it reads at a moment: what was never observed, or
// observed too long ago, or, where a clock was set back, not yet, is not known.
func (e Evidence) At(now time.Time) Evidence {
	claimsMeasured := e.State == Safe || e.State == Checking
	if claimsMeasured && (e.Seen.IsZero() || now.After(e.Until) || e.Seen.After(now.Add(fastClock))) {
		e.State = NotKnown
	}
	return e
}

// Job is keyless work on a clock: one instance at a time over all servers, by a
// lease in the store. A job may fetch, count and revoke; it can never open.
type Job struct {
	Name  string
	Every time.Duration
	Wake  <-chan struct{} // runs it before its time; may be nil
	Run   func(context.Context) error
}

// Drill is an attack that is really tried against the product.
type Drill struct {
	Name   string // "theft"
	Proves string // one sentence about what holds when it holds
	Run    func(context.Context, *Stage) (Report, error)
}

// Stage is where a drill acts: never the practice's own house. cmd builds a
// made-up house from the same rooms and runs the drill of *that* house, so the
// rooms behind Run are the made-up house's own.
type Stage struct {
	Copy     string           // a private copy of everything a thief of the practice's house would take, without keys
	Known    iter.Seq[string] // secrets known to be in the copied house, when it is made up; nil for a real one
	Trial    *Trial           // the made-up house that the drill may attack
	Sabotage bool             // weaken one protection first: the drill must then fail
	Brief    bool             // somebody watches: a heavy drill tries a sample, and its report counts that
	Step     func(done, total int)
}

// Trial is a made-up house served on loopback, with its people's codes.
type Trial struct {
	Dir   string            // its data directory
	URL   string            // where it is served
	Codes map[string]string // "clinician-1" -> personal code
	DB    *store.DB
	// Unlock opens a session for the holder of a personal code. The context
	// carries the actor and the keys until done is called.
	Unlock func(ctx context.Context, code string) (session context.Context, done func(), err error)
	// Take copies everything a thief would take of the trial house, as it
	// stands, into a new directory, and returns its path.
	Take func(context.Context) (string, error)
	// Later lets time pass in the trial house, and nowhere else.
	Later func(time.Duration)
}

// Report is the outcome of a drill, as printed and as kept.
type Report struct {
	Drill    string         `json:"drill"`
	Held     *bool          `json:"held"`              // null: skipped
	Skipped  string         `json:"skipped,omitempty"` // why
	Tried    int            `json:"tried"`
	Opened   int            `json:"opened"`
	Findings []string       `json:"findings"` // what did not hold, in sentences without patient data
	TookMS   int64          `json:"took_ms"`
	More     map[string]any `json:"more,omitempty"`
}

// Refusal says why a room stays closed and what to do about it. It reaches a
// page as a kind sentence, never as a code.
type Refusal struct {
	Why      string // "This computer's firewall is off"
	Fix      string // what to do, here
	Minutes  int    // how long it takes
	Override string // address of the timed, logged override; empty where none is offered
}

func (r *Refusal) Error() string { return fmt.Sprintf("closed: %s. %s", r.Why, r.Fix) }

// Refused is what web reads off a refusal for its page.
func (r *Refusal) Refused() (why, fix string, minutes int, override string) {
	return r.Why, r.Fix, r.Minutes, r.Override
}

// Team is a team as the signed roster has it, seen by one person.
type Team struct {
	ID    id.Team
	Kind  string      // "directory" (names), "care" (charts), "billing"
	Name  string      // as people read it
	Epoch uint64      // number of its newest key
	Inbox seal.Public // what those who are no members seal to
	Mine  bool        // the acting person holds its key
}
