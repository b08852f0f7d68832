package trackers

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"quietroom/rooms/trackers/chrome"
)

// Severity is how soon somebody should act.
type Severity string

// The severities. Which is which stands in judge.go, with its reasons.
const (
	Stop Severity = "stop" // what a patient tells, or that somebody is a patient, reaches somebody else
	Fix  Severity = "fix"  // it should not stay so
	Know Severity = "know" // good to know, and to decide about
)

// rank puts the worst first.
func (s Severity) rank() int { return map[Severity]int{Stop: 0, Fix: 1, Know: 2}[s] }

// Kinds of findings. They are part of the --json format.
const (
	FormData       = "form-data"      // what was typed or chosen
	PageFact       = "page-fact"      // the address or title of a page that tells why somebody is there
	Identifier     = "identifier"     // a number that stands for the visitor
	KeyLogging     = "key-logging"    // keys, while they are typed
	SessionReplay  = "session-replay" // a recording of what the visitor does
	Relay          = "relay"          // the site's own address took what was not sent yet
	Contact        = "contact"        // somebody was asked for something, and told nothing that we know
	Unknown        = "unknown"        // somebody got something that we cannot read
	Fingerprinting = "fingerprinting"
	CookieKept     = "cookie"
	StorageKept    = "storage"
	FormTarget     = "form-target"   // a form that sends to somebody else, or unprotected
	LocalNetwork   = "local-network" // a page reached for this machine or its network
	Permission     = "permission"    // a page asked for camera, place or notices
)

// Finding is one thing that left, or that the site does. Its JSON is a promise:
// see docs/formats.md.
type Finding struct {
	Kind          string   `json:"kind"`
	Severity      Severity `json:"severity"`
	Page          string   `json:"page"`
	To            string   `json:"to"`       // host; empty where nobody is told
	URL           string   `json:"url"`      // what was asked for
	What          string   `json:"what"`     // field or fact
	Encoding      string   `json:"encoding"` // "plain", "sha256", "gzip, base64"
	Vendor        string   `json:"vendor"`   // empty: nobody that we know
	BeforeConsent bool     `json:"before_consent"`
	Evidence      Evidence `json:"evidence"`
	Sentence      string   `json:"sentence"`  // as a person reads it
	Why           string   `json:"why"`       // why it is told so, for the owner and their lawyer
	PageKind      string   `json:"page_kind"` // booking, intake, conditions, ...
	Category      string   `json:"category"`  // of the vendor
}

// Evidence is where to look.
type Evidence struct {
	Request int       `json:"request,omitempty"` // entry of the HAR, from 1
	Where   string    `json:"where,omitempty"`   // address, body, header, cookie, socket, several requests
	Text    string    `json:"text,omitempty"`    // what stands there
	Decoded []string  `json:"decoded,omitempty"` // what its vendor's parameters say
	Scripts []string  `json:"scripts,omitempty"` // who did it, the nearest first
	Picture string    `json:"picture,omitempty"` // file in --out
	At      time.Time `json:"at,omitzero"`
	Stage   string    `json:"stage,omitempty"` // arriving, filling, leaving ...
}

// Key names the harm behind a finding, the same in every scan: who is told what
// on which page. It does not depend on numbers that change with each visit.
func (f Finding) Key() string {
	page := f.Page
	if u, err := url.Parse(f.Page); err == nil {
		page = u.Host + u.Path
	}
	who := f.Vendor
	if who == "" {
		who = f.To
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Kind, page, who, f.What}, "\n")))
	return hex.EncodeToString(sum[:12])
}

// Page is one page as the scan found it.
type Page struct {
	URL      string         `json:"url"`
	Title    string         `json:"title"`
	Kind     string         `json:"kind"`
	Status   int            `json:"status"`
	Problem  chrome.Problem `json:"problem,omitempty"`
	Why      string         `json:"why,omitempty"`
	Fields   int            `json:"fields"` // that were filled
	Banner   bool           `json:"banner"` // it asks about cookies
	Answered string         `json:"answered,omitempty"`
	Login    bool           `json:"login,omitempty"`
	Captcha  bool           `json:"captcha,omitempty"`
	Unseen   int            `json:"frames_unseen,omitempty"`
	TookMS   int64          `json:"took_ms"`
	Picture  string         `json:"picture,omitempty"`
}

// State of a check, in the words of the product.
type State string

// The states of a check.
const (
	Good     State = "safe"
	Needs    State = "needs you"
	NotKnown State = "not known"
)

// Check is one thing that was looked at besides what leaves.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

// Receiver is everybody who was asked for anything by the site's pages.
type Receiver struct {
	Host     string   `json:"host"`
	Vendor   string   `json:"vendor"` // empty: unknown, and listed as such
	Category string   `json:"category"`
	Requests int      `json:"requests"`
	Pages    []string `json:"pages"`
}

// Result is one scan.
type Result struct {
	URL       string         `json:"url"`
	Began     time.Time      `json:"began"`
	TookMS    int64          `json:"took_ms"`
	Browser   string         `json:"browser"`
	Sandbox   bool           `json:"sandbox"`
	Consent   chrome.Consent `json:"consent"`
	Stopped   bool           `json:"stopped,omitempty"` // before its end
	PeakBytes uint64         `json:"peak_bytes"`
	Requests  int            `json:"requests"`
	HAR       string         `json:"har_sha256"`
	Pages     []Page         `json:"pages"`
	Findings  []Finding      `json:"findings"`
	Receivers []Receiver     `json:"receivers"`
	Checks    []Check        `json:"checks"`
	Notes     []string       `json:"notes"`               // what the scan could not see, this time
	MadeWith  []string       `json:"made_with,omitempty"` // marks of what the site is made with
	Data      Data           `json:"data"`

	har   []byte
	shots map[string][]byte // file -> PNG
}

// Data says how old the knowledge is with which it was judged.
type Data struct {
	Rules   string `json:"rules"`
	Vendors string `json:"vendors"`
	Law     string `json:"law"` // Laws
}

// Count returns how many findings are of a severity.
func (r *Result) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Archive is the recorded traffic as an HTTP archive (HAR 1.2), as JSON.
func (r *Result) Archive() []byte { return r.har }

// Pictures are the pages as they looked, by file name.
func (r *Result) Pictures() map[string][]byte { return r.shots }
