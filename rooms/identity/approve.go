package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// An export that somebody starts at the command line of a served house waits
// for an owner's tap in a browser: whoever has a personal code and a shell on
// the server still carries nothing out alone.

// approvalLasts is how long an act waits for its tap.
const approvalLasts = 10 * time.Minute

// ErrNotApproved means that no owner tapped in time.
var ErrNotApproved = errors.New("identity: no owner approved it within 10 minutes; nothing was done")

// ActApprove is what the tap is made for; its object is the approval.
const ActApprove = "approve"

type approval struct {
	Act   string    `json:"act"` // a fixed word: "export"
	By    id.Person `json:"by"`
	Asked int64     `json:"asked"` // unix milliseconds
	Given id.Person `json:"given,omitempty"`
}

// Ask has an act of a person wait for an owner's tap. It returns the path of the
// page where the owner taps, and wait, which returns once that happened.
func (i *Identity) Ask(ctx context.Context, act string, by id.Actor) (path string, wait func(context.Context) error, err error) {
	key := string(id.New[id.Record]())
	b, err := json.Marshal(approval{Act: act, By: by.Person, Asked: i.Now().UnixMilli()})
	if err != nil {
		return "", nil, err
	}
	if err := i.kept.put(ctx, keptApproval, key, b, i.Now().Add(approvalLasts)); err != nil {
		return "", nil, fmt.Errorf("ask for approval: %w", err)
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: by, Kind: "identity.approval-asked", Subject: string(by.Person), Reason: act, Ref: key})
	})
	if err != nil {
		return "", nil, fmt.Errorf("ask for approval: %w", err)
	}
	return "/approve/" + key, func(ctx context.Context) error { return i.approved(ctx, key) }, nil
}

// approved waits for the tap. The approval is used up.
func (i *Identity) approved(ctx context.Context, key string) error {
	for {
		a, err := i.approval(ctx, key)
		switch {
		case errors.Is(err, errGone):
			return ErrNotApproved
		case err != nil:
			return err
		case a.Given != "":
			_, err := i.kept.take(ctx, keptApproval, key, i.Now())
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (i *Identity) approval(ctx context.Context, key string) (a approval, err error) {
	b, err := i.kept.get(ctx, keptApproval, key, i.Now())
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(b, &a)
}

var errNothingWaits = &web.Error{Status: http.StatusNotFound, Text: "Nothing waits here any more.", Fix: "An act waits for 10 minutes, and once. It can be asked for again.", Back: "/"}

type approvePage struct {
	Key, Act, By string
	Asked        time.Time
	Given        bool
}

func (i *Identity) showApproval(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("approval")
	a, err := i.approval(r.Context(), key)
	if errors.Is(err, errGone) {
		return errNothingWaits
	}
	if err != nil {
		return err
	}
	name, err := i.Name(r.Context(), a.By)
	if err != nil {
		return err
	}
	return i.pages.Show(w, r, "approve", web.View{Title: "Approve", Class: "middle", Scripts: []string{script},
		Data: approvePage{key, a.Act, name, time.UnixMilli(a.Asked), a.Given != ""}})
}

func (i *Identity) approve(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("approval")
	ctx, done, err := i.Tap(r, ActApprove, key)
	if err != nil {
		return err
	}
	defer done()
	a, err := i.approval(ctx, key)
	if errors.Is(err, errGone) {
		return errNothingWaits
	}
	if err != nil {
		return err
	}
	by := id.From(ctx)
	a.Given = by.Person
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: by, Kind: "identity.approved", Subject: string(a.By), Reason: a.Act, Ref: key})
	})
	if err != nil {
		return err
	}
	if err := i.kept.replace(ctx, keptApproval, key, b); errors.Is(err, errGone) {
		return errNothingWaits
	} else if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/approve/"+key)
}
