package training

import (
	"context"
	"fmt"
	"iter"
	"time"

	"quietroom/layer"
)

const evidenceLasts = 25 * time.Hour

// evidence says who is late with lessons, how practice messages go, and what was
// reported and waits.
func (t *Training) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		s, err := t.state(ctx)
		if err != nil {
			yield(layer.Evidence{Claim: "training.lessons", Place: layer.People, State: layer.NotKnown, Text: "Who did which lessons could not be looked up."}, err)
			return
		}
		if len(s.people) == 0 {
			return
		}
		if !yield(t.lessonEvidence(s), nil) || !yield(t.practiceEvidence(ctx, s.settings)) {
			return
		}
		if e, ok, err := t.exerciseEvidence(ctx); ok || err != nil {
			if !yield(e, err) {
				return
			}
		}
		for e, err := range t.reportEvidence(ctx) {
			if !yield(e, err) {
				return
			}
		}
	}
}

func (t *Training) lessonEvidence(s state) layer.Evidence {
	now := t.Now()
	e := layer.Evidence{Claim: "training.lessons", Place: layer.People, State: layer.Safe, Seen: now, Until: now.Add(evidenceLasts), Page: "/training/team"}
	late, people, done, next := 0, 0, 0, time.Time{}
	for _, p := range s.people {
		behind := 0
		for _, d := range s.dues[p.ID] {
			if d.Late(now) {
				behind++
			} else if next.IsZero() || d.Day.Before(next) {
				next = d.Day
			}
		}
		late += behind
		if behind > 0 {
			people++
		}
		for _, at := range s.done[p.ID] {
			if now.Sub(at) < renewed {
				done++
			}
		}
	}
	day := next.In(zone(s.settings.Zone)).Format("January 2")
	switch {
	case late > 0:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "See who needs an hour", 3
		e.Text = fmt.Sprintf("%s late, by %s.", areLate(late), peopleInWords(people))
		e.Why = "People were reminded. What helps is time in the calendar."
	case done == 0:
		e.Text = fmt.Sprintf("Nobody is late with a lesson. The first are due on %s.", day)
	default:
		e.Text = fmt.Sprintf("Nobody is late with a lesson. %s done within a year; the next is due on %s.", were(done), day)
	}
	return e
}

func areLate(n int) string {
	if n == 1 {
		return "1 lesson is"
	}
	return fmt.Sprintf("%d lessons are", n)
}

func were(n int) string {
	if n == 1 {
		return "1 was"
	}
	return fmt.Sprintf("%d were", n)
}

func peopleInWords(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func (t *Training) practiceEvidence(ctx context.Context, s settings) (layer.Evidence, error) {
	now := t.Now()
	e := layer.Evidence{Claim: "training.practice", Place: layer.People, State: layer.Off, Seen: now, Until: now.Add(evidenceLasts), Page: "/training/practice",
		Text: "Practice messages are off. Lessons go on without them."}
	if !s.Phish {
		return e, nil
	}
	var planned, overdue, sent, failed, reported int
	month := monthOf(now, zone(s.Zone))
	err := t.DB.QueryRowContext(ctx, `SELECT COUNT(CASE WHEN state = 'planned' THEN 1 END), COUNT(CASE WHEN state = 'planned' AND planned < $2 THEN 1 END), COUNT(CASE WHEN state = 'sent' THEN 1 END), COUNT(CASE WHEN state = 'failed' THEN 1 END),
		(SELECT COUNT(*) FROM training_acts AS a JOIN training_messages AS m ON m.message = a.message WHERE a.what = 'reported' AND m.month = $1) FROM training_messages WHERE month = $1`,
		month, now.Add(-4*24*time.Hour).UnixMilli()).Scan(&planned, &overdue, &sent, &failed, &reported)
	if err != nil {
		return e, fmt.Errorf("count practice messages: %w", err)
	}
	switch {
	case s.Paused != "":
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at why", 10
		e.Text = "Practice messages are held back: mail servers refuse them by a rule."
		e.Why = "The sender’s address may fail SPF, DKIM or DMARC there. Your real mail may be refused for the same reason."
	case overdue > 0:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Set up mail", 4
		e.Text = "Practice messages wait: no mail leaves the house."
		e.Page = "/mail"
	case failed > 0 && failed >= sent:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at mail", 5
		e.Text = fmt.Sprintf("Of this month’s practice messages %d could not be delivered.", failed)
		e.Page = "/mail"
	default:
		e.State = layer.Safe
		e.Text = fmt.Sprintf("Practice messages run by themselves. This month %d arrived, %d were reported, %d are to come.", sent, reported, planned)
		if sent < few { // what few people did is what each of them did
			e.Text = fmt.Sprintf("Practice messages run by themselves. This month %d arrived, %d are to come.", sent, planned)
		}
	}
	return e, nil
}

// exerciseEvidence says whether what was learned in an exercise was fixed. Nothing
// is said where none was held: it is offered, not asked for.
func (t *Training) exerciseEvidence(ctx context.Context) (e layer.Evidence, ok bool, err error) {
	all, err := t.exercises(ctx, `WHERE ended > 0 ORDER BY ended DESC LIMIT 20`)
	if err != nil || len(all) == 0 {
		return e, false, err
	}
	now := t.Now()
	last := all[0]
	e = layer.Evidence{Claim: "training.exercises", Place: layer.People, State: layer.Safe, Seen: last.Ended, Until: last.Ended.Add(renewed), Page: "/training/exercises",
		Text: fmt.Sprintf("Exercise %d was held on %s.", last.Number, last.Ended.Format("January 2"))}
	for _, x := range all {
		if x.Fixed.IsZero() && now.After(x.Due) {
			e.State, e.Seen, e.Until, e.Fix, e.Minutes, e.Page = layer.NeedsYou, now, now.Add(evidenceLasts), "See what was learned", 3, "/training/exercises/"+x.ID
			e.Text = fmt.Sprintf("What was learned in exercise %d was to be fixed by %s.", x.Number, x.Due.Format("January 2"))
		}
	}
	return e, true, nil
}
