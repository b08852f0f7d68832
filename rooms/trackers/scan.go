package trackers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/leak"
	"quietroom/rooms/trackers/vendors"
)

// Errors of a scan that cannot begin. Their texts are for people.
var (
	ErrAddress   = errors.New("this is no address of a web site; it begins with https:// or http://")
	ErrLocal     = errors.New("this site is on this machine or its network, which a scan leaves alone; say --allow-local for a site of your own on this machine")
	ErrNoSite    = errors.New("the site did not answer; look whether the address is right and this machine is on the Internet")
	errElsewhere = errors.New("it leads to another site")
)

// usualPages is how many pages a scan opens if nobody says.
const usualPages = 12

// Options say what to scan, and how.
type Options struct {
	URL     string
	Pages   int // at most so many; 12 if zero
	Consent chrome.Consent
	Local   bool      // a site on this machine; all of 127.0.0.0/8 is allowed then
	Hosts   []string  // more hosts that the owner says are theirs
	Named   []string  // pages to visit in any case
	Tests   []string  // pages whose form the owner marked as a test: it may be sent
	Dir     string    // an empty directory for the browser's profile
	Lists   io.Reader // EasyPrivacy or a list like it, loaded by the user; may be nil
	Now     func() time.Time
	Rand    io.Reader
	Net     chrome.Network
	Mail    MailRecords                                            // nil: the domain's records are not looked at
	Alias   func(ctx context.Context, host string) (string, error) // the name that a name stands for; the system's resolver if nil
	Step    func(Progress)
	Most    time.Duration // for one visit of a page; 90 seconds if zero

	naive bool // find only what is sent as it was typed; for the drill, which must then fail
	once  bool // visit each page once; for tests of what is seen at the first visit
}

// Progress tells how far a scan is.
type Progress struct {
	Done, Total int
	Page        string
	Stage       chrome.Stage
}

// scan is one run.
type scan struct {
	Options
	start   *url.URL
	party   party
	browser *chrome.Browser
	ask     asker
	patient *patient
	clicks  []leak.Secret
	front   *frontier
	pages   []*seen
	list    hostList
	visits  map[int]*chrome.Visit
	byVisit map[int]*seen
	banner  bool
	result  *Result
}

// Scan visits a site as a patient would, and says what left. Where ctx ends in
// between, it returns what was seen until then, with Stopped set.
func Scan(ctx context.Context, o Options) (*Result, error) {
	s, err := newScan(o)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := s.Net.Resolve(ctx, s.start.Hostname()); errors.Is(err, chrome.ErrLocal) {
		return nil, ErrLocal
	} else if err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrNoSite, err)
	}
	s.browser, err = chrome.Open(ctx, chrome.Config{Dir: o.Dir, Net: s.Net, Now: s.Now, Own: s.party.visits, Unguarded: o.Local})
	if err != nil {
		return nil, err
	}
	defer s.browser.Close()
	if err := s.walk(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	s.result.Stopped = ctx.Err() != nil
	s.conclude()
	if ctx.Err() == nil {
		s.result.Checks = append(s.result.Checks, s.checks(ctx)...)
	}
	s.result.TookMS = time.Since(began).Milliseconds()
	return s.result, nil
}

