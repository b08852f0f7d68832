package chrome

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed hook.js
var hookScript string

//go:embed look.js
var lookScript string

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
	asked, done := t.moment(5 * time.Second)
	defer done()
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
	asked, done := t.moment(5 * time.Second)
	defer done()
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
	asked, done := t.moment(5 * time.Second)
	defer done()
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
	asked, done := t.moment(5 * time.Second)
	defer done()
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
	switch {
	case err != nil && (t.v.Problem == Hung || errors.Is(err, context.DeadlineExceeded)):
		t.v.Problem, t.v.Why = Hung, "the page gave no answer"
		return
	case err != nil:
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
	case refused(t.v.Status) || wall(facts.Title):
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
