package home_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/home"
)

func TestALetterComesEachFridayOnceWithTheSixWords(t *testing.T) {
	p := newPractice(t)
	var sent []layer.Notice
	p.Head, p.Installed = p.ledger.Head, start
	p.Owners = func(context.Context) ([]id.Person, error) { return []id.Person{"MAYAAAAAAAAAAAAAAAAAAAAAAA"}, nil }
	p.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { sent = append(sent, n); return nil }
	p.says(needs("identity.kit", layer.People, "There is no recovery kit. If all keys are lost, nobody can open what is sealed here.", "Make the recovery kit", "/kit", 3, p.now))
	for range 21 * 24 { // three weeks, an hour at a time
		p.now = p.now.Add(time.Hour)
		if err := home.Write(p.Home, t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	letters, err := p.Letters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(letters) != 2 || len(sent) != 2 { // the first Friday comes four days after the installation
		t.Fatalf("%d letters and %d notices in three weeks, want 2", len(letters), len(sent))
	}
	l := letters[0]
	if l.At.Weekday() != time.Friday || len(strings.Split(l.Words, " · ")) != 6 || !strings.Contains(l.Text, l.Words) || !strings.Contains(l.Text, "There is no recovery kit") {
		t.Errorf("the letter reads: %s", l.Text)
	}
	if page := p.page("/letters"); !strings.Contains(page, l.Words) {
		t.Error("the page of letters does not show the words")
	}
}

func TestRecordsElsewhereAreAWordAndNeverSafe(t *testing.T) {
	p := newPractice(t)
	p.Elsewhere = func(context.Context) (string, time.Time, error) {
		return "SimplePractice, Google Drive", p.now.AddDate(0, -6, 0), nil
	}
	p.says(full(p.now)...)
	page := p.page("/")
	_, after, _ := strings.Cut(page, "Sealed here:")
	line, _, _ := strings.Cut(after, "</ul>")
	if !strings.Contains(line, "SimplePractice, Google Drive") || !strings.Contains(line, `data-is="word"`) || strings.Contains(line, `data-is="safe"`) {
		t.Errorf("elsewhere reads %s", line)
	}
}

func TestWhatIfIsAnsweredFromEvidenceOnly(t *testing.T) {
	p := newPractice(t)
	page := p.page("/what-if")
	if strings.Contains(page, `data-is="safe"`) || !strings.Contains(page, "Nothing here watches computers") {
		t.Error("without evidence something is safe, or nobody says what is not known")
	}
	p.says(full(p.now)...)
	if page := p.page("/what-if"); !strings.Contains(page, "11 of 12 computers reported an encrypted disk.") {
		t.Error("what the devices said is not told")
	}
	if page := p.page("/happened"); !strings.Contains(page, "988") {
		t.Error("the page for a bad day lost its number")
	}
}
