package trackers

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"quietroom/layer"
)

// agreedFor is how long somebody's word counts that a receiver may stay.
const agreedFor = 365 * day

// evidence says what is known of the site, and one sentence for each open harm.
func (t *Trackers) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		all, err := t.claims(ctx)
		if err != nil {
			yield(layer.Evidence{Claim: "trackers.scan"}, err)
			return
		}
		for _, e := range all {
			e.Place = layer.Edges
			if e.Page == "" {
				e.Page = "/site"
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (t *Trackers) claims(ctx context.Context) (all []layer.Evidence, err error) {
	sites, err := t.sites(ctx)
	if err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return []layer.Evidence{{Claim: "trackers.scan", State: layer.NotKnown, Text: "Nobody has looked at what your web site tells others about its visitors."}}, nil
	}
	for _, s := range sites {
		some, err := t.siteClaims(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// mostHarms is how many open harms of a site are told one by one.
const mostHarms = 3

func (t *Trackers) siteClaims(ctx context.Context, s Site) (all []layer.Evidence, err error) {
	looks, err := t.looks(ctx, s.ID, 10)
	if err != nil {
		return nil, err
	}
	harms, err := readHarms(ctx, t.DB, `site = $1 AND gone = 0`, s.ID)
	if err != nil {
		return nil, err
	}
	var open []Kept
	for _, k := range harms {
		switch {
		case k.Open():
			open = append(open, k)
		case k.Decision == decidedAgreed:
			all = append(all, layer.Evidence{Claim: "trackers.agreed", State: layer.YourWord, Seen: k.Decided, Until: k.Decided.Add(agreedFor), Page: "/site/harms/" + k.ID,
				Text: fmt.Sprintf("%s may be told what it is told on your web site: there is an agreement.", k.Who)})
		}
	}
	slices.SortStableFunc(open, func(a, b Kept) int { return a.Severity.rank() - b.Severity.rank() })
	for i, k := range open {
		if i == mostHarms {
			all = append(all, layer.Evidence{Claim: "trackers.harm", State: layer.NeedsYou, Seen: k.Last, Until: k.Last.Add(t.lasts(s)), Fix: "Look at them", Minutes: 5 * (len(open) - i),
				Text: fmt.Sprintf("The scan of your web site found %s of this kind.", counted(len(open)-i, "more thing", "more things"))})
			break
		}
		all = append(all, layer.Evidence{Claim: "trackers.harm", State: layer.NeedsYou, Text: k.Sentence, Seen: k.Last, Until: k.Last.Add(t.lasts(s)), Page: "/site/harms/" + k.ID, Fix: "See what it is, and what to do", Minutes: 10, Why: t.question(k)})
	}
	e, notice := t.scanned(s, looks, len(open))
	if e.Claim != "" {
		all = append(all, e)
	}
	if notice.Claim != "" {
		all = append(all, notice)
	}
	return all, nil
}

// lasts is how long a scan counts.
func (t *Trackers) lasts(s Site) time.Duration {
	if s.Days == 0 {
		return 35 * day
	}
	return time.Duration(2*s.Days)*day + day
}

// scanned is the sentence on the newest scan, and on the notice that has to be posted.
func (t *Trackers) scanned(s Site, looks []Looked, open int) (e, notice layer.Evidence) {
	e = layer.Evidence{Claim: "trackers.scan", State: layer.NotKnown, Text: "Your web site has not been looked at yet."}
	if doing, _, began := t.Doing(); doing == s.ID {
		e.State, e.Text, e.Seen, e.Until = layer.Checking, "Your web site is being looked at.", began, began.Add(2*time.Hour)
		return e, notice
	}
	if len(looks) == 0 {
		return e, notice
	}
	if looks[0].State == failed {
		e.Text, e.Why = fmt.Sprintf("Your web site could not be looked at on %s.", looks[0].At.Format("January 2")), looks[0].Why
		return e, notice
	}
	i := slices.IndexFunc(looks, func(l Looked) bool { return l.State == done })
	if i < 0 {
		e.Text = "The scan of your web site was stopped before its end."
		return e, notice
	}
	r, err := looks[i].Result()
	if err != nil {
		e.Text = "What the last scan of your web site saw cannot be read any more."
		return e, notice
	}
	e.Seen, e.Until = looks[i].At, looks[i].At.Add(t.lasts(s))
	looked, blocked := 0, 0
	for _, p := range r.Pages {
		if p.Problem == "" {
			looked++
		} else {
			blocked++
		}
	}
	switch {
	case looked == 0:
		e.Text, e.Why = "Your web site does not show itself to a scan, so we do not know what it tells others.", "Look yourself: the page says how."
	case open > 0:
		e = layer.Evidence{} // the harms speak
	case r.Count(Stop)+r.Count(Fix) > 0:
		e.State, e.Text = layer.YourWord, fmt.Sprintf("On %s of your web site, nothing was seen that you have not decided about.", counted(looked, "page", "pages"))
	default:
		e.State, e.Text = layer.Safe, fmt.Sprintf("Test data typed on %s of your web site reached nobody else.", counted(looked, "page", "pages"))
		if blocked > 0 {
			e.Why = fmt.Sprintf("%s could not be looked at.", counted(blocked, "page", "pages"))
		}
	}
	for _, c := range r.Checks {
		if c.Name != noticeCheck {
			continue
		}
		notice = layer.Evidence{Claim: "trackers.notice", Text: c.Text, Seen: looks[i].At, Until: looks[i].At.Add(t.lasts(s)), State: layer.Safe}
		if c.State != Good {
			notice.State, notice.Fix, notice.Minutes = layer.NeedsYou, "Post it, and look again", 10
			notice.Text, notice.Why = "Your web site shows no link to a Notice of Privacy Practices.", c.Fix
		}
	}
	return e, notice
}

// question is what a harm leaves to decide: never a verdict.
func (t *Trackers) question(k Kept) string {
	last := k.Last.Format("January 2, 2006")
	seen, real := fmt.Sprintf("Test data typed on this page reached %s.", k.Who), "Real patients’ data may have left in the same way"
	if !k.Typed {
		seen, real = fmt.Sprintf("A test visit to this page was told to %s.", k.Who), "Real patients’ visits may have been told in the same way"
	}
	if k.Clean.IsZero() {
		return fmt.Sprintf("%s %s until %s; since when is not known, because nobody had looked before %s.", seen, real, last, k.First.Format("January 2, 2006"))
	}
	return fmt.Sprintf("%s %s between %s, the last clean scan of it, and %s.", seen, real, k.Clean.Format("January 2, 2006"), last)
}
