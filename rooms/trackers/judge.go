package trackers

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/leak"
	"quietroom/rooms/trackers/vendors"
)

// seen is one page with the visits that were paid to it.
type seen struct {
	Page
	visits []*chrome.Visit
	kind   string
}

// judge reads what was recorded, and says what it was.
type judge struct {
	naive   bool // only what was sent as it was typed
	party   party
	list    hostList
	patient *patient
	clicks  []leak.Secret
	pages   []*seen
	byVisit map[int]*seen
	visits  map[int]*chrome.Visit
	all     []chrome.Exchange

	finder  *leak.Finder
	sorts   []sorted
	cache   map[string][]leak.Hit
	found   map[string]bool
	told    map[int]bool // exchanges of which something was said
	results []Finding
	notes   []string
}

// sorted is what a secret is, beside its name.
type sorted struct {
	kind   string
	page   string // where it belongs to; empty: anywhere
	choice bool
}

// verdicts are all findings, the worst first.
func (j *judge) verdicts() []Finding {
	j.order()
	j.cache, j.found, j.told = map[string][]leak.Hit{}, map[string]bool{}, map[int]bool{}
	j.gather()
	for i := range j.all {
		j.exchange(&j.all[i])
	}
	j.trails()
	j.recordings()
	j.rest()
	for _, p := range j.pages {
		j.page(p)
	}
	for i := range j.results {
		j.results[i].Sentence, j.results[i].Why = say(j.results[i]), whyOf(j.results[i])
	}
	slices.SortStableFunc(j.results, func(a, b Finding) int { return a.Severity.rank() - b.Severity.rank() })
	return j.results
}

// order puts requests as the page made them: by several connections they may
// have arrived otherwise, and keys are sent one by one.
func (j *judge) order() {
	made := map[int]map[string][]int{}
	for n, v := range j.visits {
		made[n] = map[string][]int{}
		for i, ident := range v.Order {
			made[n][ident] = append(made[n][ident], i)
		}
	}
	at := make(map[int]int, len(j.all))
	last := 0
	for i := range j.all {
		e := &j.all[i]
		ident := chrome.Ident(e.Method, e.URL.String(), e.Body)
		if places := made[e.Mark.Visit][ident]; len(places) > 0 {
			last, made[e.Mark.Visit][ident] = places[0], places[1:]
		}
		at[e.N] = last // what the page's own record does not show stays beside its neighbour
	}
	j.all = slices.Clone(j.all)
	slices.SortStableFunc(j.all, func(a, b chrome.Exchange) int {
		if a.Mark.Visit != b.Mark.Visit {
			return a.Mark.Visit - b.Mark.Visit
		}
		return at[a.N] - at[b.N]
	})
}

// gather makes one finder of everything that must not leave.
func (j *judge) gather() {
	var secrets []leak.Secret
	add := func(s leak.Secret, about sorted) { secrets, j.sorts = append(secrets, s), append(j.sorts, about) }
	for _, m := range j.patient.typed {
		add(m.Secret, sorted{FormData, m.page, m.choice})
	}
	for _, c := range j.clicks {
		add(c, sorted{kind: Identifier})
	}
	for _, p := range j.pages {
		u, err := url.Parse(p.URL)
		if err != nil || p.kind == HomePage {
			continue
		}
		if len(u.Path) > 4 {
			add(leak.Secret{Name: "the address of the page", Value: u.Host + u.Path, Common: true}, sorted{PageFact, p.URL, false})
			add(leak.Secret{Name: "the address of the page", Value: u.Path, Exact: true}, sorted{PageFact, p.URL, false})
		}
		if len(p.Title) > 4 {
			add(leak.Secret{Name: "the title of the page", Value: p.Title, Common: true, Exact: len(p.Title) < 14}, sorted{PageFact, p.URL, false})
		}
	}
	for _, s := range j.ids() {
		add(s, sorted{kind: Identifier})
	}
	j.finder = leak.New(secrets)
}

