package mail

import (
	"context"
	"database/sql"
	"encoding/json"
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
	"quietroom/rooms/mail/smtp"
)

// Notify queues a notice in the caller's transaction: it goes out if, and only
// if, the act it tells of is kept. There is one letter for each address that
// the person has given until now; an act that changes addresses is therefore
// told to the old ones too.
func (m *Mail) Notify(ctx context.Context, tx *store.Tx, n layer.Notice) error {
	if err := checkNotice(n); err != nil {
		return err
	}
	to := []string{n.Address}
	if n.To != "" {
		var err error
		if to, err = m.addresses(ctx, n.To); err != nil {
			return err
		}
		if len(to) == 0 {
			to = []string{""} // it waits until the person has one
		}
	}
	now := m.Now()
	for _, address := range to {
		l := letter{To: address, Subject: n.Subject, Text: n.Text, Link: n.Link}
		if _, err := m.queue(ctx, tx, n.To, l, now, now); err != nil {
			return err
		}
	}
	tx.OnCommit(m.wake)
	return nil
}

// addresses are a person's, each once. What is no address is left out: it could
// not be sent to.
func (m *Mail) addresses(ctx context.Context, p id.Person) (to []string, err error) {
	all, err := m.Addresses.Addresses(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", p, err)
	}
	for _, a := range all {
		a = strings.TrimSpace(a)
		if smtp.Check(a) == nil && !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to, nil
}

func (m *Mail) queue(ctx context.Context, tx *store.Tx, p id.Person, l letter, queued, next time.Time) (number string, err error) {
	number, lane := string(id.New[id.Record]()), ""
	if l.To != "" {
		lane = m.lane(l.To)
	}
	box, err := m.seal("notice", number, l)
	if err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO mail_queue (letter, person, lane, box, queued, next) VALUES ($1, $2, $3, $4, $5, $6)`,
		number, string(p), lane, box, queued.UnixMilli(), next.UnixMilli())
	if err != nil {
		return "", fmt.Errorf("queue a notice: %w", err)
	}
	return number, nil
}

func (m *Mail) seal(kind, record string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("seal a %s: %w", kind, err)
	}
	defer clear(plain)
	return m.Outbox.Seal(plain, m.slot(kind, record)), nil
}

func (m *Mail) open(kind, record string, box []byte, v any) error {
	plain, err := m.Outbox.Open(box, m.slot(kind, record))
	if err != nil {
		return fmt.Errorf("open a %s: %w", kind, err)
	}
	defer clear(plain)
	return json.Unmarshal(plain, v)
}

// waiting is a letter as claimed.
type waiting struct {
	number string
	person id.Person
	box    []byte
	queued time.Time
	tries  int
}

const (
	batch = 400
	// claimed is for how long a letter belongs to who claimed it: longer than a
	// server may take with it.
	claimed = 15 * time.Minute
	lane    = time.Minute // what a pace is counted over
)

// claim takes letters that are due, so that no other instance takes them too.
// Whoever dies with them gives them back by time.
func (m *Mail) claim(ctx context.Context, pace int) (all []waiting, err error) {
	now := m.Now()
	due := `SELECT letter FROM mail_queue WHERE state = 'waiting' AND next <= $2 ORDER BY next, letter LIMIT $3`
	args := []any{now.Add(claimed).UnixMilli(), now.UnixMilli(), batch}
	if pace > 0 {
		due = `SELECT letter FROM (SELECT letter, next, lane, ROW_NUMBER() OVER (PARTITION BY lane ORDER BY next, letter) AS nth FROM mail_queue WHERE state = 'waiting' AND next <= $2) AS ranked
			WHERE nth <= $4 - (SELECT COUNT(*) FROM mail_queue AS went WHERE went.lane = ranked.lane AND went.tried > $5)
			ORDER BY next, letter LIMIT $3`
		args = append(args, pace, now.Add(-lane).UnixMilli())
	}
	err = m.DB.Update(ctx, func(tx *store.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `UPDATE mail_queue SET next = $1, tried = $2, tries = tries + 1 WHERE letter IN (`+due+`)
			RETURNING letter, person, box, queued, tries`, args...)
		if err != nil {
			return fmt.Errorf("claim letters: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var w waiting
			var queued int64
			if err := rows.Scan(&w.number, &w.person, &w.box, &queued, &w.tries); err != nil {
				return fmt.Errorf("claim letters: %w", err)
			}
			w.queued = time.UnixMilli(queued)
			all = append(all, w)
		}
		return rows.Err()
	})
	return all, err
}

// outcome is what became of one try.
type outcome struct {
	waiting
	state string    // sent, refused; or waiting, until next
	code  string    // the server's numbers
	next  time.Time // for waiting
	again bool      // the try does not count: the letter was not reached
	to    []string  // addresses that came to be known: the letter is replaced by one for each
	l     letter    // with to
}

// write keeps what became of letters, with its facts.
func (m *Mail) write(ctx context.Context, all []outcome) error {
	if len(all) == 0 {
		return nil
	}
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		for _, o := range all {
			if err := m.writeOne(ctx, tx, o); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *Mail) writeOne(ctx context.Context, tx *store.Tx, o outcome) error {
	now := m.Now()
	switch {
	case o.to != nil:
		for _, address := range o.to {
			l := o.l
			l.To = address
			if _, err := m.queue(ctx, tx, o.person, l, o.queued, now); err != nil {
				return err
			}
		}
		return tx.Send(ctx, `DELETE FROM mail_queue WHERE letter = $1`, o.number)
	case o.state == "waiting":
		tries := o.tries
		if o.again {
			tries--
		}
		return tx.Send(ctx, `UPDATE mail_queue SET next = $2, tries = $3, code = $4 WHERE letter = $1 AND state = 'waiting'`, o.number, o.next.UnixMilli(), tries, o.code)
	}
	if err := tx.Send(ctx, `UPDATE mail_queue SET state = $2, code = $3, done = $4, box = $5 WHERE letter = $1`, o.number, o.state, o.code, now.UnixMilli(), []byte{}); err != nil {
		return fmt.Errorf("keep what became of letter %s: %w", o.number, err)
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "mail." + o.state, Subject: string(o.person), Ref: o.number})
}

// drop ends what waited for five days, and forgets what is long done.
func (m *Mail) drop(ctx context.Context) error {
	now := m.Now()
	old := now.Add(-lasts).UnixMilli()
	var n int
	err := m.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM mail_queue WHERE (state = 'waiting' AND queued < $1) OR (state <> 'waiting' AND done < $2)`, old, now.Add(-kept).UnixMilli()).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `UPDATE mail_queue SET state = 'dropped', done = $1, box = $2 WHERE state = 'waiting' AND queued < $3 RETURNING letter, person`, now.UnixMilli(), []byte{}, old)
		if err != nil {
			return fmt.Errorf("drop old letters: %w", err)
		}
		var gone [][2]string
		for rows.Next() {
			var one [2]string
			if err := rows.Scan(&one[0], &one[1]); err != nil {
				return errors.Join(fmt.Errorf("drop old letters: %w", err), rows.Close())
			}
			gone = append(gone, one)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("drop old letters: %w", err)
		}
		for _, one := range gone {
			if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "mail.dropped", Subject: one[1], Ref: one[0]}); err != nil {
				return err
			}
		}
		return tx.Send(ctx, `DELETE FROM mail_queue WHERE state <> 'waiting' AND done < $1`, now.Add(-kept).UnixMilli())
	})
}

