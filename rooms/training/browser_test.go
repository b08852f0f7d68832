package training_test

import (
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/rooms/training"
)

// person makes a tab one that a person sits at, as far as the page can see: it
// does not say that it is headless or driven.
func person(t *testing.T, b *webtest.Tab, agent string) {
	t.Helper()
	for _, err := range []error{
		second(chromedp.Call(b.Context(), page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `Object.defineProperty(Navigator.prototype, 'webdriver', { get: () => false })`})),
		second(chromedp.Call(b.Context(), emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: "en-US,en"})),
		second(chromedp.Call(b.Context(), emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

// mouse moves to the button as a hand does, and presses.
func mouse(t *testing.T, b *webtest.Tab) {
	t.Helper()
	at := webtest.Eval[[]float64](b, `(r => [r.x + r.width/2, r.y + r.height/2])(document.querySelector('form[data-act] button').getBoundingClientRect())`)
	send := func(p input.DispatchMouseEventParams) {
		if err := second(chromedp.Call(b.Context(), input.DispatchMouseEvent, p)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		f := float64(i+1) / 12
		send(input.DispatchMouseEventParams{Type: "mouseMoved", X: at[0] * f, Y: at[1]*f + 20*math.Sin(3*f*math.Pi)*(1-f)})
		time.Sleep(25 * time.Millisecond)
	}
	send(input.DispatchMouseEventParams{Type: "mousePressed", X: at[0], Y: at[1], Button: "left", Buttons: 1, ClickCount: 1})
	time.Sleep(60 * time.Millisecond)
	send(input.DispatchMouseEventParams{Type: "mouseReleased", X: at[0], Y: at[1], Button: "left", ClickCount: 1})
}

func key(t *testing.T, b *webtest.Tab, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if err := chromedp.Do(b.Context(), chromedp.KeyEvent(k)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(120 * time.Millisecond)
	}
}

func touch(t *testing.T, b *webtest.Tab) {
	t.Helper()
	at := webtest.Eval[[]float64](b, `(r => [r.x + r.width/2, r.y + r.height/2])(document.querySelector('form[data-act] button').getBoundingClientRect())`)
	for _, p := range []input.DispatchTouchEventParams{{Type: "touchStart", TouchPoints: []*input.TouchPoint{{X: at[0], Y: at[1]}}}, {Type: "touchEnd", TouchPoints: []*input.TouchPoint{}}} {
		if err := second(chromedp.Call(b.Context(), input.DispatchTouchEvent, p)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(70 * time.Millisecond)
	}
}

// TestPeopleAndProgramsInARealBrowser has the page's own script tell what really
// happens in Chromium, and the server judge it.
func TestPeopleAndProgramsInARealBrowser(t *testing.T) {
	t.Parallel()
	b := webtest.Browser(t)
	phone := strings.Replace(browsers["android"].agent, "Chrome/142", "Chrome/149", 1)
	desk := windows
	cues := func(b *webtest.Tab) { b.See("#cues") }
	for _, c := range []struct {
		title  string
		is     string
		agent  string // "": as Chromium says, and driven
		script bool
		do     func(t *testing.T, b *webtest.Tab)
	}{
		{"a mouse", "person", desk, true, func(t *testing.T, b *webtest.Tab) { time.Sleep(500 * time.Millisecond); mouse(t, b); cues(b) }},
		{"keys only", "person", desk, true, func(t *testing.T, b *webtest.Tab) { time.Sleep(500 * time.Millisecond); key(t, b, "\t", "\r"); cues(b) }},
		{"a finger", "person", phone, true, func(t *testing.T, b *webtest.Tab) {
			b.Width(390)
			time.Sleep(500 * time.Millisecond)
			touch(t, b)
			cues(b)
		}},
		{"a press without a path, as of a screen reader", "person", desk, true, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(1500 * time.Millisecond)
			b.Click("form[data-act] button")
			cues(b)
		}},
		{"no script", "person", desk, false, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(2100 * time.Millisecond)
			b.Click("form[data-act] button")
			time.Sleep(300 * time.Millisecond)
		}},
		{"a sandbox that looks only", "program", "", true, func(t *testing.T, b *webtest.Tab) { time.Sleep(300 * time.Millisecond) }},
		{"a sandbox that says it is driven, and acts like a hand", "program", "", true, func(t *testing.T, b *webtest.Tab) { time.Sleep(700 * time.Millisecond); mouse(t, b); cues(b) }},
		{"a hidden sandbox that clicks by script", "program", desk, true, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(1500 * time.Millisecond)
			webtest.Eval[any](b, `document.querySelector('form[data-act] button').click()`)
			cues(b)
		}},
		{"a hidden sandbox that submits by script", "program", desk, true, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(1500 * time.Millisecond)
			webtest.Eval[any](b, `document.querySelector('form[data-act]').submit()`)
			cues(b)
		}},
		{"a hidden sandbox that requests the submit", "program", desk, true, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(1500 * time.Millisecond)
			webtest.Eval[any](b, `(f => f.requestSubmit(f.querySelector('button')))(document.querySelector('form[data-act]'))`)
			cues(b)
		}},
		{"a hidden sandbox that makes events", "program", desk, true, func(t *testing.T, b *webtest.Tab) {
			time.Sleep(1500 * time.Millisecond)
			webtest.Eval[any](b, `(() => { const b = document.querySelector('form[data-act] button'); for (const k of ['pointermove','pointermove','pointermove','pointerdown','pointerup','click']) b.dispatchEvent(k === 'click' ? new MouseEvent(k, {bubbles: true, cancelable: true}) : new PointerEvent(k, {bubbles: true, pointerType: 'mouse'})); })()`)
			cues(b)
		}},
		{"a hidden sandbox that presses the instant the page is there", "program", desk, true, func(t *testing.T, b *webtest.Tab) { b.Click("form[data-act] button"); cues(b) }},
	} {
		t.Run(c.title, func(t *testing.T) {
			h := newHouse(t, 1)
			m := h.oneMessage()
			h.wait(2 * time.Minute)
			h.live = time.Now()
			at := webtest.Serve(t, h.mux)
			tab := b.Another()
			if c.agent != "" {
				person(t, tab, c.agent)
			}
			if !c.script {
				if err := second(chromedp.Call(tab.Context(), emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})); err != nil {
					t.Fatal(err)
				}
			}
			tab.Go(at + link(m))
			c.do(t, tab)
			people := h.acts(m, "")
			if c.is == "person" && people != 1 || c.is == "program" && people != 0 {
				t.Errorf("a %s, and %d people were counted: %v", c.is, people, h.whys(m))
			}
			for _, said := range tab.Complaints() {
				if c.is == "person" && !strings.Contains(said, "Transition was aborted") { // Chromium says so of a page that goes away while another comes
					t.Errorf("the browser complains: %s", said)
				}
			}
		})
	}
}

