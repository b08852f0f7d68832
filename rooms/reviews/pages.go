package reviews

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// actSign is what a signature is tapped for; its object names the paper.
const actSign = "sign-paper"

// script answers the taps; it is identity's.
const script = "passkey.js"

func (r *Reviews) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Reviews", Path: "/reviews", Owner: true})
	m.Foot(web.NavItem{Text: "Our rules", Path: "/reviews/papers"})
	m.Handle("GET /reviews", r.showCalendar, web.Owner)
	m.Handle("GET /reviews/do/{kind}", r.showReview, web.Owner)
	m.Handle("POST /reviews/do/{kind}", r.doReview, web.Owner)
	m.Handle("GET /reviews/risk", r.showRisk, web.Owner)
	m.Handle("POST /reviews/risk/parts/{part}", r.answerPart, web.Owner)
	m.Handle("POST /reviews/risk/findings/{finding}", r.decide, web.Owner)
	m.Handle("GET /reviews/risk/read", r.readRisk, web.Owner)
	m.Handle("POST /reviews/risk/sign", r.signRisk, web.Owner)
	m.Handle("GET /reviews/vendors", r.showVendors, web.Owner)
	m.Handle("POST /reviews/vendors", r.saveVendor, web.Owner)
	m.Handle("POST /reviews/vendors/{vendor}/close", r.dropVendor, web.Owner)
	m.Handle("GET /reviews/papers", r.showPapers, web.Signed)
	m.Handle("GET /reviews/papers/{kind}", r.readPaper, web.Signed)
	m.Handle("POST /reviews/papers/{kind}/sign", r.signPaper, web.Signed)
	m.Handle("POST /reviews/officials", r.saveOfficials, web.Owner)
	m.Handle("POST /reviews/feed", r.makeFeed, web.Owner)
	m.Handle("GET /reviews/feed/{token}", r.feed, web.Anyone)
}

func wrong(text, back string) error {
	return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Back: back}
}

var errUnknown = &web.Error{Status: http.StatusNotFound, Text: "There is no such thing here.", Back: "/reviews"}

type calendarPage struct {
	Turns []turnRow
	Feed  string
	Words layer.State
}

type turnRow struct {
	turn
	State layer.State
	Who   string
}

func (r *Reviews) showCalendar(w http.ResponseWriter, req *http.Request) error {
	turns, err := r.turns(req.Context())
	if err != nil {
		return err
	}
	p := calendarPage{Words: layer.YourWord, Feed: req.URL.Query().Get("feed")}
	for _, t := range turns {
		row := turnRow{turn: t, State: layer.NotKnown, Who: r.Name(req.Context(), t.By)}
		switch {
		case !r.Now().Before(t.Due):
			row.State = layer.NeedsYou
		case !t.Last.IsZero():
			row.State = layer.YourWord
		}
		p.Turns = append(p.Turns, row)
	}
	return r.pages.Show(w, req, "calendar", web.View{Title: "Reviews", Data: p})
}

func (r *Reviews) turn(ctx context.Context, kind string) (turn, error) {
	turns, err := r.turns(ctx)
	if err != nil {
		return turn{}, err
	}
	i := slices.IndexFunc(turns, func(t turn) bool { return t.ID == kind })
	if i < 0 {
		return turn{}, errUnknown
	}
	return turns[i], nil
}

type reviewPage struct {
	turn
	Said     []layer.Evidence
	Tomorrow time.Time
}

func (r *Reviews) showReview(w http.ResponseWriter, req *http.Request) error {
	t, err := r.turn(req.Context(), req.PathValue("kind"))
	if err != nil {
		return err
	}
	seen, err := r.Evidence(req.Context())
	if err != nil {
		return err
	}
	p := reviewPage{turn: t, Tomorrow: r.Now().AddDate(0, 0, 1)}
	for _, e := range seen {
		if e = e.At(r.Now()); !strings.HasPrefix(e.Claim, "reviews.") {
			p.Said = append(p.Said, e)
		}
	}
	slices.SortStableFunc(p.Said, func(a, b layer.Evidence) int { return int(b.State) - int(a.State) })
	return r.pages.Show(w, req, "review", web.View{Title: "A review", Data: p})
}

