package antivirus

import (
	"context"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
)

// ActRelease is what a tap is made for that lets something harmful out; its
// object is the finding.
const ActRelease = "release-file"

// alone is how long somebody without colleagues waits before letting something
// harmful out.
const alone = 24 * time.Hour

// release is one of the two taps that let a harmful file out. The first asks,
// the second, by another person, releases; one of the two is an owner. Whoever
// works alone taps again a day later.
func (a *Antivirus) release(ctx context.Context, name id.Record) error {
	me := id.From(ctx).Person
	n, err := a.People.Working(ctx)
	if err != nil {
		return err
	}
	seen, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	owner, err := a.People.Owner(ctx, me)
	if err == nil && !owner && seen.Asked != "" {
		owner, err = a.People.Owner(ctx, seen.Asked)
	}
	if err != nil {
		return err
	}
	back := pageOf(name)
	return a.change(ctx, name, func(f *finding) (string, error) {
		now := a.Now()
		switch {
		case f.State == isolated || f.State == left && f.Name != "":
			f.State, f.Asked, f.AskedAt = asked, me, now.UnixMilli()
			return "antivirus.release-asked", nil
		case f.State != asked:
			return "", &web.Error{Status: http.StatusConflict, Text: "This was decided already.", Back: back}
		case f.Asked != seen.Asked:
			return "", &web.Error{Status: http.StatusConflict, Text: "Somebody else decided meanwhile. Please look again.", Back: back}
		case f.Asked == me && n > 1:
			return "", &web.Error{Status: http.StatusForbidden, Text: "You asked for this yourself. It takes a second person.", Fix: "Ask a colleague to look at it, and to tap.", Back: back}
		case f.Asked == me && now.Sub(moment(f.AskedAt)) < alone:
			return "", &web.Error{Status: http.StatusForbidden, Text: "You work alone, so this waits for a day before you can let it out.", Fix: "Come back tomorrow at this hour. Until then it stays isolated.", Back: back}
		case !owner:
			return "", &web.Error{Status: http.StatusForbidden, Text: "One of the two who let a harmful file out is an owner.", Fix: "Ask an owner to look at it, and to tap.", Back: back}
		}
		f.State, f.Decided, f.DecidedAt = released, me, now.UnixMilli()
		return "antivirus.released", nil
	})
}

// decide is what one person says of a file that could not be looked through, or
// that somebody wants out who should not get it.
func (a *Antivirus) decide(ctx context.Context, name id.Record, take bool) error {
	me := id.From(ctx).Person
	return a.change(ctx, name, func(f *finding) (string, error) {
		f.Decided, f.DecidedAt = me, a.Now().UnixMilli()
		switch {
		case take && f.Name != "":
			return "", &web.Error{Status: http.StatusForbidden, Text: "This is a harmful file. Two people let it out, and each taps.", Back: pageOf(name)}
		case f.State == released || f.State == taken && take:
			return "", &web.Error{Status: http.StatusConflict, Text: "This was decided already.", Back: pageOf(name)}
		case take:
			f.State = taken
			return "antivirus.taken-unscanned", nil
		}
		f.State, f.Asked, f.AskedAt = left, "", 0
		return "antivirus.left-isolated", nil
	})
}
