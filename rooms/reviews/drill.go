package reviews

import (
	"context"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

// yearDrill lives a year in a made-up practice, a day at a time: somebody does
// what is asked for two days later, and is away for two weeks in spring. Nothing
// due may be missed, nothing may be asked for twice, and nothing on a day of rest.
func (r *Reviews) yearDrill() layer.Drill {
	return layer.Drill{Name: "year", Proves: "in a year no review is missed, and none nags", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		report := layer.Report{Findings: []string{}, More: map[string]any{}}
		start := r.Now()
		y := &year{now: start, report: &report, asked: map[string]time.Time{}, done: map[string]time.Time{}, weeks: map[int]int{}}
		y.Reviews = New(r.Config)
		y.Now, y.Installed = func() time.Time { return y.now }, start
		y.Evidence = func(context.Context) ([]layer.Evidence, error) { return nil, nil }
		y.Reviews.forgets = s.Sabotage
		people, err := r.People(ctx)
		if err != nil || len(people) == 0 {
			return report, fmt.Errorf("there is nobody in the trial house: %w", err)
		}
		ctx = id.With(ctx, id.Actor{Person: people[0]})
		for day := range 366 {
			y.now = start.AddDate(0, 0, day)
			if err := y.live(ctx, day); err != nil {
				return report, err
			}
			s.Step(day+1, 366)
		}
		y.judge(start)
		report.Held = new(len(report.Findings) == 0)
		return report, nil
	}}
}

type year struct {
	*Reviews
	now    time.Time
	report *layer.Report
	asked  map[string]time.Time // what waits, and since when
	done   map[string]time.Time // when each review was last done
	times  int
	weeks  map[int]int // things that newly came, by week
}

// When the made-up person is away, in days of the year.
const leaves, returns = 100, 114

func (y *year) say(text string, a ...any) {
	y.report.Opened++
	if len(y.report.Findings) < 20 {
		y.report.Findings = append(y.report.Findings, fmt.Sprintf(text, a...))
	}
}

func (y *year) live(ctx context.Context, day int) error {
	waits := map[string]bool{}
	for e, err := range y.evidence(ctx) {
		if err != nil {
			return err
		}
		y.report.Tried++
		if e.State != layer.NeedsYou && e.State != layer.Urgent {
			continue
		}
		kind := e.Claim[len("reviews."):]
		waits[kind] = true
		if _, before := y.asked[kind]; before {
			continue
		}
		y.asked[kind] = y.now
		y.weeks[day/7]++
		if rests(y.now) {
			y.say("%s is asked for on a day of rest, %s.", kind, y.now.Format(time.DateOnly))
		}
		for _, k := range reviewed {
			if last, was := y.done[kind]; was && k.ID == kind && y.now.Sub(last) < time.Duration(k.Days)*24*time.Hour*8/10 {
				y.say("%s was done on %s, and is asked for again on %s.", kind, last.Format(time.DateOnly), y.now.Format(time.DateOnly))
			}
		}
	}
	away := day >= leaves && day < returns
	for kind, since := range y.asked {
		switch {
		case !waits[kind]:
			delete(y.asked, kind)
		case away && day == leaves || away && since.Equal(y.now):
			if err := y.did(ctx, kind, moved, "on leave", y.now.AddDate(0, 0, returns-day)); err != nil {
				return err
			}
			delete(y.asked, kind)
		case y.now.Sub(since) >= 48*time.Hour && !rests(y.now) && !away:
			if err := y.does(ctx, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// does does a review as a person does it: what is signed is signed.
func (y *year) does(ctx context.Context, kind string) error {
	who := id.From(ctx).Person
	sign := func(p paper) error {
		p.ID = string(id.New[id.Record]())
		return y.sign(ctx, p, who)
	}
	switch kind {
	case riskAnalysis:
		a, err := y.analysis(ctx)
		if err != nil {
			return err
		}
		p, err := y.renderRisk(ctx, a)
		if err == nil {
			err = sign(p)
		}
		if err != nil {
			return err
		}
	case "policies":
		for _, pol := range policies() {
			p, err := y.render(ctx, pol)
			if err == nil {
				err = sign(p)
			}
			if err != nil {
				return err
			}
		}
	}
	y.done[kind] = y.now
	y.times++
	return y.did(ctx, kind, done, "", time.Time{})
}

// judge looks back at the year.
func (y *year) judge(start time.Time) {
	for _, k := range reviewed {
		y.report.Tried++
		last, was := y.done[k.ID]
		if !was {
			y.say("%s was never done.", k.ID)
			continue
		}
		if late := y.now.Sub(last) - time.Duration(k.Days)*24*time.Hour; late > 30*24*time.Hour {
			y.say("%s was last done on %s, and was missed.", k.ID, last.Format(time.DateOnly))
		}
	}
	busy := 0
	for _, n := range y.weeks {
		if n > 1 {
			busy++
		}
	}
	if busy > 0 {
		y.say("In %d weeks more than one thing came.", busy)
	}
	y.report.More["done"], y.report.More["asked_weeks"], y.report.More["from"] = y.times, len(y.weeks), start.Format(time.DateOnly)
}
