package leaving

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

// What an owner taps for. The object of a leaving names the person, the hour and
// who takes the patients over, so that a tap is good for this one only.
const (
	ActLeave    = "close-doors" // its object: see Asked.Object
	actWithdraw = "keep-doors"
	actKeys     = "new-team-keys"
)

// script answers the taps; it is identity's.
const script = "passkey.js"

//go:embed watch.js
var watchScript []byte

// watcher covers an open page whose session was ended.
const watcher = "watch.js"

func (l *Leaving) mount(m *web.Mux) {
	m.Script(watcher, watchScript)
	m.ScriptForSigned(watcher)
	m.Handle("GET /session/live", l.live, web.Signed)
	m.Handle("GET /leaving", l.showList, web.Signed)
	m.Handle("GET /leaving/check", l.showCheck, web.Owner)
	m.Handle("POST /leaving", l.leave, web.Owner)
	m.Handle("GET /leaving/{leaving}", l.show, web.Signed)
	m.Handle("POST /leaving/{leaving}/withdraw", l.withdraw, web.Owner)
	m.Handle("POST /leaving/{leaving}/keys", l.newKeys, web.Owner)
	m.Handle("POST /leaving/{leaving}/try", l.tryNow, web.Owner)
	m.Handle("POST /leaving/{leaving}/successor", l.nameSuccessor, web.Owner)
	m.Handle("POST /leaving/{leaving}/patients", l.handPatients, web.Signed)
	m.Handle("POST /leaving/{leaving}/outside/{item}", l.assignOutside, web.Owner)
	m.Handle("POST /leaving/{leaving}/outside/{item}/done", l.sayOutside, web.Signed)
}

// live answers a page that asks whether its session goes on: who has none does
// not get here.
func (l *Leaving) live(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, struct{}{})
}

// choice is a person to choose.
type choice struct {
	Person id.Person
	Name   string
	About  string
	Chosen bool
}

// listPage is what list.html gets.
type listPage struct {
	People     []choice
	Successors []choice
	Acts       []actRow
	Tomorrow   string // for the field of the hour
}

// actRow is a leaving in the list.
type actRow struct {
	act
	Name  string
	State layer.State
	Says  string
}

func (l *Leaving) showList(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	if !l.owner(ctx) {
		return l.showOwners(w, r, roster)
	}
	page := listPage{Successors: successors(roster, "")}
	chosen := id.Person(r.FormValue("who"))
	caring, err := l.Records.Caring(ctx)
	if err != nil {
		return err
	}
	for _, p := range people(roster) {
		p.About = about(roster, p.Person, caring)
		p.Chosen = p.Person == chosen
		page.People = append(page.People, p)
	}
	now := l.Now()
	page.Tomorrow = time.Date(now.Year(), now.Month(), now.Day()+1, 18, 0, 0, 0, now.Location()).Format(fieldTime)
	if page.Acts, err = l.actRows(ctx, roster); err != nil {
		return err
	}
	return l.pages.Show(w, r, "list", web.View{Title: "Someone is leaving", Nav: "home", Data: page})
}

// ownersPage is what owners.html gets: for everybody who is none.
type ownersPage struct {
	Owners []string
	Acts   []actRow // that are this person's business
}

func (l *Leaving) showOwners(w http.ResponseWriter, r *http.Request, roster *seal.Roster) error {
	var page ownersPage
	for _, p := range people(roster) {
		if who, _ := roster.Person(string(p.Person)); slices.Contains(who.Roles, identity.Owner) {
			page.Owners = append(page.Owners, p.Name)
		}
	}
	rows, err := l.actRows(r.Context(), roster)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if l.party(r.Context(), row.act) {
			page.Acts = append(page.Acts, row)
		}
	}
	return l.pages.Show(w, r, "owners", web.View{Title: "Someone is leaving", Nav: "home", Data: page})
}

