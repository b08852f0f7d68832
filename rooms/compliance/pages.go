package compliance

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/law"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

func (c *Compliance) mount(m *web.Mux) {
	m.Nav(web.NavItem{Key: "proof", Text: "Proof", Path: "/proof", Owner: true})
	m.Handle("GET /proof", c.showProof, web.Owner)
	m.Handle("GET /proof/{control}", c.showControl, web.Owner)
	m.Handle("POST /proof/{control}/word", c.giveWord, web.Owner)
	m.Handle("GET /proof/binder", c.showBinder, web.Owner)
	m.Handle("POST /proof/binder", c.makeBinder, web.Owner)
	m.Handle("GET /proof/binder/{made}", c.showMade, web.Owner)
	m.Handle("GET /proof/binder/{made}/{page...}", c.readMade, web.Owner)
	m.Handle("POST /proof/binder/{made}/take", c.takeMade, web.Owner)
	m.Handle("POST /proof/binder/{made}/link", c.makeLink, web.Owner)
	m.Handle("GET /proof/links", c.listLinks, web.Owner)
	m.Handle("POST /proof/links/{link}/end", c.endLink, web.Owner)
	m.Handle("GET /auditor/{token}", c.auditor, web.Anyone)
	m.Handle("GET /auditor/{token}/{page...}", c.auditorReads, web.Anyone)
}

type proofPage struct {
	Owner  bool
	Only   string
	Counts []count
	Groups []group
}

type count struct {
	State layer.State
	N     int
}

type group struct {
	ID, Title string
	Standings []Standing
}

var shown = []layer.State{layer.Safe, layer.YourWord, layer.NeedsYou, layer.Urgent, layer.Checking, layer.NotKnown, layer.Off}

func (c *Compliance) showProof(w http.ResponseWriter, r *http.Request) error {
	all, err := c.Standings(r.Context())
	if err != nil {
		return err
	}
	p := proofPage{Owner: true, Only: r.URL.Query().Get("state")}
	n := Tally(all)
	for _, s := range shown {
		if n[s] > 0 {
			p.Counts = append(p.Counts, count{s, n[s]})
		}
	}
	if p.Only != "" {
		all = slices.DeleteFunc(all, func(s Standing) bool { return s.State.Is() != p.Only })
	}
	p.Groups = grouped(all)
	return c.pages.Show(w, r, "proof", web.View{Title: "Proof", Nav: "proof", Data: p})
}

// grouped puts controls under the sections of the rule.
func grouped(all []Standing) (groups []group) {
	for _, s := range all {
		if len(groups) == 0 || groups[len(groups)-1].Title != s.SectionTitle {
			groups = append(groups, group{ID: "s" + strings.ReplaceAll(s.Section, ".", "-"), Title: s.SectionTitle})
		}
		g := &groups[len(groups)-1]
		g.Standings = append(g.Standings, s)
	}
	return groups
}

type controlPage struct {
	Standing
	Owner    bool
	Past     []Stretch
	Earlier  []*Said
	Kinds    []choice
	YourWord layer.State
}

type choice struct{ Kind, Text, About string }

func (c *Compliance) showControl(w http.ResponseWriter, r *http.Request) error {
	control, ok := law.Find(r.PathValue("control"))
	if !ok || control.Kind != law.Standard && control.Kind != law.Implementation {
		return errNoControl
	}
	all, err := c.Standings(r.Context())
	if err != nil {
		return err
	}
	p := controlPage{Owner: true, YourWord: layer.YourWord, Kinds: choices(control)}
	p.Standing = all[slices.IndexFunc(all, func(s Standing) bool { return s.ID == control.ID })]
	seen, err := c.stretches(r.Context(), c.Now().AddDate(-1, 0, 0), c.Now())
	if err != nil {
		return err
	}
	p.Past = past(p.Standing, seen)
	words, err := c.allWords(r.Context(), control.ID)
	if err != nil {
		return err
	}
	for _, w := range slices.Backward(words) {
		if p.Word == nil || w.ID != p.Word.ID {
			p.Earlier = append(p.Earlier, c.said(r.Context(), w))
		}
	}
	return c.pages.Show(w, r, "control", web.View{Title: control.Title, Nav: "proof", Data: p})
}

// past is what was seen of a control's claims, newest first.
func past(s Standing, seen map[string][]Stretch) (all []Stretch) {
	done := map[string]bool{}
	for _, part := range s.Parts {
		if !done[part.Claim] && !part.Missing {
			all = append(all, seen[part.Claim]...)
		}
		done[part.Claim] = true
	}
	slices.SortStableFunc(all, func(a, b Stretch) int { return b.Last.Compare(a.Last) })
	return all
}

var errNoControl = &web.Error{Status: http.StatusNotFound, Text: "There is no such standard.", Back: "/proof"}

// choices are what can be said of a control: an addressable one may be met by
// something equivalent, or considered and not done (45 CFR 164.306(d)(3)).
func choices(control law.Control) []choice {
	all := []choice{{said, "This is so here", "What you see and do yourself, and nothing measures"}}
	if control.Obligation == law.Addressable {
		all = append(all, choice{instead, "Something equivalent is done in its place", "Say what"}, choice{notDone, "It is not reasonable and appropriate here", "Say why, and what makes up for it"})
	}
	return append(all, choice{off, "It does not apply to this practice", "Say why. It comes back for review"}, choice{back, "What was said before does not hold any more", "Then it is not known"})
}

