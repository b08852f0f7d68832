package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/exchange"
)

type exportOptions struct {
	dir, unlock, out, patient string
	json                      bool
}

func (o *exportOptions) add(f *flag.FlagSet) {
	f.StringVar(&o.dir, "dir", "", "the house's directory")
	f.StringVar(&o.unlock, "unlock", "", "a file with a personal code; - reads it from standard input")
	f.StringVar(&o.out, "out", "", "a new or empty folder; everybody who has it can read it")
	f.StringVar(&o.patient, "patient", "", "only this patient: the identifier in the address of the patient's page")
	f.BoolVar(&o.json, "json", false, "print one JSON document and nothing else on standard output")
}

func exportCommand(ctx context.Context, c *call) error {
	var o exportOptions
	o.add(c.flags)
	words, err := c.parse()
	if err != nil {
		return err
	}
	if o.dir == "" || o.out == "" || len(words) > 0 {
		return usage("export which house, where to? quietroom export --dir D --unlock FILE --out O")
	}
	if o.patient != "" {
		if err := id.Check(o.patient); err != nil {
			return usage("--patient: %v", err)
		}
	}
	unlock, err := absolute(o.unlock)
	if err != nil {
		return err
	}
	out, err := absolute(o.out)
	if err != nil {
		return err
	}
	args := []string{"--dir", o.dir, "--unlock", unlock, "--out", out, "--patient", o.patient}
	if o.json {
		args = append(args, "--json")
	}
	return c.withHouse(ctx, o.dir, "export", args)
}

func exportInHouse(ctx context.Context, h *house, c *call) error {
	var o exportOptions
	o.add(c.flags)
	if _, err := c.parse(); err != nil {
		return err
	}
	session, done, err := h.unlock(ctx, c, o.unlock)
	if err != nil {
		return err
	}
	defer done()
	if err := h.approved(ctx, session, c); err != nil {
		return err
	}
	bar := c.progress("Exporting")
	r, err := h.exchange.Export(session, o.out, exchange.Takeout{Patient: id.Patient(o.patient), Step: func(p exchange.Progress) {
		bar.step(int(p.Done), int(p.Total))
	}})
	bar.end()
	if errors.Is(err, layer.ErrUnknown) {
		return fmt.Errorf("there is no patient %s here; the identifier stands in the address of the patient's page", o.patient)
	}
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printExported(c.out, r)
	}
	if err == nil && len(r.Missing) > 0 {
		err = exit{exitFailed, nil}
	}
	return err
}

func printExported(w io.Writer, r exchange.Exported) {
	fmt.Fprintf(w, "%s patients, %s resources (%s), %s notes and files.\n", grouped(r.Patients), grouped(r.Resources), types(r.Types), grouped(r.Files))
	if r.Closed > 0 {
		fmt.Fprintf(w, "%s patients are in the care of others: only what this person may open was exported.\n", grouped(r.Closed))
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "Patient %s could not be read whole and was left out: %s\n", m.Patient, m.Reason)
	}
	fmt.Fprintln(w, r.Warning)
}

// approved has an export of a real house that is being served wait for an
// owner's tap in a browser. Where nobody serves, whoever holds the machine and a
// code is there alone anyway, and the fact tells.
func (h *house) approved(ctx, session context.Context, c *call) error {
	if h.MadeUp != nil || !h.served.Load() {
		return nil
	}
	path, wait, err := h.identity.Ask(session, "export", id.From(session))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "This export waits for an owner's tap, for 10 minutes. An owner opens this page:\n  %s%s\n", h.Origin, path)
	return wait(ctx)
}
