package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// Enter opens a session for the holder of a personal code, without a browser,
// and leaves the code as it is: for made-up houses, drills and tests. A real
// house spends the code: see EnterOnce. The context carries the actor, the team
// keys and, as after a tap, the seed, until done is called.
func (i *Identity) Enter(ctx context.Context, code seal.Code) (session context.Context, done func(), err error) {
	u, err := i.UnlockCode(ctx, code.Auth(), code.KEK())
	if err != nil {
		return nil, nil, err
	}
	a := id.Actor{Person: u.Person, Session: id.New[id.Session]()}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE identity_doors SET used = $1 WHERE door = $2`, i.Now().UnixMilli(), u.Door); err != nil {
			return err
		}
		return i.tellCodeUsed(ctx, tx, a, u.Door)
	})
	if err != nil {
		u.Wipe()
		return nil, nil, err
	}
	return withUnlocked(withRing(id.With(ctx, a), u.ring), u), u.Wipe, nil
}

// EnterOnce is Enter for one command of the command line. In a real house it
// spends the code, and returns the one that takes its place: show it at once,
// the old one opens nothing any more. In a made-up house the replacement's Kind
// is empty and the code stays good.
func (i *Identity) EnterOnce(ctx context.Context, code seal.Code) (session context.Context, done func(), replacement seal.Code, err error) {
	if i.MadeUp {
		session, done, err = i.Enter(ctx, code)
		return session, done, seal.Code{}, err
	}
	u, err := i.UnlockCode(ctx, code.Auth(), code.KEK())
	if err != nil {
		return nil, nil, seal.Code{}, err
	}
	a := id.Actor{Person: u.Person, Session: id.New[id.Session]()}
	next := seal.NewCode(seal.Personal)
	fresh, err := i.spend(ctx, u, a, next.Auth(), next.KEK())
	if err != nil {
		return nil, nil, seal.Code{}, err
	}
	return withUnlocked(withRing(id.With(ctx, a), fresh.ring), fresh), fresh.Wipe, next, nil
}

func (i *Identity) tellCodeUsed(ctx context.Context, tx *store.Tx, a id.Actor, door string) error {
	return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.code-used", Subject: string(a.Person), Ref: door})
}

// spend puts another code in place of the one that just opened u, and gives the
// person a new seed: the old one signs nothing any more, and opens nothing that is
// sealed to the person from now on. A used code rotates no team key: that needs an
// owner's signature. With an old copy of the disk the old code still opens the
// team keys that lie there, until they are rotated. The other doors are fitted to
// the new seed by their public keys, without a tap. u is wiped; the person comes
// back as new.
func (i *Identity) spend(ctx context.Context, u *Unlocked, a id.Actor, auth, kek seal.Key) (*Unlocked, error) {
	i.acts.Lock()
	defer i.acts.Unlock()
	defer u.Wipe()
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	u.ring.keep(roster) // somebody may have been taken out of a team since the code was typed
	s, err := i.newSeed(roster, u, auth, kek)
	if err != nil {
		return nil, err
	}
	next := roster.Clone()
	e := seal.Entry{Act: seal.Rekey, At: i.Now().UnixMilli(), Person: string(u.Person), Keys: new(s.user.Keys()), Doors: s.public}
	entry, err := next.Sign(string(u.Person), u.user.Signer, e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDoor, err) // another use of the same code came first
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.addEntry(ctx, tx, next.Number, entry); err != nil {
			return err
		}
		if err := i.writeSeed(ctx, tx, u, s, next.Pin()); err != nil {
			return err
		}
		if err := i.tellCodeUsed(ctx, tx, a, u.Door); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.reseeded", Subject: string(u.Person), Version: int64(next.Number)})
	})
	if err != nil {
		return nil, err
	}
	fresh := &Unlocked{Person: u.Person, Door: s.code.id, seed: s.seed, user: s.user, ring: newRing(u.Person)}
	for team, keys := range u.ring.Teams {
		for epoch, key := range keys {
			fresh.ring.add(team, epoch, key)
		}
	}
	return fresh, nil
}

// reseeding is a person's new seed, sealed to all doors but the spent one.
type reseeding struct {
	seed   seal.Seed
	user   seal.User
	code   door
	boxes  map[string][]byte // door -> seed
	public map[string]seal.Door
}

func (i *Identity) newSeed(roster *seal.Roster, u *Unlocked, auth, kek seal.Key) (s reseeding, err error) {
	s = reseeding{seed: seal.NewSeed(), boxes: map[string][]byte{}, public: map[string]seal.Door{}}
	if s.user, err = s.seed.User(); err != nil {
		return s, err
	}
	if s.code, err = i.codeDoor(u.Person, s.seed, auth, kek, "Code"); err != nil {
		return s, err
	}
	who, _ := roster.Person(string(u.Person))
	for name, d := range who.Doors {
		if name == u.Door {
			continue
		}
		if s.boxes[name], err = seal.SealTo(d.Pair, s.seed.Key[:], i.seedSlot(u.Person, name)); err != nil {
			return s, err
		}
		s.public[name] = d
	}
	s.public[s.code.id] = seal.Door{Kind: codeDoor, Pair: s.code.public}
	return s, nil
}

func (i *Identity) writeSeed(ctx context.Context, tx *store.Tx, u *Unlocked, s reseeding, pin seal.Pin) error {
	for name, box := range s.boxes {
		if _, err := tx.ExecContext(ctx, `UPDATE identity_doors SET seed = $1 WHERE door = $2`, box, name); err != nil {
			return err
		}
	}
	if err := tx.QueryRowContext(ctx, `DELETE FROM identity_doors WHERE door = $1 RETURNING label`, u.Door).Scan(&s.code.label); err != nil {
		return fmt.Errorf("spend code %s: %w", u.Door, err)
	}
	if err := addDoor(ctx, tx, u.Person, s.code, i.Now().UnixMilli()); err != nil {
		return err
	}
	for team, keys := range u.ring.Teams {
		for epoch, key := range keys {
			box, err := seal.SealTo(s.user.Pair.Public(), key[:], i.teamSlot(string(u.Person), team, epoch))
			if err != nil {
				return err
			}
			if err := addTeamKey(ctx, tx, team, epoch, string(u.Person), box); err != nil {
				return err
			}
		}
	}
	return i.pin(ctx, tx, u.Person, s.seed, pin)
}

// knownCookie marks a browser in which somebody has used a passkey. It opens
// nothing: a typed code is taken only there, so that a code alone, read off a
// paper or off a false page, is not enough.
const (
	knownCookie = "__Host-qr-known"
	knownLasts  = 400 * 24 * time.Hour // what browsers allow at most
)

// enrol remembers the browser of a person who used a passkey in it.
func (i *Identity) enrol(w http.ResponseWriter, r *http.Request, p id.Person) error {
	secret := cookieBytes(r, knownCookie)
	if secret == nil {
		secret = make([]byte, 32)
		rand.Read(secret)
	}
	hash := sha256.Sum256(secret)
	err := i.DB.Update(r.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(r.Context(), `INSERT INTO identity_browsers (hash, person, made) VALUES ($1, $2, $3) ON CONFLICT (hash, person) DO NOTHING`, hash[:], p, i.Now().UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("enrol a browser: %w", err)
	}
	setCookie(w, knownCookie, secret, knownLasts)
	return nil
}

// knownBrowser names the browser of a request in which anybody has used a
// passkey before, by the hash of its cookie; empty for every other one.
func (i *Identity) knownBrowser(r *http.Request) (string, error) {
	secret := cookieBytes(r, knownCookie)
	if secret == nil {
		return "", nil
	}
	hash := sha256.Sum256(secret)
	var n int
	if err := i.DB.QueryRowContext(r.Context(), `SELECT COUNT(*) FROM identity_browsers WHERE hash = $1`, hash[:]).Scan(&n); err != nil {
		return "", fmt.Errorf("find a known browser: %w", err)
	}
	if n == 0 {
		return "", nil
	}
	return hex.EncodeToString(hash[:]), nil
}

// enrolled tells whether a person used a passkey in this browser; of anybody
// where no person is given.
func (i *Identity) enrolled(r *http.Request, p id.Person) (bool, error) {
	if i.MadeUp {
		return true, nil
	}
	secret := cookieBytes(r, knownCookie)
	if secret == nil {
		return false, nil
	}
	hash := sha256.Sum256(secret)
	var n int
	err := i.DB.QueryRowContext(r.Context(), `SELECT COUNT(*) FROM identity_browsers WHERE hash = $1 AND (person = $2 OR $2 = '')`, hash[:], p).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("find an enrolled browser: %w", err)
	}
	return n > 0, nil
}

var (
	errNewBrowser = &web.Error{Status: http.StatusForbidden, Text: "A typed code is taken only in a browser where you have used a passkey before, and this is not one.", Fix: "Use a browser you have signed in with, or your other passkey, or a security key. If you have none of them, ask the owner of the practice.", Back: "/unlock"}
	errCodeBusy   = &web.Error{Status: http.StatusTooManyRequests, Text: "This code was tried several times.", Fix: "Wait half a minute and compare it with the paper. Your passkeys work meanwhile."}
	errNoCode     = &web.Error{Status: http.StatusForbidden, Text: "No door of this house opens with this code.", Fix: "Compare it with the paper. A code that was used once is replaced by the next one you were shown."}
)

// askToSend begins the sending of a code's parts.
func (i *Identity) askToSend(w http.ResponseWriter, r *http.Request) error {
	q, err := i.ask(r.Context(), ceremony{For: toSend})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, q)
}

// codeParts are what the browser sends of a typed code, and of the one that it
// made to take its place. Neither code is ever sent whole: the part that opens
// psychotherapy notes stays there.
const codeParts = 4 * 32

// signInWithCode opens a session with a typed code, spends it, and gives a
// ticket to make a passkey with: whoever types a code has usually lost one.
func (i *Identity) signInWithCode(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	if known, err := i.enrolled(r, ""); err != nil || !known {
		return errors.Join(err, errNewBrowser)
	}
	parts, err := c.open(in.Box, codeParts)
	if err != nil {
		return err
	}
	defer clear(parts)
	u, err := i.unlockTyped(r, parts)
	if err != nil {
		return err
	}
	defer func() { u.Wipe() }()
	ctx := r.Context()
	spent := !i.MadeUp
	if spent {
		fresh, err := i.spend(ctx, u, id.Actor{Person: u.Person}, seal.Key(parts[64:96]), seal.Key(parts[96:]))
		if err != nil {
			return i.closed(ctx, err)
		}
		u = fresh
	}
	a, err := i.begin(w, r, u, opening{key: in.Key, with: "code"}, func(tx *store.Tx, a id.Actor) error {
		if spent {
			return nil
		}
		return i.tellCodeUsed(ctx, tx, a, u.Door)
	})
	if err != nil {
		return err
	}
	text, err := i.issue(ctx, u, a.Session, actAddDoor, string(u.Person))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"ticket": text, "spent": spent})
}

// unlockTyped opens the seed with a typed code, slowly for who guesses.
func (i *Identity) unlockTyped(r *http.Request, parts []byte) (*Unlocked, error) {
	auth, kek := seal.Key(parts[:32]), seal.Key(parts[32:64])
	if !i.limits.allow("code "+hex.EncodeToString(seal.AuthHash(auth)[:2]), codeBurst, codeRefill) {
		i.refuse(r.Context(), "code-busy")
		return nil, errCodeBusy
	}
	ctx := r.Context()
	u, err := i.UnlockCode(ctx, auth, kek)
	if errors.Is(err, ErrNoDoor) {
		i.refuse(ctx, "code")
		return nil, errNoCode
	}
	if err != nil {
		return nil, i.closed(ctx, err)
	}
	known, err := i.enrolled(r, u.Person)
	if err != nil || !known {
		u.Wipe()
		return nil, errors.Join(err, errNewBrowser)
	}
	return u, nil
}

// personByCode finds whose code this is.
func (i *Identity) personByCode(ctx context.Context, code seal.Code) (p id.Person, err error) {
	err = i.DB.QueryRowContext(ctx, `SELECT person FROM identity_doors WHERE auth = $1`, seal.AuthHash(code.Auth())).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNoDoor
	}
	return p, err
}
