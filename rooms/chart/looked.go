package chart

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/web"
	"quietroom/layer"
)

const (
	lookedDays  = 30  // how far back the chart's own page looks
	visitsShown = 8   // how many lines it shows
	factsRead   = 100 // most facts read for it: a patient just imported has thousands

	// together is how far apart two acts of one person may lie and still be one line.
	together = time.Hour
)

// visit is one line of who looked: what one person did in one go.
type visit struct {
	Who     string
	What    string
	At      time.Time // the last act
	From    time.Time // the first, if there were several
	Refused bool

	person id.Person
	did    []string
	number map[string]int
}

// seen are the facts that tell of a person and a patient.
var seen = []string{"vault.opened", "vault.refused", "vault.written", "vault.admitted", "vault.care-changed", "glass.broken"}

type lookedPage struct {
	Patient id.Patient
	Name    string
	Looked  []visit
}

// showLooked shows everybody who ever looked.
func (c *Chart) showLooked(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	card, _, err := c.card(ctx, p)
	if err != nil {
		return err
	}
	teams, err := c.People.Teams(ctx)
	if err != nil {
		return err
	}
	var f folder
	if shut, _ := c.shut(ctx, p, card, teams); shut == nil {
		if f, err = c.folder(ctx, p); err != nil && refusedBy(err) == nil {
			return err
		}
	}
	page := lookedPage{Patient: p, Name: card.Called()}
	if page.Looked, _, err = c.looked(ctx, p, f, time.Time{}, 0); err != nil {
		return err
	}
	return c.show(w, r, "looked", web.View{Title: "Who looked", Data: page})
}

// looked gathers facts about a patient into visits, the newest first, and tells
// whether there are more; most of 0 is all there are.
func (c *Chart) looked(ctx context.Context, p id.Patient, f folder, since time.Time, most int) (visits []visit, more bool, err error) {
	q := ledger.Query{Subject: string(p), Kinds: seen, Since: since, Newest: true}
	if most > 0 {
		q.Limit = factsRead
	}
	read := 0
	for e, err := range c.Ledger.Facts(ctx, q) {
		if err != nil {
			return nil, false, err
		}
		read++
		if v := openVisit(visits, e.Fact); v != nil {
			v.add(e.Fact, f)
			continue
		}
		if most > 0 && len(visits) == most {
			more = true
			break
		}
		v := visit{person: e.Actor.Person, Who: c.name(ctx, e.Actor.Person), At: e.At, Refused: e.Kind == "vault.refused", number: map[string]int{}}
		v.add(e.Fact, f)
		visits = append(visits, v)
	}
	if most > 0 && read == factsRead && !more {
		more = true
		last := &visits[len(visits)-1] // it may have begun before what was read: nothing of it is counted
		last.From, last.number = time.Time{}, nil
	}
	for i := range visits {
		visits[i].What = visits[i].say()
	}
	return visits, more, nil
}

// openVisit finds the visit that an earlier fact still belongs to. A refusal
// always has a line of its own.
func openVisit(visits []visit, f ledger.Fact) *visit {
	for i := len(visits) - 1; i >= 0; i-- {
		v := &visits[i]
		first := v.At
		if !v.From.IsZero() {
			first = v.From
		}
		if v.person == f.Actor.Person && v.Refused == (f.Kind == "vault.refused") && first.Sub(f.At) <= together {
			return v
		}
		if v.person == f.Actor.Person {
			return nil
		}
	}
	return nil
}

// add notes one more act of a visit.
func (v *visit) add(f ledger.Fact, in folder) {
	if f.At.Before(v.At) {
		v.From = f.At
	}
	what := deed(f, in)
	if !slices.Contains(v.did, what) {
		v.did = append(v.did, what)
	}
	v.number[what]++
}

// deed is what a fact tells, in plain words.
func deed(f ledger.Fact, in folder) string {
	part := map[string]string{layer.PartIdentity: "name and contacts", layer.PartChart: "notes and files", layer.PartBilling: "billing"}[f.Part]
	if part == "" {
		part = "another part"
	}
	switch f.Kind {
	case "glass.broken":
		return "broke the glass"
	case "vault.opened":
		if f.Reason == layer.GateEmergency {
			return "opened the emergency card"
		}
		return "opened " + part
	case "vault.refused":
		if f.Reason == "changed" {
			return part + " stayed closed: what is stored is not what was written"
		}
		return "wanted " + part + ", and was refused"
	case "vault.admitted":
		return "admitted the patient"
	case "vault.care-changed":
		return "changed who cares"
	}
	if f.Part != layer.PartChart {
		return "wrote " + part
	}
	_, rec, _ := strings.Cut(f.Record, ".")
	switch kind, known := in.kinds[id.Record(rec)]; {
	case kind == noteKind && f.Version > 1:
		return "changed or signed a note"
	case kind == noteKind:
		return "wrote a note"
	case kind == fileKind:
		return "added a file"
	case known:
		return "brought in records"
	}
	return "wrote in the chart"
}

// say puts a visit into one sentence, in the order in which things happened.
func (v visit) say() string {
	did := slices.Clone(v.did)
	slices.Reverse(did) // facts came newest first
	// "opened name and contacts; opened notes and files" reads better with one verb.
	var opened, other []string
	for _, what := range did {
		if part, ok := strings.CutPrefix(what, "opened "); ok {
			opened = append(opened, strings.Split(part, " and ")...)
			continue
		}
		if n := v.number[what]; n > 1 && (what == "added a file" || what == "brought in records") {
			what += " (" + thousands(n) + ")"
		}
		other = append(other, what)
	}
	if len(opened) > 0 {
		other = append([]string{"opened " + and(opened)}, other...)
	}
	return upper(strings.Join(other, "; "))
}
