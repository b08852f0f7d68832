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
	"regexp"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// tapLasts is how long a ticket waits for its act.
const tapLasts = 2 * time.Minute

// TapField and TapHeader carry the ticket of a tap to its act.
const (
	TapField  = "_tap"
	TapHeader = "X-Tap"
)

// errNoTap is what a person reads whose act was not tapped for.
var errNoTap = &web.Error{Status: http.StatusForbidden, Text: "This step needs a fresh tap of your passkey, made for this step alone.", Fix: "Go back, and press the button again."}

// ticket is what a tap leaves: a seed, sealed to the half of the ticket that the
// browser alone has, for one act in one session.
type ticket struct {
	Person  id.Person  `json:"person"`
	Session id.Session `json:"session"`
	Door    string     `json:"door"`
	Act     string     `json:"act"`
	Object  string     `json:"object"`
	Seed    []byte     `json:"seed"`
}

type tapAct struct {
	Act    string `json:"act"`
	Object string `json:"object"`
}

// An act is a fixed word, its object an identifier: both stand in a fact.
var (
	actForm    = regexp.MustCompile(`^[a-z][a-z-]{0,63}$`)
	objectForm = regexp.MustCompile(`^[A-Za-z0-9.-]{0,64}$`)
)

// tapChallenge binds the passkey's signature to one act on one object: the
// browser can check it, and a kept assertion shows what was tapped for.
func tapChallenge(nonce []byte, act, object string) []byte {
	h := sha256.New()
	h.Write(nonce)
	h.Write([]byte(act + "\x00" + object))
	return h.Sum(nil)
}

// askToTap begins a step-up.
func (i *Identity) askToTap(w http.ResponseWriter, r *http.Request) error {
	var in tapAct
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if !actForm.MatchString(in.Act) || !objectForm.MatchString(in.Object) {
		return errTorn
	}
	ctx, v := r.Context(), visitFrom(r.Context())
	c := ceremony{For: toTap, Person: v.Person, Session: v.ID, Act: in.Act, Object: in.Object}
	if v.Demo != "" {
		q, err := i.ask(ctx, c)
		if err != nil {
			return err
		}
		q.Demo = true
		return web.JSON(w, http.StatusOK, q)
	}
	h, err := i.passkeysOf(ctx, v.Person)
	if err != nil {
		return err
	}
	if len(h.credentials) == 0 {
		return &web.Error{Status: http.StatusForbidden, Text: "This step needs a passkey, and you have none yet.", Fix: "Come in with your code once more: the page then offers to make a passkey.", Back: "/doors"}
	}
	wa, err := i.relying(r)
	if err != nil {
		return err
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	options, data, err := wa.BeginLogin(h, webauthn.WithChallenge(tapChallenge(nonce, in.Act, in.Object)),
		webauthn.WithUserVerification(protocol.VerificationRequired), webauthn.WithAssertionExtensions(webauthn.WithExtensionPRF(prfInputs())))
	if err != nil {
		return fmt.Errorf("begin a tap: %w", err)
	}
	c.Data = *data
	q, err := i.ask(ctx, c)
	if err != nil {
		return err
	}
	q.PublicKey, q.Nonce = options.Response, nonce
	return web.JSON(w, http.StatusOK, q)
}

// tap takes the answer and gives a ticket.
func (i *Identity) tap(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toTap)
	if err != nil {
		return err
	}
	ctx, v := r.Context(), visitFrom(r.Context())
	var u *Unlocked
	used := &usedPasskey{}
	if v.Demo != "" {
		u, err = i.demoUnlock(ctx, v)
	} else {
		u, used, err = i.openPasskey(r, in, c)
	}
	if err != nil {
		return err
	}
	defer u.Wipe()
	text, err := i.issue(ctx, u, v.ID, c.Act, c.Object)
	if err != nil {
		return err
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if used.door != "" {
			if err := used.write(ctx, tx, i.Now()); err != nil {
				return err
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.tapped", Subject: string(u.Person), Part: c.Act, Ref: c.Object})
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"ticket": text})
}

func (i *Identity) tapSlot(t ticket) seal.Slot {
	return seal.Slot{Kind: "tap", Practice: i.Anchor.Practice(), Holder: string(t.Session), Subject: string(t.Person), Part: t.Act, Record: t.Object}
}

// issue makes a ticket for an open person: one half finds the kept row, the
// other half opens what lies in it.
func (i *Identity) issue(ctx context.Context, u *Unlocked, s id.Session, act, object string) (string, error) {
	secret := make([]byte, 64)
	rand.Read(secret)
	defer clear(secret)
	t := ticket{Person: u.Person, Session: s, Door: u.Door, Act: act, Object: object}
	key := seal.DeriveKey(secret[32:], "tap v1")
	defer key.Wipe()
	t.Seed = key.SealKey(u.seed.Key, i.tapSlot(t))
	b, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	if err := i.kept.put(ctx, keptTap, secretKey("tap", secret[:32]), b, i.Now().Add(tapLasts)); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

// Tap spends the ticket that a request carries for this act on this object, and
// returns a context in which the person's seed is open (UnlockedFrom), together
// with the newest team keys. done wipes them, and lets the session keep the team
// keys that the act made. An act without its own fresh tap gets a *web.Error.
//
// The ticket is spent whatever comes after: another act, another object and a
// second use are refused.
func (i *Identity) Tap(r *http.Request, act, object string) (ctx context.Context, done func(), err error) {
	ctx = r.Context()
	v := visitFrom(ctx)
	text := r.Header.Get(TapHeader)
	if text == "" {
		text = r.PostFormValue(TapField)
	}
	secret, err := base64.RawURLEncoding.DecodeString(text)
	if v == nil || err != nil || len(secret) != 64 {
		return nil, nil, errNoTap
	}
	defer clear(secret)
	b, err := i.kept.take(ctx, keptTap, secretKey("tap", secret[:32]), i.Now())
	if errors.Is(err, errGone) {
		return nil, nil, errNoTap
	}
	if err != nil {
		return nil, nil, err
	}
	var t ticket
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, nil, fmt.Errorf("read a tap: %w", err)
	}
	if t.Session != v.ID || t.Person != v.Person || t.Act != act || t.Object != object {
		i.refuse(ctx, "tap")
		return nil, nil, errNoTap
	}
	key := seal.DeriveKey(secret[32:], "tap v1")
	defer key.Wipe()
	seed, err := key.OpenKey(t.Seed, i.tapSlot(t))
	if err != nil {
		return nil, nil, errNoTap
	}
	if stands, err := i.doorStands(ctx, t.Person, t.Door); err != nil || !stands {
		return nil, nil, errors.Join(errNoTap, err)
	}
	u, err := i.unlock(ctx, t.Person, t.Door, seal.Seed{Key: seed})
	if err != nil {
		return nil, nil, i.closed(ctx, err)
	}
	i.tryCatchUp(ctx, u)
	done = func() {
		v.Door = u.Door // the one that was shown last
		i.refresh(ctx, v, u.ring)
		u.Wipe()
	}
	return withUnlocked(withRing(ctx, u.ring), u), done, nil
}

// refresh seals the newest team keys into a session, unless it was locked
// meanwhile. Where that fails, the session goes on with the keys it has.
func (i *Identity) refresh(ctx context.Context, v *visit, r *ring) {
	if b, err := i.sealRing(v, r); err == nil {
		_ = i.kept.replace(ctx, keptSession, v.name, b)
	}
}
