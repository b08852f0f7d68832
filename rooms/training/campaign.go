package training

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/training/human"
	"quietroom/rooms/training/lure"
)

// A practice message comes about once a month, on a day that nobody foresees.
const (
	between  = 14 * 24 * time.Hour // between two to one person, at least
	settles  = 14 * 24 * time.Hour // from joining to the first
	actsFor  = 60 * 24 * time.Hour // how long its link counts anything
	kept     = 400 * 24 * time.Hour
	atOnce   = 400 // queued in one round
	spare    = 2   // working days at the end of a month on which none is planned
	refusals = 3   // refused by rule in a row: then it is held back until a person looks
)

// stages is how hard the messages of a person become: easy ones first.
var stages = []lure.Level{lure.Least, lure.Least, lure.Moderately, lure.Moderately, lure.Very, lure.Moderately, lure.Very, lure.Moderately, lure.Least, lure.Very, lure.Moderately, lure.Very}

// practice is one practice message.
type practice struct {
	ID      string
	Person  id.Person
	Month   string
	Lure    string
	Level   lure.Level
	Planned time.Time
	State   string
	Letter  string
	Sent    time.Time
}

const practiceColumns = `SELECT message, person, month, lure, level, planned, state, letter, sent FROM training_messages `

func (t *Training) messages(ctx context.Context, where string, args ...any) (all []practice, err error) {
	rows, err := t.DB.QueryContext(ctx, practiceColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read practice messages: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var m practice
		var planned, sent int64
		if err := rows.Scan(&m.ID, &m.Person, &m.Month, &m.Lure, &m.Level, &planned, &m.State, &m.Letter, &sent); err != nil {
			return nil, fmt.Errorf("read practice messages: %w", err)
		}
		m.Planned, m.Sent = moment(planned), moment(sent)
		all = append(all, m)
	}
	return all, rows.Err()
}

// turn is one round: what came of letters, what this month still lacks, what is due.
func (t *Training) turn(ctx context.Context) error {
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	if err := t.collect(ctx); err != nil {
		return err
	}
	if !s.Phish || s.Paused != "" {
		return nil
	}
	if err := t.plan(ctx, s); err != nil {
		return err
	}
	return t.send(ctx, s)
}

// plan gives everybody who has none yet a message of this month, on a random
// working day that is left and far enough from the one before.
func (t *Training) plan(ctx context.Context, s settings) error {
	z := zone(s.Zone)
	now := t.Now().In(z)
	month := monthOf(now, z)
	_, people, err := t.people(ctx)
	if err != nil {
		return err
	}
	mine, err := t.messages(ctx, `ORDER BY planned`)
	if err != nil {
		return err
	}
	past := map[id.Person][]practice{}
	for _, m := range mine {
		past[m.Person] = append(past[m.Person], m)
	}
	var fresh []practice
	for _, p := range people {
		if len(p.Addresses) == 0 || slices.ContainsFunc(past[p.ID], func(m practice) bool { return m.Month == month }) {
			continue
		}
		if m, ok := t.draft(p, past[p.ID], s, now); ok {
			fresh = append(fresh, m)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		for _, m := range fresh {
			err := tx.Send(ctx, `INSERT INTO training_messages (message, person, month, lure, level, planned) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person, month) DO NOTHING`,
				m.ID, string(m.Person), m.Month, m.Lure, string(m.Level), m.Planned.UnixMilli())
			if err != nil {
				return fmt.Errorf("plan a practice message: %w", err)
			}
		}
		return nil
	})
}

