package vault

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"quietroom/ground/id"
)

// Card is what the identity compartment holds of a patient: who it is and how
// to reach that person safely. It is one record, sealed under the identity key.
type Card struct {
	Family    string      `json:"family"`
	Given     string      `json:"given"`
	Preferred string      `json:"preferred,omitempty"`
	Pronouns  string      `json:"pronouns,omitempty"`
	Born      string      `json:"born,omitempty"` // YYYY-MM-DD, as far as known
	Sex       string      `json:"sex,omitempty"`
	Phones    []string    `json:"phones,omitempty"`
	Mails     []string    `json:"mails,omitempty"`
	Address   string      `json:"address,omitempty"`
	Language  string      `json:"language,omitempty"`
	Emergency []Contact   `json:"emergency,omitempty"`
	Safe      SafeContact `json:"safe,omitzero"`
	Insurance string      `json:"insurance,omitempty"`
	Numbers   []Number    `json:"numbers,omitempty"` // outside identifiers
	Care      []id.Team   `json:"care"`              // the care teams, who may open the chart
	Next      int64       `json:"next,omitempty"`    // next session, unix milliseconds; derived
	Since     string      `json:"since,omitempty"`   // YYYY-MM-DD
}

// Contact is somebody to call in an emergency.
type Contact struct {
	Name  string `json:"name"`
	Bond  string `json:"bond,omitempty"` // "mother"
	Phone string `json:"phone,omitempty"`
}

// SafeContact is how the patient may be reached without harm.
type SafeContact struct {
	Words string          `json:"words,omitempty"`
	Ways  map[string]bool `json:"ways,omitempty"` // "text", "phone", "voicemail", "mail", "post", "portal": allowed or not
	Said  string          `json:"said,omitempty"` // YYYY-MM-DD
}

// Number is an identifier that another system gave.
type Number struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// Shown is the name as lists show it.
func (c Card) Shown() string {
	switch {
	case c.Family == "":
		return c.Given
	case c.Given == "":
		return c.Family
	}
	return c.Family + ", " + c.Given
}

// Called is the name as one says it.
func (c Card) Called() string {
	given := c.Given
	if c.Preferred != "" {
		given = c.Preferred
	}
	return strings.TrimSpace(given + " " + c.Family)
}

// searchText is what a search looks through. It begins with the name as lists
// show it, so that it sorts; then come names without accents and case,
// the birth date in three ways of writing, phone numbers as digits.
func (c Card) searchText() string {
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
