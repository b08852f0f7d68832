package reviews

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (r *Reviews) answers(ctx context.Context) (map[string]answer, error) {
	rows, err := r.DB.QueryContext(ctx, `SELECT question, answer, note, person, at FROM reviews_answers`)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	defer rows.Close()
	all := map[string]answer{}
	for rows.Next() {
		var q string
		var a answer
		var at int64
		if err := rows.Scan(&q, &a.Answer, &a.Note, &a.Person, &at); err != nil {
			return nil, fmt.Errorf("read answers: %w", err)
		}
		a.At = moment(at)
		all[q] = a
	}
	return all, rows.Err()
}

// keepAnswers keeps what was answered, and nothing else of the form.
func (r *Reviews) keepAnswers(ctx context.Context, all map[string]answer) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		for q, a := range all {
			_, err := tx.ExecContext(ctx, `INSERT INTO reviews_answers (question, answer, note, person, at) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (question) DO UPDATE SET answer = excluded.answer, note = excluded.note, person = excluded.person, at = excluded.at
				WHERE reviews_answers.answer <> excluded.answer OR reviews_answers.note <> excluded.note`, q, a.Answer, a.Note, string(a.Person), millis(a.At))
			if err != nil {
				return fmt.Errorf("keep answers: %w", err)
			}
		}
		return nil
	})
}

func (r *Reviews) decisions(ctx context.Context) (map[string]decision, error) {
	rows, err := r.DB.QueryContext(ctx, `SELECT finding, treatment, reason, owner, due, done, person, at FROM reviews_findings`)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	defer rows.Close()
	all := map[string]decision{}
	for rows.Next() {
		var f string
		var d decision
		var due, done, at int64
		if err := rows.Scan(&f, &d.Treatment, &d.Reason, &d.Owner, &due, &done, &d.Person, &at); err != nil {
			return nil, fmt.Errorf("read decisions: %w", err)
		}
		d.Due, d.Done, d.At = moment(due), moment(done), moment(at)
		all[f] = d
	}
	return all, rows.Err()
}

