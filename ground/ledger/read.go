package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"
	"time"
)

// pageSize is how many facts are held in memory at once, however many are asked for.
const pageSize = 500

// Query says which facts are wanted; empty fields ask for nothing.
type Query struct {
	Subject string
	Kinds   []string // any of them
	Record  string
	Since   time.Time // from this moment on
	Until   time.Time // before this moment
	Newest  bool      // the newest first
	Limit   int       // at most so many; 0: all
}

// Facts yields facts in the order they were written, those included that are
// not numbered yet. A fact whose text cannot be read is yielded with an error
// and its number, and the rest goes on. No connection is held between two facts.
func (l *Ledger) Facts(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		left, cursor := q.Limit, int64(0)
		for {
			size := pageSize
			if q.Limit > 0 {
				size = min(left, pageSize)
			}
			rows, err := l.page(ctx, q.sql(cursor, size))
			if err != nil {
				yield(Entry{}, fmt.Errorf("read facts: %w", err))
				return
			}
			for _, r := range rows {
				if !yield(r.entry()) {
					return
				}
				cursor = r.id
			}
			if left -= len(rows); len(rows) < size || left == 0 {
				return
			}
		}
	}
}

// Follow yields every numbered fact from number from on, in order, and then
// waits for the next ones until ctx ends. Numbers have no gaps: whoever keeps
// the last one it has seen misses nothing.
func (l *Ledger) Follow(ctx context.Context, from int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		next := max(from, 1)
		for {
			rows, err := l.page(ctx, statement{`SELECT id, COALESCE(n, 0), body FROM ledger_facts WHERE n >= $1 ORDER BY n LIMIT $2`, []any{next, pageSize}})
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("follow the facts from %d: %w", next, err))
				return
			}
			for _, r := range rows {
				if !yield(r.entry()) {
					return
				}
				next = r.n + 1
			}
			if len(rows) == pageSize {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(2 * pollTime):
			}
		}
	}
}

// Write is the latest write of a record.
type Write struct {
	Version int64
	Hash    []byte // SHA-256 of its ciphertext
}

// Removed tells whether the latest write was a removal.
func (w Write) Removed() bool { return string(w.Hash) == string(Nothing[:]) }

// Written returns the latest write of each record of a subject, by the facts
// that carry a hash. Facts that are not numbered yet count, so that what was
// written a moment ago can be opened.
func (l *Ledger) Written(ctx context.Context, subject string) (map[string]Write, error) {
	rows, err := l.page(ctx, statement{`SELECT id, COALESCE(n, 0), body FROM ledger_facts WHERE id IN
		(SELECT MAX(id) FROM ledger_facts WHERE subject = $1 AND written IS NOT NULL GROUP BY written)`, []any{subject}})
	if err != nil {
		return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
	}
	written := make(map[string]Write, len(rows))
	for _, r := range rows {
		e, err := r.entry()
		if err != nil {
			return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
		}
		written[e.Record] = Write{Version: e.Version, Hash: e.Hash}
	}
	return written, nil
}

type statement struct {
	text string
	args []any
}

// sql asks for one page of facts behind the fact with the id cursor. The text
// depends on which fields are set only, so that few statements are prepared.
func (q Query) sql(cursor int64, limit int) statement {
	s := statement{text: `SELECT id, COALESCE(n, 0), body FROM ledger_facts WHERE `}
	arg := func(value any) string {
		s.args = append(s.args, value)
		return fmt.Sprintf("$%d", len(s.args))
	}
	var and []string
	behind, order := " > ", " ORDER BY id"
	if q.Newest {
		behind, order = " < ", " ORDER BY id DESC"
	}
	if cursor != 0 {
		and = append(and, "id"+behind+arg(cursor))
	}
	if q.Subject != "" {
		and = append(and, "subject = "+arg(q.Subject))
	}
	if q.Record != "" {
		and = append(and, "record = "+arg(q.Record))
	}
	if len(q.Kinds) > 0 {
		var kinds []string
		for _, k := range q.Kinds {
			kinds = append(kinds, arg(k))
		}
		and = append(and, "kind IN ("+strings.Join(kinds, ", ")+")")
	}
	if !q.Since.IsZero() {
		and = append(and, "at >= "+arg(q.Since.UnixMilli()))
	}
	if !q.Until.IsZero() {
		and = append(and, "at < "+arg(q.Until.UnixMilli()))
	}
	if len(and) == 0 {
		and = append(and, "id > 0")
	}
	s.text += strings.Join(and, " AND ") + order + " LIMIT " + arg(limit)
	return s
}

// row is one fact as it is stored.
type row struct {
	id, n int64
	body  string
}

func (r row) entry() (Entry, error) {
	f, err := parse(r.body)
	if err != nil {
		return Entry{N: r.n}, fmt.Errorf("fact %d: %w", r.n, err)
	}
	return Entry{Fact: f, N: r.n}, nil
}

func (l *Ledger) page(ctx context.Context, s statement) ([]row, error) {
	rows, err := l.db.QueryContext(ctx, s.text, s.args...)
	if err != nil {
		return nil, err
	}
	return scan(rows)
}

func scan(rows *sql.Rows) ([]row, error) {
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.n, &r.body); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
