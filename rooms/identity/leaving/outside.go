package leaving

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// items are the systems outside that nobody here can see into. What is done there
// is a person's word, with a name and a day.
var items = []item{
	{"mailbox", "Mailbox", "The account is closed or its password changed, other devices are signed out, forwarding is off."},
	{"health-record", "Health-record system", "The sign-in to the health-record and billing systems is closed."},
	{"phone", "Phone and numbers", "The number, the voicemail and the group chats go to somebody else."},
	{"building", "Keys and building", "Keys, cards and alarm codes are back or changed."},
}

// item is one line of the checklist.
type item struct{ Word, Name, Means string }

// outside is how far one line is.
type outside struct {
	item
	Owner  id.Person // who does it; empty: nobody was named
	Due    time.Time
	Done   time.Time
	SaidBy id.Person
}

// Open tells that nobody has said it is done.
func (o outside) Open() bool { return o.Done.IsZero() }

func (l *Leaving) outside(ctx context.Context, leaving id.Record) ([]outside, error) {
	rows, err := l.DB.QueryContext(ctx, `SELECT item, person, due, done, said_by FROM leaving_outside WHERE leaving = $1`, leaving)
	if err != nil {
		return nil, fmt.Errorf("read the checklist of leaving %s: %w", leaving, err)
	}
	defer rows.Close()
	known := map[string]outside{}
	for rows.Next() {
		var o outside
		var due, done int64
		if err := rows.Scan(&o.Word, &o.Owner, &due, &done, &o.SaidBy); err != nil {
			return nil, fmt.Errorf("read the checklist of leaving %s: %w", leaving, err)
		}
		o.Due, o.Done = moment(due), moment(done)
		known[o.Word] = o
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the checklist of leaving %s: %w", leaving, err)
	}
	var list []outside
	for _, i := range items {
		o := known[i.Word]
		o.item = i
		list = append(list, o)
	}
	return list, nil
}

var errNoItem = &web.Error{Status: http.StatusBadRequest, Text: "This line is not on the list, so nothing was written.", Fix: "Load the page again.", Back: "/leaving"}

// Assign says who closes one system outside, and by which day.
func (l *Leaving) Assign(ctx context.Context, leaving id.Record, word string, owner id.Person, due time.Time) error {
	if err := l.checkItem(ctx, leaving, word); err != nil {
		return err
	}
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	if p, ok := roster.Person(string(owner)); !ok || p.Gone || due.IsZero() {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "A line needs somebody who belongs to the practice, and a day.", Fix: "Go back and choose both.", Back: "/leaving/" + string(leaving)}
	}
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO leaving_outside (leaving, item, person, due) VALUES ($1, $2, $3, $4)
			ON CONFLICT (leaving, item) DO UPDATE SET person = excluded.person, due = excluded.due`, leaving, word, owner, due.UnixMilli())
		return err
	})
}

// Word takes somebody's word that a system outside is closed, or takes it back.
func (l *Leaving) Word(ctx context.Context, leaving id.Record, word string, done bool) error {
	if err := l.checkItem(ctx, leaving, word); err != nil {
		return err
	}
	a, err := readAct(ctx, l.DB, leaving)
	if err != nil {
		return err
	}
	actor, now, why := id.From(ctx), l.Now(), "done"
	at, by := now.UnixMilli(), actor.Person
	if !done {
		at, by, why = 0, "", "open-again"
	}
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO leaving_outside (leaving, item, person, due, done, said_by) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (leaving, item) DO UPDATE SET done = excluded.done, said_by = excluded.said_by`, leaving, word, actor.Person, now.UnixMilli(), at, by)
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "identity.outside-said", Subject: string(a.Person), Part: word, Reason: why, Ref: string(leaving)})
	})
}

func (l *Leaving) checkItem(ctx context.Context, leaving id.Record, word string) error {
	for _, i := range items {
		if i.Word == word {
			_, err := readAct(ctx, l.DB, leaving)
			return err
		}
	}
	return errNoItem
}
