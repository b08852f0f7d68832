package lure_test

import (
	"strings"
	"testing"

	"quietroom/rooms/training/lure"
)

func TestPracticeMessagesAreKindDifferentAndRated(t *testing.T) {
	levels, passkeys := map[lure.Level]int{}, 0
	all := lure.All()
	if len(all) < 12 { // one a month without a repeat
		t.Errorf("%d messages are too few for a year", len(all))
	}
	for _, l := range all {
		levels[l.Level()]++
		if l.Passkey {
			passkeys++
		}
		if len(l.Telling) != 3 {
			t.Errorf("%s tells %d cues, want three", l.ID, len(l.Telling))
		}
		subject, text, page := l.Fill(`Jo <script>alert(1)</script> "O'Neil"`, "Harbor & Sons", "https://house.example/m/abc")
		if strings.Contains(page, "<script") || strings.Count(page, "href=") != 1 || strings.Count(text, "https://") != 1 || strings.Contains(subject+text+page, "{") {
			t.Errorf("%s: %q %q", l.ID, subject, page)
		}
	}
	if levels[lure.Least] < 2 || levels[lure.Moderately] < 3 || levels[lure.Very] < 3 || passkeys < 2 {
		t.Errorf("levels %v, passkey pages %d", levels, passkeys)
	}
}

// The corners of the table in NIST TN 2276: cues few (1-8), some (9-14), many
// (15 and more); alignment weak (to 10), medium (11-17), strong (18 and more).
func TestTheScaleIsThatOfNIST(t *testing.T) {
	weak, medium, strong := [5]int{4, 4, 2, 0, 0}, [5]int{4, 4, 4, 0, 0}, [5]int{8, 6, 4, 0, 0}
	for _, c := range []struct {
		cues int
		fit  [5]int
		want lure.Level
	}{
		{8, strong, lure.Very}, {8, medium, lure.Very}, {8, weak, lure.Moderately},
		{9, strong, lure.Very}, {14, medium, lure.Moderately}, {9, weak, lure.Moderately}, {14, weak, lure.Least},
		{15, strong, lure.Moderately}, {15, medium, lure.Moderately}, {15, weak, lure.Least},
		{8, [5]int{8, 6, 4, 0, 8}, lure.Moderately}, // they were warned of just this
	} {
		if got := lure.Scale(c.cues, c.fit); got != c.want {
			t.Errorf("%d cues, fit %v: %s, want %s", c.cues, c.fit, got, c.want)
		}
	}
}

const fine = "---\ntitle: T\nfrom: F\nsubject: S\npage: plain\nheadline: H\nsays: x\nbutton: B\ncues: 3\nfit: 0 0 0 0 0\ntelling:\n- a | b\n- c | d\n- e | f\n---\nHi {name}\n\n{link: go}\n"

func TestAHostileOrUnkindMessageIsRefused(t *testing.T) {
	if _, err := lure.Parse("x", fine); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ title, old, new, want string }{
		{"a tag", "Hi {name}", "<img src=x onerror=alert(1)>", "HTML"},
		{"another link", "Hi {name}", "see https://evil.example", "address"},
		{"a script's address", "Hi {name}", "javascript:alert(1)", "address"},
		{"pay", "subject: S", "subject: Your payroll", "kind"},
		{"sickness", "Hi {name}", "your sick leave", "kind"},
		{"a patient's need", "Hi {name}", "a patient is in crisis", "kind"},
		{"dismissal", "Hi {name}", "the layoffs begin", "kind"},
		{"an unknown hole", "{name}", "{password}", "{password}"},
		{"another address as sender", "from: F", "from: x@evil.example", "name"},
		{"no link", "{link: go}", "go", "link"},
		{"hidden letters", "Hi", "H\u200bi", "plain text"},
	} {
		t.Run(c.title, func(t *testing.T) {
			if _, err := lure.Parse("x", strings.Replace(fine, c.old, c.new, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a word of %q", err, c.want)
			}
		})
	}
}
