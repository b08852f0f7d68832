package home

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"quietroom/layer"
)

// place is one of the five as people read it.
type place struct {
	layer.Place
	name      string // in the plan
	among     string // in a row of others: "devices"
	unwatched string // where no room says anything of it
}

// places are the five, in the order of the plan.
var places = []place{
	{layer.Records, "Records", "records", "records"},
	{layer.Devices, "Devices", "devices", "devices"},
	{layer.People, "People", "people", "people’s ways in"},
	{layer.Backups, "Backups", "backups", "backups"},
	{layer.Edges, "Web, mail", "web and mail", "web and mail"},
}

// gravity orders the states: the worst weighs most. What is not known weighs
// more than everything that is fine, and less than what somebody can act upon.
var gravity = [...]int{layer.Safe: 0, layer.Off: 1, layer.YourWord: 2, layer.Checking: 3, layer.NotKnown: 4, layer.NeedsYou: 5, layer.Urgent: 6}

func worse(a, b layer.State) layer.State {
	if gravity[b] > gravity[a] {
		return b
	}
	return a
}

// line is an evidence as it reads now.
type line struct {
	item
	Stale bool // it was measured, but too long ago
}

// standing is how one place is.
type standing struct {
	place
	State layer.State
	Lines []line
}

// Name is the place as people read it.
func (s standing) Name() string { return s.name }

// Nobody says that no room watches the place.
func (s standing) Nobody() string { return "Nothing watches " + s.place.unwatched + " yet." }

// watched tells whether anything was ever said of the place.
func (s standing) watched() bool { return len(s.Lines) > 0 }

// stale tells whether something was known of the place, and is no more.
func (s standing) stale() bool {
	return slices.ContainsFunc(s.Lines, func(l line) bool { return l.Stale })
}

// oldest is when the least fresh of what is known was seen: a place is as fresh
// as that.
func (s standing) oldest() time.Time {
	var t time.Time
	for _, l := range s.Lines {
		if !l.Seen.IsZero() && (t.IsZero() || l.Seen.Before(t)) {
			t = l.Seen
		}
	}
	return t
}

// house is everything that is known at one moment.
type house struct {
	Places []standing // the five, in order
	State  layer.State
	Urgent []line // in the order of the places
	Needs  []line // quickest first, then by the day
}

// weigh puts every evidence at its place. A place of which nobody says anything
// is not known, and what names no place counts for the records.
func weigh(items []item, now time.Time) house {
	h := house{State: layer.Safe}
	for _, p := range places {
		h.Places = append(h.Places, standing{place: p, State: layer.Safe})
	}
	for _, i := range items {
		at := max(0, slices.IndexFunc(places, func(p place) bool { return p.Place == i.Place }))
		was := i.State
		i.Evidence = i.At(now)
		s := &h.Places[at]
		s.Lines = append(s.Lines, line{i, was != i.State})
		s.State = worse(s.State, i.State)
	}
	for n := range h.Places {
		s := &h.Places[n]
		if !s.watched() {
			s.State = layer.NotKnown
		}
		h.State = worse(h.State, s.State)
		for _, l := range s.Lines {
			switch l.State {
			case layer.Urgent:
				h.Urgent = append(h.Urgent, l)
			case layer.NeedsYou:
				h.Needs = append(h.Needs, l)
			}
		}
	}
	slices.SortStableFunc(h.Needs, func(a, b line) int {
		if a.Minutes != b.Minutes {
			return a.Minutes - b.Minutes
		}
		return a.Since.Compare(b.Since)
	})
	return h
}

