package glass

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

func (g *Glass) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Breaking the glass", Path: "/glass"})
	m.Handle("GET /glass", g.showGlass, web.Signed)
	m.Handle("POST /glass", g.makeIt, web.Owner)
	m.Handle("POST /glass/off", g.turnOff, web.Owner)
	m.Handle("GET /glass/break/{patient}", inWords(g.showBreak), web.Signed)
	m.Handle("POST /glass/break/{patient}", inWords(g.breakIt), web.Signed)
	m.Handle("POST /glass/end/{break}", inWords(g.endIt), web.Signed)
	m.Handle("GET /glass/review/{break}", inWords(g.showReview), web.Signed)
	m.Handle("POST /glass/review/{break}", inWords(g.review), web.Signed)
}

// errNotHere tells neither a patient or breaking who does not exist from one
// whom the person may not see.
var errNotHere = &web.Error{Status: http.StatusNotFound, Text: "There is nothing here for you.", Fix: "Look for the patient by name.", Back: "/patients"}

// inWords turns what keeps the glass whole into what a person reads.
func inWords(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		no := func(text, fix string) error {
			return &web.Error{Status: http.StatusForbidden, Text: text, Fix: fix, Back: "/glass"}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrOff):
			return no("Breaking the glass is turned off in this practice.", "Call the patient’s clinician, or the owner, who can turn it on.")
		case errors.Is(err, ErrNotYou):
			return no("You are not among those who may break the glass.", "Call the patient’s clinician, or somebody who may; the owner can change who that is.")
		case errors.Is(err, ErrNoHalf):
			return no("This server’s half of the key is missing, so the glass stays whole.", "Call the patient’s clinician. The owner can make the key anew: one tap, under “Breaking the glass”.")
		case errors.Is(err, ErrUnfit):
			return no("Your part of the key does not fit the one that the practice signed, so the glass stays whole.", "Call the patient’s clinician. The owner can make the key anew: one tap, under “Breaking the glass”.")
		case errors.Is(err, ErrNotReached):
			return no("The key of the team that cares for this patient is not within reach, so the chart stays closed.", "Call somebody of that team. Once one of them comes in here, it can be reached.")
		case errors.Is(err, layer.ErrUnknown), errors.Is(err, layer.ErrNotYours), errors.Is(err, errNoBreaking):
			return errNotHere
		case errors.Is(err, layer.ErrChanged):
			return &web.Error{Text: "What is stored here is not what was written, so it stays closed.", Fix: "Nothing was changed by you. Tell the owner: the ledger says what was written, and a backup may still hold it.", Back: "/patients", Err: err}
		case errors.Is(err, errReviewed):
			return &web.Error{Status: http.StatusConflict, Text: "Somebody else finished this review meanwhile.", Fix: "What they concluded stands on the page.", Back: "/glass"}
		}
		return err
	}
}

type breakPage struct {
	Patient       id.Patient
	Name, With    string
	Fault, Reason string
	Words, Act    string
	Reasons       any
}

// asked gathers what the page of a breaking shows.
func (g *Glass) asked(r *http.Request) (page breakPage, mine bool, err error) {
	ctx, p := r.Context(), id.Patient(r.PathValue("patient"))
	if id.Check(string(p)) != nil {
		return page, false, errNotHere
	}
	if err := g.mine(ctx); err != nil {
		return page, false, err
	}
	card, err := g.card(ctx, p)
	if err != nil {
		return page, false, err
	}
	page = breakPage{Patient: p, Name: card.Called(), Act: ActBreak, Reasons: reasons}
	teams, err := g.Identity.Teams(ctx)
	var with []string
	for _, t := range teams {
		if slices.Contains(card.Care, t.ID) {
			mine = mine || t.Mine
			with = append(with, t.Name)
		}
	}
	if len(with) > 0 {
		page.With = few(with)
	}
	return page, mine, err
}

