// Package ics reads calendars (RFC 5545): the VEVENTs of a file from a calendar
// program, each with its beginning, how long it takes and how it repeats.
//
// The file comes from a stranger. It is read as a stream, in bounded memory, and
// strictly: what is not a calendar is refused with the number of the line. What
// is one, and says something that this package does not read, comes out with a
// sentence in Event.Odd, and never as a time that was guessed.
package ics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	_ "time/tzdata" // a small machine may have no time zones of its own
	"unicode/utf8"
)

// How much a calendar may hold.
const (
	MaxBytes  = 16 << 20 // of the file
	MaxEvents = 20_000
	maxLine   = 64 << 10 // of one unfolded line: descriptions are long
	maxDepth  = 8        // of components in each other
	maxExcept = 1_000    // of one event
	maxText   = 1_000    // bytes of a title or an identifier
	maxLength = 400 * 24 * time.Hour
)

// Error tells which line of a file is wrong, and how. Its text holds nothing
// of the file but names of properties.
type Error struct {
	Line int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Event is one VEVENT.
type Event struct {
	Line      int    // where it begins
	UID       string // its name in the calendar; several with one UID are one event and its changes
	Title     string
	Start     time.Time // in the zone that the event names
	Zone      string    // that zone's IANA name; empty for a time of the reader's own
	AllDay    bool      // it has a day and no hour
	Length    time.Duration
	Rule      *Rule       // how it repeats; nil: once
	Except    []time.Time // those that fall out
	Replaces  time.Time   // it stands in place of this one of its UID; zero: it is the event itself
	Cancelled bool
	Odd       string // what of it was not read, as a sentence; the rest holds
}

// Series is a beginning, and how many days lie between it and the next.
type Series struct {
	First time.Time
	Every int       // 0: once
	Until time.Time // none begins later; zero: no end
}

// Read yields the events of a calendar in their order. A time without a zone is
// one of local. After an error nothing more comes.
func Read(r io.Reader, local *time.Location) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &scanner{lines: bufio.NewReader(io.LimitReader(r, MaxBytes+1)), local: local}
		events := 0
		for {
			e, err := s.event()
			if errors.Is(err, io.EOF) {
				return
			}
			if events++; err == nil && events > MaxEvents {
				err = &Error{e.Line, fmt.Sprintf("there are more than %d events", MaxEvents)}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// scanner reads content lines and knows inside which components it stands.
type scanner struct {
	lines *bufio.Reader
	local *time.Location
	at    int // physical lines read
	bytes int
	inn   []string // components that have begun
	any   bool     // something was read
}

func (s *scanner) wrong(line int, format string, a ...any) error {
	return &Error{line, fmt.Sprintf(format, a...)}
}

// event reads on until the end of the next VEVENT. io.EOF at the end of the file.
func (s *scanner) event() (e Event, err error) {
	var reading *draft
	for {
		l, err := s.line()
		if errors.Is(err, io.EOF) {
			return e, s.ended()
		}
		if err != nil {
			return e, err
		}
		done, err := s.component(l)
		switch {
		case err != nil:
			return e, err
		case l.name == "BEGIN" && l.value == "VEVENT":
			reading = &draft{line: l.at, local: s.local}
		case done && l.value == "VEVENT":
			return reading.event()
		case reading != nil && s.inside() == "VEVENT":
			if err := reading.take(l); err != nil {
				return e, err
			}
		}
	}
}

func (s *scanner) inside() string {
	if len(s.inn) == 0 {
		return ""
	}
	return s.inn[len(s.inn)-1]
}

// component follows BEGIN and END. done tells that one ended.
func (s *scanner) component(l line) (done bool, err error) {
	switch {
	case !s.any && (l.name != "BEGIN" || l.value != "VCALENDAR"):
		return false, s.wrong(l.at, "this is no calendar: it does not begin with BEGIN:VCALENDAR")
	case l.name == "BEGIN":
		s.any = true
		switch {
		case len(s.inn) == maxDepth:
			return false, s.wrong(l.at, "components lie too deep in each other")
		case (l.value == "VCALENDAR") != (len(s.inn) == 0):
			return false, s.wrong(l.at, "a component begins where it cannot")
		case l.value == "VEVENT" && s.inside() != "VCALENDAR":
			return false, s.wrong(l.at, "an event begins inside another component")
		}
		s.inn = append(s.inn, l.value)
	case l.name == "END":
		if s.inside() != l.value || len(s.inn) == 0 {
			return false, s.wrong(l.at, "a component ends that has not begun")
		}
		s.inn = s.inn[:len(s.inn)-1]
		return true, nil
	case len(s.inn) == 0:
		return false, s.wrong(l.at, "something stands outside the calendar")
	}
	return false, nil
}

func (s *scanner) ended() error {
	switch {
	case !s.any:
		return s.wrong(1, "the file is empty")
	case len(s.inn) > 0:
		return s.wrong(s.at, "the file ends in the middle of the calendar")
	}
	return io.EOF
}

// line is one content line: a name, its parameters, a value.
type line struct {
	at     int
	name   string
	params map[string]string
	value  string
}

// line reads the next content line, unfolded (RFC 5545, section 3.1).
func (s *scanner) line() (l line, err error) {
	text, err := s.physical()
	for err == nil && text == "" { // some programs end with empty lines
		text, err = s.physical()
	}
	if err != nil {
		return l, err
	}
	l.at = s.at
	for {
		next, err := s.lines.Peek(1)
		if err != nil || next[0] != ' ' && next[0] != '\t' {
			break
		}
		more, err := s.physical()
		if err != nil {
			return l, err
		}
		if len(text)+len(more) > maxLine {
			return l, s.wrong(l.at, "the line is longer than %d bytes", maxLine)
		}
		text += more[1:]
	}
	if !utf8.ValidString(text) {
		return l, s.wrong(l.at, "the line is not written in UTF-8")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return l, s.wrong(l.at, "the line holds a control character")
	}
	return s.split(l, text)
}

// physical reads a line of the file without its end.
func (s *scanner) physical() (string, error) {
	var b strings.Builder
	for {
		part, err := s.lines.ReadSlice('\n')
		b.Write(part)
		if s.bytes += len(part); s.bytes > MaxBytes {
			return "", s.wrong(s.at+1, "the file is larger than %d MB", MaxBytes>>20)
		}
		switch {
		case b.Len() > maxLine:
			return "", s.wrong(s.at+1, "the line is longer than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && b.Len() == 0:
			return "", io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return "", err
		}
		s.at++
		text := strings.TrimSuffix(strings.TrimSuffix(b.String(), "\n"), "\r")
		if s.at == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		return text, nil
	}
}

// split takes a content line apart. A quoted parameter may hold : and ;.
func (s *scanner) split(l line, text string) (line, error) {
	torn := func() (line, error) { return l, s.wrong(l.at, "the line is no property with a value") }
	end := strings.IndexAny(text, ":;")
	if end <= 0 || !word(text[:end]) {
		return torn()
	}
	l.name, text = strings.ToUpper(text[:end]), text[end:]
	for text[0] == ';' {
		name, rest, ok := strings.Cut(text[1:], "=")
		if !ok || !word(name) {
			return torn()
		}
		quoted, stop := false, -1
		for i := 0; i < len(rest) && stop < 0; i++ {
			switch {
			case rest[i] == '"':
				quoted = !quoted
			case !quoted && (rest[i] == ':' || rest[i] == ';'):
				stop = i
			}
		}
		if stop < 0 {
			return torn()
		}
		if l.params == nil {
			l.params = map[string]string{}
		}
		l.params[strings.ToUpper(name)] = strings.ReplaceAll(rest[:stop], `"`, "")
		text = rest[stop:]
	}
	l.value = text[1:]
	if l.name == "BEGIN" || l.name == "END" {
		if !word(l.value) {
			return torn()
		}
		l.value = strings.ToUpper(l.value)
	}
	return l, nil
}

// word tells whether a text is a name of RFC 5545: letters, digits, hyphens.
func word(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}
