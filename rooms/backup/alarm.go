package backup

import (
	"context"
	"time"

	"quietroom/ground/store"
	"quietroom/layer"
)

// Who never looks at home hears of it all the same: a backup that fails, that is
// late, or that was opened and is not as it should be, goes to the owners by mail,
// once a day for as long as it lasts. A server that is off can say nothing: its
// silence is noticed by the agents and by who misses the weekly letter.

// alarms are the claims that are told, and how bad they have to be.
var alarms = map[string]layer.State{"backup.fresh": layer.NeedsYou, "backup.opened": layer.Urgent, "backup.targets": layer.NeedsYou}

const tellEvery = day

// tellOwners is the job.
func (b *Backup) tellOwners(ctx context.Context) error {
	if b.Notify == nil || b.Owners == nil || b.MadeUp {
		return nil
	}
	targets, err := b.Targets(ctx)
	if err != nil || len(targets) == 0 {
		return err
	}
	failing, err := b.failing(ctx)
	if err != nil {
		return err
	}
	s, err := b.Settings(ctx)
	if err != nil {
		return err
	}
	now := b.Now()
	told := map[string]time.Time{}
	for claim, at := range s.Told {
		if at.After(now) || now.Sub(at) < tellEvery { // what was told in the future was told by a wrong clock
			told[claim] = minTime(at, now)
		}
	}
	var notices []layer.Notice
	for e, err := range b.evidence(ctx) {
		if err != nil {
			return err
		}
		e = e.At(now)
		worst, watched := alarms[e.Claim]
		silent := e.Claim == "backup.opened" && e.State == layer.NotKnown && now.Sub(targets[0].Added) > proofEvery+2*day
		if !watched || e.State < worst && !silent || e.Claim == "backup.targets" && len(failing) == 0 {
			continue
		}
		if _, done := told[e.Claim]; done {
			continue
		}
		told[e.Claim] = now
		for _, p := range b.Owners(ctx) {
			notices = append(notices, layer.Notice{To: p, Subject: "Backups need you", Text: e.Text + "\n\nUntil this is mended, what is written may be lost with the server.", Link: "/backups"})
		}
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		for _, n := range notices {
			if err := b.Notify(ctx, tx, n); err != nil {
				return err
			}
		}
		if len(notices) == 0 && len(told) == len(s.Told) {
			return nil
		}
		return changeIn(ctx, tx, func(s *Settings) { s.Told = told })
	})
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// warn tells every owner that somebody changed where backups go, or how long they
// are kept: with a stolen session it is the first thing to do before an extortion.
func (b *Backup) warn(ctx context.Context, tx *store.Tx, text string) error {
	if b.Notify == nil || b.Owners == nil || b.MadeUp {
		return nil
	}
	for _, p := range b.Owners(ctx) {
		n := layer.Notice{To: p, Subject: "Backups were changed", Text: text + "\n\nIf that was not you or a colleague, look at it today.", Link: "/backups"}
		if err := b.Notify(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}