// longestWord bounds what somebody says; a word lasts a year at most.
const longestWord = 1000

func (c *Compliance) giveWord(w http.ResponseWriter, r *http.Request) error {
	control, ok := law.Find(r.PathValue("control"))
	if !ok {
		return errNoControl
	}
	kind, text := r.PostFormValue("kind"), strings.TrimSpace(r.PostFormValue("text"))
	if !slices.ContainsFunc(choices(control), func(k choice) bool { return k.Kind == kind }) {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Please choose what you say.", Back: "/proof/" + control.ID}
	}
	if len(text) < 3 || len(text) > longestWord {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Please say it in your own words, in up to 1,000 characters: a reason is part of it.", Back: "/proof/" + control.ID}
	}
	now := c.Now()
	days := min(max(control.ReviewDays, 30), 365)
	word := word{ID: string(id.New[id.Record]()), Control: control.ID, Kind: kind, Text: text, Person: id.From(r.Context()).Person, At: now, Review: now.AddDate(0, 0, days)}
	if err := c.keepWord(r.Context(), word); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/proof/"+control.ID)
}

type binderPage struct{ Ready *Made }

func (c *Compliance) showBinder(w http.ResponseWriter, r *http.Request) error {
	return c.pages.Show(w, r, "binder", web.View{Title: "A binder", Nav: "proof", Data: binderPage{}})
}

func (c *Compliance) makeBinder(w http.ResponseWriter, r *http.Request) error {
	months, err := strconv.Atoi(r.PostFormValue("months"))
	if err != nil || months < 1 || months > 72 {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "The period is 1 to 72 months.", Back: "/proof/binder"}
	}
	now := c.Now()
	m, err := c.Make(r.Context(), now.AddDate(0, -months, 0), now)
	if err != nil {
		return err
	}
	c.keepMade(m)
	return web.SeeOther(w, r, "/proof/binder/"+m.ID)
}

// mostMade is how many binders wait, in memory, to be read.
const mostMade = 3

func (c *Compliance) keepMade(m *Made) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, m)
	if len(c.made) > mostMade {
		c.made = slices.Delete(c.made, 0, 1)
	}
}

func (c *Compliance) find(r *http.Request) (*Made, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.made {
		if m.ID == r.PathValue("made") && c.Now().Sub(m.At) < time.Hour {
			return m, nil
		}
	}
	return nil, &web.Error{Status: http.StatusNotFound, Text: "This binder is not kept any more: one waits for an hour.", Fix: "Please make it again.", Back: "/proof/binder"}
}

func (c *Compliance) showMade(w http.ResponseWriter, r *http.Request) error {
	m, err := c.find(r)
	if err != nil {
		return err
	}
	return c.pages.Show(w, r, "binder", web.View{Title: "A binder", Nav: "proof", Data: binderPage{m}})
}

// readMade shows the exact pages.
func (c *Compliance) readMade(w http.ResponseWriter, r *http.Request) error {
	m, err := c.find(r)
	if err != nil {
		return err
	}
	for _, e := range m.entries {
		if kind, ok := pageType(e.Name); ok && e.Name == r.PathValue("page") {
			m.mu.Lock()
			m.opened = m.opened || e.Name == binderEntry
			m.mu.Unlock()
			w.Header().Set("Content-Type", kind)
			_, err := w.Write(e.Data)
			return err
		}
	}
	return &web.Error{Status: http.StatusNotFound, Text: "There is no such page in this binder.", Back: "/proof/binder/" + m.ID}
}

// pageType is how a browser is told to read an entry; ok is false for what has none.
func pageType(name string) (kind string, ok bool) {
	kind, ok = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json", ".pdf": "application/pdf"}[path.Ext(name)]
	return kind, ok
}

// mayLeave tells whether the pages were opened and the sentence was confirmed.
func (m *Made) mayLeave(r *http.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened && r.PostFormValue("read") == "yes" {
		return nil
	}
	return &web.Error{Status: http.StatusConflict, Text: "Nothing leaves before you have read it.", Fix: "Open the pages of this binder, read them and the sentence below, and tick the box.", Back: "/proof/binder/" + m.ID}
}

// takeMade hands a binder over, after its pages were opened and the sentence was
// confirmed.
func (c *Compliance) takeMade(w http.ResponseWriter, r *http.Request) error {
	m, err := c.find(r)
	if err != nil {
		return err
	}
	if err := m.mayLeave(r); err != nil {
		return err
	}
	hash := sha256.Sum256(m.Bundle)
	err = c.DB.Update(r.Context(), func(tx *store.Tx) error {
		return ledger.Append(r.Context(), tx, ledger.Fact{At: c.Now(), Actor: id.From(r.Context()), Kind: "compliance.proof-taken", Hash: hash[:], Ref: m.ID})
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="proof-%s.zip"`, m.To.Format(time.DateOnly)))
	_, err = web.Stream(w).Write(m.Bundle)
	return err
}
