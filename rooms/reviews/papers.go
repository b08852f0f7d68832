package reviews

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"quietroom/ground/id"
	"quietroom/ground/law"
	"quietroom/ground/store"
	"quietroom/layer"
)

const riskAnalysis = "risk-analysis"

// policy is a rule of the practice, filled from what really runs.
type policy struct {
	ID         string   `yaml:"id"`
	Title      string   `yaml:"title"`
	Controls   []string `yaml:"controls"`
	Paragraphs []struct {
		Text   string   `yaml:"text"`
		Claims []string `yaml:"claims"`
	} `yaml:"paragraphs"`
}

var policies = sync.OnceValue(func() []policy {
	var f struct{ Policies []policy }
	text, err := data.ReadFile("data/policies.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &f)
	}
	if err != nil {
		panic(fmt.Sprintf("reviews: the policies cannot be read: %v", err))
	}
	return f.Policies
})

var printed = template.Must(template.New("paper.html").Funcs(template.FuncMap{
	"day": func(t time.Time) string { return t.UTC().Format(dayForm) },
}).ParseFS(data, "print/*.html"))

// printedPolicy is what policy.html gets.
type printedPolicy struct {
	Practice, Title string
	Controls        []string
	Paragraphs      []printedParagraph
}

type printedParagraph struct {
	Text string
	Seen []layer.Evidence
}

// render fills a policy. It has no date of today in it, so that it is the same
// paper until something that it tells of changes; what was seen is told with its
// state, and its sentence stands in the evidence.
func (r *Reviews) render(ctx context.Context, p policy) (paper, error) {
	o, err := r.officials(ctx)
	if err != nil {
		return paper{}, err
	}
	names := map[string]string{"Practice": r.Practice(), "Security": r.named(ctx, o.Security), "Privacy": r.named(ctx, o.Privacy)}
	seen, err := r.Evidence(ctx)
	if err != nil {
		return paper{}, err
	}
	page := printedPolicy{Practice: r.Practice(), Title: p.Title, Controls: p.Controls}
	var made []string
	for _, para := range p.Paragraphs {
		text := para.Text
		for k, v := range names {
			text = strings.ReplaceAll(text, "{{."+k+"}}", v)
		}
		pp := printedParagraph{Text: text}
		made = append(made, text)
		for _, c := range para.Claims {
			for _, e := range seen {
				if law.Shows(c, e.Claim) {
					e = e.At(r.Now())
					pp.Seen = append(pp.Seen, e)
				}
			}
		}
		page.Paragraphs = append(page.Paragraphs, pp)
	}
	var b bytes.Buffer
	if err := printed.ExecuteTemplate(&b, "policy.html", page); err != nil {
		return paper{}, fmt.Errorf("write policy %s: %w", p.ID, err)
	}
	return paper{Kind: p.ID, Title: p.Title, HTML: b.String(), Parts: map[string]string{"text": digest(strings.Join(made, "\n"))}}, nil
}

func (r *Reviews) named(ctx context.Context, p id.Person) string {
	if p == "" {
		return "(not named yet)"
	}
	return r.Name(ctx, p)
}

// policiesSigned counts the policies whose newest version is what would be
// signed today, and was signed by somebody who is here.
func (r *Reviews) policiesSigned(ctx context.Context) (n int, err error) {
	here, err := r.People(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range policies() {
		signed, err := r.newest(ctx, p.ID)
		if err != nil {
			return 0, err
		}
		if signed == nil {
			continue
		}
		now, err := r.render(ctx, p)
		if err != nil {
			return 0, err
		}
		for _, s := range signed.Signed {
			if isHere(here, s.Person) && signed.Parts["text"] == now.Parts["text"] {
				n++
				break
			}
		}
	}
	return n, nil
}

// officials are who answers for security and privacy.
type officials struct {
	Security, Privacy id.Person
	At                time.Time
}

func (r *Reviews) officials(ctx context.Context) (o officials, err error) {
	var text string
	rows, err := r.DB.QueryContext(ctx, `SELECT value FROM reviews_kept WHERE name = 'officials'`)
	if err != nil {
		return o, fmt.Errorf("read who answers: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return o, rows.Err()
	}
	if err := rows.Scan(&text); err != nil {
		return o, fmt.Errorf("read who answers: %w", err)
	}
	return o, json.Unmarshal([]byte(text), &o)
}

func (r *Reviews) keepOfficials(ctx context.Context, o officials) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO reviews_kept (name, value) VALUES ('officials', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, string(text))
		if err != nil {
			return fmt.Errorf("keep who answers: %w", err)
		}
		return nil
	})
}

