package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/ledger"
	"quietroom/rooms/vault"
)

type verifyOptions struct {
	dir, witness string
	json         bool
}

func (o *verifyOptions) add(f *flag.FlagSet) {
	f.StringVar(&o.dir, "dir", "", "the house's directory")
	f.StringVar(&o.witness, "witness", "", "a file with a head that was kept elsewhere: finds what was cut off or rewritten with the house's own key")
	f.BoolVar(&o.json, "json", false, "print one JSON document and nothing else")
}

func verifyCommand(ctx context.Context, c *call) error {
	var o verifyOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	if o.dir == "" || len(words) > 0 {
		return usage("verify which house? quietroom verify --dir D")
	}
	if o.witness, err = absolute(o.witness); err != nil {
		return err
	}
	args := []string{"--dir", o.dir, "--witness", o.witness}
	if o.json {
		args = append(args, "--json")
	}
	return c.withHouse(ctx, o.dir, "verify", args)
}

// verifyResult is what `quietroom verify --json` prints.
type verifyResult struct {
	Held    bool            `json:"held"`
	Facts   int64           `json:"facts"`
	Head    string          `json:"head"` // six words
	Finding *ledger.Finding `json:"finding,omitempty"`
	Report  ledger.Report   `json:"report"`
	Records vault.Verified  `json:"records"` // what is stored, against the ledger
}

func verifyInHouse(ctx context.Context, h *house, c *call) error {
	var o verifyOptions
	o.add(c.flags)
	if _, err := c.parse(); err != nil {
		return err
	}
	var options ledger.Options
	if o.witness != "" {
		kept, err := h.readWitness(o.witness)
		if err != nil {
			return err
		}
		options.Witness = []ledger.Checkpoint{kept}
	}
	bar := c.progress("Checking facts")
	options.Step = func(done, total int64) { bar.step(int(done), int(total)) }
	report, err := h.ledger.Verify(ctx, options)
	bar.end()
	if err != nil {
		return err
	}
	var records vault.Verified
	if report.Held() { // records are compared with a ledger that holds
		bar = c.progress("Comparing records")
		records, err = h.vault.Verify(ctx, bar.step)
		bar.end()
		if err != nil {
			return err
		}
	}
	words := report.Head.Words()
	result := verifyResult{Records: records, Held: report.Held() && records.Finding == "", Facts: report.Facts, Head: strings.Join(words[:], " · "), Finding: report.Finding, Report: report}
	if o.json {
		err = json.NewEncoder(c.out).Encode(result)
	} else {
		printVerify(c.out, result)
	}
	if err == nil && !result.Held {
		err = exit{exitFailed, nil}
	}
	return err
}

func (h *house) readWitness(file string) (ledger.Checkpoint, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("read the witnessed head: %w", err)
	}
	key, err := readLedgerKey(h.dir)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	kept, err := ledger.ParseCheckpoint(text, key)
	if err != nil {
		return kept, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return kept, nil
}

func printVerify(w io.Writer, r verifyResult) {
	if r.Held {
		fmt.Fprintf(w, "The ledger holds: %s facts, all as they were signed.\n", grouped(int(r.Facts)))
		fmt.Fprintf(w, "All %s records of %s patients are the ones that were written.\nHead: %s\n", grouped(r.Records.Records), grouped(r.Records.Patients), r.Head)
		if r.Report.Witness == 0 {
			fmt.Fprintln(w, "No head kept elsewhere was compared: whoever holds the house's own key could have rewritten it. --witness FILE compares one.")
		}
		return
	}
	what := r.Records.Finding
	if r.Finding != nil {
		what = r.Finding.Text
	}
	fmt.Fprintf(w, "It does not hold: %s.\nStop, keep a copy of the directory as it is, and talk to the owner. Do not repair it.\n", what)
}