// oneMessage runs the house until one practice message is out.
func (h *house) oneMessage() training.Message {
	h.t.Helper()
	h.must(h.TurnOn(h.t.Context()))
	for h.wait(24 * time.Hour); len(h.letters) == 0; h.wait(2 * time.Hour) {
		h.must(h.Turn(h.t.Context()))
		if h.clock().After(start.AddDate(0, 2, 0)) {
			h.t.Fatal("no message went out")
		}
	}
	h.queued[h.letters[0]] = h.clock()
	h.must(h.Turn(h.t.Context()))
	return h.sent[h.letters[0]]
}

// TestPagesAtEveryWidthAndByKeysAlone looks at each page as people do. With
// QUIETROOM_PICTURES it leaves pictures there.
func TestPagesAtEveryWidthAndByKeysAlone(t *testing.T) {
	t.Parallel()
	b := webtest.Browser(t)
	pictures := os.Getenv("QUIETROOM_PICTURES")
	h := newHouse(t, 6)
	h.must(h.TurnOn(t.Context()))
	h.run(60 * 24 * time.Hour)
	done, err := h.Finish(h.as(0), h.staff[0].ID, "odd-links")
	h.must(err)
	h.must(h.ReportMark(h.as(0), h.sent[h.letters[0]].Marker))
	h.sequence()
	at := webtest.Serve(t, h.mux)
	if err := second(chromedp.Call(b.Context(), network.SetCookie, network.SetCookieParams{Name: web.SessionCookie, Value: "0", URL: at, Secure: new(true), Path: "/", HTTPOnly: new(true)})); err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat([][2]string{{"learn", "/training"}, {"step", "/training/lessons/lost-phone/1"}, {"certificate", "/training/certificates/" + done.ID}, {"team", "/training/team"}, {"practice", "/training/practice"}, {"mine", "/training/mine"},
		{"landing", link(h.sent[h.letters[len(h.letters)-1]])}, {"cues", link(h.sent[h.letters[len(h.letters)-1]]) + "/cues"}}, h.morePages()) {
		if pictures != "" {
			b.EveryWay(at+p[1], p[0], pictures)
			continue
		}
		for _, way := range []struct { // two of the four ways, so that it stays short
			px   int
			dark bool
		}{{390, false}, {1280, true}} {
			b.Width(way.px)
			b.Dark(way.dark)
			b.Go(at + p[1])
			b.Axe()
			b.Calm()
		}
	}
	// A lesson by keys alone, on a telephone's width.
	b.Width(390)
	b.Go(at + "/training/lessons/prompt-not-yours/1")
	for _, step := range []string{"1", "2", "3"} {
		if names := webtest.Eval[string](b, `[...document.querySelectorAll('fieldset')].map(f => f.querySelector('legend').textContent).join('|')`); names == "" {
			t.Errorf("step %s: the question has no name for a screen reader", step)
		}
		webtest.Eval[any](b, `document.querySelector('input[type=radio]').focus()`)
		key(t, b, " ", "\t", "\r")
		b.Arrive("/training/lessons/prompt-not-yours/" + step)
		b.See("#said")
		if step != "3" {
			webtest.Eval[any](b, `document.querySelector('.acts a.first').focus()`)
			key(t, b, "\r")
			b.Arrive("/training/lessons/prompt-not-yours/" + string(step[0]+1))
		}
	}
	webtest.Eval[any](b, `document.querySelector('form[action$=finish] button').focus()`)
	key(t, b, "\r")
	if got := b.See("h1"); !strings.Contains(got, "did the lesson") {
		t.Errorf("after the lesson: %q", got)
	}
	b.Calm()
}

func (h *house) sequence() {
	for {
		n, err := h.ledger.Sequence(h.t.Context())
		h.must(err)
		if n == 0 {
			return
		}
	}
}

// morePages are those of reports and exercises, with something on them.
func (h *house) morePages() [][2]string {
	thanks := h.upload(0, "A call from support, too", evil)
	_, list := h.get(0, "/training/reports")
	triage := regexpFind(list, `/training/reports/[0-9A-Za-z]{26}`)
	_, exercise, _ := h.post(0, "/training/exercises", "/training/exercises", url.Values{"script": {"stolen"}, "people": {"Jo and Al"}})
	h.post(0, exercise, exercise, url.Values{"said": {"Jo calls Ada back."}})
	return [][2]string{{"report", "/report"}, {"thanks", thanks}, {"reports", "/training/reports"}, {"triage", triage}, {"exercises", "/training/exercises"}, {"exercise", exercise}}
}
