package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// What somebody sees whose link does not lead in. Each says what to do instead.
var (
	errLinkEnded = &web.Error{Status: http.StatusNotFound, Text: "This link leads nowhere. It may have been cut off on its way, or there is a newer one.",
		Fix: "Open it again from the message or the paper. If that does not help, ask whoever invited you for another: it takes a minute."}
	errLinkUsed = &web.Error{Status: http.StatusGone, Text: "This invitation was used already. If that was you, open the room with your passkey. If it was not you, tell whoever invited you now.",
		Fix: "Open the room with your passkey.", Back: "/unlock"}
	errLinkBack = &web.Error{Status: http.StatusGone, Text: "Whoever invited you has taken this invitation back.", Fix: "Ask for another one, if that was a mistake."}
	errRestart  = &web.Error{Status: http.StatusConflict, Text: "What you had begun here is not kept any more: the server was restarted.", Fix: "Open the link once more and make the passkey again; the link still works."}
)

// draft is what a newcomer has made so far. It lies sealed under the link's secret,
// in memory or outside of the write-ahead log, until the second way in is made.
type draft struct {
	Seed  []byte        `json:"seed"`
	Doors []offeredDoor `json:"doors"`
}

// guest is a request with the link of an invitation.
type guest struct {
	invitation
	secret []byte
	roster *seal.Roster
}

func (g *guest) kept() string { return secretKey("join", g.secret) }
func (g *guest) key() seal.Key {
	return seal.DeriveKey(g.secret, "join draft v1")
}
func (g *guest) slot() seal.Slot {
	return seal.Slot{Kind: "join-draft", Practice: g.roster.Practice, Subject: string(g.Person), Record: g.ID}
}

// guestOf finds the invitation of a request's link. Those in one of the states
// pass; for every other one there is an own way on.
func (i *Identity) guestOf(r *http.Request, states ...string) (*guest, error) {
	if !i.Founded() {
		return nil, errLinkEnded
	}
	secret, err := base64.RawURLEncoding.DecodeString(r.PathValue("token"))
	if err != nil || len(secret) != 32 {
		return nil, errLinkEnded
	}
	g := &guest{secret: secret}
	if g.roster, err = i.Roster(r.Context()); err != nil {
		return nil, err
	}
	row := i.DB.QueryRowContext(r.Context(), invitationColumns+` WHERE hash = $1`, linkHash(secret))
	g.invitation, err = i.readInvitation(g.roster, row.Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows) || errors.Is(err, errUnsigned):
		i.refuse(r.Context(), "link")
		return nil, errLinkEnded
	case err != nil:
		return nil, fmt.Errorf("find an invitation: %w", err)
	case g.state == withdrawn:
		return nil, errLinkBack
	case g.state == joined:
		return nil, errLinkUsed
	case g.over(i.Now()):
		return nil, &web.Error{Status: http.StatusGone, Text: g.worked(), Fix: "Ask " + g.from() + " for another one: it takes a minute."}
	case !slices.Contains(states, g.state):
		return nil, errLinkUsed
	}
	return g, nil
}

func (g *guest) worked() string {
	if g.Back {
		return "This link worked for a day, and it is over."
	}
	return "This link worked for 7 days, and they are over."
}

// from is the name of who invites.
func (g *guest) from() string {
	p, _ := g.roster.Person(string(g.By))
	return p.Name
}

// begun are the states in which the newcomer's own steps are open.
var begun = []string{sent, opened, passkeyed, stuck}

func (i *Identity) draft(ctx context.Context, g *guest) (d draft, err error) {
	box, err := i.kept.get(ctx, keptJoin, g.kept(), i.Now())
	if errors.Is(err, errGone) {
		return d, errRestart
	}
	if err != nil {
		return d, err
	}
	key := g.key()
	defer key.Wipe()
	plain, err := key.Open(box, g.slot())
	if err != nil {
		return d, errRestart
	}
	defer clear(plain)
	return d, json.Unmarshal(plain, &d)
}

func (i *Identity) keepDraft(ctx context.Context, g *guest, d draft) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	defer clear(plain)
	key := g.key()
	defer key.Wipe()
	return i.kept.put(ctx, keptJoin, g.kept(), key.Seal(plain, g.slot()), g.expires())
}

type joinPage struct {
	Token, Name, From, Practice string
	Role, Opens                 string
	Until                       time.Time
	KeyOnly                     bool // the account that keeps passkeys is shared: a security key it is
	Stuck                       bool
	Words                       []string
	Back                        bool      // somebody who lost all ways in
	Due                         time.Time // when the door opens; zero before an owner confirmed it
	Next, Person                string
}

func (p joinPage) With(next string) joinPage { p.Next = next; return p }

