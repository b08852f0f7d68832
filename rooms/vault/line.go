package vault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"quietroom/ground/id"
	"quietroom/layer"
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
	texts := [fields]string{string(l.Patient), l.Name, l.Preferred, l.Born, l.Phone, l.Safe, strings.Join(care, ","), writeTimes(l.Times)}
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
	l.Times, err = readTimes(texts[7])
	return l, err
}

// Times stand in one field with semicolons between them, each as its numbers,
// zone and person, and behind these what falls out of it.
func writeTimes(times []layer.Time) string {
	var b strings.Builder
	for i, t := range times {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, "%d,%d,%d,%d,%s,%s", t.At, t.Minutes, t.Every, t.Until, oneTime.Replace(t.Zone), oneTime.Replace(string(t.With)))
		for _, e := range t.Except {
			fmt.Fprintf(&b, ",%d", e)
		}
	}
	return b.String()
}

// oneTime takes out what would end a part of a time.
var oneTime = strings.NewReplacer(",", " ", ";", " ")

func readTimes(text string) (times []layer.Time, err error) {
	if text == "" {
		return nil, nil
	}
	number := func(s string) (n int64) {
		n, e := strconv.ParseInt(s, 10, 64)
		err = errors.Join(err, e)
		return n
	}
	for one := range strings.SplitSeq(text, ";") {
		p := strings.Split(one, ",")
		if len(p) == 1 { // a directory written before times were: when the next one is
			times = append(times, layer.Time{At: number(p[0])})
			continue
		}
		if len(p) < 6 {
			return nil, errLine
		}
		t := layer.Time{At: number(p[0]), Minutes: int(number(p[1])), Every: int(number(p[2])), Until: number(p[3]), Zone: p[4], With: id.Person(p[5])}
		for _, e := range p[6:] {
			t.Except = append(t.Except, number(e))
		}
		times = append(times, t)
	}
	if err != nil {
		return nil, errLine
	}
	return times, nil
}
