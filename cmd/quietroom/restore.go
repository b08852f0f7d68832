package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic"
)

// restoreOptions are the words of `quietroom restore`.
type restoreOptions struct {
	dir, kit, at, database, key, known string
	list, json                         bool
}

func (o *restoreOptions) add(f *flag.FlagSet) {
	f.StringVar(&o.dir, "dir", "", "where the house shall stand; it must be empty, or not there")
	f.StringVar(&o.kit, "kit", "", "a file with the recovery sheet, - reads it from standard input")
	f.StringVar(&o.at, "at", "", "the newest state not after this time, like 2026-11-24T15:00; the newest of all if not said")
	f.BoolVar(&o.list, "list", false, "list the points in time that there are, and bring nothing back")
	f.StringVar(&o.database, "database", "house.db", "postgres:// address for a group; else a file in --dir")
	f.StringVar(&o.key, "key", "", "a file with the private key for SFTP places; ssh's own if not said")
	f.StringVar(&o.known, "known", "", "a file with the SFTP servers' lines of known_hosts; ssh's own if not said")
	f.BoolVar(&o.json, "json", false, "print one JSON document and nothing else")
}

func restoreCommand(ctx context.Context, c *call) error {
	var o restoreOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	if o.kit == "" || o.dir == "" && !o.list || len(words) > 0 {
		return usage("bring back what, and where to? quietroom restore --kit sheet.txt --dir D")
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	order, err := c.order(o)
	if err != nil {
		return err
	}
	if o.list {
		return c.listStates(ctx, order, o.json)
	}
	r, err := bringBack(ctx, order, o.database)
	if errors.Is(err, restic.ErrMissing) {
		return exit{exitSkipped, restic.ErrMissing}
	}
	if errors.Is(err, backup.ErrLiving) {
		return fmt.Errorf("%s is not empty: a living house is never written over, and nothing was changed. Choose another --dir", o.dir)
	}
	if err != nil {
		return sayPlainly(err)
	}
	if o.json {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printRestored(c.out, r, o.dir)
	}
	if err == nil && len(r.Findings) > 0 {
		err = exit{exitFailed, nil}
	}
	return err
}

// order reads the sheet and what else was said.
func (c *call) order(o restoreOptions) (order backup.Order, err error) {
	var text []byte
	if o.kit == "-" {
		text, err = io.ReadAll(io.LimitReader(c.in, 1<<20))
	} else {
		text, err = os.ReadFile(o.kit)
	}
	if err != nil {
		return order, fmt.Errorf("read the recovery sheet: %w", err)
	}
	if order.Sheet, err = backup.ParseSheet(string(text)); err != nil {
		return order, sayPlainly(err)
	}
	if len(order.Sheet.Targets) == 0 {
		return order, usage("the sheet names no place; add a line like: Target: folder:///mnt/usb/quietroom?name=USB")
	}
	var known []byte
	if o.known != "" {
		if known, err = os.ReadFile(o.known); err != nil {
			return order, err
		}
	}
	for i := range order.Sheet.Targets {
		t := &order.Sheet.Targets[i]
		t.Key, t.Known, t.SSHDir = o.key, strings.TrimSpace(string(known)), filepath.Join(filepath.Dir(o.dir), "."+filepath.Base(o.dir)+".restic")
	}
	if o.at != "" {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
			if order.At, err = time.ParseInLocation(layout, o.at, time.Local); err == nil {
				if layout == time.DateOnly {
					order.At = order.At.AddDate(0, 0, 1).Add(-time.Second)
				}
				break
			}
		}
		if err != nil {
			return order, usage("--at %s: want a time like 2026-11-24T15:00", o.at)
		}
	}
	order.Dir, order.Free = o.dir, freeSpace
	order.Step = func(what string) {
		if c.terminal {
			fmt.Fprintf(c.err, "%s…\n", what)
		}
	}
	return order, nil
}

// bringBack brings a house back and writes down, in the house, that it was.
func bringBack(ctx context.Context, order backup.Order, database string) (backup.Report, error) {
	order.Secret = secretIn
	order.Check = func(ctx context.Context, dir string, m backup.Manifest, erased []id.Patient, look func(*store.DB) error) (backup.Checked, error) {
		checked, err := makeHouse(ctx, dir, database, m, erased, look)
		if err != nil {
			return checked, err
		}
		for _, name := range []string{"records.sql", "wraps.sql"} { // the rows are in the database again
			if err := os.Remove(filepath.Join(dir, "saved", name)); err != nil {
				return checked, err
			}
		}
		return checked, noteReturn(ctx, dir)
	}
	return backup.BringBack(ctx, order)
}

// noteReturn appends the fact that the house was brought back. Its ledger goes on
// from there: a witness who has seen more will say so, and is right.
func noteReturn(ctx context.Context, dir string) error {
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = h.db.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: h.now(), Kind: "backup.brought-back"})
	})
	return errors.Join(err, h.close())
}

func (c *call) listStates(ctx context.Context, order backup.Order, asJSON bool) error {
	states, silent, err := backup.States(ctx, order)
	if err != nil {
		return sayPlainly(err)
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(map[string]any{"states": states, "silent": silent})
	}
	for _, s := range states {
		note := ""
		if !s.Whole {
			note = "  (its keys have expired, or were never there)"
		}
		fmt.Fprintf(c.out, "%s  %8s facts  %s%s\n", s.At.Local().Format("2006-01-02 15:04"), grouped(int(s.Facts)), strings.Join(s.Places, ", "), note)
	}
	for _, s := range silent {
		fmt.Fprintf(c.out, "Did not answer: %s\n", s)
	}
	if len(states) == 0 {
		return exit{exitFailed, nil}
	}
	return nil
}

func printRestored(w io.Writer, r backup.Report, dir string) {
	fmt.Fprintf(w, "The house of %s is back in %s, in %.1f s.\n", r.Saved.Local().Format("2 January 2006, 15:04"), dir, r.Took.Seconds())
	fmt.Fprintf(w, "Records from %s, keys from %s: %s files, %s.\n", r.From, r.KeysFrom, grouped(r.Files), megabytes(r.Bytes))
	fmt.Fprintf(w, "%s facts, %s records of %s patients; %d of 8 drill records opened. Whether patients' records open, their own people's keys will show.\n", grouped(int(r.Checked.Facts)), grouped(r.Checked.Records), grouped(r.Checked.Patients), r.Drill)
	if r.Erased > 0 {
		fmt.Fprintf(w, "%s erased patients are on the lists of the places; none of them came back.\n", grouped(r.Erased))
	}
	for _, s := range r.Silent {
		fmt.Fprintf(w, "Did not answer, so its list of the erased could not be read: %s.\n", s)
	}
	for _, p := range r.PassedBy {
		fmt.Fprintf(w, "Did not come back: %s.\n", p)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "Look at this: %s\n", f)
	}
	fmt.Fprintf(w, "What was written after that moment is lost. The head of the ledger read: %s.\nServe it under the same name as before: quietroom serve --dir %s\n", r.Checked.Head, dir)
}
