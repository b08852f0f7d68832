package lesson_test

import (
	"strings"
	"testing"
	"time"

	"quietroom/rooms/training/lesson"
)

// words counts what somebody reads: text, questions, answers, and what is said
// to one answer of each question.
func words(l lesson.Lesson) (n int) {
	count := func(s string) { n += len(strings.Fields(s)) }
	spans := func(all []lesson.Span) {
		for _, s := range all {
			count(s.Text)
		}
	}
	for _, s := range l.Steps {
		count(s.Title)
		for _, b := range s.Blocks {
			spans(b.Text)
			for _, i := range b.Items {
				spans(i)
			}
		}
		for _, q := range s.Questions {
			count(q.Text)
			for _, a := range q.Answers {
				count(a.Text)
			}
			count(q.Answers[0].Says)
		}
	}
	return n
}

func TestEachLessonIsShortInteractiveSourcedAndFresh(t *testing.T) {
	all := lesson.All()
	if len(all) < 12 || len(all) > 20 {
		t.Fatalf("there are %d lessons, want 12 to 20", len(all))
	}
	for _, role := range []string{"owner", "clinician", "front-desk", "billing"} {
		first, year := 0, 0
		for _, l := range all {
			if l.IsFor([]string{role}) && l.First {
				first++
			} else if l.IsFor([]string{role}) {
				year++
			}
		}
		if first < 4 || first > 8 || year < 4 {
			t.Errorf("a %s gets %d lessons first and %d over the year", role, first, year)
		}
	}
	for _, l := range all {
		t.Run(l.ID, func(t *testing.T) {
			n := words(l) // read at about 200 words a minute; each answer takes a moment
			if l.Minutes < 2 || l.Minutes > 4 || n < 105*l.Minutes || n > 230*l.Minutes {
				t.Errorf("%d words do not fit %d minutes", n, l.Minutes)
			}
			if l.Questions() < 2 || len(l.Steps) < 2 {
				t.Errorf("%d questions in %d steps: it is not interactive", l.Questions(), len(l.Steps))
			}
			if d := l.Again.Sub(l.Reviewed); d > 400*24*time.Hour {
				t.Errorf("it is reviewed again after %v only", d)
			}
			public := false
			for _, s := range l.Sources {
				for _, who := range []string{"HHS", "CISA", "NIST", "45 CFR"} {
					public = public || strings.HasPrefix(s.Title, who)
				}
				if !strings.HasPrefix(s.Link, "https://") {
					t.Errorf("the source %q has no address", s.Title)
				}
			}
			if !public {
				t.Error("no source of HHS, CISA or NIST")
			}
		})
	}
}

func TestTheRightAnswerIsNotAlwaysAtTheSamePlace(t *testing.T) {
	at := map[int]int{}
	n := 0
	for _, l := range lesson.All() {
		for _, s := range l.Steps {
			for _, q := range s.Questions {
				for i, a := range q.Answers {
					if a.Right {
						at[i]++
						n++
					}
				}
			}
		}
	}
	for i, times := range at {
		if times*10 > n*7 {
			t.Errorf("%d of %d right answers are number %d", times, n, i+1)
		}
	}
}

const fine = "---\ntitle: T\nversion: 1\nminutes: 2\nfor: everyone\nwhen: year\nreviewed: 2026-01-01\nagain: 2027-01-01\nsources:\n- NIST, x, https://x.example\n---\n# One\nSome **words** and `code`.\n\n- a\n- b\n\n? Q\n- [ ] no | because\n- [x] yes | because\n"

func TestWhatIsWrongInALessonIsSaidWithItsLine(t *testing.T) {
	if l, err := lesson.Parse("fine", fine); err != nil || len(l.Steps[0].Blocks) != 2 || !l.Steps[0].Blocks[0].Text[1].Strong {
		t.Fatalf("%+v %v", l, err)
	}
	for _, c := range []struct{ title, id, old, new, want string }{
		{"no right answer", "x", "[x]", "[ ]", "one of them right"},
		{"an answer without a word to it", "x", "yes | because", "yes", "line 20"},
		{"for nobody known", "x", "for: everyone", "for: surgeons", "surgeons"},
		{"a name for an address", "../x", "", "", "name"},
		{"an unknown fact", "x", "when: year", "color: red", "color"},
		{"a number that is none", "x", "version: 1", "version: one", "version"},
		{"words before a step", "x", "# One\n", "", "step"},
		{"turned round by letters nobody sees", "x", "Some", "So\u202eme", "plain text"},
		{"no sources", "x", "- NIST, x, https://x.example\n", "", "source"},
		{"reviewed after again", "x", "again: 2027", "again: 2025", "later"},
	} {
		t.Run(c.title, func(t *testing.T) {
			_, err := lesson.Parse(c.id, strings.Replace(fine, c.old, c.new, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a word of %q", err, c.want)
			}
		})
	}
}

func FuzzALessonIsReadOrRefused(f *testing.F) {
	f.Add("fine", fine)
	f.Add("x", "---\n---\n# a\n? b\n- [x] c | d")
	f.Fuzz(func(t *testing.T, id, text string) {
		l, err := lesson.Parse(id, text)
		if err != nil {
			return
		}
		if len(l.Steps) == 0 || l.Hash == "" || !lesson.Name(l.ID) {
			t.Errorf("taken without what it needs: %+v", l)
		}
	})
}
