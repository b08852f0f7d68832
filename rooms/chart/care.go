package chart

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// carePage is the form that says who cares for a patient.
type carePage struct {
	Patient id.Patient
	Name    string
	Version uint64 // of the card that was read
	Teams   []teamChoice
	Fault   string
	Away    bool // the person gives the chart out of their own hands
}

func (c *Chart) showCare(w http.ResponseWriter, r *http.Request) error {
	page, _, _, err := c.care(r)
	if err != nil {
		return err
	}
	return c.showCareForm(w, r, http.StatusOK, page)
}

func (c *Chart) showCareForm(w http.ResponseWriter, r *http.Request, status int, page carePage) error {
	return c.show(w, r, "care", web.View{Status: status, Title: "Care team", Data: page})
}

// care gathers the form. Only somebody who holds the chart decides who else
// does: to everybody else the page says who that is.
func (c *Chart) care(r *http.Request) (page carePage, card layer.Card, teams []layer.Team, err error) {
	p, err := patientOf(r)
	if err != nil {
		return page, card, nil, err
	}
	card, version, err := c.card(r.Context(), p)
	if err != nil {
		return page, card, nil, err
	}
	if teams, err = c.careTeams(r.Context()); err != nil {
		return page, card, nil, err
	}
	if shut := outside(card, teams); shut != nil {
		return page, card, nil, &web.Error{Status: http.StatusForbidden, Text: shut.Why, Fix: "Ask there to take you, or somebody else, into the care team.", Back: pageOf(p)}
	}
	return carePage{Patient: p, Name: card.Called(), Version: version, Teams: choices(teams, card.Care)}, card, teams, nil
}

// changeCare gives the chart to the chosen teams, under a new key. A team that
// is taken out keeps what it could read, and reads nothing that is written later.
func (c *Chart) changeCare(w http.ResponseWriter, r *http.Request) error {
	page, card, teams, err := c.care(r)
	if err != nil {
		return err
	}
	care := chosenTeams(r, teams)
	read, err := strconv.ParseUint(r.PostFormValue("version"), 10, 63)
	changed := err != nil || read != page.Version
	if !changed {
		page.Teams = choices(teams, care)
	}
	switch {
	case changed:
		page.Fault = "Somebody changed this patient’s card meanwhile. This is how it stands now; choose again."
	case len(care) == 0:
		page.Fault = "Somebody has to care for this patient. Choose at least one team."
	case sameTeams(care, card.Care):
		return web.SeeOther(w, r, pageOf(page.Patient))
	case !holds(care, teams) && r.PostFormValue("away") == "":
		page.Away = true
		return c.showCareForm(w, r, http.StatusConflict, page)
	}
	if page.Fault != "" {
		return c.showCareForm(w, r, http.StatusUnprocessableEntity, page)
	}
	switch err := c.setCare(r.Context(), page.Patient, care); {
	case errors.Is(err, layer.ErrConflict):
		return &web.Error{Status: http.StatusConflict, Text: "Somebody wrote in this chart at the same moment, so nothing was changed.", Fix: "Go back and try again.", Back: pageOf(page.Patient) + "/care"}
	case err != nil:
		return err
	}
	return web.SeeOther(w, r, pageOf(page.Patient))
}

func (c *Chart) setCare(ctx context.Context, p id.Patient, care []id.Team) error {
	b, err := c.Vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	if err := b.SetCare(ctx, p, care); err != nil {
		return err
	}
	return b.Commit(ctx)
}

func sameTeams(a, b []id.Team) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// holds tells whether the acting person is in one of the chosen teams.
func holds(care []id.Team, teams []layer.Team) bool {
	return slices.ContainsFunc(teams, func(t layer.Team) bool { return t.Mine && slices.Contains(care, t.ID) })
}
