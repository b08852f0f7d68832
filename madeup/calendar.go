package madeup

import "time"

// hours are the beginnings of a clinician's sessions on a weekday: nine, of
// which one in nine stays open. So a clinician sees about eight people a day.
var hours = [...]int{8, 9, 10, 11, 13, 14, 15, 16, 17}

const slots = 5 * len(hours) // of a clinician's week

// calendar places the patient in their clinician's weeks. Those who come first
// on the clinician's list are in treatment, weekly, or every other week where
// a clinician has enough patients for two full weeks. The others came once, and minors not long ago.
func (p *Practice) calendar(d *dice, a *Patient, minor bool) {
	place := a.Index / len(p.carers)
	fortnightly := p.patients >= 2*slots*len(p.carers)
	longest := 2600
	if minor {
		longest = 60
	}
	open := d.below(len(hours)) == 0
	switch {
	case open || place >= 2*slots || place >= slots && !fortnightly:
		a.Since = p.hour(d, p.Today.AddDate(0, 0, -420-d.below(longest)))
		return
	default:
		a.Since = p.hour(d, p.Today.AddDate(0, 0, -21-d.below(min(longest, 1100))))
	}
	monday := p.Today.AddDate(0, 0, -(int(p.Today.Weekday())+6)%7-7)
	slot := place % slots
	for week := range 4 {
		if fortnightly && week%2 != place/slots {
			continue
		}
		y, m, day := monday.AddDate(0, 0, 7*week+slot/len(hours)).Date()
		a.Sessions = append(a.Sessions, time.Date(y, m, day, hours[slot%len(hours)], 0, 0, 0, p.Today.Location()))
	}
}

// hour turns a day into a session on that day, or on the Friday before a weekend.
func (p *Practice) hour(d *dice, day time.Time) time.Time {
	switch day.Weekday() {
	case time.Saturday:
		day = day.AddDate(0, 0, -1)
	case time.Sunday:
		day = day.AddDate(0, 0, -2)
	}
	y, m, n := day.Date()
	return time.Date(y, m, n, hours[d.below(len(hours))], 0, 0, 0, day.Location())
}

// last is the last session that has been, or for former patients the end of
// treatment.
func (p *Practice) last(d *dice, a *Patient) time.Time {
	for i := len(a.Sessions) - 1; i >= 0; i-- {
		if a.Sessions[i].Before(p.Today) {
			return a.Sessions[i]
		}
	}
	months := 1 + d.below(12)
	end := a.Since.AddDate(0, months, 0)
	if !end.Before(p.Today) {
		end = p.Today.AddDate(0, 0, -1)
	}
	return p.hour(d, end)
}
