package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// Addresses are where notices about a person's own account go: both of them, so
// that who holds one mailbox does not keep them from the person (NIST SP
// 800-63B-4: at least two addresses).
func (i *Identity) Addresses(ctx context.Context, p id.Person) (all []string, err error) {
	var first, second string
	err = i.DB.QueryRowContext(ctx, `SELECT mail, second FROM identity_people WHERE person = $1`, p).Scan(&first, &second)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read addresses of %s: %w", p, err)
	}
	for _, a := range []string{first, second} {
		if a != "" {
			all = append(all, a)
		}
	}
	return all, nil
}

// actAddresses is what one taps for: who changes where notices go could hide the next act.
const actAddresses = "addresses"

// setAddresses changes both addresses. The old ones are told as well.
func (i *Identity) setAddresses(w http.ResponseWriter, r *http.Request) error {
	ctx, done, err := i.Tap(r, actAddresses, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	p := id.From(ctx).Person
	first, second := label(r.PostFormValue("mail"), ""), label(r.PostFormValue("second"), "")
	for _, a := range []string{first, second} {
		if a != "" && !strings.Contains(a, "@") {
			return &web.Error{Status: http.StatusUnprocessableEntity, Text: "This mail address has no @ in it. Nothing was changed.", Fix: "Go back and look at it.", Back: "/doors"}
		}
	}
	old, err := i.Addresses(ctx, p)
	if err != nil {
		return err
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		for _, a := range old {
			n := layer.Notice{Address: a, Subject: "Your addresses were changed", Text: "Notices about your own ways in go to other addresses from now on. If that was not you, tell the owner of the practice at once."}
			if err := i.notify(ctx, tx, n); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE identity_people SET mail = $1, second = $2 WHERE person = $3`, first, second, p); err != nil {
			return fmt.Errorf("addresses of %s: %w", p, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.addresses-changed", Subject: string(p)})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/doors")
}

// tellOwn tells a person of something about that person's own ways in.
func (i *Identity) tellOwn(ctx context.Context, tx *store.Tx, p id.Person, subject, text string) error {
	return i.notify(ctx, tx, layer.Notice{To: p, Subject: subject, Text: text + "\n\nIf that was not you, tell the owner of the practice at once.", Link: "/doors"})
}
