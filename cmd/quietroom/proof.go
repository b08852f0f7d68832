package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quietroom/layer"
)

type proofOptions struct {
	dir, out, period string
	json             bool
}

func (c *call) proofOptions() (o proofOptions, err error) {
	c.flags.StringVar(&o.dir, "dir", "", "the house's directory")
	c.flags.StringVar(&o.out, "out", "", "the `file` to write, like proof.zip")
	c.flags.StringVar(&o.period, "period", "12m", "how far back: `12m` for months, 30d for days, 2y for years")
	c.flags.BoolVar(&o.json, "json", false, "print one JSON document and nothing else")
	words, err := c.parse()
	if err == nil && (o.dir == "" || o.out == "" || len(words) > 0) {
		err = usage("which house, and where to? quietroom proof --dir D --out proof.zip")
	}
	return o, err
}

// proofCommand makes a binder. It stays on this machine: who hands it over reads
// it first.
func proofCommand(ctx context.Context, c *call) error {
	o, err := c.proofOptions()
	if err != nil {
		return err
	}
	if _, err := since(o.period, time.Now()); err != nil {
		return err
	}
	if o.out, err = absolute(o.out); err != nil {
		return err
	}
	args := []string{"--dir", o.dir, "--out", o.out, "--period", o.period}
	if o.json {
		args = append(args, "--json")
	}
	return c.withHouse(ctx, o.dir, "proof", args)
}

// since is the beginning of a period that ends now.
func since(period string, now time.Time) (time.Time, error) {
	bad := usage("--period %q: want a number of months, days or years, like 12m, 30d or 2y, and six years at most", period)
	if len(period) < 2 {
		return now, bad
	}
	n, err := strconv.Atoi(period[:len(period)-1])
	if err != nil || n < 1 || n > 3000 {
		return now, bad
	}
	from := now
	switch period[len(period)-1] {
	case 'm':
		from = now.AddDate(0, -n, 0)
	case 'd':
		from = now.AddDate(0, 0, -n)
	case 'y':
		from = now.AddDate(-n, 0, 0)
	default:
		return now, bad
	}
	if from.Before(now.AddDate(-6, 0, -1)) {
		return now, bad
	}
	return from, nil
}

// proofResult is what `quietroom proof --json` prints.
type proofResult struct {
	Out     string         `json:"out"`
	SHA256  string         `json:"sha256"`
	Bytes   int            `json:"bytes"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Entries int            `json:"entries"`
	Facts   int            `json:"facts"`
	Head    string         `json:"head"`     // six words
	States  map[string]int `json:"controls"` // how many of the 65 are in each state
	PDF     bool           `json:"pdf"`
	NoPDF   string         `json:"no_pdf,omitempty"`
	Read    string         `json:"read_first"`
}

// privilege is what stands before everything that leaves.
const privilege = "These pages are not privileged. Ask your lawyer first if somebody is investigating you."

func proofInHouse(ctx context.Context, h *house, c *call) error {
	o, err := c.proofOptions()
	if err != nil {
		return err
	}
	now := h.now()
	from, err := since(o.period, now)
	if err != nil {
		return err
	}
	if err := mayReplace(o.out); err != nil {
		return err
	}
	// What could not be asked stays as it was, and is not known when it runs out.
	if err := h.home.Look(ctx); err != nil && ctx.Err() != nil {
		return err
	}
	if err := h.proof.ReadLedger(ctx); err != nil {
		return err
	}
	if err := h.home.Look(ctx); err != nil && ctx.Err() != nil {
		return err
	}
	m, err := h.proof.Make(ctx, from, now)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Dir(o.out), filepath.Base(o.out), m.Bundle); err != nil {
		return err
	}
	hash := sha256.Sum256(m.Bundle)
	r := proofResult{Out: o.out, SHA256: hex.EncodeToString(hash[:]), Bytes: len(m.Bundle), From: m.From.UTC(), To: m.To.UTC(), Entries: m.Entries, Facts: m.Facts, Head: m.Head, States: map[string]int{}, PDF: m.PDF, NoPDF: m.NoPDF, Read: privilege}
	for s := layer.NotKnown; s <= layer.Urgent; s++ {
		r.States[s.String()] = m.Tally[s]
	}
	if o.json {
		return json.NewEncoder(c.out).Encode(r)
	}
	printProof(c.out, r)
	return nil
}

func printProof(w io.Writer, r proofResult) {
	fmt.Fprintf(w, "%s: %s to %s, %s entries, %s facts of the record of events.\n", r.Out, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), grouped(r.Entries), grouped(r.Facts))
	fmt.Fprintf(w, "Of 65 standards: %d Safe, %d Your word, %d Needs you, %d Urgent, %d Off on purpose, %d Checking, %d Not known.\n",
		r.States["Safe"], r.States["Your word"], r.States["Needs you"], r.States["Urgent"], r.States["Off, on purpose"], r.States["Checking"], r.States["Not known"])
	if !r.PDF {
		fmt.Fprintf(w, "There is no PDF in it: %s.\n", r.NoPDF)
	}
	fmt.Fprintf(w, "Head: %s\nRead the pages before you hand them over. %s\n", r.Head, r.Read)
}

// mayReplace tells whether the place is free, or holds an earlier binder.
func mayReplace(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	defer f.Close()
	begins := make([]byte, 43)
	if _, err := io.ReadFull(f, begins); err != nil || !bytes.HasSuffix(begins, []byte("contents.json")) {
		return fmt.Errorf("%s is there already, and is no binder; choose another name", path)
	}
	return nil
}

// verifyProofCommand checks a binder. It needs no house.
func verifyProofCommand(_ context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usage("check which file? quietroom verify-proof proof.zip")
	}
	r, err := verifyProof(words[0])
	if err != nil {
		if *asJSON {
			err = errors.Join(json.NewEncoder(c.out).Encode(map[string]any{"held": false, "error": err.Error(), "findings": []string{}}), err)
		}
		return err
	}
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printVerified(c.out, r)
	}
	if err == nil && !r.Held {
		err = exit{exitFailed, nil}
	}
	return err
}

func printVerified(w io.Writer, r verified) {
	if r.Held {
		fmt.Fprintf(w, "Every byte is as it was written: %s entries, %s facts, each with its proof.\n%s, %s to %s, made %s.\n", grouped(r.Entries), grouped(r.Facts),
			printable(r.Practice), r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), r.Made.Format("2006-01-02 15:04 MST"))
		fmt.Fprintf(w, "Head: %s\n", r.Head)
		for _, l := range r.Letters {
			fmt.Fprintf(w, "The letter of %s said: %s\n", l.On, l.Head)
		}
		fmt.Fprintln(w, "A file that brings its own key shows only that it is whole. Compare the six words with a letter that the owner has on paper.")
		return
	}
	fmt.Fprintln(w, "It was changed:")
	for _, f := range r.Findings {
		if f.Entry != "" {
			fmt.Fprintf(w, "  %s: %s.\n", f.Entry, f.Text)
			continue
		}
		fmt.Fprintf(w, "  The file: %s.\n", f.Text)
	}
	fmt.Fprintln(w, "Ask for the binder again, and keep this file as it is.")
}

// printable keeps what a stranger chose from acting on a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
