package training_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/ground/web"
)

// corpus is a file of replayed requests, see docs/formats.md.
type corpus struct {
	About  string
	Events []event
}

type event struct {
	Name      string
	Is        string // person, program
	Note      string
	After     float64 // seconds since the mail server took the message, until the first request
	Reported  bool    // the message was reported before
	Waiting   bool    // the mail server has not said yet that it took it
	TrailOnly bool    `json:"trail_only"`
	Requests  []request
}

type request struct {
	Wait        float64 // milliseconds since the one before
	Method      string
	Browser     string
	Agent       string            // in place of the browser's own
	Header      map[string]string // over the browser's own; "" takes one away
	Path        string            // behind the link's
	Page        *string           // which page's note is sent: absent the newest of this agent, "first", "other", "forged", ""
	Go          *string           // the button; absent "yes" where the key is missing
	All         bool              // the hidden box
	Trail       json.RawMessage
	User        *bool  // the browser vouches that a person began it; absent: as it does
	Cookie      *bool  // absent: kept
	Session     bool   // a session's cookie came in between
	ExpectFirst string `json:"expect_first"`
}

func (r *request) UnmarshalJSON(b []byte) error {
	type plain request
	var has map[string]json.RawMessage
	if err := json.Unmarshal(b, &has); err != nil {
		return err
	}
	yes := "yes"
	p := plain{Go: &yes}
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	*r = request(p)
	return nil
}

