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
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
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
	if err := i.spend(ctx, u, a, next.Auth(), next.KEK()); err != nil {
		u.Wipe()
		return nil, nil, seal.Code{}, err
	}
	return withUnlocked(withRing(id.With(ctx, a), u.ring), u), u.Wipe, next, nil
}

func (i *Identity) tellCodeUsed(ctx context.Context, tx *store.Tx, a id.Actor, door string) error {
	return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.code-used", Subject: string(a.Person), Ref: door})
}

// spend puts another code in place of the one that just opened u, and gives the
// person a new seed, which u then holds; see reseed. ErrNoDoor if another use of
// the same code came first.
func (i *Identity) spend(ctx context.Context, u *Unlocked, a id.Actor, auth, kek seal.Key) error {
	used, fresh := u.Door, ""
	err := i.Change(ctx, u, func(c *Change) error {
		err := c.reseed(ctx, a, used, func(seed seal.Seed) (d door, err error) {
			d, err = i.codeDoor(u.Person, seed, auth, kek, "Code")
			fresh = d.id
			return d, err
		})
		if err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error { return i.tellCodeUsed(ctx, tx, a, used) })
		return nil
	})
	if err == nil {
		u.Door = fresh
	}
	return err
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
	errCodeBusy = &web.Error{Status: http.StatusTooManyRequests, Text: "This code was tried several times.", Fix: "Wait half a minute and compare it with the paper. Your passkeys work meanwhile."}
	errNoCode   = &web.Error{Status: http.StatusForbidden, Text: "No door of this house opens with this code.", Fix: "Compare it with the paper. A code that was used once is replaced by the next one you were shown."}
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
	parts, err := c.open(in.Box, codeParts)
	if err != nil {
		return err
	}
	defer clear(parts)
	u, err := i.unlockTyped(r, parts)
	if err != nil {
		return err
	}
	defer u.Wipe()
	ctx := r.Context()
	spent := !i.MadeUp
	if spent {
		if err := i.spend(ctx, u, id.Actor{Person: u.Person}, seal.Key(parts[64:96]), seal.Key(parts[96:])); err != nil {
			return i.closed(ctx, err)
		}
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
	if err == nil && !known {
		err = i.codeWaits(ctx, u)
	}
	if err != nil {
		u.Wipe()
		return nil, err
	}
	return u, nil
}

// codeLasts is how long a code waits in a browser where its person used no passkey
// before, and codePatient how long it is then taken in any browser.
const (
	codeWait    = "code"
	codeLasts   = 24 * time.Hour
	codePatient = 7 * 24 * time.Hour
)

// codeWaits lets a code that nothing else stands beside pass a day after it was
// typed first, and not before. The person is told at all addresses, and the owners
// where there are fewer than two (NIST SP 800-63B-4, 4.2.3).
func (i *Identity) codeWaits(ctx context.Context, u *Unlocked) error {
	now := i.Now()
	asked, waits, err := i.waiting(ctx, codeWait, u.Door)
	if err != nil {
		return err
	}
	from := asked.Add(codeLasts)
	if waits && now.Before(from.Add(codePatient)) {
		if now.Before(from) {
			return errCodeWaits(from)
		}
		return nil
	}
	from = now.Add(codeLasts)
	addresses, err := i.Addresses(ctx, u.Person)
	if err != nil {
		return err
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	who, _ := roster.Person(string(u.Person))
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.beginWait(ctx, tx, codeWait, u.Door, now); err != nil {
			return err
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "identity.code-waits", Subject: string(u.Person), Ref: u.Door}); err != nil {
			return err
		}
		if err := i.tellOwn(ctx, tx, u.Person, "Your printed code was typed in a new browser", "It is taken there from "+from.Format("2 January, 15:04")+" on. Under your ways in you can stop it, and close that code."); err != nil {
			return err
		}
		for _, name := range roster.People() {
			p, _ := roster.Person(name)
			if len(addresses) >= 2 || p.Gone || name == string(u.Person) || !slices.Contains(p.Roles, Owner) {
				continue
			}
			if err := i.notify(ctx, tx, layer.Notice{To: id.Person(name), Subject: "A printed code was typed in a new browser", Link: "/people",
				Text: who.Name + " has fewer than two addresses for notices, so this one goes to you. The printed code of " + who.Name + " was typed in a browser that was not used before. Please ask, face to face, whether that was so."}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errCodeWaits(from)
}

func errCodeWaits(from time.Time) error {
	return &web.Error{Status: http.StatusForbidden, Text: "This code is good. In a browser where you used no passkey before it opens a day after it was typed first: from " + from.Format("2 January, 15:04") + " on.",
		Fix: "Come back then and type it again; it was not used up. At once it works in a browser you have signed in with, and so does another passkey. You were told of this at your addresses.", Back: "/unlock"}
}

// stopCode ends the wait of a person's own code.
func (i *Identity) stopCode(w http.ResponseWriter, r *http.Request) error {
	ctx, door := r.Context(), r.PathValue("door")
	p := id.From(ctx).Person
	doors, err := i.doorsOf(ctx, p)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(doors, func(d doorRow) bool { return d.ID == door }) {
		return errNoSuchDoor
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_waits WHERE kind = $1 AND key = $2`, codeWait, door); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.code-stopped", Subject: string(p), Ref: door})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/doors/"+door)
}

// personByCode finds whose code this is.
func (i *Identity) personByCode(ctx context.Context, code seal.Code) (p id.Person, err error) {
	err = i.DB.QueryRowContext(ctx, `SELECT person FROM identity_doors WHERE auth = $1`, seal.AuthHash(code.Auth())).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNoDoor
	}
	return p, err
}