func (r *Reviews) doReview(w http.ResponseWriter, req *http.Request) error {
	t, err := r.turn(req.Context(), req.PathValue("kind"))
	if err != nil {
		return err
	}
	back := "/reviews/do/" + t.ID
	what, reason := req.PostFormValue("what"), strings.TrimSpace(req.PostFormValue("reason"))
	switch what {
	case done:
		if t.signed {
			return wrong("This is done by signing it.", t.Page)
		}
		err = r.did(req.Context(), t.ID, done, "", time.Time{})
	case moved:
		till, bad := time.Parse(time.DateOnly, req.PostFormValue("till"))
		if bad != nil || !till.After(r.Now()) || till.After(r.Now().AddDate(0, 3, 0)) {
			return wrong("Please choose a day within the next three months.", back)
		}
		if len(reason) < 3 {
			return wrong("Please write why it is moved: the reason is kept with it.", back)
		}
		err = r.did(req.Context(), t.ID, moved, reason, till)
	case skipped:
		if len(reason) < 3 {
			return wrong("Please write why it is left out this time: the reason is kept with it.", back)
		}
		err = r.did(req.Context(), t.ID, skipped, reason, r.Now().AddDate(0, 0, t.Days))
	default:
		return wrong("Please choose what happened.", back)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews")
}

type riskPage struct {
	analysis
	Places    []placeRow
	Groups    []partRow
	Reopened  []part
	Signed    *paper
	SignedBy  string
	Object    string
	People    []personRow
	Unknown   layer.State
	YourWord  layer.State
	InAMonth  time.Time
	Questions int
}

type placeRow struct {
	part
	answer
}

type partRow struct {
	part
	Questions []questionRow
}

type questionRow struct {
	question
	answer
}

type personRow struct {
	ID   id.Person
	Name string
}

func (r *Reviews) people(ctx context.Context) ([]personRow, error) {
	all, err := r.People(ctx)
	var rows []personRow
	for _, p := range all {
		rows = append(rows, personRow{p, r.Name(ctx, p)})
	}
	return rows, err
}

func (r *Reviews) showRisk(w http.ResponseWriter, req *http.Request) error {
	ctx := req.Context()
	a, err := r.analysis(ctx)
	if err != nil {
		return err
	}
	p := riskPage{analysis: a, Unknown: layer.NotKnown, YourWord: layer.YourWord, InAMonth: r.Now().AddDate(0, 1, 0), Questions: len(asked().Questions)}
	if p.Signed, err = r.newest(ctx, riskAnalysis); err != nil {
		return err
	}
	if p.Signed != nil {
		p.Reopened = reopened(p.Signed.Parts, a.Lines)
		p.SignedBy = r.Name(ctx, p.Signed.Signed[0].Person)
	}
	for _, place := range asked().Places {
		p.Places = append(p.Places, placeRow{place, a.Answers["place."+place.ID]})
	}
	for _, part := range asked().Parts {
		row := partRow{part: part}
		for _, q := range asked().Questions {
			if q.Part == part.ID {
				row.Questions = append(row.Questions, questionRow{q, a.Answers["q."+q.ID]})
			}
		}
		if row.Questions != nil {
			p.Groups = append(p.Groups, row)
		}
	}
	if p.People, err = r.people(ctx); err != nil {
		return err
	}
	doc, err := r.renderRisk(ctx, a)
	if err != nil {
		return err
	}
	p.Object = object(doc)
	return r.pages.Show(w, req, "risk", web.View{Title: "Risk analysis", Scripts: []string{script}, Data: p})
}

// object names what is signed: the hash of the very text.
func object(p paper) string {
	h := sha256.Sum256([]byte(p.Kind + "\x00" + p.HTML))
	return hex.EncodeToString(h[:24])
}

// longest bounds what somebody writes into a field.
const longest = 500

func (r *Reviews) answerPart(w http.ResponseWriter, req *http.Request) error {
	part, back := req.PathValue("part"), "/reviews/risk"
	all := map[string]answer{}
	take := func(key string, allowed ...string) error {
		got, note := req.PostFormValue(key), strings.TrimSpace(req.PostFormValue(key+".note"))
		if got == "" {
			return nil // not answered is not known
		}
		if !slices.Contains(allowed, got) || len(note) > longest {
			return wrong("One answer cannot be kept: choose one of those offered, and write up to 500 characters.", back)
		}
		all[key] = answer{got, note, id.From(req.Context()).Person, r.Now()}
		return nil
	}
	if part == "where" {
		for _, p := range asked().Places {
			if err := take("place."+p.ID, "used", "unused"); err != nil {
				return err
			}
		}
	}
	for _, q := range asked().Questions {
		if q.Part == part {
			if err := take("q."+q.ID, "yes", "no", "unsure"); err != nil {
				return err
			}
		}
	}
	if err := r.keepAnswers(req.Context(), all); err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews/risk#"+next(part))
}

// next is the paragraph after one.
func next(part string) string {
	parts := asked().Parts
	for i := range parts[:len(parts)-2] {
		if parts[i].ID == part {
			return parts[i+1].ID
		}
	}
	return "findings"
}

func (r *Reviews) decide(w http.ResponseWriter, req *http.Request) error {
	a, err := r.analysis(req.Context())
	if err != nil {
		return err
	}
	const back = "/reviews/risk#findings"
	i := slices.IndexFunc(a.Findings, func(f finding) bool { return f.ID == req.PathValue("finding") })
	if i < 0 {
		return errUnknown
	}
	d := decision{Treatment: req.PostFormValue("treatment"), Reason: strings.TrimSpace(req.PostFormValue("reason")), Owner: id.Person(req.PostFormValue("owner")), Person: id.From(req.Context()).Person, At: r.Now()}
	here, err := r.People(req.Context())
	if err != nil {
		return err
	}
	if treatmentWords[d.Treatment] == "" || !isHere(here, d.Owner) || len(d.Reason) > longest {
		return wrong("A decision names what is done, and who sees to it.", back)
	}
	if d.Treatment == accept && len(d.Reason) < 3 {
		return wrong("To accept it needs a reason in your words.", back)
	}
	d.Due, err = time.Parse(time.DateOnly, req.PostFormValue("due"))
	if err != nil || d.Due.Before(r.Now().AddDate(0, 0, -1)) && req.PostFormValue("done") == "" || d.Due.After(r.Now().AddDate(2, 0, 0)) {
		return wrong("Please choose a day, within two years.", back)
	}
	d.Due = d.Due.AddDate(0, 0, 1) // until the end of that day
	if req.PostFormValue("done") == "yes" {
		d.Done = r.Now()
	}
	if err := r.keepDecision(req.Context(), a.Findings[i].ID, d); err != nil {
		return err
	}
	return web.SeeOther(w, req, back)
}

func html(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write([]byte(strings.Replace(text, `<link rel="stylesheet" href="../binder.css">`, "", 1)))
	return err
}

func (r *Reviews) readRisk(w http.ResponseWriter, req *http.Request) error {
	a, err := r.analysis(req.Context())
	if err != nil {
		return err
	}
	p, err := r.renderRisk(req.Context(), a)
	if err != nil {
		return err
	}
	return html(w, p.HTML)
}

func (r *Reviews) signRisk(w http.ResponseWriter, req *http.Request) error {
	a, err := r.analysis(req.Context())
	if err != nil {
		return err
	}
	if !a.Ready() {
		return wrong("It is still a draft: something is not answered, or a finding is not decided.", "/reviews/risk")
	}
	p, err := r.renderRisk(req.Context(), a)
	if err != nil {
		return err
	}
	if err := r.tapped(req, p); err != nil {
		return err
	}
	if err := r.did(req.Context(), riskAnalysis, done, "", time.Time{}); err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews/risk")
}

// tapped signs a paper with the person's passkey: the tap names the hash of the
// very text, so that nothing else is signed.
func (r *Reviews) tapped(req *http.Request, p paper) error {
	ctx, end, err := r.Tap(req, actSign, object(p))
	if err != nil {
		return err
	}
	defer end()
	was, err := r.newest(ctx, p.Kind)
	if err != nil {
		return err
	}
	if p.ID = string(id.New[id.Record]()); was != nil && was.HTML == p.HTML {
		p.ID = was.ID
	}
	return r.sign(ctx, p, id.From(req.Context()).Person)
}

type vendorsPage struct {
	Vendors  []vendor
	Practice string
	Edit     vendor
	Unknown  layer.State
	YourWord layer.State
}

func (r *Reviews) showVendors(w http.ResponseWriter, req *http.Request) error {
	all, err := r.vendors(req.Context())
	if err != nil {
		return err
	}
	p := vendorsPage{Vendors: all, Practice: r.Practice(), Unknown: layer.NotKnown, YourWord: layer.YourWord}
	for _, v := range all {
		if v.ID == req.URL.Query().Get("edit") {
			p.Edit = v
		}
	}
	return r.pages.Show(w, req, "vendors", web.View{Title: "Vendors", Data: p})
}

func (r *Reviews) saveVendor(w http.ResponseWriter, req *http.Request) error {
	field := func(name string) string { return strings.TrimSpace(req.PostFormValue(name)) }
	v := vendor{ID: field("id"), Name: field("name"), Holds: field("holds"), Signed: field("signed"), Review: field("review"), Because: field("because"), Contact: field("contact"), Person: id.From(req.Context()).Person, At: r.Now()}
	if v.ID == "" {
		v.ID = string(id.New[id.Record]())
	}
	if id.Check(v.ID) != nil || v.Name == "" || v.Holds == "" || len(v.Name) > 100 || len(v.Holds)+len(v.Because)+len(v.Contact) > longest {
		return wrong("A vendor needs a name, and what it holds of patients’ information, in up to 500 characters.", "/reviews/vendors")
	}
	for _, day := range []string{v.Signed, v.Review} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return wrong("A day is written like 2027-03-01.", "/reviews/vendors")
		}
	}
	if v.Signed > r.Now().Format(time.DateOnly) {
		return wrong("An agreement cannot have been signed on a day to come.", "/reviews/vendors")
	}
	if err := r.keepVendor(req.Context(), v); err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews/vendors")
}

