package backup

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

// That copies of keys are the ones that were written can be seen without keys.
// That they open, only people's own keys can show. So while people are signed in,
// a little of each page's time goes into opening the wrapped keys they reach,
// team after team, round after round. What opens here, and lies byte for byte in
// the newest copy that was brought back, opens there too.

// KeySum stands for one wrapped key; see the vault's.
type KeySum = [16]byte

// Keys is the vault, as far as this room asks it. No key leaves it.
type Keys interface {
	KeysByTeam(ctx context.Context) (map[id.Team]int, error)
	MyTeams(ctx context.Context) ([]id.Team, error)
	TryKeys(ctx context.Context, team id.Team, after string, each func(sum KeySum, err error) bool) (next string, err error)
	KeySums(ctx context.Context, db *store.DB) (map[id.Team][]KeySum, error)
}

const (
	// roundEvery is how often all keys of a team are opened.
	roundEvery = 6 * day
	// counts is how long a round counts as of this week.
	counts = roundEvery + 2*day
	// aLittle is what one page gives to it, and resting how long none does after.
	aLittle = 15 * time.Millisecond
	resting = 15 * time.Second
)

// Opening counts wrapped keys that people's own keys opened in the last week.
type Opening struct {
	Opened   int      `json:"opened"`
	All      int      `json:"all"`
	Failed   int      `json:"failed"`
	Same     int      `json:"same"`     // of the opened: those that lie in the newest restored copy
	Restored int      `json:"restored"` // wrapped keys in that copy
	Wait     []string `json:"wait,omitempty"`
	Waiting  int      `json:"waiting"` // not opened this week, of teams that are named in Wait
}

// rounds remembers when which person's keys have to be tried again.
type rounds struct {
	mu   sync.Mutex
	rest time.Time
	done map[id.Person]time.Time
}

// turn tells whether it is this person's turn now.
func (r *rounds) turn(p id.Person, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.rest) && r.rest.Sub(now) <= resting || now.Before(r.done[p]) && r.done[p].Sub(now) <= time.Hour {
		return false
	}
	r.rest = now.Add(resting)
	return true
}

func (r *rounds) finished(p id.Person, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = map[id.Person]time.Time{}
	}
	r.done[p] = until
}

// Sessions has people's own keys tried for a moment, once their page is made.
func (b *Backup) Sessions(inner web.Sessions) web.Sessions { return trying{inner, b} }

type trying struct {
	web.Sessions
	b *Backup
}

// Enter lets the request in as ever.
func (t trying) Enter(w http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	ctx, done, err := t.Sessions.Enter(w, r)
	if err != nil || done == nil {
		return ctx, done, err
	}
	return ctx, func() { t.b.tryKeysALittle(ctx); done() }, nil
}

// tryKeysALittle opens a few of the keys that the acting person reaches, now and
// then. What goes wrong is for the log, never for the page.
func (b *Backup) tryKeysALittle(ctx context.Context) {
	p := id.From(ctx).Person
	if b.Keys == nil || p == "" || !b.rounds.turn(p, b.Now()) {
		return
	}
	began := time.Now()
	done, err := b.tryKeys(ctx, func() bool { return time.Since(began) < aLittle })
	if err != nil && ctx.Err() == nil {
		b.Log.WarnContext(ctx, "keys could not be tried", "err", err)
	}
	if err != nil || done {
		b.rounds.finished(p, b.Now().Add(time.Hour))
	}
}

// TryKeys opens every key that the acting person reaches and that was not opened
// this week.
func (b *Backup) TryKeys(ctx context.Context) (Opening, error) {
	if _, err := b.tryKeys(ctx, func() bool { return ctx.Err() == nil }); err != nil {
		return Opening{}, err
	}
	return b.opening(ctx)
}

