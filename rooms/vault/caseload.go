package vault

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"quietroom/ground/id"
	"quietroom/layer"
)

// Caseload returns what lists show of the acting person's own patients, those
// whom a care team of the person cares for, as far as fits says so; in order of
// names, at most limit. gate is what the gate is asked for: a compartment, or
// layer.GateEmergency. It looks through the sealed directory and opens no
// compartment. Like a search it appends one fact with the number shown, and a
// sealed list of whom.
func (v *Vault) Caseload(ctx context.Context, gate string, fits func(Line) bool, limit int) (Found, error) {
	all, err := v.teams(ctx)
	if err != nil {
		return Found{}, err
	}
	if v.Gate != nil {
		if err := v.Gate.MayOpen(ctx, id.From(ctx), gate); err != nil {
			return Found{}, err
		}
	}
	if err := v.ready(ctx); err != nil {
		return Found{}, err
	}
	own := func(l Line) bool { return slices.ContainsFunc(l.Care, all.mine) }
	keys := v.dirKeys(ctx, all)
	lines, here, err := v.ofTeams(keys, all)
	if err != nil {
		return Found{}, err
	}
	f := Found{All: here}
	for _, l := range lines {
		if own(l.Line) && fits(l.Line) {
			f.Lines = append(f.Lines, l.Line)
		}
	}
	f.Total = len(f.Lines)
	f.Lines = f.Lines[:min(limit, len(f.Lines))]
	return f, v.recordSearch(ctx, keys, f)
}

// mine tells whether the acting person is in a care team.
func (t teams) mine(team id.Team) bool {
	x, ok := t.by(team)
	return ok && x.Mine && x.Kind == "care"
}

// ofTeams returns the lines that name a team of the acting person, in order of
// names, and how many patients there are.
func (v *Vault) ofTeams(keys *dirKeys, all teams) (lines []dirLine, here int, err error) {
	var own [][]byte
	for _, t := range all.all {
		if all.mine(t.ID) {
			own = append(own, []byte(t.ID))
		}
	}
	if err := v.hold(keys); err != nil {
		return nil, 0, err
	}
	defer v.dir.mu.RUnlock()
	for _, s := range v.dir.segments() {
		here += s.n - s.gone
		some, err := v.linesOf(keys, s, own)
		if err != nil {
			return nil, 0, err
		}
		lines = append(lines, some...)
	}
	changed, err := v.openPending(keys)
	if err != nil {
		return nil, 0, err
	}
	here += len(changed)
	lines = append(lines, changed...)
	for i := range lines {
		lines[i].text = fold(lines[i].Name)
	}
	slices.SortFunc(lines, dirLine.compare)
	return lines, here, nil
}

// linesOf opens a segment block by block, and reads the lines that hold one of
// some words.
func (v *Vault) linesOf(keys *dirKeys, s *segment, words [][]byte) (lines []dirLine, err error) {
	key, err := keys.of(s.epoch)
	if err != nil {
		return nil, err
	}
	var block []byte
	defer func() { clear(block) }()
	for n := range s.blocks {
		if block, err = key.OpenInto(block[:0], s.blocks[n], v.segmentSlot("lines", s, n)); err != nil {
			return nil, fmt.Errorf("%w: the directory", ErrChanged)
		}
		at := n * blockSize
		for one := range bytes.Lines(block) {
			place := at
			at++
			if s.dead[place] || !slices.ContainsFunc(words, func(w []byte) bool { return bytes.Contains(one, w) }) {
				continue
			}
			l, err := readLine(bytes.TrimSuffix(one, newline))
			if err != nil {
				return nil, err
			}
			lines = append(lines, dirLine{Line: l})
		}
	}
	return lines, nil
}

// OpenEmergency is Open for the emergency card of a patient in one's own care:
// the gate is asked for that and not for a compartment, and the fact says
// "emergency". Nothing is written in what it returns. ErrNotYours for whoever
// holds the compartment's key and is in no care team of the patient, a broken
// glass included.
func (v *Vault) OpenEmergency(ctx context.Context, p id.Patient, part string) (*Compartment, error) {
	return v.enter(ctx, p, part, layer.GateEmergency)
}