func (r *Reviews) dropVendor(w http.ResponseWriter, req *http.Request) error {
	if err := r.closeVendor(req.Context(), req.PathValue("vendor")); err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews/vendors")
}

type papersPage struct {
	Papers []paperRow
	Officials
	People []personRow
	Owner  bool
}

// Officials are who answers, by name.
type Officials struct {
	Security, Privacy id.Person
}

type paperRow struct {
	policy
	Mine    time.Time // when this person signed what stands there now
	Signed  int
	Of      int
	Changed bool // what would be signed today is not what was signed
	State   layer.State
}

func (r *Reviews) showPapers(w http.ResponseWriter, req *http.Request) error {
	ctx := req.Context()
	here, err := r.People(ctx)
	if err != nil {
		return err
	}
	p := papersPage{Owner: true}
	me := id.From(ctx).Person
	for _, pol := range policies() {
		row := paperRow{policy: pol, Of: len(here), State: layer.NotKnown}
		now, err := r.render(ctx, pol)
		if err != nil {
			return err
		}
		was, err := r.newest(ctx, pol.ID)
		if err != nil {
			return err
		}
		if was != nil {
			row.Changed = was.Parts["text"] != now.Parts["text"]
			row.Mine, _ = was.By(me)
			for _, s := range was.Signed {
				if isHere(here, s.Person) {
					row.Signed++
				}
			}
			if row.Signed > 0 && !row.Changed {
				row.State = layer.YourWord
			}
		}
		p.Papers = append(p.Papers, row)
	}
	o, err := r.officials(ctx)
	if err != nil {
		return err
	}
	p.Officials = Officials{o.Security, o.Privacy}
	if p.People, err = r.people(ctx); err != nil {
		return err
	}
	return r.pages.Show(w, req, "papers", web.View{Title: "Our rules", Data: p})
}

