package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
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

// An owner who lost every way in, with no other owner to ask, comes back with the
// recovery kit. The browser proves that it holds the kit's private half, opens what
// is sealed to it, and signs the owner's new keys; the private half stays there. Two
// shares of three show that two people agree, and open at once. One paper alone
// waits for a day, of which everybody is told, and anybody who is signed in may stop it.

const (
	kitWait    = "kit"
	kitWaits   = 24 * time.Hour
	kitPatient = 7 * 24 * time.Hour // a wait that nobody came back for is over
	passLasts  = 15 * time.Minute
	toKit      = "kit"
	kitUsed    = "kit-used"
)

var (
	errNoKit    = &web.Error{Status: http.StatusNotFound, Text: "There is no recovery kit here that opens anything.", Fix: "Ask an owner of the practice to let you back in.", Back: "/unlock"}
	errOtherKit = &web.Error{Status: http.StatusForbidden, Text: "This is not the recovery kit that is in use.", Fix: "A newer one takes an older one’s place. Look for the newest paper.", Back: "/unlock"}
	errPassOver = &web.Error{Status: http.StatusForbidden, Text: "This took longer than 15 minutes, or was finished before.", Fix: "Begin again with the kit: nothing was changed.", Back: "/unlock/kit"}
)

// mayComeBack returns the kit in use.
func (i *Identity) kitInUse(ctx context.Context) (*seal.Roster, seal.Public, seal.RecoveryKit, error) {
	if !i.Founded() {
		return nil, nil, seal.RecoveryKit{}, errNoKit
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, nil, seal.RecoveryKit{}, err
	}
	public, ok := roster.PublicKey(recoveryHolder)
	if !ok || roster.Kit().Sign == nil {
		return nil, nil, seal.RecoveryKit{}, errNoKit
	}
	return roster, public, roster.Kit(), nil
}

type kitBackPage struct{ Known, Shared bool }

func (i *Identity) showKitBack(w http.ResponseWriter, r *http.Request) error {
	_, _, kit, err := i.kitInUse(r.Context())
	if err != nil && !errors.Is(err, errNoKit) {
		return err
	}
	return i.pages.Show(w, r, "kit-back", web.View{Title: "Come back with the kit", Bare: true, Step: "When every way in is lost", Scripts: []string{script, kitScript},
		Data: kitBackPage{Known: err == nil, Shared: len(kit.Trusted) > 0}})
}

// askKit gives a browser what it needs to prove that it holds the kit.
func (i *Identity) askKit(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	_, public, kit, err := i.kitInUse(ctx)
	if err != nil {
		return err
	}
	box, err := i.kitChallenge(ctx, public)
	if err != nil {
		return err
	}
	shares, err := i.shareBoxes(ctx, kit.Number)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"practice": i.Anchor.Practice(), "box": box, "shares": shares})
}

