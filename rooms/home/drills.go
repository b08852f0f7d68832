package home

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/layer"
)

// drillLasts is how long an attack that was tried says something about today.
const drillLasts = 30 * 24 * time.Hour

// outcome is the last time that a drill was really tried.
type outcome struct {
	Drill     string
	At        time.Time // zero: never tried
	Held      bool
	Tried     int
	Opened    int
	Took      time.Duration
	Findings  []string // the first of them
	Found     int      // how many there were
	Skipped   string   // why the newest attempt was skipped, if it was
	SkippedAt time.Time
}

// theft is the drill that home names as its last proof.
const theft = "theft"

// attacks are the drills that home can tell of in a sentence of their own.
var attacks = map[string]struct {
	place   layer.Place
	called  string // a name for tables
	tried   string // %[1]s opened, %[2]s tried
	untried string
}{
	theft:       {layer.Records, "A thief’s copy", "A thief’s copy of everything opened %[1]s of %[2]s records.", "Nobody has tried a thief’s copy of everything yet."},
	"row-swap":  {layer.Records, "Swapped rows", "In a trial, %[1]s of %[2]s swapped, older or forged rows were accepted.", "Nobody has tried swapped and forged rows yet."},
	"tamper":    {layer.Records, "A changed ledger", "In a trial, %[1]s of %[2]s changes to the ledger went unnoticed.", "Nobody has tried to change the ledger yet."},
	"leaver":    {layer.People, "A leaver’s keys", "In a trial, %[1]s of %[2]s doors and later notes opened to somebody who had left.", "Nobody has tried a leaver’s keys yet."},
	"proof":     {layer.Records, "A changed binder", "In a trial, %[1]s of %[2]s changes to a proof binder went unnoticed.", "Nobody has tried to change a proof binder yet."},
	"year":      {layer.People, "A year of reviews", "In a trial, %[1]s of %[2]s looks in a year found a review missed, or asked for twice.", "Nobody has tried a year of reviews yet."},
	"honesty":   {layer.Records, "Broken rooms", "In a trial, %[1]s of %[2]s things that a broken room had shown still read as safe.", "Nobody has tried to break what the rooms show yet."},
	"push-spam": {layer.People, "Sign-in spam", "In a trial, %[1]s of %[2]s sign-in attempts got in.", "Nobody has tried sign-in spam yet."},
}

// called is the drill's name in a table.
func (o outcome) called() string {
	if a, ok := attacks[o.Drill]; ok {
		return a.called
	}
	return o.Drill
}

// among is the drill's name in a row of others.
func (o outcome) among() string { return strings.ToLower(o.called()) }

// sentence is what came of it, in numbers as counted.
func (o outcome) sentence() string {
	a, known := attacks[o.Drill]
	switch {
	case !known && o.At.IsZero():
		return fmt.Sprintf("Nobody has tried the drill %s yet.", o.Drill)
	case o.At.IsZero():
		return a.untried
	case !known:
		return fmt.Sprintf("In the drill %s, %s of %s attempts went through.", o.Drill, grouped(o.Opened), grouped(o.Tried))
	}
	return fmt.Sprintf(a.tried, grouped(o.Opened), grouped(o.Tried))
}

// evidence is the outcome as home weighs it. One that tried nothing proves nothing.
func (o outcome) evidence() item {
	e := layer.Evidence{Claim: "home.drill." + o.Drill, Place: layer.Records, Text: o.sentence(), Seen: o.At, Until: o.At.Add(drillLasts), Page: "/evidence#drill-" + o.Drill}
	if a, ok := attacks[o.Drill]; ok {
		e.Place = a.place
	}
	if o.Skipped != "" {
		e.Why = "The newest attempt was skipped: " + strings.TrimSuffix(o.Skipped, ".") + "."
	}
	switch {
	case o.At.IsZero():
		e.Seen, e.Until = time.Time{}, time.Time{}
	case !o.Held:
		e.State, e.Fix = layer.Urgent, "See what was found"
		e.Text, e.Why = o.failure(), "Ask whoever looks after the server to read it and to try again."
	case o.Tried > 0:
		e.State = layer.Safe
	}
	return item{Evidence: e, Since: o.At, drill: true, Took: took(o.Took)}
}

// untried is one calm sentence for the attacks that nobody tried yet.
func untried(drills []outcome) string {
	var names []string
	for _, o := range drills {
		if o.At.IsZero() {
			names = append(names, o.among())
		}
	}
	if len(names) > 1 && len(names) == len(drills) {
		return "No attack has been tried here yet."
	}
	return named("Not tried yet: %s.", names)
}

// failure tells of a drill that did not hold: by its numbers, or by its first
// finding where the numbers do not show it.
func (o outcome) failure() string {
	if o.Opened > 0 {
		return o.sentence()
	}
	s := fmt.Sprintf("The drill %s did not hold.", o.Drill)
	if len(o.Findings) > 0 {
		s += " " + o.Findings[0]
	}
	return s
}

// expected adds the drills that the house has and nobody tried, and sorts all
// by name; the thief comes first.
func expected(tried map[string]outcome, drills []layer.Drill) []outcome {
	all := make([]outcome, 0, len(tried)+len(drills))
	for _, o := range tried {
		all = append(all, o)
	}
	for _, d := range drills {
		if _, ok := tried[d.Name]; !ok {
			all = append(all, outcome{Drill: d.Name})
		}
	}
	slices.SortFunc(all, func(a, b outcome) int {
		if (a.Drill == theft) != (b.Drill == theft) {
			if a.Drill == theft {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Drill, b.Drill)
	})
	return all
}

// took says how long a drill ran.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
}

// grouped writes 33000 as people read it: 33,000.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
