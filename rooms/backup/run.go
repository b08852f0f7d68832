package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/backup/restic"
)

// Saved is one state of the house at one place.
type Saved struct {
	Target   string        `json:"target"`
	Pair     string        `json:"pair"`
	At       time.Time     `json:"at"`
	Facts    int64         `json:"facts"`
	Records  string        `json:"records"` // snapshot
	Wraps    string        `json:"wraps,omitempty"`
	Verified time.Time     `json:"verified,omitzero"`
	Took     time.Duration `json:"took"`
	Added    int64         `json:"added"` // bytes that were new
}

// Outcome is what one run did at one place.
type Outcome struct {
	Name   string `json:"name"`
	Saved  Saved  `json:"saved"`
	Failed string `json:"failed,omitempty"` // in a few words
	Waits  bool   `json:"waits,omitempty"`  // gets no real data yet: nobody's word was given
}

// progress is what the page shows while something goes on.
type progress struct {
	mu   sync.Mutex
	what string
	done int64
	all  int64
}

func (p *progress) set(what string, done, all int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.done, p.all = what, done, all
}

func (p *progress) get() (what string, done, all int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.what, p.done, p.all
}

// errNowhere means that there is no place to back up to.
var errNowhere = errors.New("backup: no place takes this house’s backups yet; `quietroom backup add` names one")

// Run backs up to every place, now. One that fails keeps no other from its turn.
// The error is that of the house's own side, or that no place took it.
func (b *Backup) Run(ctx context.Context, step func(what string, done, total int64)) ([]Outcome, error) {
	b.one.Lock()
	defer b.one.Unlock()
	defer b.now.set("", 0, 0)
	tell := func(what string, done, total int64) {
		b.now.set(what, done, total)
		if step != nil {
			step(what, done, total)
		}
	}
	targets, err := b.Targets(ctx)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, errNowhere
	}
	tell("Copying", 0, 0)
	size, _ := sizeOf(path.Join(b.Dir, stageDir))
	if err := freeFor(b.Free, b.Dir, size+64<<20); err != nil {
		return nil, err
	}
	m, err := b.stage(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy the house’s rows: %w", err)
	}
	var outcomes []Outcome
	var last error
	taken := 0
	for _, t := range targets {
		o := Outcome{Name: t.Name}
		if !b.takes(t) {
			o.Waits = true
			outcomes = append(outcomes, o)
			continue
		}
		began := b.Now()
		o.Saved, err = b.saveTo(ctx, t, m, func(done, total int64) { tell(t.Name, done, total) })
		if ctx.Err() != nil {
			return outcomes, ctx.Err()
		}
		o.Saved.Took = b.Now().Sub(began)
		if err != nil {
			o.Failed, last = plain(err), err
			b.Log.WarnContext(ctx, "a backup failed", "target", t.ID, "err", err)
		} else {
			taken++
		}
		if kerr := b.keepOutcome(ctx, t, o, m.Wraps.Sum); kerr != nil {
			return outcomes, kerr
		}
		outcomes = append(outcomes, o)
	}
	if taken == 0 {
		return outcomes, errors.Join(errors.New("backup: no place took the backup"), last)
	}
	return outcomes, nil
}

func tagsOf(m Manifest) []string {
	return []string{"pair-" + m.Pair, "facts-" + strconv.FormatInt(m.Facts, 10)}
}

// saveTo saves the staged state at one place: records first, keys last. What has
// no keys beside it is no whole state, and nobody takes it for one.
func (b *Backup) saveTo(ctx context.Context, t Target, m Manifest, step func(done, total int64)) (s Saved, err error) {
	s = Saved{Target: t.ID, Pair: m.Pair, At: m.At, Facts: m.Facts}
	engine := b.engine(t)
	engine.At = m.At
	save := func(stream Stream, paths ...string) (restic.Saved, error) {
		repo := t.repo(stream, b.Password())
		for try := 0; ; try++ {
			saved, err := engine.Save(ctx, repo, b.Dir, paths, []string{path.Join(b.Blobs, "half"), "*.new"}, tagsOf(m), step)
			switch {
			case errors.Is(err, restic.ErrLocked) && try == 0: // perhaps of a process that died
				if err := engine.Unlock(ctx, repo); err != nil {
					return saved, err
				}
			case errors.Is(err, restic.ErrPart) && try < 2: // a file went away meanwhile
			default:
				return saved, err
			}
		}
	}
	staged := func(name string) string { return path.Join(stageDir, name) }
	records, err := save(Records, append(slices.Clone(b.Files), b.Blobs, staged(recordsFile), staged(manifestFile), staged(tombstonesFile))...)
	if err != nil {
		return s, err
	}
	s.Records, s.Added = records.Snapshot, records.Added
	if !t.Expires {
		return s, nil
	}
	wraps, err := save(Wraps, staged(wrapsFile), staged(manifestFile), staged(tombstonesFile))
	s.Wraps, s.Added = wraps.Snapshot, s.Added+wraps.Added
	if err != nil {
		return s, err
	}
	return s, b.saveFolders(ctx, t, m.At)
}

