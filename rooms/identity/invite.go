package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// An invitation is a decision of an owner, signed at a tap: who comes, as what,
// into which teams, until when. Its link is a secret that stands nowhere in the
// house; what the newcomer makes is signed with a key that comes from it. So the
// owner need not be there twice: at the next opening of any owner's door the house
// takes in who was invited, and nobody who writes the database takes in another.

// invitationLasts is how long a link works; waitingLasts how long made keys wait.
const (
	invitationLasts = 7 * 24 * time.Hour
	waitingLasts    = 30 * 24 * time.Hour
)

// How far an invitation is.
const (
	sent      = "sent"
	opened    = "opened"
	passkeyed = "passkey" // has a passkey, and no second way in yet
	stuck     = "stuck"   // no device at hand gives a key
	waiting   = "waiting" // for an owner
	joined    = "joined"
	withdrawn = "withdrawn"
)

const (
	invitationLabel = "invitation v1"
	offerLabel      = "join v1"
	actInvite       = "invite"
)

// invitation is what an owner signs.
type invitation struct {
	ID      string          `json:"id"`
	By      id.Person       `json:"by"`
	At      int64           `json:"at"`   // unix milliseconds
	Ends    int64           `json:"ends"` // of the link
	Person  id.Person       `json:"person"`
	Name    string          `json:"name"`
	Mail    string          `json:"mail"`
	Role    string          `json:"role"`
	Teams   []id.Team       `json:"teams"`           // to become a member of
	Shared  bool            `json:"shared"`          // the owner joins the newcomer's own care team
	Until   int64           `json:"until,omitempty"` // the last day of temporary staff
	Account string          `json:"account"`         // whether the account that keeps passkeys is that person's alone: "own", "key"
	Key     seal.SignPublic `json:"key"`             // of the link
	Back    bool            `json:"back,omitempty"`  // for somebody who belongs here and lost all ways in
	confirm *confirmation
	state   string
	changed time.Time
	offered []byte
	proof   []byte
}

func (v invitation) expires() time.Time { return time.UnixMilli(v.Ends) }

// roleTeams are the teams that come with a role.
var roleTeams = map[string][]string{
	Clinician:  {DirectoryTeam},
	Supervisor: {DirectoryTeam},
	FrontDesk:  {DirectoryTeam},
	Billing:    {DirectoryTeam, BillingTeam},
}

// linkSigner is the key that comes from a link.
func linkSigner(secret []byte) (*seal.Signer, error) {
	return seal.SignerFrom(seal.DeriveKey(secret, "invitation signer v1"))
}

func linkHash(secret []byte) []byte {
	sum := sha256.Sum256(append([]byte("quietroom invitation v1 "), secret...))
	return sum[:]
}

// Invite signs an invitation in an owner's name, and returns the token of its
// link: /join/TOKEN. tell is told in the same transaction.
func (i *Identity) Invite(ctx context.Context, by *Unlocked, v invitation, tell func(tx *store.Tx, token string) error) (token string, err error) {
	v.Person = id.New[id.Person]()
	token, _, err = i.inviteAs(ctx, by, v, tell)
	return token, err
}

