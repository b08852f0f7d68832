package chart

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// piece is a piece of a name; Mark where it is what somebody looked for, Break
// where a line may end behind it.
type piece struct {
	Text        string
	Mark, Break bool
}

// longest is how many characters of one word stand together on a phone.
const longest = 14

// plain is a name with places to break its long words.
func plain(name string) []piece { return breaks([]piece{{Text: name}}) }

// breaks cuts pieces where a word is too long for a line.
func breaks(pieces []piece) (all []piece) {
	word := 0 // characters since the last place to break
	for _, p := range pieces {
		start := 0
		for at, r := range p.Text {
			if r == ' ' || r == '-' {
				word = 0
			} else if word++; word > longest {
				all = append(all, piece{p.Text[start:at], p.Mark, true})
				start, word = at, 1
			}
		}
		all = append(all, piece{p.Text[start:], p.Mark, false})
	}
	return all
}

// words splits what was typed as the vault's search does: any of them marks.
func words(q string) []string {
	var all []string
	for _, w := range strings.Fields(q) {
		folded, _ := fold(strings.TrimRight(w, ","))
		if folded != "" {
			all = append(all, folded)
		}
	}
	return all
}

// fold returns text without case and accents, and for each of its bytes the
// place in text where its rune begins, with the end of text at the end.
func fold(text string) (folded string, from []int) {
	var b strings.Builder
	for at, r := range text {
		for _, f := range norm.NFD.String(string(r)) {
			if unicode.Is(unicode.Mn, f) {
				continue
			}
			n, _ := b.WriteRune(unicode.ToLower(f))
			for range n {
				from = append(from, at)
			}
		}
	}
	return b.String(), append(from, len(text))
}

// mark cuts a name where the words stand in it.
func mark(name string, words []string) []piece {
	if len(words) == 0 {
		return plain(name)
	}
	folded, from := fold(name)
	hit := make([]bool, len(name)+1)
	for _, w := range words {
		for start := 0; ; {
			i := strings.Index(folded[start:], w)
			if i < 0 {
				break
			}
			for at := from[start+i]; at < from[start+i+len(w)]; at++ {
				hit[at] = true
			}
			start += i + len(w)
		}
	}
	var pieces []piece
	for start, at := 0, 1; at <= len(name); at++ {
		if at == len(name) || hit[at] != hit[start] {
			pieces = append(pieces, piece{Text: name[start:at], Mark: hit[start]})
			start = at
		}
	}
	return breaks(pieces)
}

// day writes an ISO date as people read it; what is no date stays as it is.
func day(iso string) string {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil {
		return iso
	}
	return t.Format("Jan 2, 2006")
}

// longDay is day with the month in full.
func longDay(iso string) string {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil {
		return iso
	}
	return t.Format("January 2, 2006")
}

// years is how old somebody is who was born on an ISO date.
func years(iso string, now time.Time) (int, bool) {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil || t.After(now) {
		return 0, false
	}
	n := now.Year() - t.Year()
	if now.Month() < t.Month() || now.Month() == t.Month() && now.Day() < t.Day() {
		n--
	}
	return n, true
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes as people read it.
func size(n int64) string {
	const kb = 1000
	switch {
	case n < kb:
		return fmt.Sprintf("%d bytes", n)
	case n < kb*kb:
		return fmt.Sprintf("%d KB", (n+kb/2)/kb)
	case n < kb*kb*kb:
		return fmt.Sprintf("%.1f MB", float64(n)/kb/kb)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/kb/kb/kb)
}

// and joins words as one says them: "a, b and c".
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// upper begins a sentence.
func upper(s string) string {
	for i, r := range s {
		return string(unicode.ToUpper(r)) + s[i+len(string(r)):]
	}
	return s
}