type ownerChoice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// proveKit takes the proof. It gives a pass for the rest, or says from when on.
func (i *Identity) proveKit(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Nonce []byte `json:"nonce"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx := r.Context()
	roster, public, kit, err := i.kitInUse(ctx)
	if err != nil {
		return err
	}
	if ok, err := i.proven(ctx, public, in.Nonce); err != nil || !ok {
		if err == nil {
			i.refuse(ctx, "kit")
		}
		return errors.Join(err, errOtherKit)
	}
	from, err := i.kitShown(ctx, roster, kit)
	if err != nil {
		return err
	}
	if i.Now().Before(from) {
		return web.JSON(w, http.StatusOK, map[string]any{"from": from.Format("2 January, 15:04")})
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	defer clear(secret)
	b, err := json.Marshal(kitPass{Kit: kit.Number})
	if err != nil {
		return err
	}
	if err := i.kept.put(ctx, keptKit, secretKey("kit-pass", secret), b, i.Now().Add(passLasts)); err != nil {
		return err
	}
	var owners []ownerChoice
	for _, name := range roster.People() {
		if p, _ := roster.Person(name); !p.Gone && slices.Contains(p.Roles, Owner) {
			owners = append(owners, ownerChoice{name, p.Name})
		}
	}
	return web.JSON(w, http.StatusOK, map[string]any{"pass": base64.RawURLEncoding.EncodeToString(secret), "owners": owners})
}

// kitShown says from when on the kit opens. The first showing of one paper begins
// the wait, and tells everybody.
func (i *Identity) kitShown(ctx context.Context, roster *seal.Roster, kit seal.RecoveryKit) (from time.Time, err error) {
	now := i.Now()
	asked, waits, err := i.waiting(ctx, kitWait, fmt.Sprint(kit.Number))
	if err != nil {
		return from, err
	}
	shared := len(kit.Trusted) > 0
	switch {
	case shared:
		from = now
	case waits && now.Before(asked.Add(kitWaits+kitPatient)):
		return asked.Add(kitWaits), nil
	default:
		from = now.Add(kitWaits)
	}
	n := layer.Notice{Subject: "The recovery kit is being used", Link: "/people",
		Text: "Somebody has shown the recovery kit of the practice, because an owner lost every way in. From " + from.Format("2 January, 15:04") + " on it gives that owner new ones. If you know that this is wrong, stop it on the page of people, and make a new kit."}
	if shared {
		n.Text = "Two of the trusted people have put their shares of the recovery kit together, because an owner lost every way in. That owner gets new ones now. If you know nothing of it, tell an owner of the practice at once."
	}
	return from, i.DB.Update(ctx, func(tx *store.Tx) error {
		if !shared {
			if err := i.beginWait(ctx, tx, kitWait, fmt.Sprint(kit.Number), now); err != nil {
				return err
			}
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "identity.kit-shown", Version: int64(kit.Number)}); err != nil {
			return err
		}
		return i.tellAll(ctx, tx, roster, n)
	})
}

// waiting says since when something waits.
func (i *Identity) waiting(ctx context.Context, kind, key string) (asked time.Time, ok bool, err error) {
	var ms int64
	err = i.DB.QueryRowContext(ctx, `SELECT asked FROM identity_waits WHERE kind = $1 AND key = $2`, kind, key).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return asked, false, nil
	}
	return time.UnixMilli(ms), err == nil, err
}

func (i *Identity) beginWait(ctx context.Context, tx *store.Tx, kind, key string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_waits (kind, key, asked) VALUES ($1, $2, $3) ON CONFLICT (kind, key) DO UPDATE SET asked = excluded.asked`, kind, key, at.UnixMilli())
	return err
}

// sweepWaits forgets what nobody came back for.
func (i *Identity) sweepWaits(ctx context.Context) error {
	before := i.Now().Add(-max(kitWaits+kitPatient, codeLasts+codePatient)).UnixMilli()
	var some bool
	if err := i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_waits WHERE asked < $1)`, before).Scan(&some); err != nil || !some {
		return err
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM identity_waits WHERE asked < $1`, before)
		return err
	})
}

