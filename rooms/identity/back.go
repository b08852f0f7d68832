package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// Somebody who lost every way in comes back by a colleague, without a help desk:
// an owner makes a link and shows it on the own screen; the person makes new keys
// with it; both compare six words, face to face; the owner signs that they were
// the same. Where nobody but this one owner could notice a mistake, a day passes
// before the door opens, and everybody is told (NIST SP 800-63B-4, 4.2: recovery).

const (
	actLetBack  = "let-back"
	actConfirm  = "confirm-words"
	backLasts   = 24 * time.Hour     // of the link: it is made while both are in one room
	backTakes   = 7 * 24 * time.Hour // a confirmation that no owner carried out is over
	backWaits   = 24 * time.Hour     // between the confirmation and the open door, with one owner
	confirmed   = "confirmed"
	confirmLong = "let back v1"
)

// confirmation is what an owner signs after comparing the words.
type confirmation struct {
	Invitation string    `json:"invitation"`
	Offer      []byte    `json:"offer"` // SHA-256 of what was offered
	By         id.Person `json:"by"`
	At         int64     `json:"at"`     // unix milliseconds
	After      int64     `json:"after"`  // the door opens not before
	Number     uint64    `json:"number"` // of the list as it was: who has got new keys since needs none of this
}

// howBack says how far somebody is who comes back.
func (v invitation) howBack(now time.Time) string {
	at, ok := v.opensAt()
	switch {
	case v.over(now):
		return "Lost every way in. The link to make new ones ran out; an owner can make another."
	case v.state == waiting:
		return "Lost every way in, and has made new ones. An owner compares six words with that person, face to face."
	case v.state == confirmed && !ok:
		return "Lost every way in. No owner of today stands behind it; please begin again."
	case ok && now.Before(at):
		return "Gets new ways in from " + at.Format("2 January, 15:04") + " on. An owner has compared six words, face to face. If you know that this is wrong, stop it."
	case ok:
		return "Gets new ways in when an owner comes in or taps next."
	}
	return "Lost every way in. The link to make new ones works until " + v.expires().Format("2 January, 15:04") + "."
}

func offerSum(offered []byte) []byte {
	sum := sha256.Sum256(offered)
	return sum[:]
}

// readConfirmation believes what an owner of today signed about this very offer.
func (v *invitation) readConfirmation(roster *seal.Roster, body, signature []byte) {
	var c confirmation
	if !v.Back || json.Unmarshal(body, &c) != nil {
		return
	}
	by, ok := roster.Person(string(c.By))
	if !ok || by.Gone || !slices.Contains(by.Roles, Owner) || c.By == v.Person || !by.Keys.Sign.Verify(confirmLong, body, signature) {
		return
	}
	if c.Invitation == v.ID && string(c.Offer) == string(offerSum(v.offered)) {
		v.confirm = &c
	}
}

// opensAt tells when the door opens to somebody who comes back; false before an
// owner confirmed it.
func (v invitation) opensAt() (time.Time, bool) {
	if v.state != confirmed || v.confirm == nil {
		return time.Time{}, false
	}
	return time.UnixMilli(v.confirm.After), true
}

// waitsFor is how long a confirmation waits: somebody else than who confirms has
// to be able to notice it.
func waitsFor(roster *seal.Roster, back id.Person) time.Duration {
	owners := 0
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		if name != string(back) && !p.Gone && slices.Contains(p.Roles, Owner) {
			owners++
		}
	}
	if owners >= 2 {
		return 0
	}
	return backWaits
}

