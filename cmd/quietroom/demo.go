package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic"
)

// demoOptions are the words of `quietroom demo`.
type demoOptions struct {
	dir, codes, listen string
	patients           int
	seed               uint64
	noServe, json      bool
	places             bool
}

// demoResult is what `quietroom demo --json` prints.
type demoResult struct {
	Dir      string         `json:"dir"`
	Patients int            `json:"patients"`
	MadeMS   int64          `json:"made_ms"`
	Drills   []layer.Report `json:"drills"`
}

func demoCommand(ctx context.Context, c *call) error {
	var o demoOptions
	c.flags.StringVar(&o.dir, "dir", "demo", "where the made-up house lies")
	c.flags.IntVar(&o.patients, "patients", 33_000, "how many patients it has")
	c.flags.Uint64Var(&o.seed, "seed", 1, "the same seed makes the same practice")
	c.flags.StringVar(&o.codes, "codes", "", "a folder outside the house for the made-up people's personal codes")
	c.flags.StringVar(&o.listen, "listen", "localhost:8470", "where it is served")
	c.flags.BoolVar(&o.noServe, "no-serve", false, "end after the drills")
	c.flags.BoolVar(&o.json, "json", false, "print one JSON document and nothing else on standard output")
	c.flags.BoolVar(&o.places, "places", true, "make two folders beside the house for its backups, where restic is there")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) > 0 || o.patients < 1 {
		return usage("demo takes options only, and at least one patient")
	}
	return c.demo(ctx, o)
}

func (c *call) demo(ctx context.Context, o demoOptions) error {
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usage("--listen %s: want a name and a port, like localhost:8470", o.listen)
	}
	if err := (web.Server{Listen: o.listen}).Check(); err != nil {
		return err
	}
	if o.codes != "" {
		if o.codes, err = filepath.Abs(o.codes); err != nil {
			return err
		}
		if err := outside(o.dir, o.codes); err != nil {
			return err
		}
	}
	if err := alreadyServed(o.dir); err != nil {
		return err
	}
	if !o.noServe { // better now than after a minute of drills
		l, err := net.Listen("tcp", o.listen)
		if err != nil {
			return fmt.Errorf("%s is taken; choose another with --listen, or end with --no-serve: %w", o.listen, err)
		}
		l.Close()
	}
	began := time.Now()
	bar := c.progress(fmt.Sprintf("Making %s patients", grouped(o.patients)))
	m := madeUp{Seed: o.seed, Patients: o.patients, Day: today()}
	codes, err := makeDemo(ctx, o.dir, "http://localhost:"+port, m, slog.New(slog.DiscardHandler), bar.step)
	bar.end()
	if err != nil {
		return err
	}
	if o.codes != "" {
		if err := writeCodes(o.dir, o.codes, codes); err != nil {
			return err
		}
	}
	result := demoResult{Dir: o.dir, Patients: o.patients, MadeMS: time.Since(began).Milliseconds()}
	fmt.Fprintf(c.err, "Made a practice of 12 people and %s patients in %.1f s. Everyone in it is made up.\n", grouped(o.patients), time.Since(began).Seconds())
	if o.places {
		if err := c.demoPlaces(ctx, o.dir); err != nil {
			return err
		}
	}
	if result.Drills, err = c.runDrills(ctx, o.dir); err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(c.out).Encode(result)
	} else {
		printReports(c.out, result.Drills)
	}
	if err = errors.Join(err, verdict(tried(result.Drills)...)); err != nil || o.noServe {
		return err
	}
	return c.serveDemo(ctx, o, codes)
}

// demoPlaces makes two folders for backups beside a made-up house, DIR.backups/one
// and two, one of which plays the place out of the house. Those of an older demo
// go; anything else that lies there stays, and there are none.
func (c *call) demoPlaces(ctx context.Context, dir string) (err error) {
	if _, err := (restic.Restic{}).Version(ctx); err != nil {
		return nil // the drill says so
	}
	above := dir + ".backups"
	const mark = "made-up"
	if entries, err := os.ReadDir(above); err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(above, mark)); err != nil {
			fmt.Fprintf(c.err, "%s holds something of yours: the demo gets no places for backups.\n", above)
			return nil
		}
		if err := os.RemoveAll(above); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(above, 0o700); err != nil {
		return err
	}
	if err := writeFile(above, mark, []byte("Backups of a made-up practice. The next demo removes them.\n")); err != nil {
		return err
	}
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	tried := make(chan error, 2)
	for i, name := range []string{"one", "two"} {
		go func() {
			_, _, err := h.backup.AddTarget(ctx, backup.Target{Kind: backup.Folder, Name: capital(name), Place: filepath.Join(above, name), Outside: i == 1})
			tried <- err
		}()
	}
	return errors.Join(<-tried, <-tried)
}

// today is the day the practice is made for: the same all day, so that a second
// run makes the same practice.
func today() time.Time {
	now := time.Now()
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
}

func alreadyServed(dir string) error {
	conn, err := net.Dial("unix", controlPath(dir))
	if err != nil {
		return nil
	}
	conn.Close()
	return fmt.Errorf("%s is being served: %w", dir, store.ErrLocked)
}

// tried leaves out what could not be tried for want of restic or ClamAV, which is
// no reason to end a demo.
func tried(reports []layer.Report) []layer.Report {
	return slices.DeleteFunc(slices.Clone(reports), func(r layer.Report) bool { return (r.Drill == "restore" || r.Drill == "malware") && r.Held == nil })
}

// runDrills tries every attack and keeps the reports in the house.
func (c *call) runDrills(ctx context.Context, dir string) ([]layer.Report, error) {
	var reports []layer.Report
	for _, name := range drillNames() {
		if name == "shred" || name == "house-ransom" { // minutes; `quietroom drill` tries them
			continue
		}
		bar := c.progress("Drill: " + name)
		r, err := runDrill(ctx, dir, name, false, true, bar.step)
		bar.end()
		if err != nil {
			return nil, fmt.Errorf("drill %s: %w", name, err)
		}
		reports = append(reports, r)
		if err := c.keepReport(ctx, dir, r); err != nil {
			return nil, err
		}
	}
	return reports, nil
}

// shown are the people whose sign-in links the demo prints.
var shown = []string{"owner-1", "clinician-1", "front-desk-1"}

func (c *call) serveDemo(ctx context.Context, o demoOptions, codes map[string]seal.Code) error {
	log, err := os.OpenFile(filepath.Join(o.dir, "quietroom.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	h, err := openHouse(ctx, o.dir, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		return err
	}
	ready := func(net.Addr) {
		fmt.Fprintf(c.err, "The dashboard is open. Sign in as one of these made-up people:\n")
		for _, handle := range shown {
			fmt.Fprintf(c.err, "  %-13s %s%s\n", handle, h.Origin, h.identity.DemoLink(handle, codes[handle]))
		}
		fmt.Fprintf(c.err, "Ctrl-C ends it.\n")
	}
	return errors.Join(h.serve(ctx, web.Server{Listen: o.listen, Ready: ready}), h.close())
}