func (i *Identity) joinPage(w http.ResponseWriter, r *http.Request, g *guest, page, title, step string, more func(*joinPage)) error {
	p := joinPage{Token: r.PathValue("token"), Name: g.Name, From: g.from(), Practice: i.PracticeName(r.Context()), Role: list(roleWords([]string{g.Role})),
		Opens: g.opens(), KeyOnly: g.Account == "key", Stuck: g.state == stuck, Person: string(g.Person), Back: g.Back}
	p.Due, _ = g.opensAt()
	if g.Until > 0 {
		p.Until = time.UnixMilli(g.Until).Add(-time.Minute)
	}
	if more != nil {
		more(&p)
	}
	class := ""
	if step == "" {
		class = "middle"
	}
	return i.pages.Show(w, r, page, web.View{Title: title, Bare: true, Class: class, Step: step, Scripts: []string{script}, Data: p})
}

// opens is the sentence of what the newcomer will be able to open: from the teams
// that the owner signed.
func (g *guest) opens() string {
	if g.Back {
		return "You " + strings.ToLower(opensOf(g.roster, string(g.Person))[:1]) + opensOf(g.roster, string(g.Person))[1:]
	}
	var directory, billing bool
	var care []string
	for _, team := range g.Teams {
		switch t, _ := g.roster.Team(string(team)); t.Kind {
		case DirectoryTeam:
			directory = true
		case BillingTeam:
			billing = true
		case CareTeam:
			care = append(care, t.Name)
		}
	}
	if g.Role == Clinician {
		care = append(care, g.Name)
	}
	sentence := opens(directory, billing, care)
	if can, ok := strings.CutPrefix(sentence, "Can "); ok {
		return "You can " + can
	}
	return sentence
}

func (i *Identity) showJoin(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, append([]string{waiting, confirmed}, begun...)...)
	if err != nil {
		return err
	}
	if g.state == waiting || g.state == confirmed {
		return i.showWaiting(w, r, g)
	}
	return i.joinPage(w, r, g, "join", "An invitation", "1 of 3, about 4 minutes left", nil)
}

// acceptJoin is the newcomer's “go on”; from here on the owner sees that the link arrived.
func (i *Identity) acceptJoin(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return err
	}
	if err := i.step(r.Context(), g, opened, sent, opened, stuck); err != nil && !errors.Is(err, errLinkUsed) {
		return err
	}
	if _, err := i.draft(r.Context(), g); err == nil {
		return web.SeeOther(w, r, "/join/"+r.PathValue("token")+"/second")
	}
	return web.SeeOther(w, r, "/join/"+r.PathValue("token")+"/passkey")
}

func (i *Identity) step(ctx context.Context, g *guest, state string, from ...string) error {
	return i.DB.Update(ctx, func(tx *store.Tx) error { return i.setInvitation(ctx, tx, g.ID, state, from...) })
}

func (i *Identity) showJoinPasskey(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return err
	}
	return i.joinPage(w, r, g, "join-passkey", "Your passkey", "2 of 3, about 3 minutes left", nil)
}

// askToJoin begins the making of the first passkey, or of one more.
func (i *Identity) askToJoin(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return err
	}
	h := passkeyHolder{person: g.Person, name: g.Name}
	if r.PathValue("which") == "second" {
		d, err := i.draft(r.Context(), g)
		if err != nil {
			return err
		}
		if h.credentials, err = credentialsOf(d.Doors); err != nil {
			return err
		}
	}
	return i.askToRegister(w, r, h, ceremony{For: toJoin, Person: g.Person, Object: g.ID})
}

// joinPasskey makes the newcomer's seed, and its first door.
func (i *Identity) joinPasskey(w http.ResponseWriter, r *http.Request) error {
	in, c, g, err := i.joinAnswer(r)
	if err != nil {
		return err
	}
	seed := seal.NewSeed()
	defer seed.Wipe()
	made, err := i.newPasskey(r, in, c, passkeyHolder{person: g.Person, name: g.Name}, seed)
	if err != nil {
		return err
	}
	if err := i.keepDraft(r.Context(), g, draft{Seed: seed.Key[:], Doors: []offeredDoor{offered(made)}}); err != nil {
		return err
	}
	if err := i.step(r.Context(), g, passkeyed, begun...); err != nil {
		return err
	}
	if err := i.enrol(w, r, g.Person); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// joinSecondPasskey and joinCode make the second way in; then the keys wait for an owner.
func (i *Identity) joinSecondPasskey(w http.ResponseWriter, r *http.Request) error {
	in, c, g, err := i.joinAnswer(r)
	if err != nil {
		return err
	}
	return i.joinSecond(w, r, g, func(seed seal.Seed, d draft) (door, error) {
		h := passkeyHolder{person: g.Person, name: g.Name}
		if h.credentials, err = credentialsOf(d.Doors); err != nil {
			return door{}, err
		}
		return i.newPasskey(r, in, c, h, seed)
	})
}

func (i *Identity) joinCode(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return err
	}
	parts, err := c.open(in.Box, 2*32)
	if err != nil {
		return err
	}
	defer clear(parts)
	return i.joinSecond(w, r, g, func(seed seal.Seed, _ draft) (door, error) {
		return i.codeDoor(g.Person, seed, seal.Key(parts[:32]), seal.Key(parts[32:]), label(in.Label, "Printed code"))
	})
}

