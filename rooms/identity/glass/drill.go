package glass

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/authenticator"
)

// drill has a made-up clinician try to read charts that are not theirs: without
// a reason, with taps that were made for something else, of another patient, in
// another session, and when the hour is over.
func (g *Glass) drill() layer.Drill {
	return layer.Drill{Name: ActBreak, Proves: "an emergency opens one chart, to one person, with a reason and a tap, for an hour", Run: g.runDrill}
}

// What the drill tries, and how long it waits between two signs of life: less
// than a browser's proof lasts.
const (
	drillStep = 8 * time.Minute
	tapIsOld  = 3 * time.Minute
)

func (g *Glass) runDrill(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
	report := layer.Report{Drill: ActBreak, Findings: []string{}}
	if stage.Trial == nil || stage.Trial.Later == nil {
		report.Skipped = "there is no made-up house to try it on"
		return report, nil
	}
	start := time.Now()
	g.weak.Store(stage.Sabotage) // the hour is not looked at
	defer g.weak.Store(false)
	d := &attacker{g: g, stage: stage}
	if err := d.run(ctx); err != nil {
		return report, fmt.Errorf("break-glass: %w", err)
	}
	report.Tried, report.Opened = d.tried, d.opened
	report.Findings = append(report.Findings, d.findings...)
	report.Held = new(len(d.findings) == 0)
	report.TookMS = time.Since(start).Milliseconds()
	report.More = map[string]any{"kinds": d.kinds, "opened_rightly": d.rightly}
	return report, nil
}

// attacker is one run of the drill.
type attacker struct {
	g     *Glass
	stage *layer.Stage

	jo, elsewhere, desk *authenticator.Browser // elsewhere is the same person in another session
	owner               *authenticator.Browser
	theirs, others      string // patients of somebody else
	spent               string // the ticket that broke the glass
	before              int    // breakings that waited for a review already

	tried, opened, rightly int
	kinds, findings        []string
}

func (d *attacker) find(text string, a ...any) {
	d.findings = append(d.findings, fmt.Sprintf(text, a...))
}

func (d *attacker) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.comeIn, d.choose, d.withoutRight, d.rightlyThen, d.wider, d.late} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return d.recorded(ctx)
}

// comeIn signs in a clinician with a passkey, twice, and the front desk.
func (d *attacker) comeIn(ctx context.Context) (err error) {
	if d.jo, err = d.browser(ctx, "clinician-2", nil); err != nil {
		return err
	}
	if d.elsewhere, err = d.browser(ctx, "clinician-2", d.jo.Device); err != nil {
		return err
	}
	if d.desk, err = d.browser(ctx, "front-desk-1", nil); err != nil {
		return err
	}
	if d.owner, err = d.browser(ctx, "owner-1", nil); err != nil {
		return err
	}
	d.before, err = d.waiting(ctx)
	return err
}

func (d *attacker) browser(ctx context.Context, handle string, device *authenticator.Device) (*authenticator.Browser, error) {
	code, err := seal.ParseCode(seal.Personal, d.stage.Trial.Codes[handle])
	if err != nil {
		return nil, fmt.Errorf("the made-up house has no %s: %w", handle, err)
	}
	b := &authenticator.Browser{Client: &http.Client{Transport: http.DefaultTransport}, Base: d.stage.Trial.URL, Origin: d.stage.Trial.URL, Device: device}
	if device != nil {
		return b, b.SignIn(ctx)
	}
	b.Device = &authenticator.Device{}
	ticket, _, err := b.Code(ctx, code)
	if err != nil {
		return nil, err
	}
	if err := b.Register(ctx, "/doors/begin", "/doors/passkey", identity.TapHeader, ticket); err != nil {
		return nil, err
	}
	return b, b.SignIn(ctx)
}

var patientLink = regexp.MustCompile(`/patients/([A-Z2-7]{26})`)

