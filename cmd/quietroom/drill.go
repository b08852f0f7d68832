package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/layer"
	"quietroom/madeup"
	"quietroom/rooms/trackers"
)

// attacks are the drills of this version, in the order in which demo runs them.
// Run stands in the trial house: see trial.drills.
var attacks = []layer.Drill{
	{Name: "theft", Proves: "whoever copies everything reads no record"},
	{Name: "row-swap", Proves: "moved, replayed and forged rows are refused and noticed"},
	{Name: "tamper", Proves: "every change of the ledger is found"},
	{Name: "push-spam", Proves: "nobody gets in, is prompted or is locked out"},
	{Name: "leaver", Proves: "who has left opens no door, and nothing written later"},
	{Name: "lost-key", Proves: "whichever door is lost, its person comes back, and nobody else"},
	{Name: "cookie-theft", Proves: "a copied pair of cookies is soon dead, and approves nothing"},
	{Name: "malware", Proves: "a harmful file is found however it is wrapped, or said to be not scanned; none is kept as clean"},
	{Name: "trackers", Proves: "all planted leaks of a web site are found, none where there is none"},
	{Name: "training", Proves: "a year: nobody gets more than planned or is missed, and no scanner counts as a person"},
	{Name: "break-glass", Proves: "an emergency opens one chart, for an hour, seen by others"},
	{Name: "restore", Proves: "a backup is opened again, and nine kinds of bad ones are caught"},
	{Name: "shred", Proves: "whoever is erased opens in no backup, and is gone from them in 35 days"},
	{Name: "proof", Proves: "a binder in which one byte was changed is noticed, and told where"},
	{Name: "year", Proves: "in a year no review is missed, and none nags"},
	{Name: "honesty", Proves: "when a room breaks, what it showed turns to Not known by itself"},
	{Name: "house-ransom", Proves: "with every file of the house encrypted, the house comes back"},
}

// drills are the attacks, acting in a trial house's own rooms: those on the
// house as a whole, and those that rooms bring.
func (t *trial) drills() []layer.Drill {
	drills := []layer.Drill{t.theft(), t.rowSwap(), t.tamper(), t.leaver(), t.lostKey(), trackers.Drill(scratch), t.restoreDrill(), t.shredDrill(), t.ransomDrill(), t.proofDrill(), t.honestyDrill(), t.malware()}
	for _, l := range t.layers {
		drills = append(drills, l.Drills...)
	}
	return drills
}

func drillNames() (names []string) {
	for _, d := range attacks {
		names = append(names, d.Name)
	}
	return names
}

func proves(name string) string {
	for _, d := range attacks {
		if d.Name == name {
			return d.Proves
		}
	}
	return ""
}

// trialPatients is how large a trial house is.
const trialPatients = 300

func drillCommand(ctx context.Context, c *call) error {
	dir := c.flags.String("dir", "", "the house's directory")
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	sabotage := c.flags.Bool("sabotage", false, "weaken one protection in the trial house first: the drill must then fail")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 || *dir == "" {
		return usage("name one drill and the house: quietroom drill theft --dir D. Drills: %s", strings.Join(drillNames(), ", "))
	}
	if !slices.Contains(drillNames(), words[0]) {
		return usage("there is no drill %q. Drills: %s", words[0], strings.Join(drillNames(), ", "))
	}
	bar := c.progress(words[0])
	r, err := runDrill(ctx, *dir, words[0], *sabotage, false, bar.step)
	bar.end()
	if err != nil {
		return err
	}
	if !*sabotage { // what happened in a weakened trial house says nothing of the practice
		if err := c.keepReport(ctx, *dir, r); err != nil {
			return err
		}
	}
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printReports(c.out, []layer.Report{r})
	}
	if err != nil {
		return err
	}
	return verdict(r)
}

// verdict is the exit code of reports: 0 only if all held.
func verdict(reports ...layer.Report) error {
	for _, r := range reports {
		if r.Held != nil && !*r.Held {
			return exit{exitFailed, nil}
		}
	}
	for _, r := range reports {
		if r.Held == nil {
			return exit{exitSkipped, nil}
		}
	}
	return nil
}

// runDrill makes a private copy of the house, without keys, and a trial house,
// and lets the drill act on these.
func runDrill(ctx context.Context, dir, name string, sabotage, brief bool, step func(done, total int)) (r layer.Report, err error) {
	began := time.Now()
	s, err := readSettings(dir)
	if err != nil {
		return r, err
	}
	t, err := newTrial(ctx, trialPatients)
	if err != nil {
		return r, fmt.Errorf("make the trial house: %w", err)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	stage := &layer.Stage{Trial: &t.Trial, Sabotage: sabotage, Brief: brief, Step: step, Known: s.known()}
	if stage.Copy, err = os.MkdirTemp(t.above, "copy-"); err != nil {
		return r, err
	}
	if err := takeHouse(ctx, dir, stage.Copy); err != nil {
		return r, fmt.Errorf("copy the house: %w", err)
	}
	for _, d := range t.drills() {
		if d.Name != name {
			continue
		}
		r, err = d.Run(ctx, stage)
		r.Drill, r.TookMS = name, time.Since(began).Milliseconds()
		if r.Findings == nil {
			r.Findings = []string{}
		}
		return r, err
	}
	return r, fmt.Errorf("drill %s: this program does not have it", name)
}

// known are the secrets of a made-up house, which a drill looks for in its copy.
// Those of a real house nobody knows here.
func (s *settings) known() iter.Seq[string] {
	if s.MadeUp == nil {
		return nil
	}
	return func(yield func(string) bool) {
		p := madeup.New(s.MadeUp.Seed, s.MadeUp.Patients, s.MadeUp.Day)
		for a := range p.Patients() {
			for secret := range madeup.Secrets(a) {
				if !yield(secret) {
					return
				}
			}
		}
	}
}

// keepReport has the house remember how a drill ended: the one thing that a
// drill leaves behind.
func (c *call) keepReport(ctx context.Context, dir string, r layer.Report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.withHouse(ctx, dir, "report", []string{string(text)})
}

// reportInHouse keeps one drill's report.
func reportInHouse(ctx context.Context, h *house, c *call) error {
	var r layer.Report
	if len(c.args) != 1 || json.Unmarshal([]byte(c.args[0]), &r) != nil || !slices.Contains(drillNames(), r.Drill) {
		return usage("this is no report of a drill")
	}
	return h.home.Save(ctx, r, time.Now())
}

// printReports prints one table.
func printReports(w io.Writer, reports []layer.Report) {
	fmt.Fprintf(w, "\n%-11s %-8s %10s %8s %9s  %s\n", "Drill", "Result", "Tried", "Opened", "Took", "What it shows")
	for _, r := range reports {
		result := "Skipped"
		if r.Held != nil {
			result = map[bool]string{true: "Held", false: "Failed"}[*r.Held]
		}
		fmt.Fprintf(w, "%-11s %-8s %10s %8s %7.1f s  %s\n", r.Drill, result, grouped(r.Tried), grouped(r.Opened), float64(r.TookMS)/1000, proves(r.Drill))
		for _, f := range r.Findings {
			fmt.Fprintf(w, "            %s\n", f)
		}
		if r.Skipped != "" {
			fmt.Fprintf(w, "            %s\n", r.Skipped)
		}
	}
	fmt.Fprintln(w)
}

func absolute(path string) (string, error) {
	if path == "-" || path == "" {
		return path, nil
	}
	return filepath.Abs(path)
}
