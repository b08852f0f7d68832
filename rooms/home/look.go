package home

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"quietroom/layer"
)

// look asks every room and keeps what they say. A room that could not answer
// keeps what it said before, which runs out by itself. A look that was interrupted
// is not kept: its context has ended.
func (h *Home) look(ctx context.Context) error {
	var said answers
	for e, err := range h.Evidence(ctx) {
		said.add(e, err)
	}
	return errors.Join(errors.Join(said.errs...), h.keep(ctx, said), h.count(ctx))
}

// Look asks every room now, for whoever cannot wait for the job.
func (h *Home) Look(ctx context.Context) error { return h.look(ctx) }

func (h *Home) count(ctx context.Context) error {
	n, err := h.Patients(ctx)
	if err != nil {
		return fmt.Errorf("count patients: %w", err)
	}
	return h.keepCount(ctx, n)
}

// answers is what the rooms said in one look.
type answers struct {
	seen   []layer.Evidence
	silent map[string]bool // claims and rooms that could not answer; "" if nobody knows which
	errs   []error
}

func (a *answers) add(e layer.Evidence, err error) {
	if err == nil {
		a.seen = append(a.seen, e)
		return
	}
	if a.silent == nil {
		a.silent = map[string]bool{}
	}
	a.silent[e.Claim], a.silent[roomOf(e.Claim)] = true, true
	a.errs = append(a.errs, fmt.Errorf("look at %q: %w", e.Claim, err))
}

// replaces tells whether this look says something new of a claim. Where a part
// of a claim could not be seen, all of it stays as it was.
func (a *answers) replaces(claim string) bool { return !a.silent[claim] }

// forgets tells whether a claim that nobody made any more is gone for good.
func (a *answers) forgets(claim string) bool { return !a.silent[roomOf(claim)] && !a.silent[""] }

func roomOf(claim string) string {
	room, _, _ := strings.Cut(claim, ".")
	return room
}
