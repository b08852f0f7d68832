package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// actAddDoor is what one taps for to make another way in.
const actAddDoor = "add-door"

// addOwnDoor gives an open person one more door, signed by that person.
func (i *Identity) addOwnDoor(ctx context.Context, u *Unlocked, d door) error {
	return i.Change(ctx, u, func(c *Change) error {
		who, ok := c.roster.Person(string(u.Person))
		if !ok {
			return fmt.Errorf("add a door: person %s: unknown", u.Person)
		}
		doors := maps.Clone(who.Doors)
		doors[d.id] = seal.Door{Kind: d.kind, Pair: d.public}
		if err := c.Sign(seal.Entry{Act: seal.Doors, Person: string(u.Person), Doors: doors}); err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error {
			if err := addDoor(ctx, tx, u.Person, d, i.Now().UnixMilli()); err != nil {
				return err
			}
			return i.tellOwn(ctx, tx, u.Person, "A way in was added", "Another way in was added to yours.")
		})
		c.Tell(ctx, ledger.Fact{Actor: id.From(ctx), Kind: "identity.door-added", Subject: string(u.Person), Part: d.kind, Ref: d.id})
		return nil
	})
}

// askToAddPasskey begins the making of one more passkey.
func (i *Identity) askToAddPasskey(w http.ResponseWriter, r *http.Request) error {
	v := visitFrom(r.Context())
	h, err := i.passkeysOf(r.Context(), v.Person)
	if err != nil {
		return err
	}
	return i.askToRegister(w, r, h, ceremony{For: toAdd, Person: v.Person, Session: v.ID})
}

// addPasskey makes a door of a new passkey, with a tap of an old one.
func (i *Identity) addPasskey(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toAdd)
	if err != nil {
		return err
	}
	return i.addTapped(w, r, func(u *Unlocked) (door, error) {
		h, err := i.passkeysOf(r.Context(), u.Person)
		if err != nil {
			return door{}, err
		}
		return i.newPasskey(r, in, c, h, u.seed)
	}, true)
}

// addCode makes a door of a code that the browser made and the person read back.
func (i *Identity) addCode(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	parts, err := c.open(in.Box, 2*32)
	if err != nil {
		return err
	}
	defer clear(parts)
	return i.addTapped(w, r, func(u *Unlocked) (door, error) {
		return i.codeDoor(u.Person, u.seed, seal.Key(parts[:32]), seal.Key(parts[32:]), label(in.Label, "Printed code"))
	}, false)
}

