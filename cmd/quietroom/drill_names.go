package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/vault"
)

// The part of row-swap that changes the sealed directory and the tags of outside
// names. After each change it is loaded anew, as after a restart, and the front
// desk lists all names and asks for a patient by an outside name.

type names struct {
	*swaps
	dice   dice
	before []row
	rows   []row
	once   []row // the directory before its last merge
	all    layer.Found
	tagged map[string]id.Patient
}

func (d *swaps) directory(ctx context.Context) error {
	n := &names{swaps: d, dice: dice(d.seed ^ 0xd12), tagged: map[string]id.Patient{}}
	if err := n.furnish(ctx); err != nil {
		return fmt.Errorf("prepare the directory: %w", err)
	}
	_, times, _ := d.times()
	for range times {
		if err := n.one(ctx); err != nil {
			return err
		}
	}
	if noticed, accepted := n.look(ctx); noticed || accepted {
		return fmt.Errorf("all rows were put back, and the directory reads otherwise (seed %d)", d.seed)
	}
	return nil
}

// furnish tags some patients, and changes cards until the directory is merged:
// so it has a base, an older base, and a tail.
func (n *names) furnish(ctx context.Context) error {
	session := n.sessions["owner-1"]
	for merges := 0; merges < 2; {
		was, err := n.read(ctx)
		if err != nil {
			return err
		}
		if err := n.touch(session, n.cast); err != nil {
			return err
		}
		if n.before, err = n.read(ctx); err != nil {
			return err
		}
		if merged(n.before) > merged(was) {
			n.once, merges = was, merges+1
		}
	}
	b, err := n.vault.Begin(session)
	if err != nil {
		return err
	}
	defer b.Drop()
	for _, p := range n.cast[:min(20, len(n.cast))] {
		name := string(id.New[id.Record]())
		if err := b.Tag(session, p.id, name); err != nil {
			return err
		}
		n.tagged[name] = p.id
	}
	if err := b.Commit(session); err != nil {
		return err
	}
	for range 2 {
		if err := n.touch(session, n.cast[:min(20, len(n.cast))]); err != nil {
			return err
		}
	}
	if n.before, err = n.read(ctx); err != nil {
		return err
	}
	n.all, err = vault.New(n.vault.Config).Search(n.sessions["front-desk-1"], "", 10_000)
	return err
}

func merged(rows []row) int64 {
	for _, r := range rows {
		if r.table == "vault_generation" {
			return r.number("merged")
		}
	}
	return 0
}

