package trackers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

func (t *Trackers) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Web site", Path: "/site", Owner: true})
	m.Handle("GET /site", t.show, web.Owner)
	m.Handle("POST /site", t.setSite, web.Owner)
	m.Handle("POST /site/sites/{site}/scan", t.startScan, web.Owner)
	m.Handle("POST /site/sites/{site}/stop", t.stopScan, web.Owner)
	m.Handle("POST /site/sites/{site}/remove", t.takeOff, web.Owner)
	m.Handle("GET /site/scans/{scan}", t.showScan, web.Owner)
	m.Handle("GET /site/scans/{scan}/traffic.har", t.sendTraffic, web.Owner)
	m.Handle("GET /site/scans/{scan}/pictures/{name}", t.sendPicture, web.Owner)
	m.Handle("GET /site/harms/{harm}", t.showHarm, web.Owner)
	m.Handle("POST /site/harms/{harm}", t.setDecision, web.Owner)
}

var errUnknown = &web.Error{Status: http.StatusNotFound, Text: "There is no such thing here.", Back: "/site"}

// What an owner may say is done about a harm.
const (
	decidedRemoved = "removed"
	decidedAgreed  = "agreement"
	decidedCounsel = "counsel"
)

var decisions = map[string]string{
	decidedRemoved: "We took it out. The next scan shows whether it is gone.",
	decidedAgreed:  "It may stay: there is an agreement with them.",
	decidedCounsel: "Our lawyer looks at it.",
}

// sitePage is what site.html gets.
type sitePage struct {
	Sites  []siteRow
	MadeUp bool
}

type siteRow struct {
	Site
	State   layer.Evidence
	Doing   bool
	At      Progress
	Began   time.Time
	Looks   []Looked
	Open    []Kept
	Decided []decidedRow
	Gone    []Kept
	Checks  []checkRow
	Who     string
	Newest  string // the newest scan with a report
}

type decidedRow struct {
	Kept
	Said, Who string
}

type checkRow struct {
	Check
	Is layer.State
}

const mostShown = 12

func (t *Trackers) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	sites, err := t.sites(ctx)
	if err != nil {
		return err
	}
	p := sitePage{MadeUp: t.Local}
	for _, s := range sites {
		row, err := t.row(ctx, s)
		if err != nil {
			return err
		}
		p.Sites = append(p.Sites, row)
	}
	return t.pages.Show(w, r, "site", web.View{Title: "Web site", Data: p})
}

func (t *Trackers) row(ctx context.Context, s Site) (row siteRow, err error) {
	row = siteRow{Site: s, Who: t.Name(ctx, s.By)}
	doing, at, began := t.Doing()
	row.Doing, row.At, row.Began = doing == s.ID, at, began
	if row.Looks, err = t.looks(ctx, s.ID, mostShown); err != nil {
		return row, err
	}
	harms, err := readHarms(ctx, t.DB, `site = $1`, s.ID)
	if err != nil {
		return row, err
	}
	for _, k := range harms {
		switch {
		case k.Open():
			row.Open = append(row.Open, k)
		case k.Gone.IsZero():
			row.Decided = append(row.Decided, decidedRow{k, decisions[k.Decision], t.Name(ctx, k.By)})
		case len(row.Gone) < mostShown:
			row.Gone = append(row.Gone, k)
		}
	}
	slices.SortStableFunc(row.Open, func(a, b Kept) int { return a.Severity.rank() - b.Severity.rank() })
	claims, err := t.siteClaims(ctx, s)
	if err != nil {
		return row, err
	}
	for i, c := range claims {
		c = c.At(t.Now())
		if i == 0 || c.Claim == "trackers.scan" || c.State == layer.NeedsYou && row.State.State != layer.NeedsYou {
			row.State = c
		}
	}
	for _, l := range row.Looks {
		if l.State == failed {
			continue
		}
		row.Newest = l.ID
		res, err := l.Result()
		if err != nil {
			return row, err
		}
		row.Checks = checkRows(res.Checks)
		break
	}
	return row, nil
}

