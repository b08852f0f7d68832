package identity

import (
	"context"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// How long a session lasts (NIST SP 800-63B-4, AAL3: 12 hours overall, 15
// minutes idle). The proof is renewed at most a minute after somebody was there,
// so that nine minutes make the room close after ten without anybody.
const (
	sessionLasts   = 12 * time.Hour
	proofLasts     = 9 * time.Minute
	challengeLasts = time.Minute
)

// session is what is kept of a sign-in. The ring opens with the cookie only:
// of a copy of the server's memory or of its tables nothing can be opened while
// no request is in flight.
type session struct {
	Person id.Person  `json:"person"`
	ID     id.Session `json:"id"`
	Door   string     `json:"door"`
	Key    []byte     `json:"key,omitempty"`  // what the browser renews with; it cannot export its half
	Demo   string     `json:"demo,omitempty"` // the demo link that opened it
	Ends   int64      `json:"ends"`           // unix milliseconds
	Ring   []byte     `json:"ring"`           // sealed under the cookie

	Began int64       `json:"began"` // unix milliseconds
	From  string      `json:"from"`  // the browser, in words
	Where string      `json:"where"` // the network address
	Pair  seal.Public `json:"pair"`  // what a new team key is sealed to; opened with the cookie

	Bound  []byte `json:"bound,omitempty"`  // what the computer's own key signs with, see bind
	Place  []byte `json:"place,omitempty"`  // where a bound session was proved from
	Proved int64  `json:"proved,omitempty"` // when, unix milliseconds
}

// visit is the session behind one request, while it lasts.
type visit struct {
	session
	name string   // under which it is kept
	key  seal.Key // of the ring
}

type visitKey struct{}

// visitFrom returns the browser session behind a request; nil for the command line.
func visitFrom(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// Sessions finds the session behind a request, for web.Mux.SetSessions.
func (i *Identity) Sessions() web.Sessions { return sessions{i} }

type sessions struct{ *Identity }

var _ web.Sessions = sessions{}

// Enter opens the ring of the request's session into its context. Each request
// opens a copy of its own and wipes it.
func (s sessions) Enter(w http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	v, err := s.visit(r)
	if errors.Is(err, errMoved) {
		dropCookie(w, web.ProofCookie) // the browser that the session is bound to then asks for another
	}
	if err != nil {
		return nil, nil, err
	}
	plain, err := v.key.Open(v.Ring, s.ringSlot(v.session))
	if err != nil {
		return nil, nil, web.ErrNoSession // a session of another practice, or a torn one: sign in again
	}
	defer clear(plain)
	ring, err := readRing(plain)
	if err != nil || ring.Person != v.Person {
		return nil, nil, web.ErrNoSession
	}
	if err := s.catchNews(r.Context(), v, ring); err != nil {
		ring.wipe()
		v.key.Wipe()
		return nil, nil, err
	}
	ctx := id.With(r.Context(), id.Actor{Person: v.Person, Session: v.ID})
	ctx = context.WithValue(withRing(ctx, ring), visitKey{}, v)
	return ctx, func() { ring.wipe(); v.key.Wipe() }, nil
}

// IsOwner tells whether the acting person is an owner, as the signed list says.
func (s sessions) IsOwner(ctx context.Context) bool {
	roster, err := s.Roster(ctx)
	if err != nil {
		return false
	}
	p, ok := roster.Person(string(id.From(ctx).Person))
	return ok && !p.Gone && slices.Contains(p.Roles, Owner)
}

// Person is the acting person's name, for the frame.
func (s sessions) Person(ctx context.Context) string {
	name, err := s.Name(ctx, id.From(ctx).Person)
	if err != nil {
		return "" // the frame goes without
	}
	return name
}

func (i *Identity) ringSlot(s session) seal.Slot {
	return seal.Slot{Kind: "ring", Practice: i.Anchor.Practice(), Holder: string(s.Person), Subject: string(s.ID)}
}

// cookieBytes reads the 256 random bits of a cookie.
func cookieBytes(r *http.Request, name string) []byte {
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) != 32 {
		return nil
	}
	return b
}

// visit finds a live session: both cookies, and the session behind the first.
func (i *Identity) visit(r *http.Request) (*visit, error) {
	cookie, proof := cookieBytes(r, web.SessionCookie), cookieBytes(r, web.ProofCookie)
	if cookie == nil || proof == nil {
		return nil, web.ErrNoSession
	}
	defer clear(cookie)
	ctx := r.Context()
	owner, err := i.kept.get(ctx, keptProof, secretKey("proof", proof), i.Now())
	if err != nil {
		return nil, noSession(err)
	}
	v, err := i.sessionOf(ctx, cookie)
	if err != nil {
		return nil, err
	}
	switch {
	case string(owner) != v.name:
		err = web.ErrNoSession
	case v.moved(r):
		err = errMoved
	default:
		return v, nil
	}
	v.key.Wipe()
	return nil, err
}

// sessionOf finds the session of the first cookie: of a person who still belongs
// to the practice, through a door that is still that person's.
func (i *Identity) sessionOf(ctx context.Context, cookie []byte) (*visit, error) {
	v := &visit{name: secretKey("session", cookie)}
	box, err := i.kept.get(ctx, keptSession, v.name, i.Now())
	if err != nil {
		return nil, noSession(err)
	}
	if err := json.Unmarshal(box, &v.session); err != nil {
		return nil, fmt.Errorf("read a session: %w", err)
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	p, ok := roster.Person(string(v.Person))
	if _, door := p.Doors[v.Door]; !ok || p.Gone || !door {
		return nil, web.ErrNoSession
	}
	v.key = seal.DeriveKey(cookie, "session ring v1", i.Anchor.Practice())
	return v, nil
}

func noSession(err error) error {
	if errors.Is(err, errGone) {
		return web.ErrNoSession
	}
	return err
}

// opening is what a sign-in knows besides the person.
type opening struct {
	key  []byte // what the browser renews with; nil where it runs no script
	demo string // the demo link
	with string // "passkey", "code", "claim" or "demo"
}

// begin opens a session for a person whose door was just opened, in place of
// the one the browser had. more is written in the same transaction.
func (i *Identity) begin(w http.ResponseWriter, r *http.Request, u *Unlocked, o opening, more func(*store.Tx, id.Actor) error) (a id.Actor, err error) {
	if o.key != nil {
		if err := seal.SignPublic(o.key).Check(); err != nil {
			return a, errTorn
		}
	}
	ctx := r.Context()
	cookie := make([]byte, 32)
	rand.Read(cookie)
	defer clear(cookie)
	ends := i.Now().Add(sessionLasts)
	v := &visit{name: secretKey("session", cookie), key: seal.DeriveKey(cookie, "session ring v1", i.Anchor.Practice()),
		session: session{Person: u.Person, ID: id.New[id.Session](), Door: u.Door, Key: o.key, Demo: o.demo, Ends: ends.UnixMilli(),
			Began: i.Now().UnixMilli(), From: browserWords(r.UserAgent()), Where: address(r)}}
	defer v.key.Wipe()
	pair, err := v.pair()
	if err != nil {
		return a, err
	}
	v.Pair = pair.Public()
	a = id.Actor{Person: u.Person, Session: v.ID}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if more != nil {
			if err := more(tx, a); err != nil {
				return err
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.signed-in", Subject: string(u.Person), Part: o.with, Ref: u.Door})
	})
	if err != nil {
		return a, err
	}
	if old := cookieBytes(r, web.SessionCookie); old != nil {
		if _, err := i.kept.take(ctx, keptSession, secretKey("session", old), i.Now()); err != nil && !errors.Is(err, errGone) {
			return a, err
		}
	}
	b, err := i.sealRing(v, u.ring)
	if err != nil {
		return a, err
	}
	if err := i.kept.put(ctx, keptSession, v.name, b, ends); err != nil {
		return a, err
	}
	// Whoever closed this door meanwhile did not see the session yet.
	if stands, err := i.doorStands(ctx, u.Person, u.Door); err != nil || !stands {
		_, gone := i.kept.take(ctx, keptSession, v.name, i.Now())
		return a, errors.Join(errNoEntry, err, gone)
	}
	setCookie(w, web.SessionCookie, cookie, 0)
	if err := i.prove(ctx, w, v); err != nil {
		return a, err
	}
	return a, i.offerBinding(w, r, v)
}

// sealRing seals a ring into its session, and returns what is kept of it.
func (i *Identity) sealRing(v *visit, r *ring) ([]byte, error) {
	plain := r.bytes()
	defer clear(plain)
	v.Ring = v.key.Seal(plain, i.ringSlot(v.session))
	return json.Marshal(v.session)
}

// prove gives the browser a fresh second cookie. Its forerunner stays good until
// its own end: another tab may be on its way with it.
func (i *Identity) prove(ctx context.Context, w http.ResponseWriter, v *visit) error {
	proof := make([]byte, 32)
	rand.Read(proof)
	ends := i.Now().Add(proofLasts)
	if last := time.UnixMilli(v.Ends); ends.After(last) {
		ends = last
	}
	age := time.Duration(0)
	if len(v.Bound) > 0 { // the browser has to know when to ask for the next one
		age, v.Proved = ends.Sub(i.Now()), i.Now().UnixMilli()
		b, err := json.Marshal(v.session)
		if err != nil {
			return err
		}
		if err := i.kept.replace(ctx, keptSession, v.name, b); err != nil {
			return noSession(err)
		}
	}
	if err := i.kept.put(ctx, keptProof, secretKey("proof", proof), []byte(v.name), ends); err != nil {
		return err
	}
	setCookie(w, web.ProofCookie, proof, age)
	return nil
}

// setCookie sets a cookie that no script reads and no other site sends.
// NIST SP 800-63B-4, 5.1.1; without maxAge it goes with the browser.
func setCookie(w http.ResponseWriter, name string, value []byte, maxAge time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: base64.RawURLEncoding.EncodeToString(value), Path: "/",
		MaxAge: int(maxAge.Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

type renewal struct {
	Challenge []byte `json:"challenge"`
	Signature []byte `json:"signature,omitempty"`
}

// renewLabel separates the signature of a renewal from every other one.
const renewLabel = "session renewal v1"

// renew gives a fresh proof to the browser that signed in: it signs a challenge
// with a key that it cannot export, so that a copied pair of cookies ends with
// the proof it was copied with. Without a signature it hands out a challenge.
func (i *Identity) renew(w http.ResponseWriter, r *http.Request) error {
	var in renewal
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx, v := r.Context(), visitFrom(r.Context())
	if len(in.Signature) == 0 {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		if err := i.kept.put(ctx, keptChallenge, secretKey("challenge", fresh), []byte(v.name), i.Now().Add(challengeLasts)); err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, renewal{Challenge: fresh})
	}
	owner, err := i.kept.take(ctx, keptChallenge, secretKey("challenge", in.Challenge), i.Now())
	if err != nil && !errors.Is(err, errGone) {
		return err
	}
	if err != nil || string(owner) != v.name || !signedBy(v.Key, in.Challenge, in.Signature) {
		i.refuse(ctx, "renewal")
		return errNotThisBrowser
	}
	if err := i.prove(ctx, w, v); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

var errNotThisBrowser = &web.Error{Status: http.StatusForbidden, Text: "This browser is not the one that opened the room.", Fix: "Open it again with your passkey.", Back: "/unlock"}

// signedBy checks a signature as WebCrypto makes it: r and s, 32 bytes each.
func signedBy(key, message, raw []byte) bool {
	if len(key) == 0 || len(raw) != 64 {
		return false
	}
	der, err := derSignature(raw)
	return err == nil && seal.SignPublic(key).Verify(renewLabel, message, der)
}

// derSignature is a signature of WebCrypto as the signed list has it.
func derSignature(raw []byte) ([]byte, error) {
	if len(raw) != 64 {
		return nil, errTorn
	}
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
}

// lock ends the session: its ring is deleted. It is for anyone, so that a dead
// session's page can be closed too.
func (i *Identity) lock(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if cookie := cookieBytes(r, web.SessionCookie); cookie != nil {
		box, err := i.kept.take(ctx, keptSession, secretKey("session", cookie), i.Now())
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
		if err == nil {
			if err := i.tellLocked(ctx, box); err != nil {
				return err
			}
		}
	}
	dropCookie(w, web.SessionCookie)
	dropCookie(w, web.ProofCookie)
	return web.SeeOther(w, r, "/unlock")
}

func (i *Identity) tellLocked(ctx context.Context, box []byte) error {
	var s session
	if err := json.Unmarshal(box, &s); err != nil {
		return fmt.Errorf("read a session: %w", err)
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.Actor{Person: s.Person, Session: s.ID}, Kind: "identity.locked", Subject: string(s.Person)})
	})
}
