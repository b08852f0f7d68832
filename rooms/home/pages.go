package home

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/web"
	"quietroom/layer"
)

func (h *Home) mount(m *web.Mux) {
	m.Nav(web.NavItem{Key: "home", Text: "Home", Path: "/"})
	m.Handle("GET /{$}", h.show, web.Signed)
	m.Handle("GET /evidence", h.showEvidence, web.Signed)
	m.Handle("GET /what-if", h.whatIf, web.Signed)
	m.Handle("GET /happened", h.happened, web.Signed)
	m.Handle("GET /letters", h.showLetters, web.Owner)
	m.Handle("POST /letters", h.writeNow, web.Owner)
}

// mostAsked is how much home asks for at a time, and how much harm it shows.
const mostAsked = 3

// week is how long a thing that is asked for may wait: its day is a week after
// it was first asked for.
const week = 7 * 24 * time.Hour

// homePage is what home.html gets.
type homePage struct {
	State    layer.State
	Badge    string
	Sentence string
	More     string // the rest of what is urgent
	Act      task   // what to press about it
	Proof    proof
	Plan     []bay
	Urgent   []task // besides the first
	Title    string // over what is asked for: "Needs you"
	Cost     string // "Two things, 6 minutes"
	Needs    []task
	Later    int // things that are not shown yet
	Beyond   int // harm that is not shown
	Known    []line
	Untried  string // attacks that nobody tried
	Nobody   string // what no room watches
	Tally    tally
	Records  layer.State
	Verbs    []Verb
	Unknown  layer.State
	Word     layer.State
	Places   string // where else patients' information is
	Said     time.Time
	Week     []Day
	Head     string // six words
}

// proof is the last theft that was tried.
type proof struct {
	Opened, Tried string
	At            time.Time // zero: never
	Stale         bool
}

// bay is one of the five rooms in the plan.
type bay struct {
	Place layer.Place
	Name  string
	State layer.State
	Badge string
	Note  string
	Seen  time.Time // instead of a note
}

// task is one thing that is asked for.
type task struct {
	State   layer.State
	Minutes int
	By      time.Time // zero: no day, or the day is over
	Since   time.Time
	Head    string
	Rest    string
	Fix     string // what the button says, or what to do where there is no button
	Page    string // where the button leads; empty: no button
	First   bool   // the first button of the page
}

// read gathers what is kept, and weighs it.
func (h *Home) read(ctx context.Context) (house, []outcome, error) {
	items, err := h.kept(ctx)
	if err != nil {
		return house{}, nil, err
	}
	tried, err := h.outcomes(ctx)
	if err != nil {
		return house{}, nil, err
	}
	drills := expected(tried, h.Drills())
	for _, o := range drills {
		items = append(items, o.evidence())
	}
	return weigh(items, h.Now()), drills, nil
}

func (h *Home) show(w http.ResponseWriter, r *http.Request) error {
	house, drills, err := h.read(r.Context())
	if err != nil {
		return err
	}
	tally, err := h.tally(r.Context())
	if err != nil {
		return err
	}
	page := house.page(h.Now(), h.Owner(r.Context()), tally)
	page.Proof, page.Untried, page.Verbs = lastProof(drills, h.Now()), untried(drills), h.Verbs
	page.Word = layer.YourWord
	if h.Elsewhere != nil {
		if page.Places, page.Said, err = h.Elsewhere(r.Context()); err != nil {
			return err
		}
	}
	if h.Week != nil {
		if page.Week, err = h.Week(r.Context()); err != nil {
			return err
		}
	}
	if h.Owner(r.Context()) {
		page.Head = h.words(r.Context())
	}
	title := "Home"
	if page.State == layer.Urgent {
		title = "Urgent"
	}
	return h.pages.Show(w, r, "home", web.View{Title: title, Nav: "home", Data: page})
}

// page lays the house out for one person.
func (h house) page(now time.Time, owner bool, t tally) homePage {
	p := homePage{State: h.State, Badge: badge(h.State, owner), Sentence: h.sentence(owner), Nobody: h.unwatched(), Tally: t, Records: h.Places[0].State}
	for _, s := range h.Places {
		p.Plan = append(p.Plan, s.bay(owner))
		p.Known = append(p.Known, slices.DeleteFunc(slices.Clone(s.Lines), toldElsewhere)...)
	}
	for i, l := range h.Urgent[:min(len(h.Urgent), mostAsked)] {
		t := l.task(now, owner)
		if i == 0 {
			t.First = true
			p.Act, p.More = t, t.Rest
			continue
		}
		p.Urgent = append(p.Urgent, t)
	}
	most := mostAsked
	if isNew := t.Patients == 0; isNew {
		most = len(h.Needs)
	}
	for i, l := range h.Needs[:min(len(h.Needs), most)] {
		t := l.task(now, owner)
		t.First = i == 0 && h.State == layer.NeedsYou
		p.Needs = append(p.Needs, t)
	}
	p.Later, p.Beyond = len(h.Needs)-len(p.Needs), max(0, len(h.Urgent)-mostAsked)
	p.Title, p.Cost = h.asks(owner, t.Patients == 0)
	return p
}

