package madeup

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// papers writes the patient's notes and files.
func (p *Practice) papers(d *dice, a *Patient, minor bool) {
	th := pick(d, themes)
	for minor && th.adults || th.births && !mayHaveGivenBirth(*a, p.Today) {
		th = pick(d, themes)
	}
	a.Diagnoses = []Diagnosis{th.diagnosis}
	if d.chance(18) {
		if second := pick(d, themes); second.diagnosis != th.diagnosis && !second.adults {
			a.Diagnoses = append(a.Diagnoses, second.diagnosis)
		}
	}
	w := writer{dice: d, called: a.Called(), job: pick(d, jobs), close: pick(d, closeAdults), buf: make([]byte, 0, 2048)}
	if minor {
		w.job, w.close = "student", pick(d, closeAdults[:2])
	}
	end := p.last(d, a)
	n := noteCount(d)
	for k := range n {
		a.Notes = append(a.Notes, p.note(&w, &th, a, k, n, end))
	}
	if d.chance(10) {
		for range 1 + d.below(6)/5 {
			a.Files = append(a.Files, w.file(a, len(a.Files)))
		}
	}
}

func mayHaveGivenBirth(a Patient, today time.Time) bool {
	age := today.Year() - a.BirthDate.Year()
	return a.Sex == "female" && age > 18 && age < 46
}

// noteCount makes 1.79 notes on average; with 0.12 files, 33,000 patients have
// about 63,000 papers.
func noteCount(d *dice) int {
	switch r := d.below(100); {
	case r < 10:
		return 0
	case r < 36:
		return 1
	case r < 75:
		return 2
	default:
		return 3
	}
}

// note writes the k-th of n notes: an intake, then progress notes up to the
// last session; sometimes a safety plan between.
func (p *Practice) note(w *writer, th *theme, a *Patient, k, n int, end time.Time) Note {
	w.buf = w.buf[:0]
	w.mark = w.canary()
	note := Note{Kind: "Progress note", At: end, Canary: w.mark}
	switch {
	case k == 0:
		note.Kind, note.At = "Intake", a.Since
		w.intake(th)
	case k == 1 && w.chance(12):
		note.Kind, note.At = "Safety plan", a.Since.AddDate(0, 0, 7)
		w.safetyPlan()
	default:
		if k < n-1 {
			note.At = p.hour(w.dice, a.Since.Add(end.Sub(a.Since)/2))
		}
		w.progress(th, a.Index%2 == 0)
	}
	note.Text, note.telling = string(w.buf), w.telling
	return note
}

// writer fills the slots of sentences for one person.
type writer struct {
	*dice
	called, job, close string
	session            int    // number of the latest one
	mark               string // the canary of the paper at hand
	telling            string // its sentence that names the patient
	buf                []byte
}

func (w *writer) intake(th *theme) {
	w.raw("Intake. First session of 80 minutes, " + pick(w.dice, ways) + ".\n\nReason: ")
	w.one(th.reason)
	w.opening(firstOpenings)
	w.raw("\n\nHistory: ")
	w.some(history, 4)
	w.raw("\n\nToday: ")
	w.one(seen)
	w.one(risk)
	w.some(th.thought, 1)
	w.raw("\n\nHope and agreement: ")
	w.one(hopes)
	w.some(th.aim, 2)
	w.one(refs)
}

// progress writes the hour down as DAP, or as SOAP.
func (w *writer) progress(th *theme, soap bool) {
	w.session += 2 + w.below(14)
	w.raw("Session " + strconv.Itoa(w.session) + ", 50 minutes, " + pick(w.dice, ways) + ".\n\n")
	if soap {
		w.raw("Subjective: ")
		w.opening(openings)
		w.some(th.told, 3)
		w.raw("\n\nObjective: ")
		w.one(seen)
		w.one(risk)
	} else {
		w.raw("Data: ")
		w.opening(openings)
		w.some(th.told, 3+w.below(2))
		w.one(seen)
	}
	w.raw("\n\nAssessment: ")
	w.some(th.thought, 2)
	if !soap {
		w.one(risk)
	}
	w.raw("\n\nPlan: ")
	w.some(th.aim, 2)
	w.one(closings)
	w.one(refs)
}