// draft draws a person's message of this month. ok is false where no day is left.
func (t *Training) draft(p Person, past []practice, s settings, now time.Time) (m practice, ok bool) {
	z := now.Location()
	from, to := span(monthOf(now, z), z)
	for _, earliest := range []time.Time{now.Add(30 * time.Minute), p.Joined.Add(settles), s.Begun} {
		if earliest.After(from) {
			from = earliest
		}
	}
	for _, was := range past {
		if was.State != "cancelled" && was.Planned.Add(between).After(from) {
			from = was.Planned.Add(between)
		}
	}
	days := workdays(from, to, z)
	if len(days) == 0 {
		return m, false
	}
	if len(days) > spare { // a server that is away for a day must not make it miss the month
		days = days[:len(days)-spare]
	}
	month := monthOf(now, z)
	day := days[t.draw(len(days), "day", string(p.ID), month)]
	m = practice{ID: string(id.New[id.Record]()), Person: p.ID, Month: month, Planned: minuteOf(day, t.draw(hours, "minute", string(p.ID), month))}
	l := t.choose(p, past, month)
	m.Lure, m.Level = l.ID, l.Level()
	return m, true
}

// choose takes a message that the person has not had, or had longest ago, of the
// level that is their turn.
func (t *Training) choose(p Person, past []practice, month string) lure.Lure {
	last := map[string]time.Time{}
	for _, m := range past {
		last[m.Lure] = m.Planned
	}
	want := stages[min(len(past), len(stages)-1)]
	if len(past) >= len(stages) {
		want = stages[2+len(past)%(len(stages)-2)]
	}
	best := func(level lure.Level) (some []lure.Lure) {
		var oldest time.Time
		for _, l := range t.lures {
			at := last[l.ID]
			switch {
			case level != "" && l.Level() != level:
			case len(some) == 0 || at.Before(oldest):
				some, oldest = []lure.Lure{l}, at
			case at.Equal(oldest):
				some = append(some, l)
			}
		}
		if !oldest.IsZero() && level != "" {
			return nil // all of this level were had: take another level first
		}
		return some
	}
	some := best(want)
	if len(some) == 0 {
		some = best("")
	}
	return some[t.draw(len(some), "lure", string(p.ID), month)]
}

// send queues what is due, in working hours. What was due while nobody could send
// goes out late, in its own month; of a month that is over nothing goes out any
// more: nobody gets two because a server was away.
func (t *Training) send(ctx context.Context, s settings) error {
	z := zone(s.Zone)
	by, _, err := t.people(ctx)
	if err != nil {
		return err
	}
	for {
		now := t.Now()
		due, err := t.messages(ctx, `WHERE state = 'planned' AND planned <= $1 ORDER BY planned, message LIMIT $2`, now.UnixMilli(), atOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		var over, ready []practice
		for _, m := range due {
			p, here := by[m.Person]
			switch {
			case !here || m.Month != monthOf(now, z):
				over = append(over, m)
			case atWork(now, z) && len(p.Addresses) > 0:
				ready = append(ready, m)
			}
		}
		if err := t.cancel(ctx, over); err != nil {
			return err
		}
		err = t.sendAll(ctx, s, ready, by)
		if errors.Is(err, ErrUnsent) {
			return nil // evidence says so
		}
		if err != nil || len(over)+len(ready) == 0 || len(due) < atOnce {
			return err
		}
	}
}

func (t *Training) cancel(ctx context.Context, all []practice) error {
	if len(all) == 0 {
		return nil
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		for _, m := range all {
			if err := tx.Send(ctx, `UPDATE training_messages SET state = 'cancelled' WHERE message = $1 AND state = 'planned'`, m.ID); err != nil {
				return fmt.Errorf("take back a practice message: %w", err)
			}
		}
		return nil
	})
}

func (t *Training) lure(name string) (lure.Lure, bool) {
	i := slices.IndexFunc(t.lures, func(l lure.Lure) bool { return l.ID == name })
	if i < 0 {
		return lure.Lure{}, false
	}
	return t.lures[i], true
}

// first is what colleagues call somebody in a mail.
func first(name string) string {
	name = strings.TrimPrefix(name, "Dr. ")
	one, _, _ := strings.Cut(name, " ")
	return one
}

// sendAll queues messages, in one transaction.
func (t *Training) sendAll(ctx context.Context, s settings, all []practice, by map[id.Person]Person) error {
	if len(all) == 0 {
		return nil
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		for _, m := range all {
			if err := t.sendOne(ctx, tx, s, m, by[m.Person]); err != nil {
				return err
			}
		}
		return nil
	})
}

