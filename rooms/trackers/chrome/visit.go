package chrome

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

//go:embed hook.js
var hookScript string

//go:embed look.js
var lookScript string

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
	Shot   bool                       // take a picture
	Most   time.Duration              // the whole visit; 25 seconds if zero
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
	What  string   // canvas, fonts, audio, graphics card, webrtc, webtransport, keys, pointer, permission, window
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

// marks are the values that were typed: a request that goes to a new page with
// one of them in its address is a form on its way.
type marks struct {
	mu  sync.Mutex
	all []string
}

func (m *marks) add(v string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(v) > 5 {
		m.all = append(m.all, v, url.QueryEscape(v))
	}
}

// sends tells whether a request would send a form: a page is asked for with what
// was typed, before the owner said so.
func (b *Browser) sends(e *Exchange) bool {
	if !e.Mark.Stage.Filled() || e.Mark.Stage == Leaving || e.Mark.Stage == Sent || e.Header.Get("Sec-Fetch-Mode") != "navigate" || e.Header.Get("Sec-Fetch-Dest") != "document" {
		return false
	}
	if e.Method != http.MethodGet {
		return true
	}
	if !b.conf.Own(e.URL.Host) {
		return false // what a script sends with a window of its own
	}
	b.marks.mu.Lock()
	defer b.marks.mu.Unlock()
	for _, m := range b.marks.all {
		if strings.Contains(e.URL.RawQuery, m) {
			return true
		}
	}
	return false
}

// tab is the page that is being visited.
type tab struct {
	b     *Browser
	ctx   context.Context
	v     *Visit
	order Order
	mark  Mark

	beyond map[string]runtime.ExecutionContextID // beside frames of others; 0: the page's own world reaches them
	inside runtime.ExecutionContextID            // where the last field was found; 0: in the page's own world

	mu    sync.Mutex
	world runtime.ExecutionContextID
	main  cdp.FrameID
}

