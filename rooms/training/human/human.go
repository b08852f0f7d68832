// Package human tells whether a person acted on a page, or a program: a link
// scanner, a preview, a sandbox with a real browser in it. Whoever is counted as
// having followed a link did something that only somebody at a page does. What
// cannot be told is a program's: nobody is blamed on a guess.
//
// It looks at how one act came about and at nothing else: no address of a network,
// no list of fonts, nothing that names a computer. What it cannot tell from a
// person is a program that was written against it: one that moves a pointer as
// people do, waits as they do, and hides that it is driven.
package human

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Why says why something is counted as automatic. People is the one that is not.
type Why string

// The reasons, as they are counted.
const (
	People    Why = "person"
	NoAct     Why = "no-act"         // a page was fetched, and nothing done on it
	Head      Why = "head"           // only its head was asked for
	Prefetch  Why = "prefetch"       // a browser fetched it in case somebody goes there
	Program   Why = "program"        // it says that it is one
	Another   Why = "another-agent"  // the page was given to another browser than the one that acts
	Replayed  Why = "replayed"       // the page was used already, is forged or too old
	Trap      Why = "trap"           // something was pressed or filled that no person sees
	Delivered Why = "just-delivered" // seconds after the message was handed over
	Quick     Why = "too-quick"      // sooner than anybody can see a page
	Scripted  Why = "scripted"       // no act of a hand, a key or a screen reader was behind it
	Driven    Why = "driven"         // the browser says that a program drives it
	Unseen    Why = "unseen"         // the page was not on any screen
	Unlike    Why = "not-a-browser"  // it does not ask as the browser does that it says it is
	Reported  Why = "after-report"   // the message was reported before: whoever looks into it now looks into it
)

// Agent is a browser's User-Agent as far as it matters.
type Agent struct {
	Text     string
	Chromium int  // major version; 0: none
	WebView  bool // a page within an app
	Program  bool
}

// programs name themselves. Names of devices and of apps that show pages to
// people must not be among them.
var programs = regexp.MustCompile(`(?i)headlesschrome|phantomjs|chrome-lighthouse|google-?imageproxy|google-pagerenderer|google-safety|googlebot|bingbot|bingpreview|adidxbot|yandex(bot|images)|baiduspider|duckduckbot|applebot|slackbot|slack-imgproxy|skypeuripreview|microsoftpreview|bufferbot|whatsapp/|telegrambot|twitterbot|facebookexternalhit|facebookcatalog|meta-externalagent|linkedinbot|discordbot|mattermost-bot|zoombot|embedly|iframely|outlook-link-preview|ms-office|msoffice|microsoft office|safelinks|mimecast|barracuda|proofpoint|urldefense|messagelabs|urlscan|virustotal|checkmarknetwork|netcraft|mailguard|libredtail|curl/|wget/|python-|python/|aiohttp|httpx/|go-http-client|java/|okhttp|apache-httpclient|lwp::|libwww-perl|^ruby|node-fetch|axios/|undici|got \(|postman|insomnia|scrapy|mechanize|selenium|puppeteer|playwright|htmlunit|[a-z]bot/[0-9]|crawler|spider|\+https?://`)

var chromium = regexp.MustCompile(`(?:Chrome|Chromium)/(\d+)`)

// ReadAgent reads a User-Agent.
func ReadAgent(s string) Agent {
	a := Agent{Text: s, Program: s == "" || programs.MatchString(s) && !strings.Contains(strings.ToLower(s), "cubot")}
	if m := chromium.FindStringSubmatch(s); m != nil {
		a.Chromium, _ = strconv.Atoi(m[1])
	}
	a.WebView = strings.Contains(s, "; wv)") || strings.Contains(s, "Version/4.0 Chrome/")
	return a
}

// Fetch says why a request that is no act is no act.
func Fetch(method string, h http.Header) Why {
	purpose := strings.ToLower(h.Get("Sec-Purpose") + h.Get("Purpose") + h.Get("X-Purpose") + h.Get("X-Moz"))
	switch {
	case method == http.MethodHead:
		return Head
	case strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview") || strings.Contains(purpose, "prerender"):
		return Prefetch
	case ReadAgent(h.Get("User-Agent")).Program:
		return Program
	}
	return NoAct
}

// Trail is what the page's own script saw, in milliseconds and counts. It holds
// no position and no key.
type Trail struct {
	Kind    string  `json:"kind"`    // mouse, touch, pen, key, or "" where no device was seen: a screen reader, a voice
	Trusted bool    `json:"trusted"` // the browser vouches that the press was not made by a script
	Active  *bool   `json:"active"`  // the browser saw an act of a person on this page; null: it does not tell
	Driven  bool    `json:"driven"`  // navigator.webdriver
	Hidden  bool    `json:"hidden"`  // the page was not visible at the act
	Shown   float64 `json:"shown"`   // how long it had been
	Moves   int     `json:"moves"`   // of the pointer, since it was shown
	Span    float64 `json:"span"`    // from the first of them to the last
	Press   float64 `json:"press"`   // how long it was pressed
	Keys    int     `json:"keys"`    // pressed
	Typed   float64 `json:"typed"`   // from the first key to the last
}

