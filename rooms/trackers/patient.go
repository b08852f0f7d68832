package trackers

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/leak"
)

// patient is who fills the forms: nobody. Every field has a value of its own, so
// that a finding names the field, and the same field has the same value on every
// page, as it would with a person.
type patient struct {
	marks  leak.Marks
	values map[string]string // by kind and name of the field
	typed  []mark
}

// mark is one value that was typed or chosen, and where.
type mark struct {
	leak.Secret
	page   string
	choice bool // chosen from what the page offers
}

func newPatient(m leak.Marks) *patient { return &patient{marks: m, values: map[string]string{}} }

// asks are what fields ask for, by their type, name, label and hint.
var asks = []struct {
	called string
	fits   *regexp.Regexp
	draw   func(*patient, chrome.Field) (value string, exact bool, err error)
}{
	{"e-mail address", regexp.MustCompile(`(?i)^email|e-?mail|correo|courriel`), func(p *patient, _ chrome.Field) (string, bool, error) { v, err := p.marks.Mail(); return v, false, err }},
	{"telephone number", regexp.MustCompile(`(?i)^tel|phone|mobile|telefon|tel[ée]fono|t[ée]l[ée]phone`), func(p *patient, _ chrome.Field) (string, bool, error) {
		v, err := p.marks.Phone()
		return v, false, err
	}},
	{"date of birth", regexp.MustCompile(`(?i)birth|\bdob\b|born|geburt|nacimiento|naissance`), func(p *patient, f chrome.Field) (string, bool, error) {
		v, err := p.marks.Date()
		return v, false, err
	}},
	{"social security number", regexp.MustCompile(`(?i)\bssn\b|social.?security`), func(p *patient, _ chrome.Field) (string, bool, error) { // 900 to 999 are never given out (SSA)
		n, err := p.marks.Number(8)
		return "9" + n, false, err
	}},
	{"card number", regexp.MustCompile(`(?i)cc-number|card.?number`), func(*patient, chrome.Field) (string, bool, error) { return "4111111111111111", false, nil }},
	{"postal code", regexp.MustCompile(`(?i)\bzip\b|zip.?code|postal|postcode|\bplz\b`), func(p *patient, _ chrome.Field) (string, bool, error) {
		n, err := p.marks.Number(3)
		return "00" + n, true, err // no place has it
	}},
	{"password", regexp.MustCompile(`(?i)^password|passwor[dt]|contrase`), func(p *patient, _ chrome.Field) (string, bool, error) {
		w, err := p.marks.Word()
		return w + "7!", false, err
	}},
	{"member number", regexp.MustCompile(`(?i)member|insurance.?(id|number)|policy|subscriber|patient.?(id|number)`), func(p *patient, _ chrome.Field) (string, bool, error) {
		n, err := p.marks.Number(9)
		return n, false, err
	}},
	{"name", regexp.MustCompile(`(?i)name|nombre|nom\b`), func(p *patient, f chrome.Field) (string, bool, error) {
		if regexp.MustCompile(`(?i)first|last|given|family|sur|vor|nach`).MatchString(f.Name + " " + f.Label + " " + f.Hint) {
			v, err := p.marks.Word()
			return v, false, err
		}
		v, err := p.marks.Name()
		return v, false, err
	}},
	{"reason or message", regexp.MustCompile(`(?i)textarea|reason|message|symptom|concern|grund|nachricht|motivo|mensaje`), func(p *patient, _ chrome.Field) (string, bool, error) { v, err := p.marks.Text(); return v, false, err }},
}

// called is what a field is, in people's words, with its own label where that says more.
func called(kind string, f chrome.Field) string {
	own := strings.TrimSpace(f.Label)
	if own == "" {
		own = f.Name
	}
	own = strings.Trim(own, " *:")
	switch {
	case kind == "" && own == "":
		return "a field without a name"
	case kind == "":
		return fmt.Sprintf("what was entered under “%s”", own)
	case own == "" || strings.EqualFold(own, kind):
		return kind
	}
	return fmt.Sprintf("%s (“%s”)", kind, own)
}

// fill gives a field its value.
func (p *patient) fill(f chrome.Field) (string, bool) {
	kind, value, exact, err := p.draw(f)
	if err != nil || value == "" {
		return "", false
	}
	if f.Most > 0 && len(value) > f.Most {
		value = value[:f.Most]
		exact = exact || len(value) < 8
	}
	p.note(mark{Secret: leak.Secret{Name: called(kind, f), Value: value, Exact: exact}})
	return value, true
}

func (p *patient) draw(f chrome.Field) (kind, value string, exact bool, err error) {
	text := f.Name + " " + f.Label + " " + f.Hint
	for _, a := range asks {
		if !a.fits.MatchString(f.Type) && !a.fits.MatchString(f.Tag) && !a.fits.MatchString(text) {
			continue
		}
		key := a.called + "\n" + f.Name + "\n" + f.Label
		if v, ok := p.values[key]; ok {
			return a.called, v, a.called == "postal code", nil
		}
		if value, exact, err = a.draw(p, f); err == nil {
			p.values[key] = value
		}
		if a.called == "date of birth" && f.Type != "date" {
			return a.called, value, exact, err
		}
		return a.called, value, exact, err
	}
	key := "\n" + f.Name + "\n" + f.Label
	if v, ok := p.values[key]; ok {
		return "", v, f.Type == "number", nil
	}
	value, exact, err = p.plain(f)
	p.values[key] = value
	return "", value, exact, err
}

// plain is a value for a field of which only the type is known.
func (p *patient) plain(f chrome.Field) (value string, exact bool, err error) {
	switch f.Type {
	case "number":
		n, err := p.marks.Number(2)
		low, errLow := strconv.Atoi(f.Min)
		high, errHigh := strconv.Atoi(f.Max)
		got, _ := strconv.Atoi(n)
		if errLow == nil {
			got = max(got, low)
		}
		if errHigh == nil {
			got = min(got, high)
		}
		return strconv.Itoa(got), true, err
	case "date":
		value, err = p.marks.Date()
	case "month":
		return "2026-12", true, nil
	case "week":
		return "2026-W50", true, nil
	case "time":
		return "10:30", true, nil
	case "datetime-local":
		value, err = p.marks.Date()
		value += "T10:30"
	case "url":
		value, err = p.marks.Word()
		value = "https://example.com/" + value
	default:
		value, err = p.marks.Word()
	}
	return value, false, err
}

func (p *patient) note(m mark) {
	for _, t := range p.typed {
		if t.Secret == m.Secret && t.page == m.page {
			return
		}
	}
	p.typed = append(p.typed, m)
}

// chose notes what was picked from what a page offers. Choices are words of the
// language: they are looked for as they stand, and only where they say enough.
func (p *patient) chose(page string, f chrome.Field) {
	for _, v := range []string{f.Chosen, f.Value} {
		v = strings.TrimSpace(v)
		if v == "" || strings.EqualFold(v, "on") || strings.EqualFold(v, "yes") || strings.EqualFold(v, "true") {
			continue
		}
		short := len(v) < 8
		if short && (len(v) < 4 || strings.Trim(v, "0123456789") == "") {
			continue
		}
		name := called("", f)
		if f.Type == "appointment" && f.Label == "appointment" {
			name = "the chosen appointment"
		} else {
			name = strings.Replace(name, "what was entered under", "what was chosen under", 1)
		}
		p.note(mark{Secret: leak.Secret{Name: name, Value: v, Exact: short, Common: true}, page: page, choice: true})
	}
}
