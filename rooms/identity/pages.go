package identity

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed passkey.js
var passkeyScript []byte

//go:embed kem.js
var kemScript []byte

//go:embed kit.js
var kitPageScript []byte

// kitScript is the name of what the pages of the kit need besides: its two files in one.
const kitScript = "kit.js"

var kitScripts = slices.Concat(kemScript, []byte("\n"), kitPageScript)

// script is the name of the room's script among the static files.
const script = "passkey.js"

// mount adds the room's pages. What a stranger may ask of the doors is held
// back by network; what needs a live session is not.
func (i *Identity) mount(m *web.Mux) {
	m.Script(script, passkeyScript)
	m.Script(kitScript, kitScripts)
	m.ScriptForSigned(script)
	m.Foot(web.NavItem{Text: "Your ways in", Path: "/doors"})
	m.Foot(web.NavItem{Text: "Who can open what", Path: "/people"})
	open := func(pattern string, h web.Handler) { m.Handle(pattern, i.limited(h), web.Anyone) }
	m.Handle("GET /unlock", i.showCover, web.Anyone)
	m.Handle("GET /unlock/code", i.showCode, web.Anyone)
	m.Handle("GET /unlock/lost", i.showLost, web.Anyone)
	m.Handle("POST /lock", i.lock, web.Anyone)
	open("POST /passkey/begin", i.askToSignIn)
	open("POST /passkey/finish", i.signIn)
	open("POST /code/begin", i.askToSend)
	open("POST /code/finish", i.signInWithCode)
	m.Handle("POST /session/renew", i.renew, web.Signed)
	open("POST "+bindPath, i.bind)
	open("POST "+refreshPath, i.refreshBound)
	m.Handle("POST /tap/begin", i.paced(i.askToTap), web.Signed)
	m.Handle("POST /tap/finish", i.tap, web.Signed)

	open("GET /claim/{token}", i.showClaim)
	open("POST /claim/{token}", i.nameClaim)
	open("GET /claim/{token}/passkey", i.showClaimPasskey)
	open("POST /claim/{token}/begin", i.askToClaim)
	open("POST /claim/{token}/finish", i.claimHouse)
	m.Handle("GET /first/door", i.showSecondWay, web.Signed)
	m.Handle("GET /kit", i.showKit, web.Owner)
	m.Handle("GET /kit/shares", i.showShares, web.Owner)
	m.Handle("POST /kit/try", i.paced(i.tryKit), web.Owner)
	m.Handle("POST /kit", i.setKit, web.Owner)
	m.Handle("GET /rehearse", i.showRehearse, web.Owner)
	m.Handle("POST /rehearse/kit/begin", i.paced(i.askRehearseKit), web.Owner)
	m.Handle("POST /rehearse/kit", i.rehearseKit, web.Owner)
	m.Handle("POST /rehearse/code", i.paced(i.rehearseCode), web.Owner)
	m.Handle("POST /kit/stop", i.stopKit, web.Signed)
	m.Handle("GET /unlock/kit", i.showKitBack, web.Anyone)
	open("POST /unlock/kit/begin", i.askKit)
	open("POST /unlock/kit/prove", i.proveKit)
	open("POST /unlock/kit/passkey", i.askKitPasskey)
	open("POST /unlock/kit/keys", i.kitKeys)
	open("POST /unlock/kit/finish", i.finishKit)

	m.Handle("GET /doors", i.showDoors, web.Signed)
	m.Handle("POST /doors/begin", i.paced(i.askToAddPasskey), web.Signed)
	m.Handle("POST /doors/passkey", i.addPasskey, web.Signed)
	m.Handle("POST /doors/code", i.addCode, web.Signed)
	m.Handle("POST /doors/addresses", i.setAddresses, web.Signed)
	m.Handle("GET /doors/{door}", i.showDoor, web.Signed)
	m.Handle("POST /doors/{door}/name", i.nameDoor, web.Signed)
	m.Handle("POST /doors/{door}/stop", i.stopCode, web.Signed)
	m.Handle("POST /doors/{door}/remove", i.removeDoor, web.Signed)
	m.Handle("POST /sessions/{session}/end", i.endOwnSession, web.Signed)
	m.Handle("POST /sessions/stolen", i.reportStolen, web.Signed)
	m.Handle("POST /people/keys", i.renewKeys, web.Owner)
	m.Handle("GET /people/{person}", i.showPerson, web.Owner)
	m.Handle("POST /people/{person}", i.changePerson, web.Owner)
	m.Handle("GET /people/{person}/back", i.showBack, web.Owner)
	m.Handle("POST /people/{person}/back", i.linkBack, web.Owner)
	m.Handle("POST /people/{person}/back/{invitation}/confirm", i.confirmBack, web.Owner)
	m.Handle("POST /people/{person}/back/stop", i.stopBack, web.Signed)
	m.Handle("GET /review", i.showReview, web.Owner)
	m.Handle("POST /review", i.finishReview, web.Owner)
	m.Handle("POST /review/drop", i.dropGrant, web.Owner)
	m.Handle("GET /people/invite", i.showInvite, web.Owner)
	m.Handle("POST /people/invite", i.invite, web.Owner)
	m.Handle("POST /people/invitations/{invitation}/withdraw", i.withdraw, web.Owner)
	open("GET /join/{token}", i.showJoin)
	open("POST /join/{token}", i.acceptJoin)
	open("GET /join/{token}/passkey", i.showJoinPasskey)
	open("POST /join/{token}/{which}/begin", i.askToJoin)
	open("POST /join/{token}/first/finish", i.joinPasskey)
	open("GET /join/{token}/second", i.showJoinSecond)
	open("POST /join/{token}/second/finish", i.joinSecondPasskey)
	open("POST /join/{token}/code", i.joinCode)
	open("POST /join/{token}/stuck", i.joinStuck)
	m.Handle("GET /approve/{approval}", i.showApproval, web.Owner)
	m.Handle("POST /approve/{approval}", i.approve, web.Owner)
	m.Handle("GET /people", i.showPeople, web.Signed)
	if i.MadeUp {
		open("GET /demo/enter/{token}", i.showDemo)
		open("POST /demo/enter/{token}", i.enterDemo)
	}
}

