package signins

import (
	"math"
	"slices"
	"time"

	"quietroom/rooms/signins/logs"
)

// The rules. Their numbers stand on the page, so that who reads a finding knows
// what was asked.
const (
	burst     = 3                // refused or unanswered prompts
	within    = 10 * time.Minute // in so much time
	far       = 500.0            // kilometres: less may be the wrong place of a network
	fast      = 1000.0           // kilometres an hour: no airliner is faster
	countries = 2 * time.Hour    // between two countries, where the log has no coordinates
	span      = 10 * time.Minute // visits are kept in spans
)

// Bits of how somebody came in. Each old protocol has one of its own above them.
const (
	cameIn int64 = 1 << iota
	withOne
	withTwo
	oldest // the bit of the first protocol
)

var protocols = []string{"imap", "pop", "smtp", "activesync", "autodiscover", "powershell", "ews", "mapi", "address-book", "rpc", "reporting", "other"}

func howOf(e logs.Event) int64 {
	how := cameIn
	if e.Factors == logs.One {
		how |= withOne
	}
	if e.Factors == logs.Two && !e.Quiet {
		how |= withTwo
	}
	if i := slices.Index(protocols, e.Legacy); i >= 0 {
		how |= oldest << i
	}
	return how
}

// place is where a sign-in came from, as the log says: a tenth of a degree is
// about ten kilometres.
type place struct {
	Country string  `json:"c,omitempty"`
	Lat     float64 `json:"lat,omitempty"`
	Lon     float64 `json:"lon,omitempty"`
	Placed  bool    `json:"p,omitempty"`
}

func placeOf(e logs.Event) place {
	p := place{Country: e.Country, Placed: e.Placed}
	if e.Placed {
		p.Lat, p.Lon = math.Round(e.Lat*10)/10, math.Round(e.Lon*10)/10
	}
	return p
}

// visit is that somebody came in from a place between two moments.
type visit struct {
	place
	First, Last time.Time
	How         int64
}

// finding is one thing in the logs that is worth a question.
type finding struct {
	Kind     string // see the constants
	Word     string // a protocol
	From, To time.Time
	Times    int
	Accepted bool // somebody came in right after prompts that were refused
}

// Kinds of findings.
const (
	kindPrompts = "prompts"
	kindLegacy  = "legacy"
	kindOne     = "one-factor"
	kindTravel  = "travel"
)

// judge finds what is worth a question in what is known of one mailbox: prompts
// and visits in the order of time.
func judge(prompts []time.Time, visits []visit) (all []finding) {
	all = bursts(prompts, visits)
	all = append(all, trips(visits)...)
	return append(all, habits(visits)...)
}

// bursts: three or more prompts refused or unanswered within ten minutes.
func bursts(at []time.Time, visits []visit) (all []finding) {
	for i := 0; i+burst <= len(at); i++ {
		end := i + burst - 1
		if at[end].Sub(at[i]) > within {
			continue
		}
		for end+1 < len(at) && at[end+1].Sub(at[end+2-burst]) <= within {
			end++
		}
		f := finding{Kind: kindPrompts, From: at[i], To: at[end], Times: end - i + 1}
		for _, v := range visits {
			if v.How&withTwo != 0 && v.Last.After(f.From) && !v.First.After(f.To.Add(within)) {
				f.Accepted = true
			}
		}
		all = append(all, f)
		i = end
	}
	return all
}

// trips: the same mailbox from two places that nobody travels between so fast.
// Those of one day are one finding.
func trips(visits []visit) (all []finding) {
	for i := 1; i < len(visits); i++ {
		a, b := visits[i-1], visits[i]
		if !apart(a, b) {
			continue
		}
		if n := len(all) - 1; n >= 0 && b.First.Sub(all[n].To) < 24*time.Hour {
			all[n].To = b.Last
			all[n].Times++
			continue
		}
		all = append(all, finding{Kind: kindTravel, From: a.First, To: b.Last, Times: 1})
	}
	return all
}

func apart(a, b visit) bool {
	took := max(b.First.Sub(a.Last), 0)
	if a.Placed && b.Placed {
		way := distance(a.place, b.place)
		return way >= far && way > fast*took.Hours()
	}
	return a.Country != "" && b.Country != "" && a.Country != b.Country && took < countries
}

// distance is the way along the earth's surface, in kilometres.
func distance(a, b place) float64 {
	const radius = 6371
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	h := math.Pow(math.Sin(rad(b.Lat-a.Lat)/2), 2) + math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*math.Pow(math.Sin(rad(b.Lon-a.Lon)/2), 2)
	return 2 * radius * math.Asin(math.Min(1, math.Sqrt(h)))
}

// habits: old protocols, and sign-ins with a password alone: one finding each.
func habits(visits []visit) (all []finding) {
	days := func(bit int64, kind, word string) {
		f := finding{Kind: kind, Word: word}
		last := ""
		for _, v := range visits {
			if v.How&bit == 0 {
				continue
			}
			if f.From.IsZero() {
				f.From = v.First
			}
			if v.Last.After(f.To) {
				f.To = v.Last
			}
			if day := v.First.Format(time.DateOnly); day != last {
				f.Times, last = f.Times+1, day
			}
		}
		if f.Times > 0 {
			all = append(all, f)
		}
	}
	for i, word := range protocols {
		days(oldest<<i, kindLegacy, word)
	}
	days(withOne, kindOne, "")
	return all
}