func (g *Glass) card(ctx context.Context, p id.Patient) (layer.Card, error) {
	c, err := g.Vault.Open(ctx, p, layer.PartIdentity)
	if err != nil {
		return layer.Card{}, err
	}
	defer c.Close()
	card, _, err := c.Card(ctx)
	return card, err
}

func (g *Glass) showBreak(w http.ResponseWriter, r *http.Request) error {
	page, mine, err := g.asked(r)
	if err != nil {
		return err
	}
	if mine {
		return web.SeeOther(w, r, "/patients/"+string(page.Patient))
	}
	return g.pages.Show(w, r, "break", web.View{Title: "Break the glass", Nav: "patients", Data: page})
}

func (g *Glass) breakIt(w http.ResponseWriter, r *http.Request) error {
	page, _, err := g.asked(r)
	if err != nil {
		return err
	}
	page.Reason, page.Words = r.PostFormValue("reason"), strings.TrimSpace(r.PostFormValue("words"))
	if page.Fault = faultOf(page.Reason, page.Words); page.Fault != "" {
		return g.pages.Show(w, r, "break", web.View{Status: http.StatusUnprocessableEntity, Title: "Break the glass", Nav: "patients", Data: page})
	}
	ctx, done, err := g.Identity.Tap(r, ActBreak, string(page.Patient))
	if err != nil {
		return err
	}
	defer done()
	if err := g.Break(ctx, page.Patient, page.Reason, page.Words); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/patients/"+string(page.Patient))
}

// endIt ends a broken glass early.
func (g *Glass) endIt(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	b, err := g.breaking(ctx, r.PathValue("break"))
	if err != nil {
		return err
	}
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	me := id.From(ctx).Person
	if me != b.person && !owner(roster, me) {
		return errNotHere
	}
	if err := g.end(ctx, b); err != nil {
		return err
	}
	if me == b.person {
		return web.SeeOther(w, r, "/patients/"+string(b.patient))
	}
	return web.SeeOther(w, r, "/glass/review/"+b.id)
}

type glassPage struct {
	standing
	Sentence          string
	Owner, First      bool
	Me                id.Person
	May               []string
	Missing           string
	People            []personRow
	Waiting, Reviewed []breakingRow
	ActMake, ActOff   string
}

type personRow struct {
	ID          id.Person
	Name, Roles string
	Chosen      bool
}

type breakingRow struct {
	ID, Who, Reason, Lasted, Decided, Link, Word string
	At                                           time.Time
	State                                        layer.State
}

func (g *Glass) showGlass(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	page := glassPage{Me: id.From(ctx).Person, ActMake: ActMake, ActOff: ActOff}
	if page.standing, err = g.standing(ctx); err != nil {
		return err
	}
	page.Owner, page.Missing = owner(roster, page.Me), strings.Join(page.standing.Missing, ", ")
	for _, p := range page.standing.May {
		who, _ := roster.Person(string(p))
		page.May = append(page.May, who.Name)
	}
	for _, p := range treating(roster) {
		who, _ := roster.Person(string(p))
		page.People = append(page.People, personRow{p, who.Name, roleWords(who.Roles), !page.On || slices.Contains(page.standing.May, p)})
	}
	if page.Waiting, err = g.rows(ctx, roster, false); err != nil {
		return err
	}
	if page.Reviewed, err = g.rows(ctx, roster, true); err != nil {
		return err
	}
	page.First = len(page.Waiting) == 0 && (!page.On || !page.Half || len(page.Worn) > 0)
	page.Sentence = page.sentence()
	return g.pages.Show(w, r, "glass", web.View{Title: "Breaking the glass", Data: page})
}

