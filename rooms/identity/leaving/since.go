package leaving

import (
	"context"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
)

// sinceKinds are the facts about somebody who left before the doors were closed:
// coming in, and what was looked at or carried out.
var sinceKinds = map[string]string{
	"identity.signed-in":  "Came in",
	"identity.code-used":  "Used a code",
	"identity.door-added": "Added a way in",
	"vault.opened":        "Opened a patient",
	"vault.searched":      "Looked through names",
	"vault.written":       "Wrote in a chart",
	"vault.refused":       "Was refused",
	"identity.approved":   "Approved an export",
}

// mostShown is how many facts the page shows.
const mostShown = 30

// happened is one fact on the page.
type happened struct {
	At      time.Time
	What    string
	Patient id.Patient // whom it is about, if anybody
}

// sinceThen is what a person did from a moment on, as the record of events has it.
type sinceThen struct {
	Facts    []happened
	Sessions int
	Patients int // different ones that were opened
	More     int // facts that are not shown
}

// since reads what a person did from a moment on. Facts name patients by opaque
// identifiers.
func (l *Leaving) since(ctx context.Context, p id.Person, from time.Time) (s sinceThen, err error) {
	var kinds []string
	for k := range sinceKinds {
		kinds = append(kinds, k)
	}
	patients := map[string]bool{}
	for e, err := range l.Ledger.Facts(ctx, ledger.Query{Kinds: kinds, Since: from, Newest: true}) {
		if err != nil {
			return s, err
		}
		if e.Actor.Person != p {
			continue
		}
		h := happened{At: e.At, What: sinceKinds[e.Kind]}
		switch e.Kind {
		case "identity.signed-in":
			s.Sessions++
		case "vault.opened":
			patients[e.Subject] = true
			h.Patient = id.Patient(e.Subject)
		case "vault.written", "vault.refused":
			h.Patient = id.Patient(e.Subject)
		}
		if len(s.Facts) < mostShown {
			s.Facts = append(s.Facts, h)
		} else {
			s.More++
		}
	}
	s.Patients = len(patients)
	return s, nil
}
