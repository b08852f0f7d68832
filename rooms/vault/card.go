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

// searchText is what a search looks through: names, the birth date as
// 1991-03-04 and phone numbers as digits. It begins with the name as lists show
// it, so that it sorts; and it is short, because every search passes through all.
func searchText(c Card) string {
	parts := []string{c.Shown(), c.Preferred, c.Born}
	for _, p := range c.Phones {
		parts = append(parts, digits(p))
	}
	return fold(strings.Join(parts, " "))
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
