package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/rooms/backup/restic"
)

// A state of the house is whole where its records and its keys both are: often at
// one place, sometimes its records at one and its keys at another.

// where is one half of a state at one place.
type where struct {
	target   Target
	snapshot string
	at       time.Time
}

// state is one saved state over all places.
type state struct {
	pair    string
	facts   int64
	at      time.Time
	records []where
	wraps   []where
}

// whole tells whether both halves are somewhere.
func (s state) whole() bool { return len(s.records) > 0 && len(s.wraps) > 0 }

// look is what was found at the places.
type look struct {
	states []state          // the newest first: by the ledger, which a clock cannot turn back, then by time
	silent map[string]error // places that did not answer, by name
	newest map[string]where // the newest snapshot of either stream, by target
	folder []where          // copies of devices' folders, the newest first
}

type engineOf func(Target) restic.Restic

// lookAround lists what lies at all places, all at once.
func lookAround(ctx context.Context, engine engineOf, password string, targets []Target) (look, error) {
	l := look{silent: map[string]error{}, newest: map[string]where{}}
	by := map[string]*state{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	look := func(t Target, stream Stream) {
		list, err := engine(t).Snapshots(ctx, t.repo(stream, password))
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !(stream == Wraps && errors.Is(err, restic.ErrNone)) {
			l.silent[t.Name] = err
		}
		for _, s := range list {
			pair, facts := pairOf(s)
			w := where{t, s.ID, s.Time}
			if stream == Wraps && ofFolders(s) {
				l.folder = append(l.folder, w)
			}
			if pair == "" {
				continue
			}
			st := by[pair]
			if st == nil {
				st = &state{pair: pair, facts: facts, at: s.Time}
				by[pair] = st
			}
			if stream == Records {
				st.records = append(st.records, w)
			} else {
				st.wraps = append(st.wraps, w)
			}
			if n, ok := l.newest[t.ID]; !ok || s.Time.After(n.at) {
				l.newest[t.ID] = w
			}
		}
	}
	for _, t := range targets {
		for _, stream := range []Stream{Records, Wraps} {
			wg.Go(func() { look(t, stream) })
		}
	}
	wg.Wait()
	for _, s := range by {
		l.states = append(l.states, *s)
	}
	slices.SortFunc(l.states, func(a, b state) int {
		if a.facts != b.facts {
			return int(b.facts - a.facts)
		}
		return b.at.Compare(a.at)
	})
	slices.SortFunc(l.folder, func(a, b where) int { return b.at.Compare(a.at) })
	return l, ctx.Err()
}

// fetched is a state that came back into a folder.
type fetched struct {
	Manifest
	recordsFrom, wrapsFrom Target
}

// fetch brings one state back into an empty folder, and compares every file of
// rows with what was written. Each half is tried at each place that has it;
// tried names what failed on the way.
func fetch(ctx context.Context, engine engineOf, password string, s state, dir string, step func(what string)) (f fetched, tried []string, err error) {
	half := func(stream Stream, at []where, take func(w where) error) (Target, error) {
		var last error = restic.ErrNone
		for _, w := range at {
			step(w.target.Name)
			if last = take(w); last == nil || ctx.Err() != nil {
				return w.target, last
			}
			tried = append(tried, fmt.Sprintf("%s: the %s of %s: %s", w.target.Name, streamWord(stream), w.at.UTC().Format("2 January 15:04"), plain(last)))
		}
		return Target{}, last
	}
	f.recordsFrom, err = half(Records, s.records, func(w where) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := engine(w.target).Restore(ctx, w.target.repo(Records, password), w.snapshot, dir); err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, stageDir, manifestFile))
		if err == nil {
			err = json.Unmarshal(text, &f.Manifest)
		}
		if err != nil || f.Format != 1 || f.Pair != s.pair {
			return fmt.Errorf("its manifest is not of this state: %w", restic.ErrDamaged)
		}
		return compareFile(dir, recordsFile, f.Records)
	})
	if err != nil {
		return f, tried, err
	}
	f.wrapsFrom, err = half(Wraps, s.wraps, func(w where) error {
		out, err := os.OpenFile(filepath.Join(dir, stageDir, wrapsFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		err = engine(w.target).Dump(ctx, w.target.repo(Wraps, password), w.snapshot, stageDir+"/"+wrapsFile, out)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
		return compareFile(dir, wrapsFile, f.Wraps)
	})
	return f, tried, err
}

func streamWord(s Stream) string {
	if s == Wraps {
		return "keys"
	}
	return "records"
}

func compareFile(dir, name string, want FileSum) error {
	got, err := sumOf(filepath.Join(dir, stageDir, name))
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s is not what was written: %w", name, restic.ErrDamaged)
	}
	return nil
}

// tombstonesAround reads the newest list of the erased of every place and
// stream. A place that does not answer is in look.silent already.
func tombstonesAround(ctx context.Context, engine engineOf, password string, targets []Target) (lists map[string][]byte) {
	lists = map[string][]byte{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range targets {
		wg.Go(func() {
			for _, stream := range []Stream{Records, Wraps} {
				repo := t.repo(stream, password)
				list, err := engine(t).Snapshots(ctx, repo)
				if err != nil {
					return
				}
				slices.SortStableFunc(list, func(a, b restic.Snapshot) int { // a clock that was turned back makes no list newer
					_, x := pairOf(a)
					_, y := pairOf(b)
					return int(x - y)
				})
				for _, s := range slices.Backward(list) {
					if pair, _ := pairOf(s); pair == "" {
						continue
					}
					var text bytes.Buffer
					if err := engine(t).Dump(ctx, repo, s.ID, stageDir+"/"+tombstonesFile, &text); err != nil {
						continue // a damaged one: the one before it
					}
					mu.Lock()
					lists[t.Name+", "+streamWord(stream)] = text.Bytes()
					mu.Unlock()
					break
				}
			}
		})
	}
	wg.Wait()
	return lists
}

func names(silent map[string]error) string {
	var list []string
	for n, err := range silent {
		list = append(list, n+" ("+plain(err)+")")
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
