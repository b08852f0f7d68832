package agent

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"quietroom/rooms/devices/wire"
)

// A whole look takes no longer than two seconds; a slow check goes on behind it.
const (
	lookFor = 2 * time.Second
	slowFor = 2 * time.Minute
)

// result is what a check found, and when.
type result struct {
	Finding
	at    time.Time
	stamp string // of the files that it depends on
}

// Look looks at what is due, or at everything, and tells whether a result is now
// another one. It returns within two seconds.
func (a *Agent) Look(ctx context.Context, all bool) (changed bool) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, c := range a.Checks {
		stamp := stampOf(c.Files)
		if !a.dueCheck(c, stamp, all) {
			continue
		}
		if c.Slow {
			a.lookSlowly(ctx, c, stamp)
			continue
		}
		wg.Go(func() {
			f := ask(ctx, c)
			if a.setStamped(c.Name, f, a.Now(), stamp) {
				mu.Lock()
				changed = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return changed
}

// lookSlowly looks behind everybody's back; the next turn tells what was found.
func (a *Agent) lookSlowly(ctx context.Context, c Check, stamp string) {
	a.mu.Lock()
	busy := a.running[c.Name]
	a.running[c.Name] = true
	if _, ok := a.results[c.Name]; !ok {
		a.results[c.Name] = result{Finding{wire.Unknown, "It is being looked at."}, a.Now(), ""}
	}
	a.mu.Unlock()
	if busy {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowFor)
		defer cancel()
		f := ask(ctx, c)
		changed := a.setStamped(c.Name, f, a.Now(), stamp)
		a.mu.Lock()
		delete(a.running, c.Name)
		a.mu.Unlock()
		if changed {
			a.Wake()
		}
	}()
}

// ask lets one check look. One that does not heed its time, or that breaks, is
// not known: it ends nothing but itself.
func ask(ctx context.Context, c Check) Finding {
	done := make(chan Finding, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- Finding{wire.Unknown, "The check itself did not work."}
			}
		}()
		done <- c.Look(ctx)
	}()
	select {
	case f := <-done:
		if ctx.Err() != nil && f.Result != wire.Pass && f.Result != wire.Fail {
			break
		}
		return f.checked()
	case <-ctx.Done():
	}
	return Finding{wire.Unknown, "The system did not answer in time."}
}

// checked keeps a check that says nothing from passing.
func (f Finding) checked() Finding {
	f.Said = wire.Line(f.Said)
	switch f.Result {
	case wire.Pass, wire.Fail, wire.NotApplicable:
	default:
		f.Result = wire.Unknown
	}
	if f.Result == wire.Unknown && f.Said == "" {
		f.Said = "The check gave no reason."
	}
	return f
}

func (a *Agent) dueCheck(c Check, stamp string, all bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.results[c.Name]
	age := a.Now().Sub(r.at)
	if c.Slow {
		// Nobody's hurry makes a slow check run all the time.
		return !ok || age < 0 || age >= c.Every || (all || stamp != r.stamp) && age > time.Minute
	}
	return all || !ok || age < 0 || age >= c.Every || stamp != r.stamp
}

func (a *Agent) set(name string, f Finding, at time.Time) bool {
	return a.setStamped(name, f, at, "")
}

func (a *Agent) setStamped(name string, f Finding, at time.Time, stamp string) (changed bool) {
	f = f.checked()
	a.mu.Lock()
	defer a.mu.Unlock()
	was, ok := a.results[name]
	a.results[name] = result{f, at, stamp}
	return !ok || was.Finding != f
}

// stampOf changes when one of the files does.
func stampOf(files []string) string {
	s := ""
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			s += "-;"
			continue
		}
		s += fmt.Sprint(info.ModTime().UnixNano(), ".", info.Size(), ";")
	}
	return s
}

// Results are what is known of every check, in the order of the checks, with
// those last that tasks set.
func (a *Agent) Results() []wire.Check {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, c := range a.Checks {
		names = append(names, c.Name)
	}
	var more []string
	for name := range a.results {
		if !slices.Contains(names, name) {
			more = append(more, name)
		}
	}
	slices.Sort(more)
	var all []wire.Check
	for _, name := range append(names, more...) {
		r, ok := a.results[name]
		if !ok {
			continue
		}
		all = append(all, wire.Check{Name: name, Result: r.Result, Said: r.Said, Age: max(int64(a.Now().Sub(r.at)/time.Second), 0)})
	}
	return all
}

// LookOnce looks at everything, slow checks included, without a practice: for
// somebody who wants to know now.
func LookOnce(ctx context.Context, checks []Check) []wire.Check {
	all := make([]wire.Check, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			most := lookFor
			if c.Slow {
				most = slowFor
			}
			ctx, cancel := context.WithTimeout(ctx, most)
			defer cancel()
			f := ask(ctx, c)
			all[i] = wire.Check{Name: c.Name, Result: f.Result, Said: f.Said}
		})
	}
	wg.Wait()
	return all
}
