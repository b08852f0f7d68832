package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// What somebody does here (roles), and what somebody may open (teams). Both stand
// on the signed list, and an owner's tap changes both in one act; who is taken out
// of a team leaves it with the key of before.

const (
	actChangePerson = "change-person"
	actDropTeam     = "drop-team"
)

var allRoles = []string{Owner, Clinician, Supervisor, FrontDesk, Billing}

// rights is what an owner wants of somebody.
type rights struct {
	roles []string
	teams []id.Team
}

var (
	errNobody    = &web.Error{Status: http.StatusNotFound, Text: "Nobody of that name belongs to the practice.", Back: "/people"}
	errLastOwner = &web.Error{Status: http.StatusConflict, Text: "This would leave the practice without an owner. Nothing was changed.", Fix: "Make somebody else an owner first.", Back: "/people"}
)

// SetRights makes a person's roles and teams what they are to be.
func (c *Change) setRights(ctx context.Context, p id.Person, want rights) error {
	who, ok := c.roster.Person(string(p))
	if !ok || who.Gone {
		return errNobody
	}
	if !slices.Equal(slices.Sorted(slices.Values(want.roles)), slices.Sorted(slices.Values(who.Roles))) {
		if err := c.Sign(seal.Entry{Act: seal.Assign, Person: string(p), Roles: want.roles}); err != nil {
			if _, refused := errors.AsType[*seal.RosterError](err); refused && !slices.Contains(want.roles, Owner) {
				return errLastOwner
			}
			return err
		}
		c.Tell(ctx, ledger.Fact{Kind: "identity.roles-changed", Subject: string(p), Version: int64(c.roster.Number)})
	}
	own := false
	for _, name := range c.roster.Teams() {
		t, _ := c.roster.Team(name)
		own = own || t.Own == string(p)
		is, shall := slices.Contains(t.Members, string(p)), slices.Contains(want.teams, id.Team(name)) || t.Own == string(p) && slices.Contains(t.Members, string(p))
		switch {
		case is && !shall:
			if err := c.drop(ctx, p, id.Team(name)); err != nil {
				return err
			}
		case shall && !is:
			err := c.AddMember(ctx, id.Team(name), p)
			if errors.Is(err, ErrNoKey) {
				return notInTeam(t.Name)
			}
			if err != nil {
				return err
			}
			c.Tell(ctx, ledger.Fact{Kind: "identity.team-joined", Subject: string(p), Ref: name})
		}
	}
	if slices.Contains(want.roles, Clinician) && !own {
		members := []id.Person{p}
		if c.by.Person != p {
			members = append(members, c.by.Person) // so that patients can be handed over one day
		}
		return c.Form(ctx, id.New[id.Team](), seal.RosterTeam{Kind: CareTeam, Name: who.Name, Own: string(p)}, members)
	}
	return nil
}

func notInTeam(name string) error {
	return &web.Error{Status: http.StatusForbidden, Text: "You are not in “" + name + "”, so you cannot let anybody into it. Nothing was changed.", Fix: "Ask an owner who is in it.", Back: "/people"}
}

// drop takes a person out of a team: the others get a new key in the same act.
func (c *Change) drop(ctx context.Context, p id.Person, team id.Team) error {
	t, _ := c.roster.Team(string(team))
	if !slices.Contains(t.Members, string(p)) {
		return nil
	}
	members := slices.DeleteFunc(ids(t.Members), func(m id.Person) bool { return m == p })
	if len(members) == 0 { // nobody but the kit could open what it holds
		return &web.Error{Status: http.StatusConflict, Text: "Nobody else is in “" + t.Name + "”, so nobody could open it any more. Nothing was changed.", Fix: "Let somebody else into it first.", Back: "/review"}
	}
	if err := c.Rotate(ctx, team, members); err != nil {
		return err
	}
	c.Tell(ctx, ledger.Fact{Kind: "identity.team-left", Subject: string(p), Ref: string(team)})
	return nil
}

type rightsPage struct {
	ID, Name, Opens string
	Roles, Teams    []choice
	Self            bool
}