const (
	windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	html    = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// browsers are what each sends: agent, and whether it tells how it asks
// ("fetch": Sec-Fetch-*, "user": also who began it).
var browsers = map[string]struct {
	agent, language, accept string
	fetch, user             bool
}{
	"chrome":     {windows, "en-US,en;q=0.9", html, true, true},
	"edge":       {windows + " Edg/142.0.0.0", "en-US,en;q=0.9", html, true, true},
	"headless":   {strings.Replace(windows, "Chrome/", "HeadlessChrome/", 1), "en-US", html, true, true},
	"firefox":    {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "en-US,en;q=0.5", html, true, true},
	"safari":     {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15", "en-US,en;q=0.9", html, true, false},
	"ios":        {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1", "en-US,en;q=0.9", html, true, false},
	"android":    {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "en-US,en;q=0.9", html, true, true},
	"webview":    {"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36", "en-US,en;q=0.9", html, false, false},
	"inapp":      {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/480.0.0.40.109;FBDV/iPhone15,2]", "en-US,en;q=0.9", html, true, false},
	"cubot":      {"Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20 Build/RP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "en-US,en;q=0.9", html, true, true},
	"oldipad":    {"Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1", "en-us", html, false, false},
	"lynx":       {"Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/3.5.1", "en", "text/html, text/plain, */*;q=0.1", false, false},
	"rare":       {"Mozilla/5.0 (X11; Haiku x86_64) WebPositive/1.3", "de", html, false, false},
	"crawler":    {"Mozilla/5.0 (compatible; LinkTester)", "", "*/*", false, false},
	"fakechrome": {windows, "en-US", html, false, false},
}

// TestTheCorpusIsToldApart replays all requests: 0 programs counted as people,
// and no person lost. QUIETROOM_CORPUS names a folder of more such files.
func TestTheCorpusIsToldApart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/corpus/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if more := os.Getenv("QUIETROOM_CORPUS"); more != "" {
		others, err := filepath.Glob(filepath.Join(more, "*.json"))
		if err != nil || len(others) == 0 {
			t.Fatalf("no corpus in %s: %v", more, err)
		}
		files = append(files, others...)
	}
	var events []event
	seen := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c corpus
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		events = append(events, c.Events...)
	}
	h := newHouse(t, len(events)+1)
	h.held = true
	h.must(h.TurnOn(t.Context()))
	for h.wait(24 * time.Hour); len(h.letters) < len(events)+1; h.wait(3 * time.Hour) {
		h.must(h.Turn(t.Context()))
		if h.clock().After(start.AddDate(0, 2, 0)) {
			t.Fatalf("only %d messages went out", len(h.letters))
		}
	}
	letters := h.letters[:len(events)+1]
	for i, e := range events {
		seen[e.Is]++
		t.Run(e.Name, func(t *testing.T) { h.replay(t, e, letters[i], letters[len(events)]) })
	}
	if seen["program"] < 40 || seen["person"] < 30 {
		t.Errorf("only %v were replayed", seen)
	}
	// The practice's figures say the same, and so does what is told of programs.
	_, _, wentOn, passkeys, err := h.Figures(t.Context())
	if err != nil || wentOn+passkeys != seen["person"] {
		t.Errorf("the figures tell of %d people, want %d (%v)", wentOn+passkeys, seen["person"], err)
	}
}

var noteInPage = regexp.MustCompile(`name="page" value="([0-9a-f]+)"`)

// replay sends one event's requests, about one message.
func (h *house) replay(t *testing.T, e event, letter, another string) {
	m, other := h.sent[letter], h.sent[another]
	h.queued[letter] = h.clock()
	if !e.Waiting {
		delete(h.states, letter)
		h.must(h.Collect(t.Context())) // it is known to be sent
	}
	if e.Reported {
		h.must(h.ReportMark(h.as(0), m.Marker))
	}
	h.wait(time.Duration(e.After * float64(time.Second)))
	notes, first := map[string]string{}, ""
	cookies := map[string]bool{}
	for i, q := range e.Requests {
		h.wait(time.Duration(q.Wait * float64(time.Millisecond)))
		b, ok := browsers[q.Browser]
		if !ok {
			b = browsers["chrome"]
		}
		if q.Agent != "" {
			b.agent = q.Agent
		}
		var body string
		if q.Method == "POST" {
			page := notes[b.agent]
			if page == "" {
				page = first
			}
			if q.Page != nil {
				switch *q.Page {
				case "first":
					page = first
				case "forged":
					page = strings.Repeat("ab", 60)
				case "other":
					page = h.pageOf(link(other), b.agent)
				default:
					page = *q.Page
				}
			}
			form := url.Values{"page": {page}, "how": {""}}
			if q.Go != nil {
				form.Set("go", *q.Go)
			}
			if q.All {
				form.Set("all", "1")
			}
			if len(q.Trail) > 0 && string(q.Trail) != "null" {
				form.Set("how", string(q.Trail))
			}
			body = form.Encode()
		}
		r := httptest.NewRequest(q.Method, link(m)+q.Path, strings.NewReader(body))
		r.Host = "localhost:1234"
		set := func(k, v string) {
			if v == "" {
				r.Header.Del(k)
			} else {
				r.Header.Set(k, v)
			}
		}
		set("User-Agent", b.agent)
		set("Accept-Language", b.language)
		set("Accept", b.accept)
		if q.Method == "POST" {
			set("Content-Type", "application/x-www-form-urlencoded")
			set("Origin", "null")
		}
		if b.fetch {
			site := map[string]string{"GET": "none", "HEAD": "none", "POST": "same-origin"}[q.Method]
			set("Sec-Fetch-Site", site)
			set("Sec-Fetch-Mode", "navigate")
			set("Sec-Fetch-Dest", "document")
			if user := q.User == nil && b.user || q.User != nil && *q.User; user {
				set("Sec-Fetch-User", "?1")
			}
		}
		for k, v := range q.Header {
			set(k, v)
		}
		if cookies[b.agent] && (q.Cookie == nil || *q.Cookie) {
			r.AddCookie(&http.Cookie{Name: "qr-page", Value: "1"})
		}
		if q.Session {
			r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "1"})
		}
		w := httptest.NewRecorder()
		h.mux.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("request %d: %d", i, w.Code)
		}
		if found := noteInPage.FindStringSubmatch(w.Body.String()); found != nil {
			notes[b.agent] = found[1]
			if first == "" {
				first = found[1]
			}
		}
		if w.Header().Get("Set-Cookie") != "" && (q.Cookie == nil || *q.Cookie) {
			cookies[b.agent] = true
		}
		if strings.Contains(strings.ToLower(w.Body.String()), `type="password"`) {
			t.Error("the page asks for a password")
		}
	}
	people := h.acts(m, "people")
	switch {
	case e.Is == "program" && people != 0:
		t.Errorf("a program was counted as a person (%v)", h.whys(m))
	case e.Is == "person" && people != 1:
		t.Errorf("a person was lost: %v", h.whys(m))
	}
}

// pageOf fetches the page of a message as a browser with that agent.
func (h *house) pageOf(path, agent string) string {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("User-Agent", agent)
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return noteInPage.FindStringSubmatch(w.Body.String())[1]
}
