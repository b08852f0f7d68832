package signins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/signins/logs"
)

// Errors that people read in words.
var (
	// ErrOther means that the log is of another organisation.
	ErrOther = errors.New("signins: the log is of another organisation")
	// ErrCrowd means that it tells of more mailboxes than a practice has.
	ErrCrowd = errors.New("signins: the log tells of too many mailboxes")
)

const (
	most       = 2000   // things kept in memory before they are written
	strangers  = 1000   // sign-ins of others, and none of ours: then it is not our log
	crowd      = 20_000 // mailboxes in one file
	mostBadRow = 50     // lines that are named
)

// report is what an import found in the file; it is kept sealed, because
// headings of a file that was meant for something else may tell more than ours.
type report struct {
	Events  int      `json:"events"`
	Foreign int      `json:"foreign"` // sign-ins to other organisations, left out
	Bad     int      `json:"bad"`     // places that could not be read
	Lines   []string `json:"lines"`   // the first of them
	Unknown []string `json:"unknown"` // headings
	Torn    bool     `json:"torn"`    // the file broke off
	Tried   int      `json:"tried"`   // tries through old protocols that were refused
}

// gathering is an import under way: what was read and not written yet.
type gathering struct {
	*Signins
	report
	number       string
	kind         logs.Kind
	known        map[logs.Kind]map[string]bool // tenants and domains
	guessed      bool                          // which of two organisations is ours is not known yet
	people       map[string]string             // mailbox -> address, of this file
	visits       map[visitKey]*visit
	prompts      map[string]prompt
	since, until time.Time
}

type visitKey struct {
	mailbox string
	span    int64
	place   place
}

type prompt struct {
	mailbox string
	at      time.Time
}

// Import reads a log and keeps what the rules need. The same log, or a part of
// it, may come any number of times, in any order. It returns the import's
// number; after an error of the file (logs.ErrNotALog, ErrOther, ErrCrowd) nothing
// is found in it. Where the reading breaks off, what came until then counts.
func (s *Signins) Import(ctx context.Context, r io.Reader) (number string, err error) {
	g := &gathering{Signins: s, number: string(id.New[id.Record]()), people: map[string]string{}}
	g.empty()
	if g.known, err = s.tenants(ctx); err != nil {
		return "", err
	}
	reader := logs.New(r)
	var torn error
	for e, err := range reader.Events() {
		if bad, ok := errors.AsType[*logs.Bad](err); ok {
			g.note(bad)
			continue
		}
		if err != nil {
			torn = err
			break
		}
		if err := g.take(e); err != nil {
			return "", err
		}
		if len(g.visits)+len(g.prompts) >= most {
			if err := g.flush(ctx); err != nil {
				return "", err
			}
		}
	}
	switch {
	case errors.Is(torn, logs.ErrNotALog):
		return "", torn
	case g.Events == 0 && g.Foreign > 0:
		return "", ErrOther
	case g.Events == 0 && torn != nil:
		return "", torn
	case g.Events == 0:
		return "", logs.ErrNotALog
	}
	g.Torn, g.Unknown = torn != nil, reader.Unknown()
	if err := g.flush(ctx); err != nil {
		return "", err
	}
	if err := s.match(ctx, g.kind, g.people); err != nil {
		return "", err
	}
	for mailbox := range g.people {
		if err := s.weigh(ctx, mailbox); err != nil {
			return "", err
		}
	}
	return g.number, g.finish(ctx)
}

func (g *gathering) empty() {
	g.visits, g.prompts = map[visitKey]*visit{}, map[string]prompt{}
}

func (g *gathering) note(b *logs.Bad) {
	if g.Bad++; len(g.Lines) < mostBadRow {
		g.Lines = append(g.Lines, b.Error())
	}
}

// take keeps what one event tells.
func (g *gathering) take(e logs.Event) error {
	if !g.ours(e) {
		if g.Foreign++; g.Events == 0 && g.Foreign >= strangers {
			return ErrOther
		}
		return nil
	}
	g.Events++
	g.kind = e.Kind
	if g.since.IsZero() || e.At.Before(g.since) {
		g.since = e.At
	}
	if e.At.After(g.until) {
		g.until = e.At
	}
	if e.Legacy != "" && !e.In {
		g.Tried++
	}
	if !e.In && !e.Denied {
		return nil
	}
	mailbox := g.tag("mailbox", e.Mailbox)
	if g.people[mailbox] = e.Mailbox; len(g.people) > crowd {
		return ErrCrowd
	}
	if e.Denied {
		number := e.ID
		if number == "" {
			number = fmt.Sprint(e.Mailbox, " ", e.At.UnixNano())
		}
		g.prompts[g.tag("event", string(e.Kind)+" "+number)] = prompt{mailbox, e.At}
		return nil
	}
	key := visitKey{mailbox, e.At.Unix() / int64(span/time.Second), placeOf(e)}
	v := g.visits[key]
	if v == nil {
		g.visits[key] = &visit{place: key.place, First: e.At, Last: e.At, How: howOf(e)}
		return nil
	}
	v.How |= howOf(e)
	if e.At.Before(v.First) {
		v.First = e.At
	}
	if e.At.After(v.Last) {
		v.Last = e.At
	}
	return nil
}

