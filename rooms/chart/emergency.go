package chart

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// The emergency card is what somebody needs who fears for a patient: numbers,
// people to call, the place to send help to, the safety plan. Whoever cares for
// the patient opens it in two acts, and the health of a device never closes it.

// caseloadShown is how many of one's own patients the list shows.
const caseloadShown = 500

type emergencyList struct {
	Q     string
	Rows  []listRow
	Total int
}

type emergencyPage struct {
	Patient id.Patient
	Name    string
	Card    layer.Card
	Safe    safePage
	Where   string
	WhereAt time.Time
	Plan    []filled // the newest signed safety plan
	PlanAt  time.Time
	Version uint64
	Fault   string
}

func (c *Chart) showCaseload(w http.ResponseWriter, r *http.Request) error {
	return c.caseload(w, r, "")
}

// findInCaseload narrows the list. The words come by POST, as in find.
func (c *Chart) findInCaseload(w http.ResponseWriter, r *http.Request) error {
	return c.caseload(w, r, strings.TrimSpace(r.PostFormValue("q")))
}

func (c *Chart) caseload(w http.ResponseWriter, r *http.Request, q string) error {
	wanted := words(q)
	found, err := c.Vault.Caseload(r.Context(), layer.GateEmergency, func(l layer.Line) bool {
		name, _ := fold(l.Name + " " + l.Preferred)
		for _, word := range wanted {
			if !strings.Contains(name, word) {
				return false
			}
		}
		return true
	}, caseloadShown)
	if err != nil {
		return err
	}
	page := emergencyList{Q: q, Total: found.Total}
	for _, l := range found.Lines {
		page.Rows = append(page.Rows, listRow{Patient: l.Patient, Name: l.Name, Pieces: mark(l.Name, wanted), Called: l.Preferred, Born: day(l.Born)})
	}
	return c.show(w, r, "emergencies", web.View{Title: "Emergency cards", Data: page})
}

func (c *Chart) showEmergency(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	page, err := c.emergency(r.Context(), p)
	if err != nil {
		return err
	}
	return c.show(w, r, "emergency", web.View{Title: "Emergency card", Data: page})
}

// emergency gathers the card of a patient in the acting person's own care.
func (c *Chart) emergency(ctx context.Context, p id.Patient) (page emergencyPage, err error) {
	chart, err := c.Vault.OpenEmergency(ctx, p, layer.PartChart)
	if err != nil {
		return page, err
	}
	defer chart.Close()
	who, err := c.Vault.OpenEmergency(ctx, p, layer.PartIdentity)
	if err != nil {
		return page, err
	}
	defer who.Close()
	card, version, err := who.Card(ctx)
	if err != nil {
		return page, err
	}
	page = emergencyPage{Patient: p, Name: card.Called(), Card: card, Safe: safe(card), Where: card.Where.Place, Version: version}
	if card.Where.At != 0 {
		page.WhereAt = time.UnixMilli(card.Where.At)
	}
	page.Plan, page.PlanAt, err = safetyPlan(ctx, chart)
	return page, err
}

// safetyPlan reads the newest signed safety plan of a chart; none if there is none.
func safetyPlan(ctx context.Context, chart layer.Compartment) ([]filled, time.Time, error) {
	f, err := readFolder(ctx, chart)
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, n := range f.notes { // newest first
		if n.head.Signed == 0 || n.Form != "safety-plan" && n.Title != "Safety plan" {
			continue
		}
		_, body, err := chart.Read(ctx, n.Record)
		if err != nil {
			return nil, time.Time{}, err
		}
		plan, err := readContent(body)
		return plan.Fields, n.At, err
	}
	return nil, time.Time{}, nil
}

// keepWhere writes down where the patient was last. Who wrote in the card
// meanwhile is not overwritten: the page is shown again with the words.
func (c *Chart) keepWhere(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	page, err := c.emergency(ctx, p)
	if err != nil {
		return err
	}
	place := strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("where"), "\r\n", "\n"))
	if len(place) > maxWords {
		page.Where, page.Fault = place, "This is longer than the card can hold. Shorten it and keep it again."
		return c.show(w, r, "emergency", web.View{Status: http.StatusUnprocessableEntity, Title: "Emergency card", Data: page})
	}
	page.Card.Where = layer.Whereabouts{}
	if place != "" {
		page.Card.Where = layer.Whereabouts{Place: place, At: c.Now().UnixMilli()}
	}
	switch err := c.setCard(ctx, p, page.Card, page.Version); {
	case errors.Is(err, layer.ErrConflict):
		page.Where, page.Fault = place, "Somebody changed the card at the same moment. Your words stand below; keep them again."
		return c.show(w, r, "emergency", web.View{Status: http.StatusConflict, Title: "Emergency card", Data: page})
	case err != nil:
		return err
	}
	return web.SeeOther(w, r, pageOf(p)+"/emergency")
}
