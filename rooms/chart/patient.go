package chart

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// How much of a chart its first page shows.
const (
	notesShown    = 5
	filesShown    = 10
	importedShown = 10
)

type chartPage struct {
	Patient  id.Patient
	Name     string
	Proof    string // who it is, in a few sentences
	Card     layer.Card
	Next     time.Time
	Safe     safePage
	Numbers  []layer.Number
	Own      bool    // a team of the person cares for the patient
	Closed   *closed // why notes and files are not shown
	Glass    *broken // they are shown in an emergency
	Forms    []form
	Notes    []noteRow
	Files    []fileRow
	Imported []layer.Item
	NoteAll  int
	FileAll  int
	ItemAll  int
	Unready  string // why files are not looked through now
	Others   int    // records of a room that is not here
	Looked   []visit
	More     bool // there are more lines than Looked
	Days     int  // how far Looked goes back
}

// closed is a kind sentence in place of what stays closed.
type closed struct {
	Why, Fix, Override string
	Minutes            int
	Glass              string // where the glass can be broken
}

// broken is a chart that is read under a broken glass.
type broken struct {
	Until time.Time
	Left  int    // minutes
	End   string // where one ends it early
}

// Writes tells whether the person may write here.
func (p chartPage) Writes() bool { return p.Closed == nil && p.Glass == nil }

type safePage struct {
	Words, Said, Language string
	Ways                  []wayShown
	Asked                 bool
}

type wayShown struct {
	Word, Icon string
	No         bool
}

type noteRow struct {
	Record   id.Record
	At       time.Time
	Title    string
	Word     string
	By       string // who signed it, or began it
	Signed   time.Time
	Saved    time.Time
	Draft    bool
	Addenda  int
	State    layer.State
	Addendum bool
}

type fileRow struct {
	Record   id.Record
	Name     []piece
	Size, By string
	At       time.Time
	State    layer.State
	Word     string
	Decide   string // where people decide about it, while it stays closed
}

func (c *Chart) showChart(w http.ResponseWriter, r *http.Request) error {
	page, err := c.chart(r, notesShown)
	if err != nil {
		return err
	}
	return c.show(w, r, "chart", web.View{Title: "Chart", Data: page})
}

// showAll shows everything that lies in a chart, on one page.
func (c *Chart) showAll(w http.ResponseWriter, r *http.Request) error {
	page, err := c.chart(r, everything)
	if err != nil {
		return err
	}
	return c.show(w, r, "all", web.View{Title: "Everything in this chart", Data: page})
}

// everything is a number of rows that no chart has.
const everything = 1 << 30

// chart gathers the page of one patient. most is how many rows a part shows.
func (c *Chart) chart(r *http.Request, most int) (page chartPage, err error) {
	ctx := r.Context()
	p, err := patientOf(r)
	if err != nil {
		return page, err
	}
	card, _, err := c.card(ctx, p)
	if err != nil {
		return page, err
	}
	teams, err := c.People.Teams(ctx)
	if err != nil {
		return page, err
	}
	page = c.who(p, card, teams)
	page.Own = outside(card, teams) == nil
	page.Closed, page.Glass = c.shut(ctx, p, card, teams)
	var f folder
	if page.Closed == nil {
		if f, err = c.folder(ctx, p); err != nil {
			if page.Closed = refusedBy(err); page.Closed == nil {
				return page, err
			}
		}
	}
	if err := c.fill(ctx, &page, f, most); err != nil {
		return page, err
	}
	page.Days = lookedDays
	page.Looked, page.More, err = c.looked(ctx, p, f, c.Now().AddDate(0, 0, -lookedDays), visitsShown)
	return page, err
}

// who shows the card.
func (c *Chart) who(p id.Patient, card layer.Card, teams []layer.Team) chartPage {
	page := chartPage{Patient: p, Name: card.Called(), Card: card, Safe: safe(card), Numbers: card.Numbers, Forms: forms, Next: layer.NextOf(card.Times, c.Now())}
	var say []string
	if age, ok := years(card.Born, c.Now()); ok {
		first := fmt.Sprintf("%d years old.", age)
		if they, _, _ := strings.Cut(card.Pronouns, "/"); they != "" {
			first = fmt.Sprintf("%s, %d.", upper(they), age)
		}
		say = append(say, first, "Born "+longDay(card.Born)+".")
	} else if card.Pronouns != "" {
		say = append(say, upper(card.Pronouns)+".")
	}
	if card.Preferred != "" {
		say = append(say, "On paper: "+strings.TrimSpace(card.Given+" "+card.Family)+".")
	}
	if with := namesOf(card.Care, teams); len(with) > 0 {
		since := ""
		if t, err := time.Parse(time.DateOnly, card.Since); err == nil {
			since = " since " + t.Format("January 2006")
		}
		say = append(say, "With "+and(with)+since+".")
	}
	page.Proof = strings.Join(say, " ")
	return page
}

func namesOf(care []id.Team, teams []layer.Team) (names []string) {
	for _, t := range teams {
		for _, in := range care {
			if t.ID == in && t.Name != "" {
				names = append(names, t.Name)
			}
		}
	}
	return names
}

func safe(card layer.Card) safePage {
	s := safePage{Words: card.Safe.Words, Language: card.Language, Asked: card.Safe.Words != "" || len(card.Safe.Ways) > 0}
	if card.Safe.Said != "" {
		s.Said = longDay(card.Safe.Said)
	}
	for _, way := range ways {
		if may, said := card.Safe.Ways[way.Key]; said {
			s.Ways = append(s.Ways, wayShown{way.Word, way.Icon, !may})
		}
	}
	return s
}