// ours tells whether an event is of this practice. The first log that comes says
// who that is, unless an owner has typed it.
func (g *gathering) ours(e logs.Event) bool {
	known := g.known[e.Kind]
	_, domain, _ := strings.Cut(e.Mailbox, "@")
	if known == nil {
		known = map[string]bool{domain: !e.Guest}
		for _, t := range e.Tenants {
			known[t] = true
		}
		g.known[e.Kind], g.guessed = known, e.Guest
	}
	numbered := false
	for name, ours := range known {
		numbered = numbered || ours && !strings.Contains(name, ".")
	}
	mine := known[domain]
	if len(e.Tenants) > 0 && numbered {
		mine = slices.ContainsFunc(e.Tenants, func(t string) bool { return known[t] })
	}
	if !mine || e.Guest {
		return mine
	}
	// A colleague’s sign-in to our own house says which numbers and domains are ours.
	if g.guessed {
		g.guessed = false
		for name := range known {
			known[name] = slices.Contains(e.Tenants, name)
		}
	}
	for _, t := range append(slices.Clone(e.Tenants), domain) {
		known[t] = true
	}
	return true
}

// flush writes what was gathered. Written twice it is the same.
func (g *gathering) flush(ctx context.Context) error {
	err := g.DB.Update(ctx, func(tx *store.Tx) error {
		for event, p := range g.prompts {
			if err := tx.Send(ctx, `INSERT INTO signins_prompts (event, mailbox, at) VALUES ($1, $2, $3) ON CONFLICT (event) DO NOTHING`, event, p.mailbox, p.at.UnixMilli()); err != nil {
				return fmt.Errorf("keep prompts: %w", err)
			}
		}
		for key, v := range g.visits {
			if err := g.keep(ctx, tx, key, v); err != nil {
				return fmt.Errorf("keep visits: %w", err)
			}
		}
		return nil
	})
	g.empty()
	return err
}

func (g *gathering) keep(ctx context.Context, tx *store.Tx, key visitKey, v *visit) error {
	where, err := json.Marshal(key.place)
	if err != nil {
		return err
	}
	tag := g.tag("place", key.mailbox+string(where))
	return tx.Send(ctx, `INSERT INTO signins_visits (mailbox, span, place, box, first, last, how) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (mailbox, span, place) DO UPDATE SET
			first = CASE WHEN excluded.first < signins_visits.first THEN excluded.first ELSE signins_visits.first END,
			last = CASE WHEN excluded.last > signins_visits.last THEN excluded.last ELSE signins_visits.last END,
			how = signins_visits.how | excluded.how`,
		key.mailbox, key.span, tag, g.Key.Seal(where, g.slot("sign-in-place", tag)), v.First.UnixMilli(), v.Last.UnixMilli(), v.How)
}

// finish keeps that a log was read.
func (g *gathering) finish(ctx context.Context) error {
	plain, err := json.Marshal(g.report)
	if err != nil {
		return err
	}
	actor, now := id.From(ctx), g.Now()
	if g.guessed { // guests only: then nobody knows whose log it is
		g.known[g.kind] = nil
	}
	return g.DB.Update(ctx, func(tx *store.Tx) error {
		for name, ours := range g.known[g.kind] {
			if !ours {
				continue
			}
			if err := tx.Send(ctx, `INSERT INTO signins_tenants (kind, name) VALUES ($1, $2) ON CONFLICT (kind, name) DO NOTHING`, string(g.kind), name); err != nil {
				return fmt.Errorf("keep whose log it is: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO signins_imports (import, at, person, kind, since, until, box) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			g.number, now.UnixMilli(), string(actor.Person), string(g.kind), g.since.UnixMilli(), g.until.UnixMilli(), g.Key.Seal(plain, g.slot("sign-in-import", g.number)))
		if err != nil {
			return fmt.Errorf("keep an import: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "signins.imported", Part: string(g.kind), Ref: g.number})
	})
}

// match keeps the addresses of mailboxes, and whose they are.
func (s *Signins) match(ctx context.Context, kind logs.Kind, people map[string]string) error {
	whose := map[string]id.Person{}
	for mailbox, address := range people {
		p, err := s.Mailboxes.Mailbox(ctx, address)
		if err != nil {
			return fmt.Errorf("whose is mailbox %s: %w", mailbox, err)
		}
		whose[mailbox] = p
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		for mailbox, address := range people {
			err := tx.Send(ctx, `INSERT INTO signins_mailboxes (mailbox, kind, box, person) VALUES ($1, $2, $3, $4) ON CONFLICT (mailbox) DO UPDATE SET person = excluded.person, kind = excluded.kind`,
				mailbox, string(kind), s.Key.Seal([]byte(address), s.slot("sign-in-mailbox", mailbox)), string(whose[mailbox]))
			if err != nil {
				return fmt.Errorf("keep mailbox %s: %w", mailbox, err)
			}
		}
		return nil
	})
}
