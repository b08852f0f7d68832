package compliance

import (
	"context"
	"fmt"
	"time"

	"quietroom/ground/law"
	"quietroom/layer"
)

// Standing is how one control is now, and why.
type Standing struct {
	law.Control
	State layer.State
	Parts []Part
	Word  *Said  // what a person said of it; nil: nobody did
	Open  string // what is missing, in a sentence; "" if nothing is
}

// Part is one claim that shows the control.
type Part struct {
	Asked string // "backup.fresh", "devices.*"
	layer.Evidence
	Missing bool // nobody made the claim
	Stale   bool // it was measured, too long ago
}

// Said is a person's word as it reads now.
type Said struct {
	word
	Who     string
	Gone    bool // who said it has left
	Overdue bool // it had to be said again by now
}

// Counts tells whether the word still stands.
func (s *Said) Counts() bool { return s != nil && !s.Gone && !s.Overdue }

// Heading is what was decided, as people read it.
func (s *Said) Heading() string {
	switch s.Kind {
	case off:
		return "Does not apply"
	case instead:
		return "Something equivalent is done"
	case notDone:
		return "Considered, and not done"
	}
	return "Said"
}

// gravity orders the states as home does: the worst weighs most.
var gravity = [...]int{layer.Safe: 0, layer.Off: 1, layer.YourWord: 2, layer.Checking: 3, layer.NotKnown: 4, layer.NeedsYou: 5, layer.Urgent: 6}

func worse(a, b layer.State) layer.State {
	if gravity[b] > gravity[a] {
		return b
	}
	return a
}

// Standings are all 65, as they are at this moment.
func (c *Compliance) Standings(ctx context.Context) ([]Standing, error) {
	seen, err := c.Evidence(ctx)
	if err != nil {
		return nil, err
	}
	words, err := c.words(ctx)
	if err != nil {
		return nil, err
	}
	var all []Standing
	for _, control := range law.Standards() {
		var s *Said
		if w, ok := words[control.ID]; ok {
			s = c.said(ctx, w)
		}
		all = append(all, stand(control, seen, s, c.Now()))
	}
	return all, nil
}

func (c *Compliance) said(ctx context.Context, w word) *Said {
	s := &Said{word: w, Who: c.Name(ctx, w.Person), Gone: !c.Works(ctx, w.Person), Overdue: !c.Now().Before(w.Review)}
	if s.Who == "" {
		s.Who = "Somebody who has left"
	}
	return s
}

// stand weighs one control: it is as the worst of its claims, and where only a
// person can say a part of it, never better than that person's word.
func stand(control law.Control, seen []layer.Evidence, s *Said, now time.Time) Standing {
	st := Standing{Control: control, State: layer.Safe, Word: s}
	asked, _ := law.Claims(control.ID)
	for _, a := range asked {
		found := false
		for _, e := range seen {
			if !law.Shows(a, e.Claim) {
				continue
			}
			found = true
			at := e.At(now)
			st.Parts = append(st.Parts, Part{Asked: a, Evidence: at, Stale: at.State != e.State})
			st.State = worse(st.State, at.State)
		}
		if !found && !law.Optional(a) {
			st.Parts = append(st.Parts, Part{Asked: a, Missing: true})
			st.State = worse(st.State, layer.NotKnown)
		}
	}
	if len(asked) == 0 && control.Attestation == "" {
		st.State = layer.NotKnown
	}
	switch {
	case s.Counts() && (s.Kind == off || s.Kind == notDone):
		st.State = layer.Off
	case s.Counts() && s.Kind == instead:
		st.State = layer.YourWord
	case control.Attestation == "":
	case s.Counts():
		st.State = worse(st.State, layer.YourWord)
	default:
		st.State = worse(st.State, layer.NotKnown)
		st.Open = "Only a person can say a part of this, and nobody has."
		if s != nil && s.Gone {
			st.Open = s.Who + " said so, and has left since. Somebody who is here says it again."
		} else if s != nil {
			st.Open = fmt.Sprintf("It was said on %s, and had to be said again by %s.", s.At.Format("January 2, 2006"), s.Review.Format("January 2, 2006"))
		}
	}
	return st
}

// Tally counts states.
func Tally(all []Standing) map[layer.State]int {
	n := map[layer.State]int{}
	for _, s := range all {
		n[s.State]++
	}
	return n
}
