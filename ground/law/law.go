// Package law holds the rules that a practice is asked about, as data with dates
// and sources: the HIPAA Security Rule, breach notification, patients' rights,
// HHS's goals, and the proposal of 2025, which is not law.
//
// The wording is ours; titles, citations and numbers are the rule's. Each row
// says with Checked whether its text was read in the rule or in two independent
// pages. A row that was not checked never starts a clock and never permits a
// deletion: see Clock.Sure and Keep. None of it is legal advice.
package law

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed data
var data embed.FS

// ErrFuture means that a file was made for a newer program, or on a day that has
// not come: it is not read, so that nothing is computed from half of it.
var ErrFuture = errors.New("law: the file is from the future; install the newer program, or set the clock")

// format is the newest form of these files that this program reads.
const format = 1

// Meta is the head of each file.
type Meta struct {
	Format  int    `yaml:"format"` // 1 if absent
	ID      string `yaml:"id"`
	Title   string `yaml:"title"`
	Version string `yaml:"version"`
	AsOf    string `yaml:"as_of"` // the day on which it was made
	Status  string `yaml:"status"`
}

// Obligations of a control.
const (
	Required    = "required"
	Addressable = "addressable" // 45 CFR 164.306(d)(3): do it if reasonable, else write down why and do something equivalent
)

// Kinds of a control.
const (
	General        = "general"        // a paragraph of 164.306
	Standard       = "standard"       // as the rule uses the word
	Implementation = "implementation" // an implementation specification
	Clause         = "clause"         // a lettered part, not counted among the 65
)

// Control is one row of the Security Rule.
type Control struct {
	ID           string    `yaml:"id"`       // "164.312(a)(2)(iv)"
	Citation     string    `yaml:"citation"` // "45 CFR 164.312(a)(2)(iv)"
	Section      string    `yaml:"section"`
	SectionTitle string    `yaml:"section_title"`
	Parent       string    `yaml:"parent"` // the standard that it belongs to
	Title        string    `yaml:"title"`
	Kind         string    `yaml:"kind"`
	Obligation   string    `yaml:"obligation"`
	Marked       string    `yaml:"marked_in_rule"`
	AppliesTo    string    `yaml:"applies_to"`
	Plain        string    `yaml:"plain"`    // our words
	Question     string    `yaml:"question"` // what an auditor asks
	Automatic    []Measure `yaml:"automatic_evidence"`
	Attestation  string    `yaml:"attestation"`          // what only a person can say; empty where measuring is enough
	ReviewDays   int       `yaml:"review_interval_days"` // our suggestion
	Measures     []int     `yaml:"eight_measures"`
	NIST         *NIST     `yaml:"nist_800_66r2"` // nil: no table there
	Note         string    `yaml:"note"`
	Checked      bool      `yaml:"checked"`
}

// Measure is what a layer of the product can measure for a control.
type Measure struct {
	Layer   string `yaml:"layer"`
	Measure string `yaml:"measure"`
}

// NIST is where NIST SP 800-66r2 treats a control.
type NIST struct {
	Table      string `yaml:"table"`
	Activities []int  `yaml:"key_activities"`
}

// Goal is one of HHS's cybersecurity performance goals, which are voluntary.
type Goal struct {
	ID       string   `yaml:"id"`
	Tier     string   `yaml:"tier"` // essential, enhanced
	Title    string   `yaml:"title"`
	Plain    string   `yaml:"plain"`
	Controls []string `yaml:"security_rule"`
	TitleSet bool     `yaml:"title_checked"`
	Checked  bool     `yaml:"checked"`
}

// Proposal is a duty that HHS proposed in January 2025. It is not law, and is
// never shown without the word "proposed".
type Proposal struct {
	ID       string   `yaml:"id"`
	Title    string   `yaml:"title"`
	Citation string   `yaml:"proposed_citation"` // shown only if CitationChecked
	Plain    string   `yaml:"plain"`
	Controls []string `yaml:"current_rule"`
	Checked  bool     `yaml:"requirement_checked"`
	Cited    bool     `yaml:"citation_checked"`
}

// Right is what a patient may ask for.
type Right struct {
	ID        string `yaml:"id"`
	Citation  string `yaml:"citation"`
	Title     string `yaml:"title"`
	Plain     string `yaml:"plain"`
	Days      int    `yaml:"clock_days"`
	From      string `yaml:"clock_from"`
	Extension int    `yaml:"extension_days"`
	Checked   bool   `yaml:"checked"`
}