// Visit looks at one page. The error is the scan's own; what is wrong with the
// page stands in the visit.
func (b *Browser) Visit(ctx context.Context, o Order) (*Visit, error) {
	if o.Most == 0 {
		o.Most = 25 * time.Second
	}
	b.visits++
	v := &Visit{N: b.visits, URL: o.URL, Began: b.conf.Now(), Chains: map[string][]string{}}
	if b.run == nil || b.run.Err() != nil {
		if err := b.restart(ctx); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	mind := 0
	if o.Answer == Accept || o.Answer == Reject {
		mind = 1
	}
	live, cancel := context.WithTimeout(ctx, o.Most)
	defer cancel()
	err := b.visit(live, o, v, mind)
	v.Took = time.Since(began)
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	switch {
	case b.guard.over.Load():
		v.Problem, v.Why = Crashed, "the page took more memory than a scan gives it"
	case b.run.Err() != nil:
		v.Problem, v.Why = Crashed, "the page ended the browser"
	case live.Err() != nil:
		v.Problem, v.Why = Hung, "the page did not come to an end"
		b.end() // a tab that hangs cannot be closed in good time
		b.run = nil
	case err != nil && v.Problem == "":
		v.Problem, v.Why = Unreachable, err.Error()
	}
	if v.Problem == Crashed {
		b.end()
		b.run = nil
	}
	return v, nil
}

func (b *Browser) visit(ctx context.Context, o Order, v *Visit, mind int) error {
	own, closeTab := chromedp.NewContext(b.run, chromedp.WithExistingBrowserContext(b.minds[mind]))
	gone := make(chan struct{})
	defer func() {
		go func() { closeTab(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(3 * time.Second):
		}
	}()
	opened := make(chan error, 1)
	go func() { opened <- chromedp.Do(own) }()
	select {
	case err := <-opened:
		if err != nil {
			return fmt.Errorf("open a tab: %w", err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	live, cancel := context.WithCancel(own) // ends with the visit, and carries the tab
	defer cancel()
	context.AfterFunc(ctx, cancel)
	t := &tab{b: b, ctx: live, v: v, order: o, mark: Mark{Visit: v.N, Stage: Arriving, Consent: mind == 1 && o.Answer != Ignore && b.answered()}}
	b.proxy.at(t.mark)
	stop := t.listen()
	defer stop()
	return t.run()
}

// answered tells whether the second mind has met the question before: what it
// does then counts as after the answer.
func (b *Browser) answered() bool { return len(b.cookies(1)) > 0 }

// stage says what comes next.
func (t *tab) stage(s Stage) {
	t.mark.Stage = s
	t.b.proxy.at(t.mark)
	if t.order.Stage != nil {
		t.order.Stage(s)
	}
}

// run is the visit of a patient.
func (t *tab) run() error {
	if t.order.Stage != nil {
		t.order.Stage(Arriving)
	}
	if err := t.arrive(); err != nil {
		return err
	}
	t.look()
	if t.v.Problem != "" {
		return nil
	}
	t.consent()
	t.wander()
	if t.order.Fill != nil {
		t.fill()
	}
	if t.order.Shot {
		t.picture()
	}
	if t.order.Send {
		t.send()
	}
	t.keep()
	t.leave()
	return nil
}

// arrive opens the page and waits until it has come to rest.
func (t *tab) arrive() error {
	if _, err := chromedp.Call(t.ctx, runtime.AddBinding, runtime.AddBindingParams{Name: binding}); err != nil {
		return err
	}
	script := strings.ReplaceAll(hookScript, "BINDING", binding)
	if _, err := chromedp.Call(t.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		return err
	}
	loaded := chromedp.Events(t.ctx, page.LoadEventFired)
	before := t.b.proxy.count()
	res, err := chromedp.Call(t.ctx, page.Navigate, page.NavigateParams{URL: t.order.URL})
	if err != nil {
		return err
	}
	if res.ErrorText != "" {
		t.v.Problem, t.v.Why = Unreachable, res.ErrorText
		if strings.Contains(res.ErrorText, "ERR_ABORTED") {
			t.v.Problem, t.v.Why = NotHTML, "it is a file to keep, and no page"
		}
		t.document(before)
		return nil
	}
	t.main = res.FrameID
	waited, cancel := context.WithTimeout(t.ctx, 6*time.Second)
	defer cancel()
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		for range loaded {
			return
		}
	}()
	select {
	case <-arrived:
	case <-waited.Done(): // a page that never finishes is looked at as it stands
	}
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	t.b.proxy.settle(t.ctx, 350*time.Millisecond, 2500*time.Millisecond)
	t.document(before)
	return nil
}

// document finds the page's own answer among what the proxy saw.
func (t *tab) document(before int) {
	for _, e := range t.b.proxy.since(before) {
		if e.Header.Get("Sec-Fetch-Dest") == "document" && e.Status > 0 {
			t.v.Status, t.v.Answer = e.Status, e.Answer
			if t.v.At == "" {
				t.v.At = e.URL.String()
			}
		}
		if t.v.Problem == Unreachable && e.Refused == Local {
			t.v.Why = ErrLocal.Error()
		}
	}
}

const binding = "__arrived"

// listen hears what the browser itself records.
func (t *tab) listen() (stop func()) {
	calls := chromedp.Events(t.ctx, runtime.BindingCalled)
	requests := chromedp.Events(t.ctx, network.RequestWillBeSent)
	dialogs := chromedp.Events(t.ctx, page.JavascriptDialogOpening)
	windows := chromedp.BrowserEvents(t.ctx, target.TargetCreated)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range calls {
			if err != nil {
				return
			}
			var c struct {
				What, More, At string
				Chain          []string
			}
			if e.Name == binding && json.Unmarshal([]byte(e.Payload), &c) == nil {
				t.mu.Lock()
				if len(t.v.Calls) < 500 {
					t.v.Calls = append(t.v.Calls, Call(struct {
						What, More string
						Chain      []string
						At         string
					}{c.What, c.More, c.Chain, c.At}))
				}
				t.mu.Unlock()
			}
		}
	})
	wg.Go(func() {
		for e, err := range requests {
			if err != nil {
				return
			}
			var body []byte
			for _, p := range e.Request.PostDataEntries {
				body = append(body, p.Bytes...)
			}
			t.mu.Lock()
			if len(t.v.Order) < 5000 {
				t.v.Order = append(t.v.Order, Ident(e.Request.Method, e.Request.URL, body))
			}
			if len(t.v.Chains) < 2000 {
				t.v.Chains[e.Request.Method+" "+e.Request.URL] = chainOf(e.Initiator)
			}
			t.mu.Unlock()
		}
	})
	wg.Go(func() {
		for _, err := range dialogs {
			if err != nil {
				return
			}
			_, _ = chromedp.Call(t.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	})
	wg.Go(func() {
		for e, err := range windows {
			if err != nil {
				return
			}
			if e.TargetInfo.Type != "page" || e.TargetInfo.OpenerID == "" {
				continue
			}
			t.mu.Lock()
			t.v.Windows++
			many := t.v.Windows > 5
			t.mu.Unlock()
			wg.Go(func() { // the first may show what they send
				if !many {
					sleep(t.ctx, time.Second)
				}
				_, _ = chromedp.CallBrowser(t.b.run, target.CloseTarget, target.CloseTargetParams{TargetID: e.TargetInfo.TargetID})
			})
		}
	})
	return func() {
		// The iterators end when the context does; Visit ends it right after.
		go wg.Wait()
	}
}

// Ident names a request by what it says: so the order in which a page made its
// requests is known, where they left by several connections.
func Ident(method, address string, body []byte) string {
	sum := sha256.Sum256(body)
	return method + " " + address + " " + string(sum[:8])
}

// chainOf are the scripts that led to a request, the nearest first.
func chainOf(i *network.Initiator) []string {
	if i == nil {
		return nil
	}
	var all []string
	add := func(u string) {
		if u != "" && (len(all) == 0 || all[len(all)-1] != u) && len(all) < 8 {
			all = append(all, u)
		}
	}
	for s := i.Stack; s != nil; s = s.Parent {
		for _, f := range s.CallFrames {
			add(f.URL)
		}
	}
	add(i.URL)
	return all
}

// ask runs a function of look.js in the world beside the page.
func ask[T any](t *tab, call string) (out T, err error) {
	for again := range 2 {
		t.mu.Lock()
		world := t.world
		t.mu.Unlock()
		if world == 0 {
			if world, err = t.enter(); err != nil {
				return out, err
			}
		}
		if out, err = askIn[T](t, world, call); err == nil || again > 0 {
			return out, err
		}
		t.mu.Lock()
		t.world = 0 // the page went on: its world is another
		t.mu.Unlock()
	}
	return out, errors.New("the page went away")
}

func askIn[T any](t *tab, world runtime.ExecutionContextID, call string) (out T, err error) {
	asked, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	res, err := chromedp.Call(asked, runtime.Evaluate, runtime.EvaluateParams{Expression: "globalThis.qr." + call, ContextID: world, ReturnByValue: new(true), UserGesture: new(true)})
	if err != nil {
		return out, err
	}
	if res.ExceptionDetails != nil {
		return out, fmt.Errorf("look at the page (%s): %s", call, res.ExceptionDetails.Text)
	}
	if res.Result == nil || len(res.Result.Value) == 0 {
		return out, nil
	}
	return out, json.Unmarshal(res.Result.Value, &out)
}

// askAll asks beside the page, and then beside each frame of another site, until
// one has an answer.
func askAll[T any](t *tab, call string, answers func(T) bool) (T, error) {
	out, err := ask[T](t, call)
	if err != nil || answers(out) {
		t.inside = 0
		return out, err
	}
	for _, world := range t.frames() {
		if other, err := askIn[T](t, world, call); err == nil && answers(other) {
			t.inside = world
			return other, nil
		}
	}
	return out, nil
}

// askHere asks where the last field was found.
func askHere[T any](t *tab, call string) (T, error) {
	if t.inside != 0 {
		return askIn[T](t, t.inside, call)
	}
	return ask[T](t, call)
}

// enter makes the world in which look.js runs.
func (t *tab) enter() (runtime.ExecutionContextID, error) {
	asked, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	tree, err := chromedp.Call(asked, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	world, err := t.beside(tree.FrameTree.Frame.ID)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	t.world = world
	t.mu.Unlock()
	return world, nil
}

// beside makes a world beside one frame.
func (t *tab) beside(frame cdp.FrameID) (runtime.ExecutionContextID, error) {
	asked, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	res, err := chromedp.Call(asked, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: "looking"})
	if err != nil {
		return 0, err
	}
	_, err = chromedp.Call(asked, runtime.Evaluate, runtime.EvaluateParams{Expression: lookScript, ContextID: res.ExecutionContextID})
	return res.ExecutionContextID, err
}

// lookedInto is how many frames of others are looked into.
const lookedInto = 12

// frames are worlds beside the frames of other sites, which the page's own does
// not reach. What comes later is found later.
func (t *tab) frames() (worlds []runtime.ExecutionContextID) {
	asked, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	tree, err := chromedp.Call(asked, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return nil
	}
	var walk func(*page.FrameTree)
	walk = func(f *page.FrameTree) {
		for _, c := range f.ChildFrames {
			if t.beyond == nil {
				t.beyond = map[string]runtime.ExecutionContextID{}
			}
			key := string(c.Frame.ID) + string(c.Frame.LoaderID)
			world, known := t.beyond[key]
			if !known && len(t.beyond) < lookedInto {
				if world, err = t.beside(c.Frame.ID); err == nil {
					if reached, err := askIn[bool](t, world, "reached()"); err != nil || reached {
						world = 0
					}
				}
				t.beyond[key] = world
			}
			if world != 0 {
				worlds = append(worlds, world)
			}
			walk(c)
		}
	}
	walk(tree.FrameTree)
	return worlds
}

// look reads what the page is.
func (t *tab) look() {
	if t.v.Problem != "" {
		return
	}
	facts, err := ask[struct {
		Title, Lang, URL, Text, Types string
		Links                         []Link
		Forms                         []Form
		Password, Captcha             bool
		Closed                        int
	}](t, "facts()")
	if err != nil {
		t.v.Problem, t.v.Why = Unreachable, err.Error()
		return
	}
	t.v.Title, t.v.Lang, t.v.At, t.v.Text, t.v.Links, t.v.Forms = facts.Title, facts.Lang, facts.URL, facts.Text, facts.Links, facts.Forms
	t.v.Password, t.v.Captcha, t.v.Closed = facts.Password, facts.Captcha, facts.Closed
	switch at, err := url.Parse(facts.URL); {
	case err != nil || at.Scheme != "http" && at.Scheme != "https":
		t.v.Problem, t.v.Why = Unreachable, "it leads to no page of the web"
	case !t.b.conf.Own(at.Host):
		t.v.Problem, t.v.Why = Elsewhere, at.Host
	case t.v.Status == 401 || t.v.Status == 403 || t.v.Status == 429 || t.v.Status == 503 || wall(facts.Title):
		t.v.Problem, t.v.Why = Blocked, fmt.Sprintf("the site answered %d", t.v.Status)
	case facts.Types != "" && facts.Types != "text/html" && facts.Types != "application/xhtml+xml":
		t.v.Problem, t.v.Why = NotHTML, facts.Types
	}
}

// wall tells the title of a page that is shown instead of the site.
func wall(title string) bool {
	title = strings.ToLower(title)
	for _, w := range []string{"just a moment", "attention required", "access denied", "are you a robot", "are you human", "security check", "ddos-guard", "verify you are"} {
		if strings.Contains(title, w) {
			return true
		}
	}
	return false
}

type point struct{ X, Y float64 }

// press clicks as a hand does.
func (t *tab) press(p *point) {
	if p == nil {
		return
	}
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMouseMoved, input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		params := input.DispatchMouseEventParams{Type: kind, X: p.X, Y: p.Y}
		if kind != input.DispatchMouseEventTypeMouseMoved {
			params.Button, params.ClickCount = input.MouseButtonLeft, 1
		}
		if !t.quick(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, input.DispatchMouseEvent, params)
			return err
		}) {
			return
		}
	}
}

// quick gives a step a moment: a page may hold up its own events.
func (t *tab) quick(do func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(t.ctx, 3*time.Second)
	defer cancel()
	return do(ctx) == nil
}

// consent answers the question about cookies, or notes that there is one.
func (t *tab) consent() {
	type question struct {
		Found   bool
		Pressed string
		At      *point
	}
	got, err := askAll(t, fmt.Sprintf("banner(%q)", t.order.Answer), func(q question) bool { return q.Found })
	if err != nil {
		return
	}
	t.v.Banner = got.Found
	if got.Pressed == "" {
		return
	}
	t.press(got.At)
	t.v.Answered = got.Pressed
	t.mark.Consent = true
	t.stage(Answered)
	t.b.proxy.settle(t.ctx, 300*time.Millisecond, 2*time.Second)
}

// wander moves about as somebody who reads: down the page, over it, and into
// what is folded.
func (t *tab) wander() {
	for range 3 {
		t.quick(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: 600, Y: 400, DeltaY: 700})
			return err
		})
		sleep(t.ctx, 40*time.Millisecond)
	}
	for range 4 {
		m, err := ask[*struct{ At *point }](t, "menu()")
		if err != nil || m == nil {
			break
		}
		t.press(m.At)
	}
	t.b.proxy.settle(t.ctx, 150*time.Millisecond, time.Second)
}