type paperPage struct {
	policy
	Text    []printedParagraph
	Object  string
	Mine    time.Time
	Version time.Time
}

// current is what is signed today: the version that stands while its text is the
// same, else a new one.
func (r *Reviews) current(ctx context.Context, kind string) (policy, paper, error) {
	i := slices.IndexFunc(policies(), func(p policy) bool { return p.ID == kind })
	if i < 0 {
		return policy{}, paper{}, errUnknown
	}
	pol := policies()[i]
	now, err := r.render(ctx, pol)
	if err != nil {
		return pol, now, err
	}
	was, err := r.newest(ctx, kind)
	if err != nil || was == nil || was.Parts["text"] != now.Parts["text"] {
		return pol, now, err
	}
	return pol, *was, nil
}

func (r *Reviews) readPaper(w http.ResponseWriter, req *http.Request) error {
	pol, p, err := r.current(req.Context(), req.PathValue("kind"))
	if err != nil {
		return err
	}
	if req.URL.Query().Get("print") != "" {
		return html(w, p.HTML)
	}
	page := paperPage{policy: pol, Object: object(p), Version: p.At}
	page.Mine, _ = p.By(id.From(req.Context()).Person)
	o, err := r.officials(req.Context())
	if err != nil {
		return err
	}
	for _, para := range pol.Paragraphs {
		text := strings.NewReplacer("{{.Practice}}", r.Practice(), "{{.Security}}", r.named(req.Context(), o.Security), "{{.Privacy}}", r.named(req.Context(), o.Privacy)).Replace(para.Text)
		page.Text = append(page.Text, printedParagraph{Text: text})
	}
	return r.pages.Show(w, req, "paper", web.View{Title: pol.Title, Scripts: []string{script}, Data: page})
}

