package ics_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"quietroom/rooms/chart/ics"
)

var york = must(time.LoadLocation("America/New_York"))

func must(l *time.Location, err error) *time.Location {
	if err != nil {
		panic(err)
	}
	return l
}

// calendar wraps lines of an event in what stands around them.
func calendar(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1@x\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

func read(text string) (all []ics.Event, err error) {
	for e, err := range ics.Read(strings.NewReader(text), york) {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

func say(s ics.Series) string {
	text := fmt.Sprintf("%s +%d", s.First.Format("2006-01-02 15:04 MST"), s.Every)
	if !s.Until.IsZero() {
		text += " until " + s.Until.Format("2006-01-02 15:04")
	}
	return text
}

func TestABeginningIsReadInItsZone(t *testing.T) {
	for lines, want := range map[string][]string{
		"DTSTART;TZID=America/Los_Angeles:20261125T140000":                                                {"2026-11-25 14:00 PST +0"},
		`DTSTART;TZID="Pacific Standard Time":20261125T140000`:                                            {"2026-11-25 14:00 PST +0"},
		"DTSTART:20261125T140000Z":                                                                        {"2026-11-25 14:00 UTC +0"},
		"DTSTART:20261125T140000":                                                                         {"2026-11-25 14:00 EST +0"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=WEEKLY":                                                    {"2026-11-25 14:00 EST +7"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3":                                 {"2026-11-25 14:00 EST +14 until 2026-12-23 14:00"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=DAILY;UNTIL=20261130":                                      {"2026-11-25 14:00 EST +1 until 2026-11-30 23:59"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3":                                {"2026-11-25 14:00 EST +7 until 2026-12-02 14:00", "2026-11-30 14:00 EST +7 until 2026-11-30 14:00"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=2":                             {"2026-11-25 14:00 EST +14", "2026-12-07 14:00 EST +14"},
		"DTSTART:20261129T140000\r\nRRULE:FREQ=WEEKLY;BYDAY=SU,MO;INTERVAL=2;WKST=SU":                     {"2026-11-29 14:00 EST +14", "2026-11-30 14:00 EST +14"},
		"DTSTART:20261129T140000\r\nRRULE:FREQ=WEEKLY;BYDAY=SU,MO;INTERVAL=2":                             {"2026-11-29 14:00 EST +14", "2026-12-07 14:00 EST +14"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=MONTHLY;BYDAY=4WE":                                         {"2026-11-25 14:00 EST +0"},
		"DTSTART:20261125T140000\r\nRRULE:FREQ=WEEKLY;UNTIL=20200101T000000Z":                             nil,
		"DTSTART;TZID=\"a:b;c\":20261125T140000":                                                          {"2026-11-25 14:00 EST +0"},
		"DTSTART;VALUE=DATE:20261125":                                                                     {"2026-11-25 00:00 EST +0"},
		"DTSTART:2026112\r\n 5T140000\r\nX-LONG:one\r\n\ttwo\r\nBEGIN:VALARM\r\nDTSTART:no\r\nEND:VALARM": {"2026-11-25 14:00 EST +0"},
	} {
		t.Run(lines, func(t *testing.T) {
			all, err := read(calendar(lines))
			if err != nil || len(all) != 1 {
				t.Fatalf("%d events, %v", len(all), err)
			}
			var got []string
			for _, s := range all[0].Series() {
				got = append(got, say(s))
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWhatAnEventSaysIsRead(t *testing.T) {
	all, err := read("\ufeff" + calendar("DTSTART;TZID=America/Chicago:20261125T140000", "DURATION:PT1H20M", `SUMMARY:Anna\, and  her\nsister`, "EXDATE;TZID=America/Chicago:20261202T140000,20261209T140000", "RRULE:FREQ=WEEKLY", "STATUS:CANCELLED", "RECURRENCE-ID:20261125T200000Z"))
	if err != nil {
		t.Fatal(err)
	}
	e := all[0]
	if e.Title != "Anna, and her sister" || e.Length != 80*time.Minute || e.Zone != "America/Chicago" || len(e.Except) != 2 || !e.Cancelled || e.Line != 3 || e.UID != "1@x" || e.AllDay {
		t.Errorf("%+v", e)
	}
	if !e.Replaces.Equal(e.Start) {
		t.Errorf("it replaces %v", e.Replaces)
	}
	odd, err := read(calendar("DTSTART;TZID=Moon/Tycho:20261125T140000"))
	if err != nil || odd[0].Odd == "" {
		t.Errorf("an unknown zone is guessed: %+v, %v", odd, err)
	}
	monthly, err := read(calendar("DTSTART:20261125T140000Z", "RRULE:FREQ=MONTHLY"))
	if err != nil || monthly[0].Odd == "" {
		t.Errorf("a rule that is not read says nothing: %+v, %v", monthly, err)
	}
}

func TestWhatIsNoCalendarIsRefusedWithItsLine(t *testing.T) {
	start := "DTSTART:20261125T140000"
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"nothing":                      {"", 1},
		"a web page":                   {"<!doctype html>\n", 1},
		"another file":                 {"Name;Phone\nAnna;1\n", 1},
		"a cut one":                    {strings.TrimSuffix(calendar(start), "END:VCALENDAR\r\n"), 6},
		"an event in an event":         {calendar(start, "BEGIN:VEVENT"), 6},
		"a wrong end":                  {calendar(start, "END:VALARM"), 6},
		"an end too many":              {calendar(start) + "END:VCALENDAR\n", 8},
		"words behind it":              {calendar(start) + "X:1\n", 8},
		"no beginning":                 {calendar("SUMMARY:x"), 3},
		"two beginnings":               {calendar(start, start), 6},
		"no UID":                       {strings.Replace(calendar(start), "UID:1@x", "UID:", 1), 3},
		"a date that is none":          {calendar("DTSTART:20261325T140000"), 5},
		"the year 1":                   {calendar("DTSTART:00010101T000000"), 5},
		"an end before the beginning":  {calendar(start, "DTEND:20261125T130000"), 3},
		"an end and a duration":        {calendar(start, "DTEND:20261125T150000", "DURATION:PT1H"), 3},
		"a negative duration":          {calendar(start, "DURATION:-PT1H"), 6},
		"a duration of a thousand":     {calendar(start, "DURATION:P999999D"), 6},
		"a rule without a frequency":   {calendar(start, "RRULE:INTERVAL=2"), 6},
		"a rule that is no rule":       {calendar(start, "RRULE:WEEKLY"), 6},
		"every 0 weeks":                {calendar(start, "RRULE:FREQ=WEEKLY;INTERVAL=0"), 6},
		"a million times":              {calendar(start, "RRULE:FREQ=WEEKLY;COUNT=1000000"), 6},
		"two ends of a rule":           {calendar(start, "RRULE:FREQ=WEEKLY;COUNT=2;UNTIL=20270101"), 6},
		"a day that is none":           {calendar(start, "RRULE:FREQ=WEEKLY;BYDAY=XX"), 6},
		"no value":                     {calendar(start, "SUMMARY"), 6},
		"a parameter without an end":   {calendar(start, `X;A="b:c`), 6},
		"a control character":          {calendar(start, "SUMMARY:a\x00b"), 6},
		"no UTF-8":                     {calendar(start, "SUMMARY:\xff"), 6},
		"a line without an end":        {calendar(start, "X:"+strings.Repeat("a", 70<<10)), 6},
		"a line folded without an end": {calendar(start, "X:a"+strings.Repeat("\r\n "+strings.Repeat("a", 70), 1000)), 6},
		"components without an end":    {"BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:X\n", 20), 9},
		"exceptions without an end":    {calendar(start, strings.Repeat("EXDATE:20261125T140000\r\n", 1100)+"X:1"), 1006},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.text)
			e, ok := errors.AsType[*ics.Error](err)
			if !ok {
				t.Fatalf("it is read: %v", err)
			}
			if e.Line != c.line {
				t.Errorf("line %d is named (%s), want %d", e.Line, e.Text, c.line)
			}
		})
	}
}

// endless gives the same bytes for ever.
type endless struct {
	head, again []byte
	given       int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(e.head) == 0 {
			e.head = e.again
		}
		m := copy(p[n:], e.head)
		e.head = e.head[m:]
		n += m
	}
	e.given += n
	return n, nil
}

func TestACalendarWithoutAnEndIsRefused(t *testing.T) {
	event := []byte("BEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261125T140000\r\nEND:VEVENT\r\n")
	for name, again := range map[string][]byte{"of events": event, "of one line": []byte("x"), "of empty lines": []byte("\n"), "of comments": []byte("X-A:" + strings.Repeat("b", 1000) + "\n")} {
		t.Run(name, func(t *testing.T) {
			r := &endless{head: []byte("BEGIN:VCALENDAR\r\n"), again: again}
			var last error
			for _, err := range ics.Read(r, time.UTC) {
				last = err
			}
			if _, ok := errors.AsType[*ics.Error](last); !ok {
				t.Fatalf("got %v", last)
			}
			if r.given > ics.MaxBytes+8<<10 {
				t.Errorf("%d bytes were read", r.given)
			}
		})
	}
}

func TestATornUploadIsNoCalendar(t *testing.T) {
	torn := errors.New("torn")
	r := io.MultiReader(strings.NewReader("BEGIN:VCALENDAR\nBEGIN:VEV"), failing{torn})
	var last error
	for _, err := range ics.Read(r, time.UTC) {
		last = err
	}
	if !errors.Is(last, torn) {
		t.Errorf("got %v", last)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func FuzzRead(f *testing.F) {
	f.Add([]byte(calendar("DTSTART;TZID=America/New_York:20261125T140000", "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=9", "DURATION:PT50M", "EXDATE:20261202T140000")))
	f.Add([]byte(calendar("DTSTART;VALUE=DATE:20261125", `SUMMARY;LANGUAGE="a:b":x\, y`, "RECURRENCE-ID:20261125T140000Z")))
	f.Add([]byte("BEGIN:VCALENDAR\n \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bytes.Count(text, []byte("\n")) + 1
		for e, err := range ics.Read(bytes.NewReader(text), york) {
			if err != nil {
				if e, ok := errors.AsType[*ics.Error](err); !ok || e.Line < 1 || e.Line > lines {
					t.Fatalf("an error without a line: %v", err)
				}
				return
			}
			if e.UID == "" || e.Start.IsZero() || e.Length < 0 {
				t.Fatalf("an event without name or beginning: %+v", e)
			}
			for _, s := range e.Series() {
				if s.Every < 0 || s.First.Before(e.Start) || !s.Until.IsZero() && s.Until.Before(s.First) {
					t.Fatalf("a series that cannot be: %s", say(s))
				}
			}
		}
	})
}