// Bounds of what is filled on one page.
const (
	mostFields = 60
	mostSteps  = 6
)

// fill fills every field, chooses, and goes on through the steps of a form. It
// presses nothing that sends.
func (t *tab) fill() {
	t.stage(Filling)
	for range mostSteps {
		before := len(t.v.Filled)
		t.fillStep()
		if t.ctx.Err() != nil || len(t.v.Filled) >= mostFields {
			break
		}
		b, err := ask[*struct {
			Text string
			At   *point
		}](t, "onward()")
		if err != nil || b == nil {
			break
		}
		t.key("Tab", 9, "") // the last field is left
		t.press(b.At)
		t.b.proxy.settle(t.ctx, 150*time.Millisecond, 1500*time.Millisecond)
		if len(t.v.Filled) == before {
			break
		}
	}
	if len(t.v.Filled) == 0 {
		return
	}
	t.key("Tab", 9, "")
	_, _ = askHere[bool](t, "rest()") // a frame's last field keeps the focus otherwise
	t.stage(Waiting)
	sleep(t.ctx, 1200*time.Millisecond) // what waits a moment before it sends
	t.b.proxy.settle(t.ctx, 300*time.Millisecond, 2500*time.Millisecond)
}

func (t *tab) fillStep() {
	for len(t.v.Filled) < mostFields && t.ctx.Err() == nil {
		type found struct {
			Tag, Type, Name, Label, Hint, Min, Max, Chosen, Value string
			Most                                                  int
			At                                                    *point
		}
		f, err := askAll(t, "next()", func(f *found) bool { return f != nil })
		if err != nil || f == nil {
			break
		}
		field := Field{Tag: f.Tag, Type: f.Type, Name: f.Name, Label: f.Label, Hint: f.Hint, Most: f.Most, Min: f.Min, Max: f.Max, Chosen: f.Chosen, Value: f.Value, Stage: Filling}
		switch {
		case field.Type == "select":
		case field.Type == "radio" || field.Type == "checkbox":
			t.press(f.At)
		default:
			value, ok := t.order.Fill(field)
			if !ok {
				continue
			}
			t.b.marks.add(value)
			t.press(f.At)
			t.write(field, value)
			field.Value = value
		}
		t.v.Filled = append(t.v.Filled, field)
	}
	s, err := ask[*struct {
		Chosen string
		At     *point
	}](t, "slot()")
	if err != nil || s == nil {
		return
	}
	t.press(s.At)
	t.v.Filled = append(t.v.Filled, Field{Type: "appointment", Label: "appointment", Chosen: s.Chosen, Value: s.Chosen, Stage: Filling})
}

