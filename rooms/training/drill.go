package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training/human"
)

// drill lets a made-up practice of 25 people live through a year on a clock that
// runs fast, in a database of its own: with people who join, leave, move to
// another address, do their lessons or do not, go on, report, and with what
// scanners do to each message. Weakened, it believes each fetch to be a person.
func (t *Training) drill() layer.Drill {
	return layer.Drill{Name: "training", Proves: "a year: nobody gets more than planned or is missed, and no scanner counts as a person", Run: func(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
		r := layer.Report{Drill: "training", Findings: []string{}, More: map[string]any{}}
		y, err := newYear(ctx, filepath.Join(stage.Trial.Dir, "training-year"))
		if err != nil {
			return r, err
		}
		defer y.close()
		y.room.clicksOfGets = stage.Sabotage
		if err := y.live(ctx, stage.Step); err != nil {
			return r, err
		}
		if err := y.look(ctx, &r); err != nil {
			return r, err
		}
		r.Held = new(len(r.Findings) == 0)
		return r, nil
	}}
}

// year is a practice on a fast clock.
type year struct {
	dir     string
	db      *store.DB
	ledger  *ledger.Ledger
	room    *Training
	mux     *web.Mux
	now     time.Time
	zone    *time.Location
	staff   []Person
	left    map[id.Person]time.Time
	joined  map[id.Person]time.Time
	moved   id.Person // to another address
	movedAt time.Time
	sent    []posted
	notices map[id.Person][]time.Time
	lates   int             // lessons whose day passed
	unwarn  int             // of them, without a reminder in the fortnight before
	known   map[string]bool // late lessons seen already
	people  int             // acts of people
	went    int             // fetches and acts of programs
	reports int
}

type posted struct {
	Message
	letter string
	at     time.Time
}

const (
	yearPeople = 25
	lazy       = 7 // does no lesson at all
)

func newYear(ctx context.Context, dir string) (y *year, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	y = &year{dir: dir, zone: zone("America/Chicago"), left: map[id.Person]time.Time{}, joined: map[id.Person]time.Time{}, notices: map[id.Person][]time.Time{}, known: map[string]bool{}}
	y.now = time.Date(2026, 1, 2, 9, 0, 0, 0, y.zone)
	if y.db, err = store.Open(ctx, filepath.Join(dir, "year.db")); err != nil {
		return nil, err
	}
	signer, _, err := ledger.NewKey("quietroom/year")
	if err != nil {
		return nil, err
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		return nil, err
	}
	if y.ledger, err = ledger.Open(ctx, y.db, key, y.clock); err != nil {
		return nil, err
	}
	roles := [][]string{{"owner", "clinician"}, {"clinician"}, {"clinician"}, {"front-desk"}, {"billing"}}
	for i := range yearPeople {
		y.staff = append(y.staff, Person{ID: id.New[id.Person](), Name: fmt.Sprintf("Person %d", i+1), Addresses: []string{fmt.Sprintf("person%d@practice.example", i+1)}, Roles: roles[i%len(roles)], Joined: y.now.AddDate(-1, 0, 0)})
	}
	y.room = New(Config{DB: y.db, Ledger: y.ledger, Now: y.clock, Practice: "year", Key: seal.NewKey(), Origin: "https://practice.example", MadeUp: true,
		PracticeName: func() string { return "A made-up practice" }, People: y, Notices: y, Post: y})
	if err := y.db.Migrate(ctx, "training", schema); err != nil {
		return nil, err
	}
	y.mux = web.NewMux(web.Config{MadeUp: true, Now: y.clock})
	y.room.mount(y.mux)
	s, err := y.room.settings(ctx)
	if err != nil {
		return nil, err
	}
	s.Phish, s.Begun, s.Zone = true, y.now, y.zone.String()
	return y, y.room.keep(ctx, s)
}

func (y *year) close() error { return errors.Join(y.db.Close(), os.RemoveAll(y.dir)) }

func (y *year) clock() time.Time                         { return y.now }
func (y *year) People(context.Context) ([]Person, error) { return y.staff, nil }
func (y *year) Notify(_ context.Context, tx *store.Tx, n layer.Notice) error {
	tx.OnCommit(func() { y.notices[n.To] = append(y.notices[n.To], y.now) })
	return nil
}

