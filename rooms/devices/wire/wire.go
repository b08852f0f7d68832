// Package wire is what the agent on a computer and the house say to each other.
// Both ends import it; it acts upon nothing.
//
// A report is signed by the device's own key, carries the house's nonce and a
// count that only goes up, and the link of the last answer: a forged, a late, a
// replayed report and one of a copied agent are told apart (see rooms/devices).
// Times are told as ages, so that a clock that is a year off changes nothing. An
// answer carries the head of the ledger, and a proof that it continues the one
// that the agent kept: the agent is its witness.
//
// Nothing on the wire is about a patient, and nothing is read from a person's
// files: a check says pass, fail, unknown or not applicable, in words that stand
// in this program.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
)

// Format is the version of this wire. A newer agent may say more than is known
// here: unknown fields are left out, unknown checks are kept and start at watch.
const Format = 1

// Where the agent finds the house.
const (
	EnrolPath  = "/agent/enroll"
	HelloPath  = "/agent/hello"
	ReportPath = "/agent/report"
	// JoinPath is the page of an enrolment's link: origin + JoinPath + "#" + code.
	JoinPath = "/agent"
)

// Labels separate the signatures of a device's key from each other.
const (
	LabelEnrol   = "device enroll v1"
	LabelReport  = "device report v1"
	LabelConnect = "device connect v1"
)

// Bounds of what an agent says. A report with all of it is under 32 KiB, which is
// what a stranger may bring to the house.
const (
	MostBytes  = 24 << 10
	MostChecks = 40
	MostEvents = 16
	mostSaid   = 300
	mostName   = 80
	mostEvent  = 4 << 10
)

// Result is what a check found. Unknown never counts as pass.
type Result string

// The four results.
const (
	Pass          Result = "pass"
	Fail          Result = "fail"
	Unknown       Result = "unknown"        // Said tells why
	NotApplicable Result = "not-applicable" // this system has no such thing
)

// Check is one result, with its age when it was sent.
type Check struct {
	Name   string `json:"name"` // see Known
	Result Result `json:"result"`
	Said   string `json:"said"` // one sentence: what was found, or why it is not known
	Age    int64  `json:"age"`  // seconds between looking and sending
}

// Taken is when the check was looked at, by the clock of whoever received it now.
func (c Check) Taken(now time.Time) time.Time { return now.Add(-time.Duration(c.Age) * time.Second) }

// Event is something that happened on a computer and that a room of the house
// waits for. Its body is that room's own.
type Event struct {
	ID   string          `json:"id"`   // the same when it is told again: an answer may get lost
	Kind string          `json:"kind"` // "antivirus.found"
	Age  int64           `json:"age"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Order is what a room of the house asks of the agent, answered by a Task of it.
type Order struct {
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`
}

// System is what the computer runs.
type System struct {
	OS      string `json:"os"`      // "linux", "darwin", "windows"
	Name    string `json:"name"`    // "Debian GNU/Linux 12 (bookworm)"
	Version string `json:"version"` // "12"
	Arch    string `json:"arch"`    // "amd64"
}

// Witness is what an agent remembers of the ledger, and what it saw go wrong.
type Witness struct {
	Size  int64  `json:"size"`
	Alarm string `json:"alarm,omitempty"` // see Alarms
}

// What an agent may notice of the house, by itself.
const (
	AlarmRollback = "rollback" // the ledger is shorter than it was, or another one
	AlarmReplaced = "replaced" // another server's key signs the ledger
	AlarmBackup   = "backup"   // no backup was opened for too long
)

// Alarms are the words that Witness.Alarm may hold.
var Alarms = []string{AlarmRollback, AlarmReplaced, AlarmBackup}

// Report is what an agent says of its computer.
type Report struct {
	Format   int     `json:"format"`
	Device   string  `json:"device"`
	Agent    string  `json:"agent"` // its version
	Count    int64   `json:"count"` // one more with each report
	Nonce    string  `json:"nonce"` // the house's
	Link     string  `json:"link"`  // of the last answer
	Clock    int64   `json:"clock"` // the computer's own, unix milliseconds
	System   System  `json:"system"`
	Hardware bool    `json:"hardware"` // the key lies in the computer's own chip, as the agent says
	Admin    bool    `json:"admin"`    // the agent sees what needs an administrator's rights
	Port     int     `json:"port"`     // where a browser of this computer finds it; 0: nowhere
	Ticket   bool    `json:"ticket"`   // asks for a link that connects a browser
	Checks   []Check `json:"checks"`
	Events   []Event `json:"events,omitempty"`
	Witness  Witness `json:"witness"`
}