// ids are numbers by which the site's own cookies know a visitor.
func (j *judge) ids() (all []leak.Secret) {
	seen := map[string]bool{}
	for _, v := range j.visits {
		for _, c := range v.Cookies {
			if len(c.Value) < 10 || seen[c.Value] || len(all) > 60 || !j.party.own(strings.TrimPrefix(c.Domain, ".")) && !j.party.own(hostOf(v.URL)) {
				continue
			}
			if plain, err := url.QueryUnescape(c.Value); err == nil && slices.ContainsFunc(j.patient.typed, func(m mark) bool { return len(m.Value) > 5 && strings.Contains(plain, m.Value) }) {
				continue // it was typed, and is looked for as that
			}
			seen[c.Value] = true
			all = append(all, leak.Secret{Name: fmt.Sprintf("a number that stands for the visitor (cookie “%s”)", c.Name), Value: c.Value, Common: true})
		}
	}
	return all
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// plainHeaders are read elsewhere, or written by the browser alone.
var plainHeaders = regexp.MustCompile(`(?i)^(host|user-agent|sec-fetch-.*|sec-ch-.*|sec-websocket-key|connection|content-length|referer|cookie|proxy-.*)$`)

// source is one place of a request in which something may stand.
type source struct {
	where string
	bytes []byte
}

// bodyRead bounds what is read of one body: what is typed stands in the first of it.
const bodyRead = 512 << 10

func sources(e *chrome.Exchange) []source {
	all := []source{{"address", []byte(e.URL.String())}}
	if len(e.Method) > 7 { // a method of its own
		all = append(all, source{"method", []byte(e.Method)})
	}
	if len(e.Body) > 0 {
		all = append(all, source{"body", e.Body[:min(len(e.Body), bodyRead)]})
	}
	var head strings.Builder
	for k, v := range e.Header {
		if !plainHeaders.MatchString(k) {
			fmt.Fprintf(&head, "%s: %s\n", k, strings.Join(v, ", "))
		}
	}
	if head.Len() > 0 {
		all = append(all, source{"header", []byte(head.String())})
	}
	for _, k := range []string{"Referer", "Cookie"} {
		if v := e.Header.Get(k); v != "" {
			all = append(all, source{strings.ToLower(strings.Replace(k, "Referer", "address before", 1)), []byte(v)})
		}
	}
	for _, f := range e.Frames {
		all = append(all, source{"socket", f.Data})
	}
	return all
}

// look finds secrets in one source, and remembers what it found there.
func (j *judge) look(s source) []leak.Hit {
	if hits, ok := j.cache[string(s.bytes)]; ok {
		return hits
	}
	hits := j.finder.Find(s.bytes)
	if len(s.bytes) < 4096 {
		j.cache[string(s.bytes)] = hits
	}
	return hits
}

func partsOf(e *chrome.Exchange) []leak.Part {
	parts := leak.Parts(e.URL, e.Header.Get("Content-Type"), e.Body[:min(len(e.Body), bodyRead)])
	for _, f := range e.Frames {
		parts = append(parts, leak.BodyParts("", f.Data)...)
	}
	return parts
}

// exchange judges one request by itself.
func (j *judge) exchange(e *chrome.Exchange) {
	page := j.byVisit[e.Mark.Visit]
	if page == nil || e.URL.Host == "" {
		return
	}
	if j.party.own(e.URL.Host) {
		j.relay(e, page)
		return
	}
	if e.Refused == chrome.Local {
		j.add(Finding{Kind: LocalNetwork, Severity: Fix, What: "an address on this machine or its network", Encoding: "plain"}, e, page, "address", e.URL.Host)
		return
	}
	for _, s := range sources(e) {
		for _, h := range j.look(s) {
			j.hit(e, page, h, s.where)
		}
	}
	parts := partsOf(e)
	for _, h := range j.finder.FindExact(parts) {
		j.hit(e, page, h, "request")
	}
	j.named(e, page, parts)
	if !j.told[e.N] {
		j.health(e, page, parts)
	}
}

// named finds what was chosen where its short value is sent under the field's own
// name: clinician=2.
func (j *judge) named(e *chrome.Exchange, page *seen, parts []leak.Part) {
	v := j.visits[e.Mark.Visit]
	if v == nil || !e.Mark.Stage.Filled() || j.naive {
		return
	}
	for _, f := range v.Filled {
		if f.Name == "" || f.Value == "" || len(f.Value) >= 8 || f.Type != "select" && f.Type != "radio" && f.Type != "number" {
			continue
		}
		for _, p := range parts {
			if strings.EqualFold(p.Key[strings.LastIndexAny(p.Key, ".[")+1:], f.Name) && strings.EqualFold(p.Value, f.Value) {
				j.add(Finding{Kind: FormData, What: strings.Replace(called("", f), "what was entered under", "what was chosen under", 1), Encoding: "plain"}, e, page, "request", p.Key+"="+p.Value)
			}
		}
	}
}

// healthWords tell by themselves what somebody is worried about.
var healthWords = regexp.MustCompile(`(?i)(^|[^a-z])(anxiety|depress(ion|ed|ive)|adhd|ptsd|ocd|bipolar|anorexia|bulimia|eating[-_ +]disorders?|addict(ion|ed|ions)|alcoholi(sm|c)|opioids?|suicid(e|al)|self[-_ +]?harm|psychosis|schizophrenia|postpartum|panic[-_ +]attacks?|insomnia|trauma|grief)([^a-z]|$)`)

// health finds such words in what somebody else is told, whatever page it is about.
func (j *judge) health(e *chrome.Exchange, page *seen, parts []leak.Part) {
	for _, p := range parts {
		if p.Key == "host" || p.Key == "path" && e.Method == http.MethodGet {
			continue
		}
		if w := healthWords.FindStringSubmatch(p.Value); w != nil && !j.naive {
			j.add(Finding{Kind: PageFact, What: fmt.Sprintf("the word “%s”", strings.ToLower(w[2])), Encoding: "plain"}, e, page, "request", cut(p.Key+"="+p.Value, 120))
			return
		}
	}
}

// hit makes a finding of a secret that was found with somebody else.
func (j *judge) hit(e *chrome.Exchange, page *seen, h leak.Hit, where string) {
	about := j.sorts[h.Secret]
	if about.page != "" && about.page != page.URL && (about.kind == PageFact || about.choice) && !strings.Contains(where, "before") {
		if about.kind == PageFact {
			return // a link that the receiver knows anyway
		}
	}
	kind := about.kind
	if kind == FormData && slices.Contains(h.How, "key by key") {
		kind = KeyLogging
	}
	if j.naive && h.Encoding() != "plain" {
		return
	}
	f := Finding{Kind: kind, What: j.finder.Secrets()[h.Secret].Name, Encoding: h.Encoding()}
	if kind == FormData && (e.Mark.Stage == chrome.Pressed || e.Mark.Stage == chrome.Sent) && j.takesForms(e, page) {
		f.Kind = FormTarget
	}
	j.add(f, e, page, where, h.Text)
}

// takesForms tells whether whoever gets a request is the one to whom the form is
// addressed: by its own address, as a page that is gone to, or by trade.
func (j *judge) takesForms(e *chrome.Exchange, page *seen) bool {
	if e.Navigates() || slices.Contains([]string{"booking", "forms"}, j.vendor(e.URL).Category) {
		return true
	}
	for _, v := range page.visits {
		for _, f := range v.Forms {
			if u, err := url.Parse(f.Action); err == nil && u.Host == e.URL.Host {
				return true
			}
		}
	}
	return false
}

// add fills in who, where and when, and keeps a finding once.
func (j *judge) add(f Finding, e *chrome.Exchange, page *seen, where, text string) {
	v := j.vendor(e.URL)
	parts := partsOf(e)
	if !v.Known() || j.party.own(e.URL.Host) {
		if spoken := vendors.Speaks(e.URL, parts); spoken.Known() {
			v = spoken
		}
	}
	name, _ := split(e.URL.Host)
	f.Page, f.PageKind, f.To, f.URL, f.Vendor, f.Category = page.URL, page.kind, name, e.URL.String(), v.Name, v.Category
	f.BeforeConsent = !e.Mark.Consent
	if f.Severity == "" {
		f.Severity = severity(f, v)
	}
	f.Evidence = Evidence{Request: e.N, Where: where, Text: text, At: e.At, Stage: string(e.Mark.Stage), Picture: page.Picture}
	if visit := j.visits[e.Mark.Visit]; visit != nil {
		f.Evidence.Scripts = visit.Chains[e.Method+" "+e.URL.String()]
	}
	for _, d := range v.Decode(parts) {
		if len(f.Evidence.Decoded) < 12 {
			f.Evidence.Decoded = append(f.Evidence.Decoded, fmt.Sprintf("%s (%s): %s", d.Means, d.Key, cut(d.Value, 80)))
		}
	}
	j.told[e.N] = true
	key := strings.Join([]string{f.Kind, f.Page, f.What, f.Encoding, where, f.URL}, "\n")
	if j.found[key] || len(j.results) >= mostFindings {
		return
	}
	j.found[key] = true
	j.results = append(j.results, f)
}

// vendor names who stands behind an address: by our rules, by the list of vendors,
// or else by the list that the user loaded.
func (j *judge) vendor(u *url.URL) vendors.Vendor {
	v := j.party.vendor(u)
	if !v.Known() && j.list.has(strings.ToLower(u.Hostname())) {
		return vendors.Vendor{Name: u.Hostname() + ", a tracker by the list that was loaded", Category: "ad"}
	}
	return v
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// changing is the part of an address that differs from one request to the next.
var changing = regexp.MustCompile(`[0-9]{5,}|[0-9a-fA-F-]{16,}|[A-Za-z0-9+/_%=-]{24,}`)

// severity weighs a finding by its harm: what is told, and on which page. The
// order is that of the cases: what was typed, what somebody is worried about, that
// somebody is a patient, who somebody is (FTC v. GoodRx, BetterHelp, Cerebral; the
// HHS bulletin for pages that do more than inform).
func severity(f Finding, v vendors.Vendor) Severity {
	patient, why := tellsPatient(f.PageKind), tellsWhy(f.PageKind)
	switch f.Kind {
	case FormData, KeyLogging:
		return Stop
	case FormTarget:
		return Know
	case SessionReplay:
		if patient || why {
			return Stop
		}
		return Fix
	case PageFact:
		if patient {
			return Stop
		}
		if why {
			return Fix
		}
	case Identifier:
		if patient && (v.Watches() || !v.Known()) {
			return Stop
		}
		if patient || why {
			return Fix
		}
	case Contact, Unknown:
		switch {
		case patient && v.Category == "tag-manager":
			return Fix // it brings in what others add to it
		case patient && v.Watches():
			return Stop
		case why && v.Watches():
			return Fix
		case f.Kind == Unknown && patient:
			return Fix
		}
	}
	return Know
}

// relay looks at what the site's own address gets before anything is sent: it may
// pass it on, which no browser can see.
func (j *judge) relay(e *chrome.Exchange, page *seen) {
	if !e.Mark.Stage.Filled() || e.Mark.Stage == chrome.Sent || e.Mark.Stage == chrome.Pressed || e.Refused == chrome.Held || e.Navigates() && e.Header.Get("Sec-Fetch-Dest") != "iframe" {
		return
	}
	parts := partsOf(e)
	v := vendors.Speaks(e.URL, parts)
	measures := v.Known() || tracking.MatchString(e.URL.Path) || !j.party.visits(e.URL.Host) || e.Header.Get("Sec-Fetch-Mode") == "no-cors" ||
		slices.ContainsFunc(parts, func(p leak.Part) bool { return measured.MatchString(p.Key) })
	for _, s := range sources(e) {
		if s.where == "cookie" || s.where == "address before" {
			continue // the site knows its own
		}
		for _, h := range j.look(s) {
			if j.sorts[h.Secret].kind != FormData {
				continue
			}
			if !measures && readable(h.How) { // a search, or a form that is kept while it is filled
				j.served(page, e)
				continue
			}
			f := Finding{Kind: Relay, Severity: Fix, What: j.finder.Secrets()[h.Secret].Name, Encoding: h.Encoding()}
			if v.Known() {
				f.Severity = Stop
			}
			j.add(f, e, page, s.where, h.Text)
		}
	}
}

// tracking are paths by which sites pass on what they measure, and measured are
// names of what is measured beside what was typed.
var (
	tracking = regexp.MustCompile(`(?i)(collect|track|pixel|beacon|analytics|metric|event|telemetry|relay|proxy|forward|mirror|ingest|capture|convers|capi|gtm|stats|/(tr|px|t|e|i|log|hit|ping|lead|tag|sync|data|ss))(/|$|\.|-|_|s)`)
	measured = regexp.MustCompile(`(?i)(^|[._\[])(ev|evt|event|event_?name|en|pixel|pixel_?id|tid|cid|client_?id|visitor(_?id)?|session_?id|anonymous_?id|fbp|fbc|gclid|dl|referrer|page_?url|page_?location|user_?agent)\]?$`)
)

// readable tells whether a value was sent as somebody would write it.
func readable(how []string) bool {
	return !slices.ContainsFunc(how, func(h string) bool {
		return !slices.Contains([]string{"plain", "url-encoded", "lower case", "upper case", "trimmed", "other order", "part", "first part"}, h)
	})
}

// served notes that the site's own server gets what is typed before it is sent,
// in a way in which sites search and keep, and do not measure.
func (j *judge) served(page *seen, e *chrome.Exchange) {
	if key := page.URL + e.URL.Path; !j.found[key] {
		j.found[key] = true
		j.notes = append(j.notes, fmt.Sprintf("%s sends what is typed to your own server while it is typed (%s). What your server passes on cannot be seen from outside.", page.URL, e.URL.Path))
	}
}

// trails looks for what shows only in several requests together.
func (j *judge) trails() {
	type receiver struct {
		visit int
		host  string
	}
	var order []receiver
	trails, first := map[receiver]*leak.Trail{}, map[receiver]*chrome.Exchange{}
	for i := range j.all {
		e := &j.all[i]
		if j.byVisit[e.Mark.Visit] == nil || j.party.own(e.URL.Host) || !e.Mark.Stage.Filled() && len(e.Frames) == 0 {
			continue
		}
		r := receiver{e.Mark.Visit, e.URL.Host}
		if trails[r] == nil {
			trails[r], first[r] = &leak.Trail{}, e
			order = append(order, r)
		}
		trails[r].Add(leak.Parts(e.URL, e.Header.Get("Content-Type"), e.Body[:min(len(e.Body), bodyRead)]))
		for _, f := range e.Frames {
			trails[r].Add(leak.BodyParts("", f.Data))
		}
	}
	for _, r := range order {
		e, page := first[r], j.byVisit[r.visit]
		for _, h := range j.finder.FindTrail(trails[r]) {
			if j.sorts[h.Secret].kind != FormData || j.sorts[h.Secret].choice || j.toldOf(page.URL, r.host, j.finder.Secrets()[h.Secret].Name) {
				continue
			}
			j.hit(e, page, h, "several requests")
			for i := range j.all { // each of them has a part in it
				if o := &j.all[i]; o != e && o.Mark.Visit == r.visit && o.URL.Host == r.host && o.URL.Path == e.URL.Path && !j.told[o.N] {
					j.hit(o, page, h, "several requests")
				}
			}
		}
	}
	j.growing()
}

// toldOf tells whether a host's getting of a secret was told already.
func (j *judge) toldOf(page, host, what string) bool {
	name, _ := split(host)
	return slices.ContainsFunc(j.results, func(f Finding) bool {
		u, err := url.Parse(f.URL)
		return err == nil && f.Page == page && f.To == name && u.Host == host && f.What == what
	})
}

// growing finds who gets a value with every key that is added to it.
func (j *judge) growing() {
	for _, m := range j.patient.typed {
		if m.Exact || m.choice || len(m.Value) < 8 {
			continue
		}
		starts := map[string]map[string]bool{}
		for i := range j.all {
			e := &j.all[i]
			page := j.byVisit[e.Mark.Visit]
			if page == nil || page.URL != m.page || e.Mark.Stage != chrome.Filling || j.party.own(e.URL.Host) {
				continue
			}
			for _, p := range partsOf(e) {
				if len(p.Value) < 2 || len(p.Value) >= len(m.Value) || !strings.HasPrefix(m.Value, p.Value) {
					continue
				}
				if starts[e.URL.Host] == nil {
					starts[e.URL.Host] = map[string]bool{}
				}
				starts[e.URL.Host][p.Value] = true
				if len(starts[e.URL.Host]) >= 4 {
					j.add(Finding{Kind: KeyLogging, What: m.Name, Encoding: "key by key"}, e, page, "several requests", p.Value)
				}
			}
		}
	}
}

// recordings finds who gets a copy of the page, or a recording of what is done there.
func (j *judge) recordings() {
	for i := range j.all {
		e := &j.all[i]
		page := j.byVisit[e.Mark.Visit]
		if page == nil || j.party.own(e.URL.Host) || e.Method == http.MethodGet && len(e.Frames) == 0 {
			continue
		}
		v := j.vendor(e.URL)
		copied := false
		for _, s := range sources(e) {
			if s.where == "body" || s.where == "socket" {
				copied = copied || len(s.bytes) > 60 && leak.Mentions(s.bytes, "<form", "<input", `"tagName":"form"`, `"tagName":"input"`, "rrweb")
			}
		}
		if copied || v.Category == "replay" && len(e.Body) > 0 {
			j.add(Finding{Kind: SessionReplay, What: "a recording of the page and of what is done on it", Encoding: "plain"}, e, page, "body", "")
		}
	}
}

// mostFindings bounds the findings of one scan.
const mostFindings = 5000

// rest says of every receiver of whom nothing was said yet that it was asked, and
// of every address that got something after a field was filled, what it got.
func (j *judge) rest() {
	once, filled := map[string]bool{}, false
	for i := range j.all {
		e := &j.all[i]
		page := j.byVisit[e.Mark.Visit]
		if page == nil || j.party.own(e.URL.Host) || e.Refused == chrome.Local || j.told[e.N] {
			continue
		}
		filled = filled || e.Mark.Stage.Filled()
		f := Finding{Kind: Contact, What: "that somebody opened this page", Encoding: "plain"}
		if where := j.carries(e); where != "" && (e.Mark.Stage.Filled() || filled && j.opaque(e) != "") {
			f = Finding{Kind: Unknown, What: "something that could not be read", Encoding: "unknown"}
			j.add(f, e, page, where, "")
			continue
		}
		if filled || !once[page.URL+e.URL.Host] {
			once[page.URL+e.URL.Host] = true
			j.add(f, e, page, "request", "")
		}
	}
}

// carries tells where a request says more than what it asks for. A file that is
// asked for by its name and version tells nothing. Empty: it says no more.
func (j *judge) carries(e *chrome.Exchange) string {
	switch {
	case len(e.Frames) > 0:
		return "socket"
	case len(e.Body) > 0:
		return "body"
	case e.Method == http.MethodOptions:
		return "" // what follows it is judged
	}
	if where := j.opaque(e); where != "" {
		return where
	}
	file := slices.Contains([]string{"font", "style", "script"}, e.Header.Get("Sec-Fetch-Dest")) || strings.HasPrefix(e.Header.Get("Accept"), "text/css") || slices.Contains(noPage, strings.ToLower(path.Ext(e.URL.Path)))
	for k, values := range e.URL.Query() {
		if file && slices.Contains([]string{"v", "ver", "version", "family", "display", "subset", "w", "h", "width", "height", "size", "format", "quality"}, strings.ToLower(k)) {
			continue
		}
		if file && counter.MatchString(k+strings.Join(values, "")) {
			continue // so that a browser asks anew
		}
		if k != "" || strings.Join(values, "") != "" {
			return "address"
		}
	}
	return ""
}

var counter = regexp.MustCompile(`^(_|t|ts|cb|rnd|r)?[0-9.]{1,24}$`)

// opaque tells where a request holds what nobody can read here. Empty: all of it is
// readable, and nothing of what is looked for stands in it.
func (j *judge) opaque(e *chrome.Exchange) string {
	for _, f := range e.Frames {
		if len(f.Data) > 0 && f.Mark.Stage.Filled() && cipherLike(string(f.Data)) {
			return "socket"
		}
	}
	if len(e.Body) > 0 && cipherLike(string(e.Body)) {
		return "body"
	}
	for _, p := range partsOf(e) {
		if p.Key != "host" && cipherLike(p.Value) {
			if p.Key == "path" && e.Method == http.MethodGet && e.URL.RawQuery == "" {
				continue // a file's name
			}
			return "address"
		}
	}
	return ""
}

var wordLike = regexp.MustCompile(`[A-Za-z]{3,}|[0-9]{1,4}`)

// cipherLike tells whether a value looks like no words and no number: packed,
// hashed or encrypted.
func cipherLike(v string) bool {
	if len(v) < 16 || strings.Contains(v, "://") {
		return false
	}
	odd, mixed := 0, 0
	for i, c := range []byte(v[:min(len(v), 400)]) {
		if c < 9 || c > 126 {
			odd++
		}
		if i > 0 && class(c) != class(v[i-1]) {
			mixed++
		}
	}
	n := min(len(v), 400)
	if odd*5 > n {
		return true
	}
	if strings.ContainsAny(v, " {<,;") {
		return false
	}
	return mixed*3 > n && len(wordLike.FindAllString(v, -1)) > 0
}

// class is what a character is: words keep to one for a while, ciphers do not.
func class(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return 0
	case c >= 'A' && c <= 'Z':
		return 1
	case c >= '0' && c <= '9':
		return 2
	}
	return 3
}

// page judges what a page does besides sending.
func (j *judge) page(p *seen) {
	for _, v := range p.visits {
		j.calls(p, v)
		j.kept(p, v)
		for _, f := range v.Forms {
			j.form(p, v, f)
		}
		if v.Windows > 5 {
			j.plainly(p, Finding{Kind: "windows", Severity: Know, What: "the page opens more than five windows"}, "")
		}
	}
}

// plainly keeps a finding that no request stands behind.
func (j *judge) plainly(p *seen, f Finding, address string) {
	f.Page, f.PageKind, f.URL = p.URL, p.kind, address
	if f.Encoding == "" {
		f.Encoding = "plain"
	}
	f.Evidence.Picture = p.Picture
	if key := f.Key(); !j.found[key] {
		j.found[key] = true
		j.results = append(j.results, f)
	}
}

// calls tells of scripts that measure the browser itself.
func (j *judge) calls(p *seen, v *chrome.Visit) {
	for _, c := range v.Calls {
		j.handed(p, v, c)
		by := ""
		if len(c.Chain) > 0 {
			by = c.Chain[0]
		}
		u, err := url.Parse(by)
		if err != nil || u.Host == "" {
			u, _ = url.Parse(p.URL)
		}
		others := !j.party.own(u.Host)
		f := Finding{BeforeConsent: !v.Consented, Evidence: Evidence{Where: c.What, Text: c.More, Scripts: c.Chain}}
		switch c.What {
		case "canvas", "fonts", "audio", "graphics card":
			f.Kind, f.What, f.Severity = Fingerprinting, "the browser’s own features ("+c.What+")", Know
			if others {
				f.Severity = Fix
			}
		case "webrtc", "webtransport":
			if !others && c.More == "[]" {
				continue
			}
			f.Kind, f.What, f.Severity = Fingerprinting, "the network address of the visitor ("+c.What+")", Know
			if others {
				f.Severity = Fix
			}
		case "keys":
			if !others || len(v.Filled) == 0 {
				continue
			}
			f.Kind, f.What, f.Severity = KeyLogging, "a script of somebody else listens to every key of the page", Know
		case "permission":
			f.Kind, f.What, f.Severity = Permission, "the page asks the browser for "+c.More, Know
		case "message", "hint":
			continue // handed
		default:
			continue
		}
		if others {
			f.To, _ = split(u.Host)
			who := j.vendor(u)
			f.Vendor, f.Category = who.Name, who.Category
		}
		j.plainly(p, f, by)
	}
}

// handed tells of what reaches somebody else without a request that the proxy
// sees: handed to a frame of theirs, told to a server for calls, put into a name
// that is looked up.
func (j *judge) handed(p *seen, v *chrome.Visit, c chrome.Call) {
	var to *url.URL
	switch c.What {
	case "message":
		to, _ = url.Parse(c.At)
	case "hint":
		to, _ = url.Parse(c.More)
	case "webrtc", "webtransport":
		to = callServer(c.More)
	}
	if to == nil || to.Host == "" || j.party.own(to.Host) {
		return
	}
	for _, h := range j.look(source{c.What, []byte(c.More)}) {
		about := j.sorts[h.Secret]
		if about.kind != FormData && about.kind != PageFact || j.naive {
			continue
		}
		name, _ := split(to.Host)
		who := j.vendor(to)
		f := Finding{Kind: about.kind, To: name, What: j.finder.Secrets()[h.Secret].Name, Encoding: h.Encoding(), Vendor: who.Name, Category: who.Category, BeforeConsent: !v.Consented, PageKind: p.kind,
			Evidence: Evidence{Where: handedBy[c.What], Text: h.Text, Scripts: c.Chain}}
		f.Severity = severity(f, who)
		j.plainly(p, f, to.String())
	}
}

var handedBy = map[string]string{"message": "message to a frame", "hint": "name to look up", "webrtc": "call", "webtransport": "call"}

// callServer finds the first server in what a call was set up with:
// [{"urls":"turn:relay.example:3478","username":"..."}], or an address.
func callServer(setup string) *url.URL {
	m := regexp.MustCompile(`(?:stuns?|turns?|https):(?://)?([A-Za-z0-9.-]+)(?::\d+)?`).FindStringSubmatch(setup)
	if m == nil {
		return nil
	}
	return &url.URL{Scheme: "https", Host: m[1], Path: "/"}
}

// kept tells of what stays in the visitor's browser.
func (j *judge) kept(p *seen, v *chrome.Visit) {
	for _, c := range v.Cookies {
		domain := strings.TrimPrefix(c.Domain, ".")
		who := vendors.Cookie(c.Name)
		own := j.party.own(domain) || slices.ContainsFunc(j.party.visit, func(h string) bool { name, _ := split(h); return name == domain })
		if own && !who.Known() || c.Expires.IsZero() && own {
			continue
		}
		if u, err := url.Parse("https://" + domain + "/"); err == nil && !who.Known() {
			who = j.vendor(u)
		}
		life := "until the browser is closed"
		if !c.Expires.IsZero() {
			life = "for " + days(c.Expires.Sub(v.Began))
		}
		j.plainly(p, Finding{Kind: CookieKept, Severity: Know, To: domain, What: fmt.Sprintf("cookie “%s”, kept %s", c.Name, life), Vendor: who.Name, Category: who.Category, BeforeConsent: !v.Consented && !c.Expires.IsZero(),
			Evidence: Evidence{Where: "cookie", Text: c.Name}}, "")
	}
	j.answered(p, v)
	for _, s := range v.Stored {
		for _, h := range j.look(source{"storage", []byte(s.Key + "=" + s.Value)}) {
			if j.sorts[h.Secret].kind == FormData && !j.sorts[h.Secret].choice {
				j.plainly(p, Finding{Kind: StorageKept, Severity: Know, What: j.finder.Secrets()[h.Secret].Name, Encoding: h.Encoding(), Evidence: Evidence{Where: s.Kind + " “" + s.Key + "”", Text: h.Text}}, "")
			}
		}
	}
}

// answered tells of cookies that somebody else's answer set, and that this browser
// did not keep: another may.
func (j *judge) answered(p *seen, v *chrome.Visit) {
	for i := range j.all {
		e := &j.all[i]
		if e.Mark.Visit != v.N || j.party.own(e.URL.Host) {
			continue
		}
		host, _ := split(e.URL.Host)
		for _, c := range (&http.Response{Header: e.Answer}).Cookies() {
			if slices.ContainsFunc(v.Cookies, func(k chrome.Cookie) bool { return k.Name == c.Name }) {
				continue
			}
			who := j.vendor(e.URL)
			life := "until the browser is closed"
			if c.MaxAge > 0 {
				life = "for " + days(time.Duration(c.MaxAge)*time.Second)
			} else if c.Expires.After(v.Began) {
				life = "for " + days(c.Expires.Sub(v.Began))
			}
			j.plainly(p, Finding{Kind: CookieKept, Severity: Know, To: host, What: fmt.Sprintf("cookie “%s”, kept %s", c.Name, life), Vendor: who.Name, Category: who.Category, BeforeConsent: !e.Mark.Consent,
				Evidence: Evidence{Request: e.N, Where: "cookie", Text: c.Name}}, e.URL.String())
		}
	}
}

func days(d time.Duration) string {
	n := int((d + 12*time.Hour) / (24 * time.Hour))
	switch {
	case n < 1:
		return "less than a day"
	case n == 1:
		return "1 day"
	case n > 700:
		return fmt.Sprintf("%d years", (n+180)/365)
	}
	return fmt.Sprintf("%d days", n)
}

// form looks at where a form would send.
func (j *judge) form(p *seen, v *chrome.Visit, f chrome.Form) {
	if !f.Personal || f.Action == "" {
		return
	}
	u, err := url.Parse(f.Action)
	if err != nil || u.Host == "" {
		return
	}
	at, err := url.Parse(v.At)
	if err != nil {
		return
	}
	name, _ := split(u.Host)
	who := j.vendor(u)
	switch {
	case u.Scheme == "http" && at.Scheme == "https":
		j.plainly(p, Finding{Kind: FormTarget, Severity: Fix, To: name, What: "a form that sends without protection", Vendor: who.Name, Category: who.Category}, f.Action)
	case !j.party.own(u.Host):
		j.plainly(p, Finding{Kind: FormTarget, Severity: Know, To: name, What: "all that is sent with the form", Vendor: who.Name, Category: who.Category}, f.Action)
	case f.Method == "get":
		j.plainly(p, Finding{Kind: FormTarget, Severity: Fix, What: "a form that puts what was typed into the address of the next page"}, f.Action)
	}
}