// sentence is the one sentence of home: the worst that is true. Somebody who is
// no owner reads that things wait for the owner.
func (h house) sentence(owner bool) string {
	records := h.Places[0]
	switch h.State {
	case layer.Urgent:
		first, _ := firstSentence(h.Urgent[0].Text)
		return first
	case layer.NeedsYou:
		if records.State == layer.NotKnown && !records.stale() {
			return waiting(h.Needs, owner) // a new house: the plan shows what nobody tried yet
		}
		return join(ofRecords(records), waiting(h.Needs, owner))
	case layer.NotKnown:
		return h.unknown()
	case layer.Checking:
		return join(ofRecords(records), named("Being checked: %s.", h.others(layer.Checking)))
	case layer.YourWord:
		return join(ofRecords(records), "Nothing needs you today.", named("By your word: %s.", h.others(layer.YourWord)))
	case layer.Off:
		return join(ofRecords(records), "Nothing needs you today.", named("Off, on purpose: %s.", h.others(layer.Off)))
	}
	return "All is quiet. Nothing needs you today."
}

// unknown is the sentence of a house of which something is not known.
func (h house) unknown() string {
	names, stale := h.among(layer.NotKnown), slices.ContainsFunc(h.Places, standing.stale)
	switch {
	case len(names) == len(places) && stale:
		return "How this house is now is not known."
	case len(names) == len(places):
		return "Nothing has been measured here yet."
	case h.Places[0].State == layer.NotKnown:
		return ofRecords(h.Places[0])
	}
	return join(ofRecords(h.Places[0]), named("Not\u00a0known"+yet(stale)+": %s.", names))
}

func yet(stale bool) string {
	if stale {
		return ""
	}
	return " yet"
}

// ofRecords is what comes first: how the records are. Elsewhere is never part of it.
func ofRecords(s standing) string {
	switch s.State {
	case layer.Safe:
		return "The records sealed here are safe."
	case layer.Checking:
		return "The records sealed here are being checked."
	case layer.NotKnown:
		if slices.ContainsFunc(s.Lines, func(l line) bool { return l.State == layer.Safe }) {
			return "Not everything is known of the records sealed here."
		}
		return "How the records sealed here are is not known" + yet(s.stale()) + "."
	case layer.YourWord:
		return "For the records sealed here there is your word."
	case layer.Off:
		return "The checks of the records are off, on purpose."
	}
	return "" // what is asked for follows, and says it better
}

// quick is the most that a small thing costs, in minutes.
const quick = 10

// waiting counts what is asked for.
func waiting(needs []line, owner bool) string {
	thing, whom := "thing", "you"
	if !slices.ContainsFunc(needs, func(l line) bool { return l.Minutes > quick }) {
		thing = "small thing"
	}
	if !owner {
		whom = "the owner"
	}
	if len(needs) == 1 {
		return fmt.Sprintf("One %s waits for %s.", thing, whom)
	}
	return fmt.Sprintf("%s %ss wait for %s.", capital(counted(len(needs))), thing, whom)
}

// among names the places in a state.
func (h house) among(state layer.State) []string {
	var names []string
	for _, s := range h.Places {
		if s.State == state {
			names = append(names, s.among)
		}
	}
	return names
}

// others names the places in a state, but for the records: they have their own sentence.
func (h house) others(state layer.State) []string {
	return slices.DeleteFunc(h.among(state), func(n string) bool { return n == places[0].among })
}

// unwatched is the one calm sentence for the places that have no room yet.
func (h house) unwatched() string {
	var names []string
	for _, s := range h.Places {
		if !s.watched() {
			names = append(names, s.place.unwatched)
		}
	}
	return named("Nothing watches %s yet.", names)
}

// named puts names into a sentence; without names there is none.
func named(format string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(format, list(names))
}

// list reads "devices, backups, and web and mail".
func list(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n == 2 && !strings.Contains(names[1], " and "):
		return names[0] + " and " + names[1]
	case strings.Contains(names[n-1], " and "):
		return strings.Join(names, ", ")
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func join(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), " ")
}

// firstSentence splits a text: its first sentence is a headline, the rest explains.
func firstSentence(text string) (first, rest string) {
	for at, r := range text {
		if r == '.' && (at+1 == len(text) || text[at+1] == ' ') {
			return text[:at+1], strings.TrimSpace(text[at+1:])
		}
	}
	return text, ""
}

var numerals = [...]string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

// counted writes small numbers as words.
func counted(n int) string {
	if n >= 0 && n < len(numerals) {
		return numerals[n]
	}
	return grouped(n)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