func checkRows(all []Check) (rows []checkRow) {
	for _, c := range all {
		rows = append(rows, checkRow{c, map[State]layer.State{Good: layer.Safe, Needs: layer.NeedsYou}[c.State]})
	}
	return rows
}

// Call says a severity as a person would.
func (k Kept) Call() string {
	return map[Severity]string{Stop: "Stop", Fix: "Fix", Know: "Good to know"}[k.Severity]
}

// Is is the state whose shape a severity has.
func (k Kept) Is() layer.State { return severityState(k.Severity) }

func severityState(s Severity) layer.State {
	return map[Severity]layer.State{Stop: layer.Urgent, Fix: layer.NeedsYou, Know: layer.NotKnown}[s]
}

func refuse(text, fix string) error {
	return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix, Back: "/site"}
}

func (t *Trackers) setSite(w http.ResponseWriter, r *http.Request) error {
	s := Site{ID: r.PostFormValue("site"), URL: strings.TrimSpace(r.PostFormValue("url"))}
	if s.URL != "" && !strings.Contains(s.URL, "://") {
		s.URL = "https://" + s.URL
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return refuse("This is no address of a web site.", "It looks like https://your-practice.example.")
	}
	if r.PostFormValue("ours") != "yes" {
		return refuse("Is this site yours?", "A scan opens only sites of which an owner has said that they are the practice’s own. Tick the box.")
	}
	s.Hosts = lines(r.PostFormValue("hosts"))
	for i, h := range s.Hosts {
		if hu, err := url.Parse("https://" + strings.TrimPrefix(strings.TrimPrefix(h, "https://"), "http://")); err == nil && hu.Host != "" && !strings.ContainsAny(hu.Host, " @") {
			s.Hosts[i] = hu.Host
		} else {
			return refuse("“"+h+"” is no name of a host.", "One a line, such as booking.your-practice.example.")
		}
	}
	own := newParty(u, s.Hosts)
	s.Named, s.Tests = lines(r.PostFormValue("named")), lines(r.PostFormValue("tests"))
	for _, p := range slices.Concat(s.Named, s.Tests) {
		if pu, err := url.Parse(p); err != nil || !own.visits(pu.Host) {
			return refuse("“"+p+"” is no page of this site.", "Write the whole address of each page, one a line. If it is on another host that is yours, name that host too.")
		}
	}
	if s.Days, err = strconv.Atoi(r.PostFormValue("days")); err != nil || s.Days < 0 || s.Days > 90 {
		s.Days = 7
	}
	if s.ID == "" {
		s.ID = string(id.New[id.Record]())
	} else if _, err := t.site(r.Context(), s.ID); err != nil {
		return err
	}
	if err := t.nameSite(r.Context(), s); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/site")
}

func (t *Trackers) startScan(w http.ResponseWriter, r *http.Request) error {
	s, err := t.site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	if doing, _, _ := t.Doing(); doing != "" {
		return errBusy
	}
	ctx := context.WithoutCancel(r.Context())
	go func() {
		if err := t.Look(ctx, s); err != nil && !errors.Is(err, errBusy) {
			t.Log.ErrorContext(ctx, "a scan was not kept", "site", s.ID, "err", err)
		}
	}()
	return web.SeeOther(w, r, "/site")
}

func (t *Trackers) stopScan(w http.ResponseWriter, r *http.Request) error {
	if _, err := t.site(r.Context(), r.PathValue("site")); err != nil {
		return err
	}
	t.halt(r.PathValue("site"))
	return web.SeeOther(w, r, "/site")
}