func (r *Reviews) keepDecision(ctx context.Context, f string, d decision) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO reviews_findings (finding, treatment, reason, owner, due, done, person, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (finding) DO UPDATE SET treatment = excluded.treatment, reason = excluded.reason, owner = excluded.owner, due = excluded.due, done = excluded.done, person = excluded.person, at = excluded.at`,
			f, d.Treatment, d.Reason, string(d.Owner), millis(d.Due), millis(d.Done), string(d.Person), millis(d.At))
		if err != nil {
			return fmt.Errorf("keep a decision: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: d.At, Actor: id.From(ctx), Kind: "reviews.decided", Part: d.Treatment, Subject: string(d.Owner)})
	})
}

// paper is a document as it was signed.
type paper struct {
	ID, Kind, Title, HTML string
	Parts                 map[string]string
	At                    time.Time
	Signed                []signature
}

type signature struct {
	Person id.Person
	At     time.Time
}

// By tells when somebody signed it.
func (p *paper) By(who id.Person) (time.Time, bool) {
	for _, s := range p.Signed {
		if s.Person == who {
			return s.At, true
		}
	}
	return time.Time{}, false
}

// papers are the documents of a kind, or of all, newest first.
func (r *Reviews) papers(ctx context.Context, kind string) ([]paper, error) {
	rows, err := r.DB.QueryContext(ctx, `SELECT p.id, p.kind, p.title, p.html, p.parts, p.at, COALESCE(s.person, ''), COALESCE(s.at, 0)
		FROM reviews_papers p LEFT JOIN reviews_signatures s ON s.paper = p.id WHERE p.kind = $1 OR $1 = '' ORDER BY p.n DESC, s.at`, kind)
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	defer rows.Close()
	var all []paper
	for rows.Next() {
		var p paper
		var s signature
		var parts string
		var at, signed int64
		if err := rows.Scan(&p.ID, &p.Kind, &p.Title, &p.HTML, &parts, &at, &s.Person, &signed); err != nil {
			return nil, fmt.Errorf("read documents: %w", err)
		}
		if err := json.Unmarshal([]byte(parts), &p.Parts); err != nil {
			return nil, fmt.Errorf("read document %s: %w", p.ID, err)
		}
		p.At = moment(at)
		if len(all) == 0 || all[len(all)-1].ID != p.ID {
			all = append(all, p)
		}
		if s.Person != "" {
			s.At = moment(signed)
			all[len(all)-1].Signed = append(all[len(all)-1].Signed, s)
		}
	}
	return all, rows.Err()
}

// newest is the newest document of a kind, or nil.
func (r *Reviews) newest(ctx context.Context, kind string) (*paper, error) {
	all, err := r.papers(ctx, kind)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// sign keeps a new version with its first signature, or adds a signature to the
// newest one, with the fact that carries the hash of what was signed.
func (r *Reviews) sign(ctx context.Context, p paper, who id.Person) error {
	parts, err := json.Marshal(p.Parts)
	if err != nil {
		return err
	}
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		now, hash := r.Now(), sha256.Sum256([]byte(p.HTML))
		var there string
		err := tx.QueryRowContext(ctx, `SELECT id FROM reviews_papers WHERE id = $1`, p.ID).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.ExecContext(ctx, `INSERT INTO reviews_papers (id, n, kind, title, html, parts, at) SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5, CAST($6 AS BIGINT) FROM reviews_papers`,
				p.ID, p.Kind, p.Title, p.HTML, string(parts), millis(now))
		}
		if err != nil {
			return fmt.Errorf("keep document %s: %w", p.ID, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO reviews_signatures (paper, person, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, p.ID, string(who), millis(now)); err != nil {
			return fmt.Errorf("keep a signature of %s: %w", p.ID, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: "reviews.signed", Part: p.Kind, Hash: hash[:], Ref: p.ID})
	})
}

// vendor holds patients' information for the practice, or might.
type vendor struct {
	ID, Name, Holds, Signed, Review, Because, Contact string
	Person                                            id.Person
	At                                                time.Time
}

// Covered tells whether an agreement, or a reason why none is needed, is written down.
func (v vendor) Covered() bool { return v.Signed != "" || v.Because != "" }

// agreed tells whether one of the vendors answers for a place: by its name, or
// because it holds what the place is for.
func agreed(all []vendor, place, note string) bool {
	for _, v := range all {
		if v.Covered() && v.Name != "" && (strings.Contains(strings.ToLower(note), strings.ToLower(v.Name)) || strings.EqualFold(v.Holds, place)) {
			return true
		}
	}
	return false
}

func (r *Reviews) vendors(ctx context.Context) ([]vendor, error) {
	rows, err := r.DB.QueryContext(ctx, `SELECT id, name, holds, signed, review, because, contact, person, at FROM reviews_vendors WHERE gone = 0 ORDER BY name, id`)
	if err != nil {
		return nil, fmt.Errorf("read vendors: %w", err)
	}
	defer rows.Close()
	var all []vendor
	for rows.Next() {
		var v vendor
		var at int64
		if err := rows.Scan(&v.ID, &v.Name, &v.Holds, &v.Signed, &v.Review, &v.Because, &v.Contact, &v.Person, &at); err != nil {
			return nil, fmt.Errorf("read vendors: %w", err)
		}
		v.At = moment(at)
		all = append(all, v)
	}
	return all, rows.Err()
}

func (r *Reviews) keepVendor(ctx context.Context, v vendor) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO reviews_vendors (id, name, holds, signed, review, because, contact, person, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, holds = excluded.holds, signed = excluded.signed, review = excluded.review, because = excluded.because, contact = excluded.contact, person = excluded.person, at = excluded.at`,
			v.ID, v.Name, v.Holds, v.Signed, v.Review, v.Because, v.Contact, string(v.Person), millis(v.At))
		if err != nil {
			return fmt.Errorf("keep a vendor: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: v.At, Actor: id.From(ctx), Kind: "reviews.vendor-kept", Ref: v.ID})
	})
}

// closeVendor takes a vendor off the list; its row is kept.
func (r *Reviews) closeVendor(ctx context.Context, v string) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE reviews_vendors SET gone = $1 WHERE id = $2`, millis(r.Now()), v); err != nil {
			return fmt.Errorf("close a vendor: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: r.Now(), Actor: id.From(ctx), Kind: "reviews.vendor-closed", Ref: v})
	})
}