// people are those who belong to the practice, by name.
func people(roster *seal.Roster) (list []choice) {
	for _, name := range roster.People() {
		if p, _ := roster.Person(name); !p.Gone {
			list = append(list, choice{Person: id.Person(name), Name: p.Name})
		}
	}
	slices.SortFunc(list, func(a, b choice) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// successors are those who can take patients over.
func successors(roster *seal.Roster, but id.Person) []choice {
	return slices.DeleteFunc(people(roster), func(c choice) bool { return c.Person == but || ownTeam(roster, c.Person) == "" })
}

// about says in a few words who somebody is: role, patients, ways in.
func about(roster *seal.Roster, p id.Person, caring map[id.Team]int) string {
	who, _ := roster.Person(string(p))
	words := slices.Clone(who.Roles)
	for i, role := range words {
		words[i] = strings.ReplaceAll(role, "-", " ")
	}
	if team := ownTeam(roster, p); team != "" {
		words = append(words, many(caring[team], "patient", "patients"))
	}
	return capital(strings.Join(append(words, many(len(who.Doors), "way in", "ways in")), ", "))
}

func (l *Leaving) actRows(ctx context.Context, roster *seal.Roster) (rows []actRow, err error) {
	acts, err := l.acts(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range acts {
		row := actRow{act: a, Name: nameOf(roster, a.Person)}
		found, err := l.findings(ctx, roster, a)
		if err != nil {
			return nil, err
		}
		row.State, row.Says = layer.Safe, found[0].Text
		for _, e := range found {
			if e.State > row.State {
				row.State, row.Says = e.State, e.Text
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func nameOf(roster *seal.Roster, p id.Person) string {
	who, _ := roster.Person(string(p))
	return who.Name
}

// fieldTime is how a browser sends an hour, in nobody's zone; fieldDay a day.
const (
	fieldTime = "2006-01-02T15:04"
	fieldDay  = "2006-01-02"
)

// checkPage is what check.html gets: all that one tap will do.
type checkPage struct {
	Asked
	Name     string
	Next     string // name of the successor
	When     string // "now", "hour" or "past"
	Object   string // what the tap is made for
	Doors    []counted
	Total    int
	Keys     int
	Patients int
	Reach    reach
	Since    sinceThen
	Self     bool
	Planned  time.Time // an older plan that this one takes the place of
	Needs    layer.State
}

// counted is so many doors of a kind, as people read it.
type counted struct{ Words string }

// reach says whose keys open the patients of who leaves.
type reach struct {
	Mine   bool     // the acting person's do
	Others []string // so do those of these colleagues
}

func (l *Leaving) showCheck(w http.ResponseWriter, r *http.Request) error {
	page, err := l.checked(r, r.FormValue)
	if err != nil {
		return err
	}
	title := "Close the doors"
	return l.pages.Show(w, r, "check", web.View{Title: title, Nav: "home", Scripts: []string{script}, Data: page})
}

var errWhen = &web.Error{Status: http.StatusUnprocessableEntity, Text: "It is not clear when the person leaves.", Fix: "Go back and choose now, an hour, or when it was.", Back: "/leaving"}

// checked reads what is asked for, and gathers what it would do.
func (l *Leaving) checked(r *http.Request, field func(string) string) (page checkPage, err error) {
	ctx := r.Context()
	if page.Asked, page.When, err = l.asked(field); err != nil {
		return page, err
	}
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return page, err
	}
	me := id.From(ctx).Person
	team, err := l.check(ctx, roster, me, page.Asked)
	if err != nil {
		return page, err
	}
	page.Name, page.Next, page.Self = nameOf(roster, page.Person), nameOf(roster, page.Successor), me == page.Person
	page.Object, page.Needs = page.Asked.Object(page.When), layer.NeedsYou
	doors, err := l.knocks(ctx, page.Person, nil)
	if err != nil {
		return page, err
	}
	page.Doors, page.Total, page.Keys = countDoors(doors)
	if team != "" {
		caring, err := l.Records.Caring(ctx)
		if err != nil {
			return page, err
		}
		page.Patients = caring[team]
		page.Reach = reachOf(roster, team, me, page.Person)
	}
	if page.When == "past" {
		if page.Since, err = l.since(ctx, page.Person, page.Hour); err != nil {
			return page, err
		}
	}
	if p, ok := roster.PlanOf(string(page.Person)); ok && !p.Done {
		page.Planned = time.UnixMilli(p.After)
	}
	return page, nil
}

// reachOf tells who of those who stay is in a team.
func reachOf(roster *seal.Roster, team id.Team, me, but id.Person) (r reach) {
	t, _ := roster.Team(string(team))
	for _, m := range staying(roster, t, but) {
		if m == me {
			r.Mine = true
		} else {
			r.Others = append(r.Others, nameOf(roster, m))
		}
	}
	return r
}

// asked reads the fields: who, when (now, hour, past), the hour, and to whom.
func (l *Leaving) asked(field func(string) string) (a Asked, when string, err error) {
	a.Person, a.Successor, a.Hour, when = id.Person(field("who")), id.Person(field("to")), l.Now(), field("when")
	if id.Check(string(a.Person)) != nil || a.Successor != "" && id.Check(string(a.Successor)) != nil {
		return a, when, errNobody
	}
	switch when {
	case "now":
		return a, when, nil
	case "hour", "past":
		text := field("at-" + when)
		if text == "" {
			text = field("at")
		}
		if a.Hour, err = l.hour(text); err != nil {
			return a, when, err
		}
		if future := a.Hour.After(l.Now()); future != (when == "hour") {
			return a, when, errHour
		}
		return a, when, nil
	}
	return a, when, errWhen
}

// hour reads what a field of a form says, or a number of seconds, as links carry it.
func (l *Leaving) hour(text string) (time.Time, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(n, 0).In(l.Now().Location()), nil
	}
	t, err := time.ParseInLocation(fieldTime, text, l.Now().Location())
	if err != nil {
		return t, errWhen
	}
	return t, nil
}

// Object names all of a leaving in what a tap may be made for: 64 characters.
func (a Asked) Object(when string) string {
	hour := "now"
	if when == "hour" {
		hour = strconv.FormatInt(a.Hour.Unix(), 36)
	}
	return string(a.Person) + "." + hour + "." + string(a.Successor)
}

// At is the hour as forms carry it on.
func (p checkPage) At() int64 { return p.Hour.Unix() }

// countDoors says how many doors of each kind there are.
func countDoors(doors []answer) (list []counted, total, keys int) {
	n := map[string]int{}
	var order []string
	for _, d := range doors {
		if d.Kind == identity.DoorKey {
			keys++
			continue
		}
		if n[d.Kind] == 0 {
			order = append(order, d.Kind)
		}
		n[d.Kind]++
		total++
	}
	for _, kind := range order {
		one, more := kindWords(kind)
		list = append(list, counted{many(n[kind], one, more)})
	}
	return list, total, keys
}

// kindWords are a door's kind as people read it.
func kindWords(kind string) (one, more string) {
	words := map[string][2]string{
		identity.DoorPasskey: {"passkey", "passkeys"}, identity.DoorCode: {"code on paper", "codes on paper"}, identity.DoorSession: {"open session", "open sessions"},
		identity.DoorTap: {"tap that waits", "taps that wait"}, identity.DoorBrowser: {"browser that takes a code", "browsers that take a code"}, identity.DoorKey: {"team key", "team keys"},
		"half": {"right to break the glass", "rights to break the glass"}, "chart": {"chart that is open in an emergency", "charts that are open in an emergency"},
		"notices": {"queue of notices", "queues of notices"},
	}
	if w, ok := words[kind]; ok {
		return w[0], w[1]
	}
	kind = strings.ReplaceAll(kind, "-", " ")
	return kind, kind + "s"
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

// grouped writes 33000 as people read it.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// leave does what the tap was made for: now, or a plan.
func (l *Leaving) leave(w http.ResponseWriter, r *http.Request) error {
	asked, when, err := l.asked(r.PostFormValue)
	if err != nil {
		return err
	}
	ctx, done, err := l.Identity.Tap(r, ActLeave, asked.Object(when))
	if err != nil {
		return err
	}
	defer done()
	u, _ := identity.UnlockedFrom(ctx)
	if when == "hour" {
		leaving, err := l.Plan(ctx, u, asked)
		if err != nil {
			return err
		}
		return web.SeeOther(w, r, pageOf(leaving))
	}
	leaving, err := l.Close(ctx, u, asked)
	if err != nil {
		return err
	}
	// The patients go along in the same act, as far as these keys reach.
	if asked.Successor != "" {
		if err := l.HandOver(ctx, leaving, time.Now().Add(thisAct)); err != nil {
			return err
		}
	}
	if asked.Person == u.Person {
		return web.SeeOther(w, r, "/unlock") // an owner closed his own doors
	}
	return web.SeeOther(w, r, pageOf(leaving))
}

func pageOf(leaving id.Record) string { return "/leaving/" + string(leaving) }

// thisAct is how long the same act goes on handing over patients.
const thisAct = 3 * time.Second

var errGonePage = &web.Error{Status: http.StatusNotFound, Text: "There is no such leaving.", Fix: "The page of leavings shows those that there are.", Back: "/leaving"}

// find reads the leaving of a request.
func (l *Leaving) find(r *http.Request) (act, error) {
	leaving := r.PathValue("leaving")
	if id.Check(leaving) != nil {
		return act{}, errGonePage
	}
	a, err := readAct(r.Context(), l.DB, id.Record(leaving))
	if errors.Is(err, errNoLeaving) {
		return a, errGonePage
	}
	return a, err
}

func (l *Leaving) withdraw(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	ctx, done, err := l.Identity.Tap(r, actWithdraw, string(a.ID))
	if err != nil {
		return err
	}
	defer done()
	u, _ := identity.UnlockedFrom(ctx)
	if err := l.Withdraw(ctx, u, a.ID); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/leaving")
}

func (l *Leaving) newKeys(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	ctx, done, err := l.Identity.Tap(r, actKeys, string(a.ID))
	if err != nil {
		return err
	}
	defer done()
	u, _ := identity.UnlockedFrom(ctx)
	if err := l.NewKeys(ctx, u); err != nil {
		return err
	}
	if err := l.Try(ctx, a.ID); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID))
}

func (l *Leaving) tryNow(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	if err := l.again(r.Context(), a.ID); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID))
}

func (l *Leaving) nameSuccessor(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	if err := l.name(r.Context(), a.ID, id.Person(r.PostFormValue("to"))); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID)+"#patients")
}

