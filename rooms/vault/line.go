package vault

import (
	"errors"
	"strconv"
	"strings"

	"quietroom/ground/id"
)

// A line of the directory is written as its fields with a unit separator
// (U+001F) between them, the care teams in one field. A list page reads fifty
// of them, and JSON was a sixth of its time.

const (
	between = "\x1f"
	fields  = 8
)

// errLine means that an opened directory does not read: it was written by another program.
var errLine = errors.New("directory: an entry is not readable")

// oneLine takes out what would end a field or a line.
var oneLine = strings.NewReplacer(between, " ", "\n", " ", "\r", " ")

func writeLine(l Line) []byte {
	care := make([]string, len(l.Care))
	for i, t := range l.Care {
		care[i] = string(t)
	}
	next := ""
	if l.Next != 0 {
		next = strconv.FormatInt(l.Next, 10)
	}
	texts := [fields]string{string(l.Patient), l.Name, l.Preferred, l.Born, l.Phone, l.Safe, strings.Join(care, ","), next}
	for i := range texts {
		texts[i] = oneLine.Replace(texts[i])
	}
	return []byte(strings.Join(texts[:], between))
}

func readLine(b []byte) (l Line, err error) {
	var texts [fields]string
	rest, more := string(b), true
	for i := range texts {
		if !more {
			return l, errLine
		}
		texts[i], rest, more = strings.Cut(rest, between)
	}
	if more {
		return l, errLine
	}
	l = Line{Patient: id.Patient(texts[0]), Name: texts[1], Preferred: texts[2], Born: texts[3], Phone: texts[4], Safe: texts[5]}
	if texts[6] != "" {
		for t := range strings.SplitSeq(texts[6], ",") {
			l.Care = append(l.Care, id.Team(t))
		}
	}
	if texts[7] != "" {
		if l.Next, err = strconv.ParseInt(texts[7], 10, 64); err != nil {
			return l, errLine
		}
	}
	return l, nil
}