func (w *writer) safetyPlan() {
	w.raw("Safety plan, written together. ")
	w.opening(firstOpenings)
	w.raw("\n\n1. Signs that it is getting dangerous: ")
	w.some(signs, 3)
	w.raw("\n\n2. What I do by myself: ")
	w.some(ownSteps, 3)
	w.raw("\n\n3. Whom I call: ")
	w.say("My {r}, at any hour; then the practice; then 988, by call or text, or 911.")
	w.raw("\n\n4. How the surroundings are made safer: ")
	w.some(safer, 2)
	w.raw("\n\n5. Worth living for: ")
	w.say("My {r}, {a}, and a morning at {p}.")
	w.one(refs)
}

func (w *writer) raw(s string) { w.buf = append(w.buf, s...) }

func (w *writer) one(list []string) { w.say(pick(w.dice, list)) }

// some says n different sentences of a list.
func (w *writer) some(list []string, n int) {
	var said uint64
	for n = min(n, len(list)); n > 0; {
		k := w.below(len(list))
		if said&(1<<k) != 0 {
			continue
		}
		said |= 1 << k
		w.say(list[k])
		n--
	}
}

// opening says a sentence that names the patient, and remembers it.
func (w *writer) opening(list []string) {
	from := len(w.buf)
	w.one(list)
	w.telling = strings.TrimSpace(string(w.buf[from:]))
}

// say writes one sentence with its slots filled.
func (w *writer) say(sentence string) {
	if n := len(w.buf); n > 0 && w.buf[n-1] != ' ' && w.buf[n-1] != '\n' {
		w.buf = append(w.buf, ' ')
	}
	start := len(w.buf)
	for {
		i := strings.IndexByte(sentence, '{')
		if i < 0 {
			break
		}
		w.raw(sentence[:i])
		w.raw(w.slot(sentence[i+1]))
		sentence = sentence[i+len("{n}"):]
	}
	w.raw(sentence)
	if c := &w.buf[start]; *c >= 'a' && *c <= 'z' {
		*c -= 'a' - 'A'
	}
}

func (w *writer) slot(letter byte) string {
	switch letter {
	case 'n':
		return w.called
	case 'r':
		return w.close
	case 'j':
		return w.job
	case 'a':
		return pick(w.dice, activities)
	case 'p':
		return pick(w.dice, places)
	case 't':
		return pick(w.dice, times)
	case 'c':
		return pick(w.dice, counts)
	case 's':
		return strconv.Itoa(4 + w.below(18))
	case 'w':
		return pick(w.dice, weekdays)
	case 'x':
		return w.mark
	}
	panic("madeup: no slot {" + string(letter) + "}")
}

// Secrets yields what must never be read on a stolen disk: names of twelve
// bytes and more, ways to reach the patient and whom they trust, the member
// number, canaries, names of files, and the sentences that tell of them. None
// of it is in the program: each is put together when it is invented.
func Secrets(a Patient) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range secrets(a) {
			if s != "" && !yield(s) {
				return
			}
		}
	}
}

func secrets(a Patient) []string {
	list := make([]string, 0, 24)
	for _, name := range []string{a.Given + " " + a.Family, a.Family + ", " + a.Given, a.Emergency.Name} {
		if len(name) >= 12 {
			list = append(list, name)
		}
	}
	if name := a.Name(); a.Preferred != "" && len(name) >= 12 {
		list = append(list, name)
	}
	list = append(list, a.Phones...)
	list = append(list, a.Emergency.Phone, a.Email, a.Address.Line, a.Insurance.Member)
	for _, n := range a.Notes {
		list = append(list, n.Canary, n.telling)
	}
	for _, f := range a.Files {
		list = append(list, f.Canary, f.Name)
	}
	return list
}
