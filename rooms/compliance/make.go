package compliance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/law"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/compliance/binder"
)

//go:embed print
var printed embed.FS

var binderTemplate = template.Must(template.New("binder.html").Funcs(template.FuncMap{
	"day":    func(t time.Time) string { return t.UTC().Format("January 2, 2006") },
	"moment": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"join":   func(s []string) string { return strings.Join(s, ", ") },
}).ParseFS(printed, "print/binder.html"))

const binderEntry = "binder.html"

// mostFacts is how many facts go into a bundle with their proofs: the newest.
const mostFacts = 2000

// told are the kinds of facts that a bundle carries. None of them names a patient.
var told = []string{
	"home.drill-held", "home.drill-failed", "compliance.word-given", "compliance.proof-made", "compliance.proof-taken",
	"reviews.signed", "reviews.opened-anew", "reviews.done", "reviews.decided", "home.letter-written",
	"backup.proven", "backup.failed", "backup.plan-exercised", "backup.target-added", "backup.agreement-recorded",
	"identity.founded", "identity.access-reviewed", "identity.joined", "identity.left", "identity.doors-tried", "identity.roles-changed",
}

// Made is a bundle that was made.
type Made struct {
	ID       string
	At       time.Time
	From, To time.Time
	Entries  int
	Facts    int
	Head     string // six words
	Bundle   []byte
	Tally    map[layer.State]int
	PDF      bool
	NoPDF    string // why there is none

	entries []binder.Entry
	mu      sync.Mutex
	opened  bool // its pages were opened
}

// Make makes the bundle of a period, with the fact that binds it to the ledger.
func (c *Compliance) Make(ctx context.Context, from, to time.Time) (*Made, error) {
	if !from.Before(to) {
		return nil, errors.New("the period ends before it begins")
	}
	if err := c.Keep(ctx); err != nil {
		return nil, err
	}
	m := &Made{ID: string(id.New[id.Record]()), At: c.Now(), From: from, To: to}
	page, err := c.page(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := c.gather(ctx, m, page); err != nil {
		return nil, err
	}
	contents := binder.Contents{Practice: c.Practice(), Made: m.At.UTC().Truncate(time.Millisecond), From: from.UTC().Truncate(time.Millisecond), To: to.UTC().Truncate(time.Millisecond)}
	_, list, err := binder.List(contents, m.entries)
	if err != nil {
		return nil, err
	}
	seal, err := c.seal(ctx, m, list, page.facts)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := binder.Write(&b, list, m.entries, seal); err != nil {
		return nil, err
	}
	m.Bundle, m.Entries, m.Facts = b.Bytes(), len(m.entries), len(page.facts.Facts)
	r, err := binder.Verify(bytes.NewReader(m.Bundle), int64(len(m.Bundle))) // what leaves was checked
	if err != nil || !r.Held {
		return nil, fmt.Errorf("the bundle does not hold as it was made: %w %v", err, r.Findings)
	}
	m.Head = r.Head
	return m, nil
}

// printPage is what the binder's page gets.
type printPage struct {
	Practice  string
	Version   string
	Made      time.Time
	From, To  time.Time
	Counts    []count
	Groups    []printGroup
	Drills    []layer.Evidence
	Papers    []Paper
	Goals     []goalRow
	Practices []goalRow
	Proposals []law.Proposal
	Files     []law.Meta
	Facts     int
	Unknown   layer.State
	facts     binder.Facts
	standings []Standing
	past      map[string][]Stretch
}

type printGroup struct {
	Title     string
	Standings []printStanding
}

type printStanding struct {
	Standing
	Past []Stretch
	NIST string
}

// goalRow is one of HHS's goals, or of the recognized practices, by the worst of
// the controls behind it.
type goalRow struct {
	ID, Title, Plain string
	State            layer.State
	Controls         []string
	Checked          bool
	Since            time.Time // shown without a gap since then; zero: not
}

func (c *Compliance) page(ctx context.Context, m *Made) (*printPage, error) {
	p := &printPage{Practice: c.Practice(), Version: c.Version, Made: m.At, From: m.From, To: m.To, Proposals: law.Proposals(), Files: law.Files(), Unknown: layer.NotKnown}
	var err error
	if p.standings, err = c.Standings(ctx); err != nil {
		return nil, err
	}
	if p.past, err = c.stretches(ctx, m.From, m.To); err != nil {
		return nil, err
	}
	m.Tally = Tally(p.standings)
	for _, s := range shown {
		if m.Tally[s] > 0 {
			p.Counts = append(p.Counts, count{s, m.Tally[s]})
		}
	}
	for _, g := range grouped(p.standings) {
		pg := printGroup{Title: g.Title}
		for _, s := range g.Standings {
			ps := printStanding{Standing: s, Past: past(s, p.past)}
			if s.NIST != nil {
				ps.NIST = fmt.Sprintf("table %s, activities %s", s.NIST.Table, strings.Trim(strings.ReplaceAll(fmt.Sprint(s.NIST.Activities), " ", ", "), "[]"))
			}
			pg.Standings = append(pg.Standings, ps)
		}
		p.Groups = append(p.Groups, pg)
	}
	all, err := c.Evidence(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Claim, "home.drill.") {
			p.Drills = append(p.Drills, e.At(c.Now()))
		}
	}
	for _, g := range law.Goals() {
		p.Goals = append(p.Goals, p.row(g.ID, g.Title, g.Plain, g.Controls, g.Checked && g.TitleSet))
	}
	for _, g := range law.Practices() {
		p.Practices = append(p.Practices, p.row(g.ID, g.Title, "", g.Controls, g.Checked))
	}
	if c.Papers != nil {
		if p.Papers, err = c.Papers(ctx, m.From, m.To); err != nil {
			return nil, err
		}
	}
	if p.facts, err = c.facts(ctx, m); err != nil {
		return nil, err
	}
	p.Facts = len(p.facts.Facts)
	return p, nil
}