func fromBase64(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

type coverPage struct {
	Next    string
	Founded bool
	Known   bool // a typed code is taken in this browser
}

// showCover is the closed room. One tap resumes.
func (i *Identity) showCover(w http.ResponseWriter, r *http.Request) error {
	known, err := i.enrolled(r, "")
	if err != nil {
		return err
	}
	return i.pages.Show(w, r, "unlock", web.View{Title: "Closed", Bare: true, Class: "middle", Scripts: []string{script},
		Data: coverPage{web.Next(r), i.Founded(), known}})
}

// showLost says what helps when no way in is left.
func (i *Identity) showLost(w http.ResponseWriter, r *http.Request) error {
	return i.pages.Show(w, r, "lost", web.View{Title: "Every way in is lost", Bare: true, Step: "Coming back"})
}

func (i *Identity) showCode(w http.ResponseWriter, r *http.Request) error {
	known, err := i.enrolled(r, "")
	if err != nil {
		return err
	}
	return i.pages.Show(w, r, "code", web.View{Title: "Come in with a code", Bare: true, Step: "Another way in", Scripts: []string{script},
		Data: coverPage{web.Next(r), i.Founded(), known}})
}

type doorsPage struct {
	Person   string // opaque id: what one taps for
	Practice string
	Name     string
	Doors    []doorRow
	Sessions []sessionRow
	Mail     string
	Second   string
	Late     bool   // this person's teams wait for an owner
	Did      string // what was done just now
	Kit      bool
	Trusted  []string // who has a share of the kit
	House    string   // opaque id of the practice: what the kit is bound to
	Words    []string
	Next     string
}

// With says where a step leads, once it is done.
func (p doorsPage) With(next string) doorsPage { p.Next = next; return p }

func (i *Identity) ownDoors(ctx context.Context) (p doorsPage, err error) {
	person := id.From(ctx).Person
	p = doorsPage{Person: string(person), Practice: i.PracticeName(ctx), Words: i.fingerprint()}
	if p.Name, err = i.Name(ctx, person); err != nil {
		return p, err
	}
	if p.Doors, err = i.doorsOf(ctx, person); err != nil {
		return p, err
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return p, err
	}
	_, p.Kit = ready(roster)
	p.Trusted, _ = trustedNames(roster)
	p.House = i.Anchor.Practice()
	return p, nil
}

func (i *Identity) showOwn(w http.ResponseWriter, r *http.Request, page string, v web.View) error {
	p, err := i.ownDoors(r.Context())
	if err != nil {
		return err
	}
	v.Data, v.Scripts = p, append([]string{script}, v.Scripts...)
	return i.pages.Show(w, r, page, v)
}

func (i *Identity) showSecondWay(w http.ResponseWriter, r *http.Request) error {
	return i.showOwn(w, r, "second", web.View{Title: "A second way in", Bare: true, Step: "3 of 4, about 4 minutes left"})
}

func (i *Identity) showKit(w http.ResponseWriter, r *http.Request) error {
	return i.showOwn(w, r, "kit", web.View{Title: "The recovery kit", Bare: true, Step: "4 of 4, about 2 minutes left", Scripts: []string{kitScript}})
}

type sharesPage struct {
	doorsPage
	Three      []int
	Colleagues []string
}

func (i *Identity) showShares(w http.ResponseWriter, r *http.Request) error {
	p, err := i.ownDoors(r.Context())
	if err != nil {
		return err
	}
	page := sharesPage{doorsPage: p, Three: []int{1, 2, 3}}
	people, err := i.people(r.Context())
	if err != nil {
		return err
	}
	for _, person := range people {
		if !person.Gone {
			page.Colleagues = append(page.Colleagues, person.Name)
		}
	}
	return i.pages.Show(w, r, "kit-shares", web.View{Title: "Share the kit", Bare: true, Step: "About 8 minutes", Scripts: []string{script, kitScript}, Data: page})
}

func (i *Identity) showDoors(w http.ResponseWriter, r *http.Request) error {
	p, err := i.ownDoors(r.Context())
	if err != nil {
		return err
	}
	if p.Sessions, err = i.sessionsOf(r.Context(), id.From(r.Context()).Person); err != nil {
		return err
	}
	if err := i.DB.QueryRowContext(r.Context(), `SELECT mail, second FROM identity_people WHERE person = $1`, id.From(r.Context()).Person).Scan(&p.Mail, &p.Second); err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	late, err := i.Overdue(r.Context())
	if err != nil {
		return err
	}
	p.Late = slices.ContainsFunc(late, func(o Overdue) bool { return o.Who == id.From(r.Context()).Person })
	p.Did = r.URL.Query().Get("did")
	return i.pages.Show(w, r, "doors", web.View{Title: "Your ways in", Scripts: []string{script}, Data: p})
}

type personRow struct {
	ID                 id.Person
	Name, Roles, Opens string
	Doors              int
	Gone               bool
	Until              time.Time
}

type peoplePage struct {
	People  []personRow
	Invited []invitedRow
	Owner   bool
	Me      string
	Late    string
	Kit     time.Time // from when on a kit that was shown opens; zero: none was
}

// invitedRow is how far somebody is who was invited.
type invitedRow struct {
	ID, Name, Role, How string
	Back                id.Person // who comes back
	Stop                bool      // anybody may stop it
	Until               time.Time
	Words               []string
}

// showPeople says of everybody, in sentences, what that person can open: from
// the signed list, which is what decides.
func (i *Identity) showPeople(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := peoplePage{Owner: i.Sessions().IsOwner(ctx), Me: string(id.From(ctx).Person)}
	var err error
	if p.People, err = i.people(ctx); err != nil {
		return err
	}
	if p.Invited, err = i.invited(ctx); err != nil {
		return err
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	e, err := i.overdueEvidence(ctx, roster)
	if err != nil {
		return err
	}
	if asked, waits, err := i.waiting(ctx, kitWait, fmt.Sprint(roster.Kit().Number)); err != nil {
		return err
	} else if waits && i.Now().Before(asked.Add(kitWaits+kitPatient)) {
		p.Kit = asked.Add(kitWaits)
	}
	if e.State == layer.NeedsYou {
		p.Late = e.Text
	}
	return i.pages.Show(w, r, "people", web.View{Title: "People", Scripts: []string{script}, Data: p})
}

// invited says of everybody who was invited how far that is.
func (i *Identity) invited(ctx context.Context) (rows []invitedRow, err error) {
	open, unsigned, err := i.invitations(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range open {
		row := invitedRow{ID: v.ID, Name: v.Name, Role: list(roleWords([]string{v.Role})), How: v.how(i.Now())}
		if v.Back {
			row.Back, row.Stop = v.Person, v.state == waiting || v.state == confirmed
		}
		if v.Until > 0 {
			row.Until = time.UnixMilli(v.Until).Add(-time.Minute)
		}
		if v.state == waiting && !v.Back {
			row.Words = v.words()
		}
		rows = append(rows, row)
	}
	if unsigned > 0 {
		rows = append(rows, invitedRow{Name: "Somebody", How: "An invitation is not signed by an owner of today, so nothing comes of it. Please invite that person again."})
	}
	return rows, nil
}

// how says how far an invitation is, and what comes next.
func (v invitation) how(now time.Time) string {
	if v.Back {
		return v.howBack(now)
	}
	if v.over(now) {
		return "The link ran out. Please invite this person again."
	}
	switch v.state {
	case sent:
		return "The link was not opened yet. It works until " + v.expires().Format("2 January") + "."
	case opened:
		return "Has opened the link, and made no passkey yet."
	case passkeyed:
		return "Has a passkey. The second way in is missing."
	case stuck:
		return "Needs a hardware security key: no device at hand gives a key. The link stays good until " + v.expires().Format("2 January") + "."
	}
	if _, err := v.offer(); err != nil {
		return "The keys that wait here were not made with the link, so nobody was let in. Please take this back, and invite again."
	}
	return "Is ready. The door opens when an owner who is in the same teams comes in or taps next."
}

func (i *Identity) people(ctx context.Context) ([]personRow, error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	until, err := i.lastDays(ctx)
	if err != nil {
		return nil, err
	}
	var people []personRow
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		row := personRow{ID: id.Person(name), Until: until[id.Person(name)], Roles: strings.Join(roleWords(p.Roles), ", "), Doors: len(p.Doors), Gone: p.Gone}
		if row.Name, err = i.Name(ctx, id.Person(name)); err != nil {
			return nil, err
		}
		row.Opens = opensOf(roster, name)
		people = append(people, row)
	}
	slices.SortFunc(people, func(a, b personRow) int { return strings.Compare(a.Name, b.Name) })
	return people, nil
}

// opens is the sentence of what a person can open.
func opens(directory, billing bool, care []string) string {
	var can []string
	if directory {
		can = append(can, "the names and appointments of all patients")
	}
	if billing {
		can = append(can, "billing")
	}
	slices.Sort(care)
	switch len(care) {
	case 0:
	case 1:
		can = append(can, "the charts of the care team "+care[0])
	case 2, 3:
		can = append(can, "the charts of the care teams "+list(care))
	default:
		can = append(can, fmt.Sprintf("the charts of %d care teams", len(care)))
	}
	switch {
	case len(can) == 0:
		return "Opens nothing yet."
	case len(care) == 0:
		return "Can open " + list(can) + ", and no notes."
	}
	return "Can open " + list(can) + "."
}

func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// roleWords are the roles as people read them.
func roleWords(roles []string) []string {
	words := map[string]string{seal.Owner: "owner", Clinician: "clinician", Supervisor: "supervisor", FrontDesk: "front desk", Billing: "billing"}
	var read []string
	for _, r := range roles {
		if w, ok := words[r]; ok {
			r = w
		}
		read = append(read, r)
	}
	return read
}
