package law

import (
	"time"

	"go.yaml.in/yaml/v3"
)

// Clock is a limit that begins to run when something becomes known. All of them
// are outer limits: every notice is due without unreasonable delay.
type Clock struct {
	ID       string `yaml:"id"`
	Citation string `yaml:"citation"`
	Who      string `yaml:"who"`
	Trigger  string `yaml:"trigger"`
	Days     *int   `yaml:"limit_days"` // nil: the rule names no number
	Unit     string `yaml:"unit"`
	Least    int    `yaml:"threshold_min_count"` // from so many people on
	Most     int    `yaml:"threshold_max_count"` // 0: no such bound
	Checked  bool   `yaml:"checked"`
}

// yearEnd is the clock that runs from the end of the year of the discovery,
// 45 CFR 164.408(c).
const yearEnd = "hhs_small"

// StateClock is what a state's own law asks for.
type StateClock struct {
	State     string `yaml:"state"`
	Citation  string `yaml:"citation"`
	Days      int    `yaml:"individuals_days"`
	Unit      string `yaml:"individuals_unit"`
	Regulator string `yaml:"regulator"`
	Reports   int    `yaml:"regulator_days"`
	AppliesTo string `yaml:"applies_to"`
	Checked   bool   `yaml:"checked"`
}

func (b *book) breach(text []byte) error {
	var f struct {
		HIPAA struct{ Clocks []Clock }
		State struct{ Entries []StateClock } `yaml:"state_law"`
	}
	err := yaml.Unmarshal(text, &f)
	b.clocks, b.states = f.HIPAA.Clocks, f.State.Entries
	return err
}

// Clocks are those of the Breach Notification Rule.
func Clocks() []Clock { return all().clocks }

// StateClocks are the clocks of the states that were looked up. One that is not
// here is not "none": ask counsel.
func StateClocks() []StateClock { return all().states }

// Sure tells whether the clock may be shown as law: it was checked, and it names
// a number.
func (c Clock) Sure() bool { return c.Checked && c.Days != nil }

// Due is the last day, in the practice's own time zone, counted in calendar days
// from the day of the discovery, which is day zero (45 CFR 164.404(b)). ok is
// false where the rule names no number or nobody checked it.
func (c Clock) Due(discovered time.Time) (day time.Time, ok bool) {
	if !c.Sure() {
		return time.Time{}, false
	}
	y, m, d := discovered.Date()
	if c.ID == yearEnd {
		m, d = time.December, 31
	}
	return time.Date(y, m, d+*c.Days, 0, 0, 0, 0, discovered.Location()), true
}

// Retention is how long something is kept.
type Retention struct {
	ID       string `yaml:"id"`
	Citation string `yaml:"citation"`
	What     string `yaml:"what"`
	Years    int    `yaml:"years"` // 0: the rule names no number
	From     string `yaml:"from"`
	Plain    string `yaml:"plain"`
	Checked  bool   `yaml:"checked"`
}

// Papers is the retention of the practice's own papers, 45 CFR 164.316(b)(2)(i).
const Papers = "hipaa_documents"

func (b *book) privacy(text []byte) error {
	var f struct {
		Rights    []Right
		Retention []Retention
	}
	err := yaml.Unmarshal(text, &f)
	b.rights, b.retention = f.Rights, f.Retention
	return err
}

// Retentions are all rows.
func Retentions() []Retention { return all().retention }

// Keep is the first day on which a thing of a kind may go: so many years after
// it was made or was last in force, whichever is later. ok is false where nobody
// checked the number, or where another law sets it: then it is kept.
func Keep(kind string, made, lastInForce time.Time) (until time.Time, ok bool) {
	for _, r := range all().retention {
		if r.ID != kind || !r.Checked || r.Years == 0 {
			continue
		}
		from := made
		if lastInForce.After(from) {
			from = lastInForce
		}
		return from.AddDate(r.Years, 0, 0), true
	}
	return time.Time{}, false
}
