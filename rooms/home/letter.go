package home

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// Letter is one weekly letter: the sentences of home on that day, and the head
// of the record of events in six words, which the owner keeps on paper.
type Letter struct {
	At    time.Time
	Note  string // the signed head
	Words string
	Text  string
}

// between is how long a letter waits for the next: one comes each Friday.
const between = 6 * 24 * time.Hour

// write writes the letter on Fridays, once. A new house gets its first one when
// it has something to tell.
func (h *Home) write(ctx context.Context) error {
	now := h.Now()
	if h.Head == nil || now.Weekday() != time.Friday || now.Hour() < 9 || now.Sub(h.Installed) < between {
		return nil
	}
	all, err := h.Letters(ctx)
	if err != nil || len(all) > 0 && now.Sub(all[0].At) < between {
		return err
	}
	return h.WriteLetter(ctx)
}

// WriteLetter writes a letter now, keeps it, and puts it into the owners' mail.
func (h *Home) WriteLetter(ctx context.Context) error {
	head, err := h.Head(ctx)
	if err != nil {
		return err
	}
	six := head.Words()
	house, drills, err := h.read(ctx)
	if err != nil {
		return err
	}
	l := Letter{At: h.Now(), Note: head.Note, Words: strings.Join(six[:], " · ")}
	l.Text = house.letter(l.Words, lastProof(drills, h.Now()), h.Now())
	return h.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO home_letters (n, at, note, words, text) SELECT COALESCE(MAX(n), 0) + 1, CAST($1 AS BIGINT), $2, $3, $4 FROM home_letters`, millis(l.At), l.Note, l.Words, l.Text)
		if err != nil {
			return fmt.Errorf("keep the letter: %w", err)
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: l.At, Kind: "home.letter-written"}); err != nil {
			return err
		}
		if h.Notify == nil {
			return nil
		}
		owners, err := h.Owners(ctx)
		for _, p := range owners {
			if err := h.Notify(ctx, tx, layer.Notice{To: p, Subject: "Your weekly letter", Text: l.Text, Link: "/letters"}); err != nil {
				return err
			}
		}
		return err
	})
}

// letter is the house in a few sentences.
func (h house) letter(words string, p proof, now time.Time) string {
	parts := []string{h.sentence(true)}
	if !p.At.IsZero() {
		parts = append(parts, fmt.Sprintf("Last proof: a thief’s copy of everything opened %s of %s records, %s.", p.Opened, p.Tried, web.Age(now, p.At)))
	}
	asks := append(append([]line{}, h.Urgent...), h.Needs...)
	for _, l := range asks[:min(len(asks), mostAsked)] {
		text := l.State.String() + ": " + l.Text
		if l.Minutes > 0 {
			text += " " + capital(web.Minutes(l.Minutes)) + "."
		}
		parts = append(parts, text)
	}
	if len(asks) == 0 {
		parts = append(parts, "Nothing needs you.")
	}
	parts = append(parts, "The record of events reads, in six words: "+words+". Please keep this letter on paper: who compares the words can tell a binder of this practice from a forged one.")
	return strings.Join(parts, "\n\n")
}

// Letters are all letters, the newest first.
func (h *Home) Letters(ctx context.Context) ([]Letter, error) {
	rows, err := h.DB.QueryContext(ctx, `SELECT at, note, words, text FROM home_letters ORDER BY n DESC`)
	if err != nil {
		return nil, fmt.Errorf("read letters: %w", err)
	}
	defer rows.Close()
	var all []Letter
	for rows.Next() {
		var l Letter
		var at int64
		if err := rows.Scan(&at, &l.Note, &l.Words, &l.Text); err != nil {
			return nil, fmt.Errorf("read letters: %w", err)
		}
		l.At = moment(at)
		all = append(all, l)
	}
	return all, rows.Err()
}

type lettersPage struct {
	Letters []letterRow
	Head    string
}

type letterRow struct {
	Letter
	Paragraphs []string
}

func (h *Home) showLetters(w http.ResponseWriter, r *http.Request) error {
	all, err := h.Letters(r.Context())
	if err != nil {
		return err
	}
	p := lettersPage{Head: h.words(r.Context())}
	for _, l := range all[:min(len(all), 60)] {
		p.Letters = append(p.Letters, letterRow{l, strings.Split(l.Text, "\n\n")})
	}
	return h.pages.Show(w, r, "letters", web.View{Title: "Weekly letters", Nav: "home", Data: p})
}

// words are the six words of the head, or none.
func (h *Home) words(ctx context.Context) string {
	if h.Head == nil {
		return ""
	}
	head, err := h.Head(ctx)
	if err != nil {
		return ""
	}
	six := head.Words()
	return strings.Join(six[:], " · ")
}

// writeNow is for an owner who wants the six words on paper before Friday.
func (h *Home) writeNow(w http.ResponseWriter, r *http.Request) error {
	if h.Head == nil {
		return &web.Error{Status: http.StatusNotFound, Text: "There are no letters here.", Back: "/"}
	}
	if err := h.WriteLetter(r.Context()); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/letters")
}

// whatIf answers what would happen if a computer were stolen tonight, from what
// is known of each place now.
func (h *Home) whatIf(w http.ResponseWriter, r *http.Request) error {
	house, _, err := h.read(r.Context())
	if err != nil {
		return err
	}
	return h.pages.Show(w, r, "what-if", web.View{Title: "What if a laptop were stolen tonight?", Nav: "home", Data: house.stolen()})
}

// stolenPage is what what-if.html gets.
type stolenPage struct {
	State layer.State
	Asked []stolenPart
}

type stolenPart struct {
	Question string
	State    layer.State
	Lines    []line
	Nobody   string
}

// stolen puts what is known under the questions that one would ask.
func (h house) stolen() stolenPage {
	p := stolenPage{State: layer.Safe}
	for _, q := range []struct {
		question string
		claims   []string
		nobody   string
	}{
		{"Could its disk be read?", []string{"devices."}, "Nothing here watches computers, so how its disk is cannot be said."},
		{"Could somebody go on with an open session?", []string{"home.drill.cookie-theft"}, "Nobody tried that here."},
		{"Could what is sealed here be opened with a copy?", []string{"home.drill.theft", "vault.wrapped"}, "Nobody tried that here."},
		{"Would its person still get in elsewhere, and the thief not?", []string{"identity.doors"}, "That is not known."},
		{"Would something be lost?", []string{"backup.opened", "backup.fresh"}, "No backup was opened here."},
	} {
		part := stolenPart{Question: q.question, State: layer.Safe, Nobody: q.nobody}
		for _, s := range h.Places {
			for _, l := range s.Lines {
				for _, c := range q.claims {
					if strings.HasPrefix(l.Claim, c) {
						part.Lines = append(part.Lines, l)
						part.State = worse(part.State, l.State)
					}
				}
			}
		}
		if len(part.Lines) == 0 {
			part.State = layer.NotKnown
		}
		p.State = worse(p.State, part.State)
		p.Asked = append(p.Asked, part)
	}
	return p
}

// happened is the calm page behind "Something happened".
func (h *Home) happened(w http.ResponseWriter, r *http.Request) error {
	return h.pages.Show(w, r, "happened", web.View{Title: "Something happened", Nav: "home", Data: struct{ Owner bool }{h.Owner(r.Context())}})
}