// printedRisk is what risk.html gets.
type printedRisk struct {
	Practice string
	Draft    bool
	Places   []printedAnswer
	Parts    []printedPart
	Vendors  []vendor
}

type printedAnswer struct{ Text, Answer, Note string }

type printedPart struct {
	Title    string
	Answers  []printedAnswer
	Findings []printedFinding
}

type printedFinding struct {
	Text, Treatment, Reason, Owner string
	Due, Done                      time.Time
}

var answerWords = map[string]string{"used": "Used", "unused": "Not used", "yes": "Yes", "no": "No", "unsure": "Not sure"}

// renderRisk writes the risk analysis; it is named a draft while a place or a
// question is not answered, or a finding is not decided.
func (r *Reviews) renderRisk(ctx context.Context, a analysis) (paper, error) {
	page := printedRisk{Practice: r.Practice(), Draft: !a.Ready(), Vendors: a.Vendors}
	word := func(q string) printedAnswer {
		got, ok := a.Answers[q]
		if !ok {
			return printedAnswer{Answer: layer.NotKnown.String()}
		}
		return printedAnswer{Answer: answerWords[got.Answer], Note: got.Note}
	}
	for _, p := range asked().Places {
		w := word("place." + p.ID)
		w.Text = p.Text
		page.Places = append(page.Places, w)
	}
	for _, part := range asked().Parts {
		pp := printedPart{Title: part.Text}
		for _, q := range asked().Questions {
			if q.Part == part.ID {
				w := word("q." + q.ID)
				w.Text = q.Text
				pp.Answers = append(pp.Answers, w)
			}
		}
		for _, f := range a.Findings {
			if f.Part != part.ID {
				continue
			}
			pf := printedFinding{Text: f.Text, Treatment: "Not decided"}
			if d := f.Decision; d != nil {
				pf = printedFinding{f.Text, treatmentWords[d.Treatment], d.Reason, r.named(ctx, d.Owner), d.Due, d.Done}
			}
			pp.Findings = append(pp.Findings, pf)
		}
		page.Parts = append(page.Parts, pp)
	}
	var b bytes.Buffer
	if err := printed.ExecuteTemplate(&b, "risk.html", page); err != nil {
		return paper{}, fmt.Errorf("write the risk analysis: %w", err)
	}
	title := "Risk analysis"
	if page.Draft {
		title = "Risk analysis (Draft)"
	}
	return paper{Kind: riskAnalysis, Title: title, HTML: b.String(), Parts: a.Lines}, nil
}

var treatmentWords = map[string]string{fix: "Fix", reduce: "Reduce", accept: "Accept"}

// Printed is a document for a binder.
type Printed struct {
	Name, Title, Status string
	At                  time.Time
	HTML                string
}

// Papers are all versions that were in force in a period, with who signed them,
// and the risk analysis as a draft where nobody signed it.
func (r *Reviews) Papers(ctx context.Context, from, to time.Time) ([]Printed, error) {
	all, err := r.papers(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []Printed
	newest := map[string]int{}
	for _, p := range all { // the newest first: a version was in force until the next one
		newest[p.Kind]++
		if p.At.After(to) {
			continue
		}
		var by []string
		for _, s := range p.Signed {
			by = append(by, r.Name(ctx, s.Person)+" on "+s.At.UTC().Format(dayForm))
		}
		name := p.Kind
		if n := newest[p.Kind]; n > 1 {
			if p.At.Before(from) {
				continue
			}
			name = fmt.Sprintf("%s-earlier-%d", p.Kind, n-1)
		}
		out = append(out, Printed{name, p.Title, "Signed by " + strings.Join(by, ", "), p.At, p.HTML})
	}
	if newest[riskAnalysis] == 0 {
		a, err := r.analysis(ctx)
		if err != nil {
			return nil, err
		}
		p, err := r.renderRisk(ctx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, Printed{Name: riskAnalysis + "-draft", Title: p.Title, Status: "Nobody signed it", HTML: p.HTML})
	}
	return out, nil
}