func (p *printPage) row(name, title, plain string, controls []string, checked bool) goalRow {
	r := goalRow{ID: name, Title: title, Plain: plain, Controls: controls, Checked: checked}
	if len(controls) == 0 {
		return r
	}
	r.State = layer.Safe
	for _, s := range p.standings {
		if !slices.Contains(controls, s.ID) {
			continue
		}
		r.State = worse(r.State, s.State)
		for _, part := range s.Parts {
			since := shownSince(p.past[part.Claim])
			if r.Since.IsZero() || since.After(r.Since) {
				r.Since = since
			}
		}
	}
	if r.State != layer.Safe && r.State != layer.YourWord {
		r.Since = time.Time{}
	}
	return r
}

// shownSince is from when on a claim was safe without a gap.
func shownSince(all []Stretch) (since time.Time) {
	for _, s := range all {
		switch {
		case s.State != layer.Safe && s.State != layer.YourWord:
			since = time.Time{}
		case since.IsZero():
			since = s.First
		}
	}
	return since
}

// facts are those of the period, proved against one head, and the heads of the
// letters.
func (c *Compliance) facts(ctx context.Context, m *Made) (f binder.Facts, err error) {
	if err := c.number(ctx); err != nil {
		return f, err
	}
	head, err := c.Ledger.Head(ctx)
	if err != nil {
		return f, err
	}
	f = binder.Facts{Head: head.Note, Facts: []ledger.Inclusion{}, Letters: []binder.Letter{}}
	for e, err := range c.Ledger.Facts(ctx, ledger.Query{Kinds: told, Since: m.From, Until: m.To.Add(time.Millisecond), Newest: true, Limit: mostFacts}) {
		if err != nil {
			return f, err
		}
		if e.N == 0 || e.N > head.Size {
			continue
		}
		p, err := c.Ledger.ProveIn(ctx, e.N, head.Size)
		if err != nil {
			return f, err
		}
		f.Facts = append(f.Facts, p)
	}
	slices.Reverse(f.Facts)
	if c.Letters == nil {
		return f, nil
	}
	letters, err := c.Letters(ctx)
	if err != nil {
		return f, err
	}
	for _, l := range letters {
		if !l.At.Before(m.From) && !l.At.After(m.To) {
			f.Letters = append(f.Letters, binder.Letter{On: l.At.UTC().Format(time.DateOnly), Head: l.Note})
		}
	}
	return f, nil
}

// number numbers the waiting facts.
func (c *Compliance) number(ctx context.Context) error {
	for {
		n, err := c.Ledger.Sequence(ctx)
		if n == 0 || err != nil {
			return err
		}
	}
}

