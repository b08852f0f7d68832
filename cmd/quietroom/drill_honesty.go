package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/compliance"
	"quietroom/rooms/home"
)

// honestyDrill breaks the evidence of each room of the trial house in turn, in
// every way that it can break, and lets time pass: what nobody sees any more is
// not known, on home and in the controls, and no neighbour is hidden.
func (t *trial) honestyDrill() layer.Drill {
	return layer.Drill{Name: "honesty", Proves: "when a room breaks, what it showed turns to Not known by itself", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		r := layer.Report{Findings: []string{}, More: map[string]any{}}
		d := &honesty{trial: t, report: &r, sabotage: s.Sabotage}
		end, err := d.open(ctx)
		if err != nil {
			return r, err
		}
		rooms := 0
		for i, l := range t.layers {
			if l.Evidence == nil {
				continue
			}
			rooms++
			for how := range breaks {
				if err := d.try(ctx, i, how); err != nil {
					return r, errors.Join(err, end())
				}
			}
			s.Step(i+1, len(t.layers))
		}
		r.More["rooms"], r.More["ways"] = rooms, len(breaks)
		r.Held = new(len(r.Findings) == 0)
		return r, end()
	}}
}

// breaks are the ways in which a room's evidence breaks.
var breaks = []struct {
	name string
	say  func(ctx context.Context, yield func(layer.Evidence, error) bool)
}{
	{"fails", func(_ context.Context, yield func(layer.Evidence, error) bool) {
		yield(layer.Evidence{}, errors.New("broken for a drill"))
	}},
	{"panics", func(context.Context, func(layer.Evidence, error) bool) { panic("broken for a drill") }},
	{"hangs", func(ctx context.Context, _ func(layer.Evidence, error) bool) { <-ctx.Done() }},
	{"says nothing", func(context.Context, func(layer.Evidence, error) bool) {}},
	{"lies about its time", nil}, // see honesty.room
}

type honesty struct {
	*trial
	report   *layer.Report
	sabotage bool
	home     *home.Home
	asker    *home.Asker
	proof    *compliance.Compliance
	ahead    atomic.Int64
	broken   int // the room that is broken, -1: none
	how      int
	rooms    []layer.Layer
	mu       sync.Mutex
	stamped  map[string][]layer.Evidence // with sabotage: a room's last answer
}

func (d *honesty) now() time.Time { return d.trial.now().Add(time.Duration(d.ahead.Load())) }