// touch writes cards again.
func (n *names) touch(ctx context.Context, some []*patientRows) error {
	b, err := n.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	for _, p := range some {
		c, err := b.In(ctx, p.id, vault.Identity)
		if err != nil {
			return err
		}
		card, version, err := c.Card(ctx)
		if err != nil {
			return err
		}
		if err := b.SetCard(ctx, c, card, version); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func (n *names) read(ctx context.Context) (all []row, err error) {
	for _, table := range []string{"vault_directory", "vault_tail", "vault_generation", "vault_index"} {
		some, err := readRows(ctx, n.Trial.DB, table, "")
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (n *names) one(ctx context.Context) error {
	m := nameMutations[n.dice.below(int64(len(nameMutations)))]
	for n.rows = copyRows(n.before); !m.do(n) || slices.EqualFunc(n.before, n.rows, row.equal); n.rows = copyRows(n.before) {
		m = nameMutations[n.dice.below(int64(len(nameMutations)))]
	}
	after := n.rows
	if err := turn(ctx, n.Trial.DB, n.before, after); err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	noticed, accepted := n.look(ctx)
	n.tally(m.name, "the directory", noticed, accepted)
	return turn(ctx, n.Trial.DB, after, n.before)
}

// look loads the directory anew, lists all names, and asks for each tagged patient.
func (n *names) look(context.Context) (noticed, accepted bool) {
	session := n.sessions["front-desk-1"]
	v := vault.New(n.vault.Config)
	if n.weakened {
		v.Weaken()
	}
	f, err := v.Search(session, "", 10_000)
	if err != nil {
		noticed = true
	} else {
		accepted = !reflect.DeepEqual(f, n.all)
	}
	for name, p := range n.tagged {
		switch got, err := v.Find(session, name); {
		case err != nil && !errors.Is(err, layer.ErrUnknown):
			noticed = true
		case got != p:
			accepted = true
		}
	}
	return noticed, accepted
}

func (n *names) of(table string) []*row {
	var some []*row
	for i := range n.rows {
		if n.rows[i].table == table {
			some = append(some, &n.rows[i])
		}
	}
	return some
}

func (n *names) any(table string) *row {
	some := n.of(table)
	return some[n.dice.below(int64(len(some)))]
}

type nameMutation struct {
	name string
	do   func(*names) bool
}

func inRow(table string, do func(n *names, r *row)) func(*names) bool {
	return func(n *names) bool { do(n, n.any(table)); return true }
}

func flipName(column string) func(*names, *row) {
	return func(n *names, r *row) { b := r.bytes(column); b[n.dice.below(int64(len(b)))] ^= 1 << n.dice.below(8) }
}

var nameMutations = []nameMutation{
	{"a bit of the directory's texts", inRow("vault_directory", flipName("texts"))},
	{"a bit of the directory's lines", inRow("vault_directory", flipName("lines"))},
	{"a bit of the directory's identifiers", inRow("vault_directory", flipName("ids"))},
	{"a part of the directory deleted", inRow("vault_directory", func(_ *names, r *row) { r.gone = true })},
	{"a part of the directory twice", inRow("vault_directory", func(n *names, r *row) {
		double := copyRows([]row{*r})[0]
		double.cells["segment"] = r.number("segment") + 1
		n.rows = append(n.rows, double)
	})},
	{"a part of the directory under an attacker's key", inRow("vault_directory", func(_ *names, r *row) {
		theirs := seal.NewKey()
		for _, c := range []string{"ids", "texts"} {
			r.cells[c] = theirs.Seal(bytes.Repeat([]byte("A"), 26), seal.Slot{Kind: "directory-" + c})
		}
	})},
	{"older directory put back", (*names).older},
	{"a change of the directory deleted", inRow("vault_tail", func(_ *names, r *row) { r.gone = true })},
	{"all changes of the directory deleted", func(n *names) bool {
		for _, r := range n.of("vault_tail") {
			r.gone = true
		}
		return true
	}},
	{"a change of another patient", func(n *names) bool {
		a, b := n.any("vault_tail"), n.any("vault_tail")
		swapCells(a, b, "box")
		return a.text("patient") != b.text("patient")
	}},
	{"an older change made the newest", func(n *names) bool {
		a := n.any("vault_tail")
		for _, b := range n.of("vault_tail") {
			if b.text("patient") == a.text("patient") && b.number("at") > a.number("at") {
				swapCells(a, b, "box")
				return true
			}
		}
		return false
	}},
	{"a change moved to another patient", inRow("vault_tail", func(n *names, r *row) {
		r.cells["patient"] = string(n.cast[0].id)
		r.cells["at"] = r.number("at") + 1000
	})},
	{"a change under an attacker's key", inRow("vault_tail", func(_ *names, r *row) {
		r.cells["box"] = seal.NewKey().Seal([]byte("a\n{}"), seal.Slot{Kind: "directory-entry"})
	})},
	{"the directory's generation", inRow("vault_generation", func(n *names, r *row) { r.cells["number"] = r.number("number") - 1 - n.dice.below(3) })},
	{"a tag turned to another patient", inRow("vault_index", func(n *names, r *row) { r.cells["patient"] = string(n.cast[n.dice.below(int64(len(n.cast)))].id) })},
	{"tags change places", func(n *names) bool {
		a, b := n.any("vault_index"), n.any("vault_index")
		swapCells(a, b, "patient", "proof")
		return a != b
	}},
}

// older puts base, tail and generation back as they were before the last merge.
func (n *names) older() bool {
	for i := range n.rows {
		n.rows[i].gone = n.rows[i].table != "vault_index"
	}
	for _, r := range copyRows(n.once) {
		if r.table != "vault_index" {
			n.rows = append(n.rows, r)
		}
	}
	return true
}
