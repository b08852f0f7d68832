package reviews

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

const dayForm = "January 2, 2006"

// evidence says what was decided and signed, and asks for one review at a time.
func (r *Reviews) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		all, err := r.said(ctx)
		if err != nil {
			yield(layer.Evidence{}, err)
			return
		}
		for _, e := range all {
			e.Place = layer.People
			if e.Seen.IsZero() && e.State != layer.NotKnown {
				e.Seen = r.Now()
			}
			if e.Until.IsZero() && !e.Seen.IsZero() {
				e.Until = r.Now().Add(24 * time.Hour)
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (r *Reviews) said(ctx context.Context) ([]layer.Evidence, error) {
	a, err := r.analysis(ctx)
	if err != nil {
		return nil, err
	}
	var all []layer.Evidence
	turns, err := r.turns(ctx)
	if err != nil {
		return nil, err
	}
	first := r.firstDue(turns)
	risk, err := r.riskSaid(ctx, a, first == riskAnalysis)
	if err != nil {
		return nil, err
	}
	officials, err := r.officialsSaid(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, risk, r.treatmentsSaid(a), officials)
	for _, t := range turns {
		if t.ID == "risk-analysis" {
			continue
		}
		e, err := r.turnSaid(ctx, t)
		if err != nil {
			return nil, err
		}
		if e.State == layer.NeedsYou && t.ID != first { // it waits for its turn
			e.State, e.Fix = layer.NotKnown, ""
		}
		all = append(all, e)
	}
	return all, nil
}

// apart is how long the next review waits after one was done, so that no week
// asks for two.
const apart = 7 * 24 * time.Hour

// firstDue is the one review that is asked for now: the one that is due longest.
func (r *Reviews) firstDue(turns []turn) string {
	for _, t := range turns {
		if r.Now().Before(t.Last.Add(apart)) {
			return ""
		}
	}
	if len(turns) == 0 || r.Now().Before(turns[0].Due) {
		return ""
	}
	return turns[0].ID
}

// riskSaid tells of the risk analysis; asks is whether it is its turn.
func (r *Reviews) riskSaid(ctx context.Context, a analysis, asks bool) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "reviews.risk-analysis", Page: "/reviews/risk"}
	signed, err := r.newest(ctx, riskAnalysis)
	if err != nil {
		return e, err
	}
	turn, err := r.turn(ctx, riskAnalysis)
	if err != nil {
		return e, err
	}
	due := turn.Due
	if signed == nil {
		e.Text = "The risk analysis is a draft: nobody signed it. It takes about 15 minutes, and can be stopped anywhere."
		if len(a.Answers) == 0 {
			e.Text = "There is no risk analysis yet. It takes about 15 minutes, and can be stopped anywhere."
		}
		if asks {
			e.State, e.Fix, e.Minutes, e.By = layer.NeedsYou, "Go through it", 15, due.Add(grace)
		}
		return e, nil
	}
	e.Seen = signed.At
	who := r.Name(ctx, signed.Signed[0].Person)
	e.State, e.Text = layer.YourWord, fmt.Sprintf("%s signed the risk analysis on %s.", who, signed.At.Format(dayForm))
	e.Until = signed.At.AddDate(1, 0, 30)
	if open := reopened(signed.Parts, a.Lines); len(open) > 0 {
		var names []string
		for _, p := range open {
			names = append(names, "“"+p.Text+"”")
		}
		e.State, e.Fix, e.Minutes, e.Seen = layer.NeedsYou, "Look at what changed", 3*len(open), r.Now()
		e.Text = fmt.Sprintf("Something changed since the risk analysis was signed. To be looked at again: %s.", strings.Join(names, ", "))
		return e, nil
	}
	if !r.Now().Before(due) {
		e.State = layer.NotKnown // its time is over, also while something else is asked for first
		e.Text = fmt.Sprintf("The risk analysis was signed on %s: its year is over.", signed.At.Format(dayForm))
	}
	if asks {
		e.State, e.Fix, e.Minutes, e.By = layer.NeedsYou, "Go through it again", 15, due.Add(grace)
		e.Text = fmt.Sprintf("The risk analysis was signed on %s: it is to be gone through again.", signed.At.Format(dayForm))
	}
	return e, nil
}