func (y *year) Post(_ context.Context, tx *store.Tx, m Message) (string, error) {
	p := posted{m, string(id.New[id.Record]()), y.now}
	tx.OnCommit(func() { y.sent = append(y.sent, p) })
	return p.letter, nil
}

// Became: the server takes each message after a minute. Some are greylisted first.
func (y *year) Became(_ context.Context, letter string) (string, string, time.Time, error) {
	for i, p := range y.sent {
		if p.letter != letter {
			continue
		}
		takes := time.Minute
		if i%9 == 4 {
			takes = 20 * time.Minute
		}
		if y.now.Before(p.at.Add(takes)) {
			return "waiting", "451 4.7.1", time.Time{}, nil
		}
		return "sent", "", p.at.Add(takes), nil
	}
	return "", "", time.Time{}, nil
}

// live lets the year pass: the jobs at their times, and what people do.
func (y *year) live(ctx context.Context, step func(done, total int)) error {
	for day := range 365 {
		if step != nil {
			step(day, 365)
		}
		y.now = time.Date(2026, 1, 2+day, 0, 20, 0, 0, y.zone) // at night too: nothing may go out
		if err := y.room.turn(ctx); err != nil {
			return err
		}
		if err := y.happens(ctx, day); err != nil {
			return err
		}
		for _, hour := range []int{9, 12, 16, 20} {
			y.now = time.Date(2026, 1, 2+day, hour, 40, 0, 0, y.zone)
			before := len(y.sent)
			if err := y.room.turn(ctx); err != nil {
				return err
			}
			for i := before; i < len(y.sent); i++ {
				if err := y.follows(ctx, i); err != nil {
					return err
				}
			}
		}
		y.now = time.Date(2026, 1, 2+day, 10, 0, 0, 0, y.zone)
		if err := y.room.remind(ctx); err != nil {
			return err
		}
		if day%3 == 0 {
			if err := y.learn(ctx); err != nil {
				return err
			}
		}
	}
	return y.room.writeFetches(ctx)
}

// happens is who joins, leaves and moves.
func (y *year) happens(ctx context.Context, day int) error {
	switch day {
	case 61, 128, 240: // somebody leaves, as the house does it: doors first
		gone := y.staff[3]
		err := y.db.Update(ctx, func(tx *store.Tx) error {
			return y.room.offboard(ctx, tx, layer.Leaving{Person: gone.ID, At: y.now})
		})
		if err != nil {
			return err
		}
		y.staff = append(append([]Person{}, y.staff[:3]...), y.staff[4:]...)
		y.left[gone.ID] = y.now
	case 90, 200:
		p := Person{ID: id.New[id.Person](), Name: fmt.Sprintf("Newcomer %d", day), Addresses: []string{fmt.Sprintf("new%d@practice.example", day)}, Roles: []string{"clinician"}, Joined: y.now}
		y.staff, y.joined[p.ID] = append(y.staff, p), y.now
	case 150:
		y.staff[5].Addresses, y.moved, y.movedAt = []string{"moved@elsewhere.example"}, y.staff[5].ID, y.now
	}
	return nil
}

// learn: people do what is before them, all but one.
func (y *year) learn(ctx context.Context) error {
	s, err := y.room.state(ctx)
	if err != nil {
		return err
	}
	for i, p := range y.staff {
		for _, d := range shown(s.dues[p.ID], y.now) {
			if d.Late(y.now) {
				y.late(p, d)
			}
			if i == lazy || d.Day.Sub(y.now) > 5*24*time.Hour {
				continue
			}
			for n, step := range d.Steps {
				if err := y.room.answer(ctx, p.ID, d.Lesson, n, make([]int, len(step.Questions))); err != nil {
					return err
				}
			}
			if _, err := y.room.finish(ctx, p, d.Lesson); err != nil {
				return err
			}
		}
	}
	return nil
}

// late notes a lesson whose day has passed: its person must have been reminded.
func (y *year) late(p Person, d due) {
	k := string(p.ID) + d.ID + d.Day.String()
	if y.known[k] {
		return
	}
	y.known[k] = true
	y.lates++
	for _, at := range y.notices[p.ID] {
		if at.After(d.Day.Add(-14 * 24 * time.Hour)) {
			return
		}
	}
	if len(y.notices[p.ID]) < reminded { // after some in a row it is for people to talk
		y.unwarn++
	}
}

// program is what a scanner does to a link.
type program struct {
	after  time.Duration // since the message was queued
	method string
	agent  string
	header map[string]string
	send   bool          // it sends the form as well
	waits  time.Duration // before that
	trail  string
}

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