// keepOutcome remembers how a place did. The first failure after a success is a fact.
func (b *Backup) keepOutcome(ctx context.Context, t Target, o Outcome, wrapsSum string) error {
	now := b.Now().UnixMilli()
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if o.Failed == "" {
			if _, err := tx.ExecContext(ctx, `DELETE FROM backup_failed WHERE target = $1`, t.ID); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO backup_saved (target, pair, at, facts, records, wraps, sum, took, added) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				t.ID, o.Saved.Pair, o.Saved.At.UnixMilli(), o.Saved.Facts, o.Saved.Records, o.Saved.Wraps, []byte(wrapsSum), o.Saved.Took.Milliseconds(), o.Saved.Added)
			return err
		}
		var failing int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM backup_failed WHERE target = $1`, t.ID).Scan(&failing); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_failed (target, since, at, said) VALUES ($1, $2, $2, $3)
			ON CONFLICT (target) DO UPDATE SET at = excluded.at, said = excluded.said`, t.ID, now, o.Failed); err != nil {
			return err
		}
		if failing > 0 {
			return nil
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Kind: "backup.failed", Subject: t.ID})
	})
}

// Last is the newest state saved at each place, by target.
func (b *Backup) Last(ctx context.Context) (map[string]Saved, error) {
	all, err := b.saved(ctx, `SELECT target, pair, at, facts, records, wraps, verified, took, added FROM backup_saved ORDER BY at`)
	last := map[string]Saved{}
	for _, s := range all {
		last[s.Target] = s
	}
	return last, err
}

func (b *Backup) saved(ctx context.Context, query string, args ...any) ([]Saved, error) {
	rows, err := b.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what was saved: %w", err)
	}
	defer rows.Close()
	var list []Saved
	for rows.Next() {
		var s Saved
		var at, verified, took int64
		if err := rows.Scan(&s.Target, &s.Pair, &at, &s.Facts, &s.Records, &s.Wraps, &verified, &took, &s.Added); err != nil {
			return nil, fmt.Errorf("read what was saved: %w", err)
		}
		s.At, s.Took = time.UnixMilli(at), time.Duration(took)*time.Millisecond
		if verified > 0 {
			s.Verified = time.UnixMilli(verified)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// Failing is one place that fails.
type Failing struct {
	Since, At time.Time
	Said      string
}

func (b *Backup) failing(ctx context.Context) (map[string]Failing, error) {
	rows, err := b.DB.QueryContext(ctx, `SELECT target, since, at, said FROM backup_failed`)
	if err != nil {
		return nil, fmt.Errorf("read what failed: %w", err)
	}
	defer rows.Close()
	list := map[string]Failing{}
	for rows.Next() {
		var target, said string
		var since, at int64
		if err := rows.Scan(&target, &since, &at, &said); err != nil {
			return nil, fmt.Errorf("read what failed: %w", err)
		}
		list[target] = Failing{time.UnixMilli(since), time.UnixMilli(at), said}
	}
	return list, rows.Err()
}

// runWhenDue is the job: it backs up when the newest backup is as old as the
// schedule says, and tries again a few minutes after a failure.
func (b *Backup) runWhenDue(ctx context.Context) error {
	due, err := b.due(ctx)
	if err != nil || !due {
		return err
	}
	_, err = b.Run(ctx, nil)
	if errors.Is(err, errNowhere) {
		return nil
	}
	return err
}

// again is how long a place that failed waits for its next turn.
const again = 5 * time.Minute

func (b *Backup) due(ctx context.Context) (bool, error) {
	targets, err := b.Targets(ctx)
	if err != nil || len(targets) == 0 {
		return false, err
	}
	s, err := b.Settings(ctx)
	if err != nil {
		return false, err
	}
	last, err := b.Last(ctx)
	if err != nil {
		return false, err
	}
	failing, err := b.failing(ctx)
	if err != nil {
		return false, err
	}
	now := b.Now()
	for _, t := range targets {
		if !b.takes(t) {
			continue
		}
		age := now.Sub(last[t.ID].At)
		if f, ok := failing[t.ID]; ok {
			age = max(now.Sub(f.At)-again+s.every(), 0)
		}
		if age >= s.every() || age < -time.Minute { // a clock that was set back makes no pause
			return true, nil
		}
	}
	return false, nil
}

// pairOf reads what a snapshot's tags say.
func pairOf(s restic.Snapshot) (pair string, facts int64) {
	for _, t := range s.Tags {
		if p, ok := strings.CutPrefix(t, "pair-"); ok {
			pair = p
		}
		if n, ok := strings.CutPrefix(t, "facts-"); ok {
			facts, _ = strconv.ParseInt(n, 10, 64)
		}
	}
	return pair, facts
}