// Enrol is how a computer introduces itself, once.
type Enrol struct {
	Format   int    `json:"format"`
	Code     string `json:"code"`
	Name     string `json:"name"` // as its person calls it
	Agent    string `json:"agent"`
	Key      []byte `json:"key"` // uncompressed P-256 point
	Hardware bool   `json:"hardware"`
	Admin    bool   `json:"admin"`
	System   System `json:"system"`
}

// Enrolled is the house's answer to it.
type Enrolled struct {
	Device   string `json:"device"`
	Name     string `json:"name"`
	Practice string `json:"practice"`
	Ledger   string `json:"ledger"` // the verifier of the house's ledger: what a witness pins
	Answer   Answer `json:"answer"`
}

// Hello asks for a nonce.
type Hello struct {
	Device string `json:"device"`
}

// Answer is what the house says to a report.
type Answer struct {
	Nonce  string    `json:"nonce"`
	Link   string    `json:"link,omitempty"`
	Now    int64     `json:"now"`             // the house's clock, unix milliseconds
	Next   int       `json:"next"`            // in how many seconds it wants to hear again
	Look   bool      `json:"look,omitempty"`  // somebody waits: look at everything now
	State  string    `json:"state,omitempty"` // see States
	Closed []Closing `json:"closed,omitempty"`
	Remind []Closing `json:"remind,omitempty"`
	Ticket string    `json:"ticket,omitempty"` // a path of the house, good once, for a minute
	Orders []Order   `json:"orders,omitempty"`

	Head   string             `json:"head,omitempty"`   // signed head of the ledger
	Proof  ledger.Consistency `json:"proof,omitzero"`   // from Witness.Size to Head
	Backup *ledger.Inclusion  `json:"backup,omitempty"` // the fact of the newest backup that was opened again
}

// Closing is one reason why records stay closed on a computer, or will.
type Closing struct {
	Check string `json:"check"`
	Why   string `json:"why"`
	Fix   string `json:"fix"`
	By    int64  `json:"by,omitempty"` // unix milliseconds: until then they open
}

// What a device is to the house.
const (
	StateOpen    = "open"
	StateClosed  = "closed"
	StateLost    = "lost"
	StateRetired = "retired"
	StateCopied  = "copied"
	StateStopped = "stopped"
)

// Refusal is the house's answer to what it does not take.
type Refusal struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

// Signed is a message and the device key's signature of it.
type Signed struct {
	Body      []byte `json:"body"`
	Signature []byte `json:"signature"`
}

// Errors of what cannot be read. The text says what is wrong, and repeats nothing.
var (
	ErrTooLarge = errors.New("wire: the message is too large")
	ErrTorn     = errors.New("wire: the message cannot be read")
)

func torn(what string) error { return fmt.Errorf("%w: %s", ErrTorn, what) }

// Read reads a signed message.
func Read(r io.Reader) (s Signed, err error) {
	b, err := io.ReadAll(io.LimitReader(r, 2*MostBytes+1))
	if err != nil {
		return s, err
	}
	if len(b) > 2*MostBytes {
		return s, ErrTooLarge
	}
	if err := one(b, &s); err != nil {
		return s, err
	}
	if len(s.Body) > MostBytes || len(s.Signature) > 200 {
		return s, ErrTooLarge
	}
	return s, nil
}

// one reads one JSON document and nothing behind it. What is not known is left out.
func one(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return torn("not the form of this message")
	}
	if _, err := d.Token(); err != io.EOF {
		return torn("something stands behind it")
	}
	return nil
}

// Signer signs in a device's name.
type Signer interface {
	Sign(label string, message []byte) ([]byte, error)
}