func newScan(o Options) (*scan, error) {
	u, err := url.Parse(strings.TrimSpace(o.URL))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, ErrAddress
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if o.Pages <= 0 {
		o.Pages = usualPages
	}
	if o.Consent == "" {
		o.Consent = chrome.Ignore
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	o.Net.Local = o.Local
	s := &scan{Options: o, start: u, party: newParty(u, o.Hosts), visits: map[int]*chrome.Visit{}, byVisit: map[int]*seen{}}
	s.patient = newPatient(leak.Marks{Rand: o.Rand})
	s.result = &Result{URL: u.String(), Began: o.Now(), Consent: o.Consent, Findings: []Finding{}, Pages: []Page{}, Receivers: []Receiver{}, Checks: []Check{}, Notes: []string{}, shots: map[string][]byte{},
		Data: Data{Rules: vendors.Made, Vendors: vendors.Listed, Law: lawData}}
	check := func(tls.ConnectionState) error { return nil } // read only; the site's own certificate is judged by itself
	s.ask = asker{s.Net.Client(check), s.party}
	if o.Lists != nil {
		if s.list, err = readList(o.Lists); err != nil {
			return nil, fmt.Errorf("read the list of trackers: %w", err)
		}
	}
	return s, s.drawClicks()
}

// uncloak finds hosts under the owner's own name that stand for somebody else's:
// a tracker may be let in through a side door.
func (s *scan) uncloak(all []chrome.Exchange) {
	alias := s.Alias
	if alias == nil {
		alias = net.DefaultResolver.LookupCNAME
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	asked := map[string]bool{}
	s.party.cloaked = map[string]string{}
	for _, e := range all {
		host, _ := split(strings.ToLower(e.URL.Host))
		if asked[host] || isIP(host) || s.party.visits(e.URL.Host) || !s.party.own(e.URL.Host) || s.Alias == nil && strings.HasSuffix(host, ".localhost") {
			continue
		}
		asked[host] = true
		if to, err := alias(ctx, host); err == nil {
			to = strings.TrimSuffix(strings.ToLower(to), ".")
			if to != "" && !slices.Contains(s.party.sites, vendors.Site(to)) {
				s.party.cloaked[host] = to
			}
		}
	}
}

// drawClicks makes the numbers that advertisers add to an address.
func (s *scan) drawClicks() error {
	for _, name := range []string{"gclid", "fbclid", "msclkid", "ttclid"} {
		a, err := s.patient.marks.Word()
		if err != nil {
			return err
		}
		b, err := s.patient.marks.Word()
		if err != nil {
			return err
		}
		s.clicks = append(s.clicks, leak.Secret{Name: "the number of the ad that was clicked (" + name + ")", Value: a + b})
	}
	return nil
}

func (s *scan) withClicks(u *url.URL) string {
	c := *u
	q := c.Query()
	for i, name := range []string{"gclid", "fbclid", "msclkid", "ttclid"} {
		q.Set(name, s.clicks[i].Value)
	}
	c.RawQuery = q.Encode()
	return c.String()
}

// walk finds pages and visits them.
func (s *scan) walk(ctx context.Context) error {
	rules := robots{}
	base := s.start.Scheme + "://" + s.start.Host
	if status, _, body, err := s.ask.get(ctx, base+"/robots.txt"); err == nil && status == http.StatusOK {
		rules = readRobots(strings.NewReader(string(body)))
	}
	s.front = newFrontier(s.party, rules)
	s.front.add(s.start.String(), "", true)
	for _, n := range s.Named {
		s.front.add(n, "", true)
	}
	maps := rules.maps
	if len(maps) == 0 {
		maps = []string{base + "/sitemap.xml"}
	}
	for _, m := range maps[:min(len(maps), 3)] {
		s.ask.sitemap(ctx, m, 1, func(u string) { s.front.add(u, "", false) })
	}
	for len(s.pages) < s.Pages && ctx.Err() == nil {
		t, ok := s.front.next()
		if !ok {
			break
		}
		if err := s.one(ctx, t); err != nil {
			return err
		}
		s.rest(ctx, rules.delay)
	}
	if s.front.barred > 0 {
		s.result.Notes = append(s.result.Notes, fmt.Sprintf("The site’s robots.txt asks visitors like this scan to leave %s alone. They were not opened.", counted(s.front.barred, "page", "pages")))
	}
	return ctx.Err()
}

// rest waits between two pages, as a person does and as the site asks.
func (s *scan) rest(ctx context.Context, asked time.Duration) {
	if s.Local && asked == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(max(asked, 500*time.Millisecond)):
	}
}

// one pays the visits to one page: as a newcomer, with the numbers of an ad, and
// after the question about cookies was answered.
func (s *scan) one(ctx context.Context, t target) error {
	p := &seen{Page: Page{URL: t.url.String(), Kind: t.kind}, kind: t.kind}
	send := slices.Contains(s.Tests, t.url.String())
	v, err := s.visit(ctx, p, chrome.Order{URL: t.url.String(), Answer: chrome.Ignore, Fill: s.patient.fill, Shot: true, Send: send})
	if v == nil {
		return err
	}
	if len(s.pages) == 0 && v.Problem == chrome.Unreachable && ctx.Err() == nil {
		return fmt.Errorf("%w (%s)", ErrNoSite, v.Why)
	}
	s.describe(p, t, v)
	s.pages = append(s.pages, p)
	s.front.offer(v) // also of a page that did not come to an end
	if err != nil || v.Problem != "" || s.once {
		return err
	}
	s.banner = s.banner || v.Banner
	if s.Consent != chrome.Ignore && s.banner {
		if v, err = s.visit(ctx, p, chrome.Order{URL: s.withClicks(t.url), Answer: s.Consent, Fill: s.patient.fill, Press: true}); err == nil && v.Answered != "" {
			p.Answered = v.Answered
		}
		return err
	}
	o := chrome.Order{URL: s.withClicks(t.url), Answer: chrome.Ignore}
	if p.Fields > 0 { // what is told only of visitors who came by an ad, and what a form's button would tell
		o.Fill, o.Press = s.patient.fill, true
	}
	_, err = s.visit(ctx, p, o)
	return err
}

// visit is one visit, noted.
func (s *scan) visit(ctx context.Context, p *seen, o chrome.Order) (*chrome.Visit, error) {
	o.Stage = func(st chrome.Stage) {
		if s.Step != nil {
			s.Step(Progress{Done: len(s.pages), Total: s.total(), Page: p.URL, Stage: st})
		}
	}
	o.Most = s.Most
	fill := o.Fill
	if fill != nil {
		o.Fill = func(f chrome.Field) (string, bool) {
			before := len(s.patient.typed)
			value, ok := fill(f)
			for i := before; i < len(s.patient.typed); i++ {
				s.patient.typed[i].page = p.URL
			}
			return value, ok
		}
	}
	v, err := s.browser.Visit(ctx, o)
	if v == nil {
		return nil, err
	}
	s.visits[v.N], s.byVisit[v.N] = v, p
	p.visits = append(p.visits, v)
	p.TookMS += v.Took.Milliseconds()
	for _, f := range v.Filled {
		if f.Chosen != "" || f.Type == "radio" || f.Type == "checkbox" || f.Type == "select" {
			s.patient.chose(p.URL, f)
		}
	}
	return v, err
}

func (s *scan) total() int {
	if s.front == nil {
		return 1
	}
	return max(1, min(s.Pages, len(s.pages)+1+len(s.front.queue)))
}

// describe notes what a page is.
func (s *scan) describe(p *seen, t target, v *chrome.Visit) {
	p.Title, p.Status, p.Problem, p.Why, p.Banner, p.Login, p.Captcha, p.Unseen = v.Title, v.Status, v.Problem, v.Why, v.Banner, v.Password, v.Captcha, v.Closed
	for _, f := range v.Filled {
		if f.Value != "" || f.Chosen != "" {
			p.Fields++
		}
	}
	if p.kind == Other || p.kind == About || p.kind == HomePage {
		if k := kindOf(t.url, v.Title, ""); p.kind != HomePage && k != Other {
			p.kind = k
		}
		switch {
		case v.Password && p.kind != HomePage:
			p.kind = SignIn
		case slices.ContainsFunc(v.Forms, func(f chrome.Form) bool { return f.Personal && f.Fields > 2 }) && p.kind != HomePage:
			p.kind = ContactUs
		}
	}
	p.Kind = p.kind
	if len(v.Shot) > 0 {
		p.Picture = fmt.Sprintf("page-%02d.png", len(s.pages)+1)
		s.result.shots[p.Picture] = v.Shot
	}
}

// conclude judges what was recorded.
func (s *scan) conclude() {
	all := slices.DeleteFunc(s.browser.Exchanges(), func(e chrome.Exchange) bool { return e.Refused == chrome.Itself })
	r := s.result
	s.uncloak(all)
	r.Browser, r.Sandbox, r.PeakBytes, r.Requests = "Chromium "+s.browser.Version, s.browser.Sandbox, s.browser.Peak(), len(all)
	j := &judge{naive: s.naive, party: s.party, list: s.list, patient: s.patient, clicks: s.clicks, pages: s.pages, byVisit: s.byVisit, visits: s.visits, all: all}
	r.Findings = append(r.Findings, j.verdicts()...)
	r.Notes = append(r.Notes, j.notes...)
	for _, p := range s.pages {
		r.Pages = append(r.Pages, p.Page)
	}
	r.Receivers = append(r.Receivers, s.receivers(all)...)
	r.MadeWith = s.madeWith(all)
	r.har = archive(all, s.byVisit, r)
	sum := sha256.Sum256(r.har)
	r.HAR = hex.EncodeToString(sum[:])
	s.notes()
}

// receivers lists everybody who was asked for anything.
func (s *scan) receivers(all []chrome.Exchange) []Receiver {
	by := map[string]*Receiver{}
	for _, e := range all {
		page := s.byVisit[e.Mark.Visit]
		if s.party.own(e.URL.Host) || page == nil || e.Refused == chrome.Local {
			continue
		}
		host, _ := split(e.URL.Host)
		r := by[host]
		if r == nil {
			v := s.party.vendor(e.URL)
			r = &Receiver{Host: host, Vendor: v.Name, Category: v.Category}
			by[host] = r
		}
		r.Requests++
		if !slices.Contains(r.Pages, page.URL) {
			r.Pages = append(r.Pages, page.URL)
		}
	}
	var list []Receiver
	for _, r := range by {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Receiver) int { return strings.Compare(a.Host, b.Host) })
	return list
}

