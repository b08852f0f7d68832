package exchange

import (
	"cmp"
	"reflect"
	"strings"

	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// cardOf makes the patient's card of a Patient resource.
func cardOf(patient fhir.Resource) layer.Card {
	s := fhir.Summary(patient)
	c := layer.Card{
		Family: s.Family, Given: s.Given, Preferred: s.Preferred, Born: s.Born, Sex: s.Gender,
		Phones: s.Phones, Mails: s.Emails, Address: s.Address, Language: s.Language,
	}
	if c.Family == "" && c.Given == "" {
		c.Given = cmp.Or(s.Name, "No name given")
	}
	for _, n := range s.Identifiers {
		system, value, _ := strings.Cut(n, "|")
		c.Numbers = append(c.Numbers, layer.Number{System: system, Value: value})
	}
	for _, e := range s.Contacts {
		c.Emergency = append(c.Emergency, layer.Contact{Name: e.Name, Bond: e.Relation, Phone: e.Phone})
	}
	return c
}

// follow changes in card what changed between two imports of a Patient. What
// people of the practice wrote over it since stays as they wrote it.
func follow(card, before, after layer.Card) (layer.Card, bool) {
	changed := false
	now, was, is := reflect.ValueOf(&card).Elem(), reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range now.NumField() {
		mine, old, fresh := now.Field(i).Interface(), was.Field(i).Interface(), is.Field(i).Interface()
		if reflect.DeepEqual(old, fresh) || !reflect.DeepEqual(mine, old) {
			continue
		}
		now.Field(i).Set(is.Field(i))
		changed = true
	}
	return card, changed
}

// shown is a card as the pages of an export show it.
func shown(c layer.Card) fhir.Card {
	f := fhir.Card{
		Family: c.Family, Given: c.Given, Name: c.Shown(), Preferred: c.Preferred, Born: c.Born, Gender: c.Sex,
		Phones: c.Phones, Emails: c.Mails, Address: c.Address, Language: c.Language,
	}
	for _, n := range c.Numbers {
		f.Identifiers = append(f.Identifiers, strings.TrimPrefix(n.System+"|"+n.Value, "|"))
	}
	for _, e := range c.Emergency {
		f.Contacts = append(f.Contacts, fhir.Contact{Name: e.Name, Relation: e.Bond, Phone: e.Phone})
	}
	return f
}
