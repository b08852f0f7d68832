package trackers

import (
	"fmt"
	"slices"
	"strings"
)

// Summary is the first sentence of a report.
func Summary(r *Result) string {
	stop, fix := r.Count(Stop), r.Count(Fix)
	var who []string
	typed := false
	for _, f := range r.Findings {
		if f.Severity != Stop {
			continue
		}
		typed = typed || f.Kind == FormData || f.Kind == KeyLogging || f.Kind == SessionReplay || f.Kind == Relay
		name := whom(f)
		if f.Kind == Relay {
			name = "your own server, in the language of " + f.Vendor
		}
		if f.To != "" && !slices.Contains(who, name) {
			who = append(who, name)
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
	case stop > 0 && typed:
		return fmt.Sprintf("What was typed on this site reached %s. Please have it stopped.", listed(who))
	case stop > 0:
		return fmt.Sprintf("This site told %s that somebody visits it as a patient. Please have it stopped.", listed(who))
	case fix > 0:
		return fmt.Sprintf("Nothing that was typed was seen to reach anybody else. %s should not stay so.", capital(counted(len(Told(r, Fix)), "thing", "things")))
	case len(r.Receivers) == 0:
		return fmt.Sprintf("On the %s that were opened, nobody else was told anything.", counted(looked, "page", "pages"))
	}
	return fmt.Sprintf("On the %s that were opened, nothing that was typed left, and nobody who watches visitors was told of one.", counted(looked, "page", "pages"))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Told are the sentences of a severity: one for each page and party.
func Told(r *Result, s Severity) (lines []string) {
	for _, h := range Harms(r) {
		if h.Severity == s && !slices.Contains(lines, h.Sentence) {
			lines = append(lines, h.Sentence)
		}
	}
	return lines
}
