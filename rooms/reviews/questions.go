package reviews

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"quietroom/ground/id"
	"quietroom/layer"
)

// part is a paragraph of the risk analysis.
type part struct {
	ID   string `yaml:"id"`
	Text string `yaml:"text"`
}

// question is one that only a person can answer.
type question struct {
	ID      string `yaml:"id"`
	Part    string `yaml:"part"`
	Text    string `yaml:"text"`
	Good    string `yaml:"good"` // the answer without a finding; "": it is a fact
	Finding string `yaml:"finding"`
	About   string `yaml:"about"`
}

type questionnaire struct {
	Places    []part
	Questions []question
	Parts     []part
}

// asked is read once. It is part of the program: a test reads it before that.
var asked = sync.OnceValue(func() questionnaire {
	var q questionnaire
	text, err := data.ReadFile("data/questions.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &q)
	}
	if err != nil {
		panic(fmt.Sprintf("reviews: the questions cannot be read: %v", err))
	}
	return q
})

// answer is what a person answered.
type answer struct {
	Answer, Note string
	Person       id.Person
	At           time.Time
}

// finding is a fact that asks for a decision.
type finding struct {
	ID, Text, Part string
	Decision       *decision
}

// decision is what the practice does about a finding.
type decision struct {
	Treatment, Reason string
	Owner             id.Person
	Due, Done         time.Time
	Person            id.Person
	At                time.Time
}

// Overdue tells whether the day is over and nobody said that it is done.
func (d *decision) Overdue(now time.Time) bool {
	return d != nil && d.Treatment != accept && d.Done.IsZero() && now.After(d.Due)
}

// Treatments of a finding.
const (
	fix    = "fix"
	reduce = "reduce"
	accept = "accept"
)

// analysis is the risk analysis as it stands now.
type analysis struct {
	Answers  map[string]answer
	Findings []finding
	Vendors  []vendor
	Open     int               // places and questions without an answer
	Lines    map[string]string // paragraph -> what it is made of
}

// Decided tells whether each finding has an owner, a treatment and a day.
func (a analysis) Decided() bool {
	return !slices.ContainsFunc(a.Findings, func(f finding) bool { return f.Decision == nil })
}

// Ready tells whether it can be signed.
func (a analysis) Ready() bool { return a.Open == 0 && a.Decided() }

func (r *Reviews) analysis(ctx context.Context) (a analysis, err error) {
	if a.Answers, err = r.answers(ctx); err != nil {
		return a, err
	}
	if a.Vendors, err = r.vendors(ctx); err != nil {
		return a, err
	}
	decisions, err := r.decisions(ctx)
	if err != nil {
		return a, err
	}
	seen, err := r.Evidence(ctx)
	if err != nil {
		return a, err
	}
	people, err := r.People(ctx)
	if err != nil {
		return a, err
	}
	add := func(id, part, text string) {
		f := finding{ID: id, Part: part, Text: text}
		if d, ok := decisions[id]; ok {
			f.Decision = &d
		}
		a.Findings = append(a.Findings, f)
	}
	lines := map[string][]string{}
	for _, p := range asked().Places {
		got, ok := a.Answers["place."+p.ID]
		if !ok {
			a.Open++
			continue
		}
		lines["where"] = append(lines["where"], p.ID+"="+got.Answer+" "+got.Note)
		if got.Answer == "used" && !agreed(a.Vendors, p.ID, got.Note) && !within[p.ID] {
			add("place."+p.ID, "where", fmt.Sprintf("%s (%s): no agreement or reason is written down under Vendors.", p.Text, got.Note))
		}
	}
	for _, q := range asked().Questions {
		got, ok := a.Answers["q."+q.ID]
		if !ok {
			a.Open++
			continue
		}
		lines[q.Part] = append(lines[q.Part], q.ID+"="+got.Answer)
		if q.Good != "" && got.Answer != q.Good {
			text := q.Finding
			if got.Answer == "unsure" {
				text = "Nobody is sure: " + lower(q.Text)
			}
			add("q."+q.ID, q.Part, text)
		}
	}
	for _, e := range seen {
		room, _, _ := strings.Cut(e.Claim, ".")
		if s := e.At(r.Now()).State; (s == layer.NeedsYou || s == layer.Urgent) && room != "reviews" && room != "compliance" {
			add("claim."+e.Claim, "measured", e.Text)
		}
		if room != "reviews" && room != "compliance" && room != "home" {
			lines["measured"] = append(lines["measured"], room)
		}
	}
	for _, p := range people {
		lines["people"] = append(lines["people"], string(p))
	}
	for _, v := range a.Vendors {
		lines["vendors"] = append(lines["vendors"], v.Name+" "+v.Holds)
	}
	a.Lines = map[string]string{}
	for _, p := range asked().Parts {
		l := lines[p.ID]
		sort.Strings(l)
		a.Lines[p.ID] = digest(strings.Join(slices.Compact(l), "\n"))
	}
	a.Findings = slices.CompactFunc(a.Findings, func(x, y finding) bool { return x.ID == y.ID })
	return a, nil
}

// within are places that no outside company holds.
var within = map[string]bool{"paper": true, "home-office": true, "copier": true}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:8])
}

// reopened are the paragraphs that changed since the analysis was signed.
func reopened(signed, now map[string]string) (parts []part) {
	for _, p := range asked().Parts {
		if signed[p.ID] != now[p.ID] {
			parts = append(parts, p)
		}
	}
	return parts
}

// Elsewhere is where patients' information is besides here, as it was answered,
// and when the newest of these answers was given; "" if nobody answered.
func (r *Reviews) Elsewhere(ctx context.Context) (places string, said time.Time, err error) {
	answers, err := r.answers(ctx)
	if err != nil {
		return "", said, err
	}
	var all []string
	for _, p := range asked().Places {
		a := answers["place."+p.ID]
		if a.Answer != "used" {
			continue
		}
		if name := a.Note; name != "" {
			all = append(all, name)
		} else {
			all = append(all, lower(p.Text))
		}
		if a.At.After(said) {
			said = a.At
		}
	}
	return strings.Join(all, ", "), said, nil
}
