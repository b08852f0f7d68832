package vault

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"quietroom/layer"
)

// The words about a patient that rooms share; see package layer.
type (
	Card        = layer.Card
	Contact     = layer.Contact
	SafeContact = layer.SafeContact
	Number      = layer.Number
	Line        = layer.Line
	Found       = layer.Found
	Entry       = layer.Entry
	Draft       = layer.Draft
)

// searchText is what a search looks through. It begins with the name as lists
// show it, so that it sorts; then come names without accents and case,
// the birth date in three ways of writing, phone numbers as digits.
func searchText(c Card) string {
	parts := []string{c.Shown(), c.Given + " " + c.Family, c.Preferred, c.Born}
	if y, m, d, ok := dateParts(c.Born); ok {
		parts = append(parts, m+"/"+d+"/"+y, strings.TrimLeft(m, "0")+"/"+strings.TrimLeft(d, "0")+"/"+y)
	}
	for _, p := range c.Phones {
		parts = append(parts, digits(p))
	}
	return fold(strings.Join(parts, " "))
}

func dateParts(iso string) (y, m, d string, ok bool) {
	parts := strings.Split(iso, "-")
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// fold makes text comparable: lower case, without accents, one line.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case r == '\n', r == '\r', r == '\t':
			return ' '
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
