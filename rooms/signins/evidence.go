package signins

import (
	"context"
	"fmt"
	"iter"
	"time"

	"quietroom/layer"
)

// watchedFor is how long a log that was read counts: providers keep them for 30
// days in their smallest plans.
const watchedFor = 30 * 24 * time.Hour

// evidence says how far the logs were looked through, and what is open.
func (s *Signins) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) { yield(s.watched(ctx)) }
}

func (s *Signins) watched(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "signins.watched", Place: layer.Edges, Page: "/signins", State: layer.NotKnown,
		Text: "Nobody has read the sign-in logs of your mailboxes here."}
	read, err := s.imports(ctx, "TRUE")
	if err != nil || len(read) == 0 {
		return e, err
	}
	until := read[0].Until // as far as any log of late reaches
	for _, i := range read {
		if i.Until.After(until) {
			until = i.Until
		}
	}
	if now := s.Now(); until.After(now) { // a clock elsewhere is fast
		until = now
	}
	all, err := s.findings(ctx)
	if err != nil {
		return e, err
	}
	open, urgent := 0, 0
	for _, f := range all {
		if !f.Open(s.Now()) {
			continue
		}
		open++
		if f.Accepted && s.Now().Sub(f.To) < 7*24*time.Hour {
			urgent++
		}
	}
	e.Seen, e.Until = until, until.Add(watchedFor)
	day := until.UTC().Format("January 2")
	switch {
	case urgent > 0:
		e.State, e.Fix, e.Minutes = layer.Urgent, "Look at it now", 10
		e.Text = "Sign-in prompts were refused, and then a sign-in went through. Ask that person now."
		e.Why = "What it means is not decided: it is what the log says."
	case open > 0:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at them", 3*open
		e.Text = fmt.Sprintf("The sign-in logs, read up to %s, show %s.", day, things(open))
	case s.Now().After(e.Until):
		e.State = layer.NotKnown
		e.Text = fmt.Sprintf("The sign-in logs of your mailboxes were read up to %s only.", day)
		e.Why = "Bring the newest ones, once a month."
	default:
		e.State = layer.Safe
		e.Text = fmt.Sprintf("The sign-in logs of your mailboxes were read up to %s. Nothing in them is open.", day)
	}
	return e, nil
}

func things(n int) string {
	if n == 1 {
		return "one thing that is worth a question"
	}
	return fmt.Sprintf("%d things that are worth a question", n)
}
