package chrome

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

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
	ctx, done := t.moment(3 * time.Second)
	defer done()
	return do(ctx) == nil
}

// mostSilent is how often a page may give no answer before it counts as hung.
const mostSilent = 3

// moment is the time that a page has for one answer. A page that stays silent
// again and again is given up.
func (t *tab) moment(d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(t.ctx, time.Duration(float64(d)*t.b.slow))
	return ctx, func() {
		if ctx.Err() != nil && t.ctx.Err() == nil {
			if t.silent++; t.silent == mostSilent {
				t.v.Problem, t.v.Why = Hung, "the page gave no answer any more"
				t.giveUp()
			}
		}
		cancel()
	}
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
	if t.order.Answer == Accept {
		t.b.allowed, t.mark.Consent = true, true
	}
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
	mostFields  = 60
	mostSteps   = 6
	mostChoices = 4 // of what is pressed to choose, and of buttons that send
)

// fill fills every field, chooses, and goes on through the steps of a form. It
// presses nothing that sends.
func (t *tab) fill() {
	t.stage(Filling)
	t.open()
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
	sleep(t.ctx, 300*time.Millisecond)
	t.hurry()
	t.b.proxy.settle(t.ctx, 300*time.Millisecond, 2500*time.Millisecond)
}

// open brings a form up where the page shows none: behind "Book now", say.
func (t *tab) open() {
	for range 2 {
		b, err := ask[*struct{ At *point }](t, "open()")
		if err != nil || b == nil {
			return
		}
		t.press(b.At)
		t.b.proxy.settle(t.ctx, 150*time.Millisecond, time.Second)
	}
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
	for range mostChoices {
		type choice struct {
			Label, Chosen, Value string
			At                   *point
		}
		s, err := askAll(t, "choose()", func(s *choice) bool { return s != nil })
		if err != nil || s == nil {
			return
		}
		t.press(s.At)
		t.v.Filled = append(t.v.Filled, Field{Type: "appointment", Label: s.Label, Chosen: s.Chosen, Value: s.Value, Stage: Filling})
		t.b.proxy.settle(t.ctx, 80*time.Millisecond, 500*time.Millisecond) // what it opens
	}
}

// hurry ends all waiting on the page, twice: what waited may wait again.
func (t *tab) hurry() {
	call := fmt.Sprintf("hurry(%q)", binding+"-hurry")
	for range 2 {
		_, _ = ask[bool](t, call)
		for _, world := range t.frames() {
			_, _ = askIn[bool](t, world, call)
		}
		sleep(t.ctx, 200*time.Millisecond)
	}
}

// rehearse presses what would send the forms. The proxy lets out nothing from
// here on: what a script would have told, and whom, is seen and not sent.
func (t *tab) rehearse() {
	t.stage(Pressed)
	pressed := 0
	for range mostChoices {
		type button struct {
			Text string
			At   *point
		}
		b, err := askAll(t, "release()", func(b *button) bool { return b != nil })
		if err != nil || b == nil {
			break
		}
		t.press(b.At)
		pressed++
		sleep(t.ctx, 150*time.Millisecond)
		t.b.proxy.settle(t.ctx, 200*time.Millisecond, 1500*time.Millisecond)
	}
	if pressed == 0 {
		t.key("Enter", 13, "\r")
	}
	t.hurry()
	t.b.proxy.settle(t.ctx, 200*time.Millisecond, 1500*time.Millisecond)
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