// ReadTrail reads what the script wrote. nil: nothing, so no script ran.
func ReadTrail(text string) (*Trail, bool) {
	if text == "" {
		return nil, true
	}
	if len(text) > 1000 {
		return nil, false
	}
	t := &Trail{}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(t) != nil {
		return nil, false
	}
	return t, true
}

// Act is one request that would be an act.
type Act struct {
	At        time.Time
	Given     time.Time // when this page was given out
	Agent     string    // to which browser
	Used      bool      // and was used already
	Delivered time.Time // when the mail server took the message; zero: it has not said so yet
	Header    http.Header
	Cookie    bool   // the page's own cookie came back
	Secure    bool   // over TLS, or on this machine: then browsers say how they ask
	Trap      bool   // what no person sees was pressed or filled
	Trail     string // what the script wrote
}

// How long things take at least. A person who waits for a message sees it some
// seconds after the server took it at the earliest; whoever leaves no trail of a
// hand has to leave more time.
const (
	justDelivered = 10 * time.Second // nobody is that quick: notice, read, follow, act
	soonDelivered = time.Minute      // for acts that a program could have done too
	glance        = 400              // milliseconds until a shown page is seen and pressed by hand
	listen        = 1200             // the same by voice or screen reader, or unknown
	read          = 2 * time.Second  // without a script, by the server's clock
	lasts         = 60 * 24 * time.Hour
)

// Judge says whether a person was behind an act.
func Judge(a Act) Why {
	agent := ReadAgent(a.Header.Get("User-Agent"))
	waited := a.At.Sub(a.Given)
	switch {
	case a.Used || a.Given.IsZero() || waited < 0 || waited > lasts:
		return Replayed
	case agent.Text != a.Agent:
		return Another
	case agent.Program:
		return Program
	case a.Trap:
		return Trap
	case a.Delivered.IsZero() || a.At.Sub(a.Delivered) < justDelivered:
		return Delivered
	}
	if why := asked(a, agent); why != People {
		return why
	}
	t, ok := ReadTrail(a.Trail)
	switch {
	case !ok:
		return Unlike
	case t == nil:
		return withoutScript(a, agent, waited)
	}
	return withScript(a, *t, waited)
}

// asked looks at how the browser says it asks (W3C Fetch Metadata): a form that
// somebody sent is a navigation, and Chromium says that a person began it.
func asked(a Act, agent Agent) Why {
	mode, dest, site := a.Header.Get("Sec-Fetch-Mode"), a.Header.Get("Sec-Fetch-Dest"), a.Header.Get("Sec-Fetch-Site")
	switch {
	case mode != "" && mode != "navigate", dest != "" && dest != "document", site != "" && site != "same-origin":
		return Scripted
	case a.Secure && agent.Chromium >= 90 && !agent.WebView && mode == "":
		return Unlike
	case mode != "" && agent.Chromium >= 90 && !agent.WebView && a.Header.Get("Sec-Fetch-User") != "?1":
		return Scripted
	}
	return People
}

// withoutScript is for browsers whose script is off, or does not run.
func withoutScript(a Act, agent Agent, waited time.Duration) Why {
	vouched := a.Header.Get("Sec-Fetch-User") == "?1" && a.Header.Get("Sec-Fetch-Mode") == "navigate"
	switch {
	case waited < read:
		return Quick
	case a.At.Sub(a.Delivered) < soonDelivered:
		return Delivered
	case a.Header.Get("Accept-Language") == "" || !strings.Contains(a.Header.Get("Accept"), "text/html"):
		return Unlike
	case !vouched && !a.Cookie:
		return Unlike
	}
	return People
}

func withScript(a Act, t Trail, waited time.Duration) Why {
	switch {
	case t.Driven:
		return Driven
	case !t.Trusted || t.Active != nil && !*t.Active:
		return Scripted
	case t.Hidden:
		return Unseen
	case t.Shown < 0 || time.Duration(t.Shown)*time.Millisecond > waited+2*time.Second:
		return Unlike // it says that more time went by than did
	case t.byHand():
		if t.Shown < glance {
			return Quick
		}
	case t.Shown < listen:
		return Quick
	case a.At.Sub(a.Delivered) < soonDelivered:
		return Delivered
	}
	return People
}

// byHand tells that a device in somebody's hand left a trail: a pointer that
// travelled, a finger that stayed for a moment, keys one after another.
func (t Trail) byHand() bool {
	switch t.Kind {
	case "mouse", "pen":
		return t.Moves >= 3 && t.Span >= 60 && t.Press >= 15
	case "touch":
		return t.Press >= 15
	case "key":
		return t.Keys >= 2 && t.Typed >= 60
	}
	return false
}
