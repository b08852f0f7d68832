package madeup

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// person invents who the patient is.
func (p *Practice) person(d *dice, a *Patient, minor bool) {
	list := women
	a.Sex, a.Pronouns = "female", "she/her"
	if d.below(100) >= 58 {
		list, a.Sex, a.Pronouns = men, "male", "he/him"
	}
	g := pick(d, list)
	a.Given, a.Family = g.name, pick(d, families)
	if g.called != g.name && d.chance(22) {
		a.Preferred = g.called
	}
	switch r := d.below(100); {
	case r < 5:
		a.Pronouns = "they/them"
	case r < 7: // the name on paper is not the one that is lived
		a.Preferred, a.Pronouns = pick(d, men).called, "he/him"
		if a.Sex == "male" {
			a.Preferred, a.Pronouns = pick(d, women).called, "she/her"
		}
	case r < 8:
		a.Sex, a.Pronouns = "other", "they/them"
	}
	if a.Preferred == a.Given {
		a.Preferred = ""
	}
	age := 18 + d.below(24) + d.below(24) + d.below(19)
	if minor {
		age = 12 + d.below(5)
	}
	y, m, day := p.Today.Date()
	a.BirthDate = time.Date(y-age-1, m, day+1+d.below(364), 0, 0, 0, 0, time.UTC)
}

// reach invents how the patient, and somebody close, can be reached.
func reach(d *dice, a *Patient, minor bool) {
	at := pick(d, towns)
	a.Phones = []string{phone(d, at)}
	if d.chance(20) {
		a.Phones = append(a.Phones, phone(d, at))
	}
	if !d.chance(5) {
		a.Email = mailbox(a.Name()) + d.digits(3) + "@example.org"
	}
	a.Address = address(d, at)
	a.Emergency = contact(d, a, at, minor)
	a.Safe = pick(d, safeContacts)
	if minor {
		a.Safe = pick(d, guardianContacts)
	}
	payer := pick(d, payers)
	a.Insurance = Insurance{Payer: payer.name, Member: payer.prefix + d.digits(10)}
}

func phone(d *dice, at town) string {
	n := 101 + d.below(99)
	return "(" + pick(d, at.areas) + ") 555-0" + strconv.Itoa(n)
}

func address(d *dice, at town) Address {
	line := strconv.Itoa(100+d.below(9800)) + " " + pick(d, streets) + " " + pick(d, streetKinds)
	if d.chance(25) {
		line += ", Apt " + strconv.Itoa(1+d.below(40))
	}
	return Address{Line: line, City: at.name, State: at.state, ZIP: at.zip + d.digits(2)}
}

func contact(d *dice, a *Patient, at town, minor bool) Contact {
	relations := []string{"mother", "father", "sister", "brother", "spouse", "partner", "friend"}
	if minor {
		relations = relations[:2]
	}
	c := Contact{Relation: pick(d, relations), Phone: phone(d, at)}
	list := women
	switch c.Relation {
	case "father", "brother":
		list = men
	case "spouse", "partner", "friend":
		if d.chance(50) {
			list = men
		}
	}
	family := a.Family
	if c.Relation == "friend" || d.chance(35) {
		family = pick(d, families)
	}
	c.Name = pick(d, list).name + " " + family
	return c
}

// mailbox writes a name as the local part of an address.
func mailbox(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(plain(name)) {
		switch {
		case r == ' ':
			b.WriteByte('.')
		case r >= 'a' && r <= 'z':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// folded pairs each letter of the name lists that is not ASCII with its plain
// spelling.
var folded = strings.NewReplacer(
	"á", "a", "ã", "a", "ạ", "a", "ầ", "a", "Á", "A", "ç", "c", "é", "e", "è", "e", "ë", "e", "ễ", "e", "É", "E", "í", "i", "ł", "l",
	"ñ", "n", "ó", "o", "ö", "o", "ø", "o", "Ø", "O", "ú", "u", "ü", "u", "ś", "s")

// plain writes a name in ASCII.
func plain(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return folded.Replace(name)
		}
	}
	return name
}