type book struct {
	meta      []Meta
	controls  []Control
	clocks    []Clock
	states    []StateClock
	goals     []Goal
	proposals []Proposal
	rights    []Right
	mapping   []Mapping
	retention []Retention
	practices []Practice
}

// all is read once. The files are part of the program: one that cannot be read
// stops it at the first use, and a test before that.
var all = sync.OnceValue(func() *book {
	b := &book{}
	for _, f := range []struct {
		name string
		into func([]byte) error
	}{
		{"hipaa-security-rule.yaml", func(t []byte) (err error) { b.controls, err = Parse(t, time.Time{}); return err }},
		{"breach-notification.yaml", b.breach},
		{"privacy-rights.yaml", b.privacy},
		{"hhs-cpgs.yaml", listed(&b.goals)},
		{"security-rule-nprm-2025.yaml", listed(&b.proposals)},
		{"claims.yaml", listed(&b.mapping)},
		{"hicp.yaml", listed(&b.practices)},
	} {
		text, err := data.ReadFile("data/" + f.name)
		if err == nil {
			var m struct{ Meta Meta }
			if err = yaml.Unmarshal(text, &m); err == nil {
				b.meta = append(b.meta, m.Meta)
				err = f.into(text)
			}
		}
		if err != nil {
			panic(fmt.Sprintf("law: %s: %v", f.name, err))
		}
	}
	return b
})

func listed[T any](into *[]T) func([]byte) error {
	return func(text []byte) error {
		var f struct{ Items []T }
		err := yaml.Unmarshal(text, &f)
		*into = f.Items
		return err
	}
}

// Parse reads a file of controls. A file of a newer form, or of a day after now,
// is ErrFuture; a zero now asks for no day.
func Parse(text []byte, now time.Time) ([]Control, error) {
	var f struct {
		Meta  Meta
		Items []Control
	}
	if err := yaml.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("law: this is no file of controls: %w", err)
	}
	day, err := time.Parse(time.DateOnly, f.Meta.AsOf)
	if err != nil {
		return nil, errors.New("law: the file does not say of which day it is (meta.as_of)")
	}
	if f.Meta.Format > format || !now.IsZero() && day.After(now.AddDate(0, 0, 1)) {
		return nil, ErrFuture
	}
	seen := map[string]bool{}
	for _, c := range f.Items {
		if c.ID == "" || c.Title == "" || seen[c.ID] {
			return nil, fmt.Errorf("law: control %q is twice in the file, or has no name", c.ID)
		}
		if c.Obligation != Required && c.Obligation != Addressable {
			return nil, fmt.Errorf("law: control %s is neither required nor addressable", c.ID)
		}
		seen[c.ID] = true
	}
	if len(f.Items) == 0 {
		return nil, errors.New("law: there is no control in the file")
	}
	return f.Items, nil
}

// Files are the heads of all files, for whoever asks how old they are.
func Files() []Meta { return slices.Clone(all().meta) }

// Controls are all rows of the Security Rule: general rules, the 65, clauses.
func Controls() []Control { return all().controls }

// Standards are the 65 standards and implementation specifications, in the
// order of the rule.
func Standards() []Control {
	return slices.DeleteFunc(slices.Clone(all().controls), func(c Control) bool { return c.Kind != Standard && c.Kind != Implementation })
}

// Find returns the control with an id.
func Find(id string) (Control, bool) {
	i := slices.IndexFunc(all().controls, func(c Control) bool { return c.ID == id })
	if i < 0 {
		return Control{}, false
	}
	return all().controls[i], true
}

// Usual tells whether the control is asked of an ordinary practice: five of the
// 65 are for clearinghouses, health plans and business associates.
func (c Control) Usual() bool {
	return c.AppliesTo == "practice" || c.AppliesTo == "" || strings.HasPrefix(c.AppliesTo, "practice")
}

// Goals are HHS's performance goals.
func Goals() []Goal { return all().goals }

// Proposals are the duties that were proposed in 2025.
func Proposals() []Proposal { return all().proposals }

// Rights are what patients may ask for.
func Rights() []Right { return all().rights }