func (r *Reviews) signPaper(w http.ResponseWriter, req *http.Request) error {
	_, p, err := r.current(req.Context(), req.PathValue("kind"))
	if err != nil {
		return err
	}
	if err := r.tapped(req, p); err != nil {
		return err
	}
	n, err := r.policiesSigned(req.Context())
	if err != nil {
		return err
	}
	if t, err := r.turn(req.Context(), "policies"); err != nil {
		return err
	} else if n == len(policies()) && (t.Last.IsZero() || !r.Now().Before(t.Due)) {
		if err := r.did(req.Context(), "policies", done, "", time.Time{}); err != nil {
			return err
		}
	}
	return web.SeeOther(w, req, "/reviews/papers")
}

func (r *Reviews) saveOfficials(w http.ResponseWriter, req *http.Request) error {
	here, err := r.People(req.Context())
	if err != nil {
		return err
	}
	o := officials{id.Person(req.PostFormValue("security")), id.Person(req.PostFormValue("privacy")), r.Now()}
	if !isHere(here, o.Security) || !isHere(here, o.Privacy) {
		return wrong("Please choose two people of the practice; they may be the same.", "/reviews/papers#officials")
	}
	if err := r.keepOfficials(req.Context(), o); err != nil {
		return err
	}
	return web.SeeOther(w, req, "/reviews/papers")
}

// makeFeed makes the address of the calendar anew; the old one shows nothing any more.
func (r *Reviews) makeFeed(w http.ResponseWriter, req *http.Request) error {
	token := string(id.New[id.Record]())
	h := sha256.Sum256([]byte(token))
	err := r.DB.Update(req.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(req.Context(), `INSERT INTO reviews_kept (name, value) VALUES ('feed', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, hex.EncodeToString(h[:]))
		return err
	})
	if err != nil {
		return fmt.Errorf("make the address of the calendar: %w", err)
	}
	return web.SeeOther(w, req, "/reviews?feed="+token)
}

// feed is the calendar for other programs (RFC 5545): days, and no word of what.
func (r *Reviews) feed(w http.ResponseWriter, req *http.Request) error {
	token := strings.TrimSuffix(req.PathValue("token"), ".ics")
	var kept string
	err := r.DB.QueryRowContext(req.Context(), `SELECT COALESCE(MAX(value), '') FROM reviews_kept WHERE name = 'feed'`).Scan(&kept)
	if err != nil {
		return fmt.Errorf("read the address of the calendar: %w", err)
	}
	h := sha256.Sum256([]byte(token))
	if id.Check(token) != nil || subtle.ConstantTimeCompare([]byte(hex.EncodeToString(h[:])), []byte(kept)) != 1 {
		return &web.Error{Status: http.StatusNotFound, Text: "There is no calendar here."}
	}
	turns, err := r.turns(req.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Quietroom//Reviews//EN\r\n")
	for i, t := range turns {
		fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:%d-%s@quietroom\r\nDTSTAMP:%s\r\nDTSTART;VALUE=DATE:%s\r\nSUMMARY:Quietroom: something is due\r\nEND:VEVENT\r\n",
			i, t.Due.Format("20060102"), r.Now().UTC().Format("20060102T150405Z"), t.Due.Format("20060102"))
	}
	b.WriteString("END:VCALENDAR\r\n")
	_, err = w.Write([]byte(b.String()))
	return err
}
