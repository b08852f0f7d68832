package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/madeup"
	"quietroom/madeup/find"
	"quietroom/rooms/chart"
	"quietroom/rooms/vault"
)

// What this test itself types into forms, files and bundles; nobody in a made-up
// practice has any of it, because the theft drill looks through this program. None of it may come
// out where the patients' secrets may not.
var typed = []string{
	"Quillfeather Zanzibarson", "Ottoline Marchbanksdotter", "1931-07-13T", "+999 555 9173 ext 9914",
	"the heron told me about the lighthouse", "scan of the lighthouse heron.pdf", "heron.lighthouse@example.org",
	"looking for Zanzibarson the third", "MRN-LIGHTHOUSE-77123",
}

// tainted looks for secrets where none may be.
type tainted struct {
	*testing.T
	finder *find.Finder
	known  []string
	log    logBuffer
	lines  *http.Transport
	said   map[int]int // how often each status was answered
	hung   int
	full   int // pages that showed a secret to whom it belongs
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newTainted(t *testing.T, m madeUp) *tainted {
	s := &tainted{T: t, lines: manyNetworks(), said: map[int]int{}}
	t.Cleanup(s.lines.CloseIdleConnections)
	secrets := func(yield func(string) bool) {
		p := madeup.New(m.Seed, m.Patients, m.Day)
		for a := range p.Patients() {
			for secret := range madeup.Secrets(a) {
				if !yield(secret) {
					return
				}
			}
			if !yield(a.Name()) || !yield(a.Family+", "+a.Given) {
				return
			}
		}
		slices.Values(typed)(yield)
	}
	for secret := range iter.Seq[string](secrets) {
		s.known = append(s.known, secret)
	}
	s.finder = find.New(slices.Values(s.known))
	return s
}

// manyNetworks calls from another address of this machine each time, where the
// system has many, so that no limit of tries hides what lies behind it.
func manyNetworks() *http.Transport {
	var calls atomic.Uint32
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		d := net.Dialer{}
		if n := calls.Add(1); runtime.GOOS == "linux" && strings.HasPrefix(to, "127.") {
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, byte(n>>8), byte(n), 7)}
		}
		return d.DialContext(ctx, network, to)
	}}
}

// shows returns the secrets in a text.
func (s *tainted) shows(text string) (found []string) {
	for hit, err := range s.finder.Scan(strings.NewReader(text)) {
		if err == nil {
			found = append(found, s.known[hit.Secret])
		}
	}
	return found
}

// clean fails if a text shows a secret.
func (s *tainted) clean(where, text string) {
	s.Helper()
	if found := s.shows(text); len(found) > 0 {
		s.Errorf("%s shows %q", where, found)
	}
}

// guest is a browser of one person, or of nobody.
type guest struct {
	*tainted
	who, base string
	cookies   map[string]string
	token     string
}

var addressInPage = regexp.MustCompile(`(?:href|src|action|formaction|data-[a-z]+)="([^"]*)"`)

var tokenInPage = regexp.MustCompile(`<meta name="form-token" content="([^"]*)">`)

// ask sends a request and looks at everything in the answer that is no page for
// this person.
func (g *guest) ask(method, path, kind string, body io.Reader) (status int, page string) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), method, g.base+path, body)
	if err != nil {
		g.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set(web.TokenHeader, g.token)
	for name, value := range g.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer, err := g.lines.RoundTrip(r)
	if err != nil {
		g.hung++ // on a body far too long
		return 0, ""
	}
	defer answer.Body.Close()
	g.said[answer.StatusCode]++
	text, _ := io.ReadAll(answer.Body) // a torn answer is looked at as far as it goes
	for _, c := range answer.Cookies() {
		g.cookies[c.Name] = c.Value
	}
	if m := tokenInPage.FindSubmatch(text); m != nil {
		g.token = string(m[1])
	}
	head := maps.Clone(answer.Header)
	head.Del("Content-Disposition") // a file keeps its name
	where := fmt.Sprintf("%s %s for %s (%d)", method, path, g.who, answer.StatusCode)
	g.clean("a header of "+where, fmt.Sprint(head))
	for _, m := range addressInPage.FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(m[1], "tel:") && !strings.HasPrefix(m[1], "mailto:") { // they lead to a telephone, not into a log
			g.clean("an address in the page of "+where, m[1])
		}
	}
	switch sheet := answer.StatusCode == http.StatusConflict || answer.StatusCode == http.StatusUnprocessableEntity; {
	case answer.StatusCode >= 400 && !sheet: // a sheet with both versions, or with what has to be put right, is the person's own
		g.clean("the error page of "+where, string(text))
	case answer.StatusCode < 300 && len(g.shows(string(text))) > 0:
		g.full++
	}
	return answer.StatusCode, string(text)
}

