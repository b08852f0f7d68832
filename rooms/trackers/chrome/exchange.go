package chrome

import (
	"net/http"
	"net/url"
	"time"
)

// Stage is what the browser was doing when a request left it.
type Stage string

// The stages of a visit, in their order.
const (
	Arriving Stage = "arriving" // the page loads, is scrolled and looked at
	Answered Stage = "answered" // its question about cookies was answered
	Filling  Stage = "filling"  // fields are being filled
	Waiting  Stage = "waiting"  // everything is filled, nothing is sent
	Leaving  Stage = "leaving"  // the page is left
	Pressed  Stage = "pressed"  // the form's button was pressed, and nothing of what followed was let out
	Sent     Stage = "sent"     // a form that the owner marked as a test was sent
)

// Filled tells whether a field had been filled by then.
func (s Stage) Filled() bool {
	return s == Filling || s == Waiting || s == Leaving || s == Pressed || s == Sent
}

// Mark says in which visit, and when in it.
type Mark struct {
	Visit   int // 0: before the first
	Stage   Stage
	Consent bool // somebody allowed it, in answer to the page's question about cookies
}

// Exchange is one request that left the browser, as the proxy received it.
type Exchange struct {
	N       int // counted from 1
	At      time.Time
	Took    time.Duration
	Method  string
	URL     *url.URL
	Header  http.Header
	Body    []byte // as sent, packed or not; at most bodyKept bytes
	Status  int    // 0: there was no answer
	Answer  http.Header
	Size    int64   // bytes of the answer
	Cut     bool    // the answer was longer than a scan takes
	Refused Refusal // why the proxy did not pass it on; empty: it did
	Failed  string  // why there was no answer, in the operator's words
	Frames  []Frame // what a socket sent
	Mark    Mark
}

// Navigates tells whether a request goes to a page, and fetches no part of one. A
// browser says so over TLS and to this machine in one header (Fetch Metadata), and
// else in another.
func (e *Exchange) Navigates() bool {
	if mode := e.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return e.Header.Get("Upgrade-Insecure-Requests") == "1"
}

// Frame is one message that a page sent over a socket.
type Frame struct {
	At   time.Time
	Data []byte
	Mark Mark
}

// Refusal is why a request was not passed on.
type Refusal string

// The refusals.
const (
	Local  Refusal = "local"  // to this machine or its network
	Held   Refusal = "held"   // it would have sent what was typed
	TooBig Refusal = "volume" // the visit had taken all that a visit may
	Itself Refusal = "itself" // the browser asked its maker something; no page did
)

// bodyKept bounds what is kept of one request, and frameKept of one message.
const (
	bodyKept   = 2 << 20
	frameKept  = 256 << 10
	mostFrames = 4000
	mostKept   = 20_000 // exchanges of one scan
)