// handPatients hands patients over for some seconds, as far as the acting
// person's keys reach.
func (l *Leaving) handPatients(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	if !l.party(r.Context(), a) {
		return errGonePage
	}
	if err := l.HandOver(r.Context(), a.ID, time.Now().Add(thisAct)); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID)+"#patients")
}

// party tells whether a leaving is the acting person's business: of owners, of
// who leaves, and of who takes over or does something outside.
func (l *Leaving) party(ctx context.Context, a act) bool {
	me := id.From(ctx).Person
	if l.owner(ctx) || me == a.Person || me == a.Successor {
		return true
	}
	list, err := l.outside(ctx, a.ID)
	return err == nil && slices.ContainsFunc(list, func(o outside) bool { return o.Owner == me })
}

// TookWords says how long the doors took to close.
func (a act) TookWords() string {
	if a.Took < time.Second {
		return many(int(a.Took.Milliseconds()), "millisecond", "milliseconds")
	}
	return strconv.FormatFloat(a.Took.Seconds(), 'f', 1, 64) + " seconds"
}

// All is how many patients there were.
func (h handover) All() int { return h.Left + h.Moved }

func (l *Leaving) owner(ctx context.Context) bool { return l.Identity.Sessions().IsOwner(ctx) }

func (l *Leaving) assignOutside(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	due, err := time.ParseInLocation(fieldDay, r.PostFormValue("due"), l.Now().Location())
	if err != nil {
		due = time.Time{}
	}
	if err := l.Assign(r.Context(), a.ID, r.PathValue("item"), id.Person(r.PostFormValue("owner")), due); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID)+"#outside")
}