// Confirm signs that the words on the screen of somebody who comes back are those
// of the house, and tells everybody. *web.Error if nothing waits for it.
func (i *Identity) Confirm(ctx context.Context, by *Unlocked, v invitation) error {
	if !v.Back || v.state != waiting || v.over(i.Now()) {
		return errNothingWaits
	}
	if by.Person == v.Person {
		return &web.Error{Status: http.StatusForbidden, Text: "Somebody else has to say that it is you.", Fix: "Ask another owner. Without one, use the recovery kit.", Back: "/people"}
	}
	if _, err := v.offer(); err != nil {
		return &web.Error{Status: http.StatusConflict, Text: "The keys that wait here were not made with your link. Nothing was signed.", Fix: "Take this back, and make another link.", Back: "/people"}
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	now := i.Now()
	c := confirmation{Invitation: v.ID, Offer: offerSum(v.offered), By: by.Person, At: now.UnixMilli(), After: now.Add(waitsFor(roster, v.Person)).UnixMilli(), Number: roster.Number}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	signature, err := by.user.Signer.Sign(confirmLong, body)
	if err != nil {
		return err
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.setInvitation(ctx, tx, v.ID, confirmed, waiting); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE identity_invitations SET confirmed = $1, confirmation = $2 WHERE invitation = $3`, body, signature, v.ID); err != nil {
			return err
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: "identity.words-confirmed", Subject: string(v.Person), Ref: v.ID}); err != nil {
			return err
		}
		text := v.Name + " lost every way in, and an owner has compared six words with " + v.Name + ", face to face."
		if c.After > c.At {
			text += " The door opens tomorrow at this hour. If you know that this is wrong, stop it on the page of people."
		}
		return i.tellAll(ctx, tx, roster, layer.Notice{Subject: "Somebody gets new ways in", Text: text, Link: "/people"})
	})
}

// tellAll sends a notice to everybody who belongs to the practice.
func (i *Identity) tellAll(ctx context.Context, tx *store.Tx, roster *seal.Roster, n layer.Notice) error {
	for _, name := range roster.People() {
		if p, _ := roster.Person(name); p.Gone {
			continue
		}
		n.To = id.Person(name)
		if err := i.notify(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// letBack gives somebody whose return is due the new keys: all old doors and
// sessions end, and each of the person's teams gets a key that no old door reached.
// Older keys of teams that the signer is not in come from their members; see complete.
func (c *Change) letBack(ctx context.Context, v invitation) error {
	at, ok := v.opensAt()
	who, known := c.roster.Person(string(v.Person))
	o, err := v.offer()
	if !ok || c.i.Now().Before(at) || !known || who.Gone || err != nil {
		return nil // not now, or not any more: the page says which
	}
	if who.Keyed > v.confirm.Number || c.i.Now().After(at.Add(backTakes)) {
		return nil // done before, or stale: whoever writes the database brings no old door back
	}
	doors := map[string]seal.Door{}
	for _, d := range o.Doors {
		doors[d.ID] = seal.Door{Kind: d.Kind, Pair: d.Pair}
	}
	if err := c.Sign(seal.Entry{Act: seal.Rekey, Person: string(v.Person), Keys: &o.Keys, Doors: doors}); err != nil {
		return err
	}
	now := c.i.Now().UnixMilli()
	c.Write(func(tx *store.Tx) error {
		if err := c.i.setInvitation(ctx, tx, v.ID, joined, confirmed); err != nil {
			return err
		}
		if err := c.i.replaceDoors(ctx, tx, v.Person, v.At, o, now); err != nil {
			return err
		}
		return c.i.tellOwn(ctx, tx, v.Person, "You have new ways in", "Your old ways in are closed, and the new ones open. An owner of the practice compared six words with you.")
	})
	c.Tell(ctx, ledger.Fact{Kind: "identity.let-back", Subject: string(v.Person), Ref: v.ID, Version: int64(c.roster.Number)})
	return c.giveAgain(ctx, v.Person)
}

// giveAgain seals to somebody with new keys all that the signer holds of that
// person's teams, and gives these teams new ones.
func (c *Change) giveAgain(ctx context.Context, p id.Person) error {
	for _, name := range c.roster.Teams() {
		if t, _ := c.roster.Team(name); !slices.Contains(t.Members, string(p)) {
			continue
		}
		for epoch, key := range c.keysOf(id.Team(name)) {
			if err := c.giveKey(ctx, id.Team(name), epoch, key, string(p)); err != nil {
				return err
			}
		}
	}
	return c.RotateAll(ctx, p, false)
}

// replaceDoors puts what somebody offered in place of all that was: doors, the
// pin, and browsers that were known before. Team keys that are sealed to the old
// keys go, and so do all sessions.
func (i *Identity) replaceDoors(ctx context.Context, tx *store.Tx, p id.Person, since int64, o offer, now int64) error {
	for _, q := range []string{`DELETE FROM identity_doors WHERE person = $1`, `DELETE FROM identity_team_keys WHERE holder = $1`} {
		if _, err := tx.ExecContext(ctx, q, p); err != nil {
			return fmt.Errorf("replace the doors of %s: %w", p, err)
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM identity_browsers WHERE person = $1 AND made < $2`, p, since); err != nil {
		return fmt.Errorf("replace the doors of %s: %w", p, err)
	}
	for _, d := range o.Doors {
		if err := addDoor(ctx, tx, p, d.door(), now); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO identity_pins (person, box) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET box = excluded.box`, p, o.Pin); err != nil {
		return err
	}
	return i.EndSessions(ctx, tx, p, "")
}

func (d offeredDoor) door() door {
	return door{id: d.ID, kind: d.Kind, label: d.Label, public: d.Pair, auth: d.Auth, credentialID: d.Handle, credential: d.Credential, seed: d.Seed}
}

// ---- Team keys that are missing

// complete seals to everybody what the open person holds of their common teams
// and they have no box of: to somebody who has new keys, and to a recovery kit
// that was made by an owner who is not in the team. Whom it may be sealed to stands
// on the signed list, so it needs no signature. It is done at each opening of a door.
func (i *Identity) complete(ctx context.Context, u *Unlocked) error {
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	have, err := i.wraps(ctx)
	if err != nil {
		return err
	}
	type missing struct {
		wrap
		box []byte
	}
	var all []missing
	_, kit := roster.PublicKey(recoveryHolder)
	for team, keys := range u.ring.Teams {
		t, _ := roster.Team(string(team))
		for _, holder := range append(slices.Clone(t.Members), recoveryHolder) {
			for epoch, key := range keys {
				w := wrap{string(team), epoch, holder}
				if have[w] || holder == recoveryHolder && !kit {
					continue
				}
				if holder != recoveryHolder {
					p, _ := roster.Person(holder)
					if open, err := i.anyDoor(ctx, id.Person(holder)); err != nil || !open || p.Gone {
						continue // closed without keys: an owner's signature follows
					}
				}
				box, err := i.teamBox(roster, team, epoch, key, holder)
				if err != nil {
					return err
				}
				all = append(all, missing{w, box})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		for _, m := range all {
			if err := addTeamKey(ctx, tx, id.Team(m.team), m.epoch, m.holder, m.box); err != nil {
				return err
			}
			if m.holder != recoveryHolder {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM identity_team_keys WHERE holder = $1 AND team = $2 AND epoch = $3`, recoveryBefore, m.team, m.epoch); err != nil {
				return err
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: u.actor(), Kind: "identity.keys-completed", Subject: string(u.Person), Version: int64(len(all))})
	})
}

