package compliance

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/compliance/binder"
)

// longestLink is how long a link for an auditor lasts at most, in days.
const longestLink = 30

var errNoLink = &web.Error{Status: http.StatusNotFound, Text: "This link shows nothing: it has ended, or it was never one.", Fix: "Ask the practice that sent it."}

// makeLink makes a link to one binder that was read: read-only, until a day.
func (c *Compliance) makeLink(w http.ResponseWriter, r *http.Request) error {
	m, err := c.find(r)
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil || days < 1 || days > longestLink {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "A link lasts 1 to 30 days.", Back: "/proof/binder/" + m.ID}
	}
	if err := m.mayLeave(r); err != nil {
		return err
	}
	token, now := string(id.New[id.Record]()), c.Now()
	err = c.DB.Update(r.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(r.Context(), `INSERT INTO compliance_links (token, person, at, ends, bundle) VALUES ($1, $2, $3, $4, $5)`,
			hashed(token), string(id.From(r.Context()).Person), millis(now), millis(now.AddDate(0, 0, days)), m.Bundle)
		if err != nil {
			return fmt.Errorf("keep a link: %w", err)
		}
		return ledger.Append(r.Context(), tx, ledger.Fact{At: now, Actor: id.From(r.Context()), Kind: "compliance.link-made", Ref: m.ID})
	})
	if err != nil {
		return err
	}
	return c.showLinks(w, r, token)
}

func hashed(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

type linksPage struct {
	New   string // shown once
	Links []link
}

type link struct {
	Token    string // its hash
	Who      string
	At, Ends time.Time
}

func (c *Compliance) listLinks(w http.ResponseWriter, r *http.Request) error {
	return c.showLinks(w, r, "")
}

func (c *Compliance) showLinks(w http.ResponseWriter, r *http.Request, fresh string) error {
	rows, err := c.DB.QueryContext(r.Context(), `SELECT token, person, at, ends FROM compliance_links WHERE ends > $1 ORDER BY at DESC`, millis(c.Now()))
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	defer rows.Close()
	p := linksPage{New: fresh}
	for rows.Next() {
		var l link
		var person string
		var at, ends int64
		if err := rows.Scan(&l.Token, &person, &at, &ends); err != nil {
			return fmt.Errorf("read links: %w", err)
		}
		l.Who, l.At, l.Ends = c.Name(r.Context(), id.Person(person)), moment(at), moment(ends)
		p.Links = append(p.Links, l)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.pages.Show(w, r, "links", web.View{Title: "Links for auditors", Nav: "proof", Data: p})
}

func (c *Compliance) endLink(w http.ResponseWriter, r *http.Request) error {
	err := c.DB.Update(r.Context(), func(tx *store.Tx) error {
		if _, err := tx.ExecContext(r.Context(), `DELETE FROM compliance_links WHERE token = $1`, r.PathValue("link")); err != nil {
			return fmt.Errorf("end a link: %w", err)
		}
		return ledger.Append(r.Context(), tx, ledger.Fact{At: c.Now(), Actor: id.From(r.Context()), Kind: "compliance.link-ended"})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/proof/links")
}

// forgetLinks removes the binders behind links that have ended.
func (c *Compliance) forgetLinks(ctx context.Context) error {
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM compliance_links WHERE ends <= $1`, millis(c.Now())); err != nil {
			return fmt.Errorf("forget links: %w", err)
		}
		return nil
	})
}

// linked is the binder behind a link that is still good.
func (c *Compliance) linked(r *http.Request) (bundle []byte, ends time.Time, err error) {
	token := r.PathValue("token")
	if id.Check(token) != nil {
		return nil, ends, errNoLink
	}
	var until int64
	err = c.DB.QueryRowContext(r.Context(), `SELECT bundle, ends FROM compliance_links WHERE token = $1 AND ends > $2`, hashed(token), millis(c.Now())).Scan(&bundle, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ends, errNoLink
	}
	if err != nil {
		return nil, ends, fmt.Errorf("read a link: %w", err)
	}
	return bundle, moment(until), nil
}

type auditorPage struct {
	Practice string
	Token    string
	Head     string
	Ends     time.Time
	From, To time.Time
}

// auditor is what somebody with a link sees: this binder, and nothing else.
func (c *Compliance) auditor(w http.ResponseWriter, r *http.Request) error {
	bundle, ends, err := c.linked(r)
	if err != nil {
		return err
	}
	report, err := binder.Verify(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil || !report.Held {
		return errNoLink // what lies in the database is not what was put there
	}
	return c.pages.Show(w, r, "auditor", web.View{Title: "A binder", Bare: true, Step: "For an auditor", Data: auditorPage{c.Practice(), r.PathValue("token"), report.Head, ends, report.From, report.To}})
}

// auditorReads hands out one page of the binder, or the whole of it.
func (c *Compliance) auditorReads(w http.ResponseWriter, r *http.Request) error {
	bundle, _, err := c.linked(r)
	if err != nil {
		return err
	}
	if r.PathValue("page") == "proof.zip" {
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Disposition", `attachment; filename="proof.zip"`)
		_, err := web.Stream(w).Write(bundle)
		return err
	}
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		return errNoLink
	}
	f, err := z.Open(r.PathValue("page"))
	kind, ok := pageType(r.PathValue("page"))
	if err != nil || !ok {
		return errNoLink
	}
	defer f.Close()
	w.Header().Set("Content-Type", kind)
	_, err = io.Copy(w, f)
	return err
}