func (t *Trackers) takeOff(w http.ResponseWriter, r *http.Request) error {
	s, err := t.site(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	t.halt(s.ID)
	if err := t.removeSite(r.Context(), s); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/site")
}

// scanPage is what scan.html gets.
type scanPage struct {
	Looked
	Result    *Result
	Sentence  string
	Groups    []group
	Checks    []checkRow
	Took      string
	Receivers []Receiver
	Laws      []Law
	LawDay    string
}

type group struct {
	Head  string
	State layer.State
	Word  string
	Harms []Harm
}

func (t *Trackers) showScan(w http.ResponseWriter, r *http.Request) error {
	l, err := t.look(r.Context(), r.PathValue("scan"))
	if err != nil {
		return err
	}
	if l.State == failed {
		return errUnknown
	}
	res, err := l.Result()
	if err != nil {
		return err
	}
	p := scanPage{Looked: l, Result: res, Sentence: Summary(res), Checks: checkRows(res.Checks), Took: took(res), Receivers: res.Receivers, Laws: Laws, LawDay: lawData}
	all := Harms(res)
	for _, g := range []group{{"Stop", layer.Urgent, "Stop", nil}, {"Fix", layer.NeedsYou, "Fix", nil}, {"Good to know", layer.NotKnown, "Know", nil}} {
		for _, h := range all {
			if severityState(h.Severity) == g.State {
				g.Harms = append(g.Harms, h)
			}
		}
		if len(g.Harms) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	return t.pages.Show(w, r, "scan", web.View{Title: "A scan of the web site", Data: p})
}

func took(r *Result) string {
	if d := time.Duration(r.TookMS) * time.Millisecond; d >= time.Minute {
		return web.Minutes(int((d + 30*time.Second) / time.Minute))
	}
	return "less than a minute"
}

func (t *Trackers) sendTraffic(w http.ResponseWriter, r *http.Request) error {
	har, err := t.traffic(r.Context(), r.PathValue("scan"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="traffic.har"`)
	_, err = w.Write(har)
	return err
}

func (t *Trackers) sendPicture(w http.ResponseWriter, r *http.Request) error {
	png, err := t.picture(r.Context(), r.PathValue("scan"), r.PathValue("name"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	_, err = w.Write(png)
	return err
}

// harmPage is what harm.html gets.
type harmPage struct {
	Kept
	Harm     *Harm
	Question string
	Why      string
	Things   []thing
	More     int
	Places   []Place
	Letter   string
	Picture  string
	Seen     time.Time
	HAR      string
	Traffic  bool
	Said     string
	ByName   string
	Laws     []Law
	LawDay   string
	Agreed   string
	Removed  string
	Counsel  string
}

// thing is one finding as its proof shows it.
type thing struct {
	Finding
	Sent string // the request, without its long tail
}

// mostThings is how many requests one page shows.
const mostThings = 12

func (t *Trackers) showHarm(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	k, err := t.harm(ctx, r.PathValue("harm"))
	if err != nil {
		return err
	}
	p := harmPage{Kept: k, Question: t.question(k), Said: decisions[k.Decision], ByName: t.Name(ctx, k.By), Laws: Laws, LawDay: lawData, Agreed: decidedAgreed, Removed: decidedRemoved, Counsel: decidedCounsel}
	l, err := t.look(ctx, k.Scan)
	if err != nil {
		return err
	}
	res, err := l.Result()
	if err != nil {
		return err
	}
	p.Seen, p.HAR, p.Traffic = l.At, l.HAR, l.Proof
	for _, h := range Harms(res) {
		if h.Key == k.Word {
			p.Harm = &h
			break
		}
	}
	if p.Harm == nil {
		return errUnknown
	}
	p.Why, p.Places, p.Letter = p.Harm.Findings[0].Why, TakeOut(*p.Harm, res), Letter(*p.Harm, l.At)
	if name := p.Harm.Findings[0].Evidence.Picture; name != "" && l.Proof {
		p.Picture = "/site/scans/" + l.ID + "/pictures/" + name
	}
	for _, f := range p.Harm.Findings {
		if len(p.Things) == mostThings {
			p.More = len(p.Harm.Findings) - mostThings
			break
		}
		p.Things = append(p.Things, thing{f, cut(f.URL, 160)})
	}
	return t.pages.Show(w, r, "harm", web.View{Title: "What was seen on the web site", Data: p})
}

func (t *Trackers) setDecision(w http.ResponseWriter, r *http.Request) error {
	k, err := t.harm(r.Context(), r.PathValue("harm"))
	if err != nil {
		return err
	}
	said := r.PostFormValue("decision")
	if decisions[said] == "" {
		return refuse("Please choose what is done about it.", "")
	}
	if err := t.decide(r.Context(), k, said); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/site")
}
