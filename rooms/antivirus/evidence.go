package antivirus

import (
	"context"
	"fmt"
	"iter"
	"time"

	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/antivirus/clamav"
)

// install is the one command that gives a server a scanner.
const install = "sudo apt-get install clamav-daemon clamav-freshclam"

// proven is for how long a look at the scanner counts.
const proven = 30 * time.Minute

// evidence says how it is with the scanner, and what waits for somebody.
func (a *Antivirus) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		if !yield(a.scanner(ctx)) {
			return
		}
		if e, some, err := a.waiting(ctx); err != nil || some {
			yield(e, err)
		}
	}
}

// scanner is the sentence on this practice's servers: the worst of them.
func (a *Antivirus) scanner(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "antivirus.scanned", Place: layer.Records, Page: "/antivirus", State: layer.NotKnown,
		Text: "No virus scanner runs on the server. Files are taken in without being looked through, and say so.",
		Why:  "On the server: " + install}
	all, err := a.servers(ctx, `at > $1 ORDER BY server`, a.Now().Add(-24*time.Hour).UnixMilli())
	if err != nil {
		return e, err
	}
	first := true
	for _, s := range all {
		if one := a.say(s); first || one.State > e.State || one.State == layer.NotKnown && e.State == layer.Safe {
			e, first = one, false
		}
	}
	return e, nil
}

// say puts how one server's scanner is into a sentence.
func (a *Antivirus) say(s server) layer.Evidence {
	e := layer.Evidence{Claim: "antivirus.scanned", Place: layer.Records, Page: "/antivirus", State: layer.NeedsYou, Seen: s.at, Until: s.at.Add(proven), Fix: "See what to do", Minutes: 10}
	now := a.Now()
	age := now.Sub(s.built)
	failed := s.outcome != "" && s.outcome != clamav.Updated && s.outcome != clamav.Same
	switch {
	case s.state == "missing":
		e.State, e.Fix, e.Minutes = layer.NotKnown, "", 0
		e.Text = "No virus scanner runs on the server. Files are taken in without being looked through, and say so."
		e.Why = "On the server: " + install
	case s.state == "no-memory-place":
		e.State, e.Fix, e.Minutes = layer.NotKnown, "", 0
		e.Text = "The server has no place in memory for what a scanner unpacks, so files are taken in without being looked through."
		e.Why = "On Linux, /dev/shm is such a place."
	case s.state != "":
		e.Text = "The virus scanner does not work, so nothing that comes in is called clean."
		e.Why = "Quietroom starts it anew by itself. If it stays so, look at the server’s memory and disk."
	case s.number == 0 && a.MadeUp:
		e.State, e.Fix, e.Minutes = layer.NotKnown, "", 0
		e.Text = "The virus scanner runs, and knows the standard test file only: a made-up practice fetches no signatures."
	case s.number == 0 && now.Sub(s.first) < fetchEvery && !failed:
		e.State, e.Fix, e.Minutes = layer.Checking, "", 0
		e.Text = "The virus scanner runs and fetches its first signatures."
	case s.number == 0:
		e.Text = "The virus scanner has no signatures yet, so nothing that comes in is called clean."
		e.Why = outcomes[s.outcome]
	case age > spent:
		e.Text = fmt.Sprintf("The virus scanner’s signatures are %d days old, so nothing that comes in is called clean.", days(age))
		e.Why = frozen(s)
	case age > stale:
		e.Text = fmt.Sprintf("Files are looked through before they are sealed, with signatures that are %d days old.", days(age))
		e.Why = frozen(s)
		e.By = s.built.Add(spent)
	case s.refused != "":
		e.Text = "Files are looked through before they are sealed. One file of signatures could not be loaded and was put aside."
		e.Why = "The next update brings it anew."
	default:
		e.State, e.Fix, e.Minutes = layer.Safe, "", 0
		e.Text = fmt.Sprintf("Files are looked through before they are sealed. The scanner found the test file %s, with signatures of %s.", web.Age(now, s.at), s.built.Format("January 2"))
	}
	return e
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

// frozen says why signatures are old: a mirror that only says that it is up to
// date has stopped itself.
func frozen(s server) string {
	if s.outcome == clamav.Same {
		return "Where they come from says that these are the newest: it has stopped. Look at the mirror."
	}
	return outcomes[s.outcome]
}

// outcomes say how the last update went.
var outcomes = map[clamav.Outcome]string{
	"":               "They were not fetched yet.",
	clamav.Forged:    "The last update was refused: it was not signed by who makes the signatures, or it was changed on the way.",
	clamav.Limited:   "The public mirror lets this address fetch no more for now. Several servers share one private mirror better.",
	clamav.Unreached: "The mirror could not be reached. The server needs a way to database.clamav.net, or to a private mirror.",
	clamav.FullDisk:  "The server’s disk is full.",
	clamav.Memory:    "The server has not enough memory to test new signatures: 3 GB are wanted.",
	clamav.Refused:   "New signatures came, and the scanner could not load them. It works on with what it had.",
	clamav.NoProgram: "freshclam is missing. On the server: " + install,
	clamav.Unclear:   "The last update failed. `quietroom doctor` says more.",
	clamav.Updated:   "The last update went well.",
	clamav.Same:      "The last update found nothing newer.",
}

// waiting is the sentence on what people decide.
func (a *Antivirus) waiting(ctx context.Context) (e layer.Evidence, some bool, err error) {
	all, err := a.read(ctx, a.DB, `open = 1 ORDER BY at LIMIT 1000`)
	if err != nil || len(all) == 0 {
		return e, false, err
	}
	harmful := 0
	for _, f := range all {
		if f.Name != "" {
			harmful++
		}
	}
	e = layer.Evidence{Claim: "antivirus.decided", Place: layer.Records, State: layer.NeedsYou, Seen: moment(all[0].At), Page: "/antivirus", Fix: "Look at them", Minutes: len(all)}
	e.Text = count(len(all), "file waits", "files wait") + " for somebody’s decision: the scanner could not look through."
	if harmful > 0 {
		e.Text = count(len(all), "file waits", "files wait") + " for somebody’s decision. " + count(harmful, "is", "are") + " harmful, and somebody asked to let it out."
	}
	return e, true, nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