// choose finds two patients of somebody else, in whose charts something lies.
func (d *attacker) choose(ctx context.Context) error {
	_, page, err := d.jo.Get(ctx, "/patients")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range patientLink.FindAllStringSubmatch(page, -1) {
		p := m[1]
		if seen[p] {
			continue
		}
		seen[p] = true
		open, err := d.open(ctx, d.jo, p)
		if err != nil {
			return err
		}
		switch {
		case open:
		case d.theirs == "":
			d.theirs = p
		case d.others == "":
			d.others = p
			return nil
		}
	}
	return errors.New("the made-up clinician sees no chart that is not theirs")
}

// open tells whether somebody reads a patient's notes and files: the page does
// not offer to break the glass, and shows where the notes stand.
func (d *attacker) open(ctx context.Context, b *authenticator.Browser, p string) (bool, error) {
	status, page, err := b.Get(ctx, "/patients/"+p)
	if err != nil {
		return false, err
	}
	return status == http.StatusOK && !strings.Contains(page, `id="closed"`) && strings.Contains(page, `id="notes"`), nil
}

// refused makes one try that has to leave the chart closed.
func (d *attacker) refused(ctx context.Context, kind string, b *authenticator.Browser, p string, try func() (int, error)) error {
	d.tried++
	d.kinds = append(d.kinds, kind)
	status, err := try()
	if err != nil {
		if refused, ok := errors.AsType[*authenticator.Refused](err); ok {
			status, err = refused.Status, nil
		}
	}
	if err != nil {
		return err
	}
	if status >= http.StatusInternalServerError {
		d.find("%s: the house answered %d", kind, status)
	}
	open, err := d.open(ctx, b, p)
	if err != nil {
		return err
	}
	if open {
		d.opened++
		d.find("%s: the chart is open", kind)
	}
	return nil
}

func (d *attacker) post(ctx context.Context, b *authenticator.Browser, p, reason, ticket string) (int, error) {
	form := url.Values{"reason": {reason}, "words": {"A made-up emergency."}}
	if reason == "" {
		form.Set("words", "")
	}
	if ticket != "" {
		form.Set(identity.TapField, ticket)
	}
	return b.Post(ctx, "/glass/break/"+p, form)
}

// tapped breaks with a ticket that was made for something.
func (d *attacker) tapped(ctx context.Context, by *authenticator.Browser, act, object string, wait time.Duration) func() (int, error) {
	return func() (int, error) {
		ticket, err := by.Tap(ctx, act, object)
		if err != nil {
			return 0, err
		}
		if wait > 0 {
			d.stage.Trial.Later(wait)
		}
		return d.post(ctx, d.jo, d.theirs, "cover", ticket)
	}
}

// withoutRight tries everything that lacks something.
func (d *attacker) withoutRight(ctx context.Context) error {
	for _, t := range []struct {
		kind string
		by   *authenticator.Browser
		try  func() (int, error)
	}{
		{"nothing but the address", d.jo, func() (int, error) { status, _, err := d.jo.Get(ctx, "/glass/break/"+d.theirs); return status, err }},
		{"no tap", d.jo, func() (int, error) { return d.post(ctx, d.jo, d.theirs, "cover", "") }},
		{"no reason", d.jo, func() (int, error) {
			ticket, err := d.jo.Tap(ctx, ActBreak, d.theirs)
			if err != nil {
				return 0, err
			}
			return d.post(ctx, d.jo, d.theirs, "", ticket)
		}},
		{"a reason of one's own making", d.jo, func() (int, error) {
			ticket, err := d.jo.Tap(ctx, ActBreak, d.theirs)
			if err != nil {
				return 0, err
			}
			return d.post(ctx, d.jo, d.theirs, "curious", ticket)
		}},
		{"a tap for another act", d.jo, d.tapped(ctx, d.jo, identity.ActApprove, d.theirs, 0)},
		{"a tap for another patient", d.jo, d.tapped(ctx, d.jo, ActBreak, d.others, 0)},
		{"a tap of another session", d.jo, d.tapped(ctx, d.elsewhere, ActBreak, d.theirs, 0)},
		{"a stale tap", d.jo, d.tapped(ctx, d.jo, ActBreak, d.theirs, tapIsOld)},
		{"somebody who does not treat", d.desk, func() (int, error) {
			ticket, err := d.desk.Tap(ctx, ActBreak, d.theirs)
			if err != nil {
				return 0, err
			}
			return d.post(ctx, d.desk, d.theirs, "danger", ticket)
		}},
	} {
		if err := d.refused(ctx, t.kind, t.by, d.theirs, t.try); err != nil {
			return fmt.Errorf("%s: %w", t.kind, err)
		}
	}
	return nil
}

