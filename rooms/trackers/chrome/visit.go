package chrome

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

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

// sends tells whether a request would send a form before the owner said so: a
// page is asked for with what was typed, or the form's button was pressed.
func (b *Browser) sends(e *Exchange) bool {
	if e.Mark.Stage == Pressed {
		return true
	}
	if !e.Mark.Stage.Filled() || e.Mark.Stage == Leaving || e.Mark.Stage == Sent || !e.Navigates() || slices.Contains([]string{"iframe", "frame", "object", "embed"}, e.Header.Get("Sec-Fetch-Dest")) {
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
	silent int                                   // answers that did not come in time
	giveUp context.CancelFunc

	mu    sync.Mutex
	world runtime.ExecutionContextID
	main  cdp.FrameID
}

// Visit looks at one page. The error is the scan's own; what is wrong with the
// page stands in the visit.
func (b *Browser) Visit(ctx context.Context, o Order) (*Visit, error) {
	if o.Most == 0 {
		o.Most = 90 * time.Second // a page that gives no answer is given up long before
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
	live, cancel := context.WithTimeout(ctx, time.Duration(float64(o.Most)*b.slow))
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
	case live.Err() != nil || v.Problem == Hung:
		if v.Problem != Hung {
			v.Problem, v.Why = Hung, "the page did not come to an end"
		}
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
	t := &tab{b: b, ctx: live, giveUp: cancel, v: v, order: o, mark: Mark{Visit: v.N, Stage: Arriving, Consent: mind == 1 && b.allowed}}
	b.proxy.at(t.mark)
	stop := t.listen()
	defer stop()
	return t.run()
}

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
	if t.order.Press && len(t.v.Filled) > 0 {
		t.rehearse()
	}
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
		if t.v.Problem == Unreachable && refused(t.v.Status) { // with nothing to show
			t.v.Problem, t.v.Why = Blocked, fmt.Sprintf("the site answered %d", t.v.Status)
		}
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

// refused tells answers with which a site shows a visitor the door.
func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// document finds the page's own answer among what the proxy saw.
func (t *tab) document(before int) {
	want, err := url.Parse(t.order.URL)
	if err != nil {
		return
	}
	for _, e := range t.b.proxy.since(before) {
		if e.Status > 0 && e.URL.Host == want.Host && e.URL.RequestURI() == want.RequestURI() {
			t.v.Status, t.v.Answer = e.Status, e.Answer
			if t.v.At == "" {
				t.v.At = e.URL.String()
			}
			if to := e.Answer.Get("Location"); to != "" && e.Status/100 == 3 {
				if next, err := e.URL.Parse(to); err == nil {
					want = next
				}
			}
		}
		if t.v.Problem == Unreachable && e.Refused == Local {
			t.v.Why = ErrLocal.Error()
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

// keep notes what the site left in the browser, and whose names it was told to
// look up.
func (t *tab) keep() {
	t.v.Consented = t.mark.Consent
	t.v.Stored, _ = ask[[]Stored](t, "storage()")
	hints, _ := ask[[]string](t, "hints()")
	t.mu.Lock()
	for _, h := range hints {
		t.v.Calls = append(t.v.Calls, Call{What: "hint", More: h, At: t.v.At})
	}
	t.mu.Unlock()
	mind := 0
	if t.order.Answer == Accept || t.order.Answer == Reject {
		mind = 1
	}
	t.v.Cookies = t.b.cookies(mind)
}

// leave goes away without sending, and waits for what is sent then. After the
// buttons were pressed nothing is let out any more.
func (t *tab) leave() {
	if t.mark.Stage != Pressed {
		t.stage(Leaving)
	}
	t.quick(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: "about:blank"})
		return err
	})
	sleep(t.ctx, 100*time.Millisecond)
	t.b.proxy.settle(t.ctx, 300*time.Millisecond, 1500*time.Millisecond)
}
