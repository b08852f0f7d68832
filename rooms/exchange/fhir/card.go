package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Card is what a directory of patients shows of one. Fields that the source
// left out are empty.
type Card struct {
	Family, Given string // the official name, else the usual, else the first
	Name          string // "Family, Given", or the name as one text
	Preferred     string // what the person wants to be called, if it differs
	Born          string // birthDate as it came: YYYY, YYYY-MM or YYYY-MM-DD
	Gender        string // male, female, other, unknown: the administrative gender
	Phones        []string
	Emails        []string
	Address       string   // of home, on one line
	Identifiers   []string // "system|value", values as they came: sealed data
	Deceased      bool
	Language      string // preferred, else first: "English", or its code
	Contacts      []Contact
}

// Contact is somebody to call in an emergency.
type Contact struct {
	Name     string
	Relation string // "Mother", as it came
	Phone    string
}

// Summary reads the card of a Patient. It takes what it finds, and never fails.
func Summary(patient Resource) Card {
	v := view(patient.Raw)
	var c Card
	c.name(v)
	c.Born = v.field("birthDate").text()
	c.Gender = v.field("gender").text()
	c.Phones = telecom(v, "phone")
	c.Emails = telecom(v, "email")
	c.Address = address(v.field("address"))
	c.Identifiers = identifiers(v)
	died := v.field("deceasedBoolean")
	c.Deceased = string(died) == "true" || v.field("deceasedDateTime") != nil
	c.Language = language(v.field("communication"))
	for contact := range v.field("contact").items() {
		c.addContact(contact)
	}
	return c
}

func (c *Card) name(v view) {
	names := v.field("name")
	official := byUse(names, "official", "usual", "")
	c.Family, c.Given, c.Name = personName(official)
	for name := range names.items() {
		if use := name.field("use"); use.is("nickname") || use.is("usual") {
			family, given, text := personName(name)
			preferred := given
			if preferred == "" {
				preferred = text
			}
			if preferred != c.Given && (family == "" || family == c.Family || use.is("usual")) {
				c.Preferred = preferred
			}
			if use.is("nickname") {
				break
			}
		}
	}
}

// byUse returns the first item with the first of the uses that any item has;
// the use "" is any item that is not old.
func byUse(list view, uses ...string) view {
	for _, use := range uses {
		for item := range list.items() {
			has := item.field("use").text()
			if has == use || use == "" && has != "old" && has != "maiden" {
				return item
			}
		}
	}
	return list.first()
}

// personName reads a HumanName. http://hl7.org/fhir/R4/datatypes.html#HumanName
func personName(v view) (family, given, whole string) {
	family = clean(v.field("family").text())
	given = texts(v.field("given"), " ")
	whole = join(", ", family, given)
	if whole == "" {
		whole = clean(v.field("text").text())
	}
	return family, given, whole
}

// telecom returns the values of one system, the best rank and the home first.
func telecom(v view, system string) []string {
	type line struct {
		value string
		rank  string
		old   bool
	}
	var lines []line
	for item := range v.field("telecom").items() {
		value := clean(item.field("value").text())
		if value == "" || !item.field("system").is(system) || len(lines) >= 16 {
			continue
		}
		rank := string(item.field("rank"))
		if rank == "" {
			rank = "~" // after every number
		}
		lines = append(lines, line{value, rank, item.field("use").is("old")})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if a.old != b.old {
			if a.old {
				return 1
			}
			return -1
		}
		if len(a.rank) != len(b.rank) && a.rank != "~" && b.rank != "~" {
			return len(a.rank) - len(b.rank)
		}
		return strings.Compare(a.rank, b.rank)
	})
	var values []string
	for _, l := range lines {
		values = append(values, l.value)
	}
	return values
}

func address(list view) string {
	v := byUse(list, "home", "")
	if v == nil {
		return ""
	}
	town := join(" ", clean(v.field("state").text()), clean(v.field("postalCode").text()))
	whole := join(", ", texts(v.field("line"), ", "), clean(v.field("city").text()), town)
	if whole == "" {
		whole = clean(v.field("text").text())
	}
	return whole
}

func identifiers(v view) []string {
	var all []string
	for item := range v.field("identifier").items() {
		value := clean(item.field("value").text())
		if value != "" && len(all) < 32 {
			all = append(all, clean(item.field("system").text())+"|"+value)
		}
	}
	return all
}

func language(list view) string {
	best := list.first()
	for item := range list.items() {
		if string(item.field("preferred")) == "true" {
			best = item
			break
		}
	}
	return concept(best.field("language"))
}

func (c *Card) addContact(v view) {
	if len(c.Contacts) >= 8 {
		return
	}
	_, _, name := personName(v.field("name").first())
	contact := Contact{Name: name, Relation: concept(v.field("relationship").first())}
	if phones := telecom(v, "phone"); len(phones) > 0 {
		contact.Phone = phones[0]
	}
	if contact != (Contact{}) {
		c.Contacts = append(c.Contacts, contact)
	}
}

// concept reads a CodeableConcept, a Coding or a text: what a person would read of it.
func concept(v view) string {
	coding := v.path("coding")
	for _, try := range []string{
		v.text(), v.field("text").text(), coding.field("display").text(),
		v.field("display").text(), coding.field("code").text(), v.field("code").text(),
	} {
		if s := clean(try); s != "" {
			return s
		}
	}
	return ""
}

func texts(list view, between string) string {
	var all []string
	for item := range list.items() {
		if len(all) < 16 {
			all = append(all, clean(item.text()))
		}
	}
	return join(between, all...)
}

// join puts the parts that say something together.
func join(between string, parts ...string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" })
	return strings.Join(parts, between)
}

// maxShown is how much of one text a card or a title shows, in bytes.
const maxShown = 200

// clean makes a text fit for one line: no control characters, no marks that
// turn the direction of writing, not too long.
func clean(s string) string {
	if len(s) <= maxShown && plain([]byte(s)) == len(s) && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0x7f, r == '\u2028', r == '\u2029':
			return ' '
		case r >= 0x80 && r < 0xa0, r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}

// patientKey is the identity of a patient over imports: a hash of Patient.id
// and of the practice's own number for the person (identifier type MR). An id
// alone may be "1" in two systems, and two people must never become one chart;
// that one person becomes two charts can be mended. Without both, all
// identifiers count, and without those the content.
func patientKey(r Resource) string {
	v := view(r.Raw)
	parts := []string{r.ID}
	parts = append(parts, numbers(v, true)...)
	if len(parts) == 1 && r.ID == "" {
		parts = append(parts, numbers(v, false)...)
	}
	if len(parts) == 1 && r.ID == "" {
		parts = append(parts, string(r.Raw))
	}
	h := sha256.New()
	for _, part := range append([]string{"quietroom patient 1"}, parts...) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// numbers returns the identifiers "system|value" in order, of a record number
// (MR) only the first: a person may be given more.
func numbers(v view, record bool) []string {
	var all []string
	for item := range v.field("identifier").items() {
		value := item.field("value").text()
		if value != "" && (!record || item.path("type", "coding", "code").is("MR")) {
			all = append(all, item.field("system").text()+"|"+value)
		}
	}
	slices.Sort(all)
	if record && len(all) > 1 {
		all = all[:1]
	}
	return all
}
