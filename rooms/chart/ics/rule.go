package ics

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is how an event repeats: every so many days, or on some weekdays of
// every so many weeks (RFC 5545, section 3.3.10).
type Rule struct {
	Days   int            // between one and the next; 0 for weeks
	Weeks  int            // of which one counts: 2 is every second
	On     []time.Weekday // in those weeks
	starts time.Weekday   // the first day of a week, for Weeks > 1
	Count  int            // how many there are; 0: see Until
	Until  time.Time      // none begins later; zero: no end
}

var weekdays = map[string]time.Weekday{"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday}

const (
	maxInterval = 365
	maxCount    = 10_000
)

// readRule reads an RRULE. A rule that is right and that this package does not
// know gives none, and a sentence.
func readRule(l line, start time.Time) (*Rule, string, error) {
	wrong := func(what string) error { return &Error{l.at, "RRULE has no readable " + what} }
	parts := map[string]string{}
	for one := range strings.SplitSeq(l.value, ";") {
		name, value, ok := strings.Cut(one, "=")
		name = strings.ToUpper(name)
		if _, twice := parts[name]; !ok || twice || value == "" {
			return nil, "", wrong("form: it is NAME=VALUE with ; between")
		}
		parts[name] = strings.ToUpper(value)
	}
	r := &Rule{starts: time.Monday}
	interval := 1
	for name, value := range parts {
		n, err := strconv.Atoi(value)
		switch name {
		case "INTERVAL":
			if err != nil || n < 1 || n > maxInterval {
				return nil, "", wrong("INTERVAL")
			}
			interval = n
		case "COUNT":
			if err != nil || n < 1 || n > maxCount {
				return nil, "", wrong("COUNT")
			}
			r.Count = n
		case "UNTIL":
			d := draft{local: start.Location()}
			at, day, err := d.moment(line{at: l.at, name: "UNTIL"}, value)
			if err != nil {
				return nil, "", wrong("UNTIL")
			}
			if r.Until = at; day {
				r.Until = at.AddDate(0, 0, 1).Add(-time.Second)
			}
		case "WKST":
			var ok bool
			if r.starts, ok = weekdays[value]; !ok {
				return nil, "", wrong("WKST")
			}
		}
	}
	if r.Count > 0 && !r.Until.IsZero() {
		return nil, "", wrong("end: it has COUNT and UNTIL")
	}
	odd := "It repeats in a way that is not read: only its first day is taken."
	for name := range parts {
		if !slices.Contains([]string{"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY"}, name) {
			return nil, odd, nil
		}
	}
	switch freq := parts["FREQ"]; freq {
	case "DAILY":
		if parts["BYDAY"] != "" {
			return nil, odd, nil
		}
		r.Days = interval
	case "WEEKLY":
		r.Weeks, r.On = interval, []time.Weekday{start.Weekday()}
		if by := parts["BYDAY"]; by != "" {
			r.On = nil
			for one := range strings.SplitSeq(by, ",") {
				d, ok := weekdays[one]
				if !ok || slices.Contains(r.On, d) {
					return nil, "", wrong("BYDAY")
				}
				r.On = append(r.On, d)
			}
		}
	case "MONTHLY", "YEARLY", "HOURLY", "MINUTELY", "SECONDLY":
		return nil, odd, nil
	default:
		return nil, "", wrong("FREQ")
	}
	return r, "", nil
}

// Series are the beginnings of an event, as few series of days as there can be.
func (e Event) Series() []Series {
	r := e.Rule
	if r == nil {
		return []Series{{First: e.Start}}
	}
	firsts, every := []time.Time{e.Start}, r.Days
	if r.Weeks > 0 {
		every = 7 * r.Weeks
		firsts = firsts[:0]
		into := (int(e.Start.Weekday()) - int(r.starts) + 7) % 7 // days since the week began
		for _, d := range r.On {
			first := e.Start.AddDate(0, 0, (int(d)-int(r.starts)+7)%7-into)
			if first.Before(e.Start) {
				first = first.AddDate(0, 0, every)
			}
			firsts = append(firsts, first)
		}
		slices.SortFunc(firsts, time.Time.Compare)
	}
	var all []Series
	for i, first := range firsts {
		s := Series{first, every, r.Until}
		if r.Count > 0 { // they take turns
			n := (r.Count - i + len(firsts) - 1) / len(firsts)
			if n <= 0 {
				continue
			}
			s.Until = first.AddDate(0, 0, (n-1)*every)
		}
		if s.Until.IsZero() || !s.Until.Before(s.First) {
			all = append(all, s)
		}
	}
	return all
}