func (p glassPage) sentence() string {
	switch {
	case len(p.Waiting) == 1:
		return "One breaking of the glass waits for a review."
	case len(p.Waiting) > 1:
		return count(len(p.Waiting), "", "breakings of the glass wait for a review.")
	case !p.On:
		return "Nobody may break the glass here."
	case !p.Half:
		return "This server’s half of the key is missing. Make it anew."
	case len(p.Worn) > 0:
		return few(p.Worn) + " left or got new keys. Make the key anew."
	}
	return count(len(p.standing.May), "person may", "people may") + " break the glass. Nothing waits for a review."
}

func roleWords(roles []string) string {
	words := map[string]string{identity.Owner: "owner", identity.Clinician: "clinician", identity.Supervisor: "supervisor", identity.FrontDesk: "front desk", identity.Billing: "billing"}
	var read []string
	for _, r := range roles {
		if w, ok := words[r]; ok {
			r = w
		}
		read = append(read, r)
	}
	return strings.Join(read, ", ")
}

// rows are the breakings that a person may see.
func (g *Glass) rows(ctx context.Context, roster *seal.Roster, reviewed bool) (rows []breakingRow, err error) {
	all, err := g.breakings(ctx, reviewed, 200)
	if err != nil {
		return nil, err
	}
	me := id.From(ctx).Person
	for _, b := range all {
		if !maySee(roster, b, me) {
			continue
		}
		who, _ := roster.Person(string(b.person))
		row := breakingRow{ID: b.id, Who: who.Name, At: b.at, Reason: reasonText(b.reason), Lasted: g.lasted(b), Link: "See it", State: layer.NeedsYou, Word: "To review"}
		switch {
		case reviewed:
			by, _ := roster.Person(string(b.reviewer))
			row.State, row.Word, row.Decided = layer.YourWord, "Reviewed", by.Name+": "+decisionText(b.decided)+"."
		case !g.Now().Before(b.due):
			row.State, row.Word, row.Link = layer.Urgent, "Overdue", "Review it"
		case mayDecide(roster, b, me):
			row.Link = "Review it"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// lasted says how long it was open.
func (g *Glass) lasted(b breaking) string {
	if left := g.left(b); left > 0 {
		return "It is open for " + web.Minutes(left) + " more."
	}
	n := int(b.until().Sub(b.at).Round(time.Minute) / time.Minute)
	if n < 1 {
		return "It was open for less than a minute."
	}
	return "It was open for " + web.Minutes(n) + "."
}

// left is how many minutes it stays open, rounded up; 0 if it is over.
func (g *Glass) left(b breaking) int {
	d := b.until().Sub(g.Now())
	if d <= 0 {
		return 0
	}
	return int((d + time.Minute - 1) / time.Minute)
}

func (g *Glass) makeIt(w http.ResponseWriter, r *http.Request) error {
	return g.change(w, r, ActMake, func(ctx context.Context, u *identity.Unlocked) error {
		var people []id.Person
		for _, name := range r.PostForm["person"] {
			people = append(people, id.Person(name))
		}
		return g.Make(ctx, u, people...)
	})
}

func (g *Glass) turnOff(w http.ResponseWriter, r *http.Request) error {
	return g.change(w, r, ActOff, g.Off)
}

// change is an owner's act with a tap.
func (g *Glass) change(w http.ResponseWriter, r *http.Request, act string, do func(context.Context, *identity.Unlocked) error) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	if act == ActMake && len(r.PostForm["person"]) == 0 {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Nobody was chosen, so nothing was changed.", Fix: "Choose at least one person, or turn it off.", Back: "/glass"}
	}
	ctx, done, err := g.Identity.Tap(r, act, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	u, _ := identity.UnlockedFrom(ctx)
	if err := do(ctx, u); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/glass")
}

type reviewPage struct {
	ID, Who, Name, Reason, Words string
	Lasted, Waits                string
	At, Due, Reviewed            time.Time
	Late                         bool
	Open, Mine, Sealed           bool
	Decide, Alone                bool
	Opened                       []looked
	Decided, Reviewer, Verdict   string
	Decisions                    any
	Fault, Chosen                string
}

// reviewed finds a breaking that the acting person may see.
func (g *Glass) reviewed(r *http.Request) (b breaking, roster *seal.Roster, err error) {
	ctx := r.Context()
	if b, err = g.breaking(ctx, r.PathValue("break")); err != nil {
		return b, nil, err
	}
	if roster, err = g.Identity.Roster(ctx); err != nil {
		return b, nil, err
	}
	if !maySee(roster, b, id.From(ctx).Person) {
		return b, nil, errNotHere
	}
	return b, roster, nil
}

func (g *Glass) showReview(w http.ResponseWriter, r *http.Request) error {
	b, roster, err := g.reviewed(r)
	if err != nil {
		return err
	}
	return g.reviewOf(w, r, b, roster, "", "")
}

func (g *Glass) reviewOf(w http.ResponseWriter, r *http.Request, b breaking, roster *seal.Roster, fault, chosen string) error {
	ctx := r.Context()
	me := id.From(ctx).Person
	who, _ := roster.Person(string(b.person))
	page := reviewPage{ID: b.id, Who: who.Name, Reason: reasonText(b.reason), Lasted: g.lasted(b), At: b.at, Sealed: b.words != nil,
		Mine: me == b.person, Decisions: decisions, Fault: fault, Chosen: chosen, Waits: "It waits for an owner."}
	page.Open = g.left(b) > 0 && (page.Mine || owner(roster, me))
	page.Decide = mayDecide(roster, b, me)
	page.Alone = page.Decide && page.Mine
	var err error
	if page.Opened, err = g.opened(ctx, b); err != nil {
		return err
	}
	if err := g.openWords(ctx, b, &page); err != nil {
		return err
	}
	switch {
	case b.decided != "":
		by, _ := roster.Person(string(b.reviewer))
		page.Decided, page.Reviewer, page.Reviewed = decisionText(b.decided), by.Name, b.reviewed
	default:
		page.Due, page.Late = b.due, !g.Now().Before(b.due)
	}
	view := web.View{Title: "A breaking of the glass", Data: page}
	if fault != "" {
		view.Status = http.StatusUnprocessableEntity
	}
	return g.pages.Show(w, r, "review", view)
}

// openWords opens who it was about and what was typed, as far as the person may.
func (g *Glass) openWords(ctx context.Context, b breaking, page *reviewPage) error {
	card, err := g.card(ctx, b.patient)
	if errors.Is(err, layer.ErrNotYours) || errors.Is(err, layer.ErrUnknown) {
		return nil // somebody who may not know names, or a patient who was erased
	}
	if err != nil {
		return err
	}
	page.Name = card.Called()
	for _, t := range []struct {
		name string
		box  []byte
		to   *string
	}{{b.id, b.words, &page.Words}, {b.id + ".verdict", b.verdict, &page.Verdict}} {
		if t.box == nil {
			continue
		}
		if *t.to, err = g.Vault.OpenWords(ctx, b.patient, t.name, t.box); err != nil {
			return err
		}
	}
	return nil
}

func (g *Glass) review(w http.ResponseWriter, r *http.Request) error {
	b, roster, err := g.reviewed(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if !mayDecide(roster, b, id.From(ctx).Person) {
		return &web.Error{Status: http.StatusForbidden, Text: "Somebody else reviews this.", Fix: "Who broke the glass does not review it, and an owner does before others.", Back: "/glass"}
	}
	decision, words := r.PostFormValue("decision"), strings.TrimSpace(r.PostFormValue("words"))
	if decisionText(decision) == "" {
		return g.reviewOf(w, r, b, roster, "Please choose what you conclude.", decision)
	}
	if len(words) > mostWords {
		return g.reviewOf(w, r, b, roster, "Please be shorter: two or three sentences are enough.", decision)
	}
	if err := g.decide(ctx, b, decision, words); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/glass/review/"+b.id)
}