func (i *Identity) joinAnswer(r *http.Request) (reply, *ceremony, *guest, error) {
	in, c, err := i.answer(r, toJoin)
	if err != nil {
		return in, nil, nil, err
	}
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return in, nil, nil, err
	}
	if c.Object != g.ID || c.Person != g.Person {
		return in, nil, nil, errLate
	}
	return in, c, g, nil
}

func (i *Identity) joinSecond(w http.ResponseWriter, r *http.Request, g *guest, made func(seal.Seed, draft) (door, error)) error {
	ctx := r.Context()
	d, err := i.draft(ctx, g)
	if err != nil {
		return err
	}
	defer clear(d.Seed)
	key, err := seal.KeyFrom(d.Seed)
	if err != nil {
		return err
	}
	seed := seal.Seed{Key: key}
	defer seed.Wipe()
	second, err := made(seed, d)
	if err != nil {
		return err
	}
	d.Doors = append(d.Doors, offered(second))
	if err := i.offerKeys(ctx, g, seed, d.Doors); err != nil {
		return err
	}
	if _, err := i.kept.take(ctx, keptJoin, g.kept(), i.Now()); err != nil && !errors.Is(err, errGone) {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// offerKeys puts the newcomer's keys and doors before the owner, signed with the
// link's own key. The link is used up by it.
func (i *Identity) offerKeys(ctx context.Context, g *guest, seed seal.Seed, doors []offeredDoor) error {
	user, err := seed.User()
	if err != nil {
		return err
	}
	pin, err := i.pinBox(g.Person, seed, g.roster.Pin())
	if err != nil {
		return err
	}
	body, err := json.Marshal(offer{Keys: user.Keys(), Doors: doors, Pin: pin})
	if err != nil {
		return err
	}
	signer, err := linkSigner(g.secret)
	if err != nil {
		return err
	}
	proof, err := signer.Sign(offerLabel, offerMessage(g.ID, body))
	if err != nil {
		return err
	}
	told := layer.Notice{To: g.By, Subject: "Somebody you invited has made the keys", Link: "/people",
		Text: "Somebody you invited has made a passkey and a second way in. The door opens when you, or another owner, come in next."}
	if g.Back {
		told = layer.Notice{To: g.By, Subject: "New ways in were made", Link: "/people/" + string(g.Person) + "/back",
			Text: "Somebody who lost every way in has made new ones with your link. Compare the six words, face to face, and sign that they are the same."}
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.setInvitation(ctx, tx, g.ID, waiting, begun...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE identity_invitations SET offered = $1, proof = $2 WHERE invitation = $3`, body, proof, g.ID); err != nil {
			return err
		}
		if err := i.notify(ctx, tx, told); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Kind: "identity.keys-offered", Subject: string(g.Person), Ref: g.ID})
	})
}

// joinStuck tells the owner that no device at hand gives a key.
func (i *Identity) joinStuck(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, begun...)
	if err != nil {
		return err
	}
	err = i.DB.Update(r.Context(), func(tx *store.Tx) error {
		if err := i.setInvitation(r.Context(), tx, g.ID, stuck, begun...); err != nil {
			return err
		}
		return i.notify(r.Context(), tx, layer.Notice{To: g.By, Subject: "Somebody you invited needs a security key", Link: "/people",
			Text: "The phone and the computer of somebody you invited give no key, so they cannot open records. A hardware security key helps. The link stays good meanwhile."})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/join/"+r.PathValue("token"))
}

func (i *Identity) showJoinSecond(w http.ResponseWriter, r *http.Request) error {
	g, err := i.guestOf(r, append([]string{waiting, confirmed}, begun...)...)
	if err != nil {
		return err
	}
	if g.state == waiting || g.state == confirmed { // the answer was lost on its way, the work was not
		return web.SeeOther(w, r, "/join/"+r.PathValue("token"))
	}
	if _, err := i.draft(r.Context(), g); errors.Is(err, errRestart) {
		return web.SeeOther(w, r, "/join/"+r.PathValue("token")+"/passkey")
	} else if err != nil {
		return err
	}
	return i.joinPage(w, r, g, "join-second", "A second way in", "3 of 3, about 2 minutes left", nil)
}

func (i *Identity) showWaiting(w http.ResponseWriter, r *http.Request, g *guest) error {
	return i.joinPage(w, r, g, "join-waiting", "Almost in", "", func(p *joinPage) { p.Words = g.words() })
}

// words are six words of the keys that were offered: read out by the newcomer and
// compared by the owner, they show that nobody else took the link.
func (v invitation) words() []string {
	o, err := v.offer()
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(append([]byte("quietroom newcomer v1 "), append(o.Keys.Pair, o.Keys.Sign...)...))
	six := ledger.Words(ledger.Hash(sum))
	return six[:]
}

func offered(d door) offeredDoor {
	return offeredDoor{ID: d.id, Kind: d.kind, Label: d.label, Pair: d.public, Auth: d.auth, Handle: d.credentialID, Credential: d.credential, Seed: d.seed}
}