// tryKeys goes on where the last call ended; done if nothing is due any more.
func (b *Backup) tryKeys(ctx context.Context, more func() bool) (done bool, err error) {
	mine, err := b.Keys.MyTeams(ctx)
	if err != nil {
		return false, err
	}
	held, err := b.Keys.KeysByTeam(ctx)
	if err != nil {
		return false, err
	}
	for _, team := range mine {
		if held[team] == 0 {
			continue
		}
		for {
			r, due, err := b.round(ctx, team)
			if err != nil {
				return false, err
			}
			if !due {
				break
			}
			if !more() {
				return false, nil
			}
			if err := b.goOn(ctx, team, r, more); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// round is how far the keys of one team were tried.
type round struct {
	began, ended         int64
	after                string
	opened, same, failed int
}

// round reads it; a new one begins when the last is old, or when a newer copy
// was brought back.
func (b *Backup) round(ctx context.Context, team id.Team) (r round, due bool, err error) {
	var lastBegan int64
	err = b.DB.QueryRowContext(ctx, `SELECT began, ended, after, opened, same, failed, last_began FROM backup_keys WHERE team = $1`, team).Scan(&r.began, &r.ended, &r.after, &r.opened, &r.same, &r.failed, &lastBegan)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return r, false, fmt.Errorf("read how far keys were tried: %w", err)
	}
	now := b.Now()
	restored, err := b.restoredAt(ctx)
	if err != nil {
		return r, false, err
	}
	fresh := func(began int64) bool {
		t := time.UnixMilli(began)
		return began > 0 && !t.After(now) && now.Sub(t) < roundEvery && !t.Before(restored)
	}
	if r.after == "" && fresh(lastBegan) {
		return r, false, nil
	}
	if r.after == "" || !fresh(r.began) {
		r = round{began: now.UnixMilli(), ended: r.ended}
	}
	return r, true, nil
}

// restoredAt is when the newest copy was brought back whose keys are known.
func (b *Backup) restoredAt(ctx context.Context) (time.Time, error) {
	var at int64
	err := b.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(at), 0) FROM backup_restored`).Scan(&at)
	if err != nil || at == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(at), nil
}

// goOn tries keys of one team from where its round stands, and writes down how
// far it came. Two sessions may do so at once: then one of them did it for nothing.
func (b *Backup) goOn(ctx context.Context, team id.Team, r round, more func() bool) error {
	restored, err := b.restoredSums(ctx, team)
	if err != nil {
		return err
	}
	was := r.after
	r.after, err = b.Keys.TryKeys(ctx, team, r.after, func(sum KeySum, err error) bool {
		if errors.Is(err, layer.ErrNotYours) {
			return more() // it waits for somebody who has been in the team for longer
		}
		if err != nil {
			r.failed++
			b.Log.WarnContext(ctx, "a key does not open", "team", team, "err", err)
		} else {
			r.opened++
			if restored.has(sum) {
				r.same++
			}
		}
		return more()
	})
	if err != nil {
		return err
	}
	whole := r.after == ""
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_keys (team, began, after, opened, same, failed) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (team) DO UPDATE SET began = excluded.began, after = excluded.after, opened = excluded.opened, same = excluded.same, failed = excluded.failed
			WHERE backup_keys.after = $7 OR backup_keys.began < excluded.began`, team, r.began, r.after, r.opened, r.same, r.failed, was); err != nil {
			return err
		}
		if !whole {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE backup_keys SET ended = $1, last_began = $2, last_opened = $3, last_same = $4, last_failed = $5 WHERE team = $6`,
			b.Now().UnixMilli(), r.began, r.opened, r.same, r.failed, team); err != nil {
			return err
		}
		reason := "held"
		if r.failed > 0 {
			reason = "failed"
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.keys-opened", Subject: string(team), Reason: reason})
	})
}

// sums are sorted sums of wrapped keys, one after the other.
type sums []byte

const sumSize = len(KeySum{})

func (s sums) has(sum KeySum) bool {
	low, high := 0, len(s)/sumSize
	for low < high {
		mid := (low + high) / 2
		switch bytes.Compare(s[mid*sumSize:(mid+1)*sumSize], sum[:]) {
		case 0:
			return true
		case -1:
			low = mid + 1
		default:
			high = mid
		}
	}
	return false
}

func (b *Backup) restoredSums(ctx context.Context, team id.Team) (s sums, err error) {
	err = b.DB.QueryRowContext(ctx, `SELECT sums FROM backup_restored WHERE team = $1`, team).Scan((*[]byte)(&s))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// keepRestored keeps the sums of the keys of a copy that was brought back.
func (b *Backup) keepRestored(ctx context.Context, at time.Time, by map[id.Team][]KeySum) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM backup_restored`); err != nil {
			return err
		}
		for team, list := range by {
			list = slices.Clone(list)
			slices.SortFunc(list, func(a, b KeySum) int { return bytes.Compare(a[:], b[:]) })
			flat := make([]byte, 0, len(list)*sumSize)
			for _, s := range list {
				flat = append(flat, s[:]...)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO backup_restored (team, at, sums) VALUES ($1, $2, $3)`, team, at.UnixMilli(), flat); err != nil {
				return err
			}
		}
		return nil
	})
}

// opening counts what was opened in the last week, of all that there is now.
func (b *Backup) opening(ctx context.Context) (o Opening, err error) {
	held, err := b.Keys.KeysByTeam(ctx)
	if err != nil {
		return o, err
	}
	now := b.Now()
	restored, err := b.restoredAt(ctx)
	if err != nil {
		return o, err
	}
	if err := b.DB.QueryRowContext(ctx, `SELECT COALESCE(SUM(LENGTH(sums)), 0) FROM backup_restored`).Scan(&o.Restored); err != nil {
		return o, err
	}
	o.Restored /= sumSize
	rows, err := b.DB.QueryContext(ctx, `SELECT team, began, opened, same, failed, after, last_began, last_opened, last_same, last_failed FROM backup_keys`)
	if err != nil {
		return o, err
	}
	defer rows.Close()
	type count struct{ began, opened, same, failed int }
	best := map[id.Team]count{}
	for rows.Next() {
		var team id.Team
		var after string
		var going, last count
		if err := rows.Scan(&team, &going.began, &going.opened, &going.same, &going.failed, &after, &last.began, &last.opened, &last.same, &last.failed); err != nil {
			return o, err
		}
		for _, c := range []count{last, going} {
			at := time.UnixMilli(int64(c.began))
			if at.After(now) || now.Sub(at) > counts {
				continue
			}
			if at.Before(restored) {
				c.same = 0 // compared with an older copy
			}
			if have, ok := best[team]; !ok || c.opened >= have.opened || c.failed > have.failed {
				c.failed = max(c.failed, have.failed)
				best[team] = c
			}
		}
	}
	if err := rows.Err(); err != nil {
		return o, err
	}
	for team, all := range held {
		c := best[team]
		o.All += all
		o.Opened += min(c.opened, all)
		o.Same += c.same
		o.Failed += min(c.failed, all)
		if wait := all - c.opened - c.failed; wait > 0 {
			o.Waiting += wait
			o.Wait = append(o.Wait, b.teamName(ctx, team))
		}
	}
	slices.Sort(o.Wait)
	o.Wait = slices.Compact(o.Wait)
	return o, nil
}

func (b *Backup) teamName(ctx context.Context, team id.Team) string {
	if b.TeamName != nil {
		if name := b.TeamName(ctx, team); name != "" {
			return name
		}
	}
	return "a team"
}
