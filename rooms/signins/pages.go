package signins

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/signins/logs"
)

// biggest is the largest log that is taken. It is read as it comes, and never
// lies on a disk here.
const biggest = 16 << 30

func (s *Signins) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Sign-in watch", Path: "/signins", Owner: true})
	m.Handle("GET /signins", s.show, web.Owner)
	m.Handle("POST /signins", web.Big(biggest, s.upload), web.Owner)
	m.Handle("GET /signins/logs/{import}", s.showImport, web.Owner)
	m.Handle("POST /signins/findings/{finding}", s.setConclusion, web.Owner)
	m.Handle("POST /signins/checks", s.setCheck, web.Owner)
	m.Handle("POST /signins/organisations", s.setName, web.Owner)
}

var errUnknown = &web.Error{Status: http.StatusNotFound, Text: "There is no such thing here.", Back: "/signins"}

// signinsPage is what signins.html gets.
type signinsPage struct {
	Watched layer.Evidence
	Open    []findingRow
	Closed  []findingRow
	Lists   []checklist
	Imports []imported
	Ours    []string
	Word    layer.State
	Needs   layer.State
	Unknown layer.State
}

type findingRow struct {
	found
	Who, By, Said string
}

type checklist struct {
	Kind  logs.Kind
	Name  string
	Items []checkRow
	Done  int
}

type checkRow struct {
	item
	check
	By     string
	Stated bool
	State  layer.State
}

const mostClosed = 20

func (s *Signins) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := signinsPage{Word: layer.YourWord, Needs: layer.NeedsYou, Unknown: layer.NotKnown}
	var err error
	if p.Watched, err = s.watched(ctx); err != nil {
		return err
	}
	p.Watched = p.Watched.At(s.Now())
	all, err := s.findings(ctx)
	if err != nil {
		return err
	}
	for _, f := range all {
		row := findingRow{found: f, Who: s.called(ctx, f), By: s.Name(ctx, f.by), Said: conclusions[f.Conclusion]}
		switch {
		case f.Open(s.Now()):
			p.Open = append(p.Open, row)
		case len(p.Closed) < mostClosed:
			p.Closed = append(p.Closed, row)
		}
	}
	slices.SortStableFunc(p.Open, func(a, b findingRow) int { return int(b.State()) - int(a.State()) })
	if p.Imports, err = s.imports(ctx, "TRUE"); err != nil {
		return err
	}
	known, err := s.tenants(ctx)
	if err != nil {
		return err
	}
	checks, err := s.checks(ctx)
	if err != nil {
		return err
	}
	for _, kind := range []logs.Kind{logs.Entra, logs.Google} {
		for name := range known[kind] {
			p.Ours = append(p.Ours, providers[kind]+": "+name)
		}
		if len(known) > 0 && known[kind] == nil {
			continue // the practice has the other one
		}
		list := checklist{Kind: kind, Name: providers[kind]}
		for _, i := range checklists[kind] {
			c, stated := checks[[2]string{string(kind), i.Word}]
			row := checkRow{item: i, check: c, Stated: stated, State: layer.NotKnown}
			if stated && s.Now().Before(c.At.Add(reviewed)) {
				row.State, row.By = layer.YourWord, s.Name(ctx, c.by)
				list.Done++
			}
			list.Items = append(list.Items, row)
		}
		p.Lists = append(p.Lists, list)
	}
	slices.Sort(p.Ours)
	return s.pages.Show(w, r, "signins", web.View{Title: "Sign-in watch", Data: p})
}

// upload reads a log as it arrives.
func (s *Signins) upload(w http.ResponseWriter, r *http.Request) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return &web.Error{Status: http.StatusUnprocessableEntity, Text: "No file was chosen.", Fix: "Choose the log, and press the button again.", Back: "/signins"}
		}
		if err != nil {
			return err
		}
		if part.FormName() != "log" || part.FileName() == "" {
			continue
		}
		number, err := s.Import(r.Context(), part)
		if err != nil {
			return inWords(err)
		}
		return web.SeeOther(w, r, "/signins/logs/"+number)
	}
}

// importPage is what import.html gets.
type importPage struct {
	imported
	Provider, Who string
	More          int
}

func (s *Signins) showImport(w http.ResponseWriter, r *http.Request) error {
	number := r.PathValue("import")
	if id.Check(number) != nil {
		return errUnknown
	}
	one, err := s.imports(r.Context(), "import = $1", number)
	if err != nil {
		return err
	}
	if len(one) == 0 {
		return errUnknown
	}
	p := importPage{imported: one[0], Provider: providers[one[0].Kind], Who: s.Name(r.Context(), one[0].By), More: one[0].Bad - len(one[0].Lines)}
	return s.pages.Show(w, r, "import", web.View{Title: "A log that was read", Data: p})
}

func (s *Signins) setConclusion(w http.ResponseWriter, r *http.Request) error {
	number, said := r.PathValue("finding"), r.PostFormValue("conclusion")
	if id.Check(number) != nil {
		return errUnknown
	}
	if conclusions[said] == "" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Please choose what it was.", Back: "/signins"}
	}
	if err := s.conclude(r.Context(), number, said); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/signins")
}

func (s *Signins) setCheck(w http.ResponseWriter, r *http.Request) error {
	kind, word := r.PostFormValue("kind"), r.PostFormValue("item")
	if !slices.ContainsFunc(checklists[logs.Kind(kind)], func(i item) bool { return i.Word == word }) {
		return errUnknown
	}
	if err := s.state(r.Context(), kind, word, r.PostFormValue("done") == "yes"); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/signins")
}

var organisation = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|c[0-9a-z]{6,12}|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24})$`)

func (s *Signins) setName(w http.ResponseWriter, r *http.Request) error {
	kind, name := logs.Kind(r.PostFormValue("kind")), strings.ToLower(strings.TrimSpace(r.PostFormValue("name")))
	if providers[kind] == "" || !organisation.MatchString(name) {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "This is no number of an organisation, and no domain.", Fix: "Entra calls it Tenant ID, Google calls it Customer ID. A mail domain looks like example.org.", Back: "/signins"}
	}
	if err := s.name(r.Context(), kind, name); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/signins")
}

// Day is when a check is asked again.
func (c checkRow) Day() time.Time { return c.At.Add(reviewed) }
