package chart_test

import (
	"net/url"
	"strings"
	"testing"

	"quietroom/ground/id"
)

func (h *house) care(teams ...id.Team) url.Values {
	form := url.Values{}
	for _, t := range teams {
		form.Add("care", string(t))
	}
	return form
}

func TestTheCareTeamIsChangedByWhoeverHoldsTheChart(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	rec := h.write("rivera", p, "dap", "sign", map[string]string{"data": "said before"})
	read := func(who string, want int) {
		t.Helper()
		h.want(want, who, "GET", page(p, "/notes/", rec), nil)
	}
	change := func(who string, want int, form url.Values) string {
		t.Helper()
		form.Set("version", field(t, h.want(200, "rivera", "GET", page(p, "/edit"), nil).Body.String(), "version"))
		return h.want(want, who, "POST", page(p, "/care"), form).Body.String()
	}
	read("bello", 404)
	if got := change("bello", 403, h.care(h.bello)); !strings.Contains(got, "Dr. Rivera") {
		t.Error("the refusal does not say who cares")
	}
	read("bello", 404)
	change("rivera", 303, h.care(h.rivera, h.bello))
	read("bello", 200)
	read("rivera", 200)
	if got := h.want(200, "bello", "GET", page(p, "/looked"), nil).Body.String(); !strings.Contains(got, "changed who cares") {
		t.Error("nobody can see that the care team changed")
	}
	if got := h.want(200, "desk", "GET", page(p), nil).Body.String(); strings.Contains(got, "/care") {
		t.Error("the front desk is offered to change who cares")
	}

	// Handing a chart over is said twice.
	if got := change("rivera", 409, h.care(h.bello)); !strings.Contains(got, "out of your hands") {
		t.Error("nobody says that the chart is given away")
	}
	read("rivera", 200)
	away := h.care(h.bello)
	away.Set("away", "yes")
	change("rivera", 303, away)
	read("rivera", 404)
	read("bello", 200)
}

func TestAChangeOfCareThatIsNoneOrTooLateChangesNothing(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	rec := h.write("rivera", p, "dap", "sign", map[string]string{"data": "x"})
	version := field(t, h.want(200, "rivera", "GET", page(p, "/care"), nil).Body.String(), "version")
	try := func(want int, form url.Values, says string) {
		t.Helper()
		if got := h.want(want, "rivera", "POST", page(p, "/care"), form).Body.String(); !strings.Contains(got, says) {
			t.Errorf("the page does not say %q", says)
		}
		h.want(404, "bello", "GET", page(p, "/notes/", rec), nil)
		h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil)
	}
	with := func(v string, teams ...id.Team) url.Values {
		form := h.care(teams...)
		form.Set("version", v)
		return form
	}
	try(422, with(version), "Somebody has to care")
	try(422, with(version, "NOTEAMOFTHISPRACTICE234567"), "Somebody has to care")
	try(422, with("7", h.rivera, h.bello), "meanwhile")
	try(422, with("", h.rivera, h.bello), "meanwhile")
	try(303, with(version, h.rivera), "")
}