// sendOne queues one message. The token in its link and the mark in its head are
// nowhere but in the message: the database holds keyed hashes of them.
func (t *Training) sendOne(ctx context.Context, tx *store.Tx, s settings, m practice, p Person) error {
	l, ok := t.lure(m.Lure)
	if !ok { // a message of an older program
		return tx.Send(ctx, `UPDATE training_messages SET state = 'cancelled' WHERE message = $1 AND state = 'planned'`, m.ID)
	}
	token, mark := rand.Text(), rand.Text()
	origin := t.Origin
	if s.Address != "" {
		origin = s.Address
	}
	subject, text, page := l.Fill(first(p.Name), t.PracticeName(), origin+"/m/"+token)
	var state string
	err := tx.QueryRowContext(ctx, `SELECT state FROM training_messages WHERE message = $1`, m.ID).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) || err == nil && state != "planned" { // another instance was quicker, or it was turned off
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at a practice message: %w", err)
	}
	letter, err := t.Post.Post(ctx, tx, Message{To: p.ID, Address: p.Addresses[0], From: l.From, Subject: subject, Text: text, HTML: page, Marker: mark})
	if err != nil {
		return err
	}
	if err := tx.Send(ctx, `UPDATE training_messages SET state = 'queued', tag = $2, mark = $3, letter = $4 WHERE message = $1`, m.ID, t.tag("token", token), t.tag("mark", mark), letter); err != nil {
		return fmt.Errorf("keep that a practice message was queued: %w", err)
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Kind: "training.practice-sent", Ref: m.ID}) // of nobody: what came of it is nobody else's
}