// treatmentsSaid tells whether what was decided is done in time.
func (r *Reviews) treatmentsSaid(a analysis) layer.Evidence {
	e := layer.Evidence{Claim: "reviews.treatments", Page: "/reviews/risk#findings"}
	open, over := 0, 0
	var next time.Time
	for _, f := range a.Findings {
		d := f.Decision
		switch {
		case d == nil || d.Treatment == accept || !d.Done.IsZero():
		case d.Overdue(r.Now()):
			over++
		default:
			if open++; next.IsZero() || d.Due.Before(next) {
				next = d.Due
			}
		}
	}
	switch {
	case over > 0:
		e.State, e.Fix, e.Minutes = layer.Urgent, "Look at what is overdue", 5*over
		e.Text = "What was decided about one finding of the risk analysis is overdue."
		if over > 1 {
			e.Text = fmt.Sprintf("What was decided about %d findings of the risk analysis is overdue.", over)
		}
	case !a.Decided() || a.Open > 0:
		e.Text = "Not every finding of the risk analysis has an owner, a treatment and a day yet."
	case open > 0:
		e.State, e.Text = layer.YourWord, fmt.Sprintf("%d findings of the risk analysis are being worked on, each with an owner and a day; the next is %s.", open, next.Format(dayForm))
	default:
		e.State, e.Text = layer.YourWord, "Each finding of the risk analysis is done, or accepted with a reason."
	}
	return e
}

// turnSaid tells of one review.
func (r *Reviews) turnSaid(ctx context.Context, t turn) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "reviews." + t.ID, Page: t.Page}
	now := r.Now()
	if t.ID == "policies" {
		n, err := r.policiesSigned(ctx)
		if err != nil {
			return e, err
		}
		if n < len(policies()) && now.Before(t.Due) {
			e.Text = fmt.Sprintf("%d of %d of the practice’s own rules are signed.", n, len(policies()))
			return e, nil
		}
	}
	switch {
	case !now.Before(t.Due):
		e.State, e.Text, e.Fix, e.Minutes, e.By = layer.NeedsYou, t.Text, t.Button, t.Minutes, t.Due.Add(grace)
		if t.Last.IsZero() {
			e.Why = "It was not done yet."
		} else {
			e.Why = "It was last done on " + t.Last.Format(dayForm) + "."
		}
	case t.Last.IsZero():
		e.Text = fmt.Sprintf("Not done yet; its day is %s. %s", t.Due.Format(dayForm), t.Text)
	default:
		e.State, e.Seen, e.Until = layer.YourWord, t.Last, t.Due.Add(grace)
		e.Text = fmt.Sprintf("%s did this on %s: %s", r.Name(ctx, t.By), t.Last.Format(dayForm), lower(t.Text))
	}
	return e, nil
}

// officialsSaid tells who answers for security and for privacy, 45 CFR
// 164.308(a)(2) and 164.530(a).
func (r *Reviews) officialsSaid(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "reviews.officials", Page: "/reviews/papers#officials"}
	o, err := r.officials(ctx)
	if err != nil {
		return e, err
	}
	here, err := r.People(ctx)
	if err != nil {
		return e, err
	}
	if o.Security == "" || o.Privacy == "" {
		e.Text = "Nobody is named yet who answers for security and for privacy."
		return e, nil
	}
	for _, p := range []id.Person{o.Security, o.Privacy} {
		if !isHere(here, p) {
			e.State, e.Fix, e.Minutes = layer.NeedsYou, "Name somebody else", 2
			e.Text = "Somebody who answers for security or for privacy has left."
			return e, nil
		}
	}
	e.State, e.Seen, e.Until = layer.YourWord, o.At, o.At.AddDate(1, 1, 0)
	e.Text = fmt.Sprintf("%s answers for security, %s for privacy.", r.Name(ctx, o.Security), r.Name(ctx, o.Privacy))
	return e, nil
}

func isHere(all []id.Person, p id.Person) bool {
	for _, a := range all {
		if a == p {
			return true
		}
	}
	return false
}
