package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// actSetKit is what an owner taps for to make the recovery kit.
const actSetKit = "set-kit"

// outside marks a trusted person who does not belong to the practice.
const outside = "outside: "

// A kit is made in the browser: the paper's secret, or its three shares, and the
// private halves that come from it never reach the server. What comes here are the
// public halves, and proof that this very browser opens what is sealed to them.

// kitChallenge seals a number to a recovery pair. Who returns it holds the private half.
func (i *Identity) kitChallenge(ctx context.Context, public seal.Public) (box []byte, err error) {
	nonce := make([]byte, 32)
	rand.Read(nonce)
	defer clear(nonce)
	if box, err = seal.SealTo(public, nonce, seal.Slot{Kind: "kit-proof", Practice: i.Anchor.Practice(), Holder: recoveryHolder}); err != nil {
		return nil, err
	}
	return box, i.kept.put(ctx, keptKit, secretKey("kit-proof", nonce), public, i.Now().Add(kitProofLasts))
}

const kitProofLasts = 10 * time.Minute

// proven takes an answer to kitChallenge: true if it is this pair's.
func (i *Identity) proven(ctx context.Context, public seal.Public, nonce []byte) (bool, error) {
	was, err := i.kept.take(ctx, keptKit, secretKey("kit-proof", nonce), i.Now())
	if errors.Is(err, errGone) {
		return false, nil
	}
	return err == nil && bytes.Equal(was, public), err
}

type newKit struct {
	Public  seal.Public     `json:"public"`
	Sign    seal.SignPublic `json:"sign,omitempty"`
	Nonce   []byte          `json:"nonce,omitempty"`
	Trusted []string        `json:"trusted,omitempty"` // names of three people with a share each
	Boxes   [][]byte        `json:"boxes,omitempty"`   // the secret, under each two of the shares
}

var errNotRead = &web.Error{Status: http.StatusForbidden, Text: "This browser could not open what was sealed to the new kit, so the kit was not taken.", Fix: "Destroy this paper, and make the kit in another browser.", Back: "/kit"}

// tryKit asks the browser that made a kit to open something with it.
func (i *Identity) tryKit(w http.ResponseWriter, r *http.Request) error {
	var in newKit
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if in.Public.Check() != nil {
		return errTorn
	}
	box, err := i.kitChallenge(r.Context(), in.Public)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"box": box})
}

// setKit names the pair that belongs to a kit.
func (i *Identity) setKit(w http.ResponseWriter, r *http.Request) error {
	var in newKit
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx, done, err := i.Tap(r, actSetKit, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	if in.Public.Check() != nil || in.Sign.Check() != nil || len(in.Trusted) != len(in.Boxes) || len(in.Trusted) != 0 && len(in.Trusted) != 3 {
		return errTorn
	}
	if ok, err := i.proven(ctx, in.Public, in.Nonce); err != nil || !ok {
		return errors.Join(err, errNotRead)
	}
	u, _ := UnlockedFrom(ctx)
	err = i.Change(ctx, u, func(c *Change) error {
		trusted, err := trustedOf(c.roster, in.Trusted)
		if err != nil {
			return err
		}
		if err := c.nameRecovery(ctx, seal.Entry{Act: seal.Name, Name: recoveryHolder, Public: in.Public, Sign: in.Sign, Members: trusted}); err != nil {
			return err
		}
		number := c.roster.Number
		c.Write(func(tx *store.Tx) error {
			for part, box := range in.Boxes {
				if len(box) != seal.Overhead+32 {
					return errTorn
				}
				if _, err := tx.ExecContext(ctx, `INSERT INTO identity_shares (named, part, box) VALUES ($1, $2, $3)`, number, part, box); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM identity_waits WHERE kind = $1`, kitWait); err != nil {
				return err
			}
			return i.tellOwn(ctx, tx, u.Person, "The recovery kit was made", "A recovery kit of the practice was made, in your name. The one before signs nothing any more.")
		})
		return nil
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// trustedOf names three different people: those of the practice by their ids.
func trustedOf(roster *seal.Roster, names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		name = label(name, "")
		who := outside + name
		for _, p := range roster.People() {
			if person, _ := roster.Person(p); !person.Gone && strings.EqualFold(person.Name, name) {
				who = p
			}
		}
		if name == "" || slices.Contains(all, who) {
			return nil, &web.Error{Status: http.StatusUnprocessableEntity, Text: "Three different people are needed, each with a name. Nothing was changed.", Fix: "Write the three names and press the button again."}
		}
		all = append(all, who)
	}
	return all, nil
}

// trustedNames are the trusted people as one reads them, and those who left.
func trustedNames(roster *seal.Roster) (names, gone []string) {
	for _, t := range roster.Kit().Trusted {
		name, ok := strings.CutPrefix(t, outside)
		if !ok {
			p, _ := roster.Person(t)
			if name = p.Name; p.Gone {
				gone = append(gone, name)
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, gone
}

// shareBoxes are the kit's secret under each two of its shares.
func (i *Identity) shareBoxes(ctx context.Context, named uint64) (boxes [][]byte, err error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT box FROM identity_shares WHERE named = $1 ORDER BY part`, named)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		boxes = append(boxes, b)
	}
	return boxes, rows.Err()
}

// fingerprint is the practice's first entry in six words: printed on the kit, it
// tells years later whether a house is still the same one.
func (i *Identity) fingerprint() []string {
	root := i.Anchor.Root()
	if len(root) != len(ledger.Hash{}) {
		return nil
	}
	six := ledger.Words(ledger.Hash(root))
	return six[:]
}
