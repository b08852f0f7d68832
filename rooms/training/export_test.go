package training

import (
	"context"
	"time"

	"quietroom/ground/id"
)

// Doors of the room that tests need.
func (t *Training) Turn(ctx context.Context) error         { return t.turn(ctx) }
func (t *Training) Collect(ctx context.Context) error      { return t.collect(ctx) }
func (t *Training) Remind(ctx context.Context) error       { return t.remind(ctx) }
func (t *Training) WriteFetches(ctx context.Context) error { return t.writeFetches(ctx) }
func (t *Training) Forget(ctx context.Context) error       { return t.forget(ctx) }

// TurnOn turns practice messages on, as an owner does on the page.
func (t *Training) TurnOn(ctx context.Context) error {
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	s.Phish, s.Begun, s.Zone = true, t.Now(), "America/Chicago"
	return t.keep(ctx, s)
}

// Figures are the practice's: sent, reported, went on, held.
func (t *Training) Figures(ctx context.Context) (sent, reported, wentOn, held int, err error) {
	s, err := t.settings(ctx)
	if err != nil {
		return
	}
	f, err := t.figures(ctx, s)
	return f.Sent, f.Reported, f.WentOn, f.Held, err
}

// Working and AtWork are the calendar.
func Working(day time.Time) bool                { return working(day) }
func AtWork(at time.Time, zoneName string) bool { return atWork(at, zone(zoneName)) }

// Finish does a lesson as a person who answers the first answer everywhere.
func (t *Training) Finish(ctx context.Context, p id.Person, name string) (Certificate, error) {
	l, err := t.lesson(ctx, name)
	if err != nil {
		return Certificate{}, err
	}
	by, _, err := t.people(ctx)
	if err != nil {
		return Certificate{}, err
	}
	for i, s := range l.Steps {
		if err := t.answer(ctx, p, l, i, make([]int, len(s.Questions))); err != nil {
			return Certificate{}, err
		}
	}
	return t.finish(ctx, by[p], l)
}

// ReportMark reports a practice message by the mark in its head.
func (t *Training) ReportMark(ctx context.Context, mark string) error {
	all, err := t.messages(ctx, `WHERE mark = $1`, t.tag("mark", mark))
	if err != nil {
		return err
	}
	return t.act(ctx, all[0].ID, "reported", "")
}

// Doors of the reports.
func (t *Training) ReadMailbox(ctx context.Context) error { return t.readMailbox(ctx) }
func (t *Training) Forwarded(ctx context.Context, how, raw string) error {
	return t.forwarded(ctx, how, "", []byte(raw))
}
func (t *Training) Listen(ctx context.Context, listen, address string) error {
	return t.listen(ctx, reports{Listen: listen, Address: address})
}
func (t *Training) Listening() string { return t.server.Addr().String() }