// Sign makes a signed message of v.
func Sign(k Signer, label string, v any) (s Signed, err error) {
	if s.Body, err = json.Marshal(v); err != nil {
		return s, err
	}
	if len(s.Body) > MostBytes {
		return s, ErrTooLarge
	}
	s.Signature, err = k.Sign(label, s.Body)
	return s, err
}

// By tells whether a key signed the message for a purpose.
func (s Signed) By(key []byte, label string) bool {
	return seal.SignPublic(key).Verify(label, s.Body, s.Signature)
}

// Report reads a report. Nothing of it is believed before By.
func (s Signed) Report() (r Report, err error) {
	if err := one(s.Body, &r); err != nil {
		return r, err
	}
	return r, r.check()
}

// Enrol reads an introduction. Nothing of it is believed before By.
func (s Signed) Enrol() (e Enrol, err error) {
	if err := one(s.Body, &e); err != nil {
		return e, err
	}
	switch {
	case e.Format < 1:
		return e, torn("no format")
	case !word(e.Code, 26, 26):
		return e, torn("the code")
	case seal.SignPublic(e.Key).Check() != nil:
		return e, torn("the key")
	case !text(e.Name, mostName) || !text(e.Agent, mostName):
		return e, torn("a name")
	}
	return e, e.System.check()
}

func (y System) check() error {
	if !slices.Contains([]string{"linux", "darwin", "windows"}, y.OS) {
		return torn("the system")
	}
	for _, s := range []string{y.Name, y.Version, y.Arch} {
		if !text(s, mostName) {
			return torn("the system’s name")
		}
	}
	return nil
}

func (r Report) check() error {
	switch {
	case r.Format < 1:
		return torn("no format")
	case id.Check(r.Device) != nil:
		return torn("the device")
	case r.Count < 1:
		return torn("the count")
	case len(r.Nonce) > 128 || len(r.Link) > 64 || !text(r.Agent, mostName):
		return torn("nonce, link or version")
	case r.Port < 0 || r.Port > 65535:
		return torn("the port")
	case len(r.Checks) > MostChecks || len(r.Events) > MostEvents:
		return torn("too much of it")
	case r.Witness.Size < 0 || r.Witness.Alarm != "" && !slices.Contains(Alarms, r.Witness.Alarm):
		return torn("the witness")
	}
	if err := r.System.check(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range r.Checks {
		if err := c.check(); err != nil {
			return err
		}
		if seen[c.Name] {
			return torn("a check that stands there twice")
		}
		seen[c.Name] = true
	}
	for _, e := range r.Events {
		if id.Check(e.ID) != nil || !kind(e.Kind) || e.Age < 0 || e.Age > oldest || len(e.Body) > mostEvent {
			return torn("an event")
		}
	}
	return nil
}

// oldest is the age of a result that is worth sending, in seconds.
const oldest = 400 * 24 * 3600

func (c Check) check() error {
	switch {
	case !Word(c.Name):
		return torn("a check’s name")
	case !slices.Contains([]Result{Pass, Fail, Unknown, NotApplicable}, c.Result):
		return torn("a check’s result")
	case c.Age < 0 || c.Age > oldest:
		return torn("a check’s age")
	case !text(c.Said, mostSaid):
		return torn("what a check says")
	case c.Result == Unknown && c.Said == "":
		return torn("a result that is not known, without a reason")
	}
	return nil
}

// Word tells whether s can name a check: it stands in facts and addresses.
func Word(s string) bool {
	return len(s) >= 2 && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == "" && s[0] != '-'
}

// kind has the form "room.deed".
func kind(s string) bool {
	room, deed, ok := strings.Cut(s, ".")
	return ok && Word(room) && Word(deed)
}

// word is a code: capital letters and digits, as rand.Text makes them.
func word(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// text is one line that people can read.
func text(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError })
}

// Line makes a sentence fit to be sent: one line, not too long.
func Line(s string) string { return clean(s, mostSaid) }

// Name makes a name fit to be sent.
func Name(s string) string { return clean(s, mostName) }

func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// Connecting is what a device signs to tell the house that a browser runs on it:
// the house's own address, so that the answer is of no use elsewhere, and the
// challenge that this browser's session was given.
func Connecting(origin, device, challenge string) []byte {
	b, _ := json.Marshal([]string{origin, device, challenge}) // strings: cannot fail
	return b
}
