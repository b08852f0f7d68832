package home

import (
	"strings"
	"testing"
	"time"

	"quietroom/layer"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// houseOf is a house whose five places are each in one state; NotKnown is a
// place that nobody watches.
func houseOf(states ...layer.State) []item {
	var all []item
	for i, s := range states {
		if s != layer.NotKnown {
			all = append(all, said(places[i].Place, s))
		}
	}
	return all
}

func said(at layer.Place, s layer.State) item {
	return item{Evidence: layer.Evidence{Claim: "room." + string(at), Place: at, State: s, Text: "Something is with the " + string(at) + ". It can be mended.", Seen: noon, Until: noon.Add(time.Hour), Minutes: 3}}
}

// Short names, so that a house is one line.
const (
	ok    = layer.Safe
	ask   = layer.NeedsYou
	harm  = layer.Urgent
	going = layer.Checking
	dark  = layer.NotKnown
	word  = layer.YourWord
	off   = layer.Off
)

func TestTheSentenceIsTheWorstThatIsTrue(t *testing.T) {
	for _, c := range []struct {
		title string
		items []item
		state layer.State
		want  string
	}{
		{"all is quiet", houseOf(ok, ok, ok, ok, ok), ok, "All is quiet. Nothing needs you today."},
		{"something is off", houseOf(ok, ok, ok, ok, off), off, "The records sealed here are safe. Nothing needs you today. Off, on purpose: web and mail."},
		{"the records' checks are off", houseOf(off, ok, ok, ok, ok), off, "The checks of the records are off, on purpose. Nothing needs you today."},
		{"there is somebody's word", houseOf(ok, word, ok, word, off), word, "The records sealed here are safe. Nothing needs you today. By your word: devices and backups."},
		{"there is a word for the records", houseOf(word, ok, ok, ok, ok), word, "For the records sealed here there is your word. Nothing needs you today."},
		{"something is being checked", houseOf(ok, ok, word, going, ok), going, "The records sealed here are safe. Being checked: backups."},
		{"the records are being checked", houseOf(going, ok, ok, ok, ok), going, "The records sealed here are being checked."},
		{"a new house", houseOf(dark, dark, dark, dark, dark), dark, "Nothing has been measured here yet."},
		{"some places have no room yet", houseOf(ok, dark, ok, dark, dark), dark, "The records sealed here are safe. Not\u00a0known yet: devices, backups, web and mail."},
		{"one place has no room yet", houseOf(ok, ok, ok, ok, dark), dark, "The records sealed here are safe. Not\u00a0known yet: web and mail."},
		{"two places, one of two words", houseOf(ok, ok, ok, dark, dark), dark, "The records sealed here are safe. Not\u00a0known yet: backups, web and mail."},
		{"the records are not known", houseOf(dark, ok, dark, ok, ok), dark, "How the records sealed here are is not known yet."},
		{"the records are known in part", append(houseOf(ok, ok, ok, ok, ok), item{Evidence: layer.Evidence{Place: layer.Records}}), dark, "Not everything is known of the records sealed here."},
		{"one place was known once", append(houseOf(ok, ok, ok, dark, ok), old(layer.Backups)), dark, "The records sealed here are safe. Not\u00a0known: backups."},
		{"the records were known once", append(houseOf(dark, ok, ok, ok, ok), old(layer.Records)), dark, "How the records sealed here are is not known."},
		{"all was known once", []item{old(layer.Records), old(layer.Devices), old(layer.People), old(layer.Backups), old(layer.Edges)}, dark, "How this house is now is not known."},
		{"one thing is asked for", houseOf(ok, ask, ok, dark, dark), ask, "The records sealed here are safe. One small thing waits for you."},
		{"two things are asked for", houseOf(ok, ask, ask, ok, ok), ask, "The records sealed here are safe. Two small things wait for you."},
		{"the records ask", houseOf(ask, ok, ok, ok, ok), ask, "One small thing waits for you."},
		{"something is asked for in the dark", houseOf(dark, ok, ask, dark, dark), ask, "One small thing waits for you."},
		{"something is asked for while the records went dark", append(houseOf(dark, ok, ask, ok, ok), old(layer.Records)), ask, "How the records sealed here are is not known. One small thing waits for you."},
		{"something is asked for meanwhile", houseOf(going, ok, ask, ok, ok), ask, "The records sealed here are being checked. One small thing waits for you."},
		{"harm comes before all", houseOf(ok, ask, harm, dark, ok), harm, "Something is with the people."},
		{"of two harms the first room's", houseOf(harm, ok, ok, harm, ok), harm, "Something is with the records."},
	} {
		t.Run(c.title, func(t *testing.T) {
			h := weigh(c.items, noon)
			if got := h.sentence(true); got != c.want || h.State != c.state {
				t.Errorf("got %s: %q, want %s: %q", h.State, got, c.state, c.want)
			}
		})
	}
}

// old was measured, too long ago.
func old(at layer.Place) item {
	i := said(at, layer.Safe)
	i.Seen, i.Until = noon.AddDate(0, 0, -9), noon.AddDate(0, 0, -8)
	return i
}

// TestNoHouseSaysMoreThanItKnows goes through all 16,807 houses.
func TestNoHouseSaysMoreThanItKnows(t *testing.T) {
	all := []layer.State{ok, ask, harm, going, dark, word, off}
	states := make([]layer.State, 5)
	for n := range 7 * 7 * 7 * 7 * 7 {
		for i, rest := 0, n; i < 5; i, rest = i+1, rest/7 {
			states[i] = all[rest%7]
		}
		h := weigh(houseOf(states...), noon)
		for _, owner := range []bool{true, false} {
			s := h.sentence(owner)
			quiet := strings.Contains(s, "quiet") || strings.Contains(s, "Nothing needs")
			bad := false
			for _, x := range states {
				bad = bad || x == ask || x == harm || x == dark
			}
			switch {
			case quiet && bad:
				t.Fatalf("%v says %q", states, s)
			case strings.Contains(s, "safe") && states[0] != ok:
				t.Fatalf("%v calls the records safe: %q", states, s)
			case strings.ContainsAny(s, "!%") || strings.Contains(s, "  ") || !strings.HasSuffix(s, ".") || len(s) > 130:
				t.Fatalf("%v says %q", states, s)
			case strings.Contains(" "+strings.ToLower(s)+" ", " we ") || strings.Contains(s, "compliant"):
				t.Fatalf("%v says %q", states, s)
			}
		}
	}
}

func TestAStateIsReadBackAsItWasKept(t *testing.T) {
	for s := layer.NotKnown; s <= layer.Urgent; s++ {
		if got := stateOf(s.Is()); got != s {
			t.Errorf("%s is read back as %s", s, got)
		}
	}
	if got := stateOf("splendid"); got != layer.NotKnown {
		t.Errorf("a word that nobody knows reads as %s", got)
	}
}

func TestWhatNamesNoPlaceCountsForTheRecords(t *testing.T) {
	h := weigh([]item{said("attic", harm)}, noon)
	if h.Places[0].State != harm {
		t.Errorf("harm in a place that nobody drew is lost: records are %s", h.Places[0].State)
	}
}

func TestAPlaceIsAsFreshAsItsOldestEvidence(t *testing.T) {
	first, second := said(layer.People, ok), said(layer.People, ok)
	second.Seen = noon.Add(-30 * time.Minute)
	if got := weigh([]item{first, second}, noon).Places[2].bay(true).Seen; !got.Equal(second.Seen) {
		t.Errorf("people were seen %s, want %s", got, second.Seen)
	}
}

func TestAListReadsAsPeopleSayIt(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"devices"}, "devices"},
		{[]string{"devices", "backups"}, "devices and backups"},
		{[]string{"records", "devices", "backups"}, "records, devices and backups"},
		{[]string{"web and mail"}, "web and mail"},
		{[]string{"backups", "web and mail"}, "backups, web and mail"},
	} {
		if got := list(c.names); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestTheFirstSentenceIsTheHeadline(t *testing.T) {
	for _, c := range []struct{ text, first, rest string }{
		{"One. Two. Three.", "One.", "Two. Three."},
		{"Version 1.2 is out. Take it.", "Version 1.2 is out.", "Take it."},
		{"No stop", "No stop", ""},
		{"", "", ""},
	} {
		if first, rest := firstSentence(c.text); first != c.first || rest != c.rest {
			t.Errorf("%q is split into %q and %q", c.text, first, rest)
		}
	}
}

func TestADrillIsToldInNumbersAsCounted(t *testing.T) {
	for _, c := range []struct {
		title string
		o     outcome
		state layer.State
		want  string
	}{
		{"held", outcome{Drill: "theft", At: noon, Held: true, Tried: 1284000}, ok, "A thief’s copy of everything opened 0 of 1,284,000 records."},
		{"never tried", outcome{Drill: "push-spam"}, dark, "Nobody has tried sign-in spam yet."},
		{"tried nothing", outcome{Drill: "tamper", At: noon, Held: true}, dark, "In a trial, 0 of 0 changes to the ledger went unnoticed."},
		{"did not hold", outcome{Drill: "row-swap", At: noon, Tried: 10000, Opened: 1}, harm, "In a trial, 1 of 10,000 swapped, older or forged rows were accepted."},
		{"did not hold, and no number shows it", outcome{Drill: "push-spam", At: noon, Tried: 10000, Findings: []string{"The person waited 9 seconds."}, Found: 1}, harm, "The drill push-spam did not hold. The person waited 9 seconds."},
		{"a drill that home does not know", outcome{Drill: "restore", At: noon, Held: true, Tried: 12}, ok, "In the drill restore, 0 of 12 attempts went through."},
		{"a drill that home does not know, never tried", outcome{Drill: "restore"}, dark, "Nobody has tried the drill restore yet."},
	} {
		t.Run(c.title, func(t *testing.T) {
			e := c.o.evidence()
			if got := e.At(noon).State; got != c.state || e.Text != c.want {
				t.Errorf("got %s: %q, want %s: %q", got, e.Text, c.state, c.want)
			}
		})
	}
}

func TestOnlyAThiefWhoOpenedNothingIsAProof(t *testing.T) {
	for _, o := range []outcome{
		{Drill: "theft"},
		{Drill: "theft", At: noon, Tried: 9, Opened: 1},
		{Drill: "theft", At: noon, Held: true},
		{Drill: "tamper", At: noon, Held: true, Tried: 9},
	} {
		if p := lastProof([]outcome{o}, noon); !p.At.IsZero() {
			t.Errorf("%+v is shown as the last proof", o)
		}
	}
}