// madeWith are marks in the site's own addresses of what it is made with.
func (s *scan) madeWith(all []chrome.Exchange) (marks []string) {
	for _, e := range all {
		if !s.party.own(e.URL.Host) {
			continue
		}
		for _, m := range []string{"/wp-content/", "/wp-includes/", "/wp-json/"} {
			if strings.Contains(e.URL.Path, m) && !slices.Contains(marks, m) {
				marks = append(marks, m)
			}
		}
	}
	return marks
}

// notes say what this scan could not see.
func (s *scan) notes() {
	note := func(format string, a ...any) { s.result.Notes = append(s.result.Notes, fmt.Sprintf(format, a...)) }
	if !s.result.Sandbox {
		note("The browser ran without its sandbox, because this machine does not let it have one.")
	}
	for host := range s.browser.Certificates() {
		if s.party.own(host) {
			note("Visitors’ browsers warn of %s: its certificate is not one that they believe. The scan looked at it all the same.", host)
		}
	}
	for _, p := range s.pages {
		switch p.Problem {
		case chrome.Blocked:
			note("Not known: %s shows visitors like this scan something else (status %d). Look yourself: open the page in your own browser, press F12, choose Network, fill the form and watch which other hosts appear.", p.URL, p.Status)
		case chrome.Hung:
			note("Not known: %s did not come to an end. What left until then is listed.", p.URL)
		case chrome.Crashed:
			note("Not known: %s ended the browser (%s). What left until then is listed.", p.URL, p.Why)
		case chrome.Unreachable:
			note("Not known: %s could not be opened (%s).", p.URL, p.Why)
		case chrome.Elsewhere:
			note("%s leads to another site, %s. That one was not looked at.", p.URL, p.Why)
		}
		if p.Captcha {
			note("%s asks visitors to prove that they are people. What happens after that was not seen.", p.URL)
		}
		if p.Login {
			note("%s asks for a password. What lies behind it was not seen.", p.URL)
		}
		if p.Unseen > 0 {
			note("%s has %s that could not be looked into; what they send is listed all the same.", p.URL, counted(p.Unseen, "frame", "frames"))
		}
	}
	if s.Consent != chrome.Ignore && s.banner && !slices.ContainsFunc(s.pages, func(p *seen) bool { return p.Answered != "" }) {
		note("The site asks about cookies, and no way to answer %q was found.", s.Consent)
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
