package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/web"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic"
)

// backupOptions are the words of `quietroom backup`.
type backupOptions struct {
	dir, name, user, secret, region, key, known, keep string
	agreement, contact, because, out                  string
	unlock                                            string
	outside, json                                     bool
	up, every                                         int
}

func (o *backupOptions) add(f *flag.FlagSet) {
	f.StringVar(&o.dir, "dir", "", "the house's directory")
	f.BoolVar(&o.json, "json", false, "print one JSON document and nothing else")
	f.StringVar(&o.name, "name", "", "add, remove, word: what the place is called")
	f.StringVar(&o.user, "user", "", "add: user, or the access key of S3")
	f.StringVar(&o.secret, "secret", "", "add: a file with the password, or the secret of S3")
	f.StringVar(&o.region, "region", "", "add: region of S3")
	f.StringVar(&o.key, "key", "", "add: a file with the private key for SFTP")
	f.StringVar(&o.known, "known", "", "add: a file with the SFTP server's line of known_hosts")
	f.BoolVar(&o.outside, "outside", false, "add: the place is out of the house")
	f.IntVar(&o.up, "up", 0, "add: at most so many KiB a second; 0 is no limit")
	f.StringVar(&o.agreement, "agreement", "", "add, word: day of the agreement with the place's keeper")
	f.StringVar(&o.contact, "contact", "", "add, word: whom to call there")
	f.StringVar(&o.because, "because", "", "add, word: why it is no business associate")
	f.IntVar(&o.every, "every", 0, "schedule: minutes between backups")
	f.StringVar(&o.keep, "keep", "", "schedule: how long records are kept, in words")
	f.StringVar(&o.unlock, "unlock", "", "keys: a file that holds a personal code; - reads it from standard input")
	f.StringVar(&o.out, "out", "", "sheet: write it to a file outside the house")
}

const backupWords = "run (or nothing), add folder|sftp|s3|rest PLACE, list, prove, keys, expire, sheet, schedule, word, remove"

func backupCommand(ctx context.Context, c *call) error {
	var o backupOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	if o.dir == "" || len(words) > 0 && !slices.Contains([]string{"run", "add", "list", "prove", "keys", "expire", "sheet", "schedule", "word", "remove"}, words[0]) {
		return usage("back up which house? quietroom backup --dir D. It also knows: %s", backupWords)
	}
	// A served house reads files by the names that this process gives.
	for _, f := range []*string{&o.secret, &o.key, &o.known, &o.out, &o.unlock} {
		if *f, err = absolute(*f); err != nil {
			return err
		}
	}
	if len(words) > 2 && words[1] == backup.Folder {
		if words[2], err = filepath.Abs(words[2]); err != nil {
			return err
		}
	}
	args := slices.Clone(words)
	c.flags.Visit(func(f *flag.Flag) {
		value := f.Value.String()
		switch f.Name {
		case "secret", "key", "known", "out", "unlock":
			value, _ = absolute(value)
		}
		args = append(args, "--"+f.Name+"="+value)
	})
	return c.withHouse(ctx, o.dir, "backup", args)
}

// backupResult is what `quietroom backup --json` prints.
type backupResult struct {
	Held    bool             `json:"held"`
	Places  []backup.Outcome `json:"places,omitempty"`
	Proof   *backup.Proof    `json:"proof,omitempty"`
	Expired *backup.Expired  `json:"expired,omitempty"`
	Keys    *backup.Opening  `json:"keys,omitempty"`
	TookMS  int64            `json:"took_ms"`
}

func backupInHouse(ctx context.Context, h *house, c *call) error {
	var o backupOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	word := "run"
	if len(words) > 0 {
		word, words = words[0], words[1:]
	}
	began := time.Now()
	r := backupResult{Held: true}
	switch word {
	case "run":
		bar := c.progress("Backing up")
		r.Places, err = h.backup.Run(ctx, func(_ string, done, total int64) { bar.step(int(done>>10), int(total>>10)) })
		bar.end()
		for _, p := range r.Places {
			r.Held = r.Held && p.Failed == ""
		}
	case "prove":
		var p backup.Proof
		p, err = h.backup.Prove(ctx, nil)
		r.Proof, r.Held = &p, p.Held
	case "keys":
		var k backup.Opening
		k, err = h.tryKeys(ctx, c, o.unlock)
		r.Keys, r.Held = &k, k.Failed == 0
	case "expire":
		var e backup.Expired
		e, err = h.backup.Expire(ctx)
		r.Expired = &e
	case "add":
		return h.addTarget(ctx, c, o, words)
	case "list":
		return h.listTargets(ctx, c, o)
	case "sheet":
		return h.writeSheet(ctx, c, o)
	case "schedule":
		return h.setSchedule(ctx, c, o)
	default:
		return h.changeTarget(ctx, c, o, word)
	}
	if errors.Is(err, restic.ErrMissing) {
		return exit{exitSkipped, restic.ErrMissing}
	}
	if err != nil && len(r.Places) == 0 {
		return sayPlainly(err)
	}
	r.TookMS = time.Since(began).Milliseconds()
	if o.json {
		if err := json.NewEncoder(c.out).Encode(r); err != nil {
			return err
		}
	} else {
		printBackup(c.out, r)
	}
	if !r.Held || err != nil {
		return exit{exitFailed, nil}
	}
	return nil
}