func (i *Identity) inviteAs(ctx context.Context, by *Unlocked, v invitation, tell func(tx *store.Tx, token string) error) (token string, _ invitation, err error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	defer clear(secret)
	signer, err := linkSigner(secret)
	if err != nil {
		return "", v, err
	}
	lasts, kind := invitationLasts, "identity.invited"
	if v.Back {
		lasts, kind = backLasts, "identity.return-begun"
	}
	v.ID, v.By, v.Key = string(id.New[id.Record]()), by.Person, signer.Public()
	v.At, v.Ends = i.Now().UnixMilli(), i.Now().Add(lasts).UnixMilli()
	body, err := json.Marshal(v)
	if err != nil {
		return "", v, err
	}
	signature, err := by.user.Signer.Sign(invitationLabel, body)
	if err != nil {
		return "", v, err
	}
	token = base64.RawURLEncoding.EncodeToString(secret)
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_invitations (invitation, hash, body, signature, state, changed) VALUES ($1, $2, $3, $4, $5, $6)`,
			v.ID, linkHash(secret), body, signature, sent, v.At)
		if err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: kind, Subject: string(v.Person), Reason: v.Role, Ref: v.ID}); err != nil {
			return err
		}
		return tell(tx, token)
	})
	return token, v, err
}

const invitationColumns = `SELECT body, signature, state, changed, offered, proof, confirmed, confirmation FROM identity_invitations`

// readInvitation reads a row, and believes it only if somebody who is an owner now
// signed it: errUnsigned.
func (i *Identity) readInvitation(roster *seal.Roster, scan func(...any) error) (v invitation, err error) {
	var body, signature, confirmedBody, confirmedBy []byte
	var changed int64
	if err := scan(&body, &signature, &v.state, &changed, &v.offered, &v.proof, &confirmedBody, &confirmedBy); err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, errUnsigned
	}
	v.changed = time.UnixMilli(changed)
	v.readConfirmation(roster, confirmedBody, confirmedBy)
	p, ok := roster.Person(string(v.By))
	if !ok || p.Gone || !slices.Contains(p.Roles, Owner) || !p.Keys.Sign.Verify(invitationLabel, body, signature) {
		return v, errUnsigned
	}
	return v, nil
}

// errUnsigned means that no owner of today stands behind an invitation: who made
// it has new keys since, or left, or nobody did.
var errUnsigned = errors.New("identity: an invitation is not signed by an owner of today")

// invitations returns those that are not over, the newest first. unsigned counts
// those that no owner of today stands behind.
func (i *Identity) invitations(ctx context.Context) (open []invitation, unsigned int, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, 0, err
	}
	rows, err := i.DB.QueryContext(ctx, invitationColumns+` WHERE state <> $1 AND state <> $2 ORDER BY changed DESC, invitation`, joined, withdrawn)
	if err != nil {
		return nil, 0, fmt.Errorf("read invitations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := i.readInvitation(roster, rows.Scan)
		if errors.Is(err, errUnsigned) {
			unsigned++
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read invitations: %w", err)
		}
		open = append(open, v)
	}
	return open, unsigned, rows.Err()
}

// over tells whether nothing comes of an invitation any more.
func (v invitation) over(now time.Time) bool {
	if v.state == waiting || v.state == confirmed {
		return now.After(v.changed.Add(waitingLasts))
	}
	return now.After(v.expires())
}

func (i *Identity) setInvitation(ctx context.Context, tx *store.Tx, invitation, state string, from ...string) error {
	for _, was := range from {
		res, err := tx.ExecContext(ctx, `UPDATE identity_invitations SET state = $1, changed = $2 WHERE invitation = $3 AND state = $4`, state, i.Now().UnixMilli(), invitation, was)
		if err != nil {
			return fmt.Errorf("invitation %s: %w", invitation, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
	}
	return errLinkUsed
}

// takeIn lets those join who were invited and have made their keys, as far as the
// signer holds the keys of their teams.
func (c *Change) takeIn(ctx context.Context, all []invitation) error {
	for _, v := range all {
		if v.Back {
			if err := c.letBack(ctx, v); err != nil {
				return err
			}
			continue
		}
		if v.state != waiting || v.over(c.i.Now()) || !c.holds(v.Teams) {
			continue
		}
		o, err := v.offer()
		if err != nil {
			continue // not made with the link: whoever looks at the page is told
		}
		if err := c.joinOffered(ctx, v, o); err != nil {
			return err
		}
	}
	return nil
}

func (c *Change) holds(teams []id.Team) bool {
	for _, team := range teams {
		t, _ := c.roster.Team(string(team))
		if _, ok := c.keysOf(team)[t.Epoch]; !ok {
			return false
		}
	}
	return true
}

// offer is what a newcomer made: public keys, and doors with the seed sealed to them.
type offer struct {
	Keys  seal.Keys     `json:"keys"`
	Doors []offeredDoor `json:"doors"`
	Pin   []byte        `json:"pin"` // the list as the newcomer saw it, sealed under the seed
}

type offeredDoor struct {
	ID         string      `json:"id"`
	Kind       string      `json:"kind"`
	Label      string      `json:"label"`
	Pair       seal.Public `json:"pair"`
	Auth       []byte      `json:"auth,omitempty"`
	Handle     []byte      `json:"handle,omitempty"` // of a passkey
	Credential []byte      `json:"credential,omitempty"`
	Seed       []byte      `json:"seed"`
}

// offer opens what was offered, and checks that it was made with the link.
func (v invitation) offer() (o offer, err error) {
	if !v.Key.Verify(offerLabel, offerMessage(v.ID, v.offered), v.proof) {
		return o, errUnsigned
	}
	return o, json.Unmarshal(v.offered, &o)
}

func offerMessage(invitation string, offered []byte) []byte {
	return append([]byte(invitation+" "), offered...)
}

func (c *Change) joinOffered(ctx context.Context, v invitation, o offer) error {
	e := seal.Entry{Act: seal.Join, Person: string(v.Person), Name: v.Name, Keys: &o.Keys, Doors: map[string]seal.Door{}, Roles: []string{v.Role}}
	n := &Newcomer{Person: v.Person, Name: v.Name, Mail: v.Mail}
	for _, d := range o.Doors {
		e.Doors[d.ID] = seal.Door{Kind: d.Kind, Pair: d.Pair}
		n.doors = append(n.doors, door{id: d.ID, kind: d.Kind, label: d.Label, public: d.Pair, auth: d.Auth, credentialID: d.Handle, credential: d.Credential, seed: d.Seed})
	}
	if err := c.Sign(e); err != nil {
		return err
	}
	now := c.i.Now().UnixMilli()
	c.Write(func(tx *store.Tx) error {
		if err := c.i.setInvitation(ctx, tx, v.ID, joined, waiting); err != nil {
			return err
		}
		if err := c.i.writeNewcomer(ctx, tx, n, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE identity_people SET until = $1 WHERE person = $2`, v.Until, v.Person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_pins (person, box) VALUES ($1, $2)`, v.Person, o.Pin); err != nil {
			return err
		}
		return c.i.notify(ctx, tx, layer.Notice{To: v.Person, Subject: "The door is open", Link: "/unlock",
			Text: "You can come in now, with the passkey that you made.\n\nIf you made none, somebody else used your invitation: please tell the owner of the practice at once."})
	})
	c.Tell(ctx, ledger.Fact{Kind: "identity.joined", Subject: string(v.Person), Ref: v.ID})
	for _, team := range v.Teams {
		if err := c.AddMember(ctx, team, v.Person); err != nil {
			return err
		}
	}
	if v.Role != Clinician {
		return nil
	}
	own := []id.Person{v.Person}
	if by, ok := c.roster.Person(string(v.By)); v.Shared && ok && !by.Gone {
		own = append(own, v.By)
	}
	return c.Form(ctx, id.New[id.Team](), seal.RosterTeam{Kind: CareTeam, Name: v.Name, Own: string(v.Person)}, own)
}

// ---- The owner's page

type invitePage struct {
	Person  string
	Need    []string // people who need a security key
	People  int
	Roles   []choice
	Teams   []choice
	Fault   string
	Name    string
	Mail    string
	Until   string
	Account string
	Shared  bool
	Today   string
}

type choice struct {
	Value, Text, About string
	Chosen             bool
}

// roleChoices say what a role opens, before anybody is invited.
func roleChoices(chosen string) []choice {
	all := []choice{
		{Value: Clinician, Text: "Clinician", About: "names and appointments of all patients, the own patients’ charts, and the care teams chosen below"},
		{Value: Supervisor, Text: "Supervisor", About: "names and appointments of all patients, and the charts of the care teams chosen below"},
		{Value: FrontDesk, Text: "Front desk", About: "names and appointments of all patients, and no notes"},
		{Value: Billing, Text: "Billing", About: "names and appointments of all patients, and billing; no notes"},
	}
	for k := range all {
		all[k].Chosen = all[k].Value == chosen
	}
	return all
}

func (i *Identity) showInvite(w http.ResponseWriter, r *http.Request) error {
	return i.invitePage(w, r, invitePage{Shared: true})
}

func (i *Identity) invitePage(w http.ResponseWriter, r *http.Request, p invitePage) error {
	ctx := r.Context()
	var err error
	if p.Need, p.People, err = i.needKeys(ctx); err != nil {
		return err
	}
	teams, err := i.Teams(ctx)
	if err != nil {
		return err
	}
	p.Person, p.Roles, p.Today = string(id.From(ctx).Person), roleChoices(r.PostFormValue("role")), i.Now().AddDate(0, 0, 1).Format(time.DateOnly)
	for _, t := range teams {
		if t.Kind == CareTeam && t.Mine {
			p.Teams = append(p.Teams, choice{Value: string(t.ID), Text: t.Name, Chosen: slices.Contains(r.PostForm["team"], string(t.ID))})
		}
	}
	v := web.View{Title: "Invite somebody", Scripts: []string{script}, Data: p}
	if p.Fault != "" {
		v.Status = http.StatusUnprocessableEntity
	}
	return i.pages.Show(w, r, "invite", v)
}

// needKeys names those who have one way in only, or whose devices gave no key.
func (i *Identity) needKeys(ctx context.Context) (need []string, all int, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		if p.Gone {
			continue
		}
		all++
		if len(p.Doors) < 2 {
			need = append(need, p.Name)
		}
	}
	open, _, err := i.invitations(ctx)
	for _, v := range open {
		if v.over(i.Now()) || v.Back {
			continue
		}
		all++
		if v.state == stuck {
			need = append(need, v.Name)
		}
	}
	return need, all, err
}

type invitedPage struct {
	Name, Link, Mail string
	Person           string // who comes back
	Back             bool
	Told             bool
	Ends             time.Time
	Side             int
	Path             string // of the squares of the QR code
}

// invite makes the invitation and shows its link, once.
func (i *Identity) invite(w http.ResponseWriter, r *http.Request) error {
	p := invitePage{Name: label(r.PostFormValue("name"), ""), Mail: label(r.PostFormValue("mail"), ""), Until: r.PostFormValue("until"),
		Account: r.PostFormValue("account"), Shared: r.PostFormValue("shared") != ""}
	v := invitation{Name: p.Name, Mail: p.Mail, Role: r.PostFormValue("role"), Account: p.Account, Shared: p.Shared}
	kinds, known := roleTeams[v.Role]
	switch {
	case p.Name == "":
		p.Fault = "A name is missing."
	case p.Mail != "" && !strings.Contains(p.Mail, "@"):
		p.Fault = "This mail address has no @ in it. You may leave it out and print the link."
	case !known:
		p.Fault = "Please say what this person does here."
	case p.Account != "own" && p.Account != "key":
		p.Fault = "Please say whether the account that keeps this person’s passkeys is that person’s alone."
	}
	if p.Until != "" {
		day, err := time.ParseInLocation(time.DateOnly, p.Until, time.Local)
		if err != nil || !day.After(i.Now()) {
			p.Fault = "The last day has to be in the future."
		}
		v.Until = day.AddDate(0, 0, 1).UnixMilli() // that whole day
	}
	if p.Fault != "" {
		return i.invitePage(w, r, p)
	}
	ctx, done, err := i.Tap(r, actInvite, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	if v.Teams, err = i.chosenTeams(ctx, kinds, r.PostForm["team"]); err != nil {
		return err
	}
	u, _ := UnlockedFrom(ctx)
	by, err := i.Name(ctx, u.Person)
	if err != nil {
		return err
	}
	told := p.Mail != "" && i.Notify != nil
	token, err := i.Invite(ctx, u, v, func(tx *store.Tx, token string) error {
		if !told {
			return nil
		}
		return i.notify(ctx, tx, layer.Notice{Address: v.Mail, Subject: "An invitation from " + by, Link: "/join/" + token,
			Text: by + " invites you to work with " + i.PracticeName(ctx) + ".\n\nOpen the link on the phone or computer that you will work with. It works for 7 days, once. It takes about 4 minutes; have your phone at hand, and a printer or a security key."})
	})
	if err != nil {
		return err
	}
	origin, _, err := i.origin(r)
	if err != nil {
		return err
	}
	page := invitedPage{Name: v.Name, Link: origin + "/join/" + token, Mail: v.Mail, Told: told, Ends: i.Now().Add(invitationLasts)}
	if page.Side, page.Path, err = squares(page.Link); err != nil {
		return err
	}
	return i.pages.Show(w, r, "invited", web.View{Title: "The invitation", Scripts: []string{script}, Data: page})
}

// chosenTeams are the teams of a role, and the care teams that were chosen: those
// only whose keys the owner holds.
func (i *Identity) chosenTeams(ctx context.Context, kinds, chosen []string) (into []id.Team, err error) {
	teams, err := i.Teams(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range teams {
		comes := slices.Contains(kinds, t.Kind)
		if !comes && !(t.Kind == CareTeam && slices.Contains(chosen, string(t.ID))) {
			continue
		}
		if !t.Mine {
			return nil, &web.Error{Status: http.StatusForbidden, Text: "You are not in “" + t.Name + "”, so you cannot let anybody else in.", Fix: "Ask an owner who is in it to make this invitation.", Back: "/people/invite"}
		}
		into = append(into, t.ID)
	}
	return into, nil
}

// squares draws a QR code as the path of its dark squares.
func squares(text string) (side int, path string, err error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return 0, "", fmt.Errorf("draw a link: %w", err)
	}
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	return c.Size + 8, b.String(), nil
}

// withdraw ends an invitation. It needs no tap: it only closes.
func (i *Identity) withdraw(w http.ResponseWriter, r *http.Request) error {
	ctx, which := r.Context(), r.PathValue("invitation")
	err := i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.setInvitation(ctx, tx, which, withdrawn, sent, opened, passkeyed, stuck, waiting); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.invitation-withdrawn", Subject: string(id.From(ctx).Person), Ref: which})
	})
	if err != nil && !errors.Is(err, errLinkUsed) {
		return err
	}
	return web.SeeOther(w, r, "/people")
}
