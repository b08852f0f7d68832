package home

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"quietroom/layer"
)

// Bounds on what a room may say of time. A lesson is yearly; nothing that was
// measured counts longer than a year and a month.
const (
	patience    = 10 * time.Second
	fastClock   = 5 * time.Minute
	longestLast = 400 * 24 * time.Hour
	mostClaims  = 500
)

// Asker asks rooms for what they can prove, all at once, so that one that hangs,
// breaks or lies about its time hides nobody else's evidence. What a broken room
// claimed before is reported as unanswered: it stays as it was and runs out by
// itself. Its zero value, with Now, is ready.
type Asker struct {
	Now      func() time.Time
	Patience time.Duration // how long a room may take; 10 seconds if zero

	mu     sync.Mutex
	claims map[string][]string // what each room claimed when it last answered
	busy   map[string]bool     // rooms that were asked and did not come back yet
}

// Ask asks the rooms. An error comes with the claim that could not be looked at,
// or with an empty one where nobody knows what the room would have claimed.
func (a *Asker) Ask(ctx context.Context, rooms []layer.Layer) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		limit := a.Patience
		if limit == 0 {
			limit = patience
		}
		asked, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		var answers []chan []told
		for _, l := range rooms {
			if l.Evidence != nil {
				answers = append(answers, a.ask(asked, l))
			}
		}
		i := 0
		for _, l := range rooms {
			if l.Evidence == nil {
				continue
			}
			for _, s := range a.wait(asked, l.Name, answers[i]) {
				if !yield(s.Evidence, s.err) {
					return
				}
			}
			i++
		}
	}
}

type told struct {
	layer.Evidence
	err error
}

// ask asks one room beside the others. The channel is closed empty where the
// room still has not answered the time before.
func (a *Asker) ask(ctx context.Context, l layer.Layer) chan []told {
	answer := make(chan []told, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy == nil {
		a.busy, a.claims = map[string]bool{}, map[string][]string{}
	}
	if a.busy[l.Name] {
		close(answer)
		return answer
	}
	a.busy[l.Name] = true
	go func() {
		all, done := collect(ctx, l)
		a.mu.Lock()
		delete(a.busy, l.Name)
		a.mu.Unlock()
		if done {
			answer <- all
		}
		close(answer)
	}()
	return answer
}

// collect reads all that a room says. done is false where it broke off.
func collect(ctx context.Context, l layer.Layer) (all []told, done bool) {
	defer func() {
		if recover() != nil { // its words are not told: they may hold anything
			done = false
		}
	}()
	for e, err := range l.Evidence(ctx) {
		if all = append(all, told{e, err}); len(all) > mostClaims || ctx.Err() != nil {
			return nil, false
		}
	}
	return all, true
}

// wait takes a room's answer, and puts its times right.
func (a *Asker) wait(ctx context.Context, room string, answer chan []told) []told {
	var all []told
	ok := false
	select {
	case all, ok = <-answer:
	case <-ctx.Done():
		select { // it came at the last moment
		case all, ok = <-answer:
		default:
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ok {
		err := fmt.Errorf("the room %s did not answer", room)
		before, known := a.claims[room]
		if !known {
			return []told{{err: err}}
		}
		for _, claim := range append(slices.Clone(before), room+".") {
			all = append(all, told{layer.Evidence{Claim: claim}, err})
		}
		return all
	}
	var claims []string
	for i := range all {
		if all[i].err == nil {
			all[i].Evidence = honest(all[i].Evidence, a.Now())
		}
		claims = append(claims, all[i].Claim)
	}
	a.claims[room] = claims
	return all
}

// honest takes back what a room cannot know: what it saw in the future, and that
// it counts for ever.
func honest(e layer.Evidence, now time.Time) layer.Evidence {
	if e.Seen.After(now.Add(fastClock)) {
		e.State, e.Seen, e.Until = layer.NotKnown, time.Time{}, time.Time{}
		e.Why = "The room says that it saw this in the future. Look at the server’s clock."
		return e
	}
	if last := e.Seen.Add(longestLast); !e.Seen.IsZero() && e.Until.After(last) {
		e.Until = last
	}
	return e
}

// Kept is all that was said at the last look, and what came of each drill, as it
// was said then.
func (h *Home) Kept(ctx context.Context) ([]layer.Evidence, error) {
	items, err := h.kept(ctx)
	if err != nil {
		return nil, err
	}
	tried, err := h.outcomes(ctx)
	if err != nil {
		return nil, err
	}
	var all []layer.Evidence
	for _, i := range items {
		all = append(all, i.Evidence)
	}
	for _, o := range expected(tried, h.Drills()) {
		all = append(all, o.evidence().Evidence)
	}
	return all, nil
}
