package layer

import (
	"iter"
	"slices"
	"sync"
	"time"

	"quietroom/ground/id"
)

// Time is when a patient comes: once, or every so many days at the same hour.
type Time struct {
	At      int64     `json:"at"`                // the first, unix milliseconds
	Minutes int       `json:"minutes,omitempty"` // how long it takes
	Every   int       `json:"every,omitempty"`   // days from one to the next; 0: once
	Until   int64     `json:"until,omitempty"`   // none begins later, unix milliseconds; 0: it goes on
	Except  []int64   `json:"except,omitempty"`  // those that fall out, unix milliseconds
	Zone    string    `json:"zone,omitempty"`    // in which the hour stays the same (IANA); empty: the house's own
	With    id.Person `json:"with,omitempty"`    // whom the patient comes to
	UID     string    `json:"uid,omitempty"`     // its name in the calendar that it came from; in no list
}

// Between yields the beginnings from one moment until before another, in order.
// Where no zone is named, the hour is that of from's.
func (t Time) Between(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		first := time.UnixMilli(t.At).In(zone(t.Zone, from.Location()))
		n := 0
		if t.Every > 0 && from.After(first) {
			n = max(0, int(from.Sub(first)/(24*time.Hour))/t.Every-1) // a day before, for summer time
		}
		for ; ; n++ {
			at := first.AddDate(0, 0, n*t.Every)
			over := t.Until != 0 && at.UnixMilli() > t.Until
			if !at.Before(to) || over {
				return
			}
			if !at.Before(from) && !slices.Contains(t.Except, at.UnixMilli()) && !yield(at.In(from.Location())) {
				return
			}
			if t.Every <= 0 {
				return
			}
		}
	}
}

// NextOf is the first of some times that begins at a moment or within a year
// of it; zero if none does.
func NextOf(times []Time, now time.Time) (next time.Time) {
	for _, t := range times {
		for at := range t.Between(now, now.AddDate(1, 0, 0)) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			break
		}
	}
	return next
}

var zones sync.Map // of *time.Location, by name: reading one takes a file

// zone is a time zone by its name, or another where this machine knows none such.
func zone(name string, other *time.Location) *time.Location {
	if name == "" {
		return other
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location)
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return other
	}
	zones.Store(name, l)
	return l
}
