package chart

import (
	"errors"
	"net/http"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// maxUpload is a file of 2 GiB, and what a form wraps around it.
const maxUpload = 2<<30 + 1<<20

func (c *Chart) mount(m *web.Mux) {
	m.Nav(web.NavItem{Key: "patients", Text: "Patients", Path: "/patients"})
	m.Foot(web.NavItem{Key: "emergency", Text: "Emergency cards", Path: "/emergency"})
	m.Script("note.js", noteScript)
	for pattern, h := range map[string]web.Handler{
		"GET /patients":                              c.showList,
		"GET /patients/find":                         c.backToList, // after a lock, or a reload
		"POST /patients/find":                        c.find,
		"GET /emergency":                             c.showCaseload,
		"POST /emergency":                            c.findInCaseload,
		"GET /patients/{patient}/emergency":          c.showEmergency,
		"GET /patients/{patient}/where":              c.backToChart, // after a lock
		"POST /patients/{patient}/where":             c.keepWhere,
		"GET /patients/new":                          c.showAdmit,
		"POST /patients/new":                         c.admit,
		"GET /patients/{patient}":                    c.showChart,
		"GET /patients/{patient}/all":                c.showAll,
		"GET /patients/{patient}/looked":             c.showLooked,
		"GET /patients/{patient}/edit":               c.showEdit,
		"POST /patients/{patient}/edit":              c.edit,
		"GET /patients/{patient}/care":               c.showCare,
		"POST /patients/{patient}/care":              c.changeCare,
		"GET /patients/{patient}/notes/new":          c.showBlank,
		"POST /patients/{patient}/notes/new":         c.showBlank,
		"GET /patients/{patient}/notes":              c.backToChart, // after a lock on the page of a conflict
		"POST /patients/{patient}/notes":             c.keepNote,
		"GET /patients/{patient}/notes/{record}":     c.showNote,
		"GET /patients/{patient}/notes/{record}/add": c.showAddendum,
		"GET /patients/{patient}/files":              c.backToChart,
		"POST /patients/{patient}/files":             web.Big(maxUpload, c.upload),
		"GET /patients/{patient}/files/{record}":     c.download,
	} {
		m.Handle(pattern, inWords(h), web.Signed)
	}
}

// errNotHere is the one answer for a patient who does not exist and one whom
// the person may not see: it tells neither from the other.
var errNotHere = &web.Error{
	Status: http.StatusNotFound,
	Text:   "There is no such chart here for you.",
	Fix:    "Look for the patient by name. If somebody else cares for them, ask that person.",
	Back:   "/patients",
}

// errElsewhere is for words that would stand where something else stands
// already, and that nobody's page shows.
var errElsewhere = &web.Error{
	Status: http.StatusConflict,
	Text:   "Something else was kept in this place meanwhile, so nothing of yours was.",
	Fix:    "Go back and copy your words, then begin on a new sheet.",
	Back:   "/patients",
}

// inWords turns what the vault says into what a person reads.
func inWords(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		switch {
		case errors.Is(err, layer.ErrUnknown), errors.Is(err, layer.ErrNotYours):
			return errNotHere
		case errors.Is(err, layer.ErrConflict):
			return errElsewhere
		case errors.Is(err, layer.ErrChanged):
			return &web.Error{Text: "What is stored here is not what was written, so it stays closed.", Fix: "Nothing was changed by you. Tell the owner: the ledger says what was written, and a backup may still hold it.", Back: "/patients", Err: err}
		}
		return err
	}
}

// patientOf reads the patient from the address.
func patientOf(r *http.Request) (id.Patient, error) {
	p := r.PathValue("patient")
	if id.Check(p) != nil {
		return "", errNotHere
	}
	return id.Patient(p), nil
}

func recordOf(r *http.Request) (id.Record, error) {
	rec := r.PathValue("record")
	if id.Check(rec) != nil {
		return "", errNotHere
	}
	return id.Record(rec), nil
}

func (c *Chart) show(w http.ResponseWriter, r *http.Request, page string, v web.View) error {
	v.Nav = "patients"
	return c.pages.Show(w, r, page, v)
}

func pageOf(p id.Patient) string { return "/patients/" + string(p) }

func (c *Chart) backToList(w http.ResponseWriter, r *http.Request) error {
	return web.SeeOther(w, r, "/patients")
}

func (c *Chart) backToChart(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(p))
}