func (i *Identity) addTapped(w http.ResponseWriter, r *http.Request, make func(*Unlocked) (door, error), enrols bool) error {
	ctx, done, err := i.Tap(r, actAddDoor, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	d, err := make(u)
	if err != nil {
		return err
	}
	if err := i.addOwnDoor(ctx, u, d); err != nil {
		return err
	}
	if enrols {
		if err := i.enrol(w, r, u.Person); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// label is what a person calls a door; short, and never empty.
func label(text, otherwise string) string {
	text = strings.TrimSpace(text)
	if text == "" || !utf8.ValidString(text) {
		return otherwise
	}
	if r := []rune(text); len(r) > 60 {
		return string(r[:60])
	}
	return text
}

// actRemoveDoor is what one taps for to close a way in.
const actRemoveDoor = "remove-door"

var (
	errNoSuchDoor = &web.Error{Status: http.StatusNotFound, Text: "This way in is not there any more.", Back: "/doors"}
	errLastDoor   = &web.Error{Status: http.StatusConflict, Text: "This is your only way in. Without it the room would be closed to you for good, so it stays.", Fix: "Add another way in first, then remove this one.", Back: "/doors"}
	errTwoDoors   = &web.Error{Status: http.StatusConflict, Text: "An owner of a practice that is in use keeps two ways in, so this one stays for now.", Fix: "Add another way in first, then remove this one.", Back: "/doors"}
)

type doorPage struct {
	Door  doorRow
	Keeps string // why it cannot be closed now
}

func (i *Identity) showDoor(w http.ResponseWriter, r *http.Request) error {
	p := id.From(r.Context()).Person
	doors, err := i.doorsOf(r.Context(), p)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(doors, func(d doorRow) bool { return d.ID == r.PathValue("door") })
	if at < 0 {
		return errNoSuchDoor
	}
	page := doorPage{Door: doors[at]}
	roster, err := i.Roster(r.Context())
	if err != nil {
		return err
	}
	if why, ok := errors.AsType[*web.Error](mayRemove(roster, p, doors[at].ID)); ok {
		page.Keeps = why.Text
	}
	return i.pages.Show(w, r, "door", web.View{Title: "A way in", Scripts: []string{script}, Data: page})
}

// mayRemove says why a door has to stay: nobody closes the last one, and an owner
// of a practice in use keeps two, so that a lost key never closes it for good.
func mayRemove(roster *seal.Roster, p id.Person, door string) error {
	who, _ := roster.Person(string(p))
	_, ok := who.Doors[door]
	doors, kit := ready(roster)
	switch {
	case !ok:
		return errNoSuchDoor
	case len(who.Doors) == 1:
		return errLastDoor
	case len(who.Doors) == 2 && doors >= 2 && kit && slices.Contains(who.Roles, Owner):
		return errTwoDoors
	}
	return nil
}

// nameDoor changes what a person calls a door.
func (i *Identity) nameDoor(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p, door := id.From(ctx).Person, r.PathValue("door")
	err := i.DB.Update(ctx, func(tx *store.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE identity_doors SET label = $1 WHERE door = $2 AND person = $3`, label(r.PostFormValue("label"), "Without a name"), door, p)
		if err != nil {
			return fmt.Errorf("name door %s: %w", door, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errNoSuchDoor, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.door-named", Subject: string(p), Ref: door})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/doors")
}

// removeDoor closes a way in for good: see reseed.
func (i *Identity) removeDoor(w http.ResponseWriter, r *http.Request) error {
	door := r.PathValue("door")
	ctx, done, err := i.Tap(r, actRemoveDoor, door)
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	err = i.Change(ctx, u, func(c *Change) error {
		if err := mayRemove(c.roster, u.Person, door); err != nil {
			return err
		}
		who, _ := c.roster.Person(string(u.Person))
		kind := who.Doors[door].Kind
		if err := c.reseed(ctx, id.From(ctx), door, nil); err != nil {
			return err
		}
		c.Tell(ctx, ledger.Fact{Actor: id.From(ctx), Kind: "identity.door-removed", Subject: string(u.Person), Part: kind, Ref: door})
		return nil
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/doors?did=removed")
}

// renewKeys is an owner's tap that gives overdue teams their new keys.
func (i *Identity) renewKeys(w http.ResponseWriter, r *http.Request) error {
	ctx, done, err := i.Tap(r, "renew-keys", string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	if err := i.CatchUp(ctx, u); err != nil { // Tap tried; here it is told why not
		return err
	}
	return web.SeeOther(w, r, "/people")
}

// doorRow is one door as its person sees it.
type doorRow struct {
	ID          string
	Label, Kind string
	Made, Used  time.Time
	From        time.Time // of a code that waits: when it is taken in a new browser
}

func (d doorRow) Passkey() bool { return d.Kind == passkeyDoor }

// doorsOf returns a person's doors, oldest first: those only that the person signed.
func (i *Identity) doorsOf(ctx context.Context, p id.Person) ([]doorRow, error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	who, _ := roster.Person(string(p))
	rows, err := i.DB.QueryContext(ctx, `SELECT door, kind, label, made, used FROM identity_doors WHERE person = $1 ORDER BY made`, p)
	if err != nil {
		return nil, fmt.Errorf("read doors of %s: %w", p, err)
	}
	defer rows.Close()
	var doors []doorRow
	for rows.Next() {
		var name string
		var made, used int64
		var d doorRow
		if err := rows.Scan(&name, &d.Kind, &d.Label, &made, &used); err != nil {
			return nil, fmt.Errorf("read doors of %s: %w", p, err)
		}
		if _, ok := who.Doors[name]; !ok {
			continue
		}
		d.ID, d.Made = name, time.UnixMilli(made)
		if used > 0 {
			d.Used = time.UnixMilli(used)
		}
		doors = append(doors, d)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for k, d := range doors {
		asked, waits, err := i.waiting(ctx, codeWait, d.ID)
		if err != nil {
			return nil, err
		}
		if waits && i.Now().Before(asked.Add(codeLasts+codePatient)) {
			doors[k].From = asked.Add(codeLasts)
		}
	}
	return doors, nil
}

// Ready says how far the practice is from being able to lose a key: how many
// ways in its best-prepared owner has, and whether the recovery kit was made and
// read back. Before two doors and a kit, no fourth real patient is taken in.
func (i *Identity) Ready(ctx context.Context) (doors int, kit bool, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return 0, false, err
	}
	doors, kit = ready(roster)
	return doors, kit, nil
}

func ready(roster *seal.Roster) (doors int, kit bool) {
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		if !p.Gone && slices.Contains(p.Roles, Owner) {
			doors = max(doors, len(p.Doors))
		}
	}
	_, kit = roster.PublicKey(recoveryHolder)
	return doors, kit
}
