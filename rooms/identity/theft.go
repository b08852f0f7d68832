package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// What a copied pair of cookies is good for: at most so many minutes, and for no
// act that asks for a tap.
const (
	theftMinutes = 10
	theftWatches = 14 // the drill lets so many minutes pass
	theftPerTry  = 2  // each act is tried at once and later
)

// cookieTheft is what a program that reads a browser's files takes: both cookies,
// and no key that the browser does not give away.
func (i *Identity) cookieTheft() layer.Drill {
	return layer.Drill{
		Name:   "cookie-theft",
		Proves: "a copied pair of cookies is dead within 10 minutes, renews nothing, and approves no act at any time",
		Run:    i.runCookieTheft,
	}
}

func (i *Identity) runCookieTheft(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
	report := layer.Report{Drill: "cookie-theft", Findings: []string{}}
	if stage.Trial == nil || stage.Trial.Later == nil {
		report.Skipped = "there is no made-up house to try it on, in which time can pass"
		return report, nil
	}
	start := time.Now()
	s, err := i.newSpam(ctx, stage)
	if err != nil {
		return report, fmt.Errorf("cookie-theft: %w", err)
	}
	t := theft{later: stage.Trial.Later, spam: s, mine: s.person}
	if err := t.mine.SignIn(ctx); err != nil {
		return report, fmt.Errorf("the person signs in: %w", err)
	}
	// Sabotage: a browser that gives its key away with its cookies.
	t.copy = t.mine.Copy()
	if stage.Sabotage {
		t.copy = t.mine.CopyWithKey()
	}
	t.copy.Device = &authenticator.Device{}
	if err := t.run(ctx, stage.Step); err != nil {
		return report, err
	}
	report.Tried, report.Opened, report.Findings = s.tried, s.opened, append(report.Findings, s.findings...)
	report.Held = new(s.opened == 0 && len(s.findings) == 0 && s.tried > 0)
	report.TookMS = time.Since(start).Milliseconds()
	report.More = map[string]any{"minutes_readable": t.readable, "minutes_watched": theftWatches, "acts_tried": len(t.acts()) * theftPerTry, "answers": s.statuses}
	return report, nil
}

type theft struct {
	later      func(time.Duration)
	spam       *spam
	mine, copy *authenticator.Browser
	readable   int // minutes during which the copy could read
}

// run lets minutes pass. The person goes on working; the thief tries.
func (t *theft) run(ctx context.Context, step func(done, total int)) error {
	t.tryAll(ctx)
	for minute := range theftWatches {
		if step != nil {
			step(minute, theftWatches)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t.later(time.Minute)
		if err := t.mine.Renew(ctx); err != nil {
			t.spam.find("the person’s own browser could not go on: %v", err)
		}
		if minute < theftMinutes-1 {
			_ = t.copy.Renew(ctx) // what comes of it is seen by what it can still read
		}
		status, _, err := t.copy.Get(ctx, "/doors")
		if err != nil {
			return err
		}
		in := status == http.StatusOK
		if in {
			t.readable = minute + 1
		}
		if late := minute+1 > theftMinutes; late {
			t.spam.count(in, fmt.Sprint(status))
			if in {
				t.spam.find("the copy still reads after %d minutes", minute+1)
			}
		}
	}
	t.tryAll(ctx)
	return nil
}

// theftAct is one thing that a thief of cookies tries. nil means that it came off.
type theftAct struct {
	name string
	try  func(context.Context) error
}

func (t *theft) tryAll(ctx context.Context) {
	for _, a := range t.acts() {
		err := a.try(ctx)
		t.spam.count(err == nil, answerOf(err))
		if err == nil {
			t.spam.find("%s: came off", a.name)
		}
	}
}

func answerOf(err error) string {
	if err == nil {
		return "let in"
	}
	if r, ok := err.(*authenticator.Refused); ok {
		return fmt.Sprint(r.Status)
	}
	return "no answer"
}

func (t *theft) acts() []theftAct {
	post := func(path string, form url.Values) func(context.Context) error {
		return func(ctx context.Context) error {
			status, err := t.copy.Post(ctx, path, form)
			if err == nil && status != http.StatusSeeOther && status != http.StatusOK {
				err = &authenticator.Refused{Status: status}
			}
			return err
		}
	}
	ask := func(path string, in any, header ...string) func(context.Context) error {
		return func(ctx context.Context) error { return t.copy.Ask(ctx, path, in, nil, header...) }
	}
	register := func(header ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			return t.copy.Copy().Register(ctx, "/doors/begin", "/doors/passkey", header...)
		}
	}
	madeUp := url.Values{TapField: {encodeBytes(64)}}
	return []theftAct{
		{"a tap with a forged signature", t.tap(func(d *authenticator.Device) error { return d.Forge() })},
		{"a tap where nobody was recognised", t.tap(func(d *authenticator.Device) error { d.Unverified = true; return nil })},
		{"a tap with an answer that was used before", ask("/tap/finish", t.spam.replay)},
		{"closing all other sessions without a tap", post("/sessions/stolen", url.Values{})},
		{"closing them with a made-up ticket", post("/sessions/stolen", madeUp)},
		{"a door without a tap", register()},
		{"a door with a made-up ticket", register(TapHeader, encodeBytes(64))},
		{"approving what somebody asked for", post("/approve/"+string(id.New[id.Record]()), madeUp)},
		{"renewing with another key", func(ctx context.Context) error {
			thief := t.copy.Copy()
			if err := thief.NewKey(); err != nil {
				return err
			}
			return thief.Renew(ctx)
		}},
		{"binding the session to another computer", ask(bindPath, struct{}{}, "Secure-Session-Response", "e30.e30."+encodeBytes(64))},
	}
}

// tap taps with a bent copy of the person's device.
func (t *theft) tap(bend func(*authenticator.Device) error) func(context.Context) error {
	return func(ctx context.Context) error {
		own := t.copy.Device
		defer func() { t.copy.Device = own }()
		t.copy.Device = t.spam.device.Clone()
		if err := bend(t.copy.Device); err != nil {
			return err
		}
		_, err := t.copy.Tap(ctx, "export", "everything")
		return err
	}
}

// encodeBytes is a made-up secret.
func encodeBytes(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