func (i *Identity) showPerson(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := r.PathValue("person")
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	who, ok := roster.Person(p)
	if !ok || who.Gone {
		return errNobody
	}
	teams, err := i.Teams(ctx)
	if err != nil {
		return err
	}
	page := rightsPage{ID: p, Name: who.Name, Opens: opensOf(roster, p), Self: p == string(id.From(ctx).Person)}
	about := map[string]string{Owner: "signs who belongs to the practice, and what each may open; opens nothing by it",
		Clinician: "takes in patients, into a care team of one’s own", Supervisor: "a word for colleagues; what it opens are the teams below",
		FrontDesk: "a word for colleagues; what it opens are the teams below", Billing: "a word for colleagues; what it opens are the teams below"}
	for _, role := range allRoles {
		word := list(roleWords([]string{role}))
		page.Roles = append(page.Roles, choice{Value: role, Text: strings.ToUpper(word[:1]) + word[1:], About: about[role], Chosen: slices.Contains(who.Roles, role)})
	}
	for _, t := range teams {
		rt, _ := roster.Team(string(t.ID))
		is := slices.Contains(rt.Members, p)
		if rt.Own == p && is || !is && !t.Mine {
			continue // one's own stays; into a team that one is not in, one lets nobody
		}
		page.Teams = append(page.Teams, choice{Value: string(t.ID), Text: t.Name, About: teamAbout(t.Kind), Chosen: is})
	}
	return i.pages.Show(w, r, "person", web.View{Title: who.Name, Scripts: []string{script}, Data: page})
}

func teamAbout(kind string) string {
	switch kind {
	case DirectoryTeam:
		return "names and appointments of all patients"
	case BillingTeam:
		return "billing"
	}
	return "all charts of this care team"
}

func (i *Identity) changePerson(w http.ResponseWriter, r *http.Request) error {
	p := id.Person(r.PathValue("person"))
	ctx, done, err := i.Tap(r, actChangePerson, string(p))
	if err != nil {
		return err
	}
	defer done()
	want := rights{}
	for _, role := range allRoles {
		if slices.Contains(r.PostForm["role"], role) {
			want.roles = append(want.roles, role)
		}
	}
	for _, team := range r.PostForm["team"] {
		want.teams = append(want.teams, id.Team(team))
	}
	u, _ := UnlockedFrom(ctx)
	err = i.Change(ctx, u, func(c *Change) error {
		if err := c.setRights(ctx, p, want); err != nil {
			return err
		}
		if len(c.entries) > 0 && p != u.Person {
			c.Write(func(tx *store.Tx) error { return i.notify(ctx, tx, rightsNotice(p)) })
		}
		return nil
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/people")
}

func rightsNotice(p id.Person) layer.Notice {
	return layer.Notice{To: p, Subject: "What you may open was changed", Link: "/people",
		Text: "An owner of the practice changed what you may open. The page of people says what it is now. If that is not right, please talk to the owner."}
}

// opensOf is the sentence of what a person can open, as the signed list says.
func opensOf(roster *seal.Roster, person string) string {
	var directory, billing bool
	var care []string
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		if !slices.Contains(t.Members, person) {
			continue
		}
		switch t.Kind {
		case DirectoryTeam:
			directory = true
		case BillingTeam:
			billing = true
		case CareTeam:
			care = append(care, t.Name)
		}
	}
	return opens(directory, billing, care)
}

// ---- The review of who may open what, once a quarter

const (
	reviewDone  = "review"
	reviewEvery = 92 * 24 * time.Hour
)

// grant is one team's key in one person's hands.
type grant struct {
	Person     id.Person
	Team       id.Team
	Name, Text string
	Own        bool
	Sealed     bool // the newest key is sealed to the person, as the list says it should
}

// Object is what one taps for to drop it.
func (g grant) Object() string { return string(g.Person) + "." + string(g.Team) }

type reviewRow struct {
	Name, Roles, Opens string
	Grants             []grant
}

// grants are what each person may open, from the signed list and from the keys
// that lie sealed in the database: nobody writes this list.
func (i *Identity) grants(ctx context.Context) (rows []reviewRow, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	held, err := i.wraps(ctx)
	if err != nil {
		return nil, err
	}
	for _, person := range roster.People() {
		p, _ := roster.Person(person)
		if p.Gone {
			continue
		}
		row := reviewRow{Name: p.Name, Roles: strings.Join(roleWords(p.Roles), ", "), Opens: opensOf(roster, person)}
		for _, name := range roster.Teams() {
			t, _ := roster.Team(name)
			if slices.Contains(t.Members, person) {
				row.Grants = append(row.Grants, grant{Person: id.Person(person), Team: id.Team(name), Name: t.Name, Text: teamAbout(t.Kind), Own: t.Own == person, Sealed: held[wrap{name, t.Epoch, person}]})
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b reviewRow) int { return strings.Compare(a.Name, b.Name) })
	return rows, nil
}

type reviewPage struct {
	Rows []reviewRow
	Last time.Time
	By   string
	Me   string
}

func (i *Identity) showReview(w http.ResponseWriter, r *http.Request) error {
	rows, err := i.grants(r.Context())
	if err != nil {
		return err
	}
	p := reviewPage{Rows: rows, Me: string(id.From(r.Context()).Person)}
	by, at, err := i.lastDone(r.Context(), reviewDone, "")
	if err != nil {
		return err
	}
	if p.Last = at; !at.IsZero() {
		if p.By, err = i.Name(r.Context(), by); err != nil {
			return err
		}
	}
	return i.pages.Show(w, r, "review", web.View{Title: "Who may open what", Scripts: []string{script}, Data: p})
}

// dropGrant takes one grant away: one tap, and the team has a new key.
func (i *Identity) dropGrant(w http.ResponseWriter, r *http.Request) error {
	g := grant{Person: id.Person(r.PostFormValue("person")), Team: id.Team(r.PostFormValue("team"))}
	ctx, done, err := i.Tap(r, actDropTeam, g.Object())
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	err = i.Change(ctx, u, func(c *Change) error {
		if err := c.drop(ctx, g.Person, g.Team); err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error { return i.notify(ctx, tx, rightsNotice(g.Person)) })
		return nil
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/review")
}

// finishReview writes down that an owner looked at all of it.
func (i *Identity) finishReview(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	rows, err := i.grants(ctx)
	if err != nil {
		return err
	}
	b, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	sum, a := sha256.Sum256(b), id.From(ctx)
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.writeDone(ctx, tx, reviewDone, a.Person, roster.Number); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.access-reviewed", Subject: string(a.Person), Version: int64(roster.Number), Hash: sum[:]})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/people")
}

// writeDone writes down that a person did something today that comes again.
func (i *Identity) writeDone(ctx context.Context, tx *store.Tx, kind string, p id.Person, number uint64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_done (kind, person, at, number) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, kind, p, i.Now().UnixMilli(), number)
	return err
}

// lastDone says who did something last, and when; of one person, if named. The
// zero time: nobody, yet.
func (i *Identity) lastDone(ctx context.Context, kind string, p id.Person) (by id.Person, at time.Time, err error) {
	var ms int64
	err = i.DB.QueryRowContext(ctx, `SELECT person, at FROM identity_done WHERE kind = $1 AND (person = $2 OR $2 = '') ORDER BY at DESC LIMIT 1`, kind, p).Scan(&by, &ms)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read what was done: %w", err)
	}
	return by, time.UnixMilli(ms), nil
}

