package antivirus

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// script asks for taps.
const script = "passkey.js"

func (a *Antivirus) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Antivirus", Path: "/antivirus", Owner: true})
	m.Handle("GET /antivirus", a.show, web.Owner)
	m.Handle("POST /antivirus/check", a.checkNow, web.Owner)
	m.Handle("GET /antivirus/findings/{finding}", a.showFinding, web.Signed)
	m.Handle("POST /antivirus/findings/{finding}", a.decideNow, web.Signed)
	m.Handle("POST /antivirus/findings/{finding}/release", a.releaseNow, web.Signed)
}

func pageOf(f id.Record) string { return "/antivirus/findings/" + string(f) }

// antivirusPage is what antivirus.html gets.
type antivirusPage struct {
	Server  layer.Evidence
	Devices []Device
	Open    []row
	Closed  []row
	More    bool
	Install string
	Missing bool
	Engine  string
	Tried   time.Time
	Outcome string
}

// row is one finding, as pages show it.
type row struct {
	ID                id.Record
	At                time.Time
	Title, From, By   string
	State             layer.State
	Word, Said        string
	Size              string
	Patient           id.Patient
	Harmful           bool
	CanTake, CanLeave bool
	Release           string // what the tap would do; empty where there is none
	Why               string
	AskedBy           string
	AskedAt           time.Time
	Act               string
}

const mostShown = 100

func (a *Antivirus) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := antivirusPage{Install: install}
	var err error
	if p.Server, err = a.scanner(ctx); err != nil {
		return err
	}
	p.Server = p.Server.At(a.Now())
	s, known, err := a.serverRow(ctx)
	if err != nil {
		return err
	}
	p.Missing = !known || s.state == "missing"
	if known && s.engine != "" {
		p.Engine = "ClamAV " + s.engine
		if s.number > 0 {
			p.Engine += fmt.Sprintf(", signatures number %d of %s", s.number, s.built.Format("January 2, 2006"))
		}
	}
	p.Tried, p.Outcome = s.tried, outcomes[s.outcome]
	if a.Devices != nil {
		if p.Devices, err = a.Devices(ctx); err != nil {
			return err
		}
	}
	all, err := a.read(ctx, a.DB, `TRUE ORDER BY open DESC, at DESC LIMIT 101`)
	if err != nil {
		return err
	}
	for i, f := range all {
		if p.More = i == mostShown; p.More {
			break
		}
		if row := a.row(ctx, f); f.open() {
			p.Open = append(p.Open, row)
		} else {
			p.Closed = append(p.Closed, row)
		}
	}
	return a.pages.Show(w, r, "antivirus", web.View{Title: "Antivirus", Data: p})
}

// froms say how something came.
var froms = map[string]string{"upload": "added to a chart", "import": "in an import", "mail": "with a message", "portal": "through the portal", "lesson": "with a suspicious message"}

func (a *Antivirus) row(ctx context.Context, f finding) row {
	r := row{ID: f.ID, At: moment(f.At), From: froms[f.From], By: a.name(ctx, f.By), Size: size(f.Size), Patient: f.Patient, Harmful: f.Name != "", Act: ActRelease}
	if r.From == "" {
		r.From = "from outside"
	}
	if f.Why != "" {
		r.Title, r.Why = "A file that was not looked through", "This file "+Words[f.Why]+"."
	} else {
		r.Title = f.Name
	}
	decided := fmt.Sprintf("%s, %s.", a.name(ctx, f.Decided), moment(f.DecidedAt).In(a.Now().Location()).Format("January 2"))
	switch f.State {
	case isolated:
		r.State, r.Word, r.Said = layer.Off, "Isolated", "It is sealed, and nobody can open it. There is nothing to do."
	case asked:
		r.State, r.Word, r.AskedBy, r.AskedAt = layer.NeedsYou, "Isolated", a.name(ctx, f.Asked), moment(f.AskedAt)
		r.Said = r.AskedBy + " asked to let it out. A second person decides."
	case released:
		r.State, r.Word, r.Said = layer.YourWord, "Let out", a.name(ctx, f.Asked)+" and "+decided
	case waits:
		r.State, r.Word, r.Said = layer.NeedsYou, "Not scanned", "It is sealed, and stays closed until somebody decides."
	case taken:
		r.State, r.Word, r.Said = layer.YourWord, "Not scanned", "Taken in as it is by "+decided
	case left:
		r.State, r.Word, r.Said = layer.Off, "Isolated", "It stays isolated, said by "+decided
	}
	return r
}

func (a *Antivirus) name(ctx context.Context, p id.Person) string {
	if p == "" {
		return "The house"
	}
	if n := a.People.Name(ctx, p); n != "" {
		return n
	}
	return "Somebody who is gone"
}

func size(n int64) string {
	switch {
	case n < 1000:
		return count(int(n), "byte", "bytes")
	case n < 1000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func (a *Antivirus) checkNow(w http.ResponseWriter, r *http.Request) error {
	if err := a.check(r.Context()); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/antivirus")
}

func findingOf(r *http.Request) (id.Record, error) {
	name := r.PathValue("finding")
	if id.Check(name) != nil {
		return "", errUnknown
	}
	return id.Record(name), nil
}

func (a *Antivirus) showFinding(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	name, err := findingOf(r)
	if err != nil {
		return err
	}
	f, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	p := a.row(ctx, f)
	n, err := a.People.Working(ctx)
	if err != nil {
		return err
	}
	me := id.From(ctx).Person
	p.CanTake = f.Name == "" && (f.State == waits || f.State == left)
	p.CanLeave = f.State == waits || f.State == asked || f.State == taken
	switch {
	case f.Name == "" || f.State == released:
	case f.State != asked:
		p.Release = "Ask to let it out"
	case f.Asked != me:
		p.Release = "Let it out"
	case n == 1 && a.Now().Sub(moment(f.AskedAt)) >= alone:
		p.Release = "Let it out"
	case n == 1:
		p.Said = "You work alone, so it can be let out a day after you asked: " + moment(f.AskedAt).Add(alone).In(a.Now().Location()).Format("Monday 15:04") + "."
	default:
		p.Said = "You asked to let it out. A second person decides; one of the two is an owner."
	}
	return a.pages.Show(w, r, "finding", web.View{Title: "A file that stays closed", Scripts: []string{script}, Data: p})
}

func (a *Antivirus) decideNow(w http.ResponseWriter, r *http.Request) error {
	name, err := findingOf(r)
	if err != nil {
		return err
	}
	what := r.PostFormValue("what")
	if what != "take" && what != "leave" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Please choose what becomes of this file.", Back: pageOf(name)}
	}
	if err := a.decide(r.Context(), name, what == "take"); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(name))
}

func (a *Antivirus) releaseNow(w http.ResponseWriter, r *http.Request) error {
	name, err := findingOf(r)
	if err != nil {
		return err
	}
	ctx, done, err := a.Tap(r, ActRelease, string(name))
	if err != nil {
		return err
	}
	defer done()
	if err := a.release(ctx, name); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(name))
}
