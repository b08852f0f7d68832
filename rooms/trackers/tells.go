package trackers

import (
	"strings"

	"quietroom/rooms/trackers/plant"
)

// tellWords are what a finding may call what a planted way sends.
var tellWords = map[string][]string{
	"e-mail": {"e-mail"}, "telephone": {"telephone"}, "name": {"name"}, "birth": {"birth"}, "reason": {"reason"}, "clinician": {"Clinician"}, "kind": {"Kind"}, "appointment": {"appointment"},
	"Choice": {"choice"}, "Insurance": {"Insurance"}, "depression": {"depression", "title of the page"}, "late": {"late"},
	"shade": {"shade"}, "second": {"second"}, "free": {"free"}, "inner": {"inner"}, "theirs": {"theirs"}, "address": {"address of the page"}, "click": {"ad that was clicked"},
}

// Tells tells whether a scan found a leak that was planted.
func Tells(r *Result, w plant.Way) bool {
	for _, f := range r.Findings {
		if w.Own && f.Kind != Relay || !w.Own && !strings.HasSuffix("."+f.To, "."+w.Name+".tracker.localhost") {
			continue
		}
		if f.Kind == Unknown && w.Name == "xor" {
			return true // that something left which nobody can read is all that can be said
		}
		if f.Kind == Contact || f.Kind == Unknown {
			continue
		}
		for _, word := range tellWords[w.What] {
			if strings.Contains(f.What, word) {
				return true
			}
		}
	}
	return false
}