// firstDay is when the practice was founded here.
func (i *Identity) firstDay(ctx context.Context) (time.Time, error) {
	var ms int64
	err := i.DB.QueryRowContext(ctx, `SELECT COALESCE(MIN(joined), 0) FROM identity_people`).Scan(&ms)
	return time.UnixMilli(ms), err
}

// reviewEvidence: an owner looked at who may open what within a quarter.
func (i *Identity) reviewEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.review", State: layer.Safe, Page: "/review"}
	rows, err := i.grants(ctx)
	if err != nil {
		return e, err
	}
	by, at, err := i.lastDone(ctx, reviewDone, "")
	if err != nil {
		return e, err
	}
	first, err := i.firstDay(ctx)
	if err != nil {
		return e, err
	}
	grants := 0
	for _, row := range rows {
		grants += len(row.Grants)
	}
	who, _ := roster.Person(string(by))
	now := i.Now()
	switch {
	case len(rows) == 1:
		e.Text = fmt.Sprintf("%s alone may open anything here.", rows[0].Name)
	case at.IsZero() && now.Before(first.Add(reviewEvery)):
		e.Text = fmt.Sprintf("%d people may open what an owner signed for them within this quarter.", len(rows))
	case now.Before(at.Add(reviewEvery)):
		e.Text = fmt.Sprintf("%s looked at who may open what: %d people, %d team keys in their hands.", who.Name, len(rows), grants)
		e.Seen, e.Until = at, at.Add(reviewEvery)
	default:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, max(2, len(rows)/2), "Look at who may open what"
		e.Text = fmt.Sprintf("Nobody has looked for a quarter at what the %d people here may open.", len(rows))
		if at.IsZero() {
			at = first
		}
		e.By = at.Add(reviewEvery + 14*24*time.Hour)
	}
	return e, nil
}
