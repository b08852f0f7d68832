package trackers

import (
	"fmt"
	"strings"
)

// Summary is the first sentence of a report.
func Summary(r *Result) string {
	stop, fix := r.Count(Stop), r.Count(Fix)
	who := map[string]bool{}
	for _, f := range r.Findings {
		if f.Severity == Stop && f.To != "" {
			who[whom(f)] = true
		}
	}
	looked := 0
	for _, p := range r.Pages {
		if p.Problem == "" {
			looked++
		}
	}
	switch {
	case looked == 0:
		return "No page could be looked at, so we do not know what the site tells others."
	case stop > 0:
		return fmt.Sprintf("Test data typed on this site, or that somebody visits it as a patient, reached %s. Please have it stopped.", counted(len(who), "other party", "other parties"))
	case fix > 0:
		return fmt.Sprintf("Nothing that was typed left this site. %s should not stay so.", capital(counted(len(group(r, Fix)), "thing", "things")))
	case len(r.Receivers) == 0:
		return fmt.Sprintf("On the %s that were opened, nobody else was told anything.", counted(looked, "page", "pages"))
	}
	return fmt.Sprintf("On the %s that were opened, nothing that was typed left, and nobody who watches visitors was told of one.", counted(looked, "page", "pages"))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Told are the sentences of a severity, each once.
func Told(r *Result, s Severity) []string {
	var lines []string
	for _, g := range group(r, s) {
		line := g[0].Sentence
		if n := len(g); n > 1 {
			line += fmt.Sprintf(" Seen %d times.", n)
		}
		lines = append(lines, line)
	}
	return lines
}

// group puts findings that read the same together, in their order.
func group(r *Result, s Severity) [][]Finding {
	var order []string
	by := map[string][]Finding{}
	for _, f := range r.Findings {
		if f.Severity != s {
			continue
		}
		key := f.Page + "\n" + f.Sentence
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], f)
	}
	var all [][]Finding
	for _, key := range order {
		all = append(all, by[key])
	}
	return all
}