// gather makes the entries of the bundle.
func (c *Compliance) gather(ctx context.Context, m *Made, p *printPage) error {
	var page bytes.Buffer
	if err := binderTemplate.Execute(&page, p); err != nil {
		return fmt.Errorf("write the binder: %w", err)
	}
	style, err := printed.ReadFile("print/binder.css")
	if err != nil {
		return err
	}
	m.entries = []binder.Entry{{Name: binderEntry, Data: page.Bytes()}, {Name: "binder.css", Data: style}}
	m.NoPDF = "no browser was found to print with"
	if c.Print != nil {
		// The page and its style stand together, so that nothing is fetched.
		alone := bytes.Replace(page.Bytes(), []byte(`<link rel="stylesheet" href="binder.css">`), slices.Concat([]byte("<style>"), style, []byte("</style>")), 1)
		pdf, err := c.Print(ctx, alone)
		if err == nil {
			m.entries, m.PDF, m.NoPDF = append(m.entries, binder.Entry{Name: "binder.pdf", Data: pdf}), true, ""
		} else {
			m.NoPDF = err.Error()
		}
	}
	for _, paper := range p.Papers {
		m.entries = append(m.entries, binder.Entry{Name: "documents/" + paper.Name + ".html", Data: paper.HTML})
	}
	for _, e := range []struct {
		name string
		v    any
	}{
		{"controls.json", c.machine(p)},
		{binder.FactsName, p.facts},
		{"oscal/catalog.json", oscalCatalog(m)},
		{"oscal/assessment-results.json", oscalResults(m, p)},
	} {
		text, err := binder.Encode(e.v)
		if err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
		m.entries = append(m.entries, binder.Entry{Name: e.name, Data: text})
	}
	return nil
}

// seal writes the fact of this bundle, and proves it and what came before.
func (c *Compliance) seal(ctx context.Context, m *Made, list []byte, facts binder.Facts) (s binder.Seal, err error) {
	hash := sha256.Sum256(list)
	err = c.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: m.At, Actor: id.From(ctx), Kind: binder.Fact, Hash: hash[:], Ref: m.ID})
	})
	if err != nil {
		return s, err
	}
	if err := c.number(ctx); err != nil {
		return s, err
	}
	head, err := c.Ledger.Head(ctx)
	if err != nil {
		return s, err
	}
	for e, err := range c.Ledger.Facts(ctx, ledger.Query{Kinds: []string{binder.Fact}, Newest: true, Limit: 50}) {
		if err != nil {
			return s, err
		}
		if e.Ref != m.ID || e.N == 0 || e.N > head.Size {
			continue
		}
		if s.Fact, err = c.Ledger.ProveIn(ctx, e.N, head.Size); err != nil {
			return s, err
		}
	}
	if s.Fact.N == 0 {
		return s, errors.New("the fact of the bundle was not numbered; try again")
	}
	s.Key, s.Head = c.Key, head.Note
	key, err := ledger.ParseKey(c.Key)
	if err != nil {
		return s, err
	}
	for _, text := range append([]string{facts.Head}, heads(facts.Letters)...) {
		past, err := ledger.ParseCheckpoint([]byte(text), key)
		if err != nil {
			return s, err
		}
		proof, err := c.Ledger.Consistency(ctx, past.Size, head.Size)
		if err != nil {
			return s, err
		}
		s.Past = append(s.Past, proof)
	}
	return s, nil
}

func heads(letters []binder.Letter) (all []string) {
	for _, l := range letters {
		all = append(all, l.Head)
	}
	return all
}

// machine is controls.json: the same pages for programs.
func (c *Compliance) machine(p *printPage) any {
	type part struct {
		Claim string    `json:"claim"`
		State string    `json:"state"`
		Text  string    `json:"text,omitempty"`
		Seen  time.Time `json:"seen,omitzero"`
		Until time.Time `json:"until,omitzero"`
		Fact  int64     `json:"fact,omitempty"`
	}
	type word struct {
		Kind, Text, By string
		At, Review     time.Time
		Counts         bool
	}
	type control struct {
		ID         string `json:"id"`
		Citation   string `json:"citation"`
		Title      string `json:"title"`
		Obligation string `json:"obligation"`
		State      string `json:"state"`
		Evidence   []part `json:"evidence"`
		Word       *word  `json:"word,omitempty"`
		Open       string `json:"open,omitempty"`
	}
	all := []control{}
	for _, s := range p.standings {
		k := control{ID: s.ID, Citation: s.Citation, Title: s.Title, Obligation: s.Obligation, State: s.State.String(), Open: s.Open, Evidence: []part{}}
		for _, e := range s.Parts {
			claim := e.Claim
			if e.Missing {
				claim = e.Asked
			}
			k.Evidence = append(k.Evidence, part{claim, e.State.String(), e.Text, utc(e.Seen), utc(e.Until), e.Fact})
		}
		if s.Word != nil {
			k.Word = &word{s.Word.Kind, s.Word.Text, s.Word.Who, s.Word.At.UTC(), s.Word.Review.UTC(), s.Word.Counts()}
		}
		all = append(all, k)
	}
	return map[string]any{"format": 1, "controls": all, "made": p.Made.UTC(), "from": p.From.UTC(), "to": p.To.UTC()}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
