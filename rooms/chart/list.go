package chart

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// listed is how many patients a list shows; the search finds the others.
const listed = 50

type listPage struct {
	Q, Count string
	Rows     []listRow
	Next     bool // some row has a next session
}

type listRow struct {
	Patient    id.Patient
	Name       string
	Pieces     []piece // in place of Name, where it is marked or long
	Called     string
	Born       string
	Next       time.Time
	Care, Safe string
}

func (c *Chart) showList(w http.ResponseWriter, r *http.Request) error {
	return c.list(w, r, "")
}

// find answers a search. The words come by POST, so that they stand in no
// address, history or log.
func (c *Chart) find(w http.ResponseWriter, r *http.Request) error {
	return c.list(w, r, strings.TrimSpace(r.PostFormValue("q")))
}

func (c *Chart) list(w http.ResponseWriter, r *http.Request, q string) error {
	start := c.Now()
	found, err := c.Vault.Search(r.Context(), q, listed)
	if err != nil {
		return err
	}
	page := listPage{Q: q, Count: count(q, found, c.Now().Sub(start)), Rows: make([]listRow, len(found.Lines))}
	marks := words(q)
	for i, l := range found.Lines {
		row := &page.Rows[i]
		*row = listRow{Patient: l.Patient, Name: l.Name, Born: day(l.Born), Called: l.Preferred, Safe: l.Safe}
		if len(marks) > 0 || len(l.Name) > longest {
			row.Pieces = mark(l.Name, marks)
		}
		if row.Next = layer.NextOf(l.Times, start); !row.Next.IsZero() {
			page.Next = true
		}
		if row.Care, err = c.teams.of(r.Context(), c, l.Care); err != nil {
			return err
		}
	}
	return c.show(w, r, "patients", web.View{Title: "Patients", Data: page})
}

// count says how many were found, and how long it took.
func count(q string, f layer.Found, took time.Duration) string {
	all := fmt.Sprintf("%s patients", thousands(f.All))
	if f.All == 1 {
		all = "1 patient"
	}
	if q == "" {
		if f.All > len(f.Lines) {
			return fmt.Sprintf("The first %d of %s, in order of names", len(f.Lines), all)
		}
		return all
	}
	in := "in less than a millisecond"
	if ms := took.Milliseconds(); ms == 1 {
		in = "in 1 millisecond"
	} else if ms > 1 {
		in = fmt.Sprintf("in %s milliseconds", thousands(int(ms)))
	}
	shown := thousands(f.Total)
	if f.Total > len(f.Lines) {
		shown = fmt.Sprintf("The first %d of %s that fit, among", len(f.Lines), shown)
		return fmt.Sprintf("%s %s, %s", shown, all, in)
	}
	return fmt.Sprintf("%s of %s, %s", shown, all, in)
}

// teamNames remembers what teams are called, so that a list of fifty asks nobody.
type teamNames struct {
	mu    sync.RWMutex
	names map[id.Team]string
	until time.Time
}

// namesFor is how long a renamed team may keep its old name on a list.
const namesFor = 10 * time.Second

// of returns the names of teams, as one reads them.
func (t *teamNames) of(ctx context.Context, c *Chart, teams []id.Team) (string, error) {
	now := c.Now()
	t.mu.RLock()
	text, ok := t.join(teams)
	fresh := now.Before(t.until)
	t.mu.RUnlock()
	if fresh && ok {
		return text, nil
	}
	all, err := c.People.Teams(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names, t.until = map[id.Team]string{}, now.Add(namesFor)
	for _, team := range all {
		t.names[team.ID] = team.Name
	}
	for _, team := range teams { // one that is gone is not asked for at every row
		if _, ok := t.names[team]; !ok {
			t.names[team] = "a team that is gone"
		}
	}
	text, _ = t.join(teams)
	return text, nil
}

func (t *teamNames) join(teams []id.Team) (text string, ok bool) {
	if len(teams) == 1 {
		text, ok = t.names[teams[0]]
		return text, ok
	}
	var names []string
	for _, team := range teams {
		name, ok := t.names[team]
		if !ok {
			return "", false
		}
		names = append(names, name)
	}
	return strings.Join(names, ", "), true
}
