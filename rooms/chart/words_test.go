package chart_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"quietroom/rooms/chart"
)

func TestMarkingANameLosesNoneOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("aAäÄ\u0308éßİıſ ,-xyz\uFFFD漢"))).Draw(t, "name")
		q := rapid.StringOf(rapid.RuneFrom([]rune("aAäÄ\u0308éßiI ,"))).Draw(t, "q")
		var whole strings.Builder
		for _, p := range chart.Mark(name, chart.Words(q)) {
			if !utf8.ValidString(p.Text) {
				t.Fatalf("%q is cut inside a letter: %q", name, p.Text)
			}
			whole.WriteString(p.Text)
		}
		if whole.String() != name {
			t.Fatalf("%q became %q", name, whole.String())
		}
	})
}

func TestWhatSomebodyLookedForIsMarked(t *testing.T) {
	for _, c := range []struct{ name, q, want string }{
		{"Aldridge, Sam", "", "Aldridge, Sam"},
		{"Aldridge, Sam", "ald", "[Ald]ridge, Sam"},
		{"Baldwin, Thea", "EA ald", "B[ald]win, Th[ea]"},
		{"Özdemir, Sám", "sam oz", "[Öz]demir, [Sám]"},
		{"Sa\u0301m", "sam", "[Sa\u0301m]"},
		{"Aldridge, Sam", "Aldridge, Sam", "[Aldridge], [Sam]"},
		{"Aldridge, Sam", "1991", "Aldridge, Sam"},
		{"Wolfeschlegelsteinhausen", "", "Wolfeschlegels|teinhausen"},
		{"Wolfeschlegelsteinhausen", "gel", "Wolfeschle[gel]s|teinhausen"},
	} {
		var got strings.Builder
		for _, p := range chart.Mark(c.name, chart.Words(c.q)) {
			text := p.Text
			if p.Mark {
				text = "[" + text + "]"
			}
			got.WriteString(text)
			if p.Break {
				got.WriteString("|")
			}
		}
		if got.String() != c.want {
			t.Errorf("%q in %q is marked %q, want %q", c.q, c.name, got.String(), c.want)
		}
	}
}
