package training

import (
	"time"
	_ "time/tzdata" // a server may know no zones
)

// Practice messages and reminders come in working hours, as mail of a colleague
// does, and never on a federal holiday (5 U.S.C. 6103).
const (
	opens  = 9 * 60     // minutes of the day
	closes = 16*60 + 30 // none is planned later
	ends   = 17 * 60    // none goes out later
	hours  = closes - opens
)

// zone is the practice's own.
func zone(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return time.UTC
	}
	return l
}

// working says whether people are at work on a day.
func working(day time.Time) bool {
	switch day.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	return !holiday(day) && !shifted(day)
}

// shifted is a Friday before, or a Monday after, a holiday of a fixed date that
// falls on a weekend.
func shifted(day time.Time) bool {
	switch day.Weekday() {
	case time.Friday:
		return fixed(day.AddDate(0, 0, 1))
	case time.Monday:
		return fixed(day.AddDate(0, 0, -1))
	}
	return false
}

func fixed(day time.Time) bool {
	switch m, d := day.Month(), day.Day(); {
	case m == time.January && d == 1, m == time.June && d == 19, m == time.July && d == 4, m == time.November && d == 11, m == time.December && d == 25:
		return true
	}
	return false
}

func holiday(day time.Time) bool {
	if fixed(day) {
		return true
	}
	nth := (day.Day()-1)/7 + 1
	last := day.AddDate(0, 0, 7).Month() != day.Month()
	switch m := day.Month(); day.Weekday() {
	case time.Monday:
		return m == time.January && nth == 3 || m == time.February && nth == 3 || m == time.May && last || m == time.September && nth == 1 || m == time.October && nth == 2
	case time.Thursday:
		return m == time.November && nth == 4
	case time.Friday:
		return m == time.November && day.AddDate(0, 0, -1).Weekday() == time.Thursday && (day.Day()-2)/7+1 == 4 && day.Day() > 1 // many practices are closed
	}
	return false
}

// atWork says whether a moment is within working hours.
func atWork(at time.Time, z *time.Location) bool {
	at = at.In(z)
	minute := at.Hour()*60 + at.Minute()
	return working(at) && minute >= opens && minute <= ends
}

// workdays are the working days from a moment on, before another.
func workdays(from, to time.Time, z *time.Location) (days []time.Time) {
	from = from.In(z)
	day := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, z)
	if from.Hour()*60+from.Minute() > opens {
		day = day.AddDate(0, 0, 1)
	}
	for ; day.Before(to); day = day.AddDate(0, 0, 1) {
		if working(day) {
			days = append(days, day)
		}
	}
	return days
}

// minuteOf is a minute of a working day. It is asked of the zone, so that summer
// time changes nothing.
func minuteOf(day time.Time, minute int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, opens+minute, 0, 0, day.Location())
}

func monthOf(at time.Time, z *time.Location) string { return at.In(z).Format("2006-01") }

// span is a month, by its name.
func span(month string, z *time.Location) (from, to time.Time) {
	from, err := time.ParseInLocation("2006-01", month, z)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	return from, from.AddDate(0, 1, 0)
}
