package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"quietroom/ground/id"
	"quietroom/rooms/exchange"
)

type importOptions struct {
	dir, unlock string
	json        bool
	unscanned   bool
}

func (o *importOptions) add(f *flag.FlagSet) {
	f.StringVar(&o.dir, "dir", "", "the house's directory")
	f.StringVar(&o.unlock, "unlock", "", "a file with the importer's personal code; - reads it from standard input")
	f.BoolVar(&o.unscanned, "unscanned", false, "take in files that cannot be looked through for malware, marked as not scanned")
	f.BoolVar(&o.json, "json", false, "print one JSON document and nothing else on standard output")
}

func importCommand(ctx context.Context, c *call) error {
	var o importOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	if o.dir == "" || len(words) < 2 || words[0] != "fhir" {
		return usage("import what, into which house? quietroom import fhir PATH... --dir D --unlock FILE")
	}
	args, err := o.forHouse(words[1:])
	if err != nil {
		return err
	}
	return c.withHouse(ctx, o.dir, "import", args)
}

// forHouse writes the options so that another process, in another folder, understands them.
func (o *importOptions) forHouse(paths []string) ([]string, error) {
	unlock, err := absolute(o.unlock)
	if err != nil {
		return nil, err
	}
	args := []string{"--dir", o.dir, "--unlock", unlock}
	if o.json {
		args = append(args, "--json")
	}
	if o.unscanned {
		args = append(args, "--unscanned")
	}
	args = append(args, "--")
	for _, p := range paths {
		if p, err = absolute(p); err != nil {
			return nil, err
		}
		args = append(args, p)
	}
	return args, nil
}

func importInHouse(ctx context.Context, h *house, c *call) error {
	var o importOptions
	o.add(c.flags)
	paths, err := c.parse()
	if err != nil {
		return err
	}
	session, done, err := h.unlock(ctx, c, o.unlock)
	if err != nil {
		return err
	}
	defer done()
	care, err := h.identity.OwnTeam(session, id.From(session).Person)
	if err != nil {
		return fmt.Errorf("imported patients belong to the importer's care team: %w", err)
	}
	bar := c.progress("Importing")
	r, err := h.exchange.Import(session, paths, exchange.Options{Care: []id.Team{care}, Unscanned: o.unscanned, Step: func(p exchange.Progress) {
		bar.step(int(p.Done/1000), int(p.Total/1000))
	}})
	bar.end()
	for i := range r.Problems {
		p := &r.Problems[i]
		if !fhirID.MatchString(p.Patient) {
			p.Patient = "" // no identifier: a name, perhaps
		}
		fmt.Fprintln(c.err, p.Detail())
	}
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printImported(c.out, r)
	}
	if err == nil && r.Bad > 0 {
		err = exit{exitFailed, nil}
	}
	return err
}

// fhirID is what an identifier looks like (hl7.org/fhir/R4/datatypes.html#id).
var fhirID = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

func printImported(w io.Writer, r exchange.Imported) {
	fmt.Fprintf(w, "%s patients: %s new, %s changed, %s as they were.\n", grouped(r.Patients), grouped(r.New), grouped(r.Changed), grouped(r.Unchanged))
	if r.Resources > 0 {
		fmt.Fprintf(w, "%s resources, of which %s belong to no patient: %s.\n", grouped(r.Resources), grouped(r.Shared), types(r.Types))
	}
	if r.NotScanned > 0 {
		fmt.Fprintf(w, "%s of %s files in them were not looked through for malware, and came in all the same. `quietroom doctor` says what the scanner lacks.\n", grouped(r.NotScanned), grouped(r.Files))
	}
	if r.Bad > 0 {
		fmt.Fprintf(w, "Left out: %s, listed above with the reason.\n", grouped(r.Bad))
	}
	if r.LeftAlone > 0 {
		fmt.Fprintf(w, "%s files are not FHIR and were left alone.\n", grouped(r.LeftAlone))
	}
}

func types(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %s", grouped(counts[name]), name))
	}
	return strings.Join(parts, ", ")
}