func (g *guest) post(path string, form url.Values) (int, string) {
	g.Helper()
	return g.ask("POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// routes are all patterns that rooms mount, read from their source, so that a
// new page cannot be forgotten here.
func routes(t *testing.T) (patterns []string) {
	files, err := filepath.Glob("../../rooms/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	route := regexp.MustCompile(`"((?:GET|POST|PUT|DELETE|PATCH) /[^" ]*)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range route.FindAllSubmatch(text, -1) {
			patterns = append(patterns, string(m[1]))
		}
	}
	slices.Sort(patterns)
	if patterns = slices.Compact(patterns); len(patterns) < 40 {
		t.Fatalf("only %d routes were found in the rooms' source", len(patterns))
	}
	return patterns
}

var place = regexp.MustCompile(`\{[^}]*\}`)

// addresses fills a pattern's places with what is there, is not, and is torn.
func addresses(pattern string, values map[string][]string) []string {
	all := []string{strings.Replace(pattern, "{$}", "", 1)}
	for {
		name := place.FindString(all[0])
		if name == "" {
			return all
		}
		var next []string
		for _, path := range all {
			for _, v := range append(slices.Clone(values[name]), "torn") {
				next = append(next, strings.Replace(path, name, v, 1))
			}
		}
		all = next
	}
}

// bodies are what is posted: right, torn, of the wrong kind, far too long.
func bodies(record id.Record, care id.Team) map[string]func() (kind string, body io.Reader) {
	form := url.Values{
		"family": {typed[0]}, "given": {typed[1]}, "born": {"1931-07-13"}, "phones": {typed[3]}, "mails": {typed[6]}, "address": {typed[0] + " Lane 4"},
		"contact-name": {typed[1]}, "safe": {typed[4]}, "insurance": {typed[8]}, "q": {typed[7]}, "another": {"yes"}, "version": {"1"},
		"form": {"free"}, "record": {string(record)}, "f-note": {typed[4]}, "act": {"sign"}, "on": {"2026-11-23"},
		"name": {typed[0]}, "label": {typed[4]}, "practice": {typed[0]}, "key": {typed[4]}, "care": {string(care)},
	}
	sent := func(kind, text string) func() (string, io.Reader) {
		return func() (string, io.Reader) { return kind, strings.NewReader(text) }
	}
	stale := maps.Clone(form)
	stale.Set("version", "77")
	stale.Set("born", typed[2])
	stale.Set("record", typed[8])
	stale.Set("form", typed[4])
	late := maps.Clone(form) // somebody was faster
	late.Set("family", typed[1])
	late.Set("f-note", typed[4]+", again")
	return map[string]func() (string, io.Reader){
		"a late form":            sent("application/x-www-form-urlencoded", late.Encode()),
		"a full form":            sent("application/x-www-form-urlencoded", form.Encode()),
		"a form with torn parts": sent("application/x-www-form-urlencoded", stale.Encode()),
		"an empty form":          sent("application/x-www-form-urlencoded", ""),
		"a torn form":            sent("application/x-www-form-urlencoded", "q="+url.QueryEscape(typed[4])+"&%zz="+url.QueryEscape(typed[0])),
		"a form far too long":    sent("application/x-www-form-urlencoded", "f-text="+strings.Repeat(url.QueryEscape(typed[4])+"+", 60_000)),
		"JSON":                   sent("application/json", `{"name":"`+typed[0]+`","label":"`+typed[4]+`","act":"`+typed[8]+`","object":"`+typed[0]+`","ceremony":"`+typed[8]+`"}`),
		"torn JSON":              sent("application/json", `{"name":"`+typed[0]),
		"JSON of another shape":  sent("application/json", `["`+typed[0]+`", 7]`),
		"words":                  sent("text/plain", typed[4]),
		"a file": func() (string, io.Reader) {
			var b bytes.Buffer
			m := multipart.NewWriter(&b)
			part, _ := m.CreateFormFile("file", typed[5])
			part.Write([]byte(typed[4]))
			m.Close()
			return m.FormDataContentType(), &b
		},
		"half a file": func() (string, io.Reader) {
			return "multipart/form-data; boundary=xx", strings.NewReader("--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + typed[5] + "\"\r\n\r\n" + typed[4])
		},
	}
}

// taintedHouse is a made-up house, served, whose log is kept.
func taintedHouse(t *testing.T) (*house, *tainted, map[string]seal.Code, string) {
	t.Helper()
	return taintedHouseIn(t, filepath.Join(t.TempDir(), "house"))
}

func taintedHouseIn(t *testing.T, dir string) (*house, *tainted, map[string]seal.Code, string) {
	t.Helper()
	m := madeUp{Seed: 23, Patients: 40, Day: today()}
	s := newTainted(t, m)
	log := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	codes, err := makeDemo(t.Context(), dir, "http://localhost:8470", m, log, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	return h, s, codes, serveHouse(t, h)
}

// serveHouse serves a house on loopback until the test ends.
func serveHouse(t *testing.T, h *house) (base string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan net.Addr, 1)
	go func() {
		ended <- h.serve(ctx, web.Server{Listen: "localhost:0", Ready: func(a net.Addr) { ready <- a }})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		h.close()
	})
	select {
	case a := <-ready:
		return "http://" + a.String()
	case err := <-ended:
		t.Fatal(err)
		return ""
	}
}

// visitor signs in by the demo's link; nobody has no code.
func (s *tainted) visitor(h *house, base, handle string, codes map[string]seal.Code) *guest {
	s.Helper()
	g := &guest{tainted: s, who: handle, base: base, cookies: map[string]string{}}
	if code, ok := codes[handle]; ok {
		if status, _ := g.post(h.identity.DemoLink(handle, code), nil); status != http.StatusSeeOther {
			s.Fatalf("%s does not get in: %d", handle, status)
		}
		if status, _ := g.ask("GET", "/", "", nil); status != http.StatusOK {
			s.Fatalf("%s sees no home: %d", handle, status)
		}
	}
	return g
}

func TestNothingAboutAPatientComesOutBesideThePage(t *testing.T) {
	h, s, codes, base := taintedHouse(t)
	dir := h.dir
	owner, done, err := h.identity.Enter(t.Context(), codes["owner-1"])
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	s.commands(h, dir, codes["owner-1"])
	values, note := s.places(h, owner)
	care, err := h.identity.OwnTeam(owner, id.From(owner).Person)
	if err != nil {
		t.Fatal(err)
	}

	for _, who := range []string{"owner-1", "clinician-1", "front-desk-1", "nobody"} {
		g := s.visitor(h, base, who, codes)
		g.everywhere(values, note, care)
	}
	t.Logf("answers: %v, %d hung up, %d pages showed a patient", s.said, s.hung, s.full)
	for _, status := range []int{200, 303, 400, 401, 403, 404, 409, 413, 422} {
		if s.said[status] == 0 {
			t.Errorf("nothing was answered with %d: this tried little", status)
		}
	}
	if s.full < 20 {
		t.Errorf("only %d pages showed a patient to those who may see one: this tried little", s.full)
	}
	s.clean("the log", s.log.String())
	s.facts(dir)
	s.names(dir)

	// the database fails while people work
	g := s.visitor(h, base, "owner-1", codes)
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(s.log.String())
	g.everywhere(values, note, care)
	said := s.log.String()
	s.clean("the log of a failing database", said)
	if len(said) == before || s.said[http.StatusInternalServerError] == 0 {
		t.Error("a failing database says nothing to the log, or to people")
	}

	// and this is how it looks when it does not hold
	h.log.InfoContext(t.Context(), "planted", "patient", s.known[0])
	if len(s.shows(s.log.String())) == 0 {
		t.Error("a patient's name in the log was not found")
	}
	for _, secret := range []string{url.QueryEscape(typed[0]), url.PathEscape(typed[4])} {
		if len(s.shows(fmt.Sprint(http.Header{"Location": {"/patients?q=" + secret}}))) == 0 {
			t.Errorf("%s in an address was not found", secret)
		}
	}
}

// everywhere goes to every address, with everything that can be posted.
func (g *guest) everywhere(values map[string][]string, note id.Record, care id.Team) {
	g.Helper()
	last := ""
	for _, pattern := range routes(g.T) {
		method, path, _ := strings.Cut(pattern, " ")
		if path == "/lock" {
			last = path
			continue
		}
		for _, path := range addresses(path, values) {
			if method == "GET" {
				g.ask(method, path, "", nil)
				continue
			}
			for _, make := range bodies(note, care) {
				kind, body := make()
				g.ask(method, path, kind, body)
			}
		}
	}
	// a name that somebody typed into the address is the person's own, but it
	// does not go into the log
	for _, path := range []string{"/patients/" + url.PathEscape(typed[0]), "/" + url.PathEscape(typed[4]), "/patients?q=" + url.QueryEscape(typed[7])} {
		r, err := http.NewRequestWithContext(g.Context(), "GET", g.base+path, nil)
		if err != nil {
			g.Fatal(err)
		}
		for name, value := range g.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		if answer, err := g.lines.RoundTrip(r); err == nil {
			answer.Body.Close()
		}
	}
	g.post(last, nil)
}

// places are what can stand in an address: somebody with notes, files and
// imported resources, somebody else's patient, nobody, and what is torn.
func (s *tainted) places(h *house, owner context.Context) (map[string][]string, id.Record) {
	s.Helper()
	all, err := h.allPatients(owner)
	if err != nil {
		s.Fatal(err)
	}
	best, most := all[0], 0
	for _, p := range all {
		if c, err := h.vault.Open(owner, p, vault.Chart); err == nil {
			if list, err := c.List(owner); err == nil && len(list) > most {
				best, most = p, len(list)
			}
			c.Close()
		}
	}
	imported, err := h.vault.Find(owner, "fhir")
	if err != nil {
		imported = all[len(all)-1]
	}
	var records []string
	for _, part := range []string{vault.Chart, vault.Identity} {
		c, err := h.vault.Open(owner, best, part)
		if err != nil {
			continue
		}
		list, err := c.List(owner)
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range list {
			records = append(records, string(e.Record))
		}
		c.Close()
	}
	draft := s.draft(h, owner, best)
	nobody := string(id.New[id.Patient]())
	return map[string][]string{
		"{patient}": {string(best), string(imported), nobody},
		"{record}":  append(records[:min(4, len(records))], string(draft), nobody),
		"{part}":    {"identity", "chart"},
		"{kind}":    {"Patient", "Observation"},
		"{one}":     {"o1"},
		"{token}":   {nobody},
	}, draft
}

// draft is a note that two people write.
func (s *tainted) draft(h *house, owner context.Context, p id.Patient) id.Record {
	s.Helper()
	b, err := h.vault.Begin(owner)
	if err != nil {
		s.Fatal(err)
	}
	defer b.Drop()
	c, err := b.In(owner, p, vault.Chart)
	if err != nil {
		s.Fatal(err)
	}
	rec, err := b.Put(owner, c, chart.SignedNote("Progress note", typed[4], id.From(owner).Person, today()))
	if err == nil {
		err = b.Commit(owner)
	}
	if err != nil {
		s.Fatal(err)
	}
	return rec
}

// commands runs the commands over the control socket, with good and bad input.
func (s *tainted) commands(h *house, dir string, code seal.Code) {
	s.Helper()
	if err := eventually(func() bool { return alreadyServed(dir) != nil }); err != nil {
		s.Fatal(err)
	}
	above := s.TempDir()
	file := filepath.Join(above, "code")
	in := filepath.Join(above, "in")
	write := func(path, text string) {
		s.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	write(file, code.Text())
	name := `"name":[{"family":"` + typed[0] + `","given":["` + typed[1] + `"]}],"telecom":[{"system":"phone","value":"` + typed[3] + `"}]`
	write(filepath.Join(in, "good.json"), `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"a1",`+name+`}},
		{"resource":{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/a1"},"valueString":"`+typed[4]+`"}}]}`)
	for i, bad := range []string{
		`{"resourceType":"Patient","id":"a2",` + name,
		`{"resourceType":"Patient","id":"a3",` + name + `,"birthDate":{"` + typed[4] + `":1}}`,
		`{"resourceType":"Patient","id":7,` + name + `}`,
		`{"resourceType":"` + typed[4] + `","id":"a4",` + name + `}`,
		`{"resourceType":"Observation","id":"o2","subject":{"reference":"Patient/` + typed[0] + `"},"valueString":"` + typed[4] + `"}`,
		`{"resourceType":"Patient","id":"a5","` + typed[4] + `":` + strings.Repeat("[", 20_000),
		typed[4],
		`{"resourceType":"Patient","id":"a6",` + name + `,"x":"\ud800` + typed[4] + `\x"}`,
		`{"resourceType":"Patient","id":"a7","id":"a8",` + name + `}`,
	} {
		write(filepath.Join(in, fmt.Sprintf("bad%d.json", i)), bad)
	}
	write(filepath.Join(in, "bad.ndjson"), `{"resourceType":"Patient","id":"n1",`+name+"}\n{\"resourceType\":\"Patient\","+name+"\n"+typed[4]+"\n")
	write(filepath.Join(in, "bad.zip"), "PK\x03\x04"+typed[4])
	write(filepath.Join(in, "bad.json.gz"), "\x1f\x8b"+typed[4])

	letter := filepath.Join(above, "letter")
	write(letter, typed[4])
	for _, words := range [][]string{
		{"import", "fhir", in, "--dir", dir, "--unlock", file},
		{"import", "fhir", in, "--dir", dir, "--unlock", file, "--json"},
		{"import", "fhir", in, "--dir", dir, "--unlock", letter},
		{"export", "--dir", dir, "--unlock", file, "--out", filepath.Join(above, "out")},
		{"export", "--dir", dir, "--unlock", file, "--out", in},
		{"verify", "--dir", dir},
		{"verify", "--dir", dir, "--witness", letter},
		{"doctor", "--dir", dir},
	} {
		s.clean(strings.Join(words, " "), s.command(words...))
	}
}

// command runs a command, and returns what it says.
func (s *tainted) command(words ...string) string {
	var said bytes.Buffer
	code := run(s.Context(), &call{args: words, in: strings.NewReader(""), out: &said, err: &said})
	fmt.Fprintln(&said, "exit", code)
	return said.String()
}

// facts looks at all that the ledger holds.
func (s *tainted) facts(dir string) {
	s.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "house.db"))
	if err != nil {
		s.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(s.Context(), `SELECT body FROM ledger_facts UNION ALL SELECT body FROM ledger_waiting`)
	if err != nil {
		s.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	n := 0
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			s.Fatal(err)
		}
		all.WriteString(body + "\n")
		n++
	}
	if n < 200 || rows.Err() != nil {
		s.Fatalf("only %d facts were looked at: %v", n, rows.Err())
	}
	s.clean("the ledger", all.String())
}

// names looks at the names of files and folders in the house.
func (s *tainted) names(dir string) {
	s.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		s.clean("a file's name", strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
}

// A drill that finds what it must not find tells where, and not what.
func TestADrillsReportNamesNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("drills take seconds")
	}
	dir := filepath.Join(t.TempDir(), "house")
	m := madeUp{Seed: 29, Patients: 20, Day: today()}
	s := newTainted(t, m)
	if _, err := makeDemo(t.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	// somebody kept a list of all patients in the house: the drill has to find it
	if err := os.WriteFile(filepath.Join(dir, "list.txt"), []byte(strings.Join(s.known, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir()
	if err := takeHouse(t.Context(), dir, copied); err != nil {
		t.Fatal(err)
	}
	trial := testTrial(t, 20)
	stage := &layer.Stage{Copy: copied, Trial: &trial.Trial, Known: slices.Values(s.known), Step: func(int, int) {}}
	r, err := trial.theft().Run(t.Context(), stage)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	printReports(&said, []layer.Report{r})
	if err := json.NewEncoder(&said).Encode(r); err != nil {
		t.Fatal(err)
	}
	if r.Held == nil || *r.Held || !strings.Contains(said.String(), "list.txt") {
		t.Errorf("a list of all patients in the house was not found: %.500s", said.String())
	}
	s.clean("the drill's report", said.String())
}