func (l *Leaving) sayOutside(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	if !l.party(r.Context(), a) {
		return errGonePage
	}
	if err := l.Word(r.Context(), a.ID, r.PathValue("item"), r.PostFormValue("done") == "yes"); err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(a.ID)+"#outside")
}

// leavingPage is what leaving.html gets.
type leavingPage struct {
	act
	Name, Next string
	Owner      bool
	Head       []layer.Evidence // what is true of it, the worst first
	State      layer.State
	Sentence   string
	Why        string
	Rows       []doorRow
	Wall       []wallRow
	Count      tally
	Trial      *trialView
	Hand       handover
	MayHand    bool // the acting person's keys reach the patients
	Reach      reach
	Successors []choice
	Outside    []outsideRow
	People     []choice
	Due        string
	Since      sinceThen
	Written    int
	Reached    int
	Stale      []string // teams that wait for an owner's tap
	Unready    []string // of a plan
	Ready      int
	Again      string // the address that plans anew
	Walking    bool
	YourWord   layer.State
	NotKnown   layer.State
	Needs      layer.State
	Checking   layer.State
}

type doorRow struct {
	Name, Kind, Answer string
	State              layer.State
	Result             string
	After              string
}

type outsideRow struct {
	outside
	OwnerName, SaidName string
	Late, Mine          bool
	DueField            string
}

