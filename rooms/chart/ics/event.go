package ics

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// draft is an event while its lines are read.
type draft struct {
	Event
	line  int
	local *time.Location
	end   time.Time
	seen  map[string]bool
	rule  *line
}

// once are the properties that an event has at most one of (RFC 5545, section 3.6.1).
var once = map[string]bool{"UID": true, "DTSTART": true, "DTEND": true, "DURATION": true, "SUMMARY": true, "RRULE": true, "RECURRENCE-ID": true, "STATUS": true}

// take reads one property of the event. Those that tell nothing of when and who
// are passed over.
func (d *draft) take(l line) (err error) {
	if once[l.name] {
		if d.seen[l.name] {
			return &Error{l.at, "the event has two lines " + l.name}
		}
		if d.seen == nil {
			d.seen = map[string]bool{}
		}
		d.seen[l.name] = true
	}
	switch l.name {
	case "UID":
		d.UID = short(l.value)
	case "SUMMARY":
		d.Title = strings.Join(strings.Fields(short(unescape(l.value))), " ")
	case "STATUS":
		d.Cancelled = strings.EqualFold(l.value, "CANCELLED")
	case "DTSTART":
		d.Start, d.AllDay, err = d.moment(l, l.value)
		if in := d.Start.Location(); err == nil && !d.AllDay && in != d.local {
			d.Zone = in.String()
		}
	case "DTEND":
		d.end, _, err = d.moment(l, l.value)
	case "DURATION":
		d.Length, err = duration(l)
	case "RECURRENCE-ID":
		if l.params["RANGE"] != "" {
			d.odd("It changes all that follow as well, which is not read.")
		}
		d.Replaces, _, err = d.moment(l, l.value)
	case "RRULE":
		d.rule = &l
	case "RDATE":
		d.odd("It has further days of its own, which are not read.")
	case "EXDATE":
		for one := range strings.SplitSeq(l.value, ",") {
			at, _, e := d.moment(l, one)
			if e != nil {
				return e
			}
			if d.Except = append(d.Except, at); len(d.Except) > maxExcept {
				return &Error{l.at, fmt.Sprintf("more than %d days fall out of the event", maxExcept)}
			}
		}
	}
	return err
}

func (d *draft) odd(sentence string) {
	if d.Odd == "" {
		d.Odd = sentence
	}
}

// event is the draft once its last line was read.
func (d *draft) event() (Event, error) {
	e := d.Event
	e.Line = d.line
	switch {
	case !d.seen["DTSTART"]:
		return e, &Error{d.line, "the event does not say when it begins (DTSTART)"}
	case e.UID == "":
		return e, &Error{d.line, "the event has no name of its own (UID)"}
	case d.seen["DTEND"] && d.seen["DURATION"]:
		return e, &Error{d.line, "the event has an end and a duration, and may have one of them"}
	case d.seen["DTEND"] && d.end.Before(e.Start):
		return e, &Error{d.line, "the event ends before it begins"}
	case d.seen["DTEND"]:
		e.Length = d.end.Sub(e.Start)
	}
	if d.rule != nil {
		rule, odd, err := readRule(*d.rule, e.Start)
		if err != nil {
			return e, err
		}
		if odd != "" {
			d.odd(odd)
		}
		e.Rule = rule
	}
	e.Odd = d.Odd
	return e, nil
}

// moment reads a DATE or a DATE-TIME (RFC 5545, sections 3.3.4 and 3.3.5).
func (d *draft) moment(l line, value string) (at time.Time, day bool, err error) {
	wrong := &Error{l.at, l.name + " is no date and time, such as 20261125T140000"}
	if len(value) == 8 {
		if at, err = time.ParseInLocation("20060102", value, d.local); err != nil || at.Year() < 1900 {
			return at, true, wrong
		}
		return at, true, nil
	}
	in := d.local
	text, utc := strings.CutSuffix(value, "Z")
	switch name := l.params["TZID"]; {
	case utc:
		in = time.UTC
	case name != "":
		known, ok := zone(name)
		if !ok {
			d.odd("Its time zone is not known here.")
			known = d.local
		}
		in = known
	}
	if at, err = time.ParseInLocation("20060102T150405", text, in); err != nil || at.Year() < 1900 {
		return at, false, wrong
	}
	return at, false, nil
}

// duration reads a DURATION (RFC 5545, section 3.3.6) that is not negative.
func duration(l line) (sum time.Duration, err error) {
	wrong := &Error{l.at, "DURATION is no length of time, such as PT50M"}
	text, ok := strings.CutPrefix(strings.TrimPrefix(l.value, "+"), "P")
	if !ok || text == "" {
		return 0, wrong
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}
	digits := ""
	for i := range len(text) {
		switch c := text[i]; {
		case c == 'T' && digits == "":
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		case c >= '0' && c <= '9' && len(digits) < 6:
			digits += string(c)
		default:
			n, err := strconv.Atoi(digits)
			unit, ok := units[c]
			if err != nil || !ok || time.Duration(n) > maxLength/unit {
				return 0, wrong
			}
			sum, digits = sum+time.Duration(n)*unit, ""
		}
		if sum > maxLength {
			return 0, wrong
		}
	}
	if digits != "" {
		return 0, wrong
	}
	return sum, nil
}

// windows are the names that Outlook gives to the zones of the United States
// and some others (Unicode CLDR, windowsZones).
var windows = map[string]string{
	"Eastern Standard Time": "America/New_York", "US Eastern Standard Time": "America/Indiana/Indianapolis", "Central Standard Time": "America/Chicago",
	"Mountain Standard Time": "America/Denver", "US Mountain Standard Time": "America/Phoenix", "Pacific Standard Time": "America/Los_Angeles",
	"Alaskan Standard Time": "America/Anchorage", "Hawaiian Standard Time": "Pacific/Honolulu", "Atlantic Standard Time": "America/Halifax",
	"SA Western Standard Time": "America/La_Paz", "West Pacific Standard Time": "Pacific/Port_Moresby", "GMT Standard Time": "Europe/London",
	"W. Europe Standard Time": "Europe/Berlin", "Romance Standard Time": "Europe/Paris", "UTC": "UTC",
}

// zone finds a time zone by its IANA name, or by the one that Outlook has for it.
func zone(name string) (*time.Location, bool) {
	if iana, ok := windows[name]; ok {
		name = iana
	}
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, false
	}
	l, err := time.LoadLocation(name)
	return l, err == nil
}

func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}

// unescape reads a TEXT (RFC 5545, section 3.3.11).
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, " ", `\N`, " ").Replace(s)
}