// offboard takes back what waits for somebody who leaves: it may tell of the
// practice. What the leaver is told of the leaving is queued after it.
func (m *Mail) offboard(ctx context.Context, tx *store.Tx, l layer.Leaving) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM mail_queue WHERE person = $1 AND state = 'waiting'`, string(l.Person)); err != nil {
		return fmt.Errorf("take back mail to %s: %w", l.Person, err)
	}
	return nil
}

// tally is what the queue holds.
type tally struct {
	Waiting, Sent int
	Homeless      int       // of those that wait, for somebody without an address
	Oldest        time.Time // of those that wait
	Failed        int       // refused or dropped, and nobody has read it yet
}

func (m *Mail) tally(ctx context.Context) (t tally, err error) {
	var oldest sql.NullInt64
	err = m.DB.QueryRowContext(ctx, `SELECT COUNT(CASE WHEN state = 'waiting' THEN 1 END), COUNT(CASE WHEN state = 'sent' THEN 1 END), COUNT(CASE WHEN state = 'waiting' AND lane = '' THEN 1 END),
		MIN(CASE WHEN state = 'waiting' THEN queued END), COUNT(CASE WHEN state IN ('refused', 'dropped') AND seen = 0 THEN 1 END) FROM mail_queue`).
		Scan(&t.Waiting, &t.Sent, &t.Homeless, &oldest, &t.Failed)
	if err != nil {
		return t, fmt.Errorf("count letters: %w", err)
	}
	t.Oldest = moment(oldest.Int64)
	return t, nil
}

// row is one letter on the owner's page.
type row struct {
	Number       string
	person       id.Person
	Who          string
	Queued, Next time.Time
	Done         time.Time
	State        string
	code, lane   string
	Text         string
	Tries        int
	Failed       bool
}

func (m *Mail) rows(ctx context.Context, where string, limit int) (all []row, err error) {
	rows, err := m.DB.QueryContext(ctx, `SELECT letter, person, lane, queued, next, done, state, code, tries FROM mail_queue WHERE `+where+` ORDER BY queued DESC, letter LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read letters: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		var queued, next, done int64
		if err := rows.Scan(&r.Number, &r.person, &r.lane, &queued, &next, &done, &r.State, &r.code, &r.Tries); err != nil {
			return nil, fmt.Errorf("read letters: %w", err)
		}
		r.Queued, r.Next, r.Done = moment(queued), moment(next), moment(done)
		all = append(all, r)
	}
	return all, rows.Err()
}

// seen marks that an owner read that a letter failed.
func (m *Mail) seen(ctx context.Context, number string) error {
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE mail_queue SET seen = $2 WHERE letter = $1 AND state IN ('refused', 'dropped')`, number, m.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("mark letter %s: %w", number, err)
		}
		return nil
	})
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// knock says whether anything of the practice still waits for a person's
// mailboxes.
func (m *Mail) knock(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
	return func(yield func(layer.Door, error) bool) {
		var n int
		err := m.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM mail_queue WHERE person = $1 AND state = 'waiting'`, string(p)).Scan(&n)
		if err != nil {
			yield(layer.Door{}, fmt.Errorf("knock at mail to %s: %w", p, err))
			return
		}
		if n > 0 || len(known) > 0 {
			yield(layer.Door{Room: "mail", Kind: "notices", Name: "Notices that wait to be sent", Key: "queue", Open: n > 0}, nil)
		}
	}
}