func (l *Leaving) show(w http.ResponseWriter, r *http.Request) error {
	a, err := l.find(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if !l.party(ctx, a) {
		return errGonePage
	}
	page, err := l.page(ctx, a)
	if err != nil {
		return err
	}
	return l.pages.Show(w, r, "leaving", web.View{Title: "Leaving", Nav: "home", Scripts: []string{script}, Data: page})
}

func (l *Leaving) page(ctx context.Context, a act) (p leavingPage, err error) {
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return p, err
	}
	me := id.From(ctx).Person
	p = leavingPage{act: a, Name: nameOf(roster, a.Person), Next: nameOf(roster, a.Successor), Owner: l.owner(ctx), Successors: successors(roster, a.Person), People: people(roster),
		YourWord: layer.YourWord, NotKnown: layer.NotKnown, Needs: layer.NeedsYou, Checking: layer.Checking, Trial: trialOf(a)}
	if p.Head, err = l.findings(ctx, roster, a); err != nil {
		return p, err
	}
	p.State, p.Sentence, p.Why = p.Head[0].State, p.Head[0].Text, p.Head[0].Why
	p.Head = p.Head[1:]
	if err := l.pageDoors(ctx, &p); err != nil {
		return p, err
	}
	if p.Hand, err = l.handover(ctx, a.ID); err != nil {
		return p, err
	}
	if p.Hand.Team != "" {
		p.Reach = reachOf(roster, p.Hand.Team, me, a.Person)
		p.MayHand = p.Reach.Mine || me == a.Person && a.Planned()
	}
	if err := l.pageOutside(ctx, roster, me, &p); err != nil {
		return p, err
	}
	p.Due = l.Now().AddDate(0, 0, 7).Format(fieldDay)
	p.Stale = staleTeams(roster)
	if plan, ok := roster.PlanOf(string(a.Person)); ok && a.Planned() {
		p.Ready, p.Unready = readyTeams(roster, plan, a.Person)
		p.Again = fmt.Sprintf("/leaving/check?who=%s&when=hour&at=%d&to=%s", a.Person, a.Hour.Unix(), a.Successor)
	}
	if !a.Closed.IsZero() && p.Owner {
		if a.Hour.Before(a.Entered.Add(-time.Minute)) {
			if p.Since, err = l.since(ctx, a.Person, a.Hour); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// pageDoors lays out what the doors said.
func (l *Leaving) pageDoors(ctx context.Context, p *leavingPage) error {
	doors, err := doorsOf(ctx, l.DB, p.ID)
	if err != nil {
		return err
	}
	p.Count = tallied(doors)
	for _, d := range doors {
		p.Rows = append(p.Rows, rowOf(d))
	}
	p.Wall = wall(doors)
	if !p.Closed.IsZero() {
		if p.Written, p.Reached, err = l.Records.WrittenSince(ctx, p.Closed, held(doors)); err != nil {
			return err
		}
	}
	p.Walking = !p.Closed.IsZero() && p.Walked.IsZero() && l.Config.Walk != nil
	return nil
}

func (l *Leaving) pageOutside(ctx context.Context, roster *seal.Roster, me id.Person, p *leavingPage) error {
	list, err := l.outside(ctx, p.ID)
	for _, o := range list {
		row := outsideRow{outside: o, OwnerName: nameOf(roster, o.Owner), SaidName: nameOf(roster, o.SaidBy), Mine: p.Owner || o.Owner == me,
			Late: o.Open() && !o.Due.IsZero() && l.Now().After(o.Due.AddDate(0, 0, 1)), DueField: l.Now().AddDate(0, 0, 7).Format(fieldDay)}
		if !o.Due.IsZero() {
			row.DueField = o.Due.Format(fieldDay)
		}
		p.Outside = append(p.Outside, row)
	}
	return err
}

// rowOf says of one door what its verifier answered.
func rowOf(d keptDoor) doorRow {
	one, _ := kindWords(d.Kind)
	row := doorRow{Kind: capital(one), Name: called(d, one), State: layer.Safe, Result: "Closed", After: briefly(d.Took)}
	refusals := map[string]string{
		identity.DoorPasskey: "No such passkey", identity.DoorCode: "No such code", identity.DoorSession: "No such session",
		identity.DoorTap: "No such tap", identity.DoorBrowser: "Takes no code", identity.DoorKey: "There is a newer one",
	}
	row.Answer = refusals[d.Kind]
	if row.Answer == "" {
		row.Answer = "Refused"
	}
	if d.Open {
		row.State, row.Result, row.Answer = layer.Urgent, "Open", "Accepted"
	}
	if d.Open && d.Kind == identity.DoorKey {
		row.State, row.Result, row.Answer = layer.NeedsYou, "Current", "It is the newest one"
	}
	return row
}

// briefly is how long a verifier took.
func briefly(d time.Duration) string {
	if d < 100*time.Microsecond {
		return "under 0.1\u00a0ms"
	}
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + "\u00a0ms"
}

// called is how a door stands in the table.
func called(d keptDoor, kind string) string {
	switch {
	case d.Kind == identity.DoorSession && d.Name != "":
		return "Session opened with " + d.Name
	case d.Kind == identity.DoorTap && d.Name != "":
		return "Tap of " + d.Name
	case d.Name == "":
		return capital(kind)
	}
	return d.Name
}

// trialView is how a made-up person's leaving went.
type trialView struct {
	State    layer.State
	Result   string
	Text     string
	At       time.Time
	Doors    []trialDoor
	Findings []string
}

// trialDoor is one door of a made-up person, tried with its secret.
type trialDoor struct{ Name, Before, After string }

// trialOf reads the report of the drill that a leaving was followed by.
func trialOf(a act) *trialView {
	r := a.Walk
	if r == nil {
		return nil
	}
	v := &trialView{At: a.Walked, Findings: r.Findings, State: layer.NotKnown, Result: "Skipped", Text: capital(r.Skipped)}
	if r.Held != nil {
		v.State, v.Result = layer.Safe, "Held"
		if !*r.Held {
			v.State, v.Result = layer.Urgent, "Did not hold"
		}
		v.Text = fmt.Sprintf("%s before, %d after.", many(len(doorsWalked(r)), "door opened", "doors opened"), r.Opened)
		if say, ok := r.More["copy"].(string); ok {
			v.Text += " " + say
		}
	}
	for _, name := range doorsWalked(r) {
		v.Doors = append(v.Doors, trialDoor{name, "Opened", "Refused"})
	}
	return v
}

// doorsWalked are the doors that a drill's report names.
func doorsWalked(r *layer.Report) (names []string) {
	list, _ := r.More["doors"].([]any)
	for _, d := range list {
		if name, ok := d.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// wallRow is a part of the wall with the doors in it, as paths of a drawing.
type wallRow struct {
	Wide   int
	Walls  string
	Leaves []string
	Ajar   []string
}

// wall draws every way in as a bay of a wall, seven a row.
func wall(doors []keptDoor) (rows []wallRow) {
	var row *wallRow
	at := 0
	for _, d := range doors {
		if d.Kind == identity.DoorKey {
			continue
		}
		if row == nil || at == 7 {
			rows = append(rows, wallRow{Walls: "M1 1v44"})
			row, at = &rows[len(rows)-1], 0
		}
		x := at * 50
		at++
		row.Wide = at * 50
		row.Walls += fmt.Sprintf("M%d 2h50M%d 44h12M%d 44h12M%d 2v42", x, x, x+38, x+50)
		if leaf := fmt.Sprintf("M%d 44h26", x+12); d.Open {
			row.Ajar = append(row.Ajar, fmt.Sprintf("M%d 44l18 -19", x+12))
		} else {
			row.Leaves = append(row.Leaves, leaf)
		}
	}
	return rows
}
