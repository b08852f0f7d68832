package ledger

import (
	"context"
	"crypto/subtle"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
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

// Facts yields facts in the order of their numbers, and after them those that
// wait for one; the other way round with Newest. A fact whose text cannot be
// read is yielded with an error and its number, and the rest goes on. No
// connection is held between two facts.
func (l *Ledger) Facts(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var (
			left   = q.Limit
			cursor int64
			last   = false
			wait   = q.Newest // whether this page also holds the waiting facts
		)
		for !last {
			size := pageSize
			if q.Limit > 0 {
				size = min(left, pageSize)
			}
			rows, err := l.page(ctx, q.sql(cursor, size, wait))
			if err != nil {
				yield(Entry{}, fmt.Errorf("read facts: %w", err))
				return
			}
			numbered := 0
			for _, r := range rows {
				if r.n > 0 {
					numbered, cursor = numbered+1, r.n
				} else if !q.matches(r) {
					continue
				}
				if !yield(r.entry()) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if full := numbered == size; q.Newest {
				last, wait = !full, false
			} else {
				last, wait = wait, !full
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
			rows, err := l.page(ctx, statement{`SELECT n, body, mac FROM ledger_facts WHERE n >= $1 ORDER BY n LIMIT $2`, []any{next, pageSize}})
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

// known is what a subject's numbered facts say of its records, up to a number.
// The map never changes: whoever learns more makes another.
type known struct {
	upTo    int64
	written map[string]Write
}

// mostKnown bounds the writes that are remembered, to some megabytes.
const mostKnown = 30_000

// Written returns the latest write of each record of a subject, by the facts
// that carry a hash: the one with the highest version, whatever its number, so
// that an older fact that is put in again supersedes nothing. Facts that are not
// numbered yet count, so that what was written a moment ago can be opened. The
// map is shared: do not change it.
//
// Below a signed head facts are only ever read once: what they said is
// remembered, and each call asks for those behind, whichever process wrote them.
// A fact with a number that no signed head has reached is asked for again, so
// that one that is put in far ahead hides none that comes before it.
func (l *Ledger) Written(ctx context.Context, subject string) (map[string]Write, error) {
	l.mu.Lock()
	was, sure := l.known[subject], l.sure
	l.mu.Unlock()
	ask := statement{allWritten, []any{subject}}
	if was.upTo > 0 {
		ask = statement{newWritten, []any{subject, was.upTo}}
	}
	rows, err := l.page(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
	}
	var signed, later []row
	for _, r := range rows {
		switch {
		case 0 < r.n && r.n <= sure:
			signed = append(signed, r)
		default:
			later = append(later, r)
		}
	}
	now, err := was.and(subject, signed)
	if err != nil {
		return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
	}
	if len(signed) > 0 {
		l.remember(subject, now)
	}
	if slices.ContainsFunc(later, func(r row) bool { return r.n > 0 }) {
		l.trust(ctx)
	}
	if now, err = now.and(subject, later); err != nil {
		return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
	}
	return now.written, nil
}

// trust reads how far the tree is signed by now, for the next call. Where that
// cannot be read, more is asked for than need be.
func (l *Ledger) trust(ctx context.Context) {
	head, err := l.Head(ctx)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = max(l.sure, head.Size)
}

func (l *Ledger) remember(subject string, k known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, ok := l.known[subject]
	if ok && k.upTo < was.upTo {
		return // somebody else read on meanwhile
	}
	if l.held += len(k.written) - len(was.written); !ok {
		l.held++
	}
	if l.held > mostKnown {
		clear(l.known)
		l.held = len(k.written) + 1
	}
	l.known[subject] = k
}

// WrittenAnew is Written by what the database says now, and nothing else: for
// whoever compares it with what was signed.
func (l *Ledger) WrittenAnew(ctx context.Context, subject string) (map[string]Write, error) {
	rows, err := l.page(ctx, statement{allWritten, []any{subject}})
	if err == nil {
		var k known
		if k, err = k.and(subject, rows); err == nil {
			return k.written, nil
		}
	}
	return nil, fmt.Errorf("read what was written of %s: %w", subject, err)
}

// What Written asks for: numbered facts first, then those that wait.
const (
	stillWaiting = ` UNION ALL SELECT 0, body, mac FROM (SELECT body, mac FROM ledger_waiting WHERE subject = $1 ORDER BY id) AS w`
	allWritten   = `SELECT n, body, mac FROM ledger_facts WHERE n IN (SELECT n FROM
		(SELECT n, row_number() OVER (PARTITION BY written ORDER BY version DESC, n) AS place FROM ledger_facts WHERE subject = $1 AND written IS NOT NULL) AS w WHERE place = 1)` + stillWaiting
	newWritten = `SELECT n, body, mac FROM ledger_facts WHERE subject = $1 AND n > $2` + stillWaiting
)

// and returns what is known with some more facts.
func (k known) and(subject string, rows []row) (known, error) {
	own := false
	for _, r := range rows {
		e, err := r.entry()
		if err != nil {
			return k, err
		}
		k.upTo = max(k.upTo, r.n)
		if was, ok := k.written[e.Record]; e.Subject != subject || e.Record == "" || e.Hash == nil || ok && e.Version <= was.Version {
			continue
		}
		if !own {
			all := make(map[string]Write, len(k.written)+len(rows))
			maps.Copy(all, k.written)
			k.written, own = all, true
		}
		k.written[e.Record] = Write{Version: e.Version, Hash: e.Hash}
	}
	return k, nil
}

type statement struct {
	text string
	args []any
}

// sql asks for one page of numbered facts behind the fact cursor, and with wait
// for all waiting ones in the same moment, so that none is missed while it gets
// its number. The text depends only on which fields are set, so that few
// statements are prepared.
func (q Query) sql(cursor int64, limit int, wait bool) statement {
	var s statement
	arg := func(value any) string {
		s.args = append(s.args, value)
		return fmt.Sprintf("$%d", len(s.args))
	}
	behind, order := "n > ", ""
	if q.Newest {
		behind, order = "n < ", " DESC"
		if cursor == 0 {
			cursor = math.MaxInt64
		}
	}
	and := []string{behind + arg(cursor)}
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
	numbered := `SELECT n, body, mac FROM ledger_facts WHERE ` + strings.Join(and, " AND ") + ` ORDER BY n` + order + ` LIMIT ` + arg(limit)
	waiting := `SELECT 0, body, mac FROM ledger_waiting ORDER BY id` + order
	switch {
	case !wait:
		s.text = numbered
	case q.Newest:
		s.text = `SELECT * FROM (` + waiting + `) AS w UNION ALL SELECT * FROM (` + numbered + `) AS f`
	default:
		s.text = `SELECT * FROM (` + numbered + `) AS f UNION ALL SELECT * FROM (` + waiting + `) AS w`
	}
	return s
}

// matches tells whether a waiting fact is asked for.
func (q Query) matches(r row) bool {
	f, err := parse(r.body)
	return err != nil || // its error is for the reader
		(q.Subject == "" || f.Subject == q.Subject) &&
			(q.Record == "" || f.Record == q.Record) &&
			(len(q.Kinds) == 0 || slices.Contains(q.Kinds, f.Kind)) &&
			(q.Since.IsZero() || f.At.UnixMilli() >= q.Since.UnixMilli()) &&
			(q.Until.IsZero() || f.At.UnixMilli() < q.Until.UnixMilli())
}

// row is one fact as it is stored.
type row struct {
	n    int64 // 0: waiting
	body string
	bad  bool // not written by this program
}

func (r row) entry() (Entry, error) {
	f, err := parse(r.body)
	if err == nil && r.bad {
		err = errForeign
	}
	if err != nil {
		return Entry{N: r.n}, fmt.Errorf("fact %d: %w", r.n, err)
	}
	return Entry{Fact: f, N: r.n}, nil
}

// errForeign means that a fact was put in or changed by somebody who has the
// database and not the ledger's key.
var errForeign = fmt.Errorf("it was not written by this program: %w", ErrBroken)

// wrote tells whether a fact was written by this program. Without the signing
// key nobody can tell before the tree is verified.
func (l *Ledger) wrote(body string, m []byte) bool {
	return l.key.signer == nil || subtle.ConstantTimeCompare(m, mac(l.key.waiting, body)) == 1
}

func (l *Ledger) page(ctx context.Context, s statement) ([]row, error) {
	rows, err := l.db.QueryContext(ctx, s.text, s.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []row
	for rows.Next() {
		var r row
		var m []byte // in the third column, where facts are looked up and not verified
		if err := rows.Scan([]any{&r.n, &r.body, &m}[:len(columns)]...); err != nil {
			return nil, err
		}
		r.bad = len(columns) == 3 && !l.wrote(r.body, m)
		all = append(all, r)
	}
	return all, rows.Err()
}