// stopKit ends the wait of a kit that somebody showed.
func (i *Identity) stopKit(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_waits WHERE kind = $1`, kitWait); err != nil {
			return err
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.kit-stopped", Subject: string(id.From(ctx).Person)}); err != nil {
			return err
		}
		return i.tellAll(ctx, tx, roster, layer.Notice{Subject: "The recovery kit was stopped", Link: "/kit",
			Text: "Somebody of the practice stopped the use of the recovery kit. If its paper may be in wrong hands, an owner makes a new kit now: the old one then signs nothing."})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/people")
}

// kitPass is what is kept between the proof and the new keys: the seed of an owner
// who comes back, sealed under the pass, which only that browser has.
type kitPass struct {
	Kit    uint64      `json:"kit"`
	Person id.Person   `json:"person,omitempty"`
	Door   offeredDoor `json:"door"`
	Body   []byte      `json:"body,omitempty"` // of the entry that the kit is to sign
	Seed   []byte      `json:"seed,omitempty"`
}

func (i *Identity) passSlot(p kitPass) seal.Slot {
	return seal.Slot{Kind: "kit-draft", Practice: i.Anchor.Practice(), Subject: string(p.Person), Record: p.Door.ID}
}

// pass finds, and takes, what is kept behind a pass of the kit that is in use now.
func (i *Identity) pass(ctx context.Context, text string) (p kitPass, secret []byte, err error) {
	secret, err = base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(secret) != 32 {
		return p, nil, errPassOver
	}
	b, err := i.kept.take(ctx, keptKit, secretKey("kit-pass", secret), i.Now())
	if errors.Is(err, errGone) {
		return p, nil, errPassOver
	}
	if err != nil {
		return p, nil, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, nil, err
	}
	if _, _, kit, err := i.kitInUse(ctx); err != nil || kit.Number != p.Kit {
		return p, nil, errors.Join(err, errOtherKit)
	}
	return p, secret, nil
}

func (i *Identity) keepPass(ctx context.Context, secret []byte, p kitPass) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return i.kept.put(ctx, keptKit, secretKey("kit-pass", secret), b, i.Now().Add(passLasts))
}

// askKitPasskey begins the making of the owner's new passkey.
func (i *Identity) askKitPasskey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Pass   string    `json:"pass"`
		Person id.Person `json:"person"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx := r.Context()
	p, secret, err := i.pass(ctx, in.Pass)
	if err != nil {
		return err
	}
	defer clear(secret)
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	who, ok := roster.Person(string(in.Person))
	if !ok || who.Gone || !slices.Contains(who.Roles, Owner) {
		return errTorn
	}
	p = kitPass{Kit: p.Kit, Person: in.Person}
	if err := i.keepPass(ctx, secret, p); err != nil {
		return err
	}
	return i.askToRegister(w, r, passkeyHolder{person: in.Person, name: who.Name}, ceremony{For: toKit, Person: in.Person, Object: secretKey("kit-pass", secret)})
}

type sealedTeamKey struct {
	Team  id.Team `json:"team"`
	Epoch uint64  `json:"epoch"`
	Box   []byte  `json:"box"`
}

// kitKeys takes the new passkey, and hands out the entry that the kit has to sign
// and what is sealed to it of the owner's own teams.
func (i *Identity) kitKeys(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toKit)
	if err != nil {
		return err
	}
	ctx := r.Context()
	p, secret, err := i.pass(ctx, in.Pass)
	if err != nil {
		return err
	}
	defer clear(secret)
	if c.Person != p.Person || c.Object != secretKey("kit-pass", secret) {
		return errLate
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	who, _ := roster.Person(string(p.Person))
	seed := seal.NewSeed()
	defer seed.Wipe()
	made, err := i.newPasskey(r, in, c, passkeyHolder{person: p.Person, name: who.Name}, seed)
	if err != nil {
		return err
	}
	user, err := seed.User()
	if err != nil {
		return err
	}
	p.Door = offered(made)
	p.Body, err = roster.Prepare(recoveryHolder, seal.Entry{At: i.Now().UnixMilli(), Act: seal.Rekey, Person: string(p.Person), Keys: new(user.Keys()),
		Doors: map[string]seal.Door{made.id: {Kind: made.kind, Pair: made.public}}})
	if err != nil {
		return err
	}
	key := seal.DeriveKey(secret, "kit draft v1")
	defer key.Wipe()
	p.Seed = key.SealKey(seed.Key, i.passSlot(p))
	if err := i.keepPass(ctx, secret, p); err != nil {
		return err
	}
	boxes, err := i.kitBoxes(ctx, roster, p.Person)
	if err != nil {
		return err
	}
	q, err := i.ask(ctx, ceremony{For: toSend})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"body": p.Body, "boxes": boxes, "ceremony": q.Ceremony, "seal": q.Seal})
}

// kitBoxes are the team keys that are sealed to the kit: of a person's teams, or
// all where nobody is named. The order is always the same.
func (i *Identity) kitBoxes(ctx context.Context, roster *seal.Roster, p id.Person) (all []sealedTeamKey, err error) {
	boxes, err := teamBoxes(ctx, i.DB, recoveryHolder)
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		t, ok := roster.Team(string(b.team))
		if ok && (p == "" || slices.Contains(t.Members, string(p))) {
			all = append(all, sealedTeamKey{b.team, b.epoch, b.box})
		}
	}
	slices.SortFunc(all, func(a, b sealedTeamKey) int {
		if a.Team != b.Team {
			if a.Team < b.Team {
				return -1
			}
			return 1
		}
		return int(a.Epoch) - int(b.Epoch)
	})
	return all, nil
}