// collect asks mail what became of what is queued. A server that refuses by rule
// (a policy such as DMARC, RFC 7489; enhanced status 5.7, RFC 3463) refuses the
// next one too: after some, messages are held back and an owner is told.
func (t *Training) collect(ctx context.Context) error {
	queued, err := t.messages(ctx, `WHERE state = 'queued' ORDER BY planned, message`)
	if err != nil {
		return err
	}
	byRule := 0
	type outcome struct {
		message, state, code string
		at                   time.Time
	}
	var known []outcome
	for _, m := range queued {
		state, code, at, err := t.Post.Became(ctx, m.Letter)
		if err != nil {
			return err
		}
		became := map[string]string{"sent": "sent", "refused": "failed", "dropped": "failed", "": "failed"}[state]
		if became == "" {
			continue
		}
		if at.IsZero() {
			at = t.Now()
		}
		if state == "refused" && strings.Contains(code, " 5.7.") {
			byRule++
		}
		known = append(known, outcome{m.ID, became, code, at})
	}
	if len(known) > 0 {
		err = t.DB.Update(ctx, func(tx *store.Tx) error {
			for _, o := range known {
				if err := tx.Send(ctx, `UPDATE training_messages SET state = $2, code = $3, sent = $4 WHERE message = $1 AND state = 'queued'`, o.message, o.state, o.code, o.at.UnixMilli()); err != nil {
					return fmt.Errorf("keep what became of a practice message: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if byRule < refusals {
		return nil
	}
	s, err := t.settings(ctx)
	if err != nil || s.Paused != "" {
		return err
	}
	s.Paused = "refused"
	return t.keep(ctx, s, ledger.Fact{Kind: "training.practice-held-back", Reason: "refused"})
}

// byToken finds the message whose link somebody, or something, follows. Whoever
// guesses a token finds nothing: it has 128 random bits.
func (t *Training) byToken(ctx context.Context, token string) (practice, bool, error) {
	if len(token) != 26 || id.Check(token) != nil {
		return practice{}, false, nil
	}
	all, err := t.messages(ctx, `WHERE tag = $1`, t.tag("token", token))
	if err != nil || len(all) == 0 {
		return practice{}, false, err
	}
	return all[0], true, nil
}

// delivered is when the mail server took a message.
func (t *Training) delivered(ctx context.Context, m practice) (time.Time, error) {
	if !m.Sent.IsZero() {
		return m.Sent, nil
	}
	state, _, at, err := t.Post.Became(ctx, m.Letter)
	if err != nil || state != "sent" {
		return time.Time{}, err
	}
	return at, nil
}

// act writes down what came of a message. A person counts once for each thing.
func (t *Training) act(ctx context.Context, message, what string, why human.Why) error {
	now := t.Now().UnixMilli()
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO training_acts (message, what, why, first, last, times) VALUES ($1, $2, $3, $4, $4, 1)
			ON CONFLICT (message, what, why) DO UPDATE SET last = excluded.last, times = training_acts.times + 1`, message, what, string(why), now)
		if err != nil {
			return fmt.Errorf("write down an act: %w", err)
		}
		return nil
	})
}

// reported tells whether somebody reported a message, and when first.
func (t *Training) reported(ctx context.Context, message string) (time.Time, error) {
	var at int64
	err := t.DB.QueryRowContext(ctx, `SELECT first FROM training_acts WHERE message = $1 AND what = 'reported'`, message).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return moment(at), err
}

// use marks a page as used; false if it was already.
func (t *Training) use(ctx context.Context, visit string) (fresh bool, err error) {
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO training_visits (visit, at) VALUES ($1, $2) ON CONFLICT (visit) DO NOTHING`, visit, t.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("mark a page as used: %w", err)
		}
		n, err := done.RowsAffected()
		fresh = n == 1
		return err
	})
	return fresh, err
}

// writeFetches writes down what was counted in memory.
func (t *Training) writeFetches(ctx context.Context) error {
	t.mu.Lock()
	counted := t.fetches
	t.fetches = map[[2]string]int{}
	t.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	err := t.DB.Update(ctx, func(tx *store.Tx) error {
		for k, n := range counted {
			err := tx.Send(ctx, `INSERT INTO training_fetches (month, why, times) VALUES ($1, $2, $3) ON CONFLICT (month, why) DO UPDATE SET times = training_fetches.times + excluded.times`, k[0], k[1], n)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		for k, n := range counted {
			t.fetches[k] += n
		}
		return fmt.Errorf("write down fetches: %w", err)
	}
	return nil
}

// forget ends what is old: what a person did with a message is nobody's business
// after a year, and nobody's who has left.
func (t *Training) forget(ctx context.Context) error {
	old := t.Now().Add(-kept).UnixMilli()
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		for _, text := range []string{
			`DELETE FROM training_acts WHERE message IN (SELECT message FROM training_messages WHERE planned < $1)`,
			`DELETE FROM training_messages WHERE planned < $1`,
			`DELETE FROM training_reports WHERE at < $1`,
			`DELETE FROM training_reminded WHERE at < $1`,
		} {
			if err := tx.Send(ctx, text, old); err != nil {
				return fmt.Errorf("forget old practice messages: %w", err)
			}
		}
		return tx.Send(ctx, `DELETE FROM training_visits WHERE at < $1`, t.Now().Add(-2*actsFor).UnixMilli())
	})
}

// knock says whether anything of training still goes to a person.
func (t *Training) knock(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
	return func(yield func(layer.Door, error) bool) {
		var planned, links int
		err := t.DB.QueryRowContext(ctx, `SELECT COUNT(CASE WHEN state IN ('planned', 'queued') THEN 1 END), COUNT(CASE WHEN tag <> '' THEN 1 END) FROM training_messages WHERE person = $1`, string(p)).Scan(&planned, &links)
		if err != nil {
			yield(layer.Door{}, fmt.Errorf("knock at training of %s: %w", p, err))
			return
		}
		if open := planned+links > 0; open || len(known) > 0 {
			yield(layer.Door{Room: "training", Kind: "practice", Name: "Practice messages and their links", Key: "practice", Open: open}, nil)
		}
	}
}
