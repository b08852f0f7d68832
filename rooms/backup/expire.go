package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/backup/restic"
)

// Horizon is how long a copy of keys lies at a place that can let it expire.
const Horizon = 35 * day

// The rules by which copies of keys expire. A copy goes a day before the horizon,
// so that a day's outage does not break the promise.
const (
	keyAge    = Horizon - day
	newerKeys = 7 // verified copies, newer than the one that goes,
	keyPlaces = 2 // at as many places
)

var keyRules = []Rule{{time.Hour, 2 * day}, {day, keyAge}}

// keyCopy is one copy of the keys at one place.
type keyCopy struct {
	target   string
	snapshot string
	at       time.Time
	verified time.Time // zero: never read back
}

// keysToForget says which copies of keys expire now. One goes only while seven
// newer ones, read back since the clock last jumped, lie at each of two places:
// so a wrong clock, or places that silently lose what they are given, make
// nothing expire that is still needed. A copy that was verified is kept for its
// day where another of that day was not.
func keysToForget(copies []keyCopy, now, since time.Time, incident bool) (forget []keyCopy) {
	if incident {
		return nil
	}
	good := func(k keyCopy) bool {
		return !k.verified.IsZero() && !k.verified.Before(since) && !k.verified.After(now) && !k.at.After(now)
	}
	newer := func(than keyCopy) bool {
		have := map[string]int{}
		for _, k := range copies {
			if good(k) && k.at.After(than.at) {
				have[k.target]++
			}
		}
		places := 0
		for _, n := range have {
			if n >= newerKeys {
				places++
			}
		}
		return places >= keyPlaces
	}
	byTarget := map[string][]kept{}
	for _, k := range copies {
		byTarget[k.target] = append(byTarget[k.target], kept{k.snapshot, k.at})
	}
	thin := map[string]bool{}
	for target, list := range byTarget {
		for _, id := range toForget(list, keyRules) {
			thin[target+"/"+id] = true
		}
	}
	for _, k := range copies {
		old := now.Sub(k.at) > keyAge
		if !old && (!thin[k.target+"/"+k.snapshot] || !k.verified.IsZero()) {
			continue
		}
		if newer(k) {
			forget = append(forget, k)
		}
	}
	return forget
}

// clockJumped tells whether the clock did something between two looks that a
// running server's clock does not do.
func clockJumped(watched, now time.Time) bool {
	return !watched.IsZero() && (now.Before(watched.Add(-5*time.Minute)) || now.Sub(watched) > 2*day)
}

// expireWhenDue is the job: once a day it reads the newest copies of keys back
// and lets old ones expire.
func (b *Backup) expireWhenDue(ctx context.Context) error {
	s, err := b.Settings(ctx)
	if err != nil {
		return err
	}
	now := b.Now()
	if !clockJumped(s.Watched, now) && !s.Watched.IsZero() && now.Sub(s.Watched) < 23*time.Hour {
		return nil
	}
	_, err = b.Expire(ctx)
	return err
}

// Expired is what one round of expiry did.
type Expired struct {
	Verified    int                 `json:"verified"` // copies of keys that were read back
	Keys        int                 `json:"keys"`     // copies of keys that are gone
	Records     int                 `json:"records"`  // states of records that are gone
	Unreachable []string            `json:"unreachable,omitempty"`
	Kept        []string            `json:"kept,omitempty"`  // places that keep what is removed, and why
	Waits       string              `json:"waits,omitempty"` // why nothing expires
	folders     map[string][]string // copies of devices' folders that have had their time, by target
}

// Expire reads the newest copy of keys at each place back, compares it with what
// was written, and lets go of what is too old, if that is safe.
func (b *Backup) Expire(ctx context.Context) (e Expired, err error) {
	b.one.Lock()
	defer b.one.Unlock()
	now := b.Now()
	s, err := b.Settings(ctx)
	if err != nil {
		return e, err
	}
	e.folders = map[string][]string{}
	jumped := clockJumped(s.Watched, now)
	if err := b.watch(ctx, now, jumped); err != nil {
		return e, err
	}
	if jumped {
		s.Since = now
		e.Waits = "the clock jumped"
	}
	incident := false
	if b.Incident != nil {
		if incident, err = b.Incident(ctx); err != nil {
			return e, err
		}
		if incident {
			e.Waits = "something is being looked into"
		}
	}
	targets, err := b.Targets(ctx)
	if err != nil {
		return e, err
	}
	rules, err := ParseKeep(s.Keep)
	if err != nil {
		return e, err
	}
	var copies []keyCopy
	reached := map[string]Target{}
	oldest := map[string]time.Time{}
	for _, t := range targets {
		if !t.Expires || !b.takes(t) {
			continue
		}
		if t.Kind == S3 { // its rules may have been changed since it was taken
			var tried Tried
			gone, err := askBucket(ctx, t, &tried)
			if err == nil && !gone {
				e.Kept = append(e.Kept, t.Name+": "+tried.KeysNot)
			}
		}
		list, err := b.keyCopies(ctx, t, &e)
		if ctx.Err() != nil {
			return e, ctx.Err()
		}
		if err != nil {
			e.Unreachable = append(e.Unreachable, t.Name)
			continue
		}
		reached[t.ID] = t
		copies = append(copies, list...)
	}
	gone := map[string][]string{}
	for _, k := range keysToForget(copies, now, s.Since, incident || jumped) {
		gone[k.target] = append(gone[k.target], k.snapshot)
	}
	for _, k := range copies {
		if o, ok := oldest[k.target]; (!ok || k.at.Before(o)) && !contains(gone[k.target], k.snapshot) {
			oldest[k.target] = k.at
		}
	}
	for target, ids := range e.folders {
		if !incident && !jumped && len(ids) > 0 {
			gone[target] = append(gone[target], ids...)
			e.Keys -= len(ids)
		}
	}
	for target, ids := range gone {
		t := reached[target]
		if err := b.remove(ctx, t, Wraps, ids, true); err != nil {
			e.Unreachable = append(e.Unreachable, t.Name)
			continue
		}
		e.Keys += len(ids)
	}
	prune := now.Sub(s.Pruned) > 7*day
	for _, t := range reached {
		if incident || jumped {
			break
		}
		n, err := b.thinRecords(ctx, t, rules, now, prune)
		if ctx.Err() != nil {
			return e, ctx.Err()
		}
		if err == nil {
			e.Records += n
		}
	}
	return e, errors.Join(b.change(ctx, func(s *Settings) {
		s.Oldest, s.Kept = oldest, e.Kept
		if prune {
			s.Pruned = now
		}
	}), b.forgetRows(ctx, now))
}