// sayPlainly prints a page's error as its sentence and fix.
func sayPlainly(err error) error {
	if e, ok := errors.AsType[*web.Error](err); ok {
		return fmt.Errorf("%s %s", e.Text, e.Fix)
	}
	return err
}

func printBackup(w io.Writer, r backupResult) {
	for _, p := range r.Places {
		switch {
		case p.Waits:
			fmt.Fprintf(w, "%s: waits. Nobody has written down the agreement yet: quietroom backup word --name …\n", p.Name)
		case p.Failed != "":
			fmt.Fprintf(w, "%s: failed, %s.\n", p.Name, p.Failed)
		default:
			fmt.Fprintf(w, "%s: saved in %.1f s, %s new.\n", p.Name, p.Saved.Took.Seconds(), megabytes(p.Saved.Added))
		}
	}
	if p := r.Proof; p != nil {
		for _, s := range p.Skipped {
			fmt.Fprintf(w, "Passed over: %s.\n", s)
		}
		if p.Held {
			fmt.Fprintf(w, "The newest backup at %s came back and was checked in %.1f s: %s facts, %s records of %s patients, %d drill records opened.\nThis shows that all came back as it was saved; whether patients' records open, only their own people's keys can show.\n",
				p.Target, p.Took.Seconds(), grouped(int(p.Checked.Facts)), grouped(p.Checked.Records), grouped(p.Checked.Patients), p.Drill)
		}
		for _, f := range p.Findings {
			fmt.Fprintln(w, "It does not hold:", f)
		}
	}
	if k := r.Keys; k != nil {
		fmt.Fprintf(w, "%s of %s keys opened this week; %s wait for %s.\n%s of the %s in the newest copy that was brought back are among them, byte for byte.\n",
			grouped(k.Opened), grouped(k.All), grouped(k.Waiting), strings.Join(append(k.Wait, "nobody")[:max(1, len(k.Wait))], ", "), grouped(k.Same), grouped(k.Restored))
		if k.Failed > 0 {
			fmt.Fprintf(w, "%s keys do not open with the keys of the people they are meant for.\n", grouped(k.Failed))
		}
	}
	if e := r.Expired; e != nil {
		fmt.Fprintf(w, "%d copies of keys read back. Gone: %d copies of keys, %d states of records.\n", e.Verified, e.Keys, e.Records)
		if e.Waits != "" {
			fmt.Fprintf(w, "Nothing expires now: %s.\n", e.Waits)
		}
		if len(e.Unreachable) > 0 {
			fmt.Fprintf(w, "These places were not reachable: %s.\n", strings.Join(e.Unreachable, ", "))
		}
	}
}

// tryKeys opens, with one person's keys, every key that they reach.
func (h *house) tryKeys(ctx context.Context, c *call, file string) (k backup.Opening, err error) {
	ctx, done, err := h.unlock(ctx, c, file)
	if err != nil {
		return k, err
	}
	defer done()
	return h.backup.TryKeys(ctx)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func (h *house) addTarget(ctx context.Context, c *call, o backupOptions, words []string) error {
	if len(words) != 2 {
		return usage("add which place? quietroom backup add folder /mnt/usb/quietroom --name \"USB disk\" --dir D")
	}
	t := backup.Target{Kind: words[0], Place: words[1], Name: o.name, User: o.user, Region: o.region, Key: o.key, Outside: o.outside, UpKiB: o.up}
	if t.Name == "" {
		t.Name = strings.ToUpper(t.Kind[:1]) + t.Kind[1:]
	}
	for file, into := range map[string]*string{o.secret: &t.Secret, o.known: &t.Known} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		*into = strings.TrimSpace(string(text))
	}
	if o.agreement != "" || o.because != "" {
		t.Word = &backup.Word{Agreement: o.agreement, Contact: o.contact, Because: o.because, By: "whoever looks after the server", At: time.Now()}
	}
	t, tried, err := h.backup.AddTarget(ctx, t)
	if err != nil {
		return sayPlainly(err)
	}
	fmt.Fprintf(c.out, "%s is taken: written, read back%s in %.1f s.\n", t.Name, map[bool]string{true: " and removed", false: ""}[tried.Expires], tried.Took.Seconds())
	if tried.KeysNot != "" {
		fmt.Fprintf(c.out, "It gets no keys. %s\n", tried.KeysNot)
	}
	if tried.Lock > 0 {
		fmt.Fprintf(c.out, "For %d days nobody can remove what is written there.\n", tried.Lock)
	}
	if t.Outside && t.Word == nil && h.MadeUp == nil {
		fmt.Fprintf(c.out, "It gets no patients' data until the agreement with its keeper is written down:\n  quietroom backup word --name %q --agreement 2026-01-31 --contact … --dir %s\n", t.Name, h.dir)
	}
	return nil
}