// outside says why a person who is in no care team sees no notes; nil for one
// who is. The chart is not even tried, so that looking up a phone number leaves
// no refused attempt behind.
func outside(card layer.Card, teams []layer.Team) *closed {
	for _, t := range teams {
		for _, in := range card.Care {
			if t.ID == in && t.Mine {
				return nil
			}
		}
	}
	with := namesOf(card.Care, teams)
	if len(with) == 0 {
		return &closed{Why: "Notes and files are open to this patient’s care team only."}
	}
	return &closed{Why: "Notes and files are open to " + and(with) + " only.", Fix: "If you need something from them, ask there."}
}

// shut is outside, but for a chart that the person broke open.
func (c *Chart) shut(ctx context.Context, p id.Patient, card layer.Card, teams []layer.Team) (*closed, *broken) {
	shut := outside(card, teams)
	if shut == nil || c.Glass == nil {
		return shut, nil
	}
	if until, end := c.Glass.Broken(ctx, p); !until.IsZero() {
		return nil, &broken{until, int((until.Sub(c.Now()) + time.Minute - 1) / time.Minute), end}
	}
	shut.Glass = c.Glass.Offer(ctx, p)
	return shut, nil
}

// refusedBy shows a closed gate on the page: the card stays readable.
func refusedBy(err error) *closed {
	if refusal, ok := errors.AsType[*layer.Refusal](err); ok {
		return &closed{Why: refusal.Why + ".", Fix: refusal.Fix, Minutes: refusal.Minutes, Override: refusal.Override}
	}
	if errors.Is(err, layer.ErrNotYours) {
		return &closed{Why: "Notes and files are open to this patient’s care team only."}
	}
	return nil
}

// folder opens a chart and reads what lies in it. A patient of whom nothing was
// written yet has an empty one.
func (c *Chart) folder(ctx context.Context, p id.Patient) (folder, error) {
	chart, err := c.Vault.Open(ctx, p, layer.PartChart)
	if errors.Is(err, layer.ErrUnknown) {
		return folder{}, nil
	}
	if err != nil {
		return folder{}, err
	}
	defer chart.Close()
	return readFolder(ctx, chart)
}

// fill puts what lies in the chart on its page.
func (c *Chart) fill(ctx context.Context, page *chartPage, f folder, most int) error {
	page.NoteAll, page.FileAll = len(f.notes), len(f.files)
	for _, n := range f.notes[:min(most, len(f.notes))] {
		page.Notes = append(page.Notes, c.noteRow(ctx, n, f))
	}
	if most < everything {
		most = filesShown
	}
	if err := c.fillFiles(ctx, page, f.files[:min(most, len(f.files))]); err != nil {
		return err
	}
	if c.Imported == nil {
		page.Others = len(f.other)
		return nil
	}
	items, err := c.Imported.Items(ctx, page.Patient, f.other)
	if err != nil {
		return err
	}
	page.ItemAll = len(items)
	page.Imported = items[:min(most, len(items))]
	return nil
}

func (c *Chart) noteRow(ctx context.Context, n filed, f folder) noteRow {
	row := noteRow{Record: n.Record, At: n.At, Title: n.Title, Draft: n.Signed == 0, Addenda: f.addenda[n.Record], Addendum: n.Of != "", State: layer.NeedsYou}
	if form, ok := formBy(n.Form); ok && form.Word != form.Title {
		row.Word = form.Word
	}
	if row.Draft {
		row.By, row.Saved = c.name(ctx, n.By), time.UnixMilli(n.Saved)
	} else {
		row.By, row.Signed = c.name(ctx, n.Signer), time.UnixMilli(n.head.Signed)
	}
	return row
}

func (c *Chart) fillFiles(ctx context.Context, page *chartPage, files []filed) error {
	var free map[id.Record]bool
	if c.Scanner != nil {
		page.Unready = c.Scanner.Ready(ctx)
		var held []id.Record
		for _, one := range files {
			if one.Scan == scanHeld {
				held = append(held, one.Finding)
			}
		}
		var err error
		if free, err = c.Scanner.Free(ctx, held); err != nil {
			return err
		}
	}
	for _, one := range files {
		row := fileRow{Record: one.Record, Name: plain(one.Title), Size: size(one.Size), By: c.name(ctx, one.By), At: one.At}
		row.State, row.Word = lookedThrough(one.head, free[one.Finding])
		if one.Scan == scanHeld && !free[one.Finding] {
			row.Decide = decidePage(one.Finding)
		}
		page.Files = append(page.Files, row)
	}
	return nil
}

// lookedThrough is the result of a file's row. What nobody looked at is never
// called clean.
func lookedThrough(h head, free bool) (layer.State, string) {
	switch {
	case h.Scan == scanClean:
		return layer.Safe, "Clean"
	case h.Scan == scanTaken && h.Harm == "", h.Scan == scanHeld && free && h.Harm == "":
		return layer.YourWord, "Not scanned"
	case h.Scan == scanTaken, h.Scan == scanHeld && free:
		return layer.YourWord, "Let out"
	case h.Scan == scanHeld && h.Harm != "":
		return layer.Off, "Isolated"
	case h.Scan == scanHeld:
		return layer.NeedsYou, "Not scanned"
	}
	return layer.NotKnown, "Not looked through"
}

// name is what colleagues call a person.
func (c *Chart) name(ctx context.Context, p id.Person) string {
	if p == "" {
		return "The house"
	}
	if name := c.People.Name(ctx, p); name != "" {
		return name
	}
	return "Somebody who is gone"
}