// tryComplete is complete where a door opens: it opens all the same.
func (i *Identity) tryComplete(ctx context.Context, u *Unlocked) { _ = i.complete(ctx, u) }

// ---- Pages

type backPage struct {
	ID, Name  string
	From      string
	Waits     bool // a day passes: there is one owner
	Self      bool
	Words     []string
	Offer     string // the invitation whose words they are
	Opens     time.Time
	Confirmed bool
}

// returning finds how far somebody is who comes back; a zero one where nobody does.
func (i *Identity) returning(ctx context.Context, p id.Person) (v invitation, err error) {
	open, _, err := i.invitations(ctx)
	if err != nil {
		return v, err
	}
	for _, o := range open {
		if o.Back && o.Person == p && !o.over(i.Now()) && (o.state == waiting || o.state == confirmed) {
			return o, nil
		}
	}
	return v, nil
}

func (i *Identity) showBack(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), id.Person(r.PathValue("person"))
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	who, ok := roster.Person(string(p))
	if !ok || who.Gone {
		return errNobody
	}
	page := backPage{ID: string(p), Name: who.Name, Waits: waitsFor(roster, p) > 0, Self: p == id.From(ctx).Person}
	v, err := i.returning(ctx, p)
	if err != nil {
		return err
	}
	if v.ID != "" {
		page.Offer, page.Words = v.ID, v.words()
		page.Opens, page.Confirmed = v.opensAt()
	}
	return i.pages.Show(w, r, "back", web.View{Title: "Back in", Scripts: []string{script}, Data: page})
}

