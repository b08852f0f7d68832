package identity

import (
	"context"
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

// Once a year an owner walks each way back, while nothing is lost: the other
// passkeys, the code on paper, and the kit, which opens everything that is sealed
// to it. A paper that nobody can read any more is found on a quiet day.

const (
	kitTried  = "kit-tried"
	codeTried = "code-tried"
	tryEvery  = 365 * 24 * time.Hour
)

type rehearsePage struct {
	Person   string
	Kit      time.Time // when it was tried last, by anybody; its making counts
	Keys     int       // how many are sealed to it
	Signs    bool
	Trusted  []string
	Shared   bool
	Passkeys []doorRow
	Codes    []doorRow
	Code     time.Time
	Did      string
}

func (i *Identity) showRehearse(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	me := id.From(ctx).Person
	p := rehearsePage{Person: string(me), Did: r.URL.Query().Get("did")}
	p.Signs = roster.Kit().Sign != nil
	p.Trusted, _ = trustedNames(roster)
	p.Shared = len(p.Trusted) > 0
	boxes, err := i.kitBoxes(ctx, roster, "")
	if err != nil {
		return err
	}
	p.Keys = len(boxes)
	if p.Kit, err = i.kitTriedAt(ctx, roster); err != nil {
		return err
	}
	if _, p.Code, err = i.lastDone(ctx, codeTried, me); err != nil {
		return err
	}
	doors, err := i.doorsOf(ctx, me)
	if err != nil {
		return err
	}
	for _, d := range doors {
		if d.Passkey() {
			p.Passkeys = append(p.Passkeys, d)
		} else {
			p.Codes = append(p.Codes, d)
		}
	}
	return i.pages.Show(w, r, "rehearse", web.View{Title: "A rehearsal", Scripts: []string{script, kitScript}, Data: p})
}

// kitTriedAt is when the kit in use was opened last: read back at its making, or
// tried since. The zero time: there is no kit.
func (i *Identity) kitTriedAt(ctx context.Context, roster *seal.Roster) (at time.Time, err error) {
	if _, ok := roster.PublicKey(recoveryHolder); !ok {
		return at, nil
	}
	_, chain, err := i.checkedChain(ctx)
	if err != nil {
		return at, err
	}
	number := roster.Kit().Number
	if number == 0 || number > uint64(len(chain)) {
		return at, nil
	}
	if at, err = signedAt(chain[number-1]); err != nil {
		return at, err
	}
	var ms int64
	if err := i.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(at), 0) FROM identity_done WHERE kind = $1 AND number = $2`, kitTried, number).Scan(&ms); err != nil {
		return at, fmt.Errorf("read what was done: %w", err)
	}
	if tried := time.UnixMilli(ms); tried.After(at) {
		at = tried
	}
	return at, nil
}

// askRehearseKit gives a browser all that is sealed to the kit.
func (i *Identity) askRehearseKit(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	roster, public, kit, err := i.kitInUse(ctx)
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
	boxes, err := i.kitBoxes(ctx, roster, "")
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"practice": i.Anchor.Practice(), "box": box, "shares": shares, "boxes": boxes})
}

// rehearseKit takes what the browser saw in the boxes: a commitment to each key,
// which has to be the one that the practice signed.
func (i *Identity) rehearseKit(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Nonce       []byte   `json:"nonce"`
		Commitments [][]byte `json:"commitments"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx, a := r.Context(), id.From(r.Context())
	roster, public, kit, err := i.kitInUse(ctx)
	if err != nil {
		return err
	}
	if ok, err := i.proven(ctx, public, in.Nonce); err != nil || !ok {
		return errors.Join(err, errOtherKit)
	}
	boxes, err := i.kitBoxes(ctx, roster, "")
	if err != nil {
		return err
	}
	opened := 0
	for n, b := range boxes {
		t, _ := roster.Team(string(b.Team))
		if n < len(in.Commitments) && slices.Equal(in.Commitments[n], t.Commitments[b.Epoch]) {
			opened++
		}
	}
	if opened != len(boxes) || len(in.Commitments) != len(boxes) || opened == 0 {
		return &web.Error{Status: http.StatusConflict, Text: fmt.Sprintf("The kit opened %d of the %d keys that are sealed to it.", opened, len(boxes)), Fix: "Make a new kit: it reaches all that you may open, and the rest when its people come in.", Back: "/kit"}
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.writeDone(ctx, tx, kitTried, a.Person, kit.Number); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.kit-rehearsed", Subject: string(a.Person), Version: int64(opened)})
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]int{"opened": opened})
}

// rehearseCode tries a person's own code, and leaves it as it is.
func (i *Identity) rehearseCode(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSend)
	if err != nil {
		return err
	}
	ctx, a := r.Context(), id.From(r.Context())
	parts, err := c.open(in.Box, 2*32)
	if err != nil {
		return err
	}
	defer clear(parts)
	u, err := i.UnlockCode(ctx, seal.Key(parts[:32]), seal.Key(parts[32:]))
	if errors.Is(err, ErrNoDoor) || err == nil && u.Person != a.Person {
		if err == nil {
			u.Wipe()
		}
		i.refuse(ctx, "code")
		return errNoCode
	}
	if err != nil {
		return i.closed(ctx, err)
	}
	defer u.Wipe()
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.writeDone(ctx, tx, codeTried, a.Person, 0); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: a, Kind: "identity.code-rehearsed", Subject: string(a.Person), Ref: u.Door})
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// rehearsedEvidence: the kit opened within a year.
func (i *Identity) rehearsedEvidence(ctx context.Context, roster *seal.Roster) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "identity.rehearsed", State: layer.Safe, Page: "/rehearse"}
	at, err := i.kitTriedAt(ctx, roster)
	if err != nil {
		return e, err
	}
	switch now := i.Now(); {
	case at.IsZero():
		e.State, e.Text = layer.NotKnown, "There is no recovery kit yet that could be tried."
	case now.Before(at.Add(tryEvery)):
		e.Text, e.Seen, e.Until = "The recovery kit was read from its paper and opened something, within a year.", at, at.Add(tryEvery)
	default:
		e.State, e.Minutes, e.Fix, e.By = layer.NeedsYou, 2, "Try the kit", at.Add(tryEvery+30*24*time.Hour)
		e.Text = "Nobody has tried the recovery kit for a year. Papers fade and get lost; two minutes show that it still opens everything."
	}
	return e, nil
}