// open makes a home of the drill's own, so that the trial house goes on beside it.
func (d *honesty) open(ctx context.Context) (end func() error, err error) {
	d.broken, d.stamped = -1, map[string][]layer.Evidence{}
	db, err := store.Open(ctx, filepath.Join(d.above, "honesty.db"))
	if err != nil {
		return nil, err
	}
	for i, l := range d.layers {
		if l.Evidence != nil {
			l.Evidence = d.room(i, l)
		}
		d.rooms = append(d.rooms, l)
	}
	d.asker = &home.Asker{Now: d.now}
	d.home = home.New(home.Config{DB: db, Now: d.now, Evidence: func(ctx context.Context) iter.Seq2[layer.Evidence, error] { return d.asker.Ask(ctx, d.rooms) },
		Patients: d.vault.Count, Drills: func() []layer.Drill { return nil }, Owner: func(context.Context) bool { return true }})
	d.proof = compliance.New(compliance.Config{DB: db, Now: d.now, Evidence: d.home.Kept, Name: func(context.Context, id.Person) string { return "" }, Works: func(context.Context, id.Person) bool { return true }})
	for _, l := range []layer.Layer{d.home.Layer(), d.proof.Layer()} {
		if err := db.Migrate(ctx, l.Name, l.Schema); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db.Close, nil
}

// room is a room that can be broken.
func (d *honesty) room(i int, l layer.Layer) func(context.Context) iter.Seq2[layer.Evidence, error] {
	sound := l.Evidence
	return func(ctx context.Context) iter.Seq2[layer.Evidence, error] {
		if d.broken != i { // it is set while nobody asks
			return func(yield func(layer.Evidence, error) bool) {
				d.remember(l.Name, sound(ctx), yield)
			}
		}
		if d.sabotage { // the protection that is taken away: an old answer counts as a new one
			return func(yield func(layer.Evidence, error) bool) {
				for _, e := range d.stamped[l.Name] {
					e.Seen, e.Until = d.now(), d.now().Add(24*time.Hour)
					if !yield(e, nil) {
						return
					}
				}
			}
		}
		if say := breaks[d.how].say; say != nil {
			return func(yield func(layer.Evidence, error) bool) { say(ctx, yield) }
		}
		return func(yield func(layer.Evidence, error) bool) {
			for e, err := range sound(ctx) {
				e.Seen, e.Until = d.now().AddDate(10, 0, 0), d.now().AddDate(20, 0, 0)
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

func (d *honesty) remember(room string, all iter.Seq2[layer.Evidence, error], yield func(layer.Evidence, error) bool) {
	var kept []layer.Evidence
	for e, err := range all {
		if err == nil {
			kept = append(kept, e)
		}
		if !yield(e, err) {
			return
		}
	}
	if d.sabotage {
		d.keep(room, kept)
	}
}

func (d *honesty) keep(room string, all []layer.Evidence) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stamped[room] = all
}

// safe are the claims that read as measured now, by claim.
func (d *honesty) safe(ctx context.Context) (map[string]bool, error) {
	all, err := d.home.Kept(ctx)
	claims := map[string]bool{}
	for _, e := range all {
		if s := e.At(d.now()).State; s == layer.Safe || s == layer.Checking {
			claims[e.Claim] = true
		}
	}
	return claims, err
}

// try breaks one room, looks, and lets a year and a half pass.
func (d *honesty) try(ctx context.Context, i, how int) error {
	d.broken, d.asker.Patience = -1, time.Minute // a busy machine is no broken room
	d.ahead.Store(0)
	if err := d.home.Look(ctx); err != nil {
		return fmt.Errorf("a sound house cannot be looked at: %w", err)
	}
	before, err := d.safe(ctx)
	if err != nil {
		return err
	}
	var mine []string // what this room shows
	for e, err := range d.layers[i].Evidence(ctx) {
		if err == nil && before[e.Claim] {
			mine = append(mine, e.Claim)
		}
	}
	d.broken, d.how, d.asker.Patience = i, how, 400*time.Millisecond
	_ = d.home.Look(ctx) // it may say that a room did not answer
	after, err := d.safe(ctx)
	if err != nil {
		return err
	}
	for claim := range before {
		if d.report.Tried++; !after[claim] && !slices.Contains(mine, claim) {
			d.say(i, how, "hides its neighbour's "+claim)
		}
	}
	d.ahead.Store(int64(550 * 24 * time.Hour))
	_ = d.home.Look(ctx)
	late, err := d.safe(ctx)
	if err != nil {
		return err
	}
	standings, err := d.proof.Standings(ctx)
	if err != nil {
		return err
	}
	for _, claim := range mine {
		if d.report.Tried++; late[claim] {
			d.say(i, how, "still shows "+claim+" as safe")
		}
		for _, st := range standings {
			for _, p := range st.Parts {
				if d.report.Tried++; p.Claim == claim && st.State == layer.Safe {
					d.say(i, how, "still shows "+st.ID+" as safe")
				}
			}
		}
	}
	return nil
}

func (d *honesty) say(i, how int, what string) {
	d.report.Opened++
	if text := fmt.Sprintf("A room that %s (%s) %s.", breaks[how].name, d.layers[i].Name, what); len(d.report.Findings) < 40 && !strings.Contains(strings.Join(d.report.Findings, "\n"), text) {
		d.report.Findings = append(d.report.Findings, text)
	}
}