func contains(ids []string, id string) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// watch remembers what the clock showed. A jump is a fact.
func (b *Backup) watch(ctx context.Context, now time.Time, jumped bool) error {
	err := b.change(ctx, func(s *Settings) {
		s.Watched = now
		if jumped || s.Since.IsZero() {
			s.Since = now
		}
	})
	if err != nil || !jumped {
		return err
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "backup.clock-jumped"})
	})
}

// keyCopies lists the copies of keys at a place, after the newest was read back.
func (b *Backup) keyCopies(ctx context.Context, t Target, e *Expired) ([]keyCopy, error) {
	engine, repo := b.engine(t), t.repo(Wraps, b.Password())
	list, err := engine.Snapshots(ctx, repo)
	if err != nil {
		return nil, err
	}
	known, err := b.saved(ctx, `SELECT target, pair, at, facts, records, wraps, verified, took, added FROM backup_saved WHERE target = $1 AND wraps <> ''`, t.ID)
	if err != nil {
		return nil, err
	}
	by := map[string]Saved{}
	for _, s := range known {
		by[s.Pair] = s
	}
	folders := oldFolders(list, b.Now())
	list = slices.DeleteFunc(list, func(s restic.Snapshot) bool { pair, _ := pairOf(s); return pair == "" }) // folders, and a probe that was cut off
	copies := make([]keyCopy, 0, len(list))
	e.folders[t.ID] = folders
	for i, s := range list {
		pair, _ := pairOf(s)
		was, ok := by[pair]
		if ok && i == len(list)-1 && was.Verified.IsZero() {
			if err := b.verifyKeys(ctx, engine, repo, s.ID, was); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if ferr := b.keepOutcome(ctx, t, Outcome{Failed: plain(err)}, ""); ferr != nil {
					return nil, ferr
				}
			} else {
				was.Verified = b.Now()
				e.Verified++
			}
		}
		copies = append(copies, keyCopy{t.ID, s.ID, s.Time, was.Verified})
	}
	return copies, nil
}

// verifyKeys reads a copy of keys back and compares it with what was written.
// Nothing of it touches the disk.
func (b *Backup) verifyKeys(ctx context.Context, engine restic.Restic, repo restic.Repo, snapshot string, was Saved) error {
	sum := sha256.New()
	if err := engine.Dump(ctx, repo, snapshot, stageDir+"/"+wrapsFile, sum); err != nil {
		return err
	}
	var want []byte
	if err := b.DB.QueryRowContext(ctx, `SELECT sum FROM backup_saved WHERE target = $1 AND pair = $2`, was.Target, was.Pair).Scan(&want); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != string(want) {
		return fmt.Errorf("the copy of the keys is not the one that was written: %w", restic.ErrDamaged)
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE backup_saved SET verified = $1 WHERE target = $2 AND pair = $3`, b.Now().UnixMilli(), was.Target, was.Pair)
		return err
	})
}

func (b *Backup) remove(ctx context.Context, t Target, stream Stream, ids []string, prune bool) error {
	engine, repo := b.engine(t), t.repo(stream, b.Password())
	err := engine.Forget(ctx, repo, ids...)
	if errors.Is(err, restic.ErrLocked) {
		if err = engine.Unlock(ctx, repo); err == nil {
			err = engine.Forget(ctx, repo, ids...)
		}
	}
	if err == nil && prune {
		err = engine.Prune(ctx, repo, stream == Wraps) // of keys nothing stays behind
	}
	return err
}

// thinRecords lets go of states of records that no rule keeps. The newest one
// that was proven stays in any case.
func (b *Backup) thinRecords(ctx context.Context, t Target, rules []Rule, now time.Time, prune bool) (int, error) {
	list, err := b.engine(t).Snapshots(ctx, t.repo(Records, b.Password()))
	if err != nil {
		return 0, err
	}
	var states []kept
	for _, s := range list {
		if s.Time.After(now.Add(10 * time.Minute)) {
			return 0, nil // the clock was ahead once: people look first
		}
		if pair, _ := pairOf(s); pair != "" {
			states = append(states, kept{s.ID, s.Time})
		}
	}
	forget := toForget(states, rules)
	if len(forget) == 0 && !prune {
		return 0, nil
	}
	return len(forget), b.remove(ctx, t, Records, forget, prune)
}

// forgetRows keeps the room's own list short.
func (b *Backup) forgetRows(ctx context.Context, now time.Time) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM backup_saved WHERE at < $1`, now.Add(-2*Horizon).UnixMilli())
		return err
	})
}

// lateKeys names the places where copies of keys are older than the horizon, as
// far as they were seen last.
func (s Settings) lateKeys(targets []Target, now time.Time) (names []string) {
	for _, t := range targets {
		if o, ok := s.Oldest[t.ID]; ok && now.Sub(o) > Horizon {
			names = append(names, strings.TrimSpace(t.Name))
		}
	}
	return names
}