// linkBack makes the link by which somebody makes new keys. It is shown on the
// owner's screen and mailed to nobody.
func (i *Identity) linkBack(w http.ResponseWriter, r *http.Request) error {
	p := id.Person(r.PathValue("person"))
	ctx, done, err := i.Tap(r, actLetBack, string(p))
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	token, v, err := i.LinkBack(ctx, u, p)
	if err != nil {
		return err
	}
	origin, _, err := i.origin(r)
	if err != nil {
		return err
	}
	page := invitedPage{Name: v.Name, Person: string(p), Link: origin + "/join/" + token, Ends: v.expires(), Back: true}
	if page.Side, page.Path, err = squares(page.Link); err != nil {
		return err
	}
	return i.pages.Show(w, r, "invited", web.View{Title: "Back in", Scripts: []string{script}, Data: page})
}

// LinkBack signs that a person may make new keys, in an owner's name, and returns
// the token of the link. Links that were made before for the same person end.
func (i *Identity) LinkBack(ctx context.Context, by *Unlocked, p id.Person) (token string, v invitation, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return "", v, err
	}
	who, ok := roster.Person(string(p))
	switch {
	case !ok || who.Gone:
		return "", v, errNobody
	case p == by.Person:
		return "", v, &web.Error{Status: http.StatusConflict, Text: "You are in already.", Fix: "Add another way in of your own instead.", Back: "/doors"}
	}
	open, _, err := i.invitations(ctx)
	if err != nil {
		return "", v, err
	}
	v = invitation{Name: who.Name, Person: p, Back: true, Account: "own"}
	if len(who.Roles) > 0 {
		v.Role = who.Roles[0]
	}
	return i.inviteAs(ctx, by, v, func(tx *store.Tx, _ string) error {
		for _, o := range open {
			if !o.Back || o.Person != p {
				continue
			}
			if err := i.setInvitation(ctx, tx, o.ID, withdrawn, o.state); err != nil {
				return err
			}
		}
		return i.tellOwn(ctx, tx, p, "New ways in are being made for you", "An owner of the practice has begun to give you new ways in, because you lost yours.")
	})
}

// confirmBack is the owner's tap after the words were compared.
func (i *Identity) confirmBack(w http.ResponseWriter, r *http.Request) error {
	p, which := id.Person(r.PathValue("person")), r.PathValue("invitation")
	ctx, done, err := i.Tap(r, actConfirm, which)
	if err != nil {
		return err
	}
	defer done()
	if r.PostFormValue("same") == "" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Please say that the six words were the same. Nothing was signed.", Fix: "If they are not, take the link back: somebody else used it.", Back: "/people/" + string(p) + "/back"}
	}
	v, err := i.returning(ctx, p)
	if err != nil {
		return err
	}
	if v.ID != which {
		return errNothingWaits
	}
	u, _ := UnlockedFrom(ctx)
	if err := i.Confirm(ctx, u, v); err != nil {
		return err
	}
	if err := i.CatchUp(ctx, u); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/people/"+string(p)+"/back")
}

// stopBack is for everybody who is signed in: a return that is wrong waits no longer.
func (i *Identity) stopBack(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), id.Person(r.PathValue("person"))
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	v, err := i.returning(ctx, p)
	if err != nil {
		return err
	}
	if v.ID == "" {
		return errNothingWaits
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.setInvitation(ctx, tx, v.ID, withdrawn, v.state); err != nil {
			return err
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.return-stopped", Subject: string(p), Ref: v.ID}); err != nil {
			return err
		}
		return i.tellAll(ctx, tx, roster, layer.Notice{Subject: "New ways in were stopped", Link: "/people",
			Text: "Somebody of the practice stopped the new ways in of " + v.Name + ". Please talk to each other before they are made again."})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/people")
}
