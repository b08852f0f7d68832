package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// Addresses hold numbers only: what kind of resource somebody has is nobody's
// to read in a history.
func (x *Exchange) mount(m *web.Mux) {
	for pattern, h := range map[string]web.Handler{
		"GET /patients/{patient}/imported":                 x.showKinds,
		"GET /patients/{patient}/imported/{part}/{kind}":   x.showKind,
		"GET /patients/{patient}/imported/{part}/is/{one}": x.showOne,
	} {
		m.Handle(pattern, inWords(h), web.Signed)
	}
}

// errNotHere tells what does not exist from what is not this person's in no way.
var errNotHere = &web.Error{
	Status: http.StatusNotFound,
	Text:   "There is nothing imported here for you.",
	Fix:    "Look for the patient by name. If somebody else cares for them, ask that person.",
	Back:   "/patients",
}

// inWords turns what the vault says into what a person reads.
func inWords(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		switch {
		case errors.Is(err, layer.ErrUnknown), errors.Is(err, layer.ErrNotYours):
			return errNotHere
		case errors.Is(err, layer.ErrChanged):
			return &web.Error{Text: "What is stored here is not what was written, so it stays closed.", Fix: "Nothing was changed by you. Tell the owner: the ledger says what was written, and a backup may still hold it.", Back: "/patients", Err: err}
		}
		return err
	}
}

func pageOf(p id.Patient) string { return "/patients/" + string(p) + "/imported" }

// show opens the parts of the patient in the address and hands them to a page.
func (x *Exchange) show(w http.ResponseWriter, r *http.Request, name string, others []string, page func(context.Context, *opening) (any, error)) error {
	p := r.PathValue("patient")
	if id.Check(p) != nil {
		return errNotHere
	}
	data, err := again(func() (any, error) {
		o, err := x.open(r.Context(), id.Patient(p), others...)
		if err != nil {
			return nil, err
		}
		defer o.close()
		return page(r.Context(), o)
	})
	if err != nil {
		return err
	}
	return x.pages.Show(w, r, name, web.View{Title: "Imported records", Nav: "patients", Data: data})
}

// about is what every page of a patient shows.
type about struct {
	Patient id.Patient
	Name    string
}

func (o *opening) about() about { return about{o.patient, o.card.Called()} }

type kindsPage struct {
	about
	Groups []group
	All    int
	Closed bool
}

// group is one compartment on the page of kinds.
type group struct {
	Part, Name string
	At         time.Time
	Kinds      []kindRow
}

type kindRow struct {
	Name  string
	Count int
	N     int // its number in the address
}

var partNames = map[string]string{layer.PartIdentity: "Who it is", layer.PartChart: "Chart", layer.PartBilling: "Billing"}

func (x *Exchange) showKinds(w http.ResponseWriter, r *http.Request) error {
	return x.show(w, r, "kinds", beside, func(_ context.Context, o *opening) (any, error) {
		page := kindsPage{about: o.about(), Closed: o.closed}
		for _, s := range o.sets {
			if !s.found {
				continue
			}
			g := group{Part: s.part, Name: partNames[s.part], At: s.entry.At}
			for i, kind := range s.head.kinds() {
				g.Kinds = append(g.Kinds, kindRow{spaced(kind), s.head.Types[kind], i})
			}
			page.All += s.head.Count
			page.Groups = append(page.Groups, g)
		}
		return page, nil
	})
}

type kindPage struct {
	about
	Part, Kind string
	N, All     int
	Rows       []row
	From, To   int // which of them, counted from 1
	Newer      int // where the page before begins, or -1
	Older      int // where the next page begins, or -1
}

type row struct {
	When, Title string
	N           int // its place in the set
}

// rowsOnPage is how many resources one page lists.
const rowsOnPage = 200

func (x *Exchange) showKind(w http.ResponseWriter, r *http.Request) error {
	part, n, err := address(r, "kind")
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(r.FormValue("from"))
	return x.show(w, r, "kind", part, func(ctx context.Context, o *opening) (any, error) {
		s, ok := o.part(r.PathValue("part"))
		if !ok || n >= len(s.head.Types) {
			return nil, layer.ErrUnknown
		}
		kind := s.head.kinds()[n]
		rows, err := s.rows(ctx, kind)
		if err != nil {
			return nil, err
		}
		from := max(0, min(from, len(rows)-1))
		to := min(from+rowsOnPage, len(rows))
		page := kindPage{about: o.about(), Part: s.part, Kind: spaced(kind), N: n, All: len(rows), Rows: rows[from:to], From: from + 1, To: to, Newer: -1, Older: -1}
		if from > 0 {
			page.Newer = max(0, from-rowsOnPage)
		}
		if to < len(rows) {
			page.Older = to
		}
		return page, nil
	})
}

// rows lists the resources of one kind, the newest first.
func (s set) rows(ctx context.Context, kind string) (rows []row, err error) {
	at := -1
	for r, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		at++
		if r.Type != kind {
			continue
		}
		title, when := titled(r)
		rows = append(rows, row{when, title, at})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(b.When, a.When) })
	return rows, nil
}

// titled returns a resource's title without its kind, on a line or two, and its day.
func titled(r fhir.Resource) (title, when string) {
	const most = 160
	title, when = fhir.Title(r)
	if _, words, ok := strings.Cut(title, ": "); ok {
		title = words
	}
	if len(title) > most {
		title = strings.ToValidUTF8(title[:most], "") + "…"
	}
	return title, day(when)
}

type onePage struct {
	about
	Kind, Title, When string
	Fields            []field
	Cut               bool
	JSON              string
	Back              string
}

func (x *Exchange) showOne(w http.ResponseWriter, r *http.Request) error {
	part, n, err := address(r, "one")
	if err != nil {
		return err
	}
	return x.show(w, r, "one", part, func(ctx context.Context, o *opening) (any, error) {
		s, ok := o.part(r.PathValue("part"))
		if !ok {
			return nil, layer.ErrUnknown
		}
		at := -1
		for res, err := range s.all(ctx) {
			if err != nil {
				return nil, err
			}
			if at++; at == n {
				return oneOf(o, s, res), nil
			}
		}
		return nil, layer.ErrUnknown
	})
}

func oneOf(o *opening, s set, r fhir.Resource) onePage {
	page := onePage{about: o.about(), Kind: spaced(r.Type)}
	page.Title, page.When = titled(r)
	page.Fields, page.Cut = fields(r.Raw)
	if len(r.Raw) <= mostJSON {
		var pretty bytes.Buffer
		if json.Indent(&pretty, r.Raw, "", "  ") == nil {
			page.JSON = straight(pretty.String())
		}
	}
	page.Back = fmt.Sprintf("%s/%s/%d", pageOf(o.patient), s.part, slices.Index(s.head.kinds(), r.Type))
	return page
}

// address reads the part and a number from the address.
func address(r *http.Request, name string) (others []string, n int, err error) {
	part := r.PathValue("part")
	if !slices.Contains(parts, part) {
		return nil, 0, errNotHere
	}
	if n, err = strconv.Atoi(r.PathValue(name)); err != nil || n < 0 {
		return nil, 0, errNotHere
	}
	if part != layer.PartIdentity {
		others = []string{part}
	}
	return others, n, nil
}

func (o *opening) part(part string) (set, bool) {
	for _, s := range o.sets {
		if s.part == part && s.found {
			return s, true
		}
	}
	return set{}, false
}