// write types into the focused field, key by key, as a person does.
func (t *tab) write(f Field, value string) {
	switch f.Type {
	case "date", "time", "month", "week", "datetime-local":
		_, _ = askHere[bool](t, fmt.Sprintf("set(%q)", value))
		return
	}
	for _, r := range value {
		if t.ctx.Err() != nil {
			return
		}
		key := string(r)
		t.key(key, int64(strings.ToUpper(key)[0]), key)
	}
	if got, err := askHere[string](t, "has()"); err == nil && got == "" {
		_, _ = askHere[bool](t, fmt.Sprintf("set(%q)", value)) // a field that takes no keys
	}
}

func (t *tab) key(name string, code int64, text string) {
	physical := ""
	if len(name) == 1 {
		switch c := strings.ToUpper(name)[0]; {
		case c >= 'A' && c <= 'Z':
			physical = "Key" + string(c)
		case c >= '0' && c <= '9':
			physical = "Digit" + string(c)
		default:
			code = map[byte]int64{'@': 50, '.': 190, '-': 189, ' ': 32, '(': 57, ')': 48}[c]
		}
	} else {
		physical = name
	}
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		params := input.DispatchKeyEventParams{Type: kind, Key: name, Code: physical, WindowsVirtualKeyCode: code, NativeVirtualKeyCode: code}
		if kind == input.DispatchKeyEventTypeKeyDown {
			params.Text, params.UnmodifiedText = text, text
		}
		if !t.quick(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, input.DispatchKeyEvent, params)
			return err
		}) {
			return
		}
	}
}