// finishKit writes the owner's new keys, which the kit signed, and opens the room.
func (i *Identity) finishKit(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	ctx := r.Context()
	p, secret, err := i.pass(ctx, in.Pass)
	if err != nil {
		return err
	}
	defer clear(secret)
	if p.Body == nil {
		return errPassOver
	}
	u, err := i.comeBack(r, p, secret, c, in)
	if err != nil {
		return err
	}
	defer u.Wipe()
	if _, err := i.begin(w, r, u, opening{key: in.Key, with: "kit"}, nil); err != nil {
		return err
	}
	if err := i.enrol(w, r, u.Person); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

var errMeanwhile = &web.Error{Status: http.StatusConflict, Text: "Somebody changed the list of people in the same minute, so nothing was changed here.", Fix: "Begin again with the kit.", Back: "/unlock/kit"}

func (i *Identity) comeBack(r *http.Request, p kitPass, secret []byte, c *ceremony, in reply) (*Unlocked, error) {
	ctx := r.Context()
	key := seal.DeriveKey(secret, "kit draft v1")
	defer key.Wipe()
	inner, err := key.OpenKey(p.Seed, i.passSlot(p))
	if err != nil {
		return nil, errPassOver
	}
	u := &Unlocked{Person: p.Person, Door: p.Door.ID, seed: seal.Seed{Key: inner}, ring: newRing(p.Person)}
	if u.user, err = u.seed.User(); err != nil {
		return nil, err
	}
	signature, err := derSignature(in.Signature)
	if err != nil {
		return nil, errTorn
	}
	err = i.Change(ctx, u, func(ch *Change) error {
		boxes, err := i.kitBoxes(ctx, ch.roster, p.Person)
		if err != nil {
			return err
		}
		keys, err := c.open(in.Box, 32*len(boxes))
		if err != nil {
			return errMeanwhile
		}
		defer clear(keys)
		for at, b := range boxes {
			k := seal.Key(keys[32*at : 32*at+32])
			if err := ch.roster.CheckTeamKey(string(b.Team), b.Epoch, k); err != nil {
				return errMeanwhile
			}
			u.ring.add(b.Team, b.Epoch, k)
		}
		signed := seal.Signed{Body: p.Body, Signature: signature}
		if err := ch.roster.Add(signed); err != nil {
			return errMeanwhile
		}
		ch.entries = append(ch.entries, numbered{ch.roster.Number, signed})
		return i.writeComeBack(ctx, ch, u, p)
	})
	if err != nil {
		u.Wipe()
		return nil, err
	}
	return u, nil
}

func (i *Identity) writeComeBack(ctx context.Context, ch *Change, u *Unlocked, p kitPass) error {
	now := i.Now()
	ch.Write(func(tx *store.Tx) error {
		pin, err := i.pinBox(p.Person, u.seed, ch.roster.Pin())
		if err != nil {
			return err
		}
		if err := i.replaceDoors(ctx, tx, p.Person, now.UnixMilli(), offer{Doors: []offeredDoor{p.Door}, Pin: pin}, now.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_waits WHERE kind = $1`, kitWait); err != nil {
			return err
		}
		if err := i.writeDone(ctx, tx, kitUsed, p.Person, p.Kit); err != nil {
			return err
		}
		return i.tellAll(ctx, tx, ch.roster, layer.Notice{Subject: "The recovery kit was used", Link: "/people",
			Text: "An owner of the practice came back with the recovery kit. That owner’s old ways in are closed. A new kit is needed now."})
	})
	ch.Tell(ctx, ledger.Fact{Kind: "identity.kit-used", Subject: string(p.Person), Ref: p.Door.ID, Version: int64(p.Kit)})
	return ch.giveAgain(ctx, p.Person)
}