// rightlyThen breaks the glass as it is meant. A chart that stays closed then
// shows that the tries before proved nothing.
func (d *attacker) rightlyThen(ctx context.Context) error {
	ticket, err := d.jo.Tap(ctx, ActBreak, d.theirs)
	if err != nil {
		return err
	}
	status, err := d.post(ctx, d.jo, d.theirs, "cover", ticket)
	if err != nil {
		return err
	}
	open, err := d.open(ctx, d.jo, d.theirs)
	if err != nil {
		return err
	}
	if d.rightly++; status != http.StatusSeeOther || !open {
		d.find("with a reason and a tap the chart stays closed (the house answered %d)", status)
	}
	d.spent = ticket
	return d.refused(ctx, "a tap that was used, for another patient", d.jo, d.others, func() (int, error) { return d.post(ctx, d.jo, d.others, "cover", ticket) })
}

// wider tries to get more than one chart in one session, to read.
func (d *attacker) wider(ctx context.Context) error {
	if err := d.refused(ctx, "another patient", d.jo, d.others, func() (int, error) { return http.StatusOK, nil }); err != nil {
		return err
	}
	if err := d.refused(ctx, "the same person in another session", d.elsewhere, d.theirs, func() (int, error) { return http.StatusOK, nil }); err != nil {
		return err
	}
	d.tried++
	d.kinds = append(d.kinds, "writing")
	status, err := d.jo.Post(ctx, "/patients/"+d.theirs+"/notes", url.Values{"act": {"keep"}, "record": {strings.Repeat("A", 26)}, "version": {"0"}, "form": {"dap"}, "f-data": {"A made-up line."}})
	if err != nil {
		return err
	}
	if status == http.StatusSeeOther {
		d.opened++
		d.find("writing: a note was kept in a chart that was broken open")
	}
	return nil
}

// late lets the hour pass, with somebody there all the time.
func (d *attacker) late(ctx context.Context) error {
	const last = openFor - time.Minute
	if err := d.jo.Renew(ctx); err != nil {
		return err
	}
	for passed := time.Duration(0); passed < last; {
		step := min(drillStep, last-passed)
		d.stage.Trial.Later(step)
		passed += step
		if err := d.jo.Renew(ctx); err != nil {
			return fmt.Errorf("after %v: %w", passed, err)
		}
	}
	open, err := d.open(ctx, d.jo, d.theirs)
	if err != nil {
		return err
	}
	if !open {
		d.find("in the 59th minute the chart is closed already")
	}
	err = d.refused(ctx, "the 61st minute", d.jo, d.theirs, func() (int, error) {
		d.stage.Trial.Later(2 * time.Minute)
		return http.StatusOK, d.jo.Renew(ctx)
	})
	if err != nil {
		return err
	}
	return d.refused(ctx, "the same tap once more", d.jo, d.theirs, func() (int, error) { return d.post(ctx, d.jo, d.theirs, "cover", d.spent) })
}

// recorded looks whether it was told, once, and waits for a review.
func (d *attacker) recorded(ctx context.Context) error {
	if err := d.owner.SignIn(ctx); err != nil { // the hour was long
		return err
	}
	n, err := d.waiting(ctx)
	if err != nil {
		return err
	}
	if n -= d.before; n != d.rightly {
		d.find("the owner sees %d breakings more to review, and there was %d", n, d.rightly)
	}
	return nil
}

// waiting counts the breakings that the owner is asked to review.
func (d *attacker) waiting(ctx context.Context) (int, error) {
	status, page, err := d.owner.Get(ctx, "/glass")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the owner's page answers %d", status)
	}
	page, _, _ = strings.Cut(page, `id="reviewed"`)
	return strings.Count(page, `href="/glass/review/`), err
}