// toldElsewhere is what the page says already: what is asked for, and in one
// sentence which attacks nobody tried.
func toldElsewhere(l line) bool { return asked(l) || l.drill && l.Seen.IsZero() }

func asked(l line) bool { return l.State == layer.NeedsYou || l.State == layer.Urgent }

// badge is the state's word; who cannot mend a thing reads for whom it waits.
func badge(s layer.State, owner bool) string {
	if s == layer.NeedsYou && !owner {
		return "For the owner"
	}
	return s.String()
}

// bay is the place in the plan.
func (s standing) bay(owner bool) bay {
	b := bay{Place: s.Place, Name: s.name, State: s.State, Badge: badge(s.State, owner)}
	asks := 0
	for _, l := range s.Lines {
		if l.State == s.State && asked(l) {
			asks++
		}
	}
	switch {
	case !s.watched():
		b.Note = "not watched yet"
	case s.State == layer.Urgent:
		b.Note = "now"
	case asks == 1:
		b.Note = "1 step"
	case asks > 1:
		b.Note = grouped(asks) + " steps"
	case s.oldest().IsZero():
		b.Note = "never seen"
	default:
		b.Seen = s.oldest()
	}
	return b
}

// task is what is asked for, with its cost before its effort.
func (l line) task(now time.Time, owner bool) task {
	t := task{State: l.State, Minutes: l.Minutes, Since: l.Since, Fix: l.Fix}
	t.Head, t.Rest = firstSentence(l.Text)
	t.Head = strings.TrimSuffix(t.Head, ".")
	t.Rest = join(t.Rest, l.Why)
	by := l.By
	if by.IsZero() {
		by = l.Since.Add(week)
	}
	if l.State == layer.NeedsYou && now.Before(by) {
		t.By = by
	}
	if owner || l.State == layer.Urgent {
		t.Page = l.Page
	}
	return t
}

// asks is the name of what is asked for, and what all of it costs. In a house
// without patients these are the first steps.
func (h house) asks(owner, first bool) (title, cost string) {
	minutes, done := 0, 0
	for _, l := range h.Needs {
		minutes += l.Minutes
	}
	for _, s := range h.Places {
		for _, l := range s.Lines {
			if l.State == layer.Safe {
				done++
			}
		}
	}
	title = "Needs you"
	if !owner {
		title = "For the owner"
	}
	switch n := len(h.Needs); {
	case n == 0:
		return title, ""
	case first:
		title, cost = "First steps", things(done)+" done, "+counted(n)+" next"
	default:
		cost = things(n)
	}
	if minutes > 0 {
		cost += ", " + web.Minutes(minutes)
	}
	return title, cost
}

func things(n int) string {
	if n == 1 {
		return "One thing"
	}
	return capital(counted(n)) + " things"
}

// lastProof is the newest theft that was tried and held.
func lastProof(drills []outcome, now time.Time) proof {
	for _, o := range drills {
		if o.Drill == theft && o.Held && o.Tried > 0 {
			return proof{grouped(o.Opened), grouped(o.Tried), o.At, now.After(o.At.Add(drillLasts))}
		}
	}
	return proof{}
}

// evidencePage is what evidence.html gets.
type evidencePage struct {
	Places  []standing
	Drills  []drillRow
	Owner   bool
	Unknown layer.State
}

// drillRow is one attack in the table.
type drillRow struct {
	outcome
	State  layer.State
	Result string
	Called string
	Text   string
	Lasted string
	More   int // findings that are not kept
}

func (h *Home) showEvidence(w http.ResponseWriter, r *http.Request) error {
	house, drills, err := h.read(r.Context())
	if err != nil {
		return err
	}
	page := evidencePage{Places: house.Places, Owner: h.Owner(r.Context())}
	for _, o := range drills {
		page.Drills = append(page.Drills, o.row(h.Now()))
	}
	return h.pages.Show(w, r, "evidence", web.View{Title: "All evidence", Nav: "home", Data: page})
}

func (o outcome) row(now time.Time) drillRow {
	e := o.evidence()
	row := drillRow{outcome: o, State: e.At(now).State, Called: o.called(), Text: o.sentence(), Lasted: took(o.Took), More: o.Found - len(o.Findings)}
	switch {
	case row.State == layer.Safe:
		row.Result = "Held"
	case row.State == layer.Urgent:
		row.Result = "Did not hold"
	case o.At.IsZero():
		row.Result = "Not tried"
	default:
		row.Result = row.State.String()
	}
	return row
}