func (h *house) placeNamed(ctx context.Context, name string) (backup.Target, error) {
	all, err := h.backup.Targets(ctx)
	if err != nil {
		return backup.Target{}, err
	}
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
	}
	return backup.Target{}, usage("no place is called %q; `quietroom backup list` names them", name)
}

func (h *house) changeTarget(ctx context.Context, c *call, o backupOptions, word string) error {
	t, err := h.placeNamed(ctx, o.name)
	if err != nil {
		return err
	}
	if word == "remove" {
		if err := h.backup.RemoveTarget(ctx, t.ID); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is off the list. What lies there stays there: wipe it, or keep it locked away.\n", t.Name)
		return nil
	}
	err = h.backup.Promise(ctx, t.ID, backup.Word{Agreement: o.agreement, Contact: o.contact, Because: o.because, By: "whoever looks after the server"})
	if err != nil {
		return sayPlainly(err)
	}
	fmt.Fprintf(c.out, "Written down. %s gets backups from now on.\n", t.Name)
	return nil
}

func (h *house) setSchedule(ctx context.Context, c *call, o backupOptions) error {
	s, err := h.backup.Settings(ctx)
	if err != nil {
		return err
	}
	if o.every > 0 {
		s.EveryMinutes = o.every
	}
	if o.keep != "" {
		s.Keep = o.keep
	}
	if err := h.backup.SetSchedule(ctx, s.EveryMinutes, s.Keep); err != nil {
		return sayPlainly(err)
	}
	fmt.Fprintf(c.out, "Every %s; kept: %s. Copies of keys: 35 days.\n", web.Minutes(s.EveryMinutes), s.Keep)
	return nil
}

func (h *house) listTargets(ctx context.Context, c *call, o backupOptions) error {
	targets, err := h.backup.Targets(ctx)
	if err != nil {
		return err
	}
	last, err := h.backup.Last(ctx)
	if err != nil {
		return err
	}
	type row struct {
		Name    string       `json:"name"`
		Kind    string       `json:"kind"`
		Place   string       `json:"place"`
		Outside bool         `json:"outside"`
		Expires bool         `json:"expires"`
		KeysNot string       `json:"keys_not,omitempty"`
		Lock    int          `json:"lock_days,omitempty"`
		Last    backup.Saved `json:"last,omitzero"`
	}
	rows := []row{}
	for _, t := range targets {
		rows = append(rows, row{t.Name, t.Kind, t.Place, t.Outside, t.Expires, t.KeysNot, t.Lock, last[t.ID]})
	}
	if o.json {
		return json.NewEncoder(c.out).Encode(map[string]any{"places": rows})
	}
	for _, r := range rows {
		when := "nothing saved yet"
		if !r.Last.At.IsZero() {
			when = "saved " + web.Age(time.Now(), r.Last.At)
		}
		fmt.Fprintf(c.out, "%-24s %-6s %s, %s\n", r.Name, r.Kind, r.Place, when)
	}
	return nil
}

// writeSheet prints the recovery sheet, or writes it to a file outside the house.
func (h *house) writeSheet(ctx context.Context, c *call, o backupOptions) error {
	s, err := h.backup.Sheet(ctx)
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err = io.WriteString(c.out, s.Text())
		return err
	}
	if err := outside(h.dir, o.out); err != nil {
		return errors.New("the sheet has to lie outside the house: what takes the house would take it too")
	}
	return writeFile(filepath.Dir(o.out), filepath.Base(o.out), []byte(s.Text()))
}