var programsOfTheYear = []program{
	{after: 2 * time.Second, method: "HEAD", agent: chrome},
	{after: 3 * time.Second, method: "GET", agent: "python-requests/2.32.3"},
	{after: 4 * time.Second, method: "GET", agent: chrome + " Edg/142.0.0.0"},
	{after: 63 * time.Second, method: "GET", agent: chrome, send: true, waits: 5 * time.Second, trail: `{"kind":"mouse","trusted":true,"active":true,"shown":4000,"moves":30,"span":900,"press":80}`}, // real acts, seconds after delivery
	{after: 3 * time.Minute, method: "GET", agent: chrome, send: true, waits: 4 * time.Second, trail: `{"kind":"","trusted":false,"active":false,"shown":3900}`},
	{after: 4 * time.Minute, method: "GET", agent: chrome, send: true, waits: 9 * time.Second, trail: `{"kind":"mouse","trusted":true,"active":true,"driven":true,"shown":8000,"moves":30,"span":900,"press":80}`},
	{after: time.Hour, method: "GET", agent: chrome, header: map[string]string{"Sec-Purpose": "prefetch"}},
	{after: 2 * time.Hour, method: "GET", agent: "Mozilla/5.0 (compatible; LinkTester)", send: true, waits: 50 * time.Millisecond},
	{after: 3 * time.Hour, method: "GET", agent: "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
}

var linkOf = regexp.MustCompile(`/m/[A-Za-z0-9]+`)

// follows is what comes of one message: programs first, then its person. One in
// four goes on, one in three reports.
func (y *year) follows(ctx context.Context, n int) error {
	at, m := y.now, y.sent[n]
	path := linkOf.FindString(m.Text)
	for _, p := range programsOfTheYear {
		y.now = at.Add(p.after)
		y.went++
		page := y.ask(p.method, path, p.agent, p.header, "")
		if p.send {
			y.now = y.now.Add(p.waits)
			y.went++
			y.ask("POST", path, p.agent, p.header, url.Values{"page": {page}, "go": {"yes"}, "how": {p.trail}}.Encode())
		}
	}
	y.now = at.Add(5 * time.Hour)
	switch {
	case n%3 == 0:
		all, err := y.room.messages(ctx, `WHERE letter = $1`, m.letter)
		if err != nil || len(all) == 0 {
			return fmt.Errorf("the message that was sent is not known: %w", err)
		}
		y.reports++
		if err := y.room.act(ctx, all[0].ID, "reported", ""); err != nil {
			return err
		}
	case n%4 == 1:
		page := y.ask("GET", path, chrome, nil, "")
		y.now = y.now.Add(6 * time.Second)
		y.people++
		y.ask("POST", path, chrome, nil, url.Values{"page": {page}, "go": {"yes"}, "how": {`{"kind":"mouse","trusted":true,"active":true,"shown":5000,"moves":40,"span":1200,"press":90}`}}.Encode())
	}
	y.now = at
	return nil
}

var noteOf = regexp.MustCompile(`name="page" value="([0-9a-f]+)"`)

// ask sends a request to the room's pages, and returns the note in the page.
func (y *year) ask(method, path, agent string, header map[string]string, form string) string {
	r, err := http.NewRequest(method, "https://practice.example"+path, strings.NewReader(form))
	if err != nil {
		return ""
	}
	for k, v := range map[string]string{"User-Agent": agent, "Accept": "text/html", "Accept-Language": "en", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1", "Sec-Fetch-Site": "none"} {
		r.Header.Set(k, v)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := &page{header: http.Header{}}
	y.mux.ServeHTTP(w, r)
	if found := noteOf.FindSubmatch(w.Bytes()); found != nil {
		return string(found[1])
	}
	return ""
}

// page is an answer in memory.
type page struct {
	bytes.Buffer
	header http.Header
}

func (p *page) Header() http.Header { return p.header }
func (p *page) WriteHeader(int)     {}

// look checks the year, by what was posted and written, not by what was planned.
func (y *year) look(ctx context.Context, r *layer.Report) error {
	found := func(text string, args ...any) { r.Findings = append(r.Findings, fmt.Sprintf(text, args...)) }
	per := map[string]int{}
	for _, m := range y.sent {
		month := monthOf(m.at, y.zone)
		per[string(m.To)+month]++
		if !atWork(m.at, y.zone) {
			found("A practice message left at %s, when nobody works.", m.at.Format(time.RFC3339))
		}
		if gone, ok := y.left[m.To]; ok && m.at.After(gone) {
			found("Somebody who had left got a practice message.")
		}
		if m.To == y.moved && m.at.After(y.movedAt) && m.Address != "moved@elsewhere.example" {
			found("A message went to an address that its person had given up.")
		}
	}
	for k, n := range per {
		if n > 1 {
			found("Somebody got %d practice messages in one month (%s).", n, k[len(k)-7:])
		}
	}
	for _, p := range y.staff {
		for month := range 12 {
			from := time.Date(2026, time.Month(month+1), 1, 0, 0, 0, 0, y.zone)
			if at, ok := y.joined[p.ID]; ok && at.Add(settles).After(from) {
				continue
			}
			if per[string(p.ID)+from.Format("2006-01")] != 1 {
				found("Somebody was missed in %s.", from.Format("2006-01"))
			}
		}
	}
	if y.unwarn > 0 {
		found("%d lessons became late, and nobody had reminded their people.", y.unwarn)
	}
	for p, all := range y.notices {
		for i := 1; i < len(all); i++ {
			if all[i].Sub(all[i-1]) < quiet {
				found("Somebody was reminded twice within a week.")
			}
		}
		if gone, ok := y.left[p]; ok && len(all) > 0 && all[len(all)-1].After(gone) {
			found("Somebody who had left was reminded.")
		}
	}
	certificates, err := y.certificates(ctx, found)
	if err != nil {
		return err
	}
	if err := y.doors(ctx, found); err != nil {
		return err
	}
	var counted int
	if err := y.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM training_acts WHERE what IN ('went-on', 'held')`).Scan(&counted); err != nil {
		return err
	}
	var people int
	if err := y.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM training_acts WHERE what IN ('went-on', 'held') AND why = $1`, string(human.People)).Scan(&people); err != nil {
		return err
	}
	if counted > y.people {
		r.Opened = counted - y.people
		found("%d times a program was counted as a person.", r.Opened)
	}
	if people < y.people {
		found("%d people who acted were not counted.", y.people-people)
	}
	r.Tried = y.went + len(y.sent) + certificates
	r.More["messages"], r.More["automatic"], r.More["people_acted"], r.More["people_counted"], r.More["reported"] = len(y.sent), y.went, y.people, counted, y.reports
	r.More["certificates"], r.More["late_lessons"] = certificates, y.lates
	if len(y.sent) < 200 || certificates < 200 || y.people < 20 || y.lates == 0 {
		found("The year was too thin to show anything: %d messages, %d certificates, %d acts, %d late lessons.", len(y.sent), certificates, y.people, y.lates)
	}
	return nil
}

// certificates verifies each, against the ledger and its tree.
func (y *year) certificates(ctx context.Context, found func(string, ...any)) (int, error) {
	for {
		n, err := y.ledger.Sequence(ctx)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
	}
	checked, err := y.ledger.Verify(ctx, ledger.Options{})
	if err != nil {
		return 0, err
	}
	if !checked.Held() {
		found("The ledger of the year does not hold.")
	}
	all, err := y.room.certificates(ctx, `ORDER BY at, done`)
	if err != nil {
		return 0, err
	}
	bad := 0
	for _, c := range all {
		var answers [][]int
		_, v, err := y.room.Verify(ctx, c.ID)
		if err != nil {
			return 0, err
		}
		if !v.Holds || v.Size == 0 || json.Unmarshal([]byte(c.Answers), &answers) != nil {
			bad++
		}
	}
	if bad > 0 {
		found("%d of %d certificates do not verify.", bad, len(all))
	}
	return len(all), nil
}

// doors knocks at what goes to those who have left, and follows an old link.
func (y *year) doors(ctx context.Context, found func(string, ...any)) error {
	for p := range y.left {
		for d, err := range y.room.knock(ctx, p, []layer.Door{{}}) {
			if err != nil {
				return err
			}
			if d.Open {
				found("Something of training still goes to somebody who left.")
			}
		}
	}
	for _, m := range y.sent {
		if _, gone := y.left[m.To]; gone && y.ask("GET", linkOf.FindString(m.Text), chrome, nil, "") != "" {
			found("A link of somebody who left still opens a page.")
		}
	}
	return nil
}
