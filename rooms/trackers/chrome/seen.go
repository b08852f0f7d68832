package chrome

import (
	"net/http"
	"time"
)

// Consent is what the patient answers when a page asks about cookies.
type Consent string

// The answers.
const (
	Ignore Consent = "ignore"
	Accept Consent = "accept"
	Reject Consent = "reject"
)

// Order says what a visit is to do.
type Order struct {
	URL    string
	Answer Consent                    // Ignore leaves the question unanswered
	Fill   func(Field) (string, bool) // what to type into a field; nil: nothing is filled
	Send   bool                       // the owner marked this page's form as a test: send it
	Press  bool                       // press the forms' buttons, and let out nothing of what follows
	Shot   bool                       // take a picture
	Most   time.Duration              // the whole visit; 90 seconds if zero
	Stage  func(Stage)                // told as the visit goes on; may be nil
}

// Field is one field of a form, as a person sees it.
type Field struct {
	Tag, Type, Name, Label, Hint string
	Most                         int // characters; 0: any
	Min, Max                     string
	Chosen                       string // what was chosen, for lists, radio buttons, boxes and appointments
	Value                        string // what was typed, or what stands behind the choice
	Stage                        Stage
}

// Link is one way on from a page.
type Link struct{ URL, Text string }

// Form is one form of a page.
type Form struct {
	Action, Method, Label string
	Fields                int
	Personal              bool // it asks who somebody is
}

// Call is a door of the browser that a script tried.
type Call struct {
	What  string   // canvas, fonts, audio, graphics card, webrtc, webtransport, keys, pointer, permission, window, message, hint
	More  string   //
	Chain []string // scripts, the caller first
	At    string   // the frame's address
}

// Stored is one thing that a page keeps in the browser.
type Stored struct{ Kind, Host, Key, Value string }

// Problem is why a page could not be looked at, or not wholly. Empty: it could.
type Problem string

// The problems.
const (
	Unreachable Problem = "unreachable" // no answer, or one that a browser does not take
	Hung        Problem = "hung"        // it did not come to an end
	Crashed     Problem = "crashed"     // it took the browser with it, or too much memory
	Blocked     Problem = "blocked"     // it shows visitors like the scan something else
	NotHTML     Problem = "not-a-page"
	Elsewhere   Problem = "elsewhere" // it led to another site
)

// Visit is what happened on one page.
type Visit struct {
	N         int
	URL       string // as asked
	At        string // where it ended
	Title     string
	Lang      string
	Text      string // the first of its words
	Status    int
	Answer    http.Header
	Began     time.Time
	Took      time.Duration
	Problem   Problem
	Why       string // the problem in the operator's words
	Links     []Link
	Forms     []Form
	Password  bool   // it asks for a password
	Captcha   bool   // it asks to prove that one is a person
	Closed    int    // frames that could not be looked into
	Banner    bool   // it asks about cookies
	Answered  string // what was pressed there
	Consented bool   // it was allowed to, in this visit or before
	Filled    []Field
	Calls     []Call
	Chains    map[string][]string // method and address of a request -> scripts that led to it
	Order     []string            // requests in the order in which the page made them, see Ident
	Cookies   []Cookie
	Stored    []Stored
	Shot      []byte // PNG
	Windows   int    // windows that it opened
	Downloads int
}