func (t *tab) picture() {
	t.quick(func(ctx context.Context) error {
		png, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng})
		t.v.Shot = png.Data
		return err
	})
}

// send presses the form's own button, where the owner allowed it.
func (t *tab) send() {
	b, err := ask[*struct {
		Text string
		At   *point
	}](t, "send()")
	if err != nil || b == nil {
		return
	}
	t.stage(Sent)
	t.press(b.At)
	sleep(t.ctx, 500*time.Millisecond)
	t.b.proxy.settle(t.ctx, 400*time.Millisecond, 4*time.Second)
	t.mu.Lock()
	t.world = 0
	t.mu.Unlock()
}

// keep notes what the site left in the browser.
func (t *tab) keep() {
	t.v.Stored, _ = ask[[]Stored](t, "storage()")
	mind := 0
	if t.order.Answer == Accept || t.order.Answer == Reject {
		mind = 1
	}
	t.v.Cookies = t.b.cookies(mind)
}

// leave goes away without sending, and waits for what is sent then.
func (t *tab) leave() {
	t.stage(Leaving)
	t.quick(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: "about:blank"})
		return err
	})
	sleep(t.ctx, 100*time.Millisecond)
	t.b.proxy.settle(t.ctx, 300*time.Millisecond, 1500*time.Millisecond)
}
