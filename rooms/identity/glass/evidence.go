package glass

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
)

// evidenceLasts is how long a look counts.
const evidenceLasts = 24 * time.Hour

// evidence says what waits for a review, and whether the glass could be broken.
func (g *Glass) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		if !g.Identity.Founded() {
			return
		}
		m, err := g.making(ctx)
		never := errors.Is(err, ErrOff) && m.by == ""
		for _, look := range []func(context.Context) (layer.Evidence, error){g.reviews, g.ready} {
			e, err := look(ctx)
			if err == nil && never && e.State == layer.Safe {
				continue // it was never offered: nothing is promised of it
			}
			e.Place, e.Page, e.Seen, e.Until = layer.People, "/glass", g.Now(), g.Now().Add(evidenceLasts)
			if !yield(e, err) {
				return
			}
		}
	}
}

// reviews: each breaking is looked at within 72 hours.
func (g *Glass) reviews(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "glass.reviews", State: layer.Safe, Text: "No breaking of the glass waits for a review."}
	waiting, err := g.breakings(ctx, false, 1000)
	if err != nil || len(waiting) == 0 {
		return e, err
	}
	first := waiting[0]
	e.State, e.By, e.Minutes, e.Fix = layer.NeedsYou, first.due, 3*len(waiting), "Look at it"
	e.Text = "The glass was broken, and nobody has reviewed it yet."
	if len(waiting) > 1 {
		e.Text = fmt.Sprintf("The glass was broken %d times, and nobody has reviewed that yet.", len(waiting))
	}
	if !g.Now().Before(first.due) {
		e.State = layer.Urgent
		e.Text = "The glass was broken more than 72 hours ago, and nobody has reviewed it."
	}
	return e, nil
}

// ready: those who treat could break it, for every team.
func (g *Glass) ready(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "glass.ready", State: layer.Safe}
	s, err := g.standing(ctx)
	if err != nil {
		return e, err
	}
	switch {
	case !s.On && s.By != "":
		e.State, e.Text = layer.Off, "Breaking the glass is off: "+s.By+" turned it off. In an emergency nobody opens a chart that is not theirs."
	case !s.On:
	case !s.Half:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "See what is missing"
		e.Text = "The glass cannot be broken here: this server’s half of the key is missing."
	case len(s.Worn) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 1, "Make it anew"
		e.Text = few(s.Worn) + " left or got new keys. Until the key for breaking the glass is made anew, it reaches nothing that teams write from now on."
	case s.Teams > s.Reached:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 1, "See which"
		e.Text = fmt.Sprintf("Breaking the glass reaches %d of %d teams. The others follow when a member of each comes in next.", s.Reached, s.Teams)
	default:
		e.Text = fmt.Sprintf("In an emergency %s may break the glass, for one chart and 60 minutes. It reaches all %d teams.", count(len(s.May), "person", "people"), s.Teams)
	}
	return e, nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// few names up to three people.
func few(names []string) string {
	switch {
	case len(names) == 1:
		return names[0]
	case len(names) > 3:
		return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// standing is how it is with the glass, without keys.
type standing struct {
	On      bool
	By      string // who made it, or turned it off
	At      time.Time
	Half    bool // the house's half is on this server
	May     []id.Person
	Worn    []string // who may know half A and should not any more
	Teams   int      // whose newest key
	Reached int      // is sealed to the pair
	Missing []string // names of the others
}

func (g *Glass) standing(ctx context.Context) (s standing, err error) {
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return s, err
	}
	m, err := g.making(ctx)
	if err != nil && !errors.Is(err, ErrOff) {
		return s, err
	}
	who, _ := roster.Person(string(m.by))
	s.On, s.By, s.At = err == nil, who.Name, m.at
	if !s.On {
		return s, nil
	}
	house, err := g.House.GlassHalf()
	house.Wipe()
	if s.Half = err == nil; err != nil && !errors.Is(err, ErrNoHalf) {
		return s, err
	}
	if s.May, err = g.may(ctx, roster); err != nil {
		return s, err
	}
	worn, err := g.worn(ctx, roster)
	if err != nil {
		return s, err
	}
	for _, p := range worn {
		who, _ := roster.Person(string(p))
		s.Worn = append(s.Worn, who.Name)
	}
	return s, g.reach(ctx, roster, &s)
}

// may are those who could break the glass now.
func (g *Glass) may(ctx context.Context, roster *seal.Roster) (people []id.Person, err error) {
	held, err := g.holders(ctx)
	for _, p := range held {
		if who, _ := roster.Person(string(p)); mayBreak(who) {
			people = append(people, p)
		}
	}
	return people, err
}

// reach counts the teams whose newest key is sealed to the pair.
func (g *Glass) reach(ctx context.Context, roster *seal.Roster, s *standing) error {
	boxes, err := g.keyBoxes(ctx, g.DB)
	if err != nil {
		return err
	}
	newest := map[id.Team]uint64{}
	for _, b := range boxes {
		newest[b.team] = max(newest[b.team], b.epoch)
	}
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		if s.Teams++; newest[id.Team(name)] == t.Epoch {
			s.Reached++
			continue
		}
		s.Missing = append(s.Missing, t.Name)
	}
	return nil
}
