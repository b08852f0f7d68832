package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/vault"
)

// rowSwap moves, replays, deletes and forges rows of the trial house, and looks
// after each whether the right people notice: an error or a refusal. Accepted
// is what reads on with other content, or with less, and says nothing.
func (t *trial) rowSwap() layer.Drill {
	return layer.Drill{Name: "row-swap", Proves: "moved, replayed and forged rows are refused and noticed", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		d := &swaps{trial: t, seed: newSeed(), kinds: map[string]int{}, told: map[string]bool{}, step: s.Step,
			report: layer.Report{Findings: []string{}, More: map[string]any{}}}
		defer d.leave()
		if err := d.furnish(ctx); err != nil {
			return d.report, fmt.Errorf("prepare the trial house: %w", err)
		}
		if s.Sabotage {
			t.vault.Weaken()
			d.weakened = true
		}
		for _, attack := range []func(context.Context) error{d.patients, d.directory, d.people} {
			if err := attack(ctx); err != nil {
				return d.report, err
			}
		}
		d.report.More["seed"], d.report.More["kinds"], d.report.More["not_covered"] = d.seed, d.kinds, notCovered
		d.report.Held = new(len(d.report.Findings) == 0)
		return d.report, nil
	}}
}

// mutations is how many times rows are changed in a trial house of full size; a
// smaller one, of a test, is changed less often.
const mutations = 10_000

// workers change rows at the same time, each of patients of its own.
const workers = 8

// mostThrows bounds how often a change is thrown that fits nothing here.
const mostThrows = 50

// times are how often rows are changed: of patients, in the directory, and in
// the list of people. To look at the last two costs more.
func (d *swaps) times() (patients, directory, people int) {
	all := min(mutations, 40*len(d.cast))
	directory, people = all*3/100, all*15/1000
	return all - directory - people, directory, people
}

// notCovered is what this drill does not try, because it is known not to be
// noticed in the database alone.
var notCovered = []string{
	"The whole database put back to an older state, or the list of people together with everybody's pin: only heads kept elsewhere tell.",
	"A tag of an outside name that is deleted: the patient would be taken in a second time.",
}

type swaps struct {
	*trial
	seed     uint64
	sessions map[string]context.Context // by handle
	done     []func()
	cast     []*patientRows
	attacker layer.Team // of somebody who is not of the practice
	step     func(done, total int)
	weakened bool

	mu     sync.Mutex
	kinds  map[string]int
	told   map[string]bool
	report layer.Report
}

// patientRows are one patient's rows, as they are and as they once were, and
// what the right people read there.
type patientRows struct {
	id    id.Patient
	now   []row
	once  []row // valid when they were written, and replaced since
	wants map[string]content
}

// content is what one person reads in one compartment.
type content struct {
	part, reader string
	team         layer.Team
	sum          [32]byte
}

func (d *swaps) leave() {
	for _, done := range d.done {
		done()
	}
}

// enter signs everybody in anew: team keys may have been changed.
func (d *swaps) enter(ctx context.Context) error {
	d.leave()
	d.done, d.sessions = nil, map[string]context.Context{}
	for handle, code := range d.Trial.Codes {
		session, done, err := d.Trial.Unlock(ctx, code)
		if err != nil {
			return err
		}
		d.sessions[handle], d.done = session, append(d.done, done)
	}
	return nil
}

// furnish gives the trial house a past: records of several versions, billing, a
// team whose key was changed, and patients whose keys have two versions.
func (d *swaps) furnish(ctx context.Context) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	for p, err := range d.vault.Patients(ctx) {
		if err != nil {
			return err
		}
		if d.cast = append(d.cast, &patientRows{id: p}); len(d.cast) == 300 {
			break
		}
	}
	for _, p := range d.cast {
		if err := d.write(d.sessions["owner-1"], p, 0); err != nil {
			return err
		}
		var err error
		if p.once, err = d.read(ctx, p.id); err != nil {
			return err
		}
	}
	if err := d.rotate(ctx); err != nil {
		return err
	}
	for i, p := range d.cast {
		if err := d.write(d.sessions["owner-1"], p, 1+i%2); err != nil {
			return err
		}
		var err error
		if p.now, err = d.read(ctx, p.id); err != nil {
			return err
		}
	}
	d.attacker = layer.Team{ID: id.New[id.Team](), Kind: "care", Epoch: 1}
	return d.witness(ctx)
}

// write replaces a patient's card and a note of the chart, so that older ones
// lie about; and writes a bill.
func (d *swaps) write(ctx context.Context, p *patientRows, round int) error {
	b, err := d.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	c, err := b.In(ctx, p.id, vault.Identity)
	if err != nil {
		return err
	}
	card, version, err := c.Card(ctx)
	if err != nil {
		return err
	}
	card.Safe.Words += "."
	if err := b.SetCard(ctx, c, card, version); err != nil {
		return err
	}
	for _, part := range []string{vault.Chart, vault.Billing} {
		c, err := b.In(ctx, p.id, part)
		if err != nil {
			return err
		}
		var list []layer.Entry
		if round > 0 || part == vault.Chart {
			if list, err = c.List(ctx); err != nil {
				return err
			}
		}
		for i := range max(0, 2-len(list)) {
			if _, err := b.Put(ctx, c, layer.Draft{Head: []byte("head"), Body: fmt.Appendf(nil, "%s %d", part, i)}); err != nil {
				return err
			}
		}
		for _, e := range list[:min(len(list), round)] {
			if _, err := b.Put(ctx, c, layer.Draft{Record: e.Record, Version: e.Version, At: e.At, Head: e.Head, Body: []byte("written again")}); err != nil {
				return err
			}
		}
	}
	return b.Commit(ctx)
}

// rotate gives the directory and one care team a new key, as when somebody left.
func (d *swaps) rotate(ctx context.Context) error {
	owner, ok := identity.UnlockedFrom(d.sessions["owner-1"])
	if !ok {
		return errors.New("the owner's seed is not open")
	}
	roster, err := d.identity.Roster(ctx)
	if err != nil {
		return err
	}
	rotated := map[string]bool{}
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		if rotated[t.Kind] {
			continue
		}
		rotated[t.Kind] = true
		var members []id.Person
		for _, m := range t.Members {
			members = append(members, id.Person(m))
		}
		if err := d.identity.Rotate(ctx, owner, id.Team(name), members); err != nil {
			return err
		}
	}
	return d.enter(ctx)
}

func (d *swaps) read(ctx context.Context, p id.Patient) (list []row, err error) {
	for _, table := range []string{"vault_wraps", "vault_older", "vault_records"} {
		some, err := readRows(ctx, d.Trial.DB, table, "patient = $1", p)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// witness notes what the right people read: for each wrap, somebody who can
// open by this one only.
func (d *swaps) witness(ctx context.Context) error {
	teams, err := d.identity.Teams(d.sessions["owner-1"])
	if err != nil {
		return err
	}
	readers := map[id.Team]string{}
	for _, t := range teams {
		for _, handle := range slices.Sorted(maps.Keys(d.sessions)) {
			if _, err := d.identity.TeamKey(d.sessions[handle], t.ID, t.Epoch); err == nil && (readers[t.ID] == "" || d.fewer(handle, readers[t.ID], teams)) {
				readers[t.ID] = handle
			}
		}
	}
	byID := map[id.Team]layer.Team{}
	for _, t := range teams {
		byID[t.ID] = t
	}
	for _, p := range d.cast {
		p.wants = map[string]content{}
		for _, r := range p.now {
			if r.table != "vault_wraps" {
				continue
			}
			team := id.Team(r.text("team"))
			c := content{part: r.text("part"), reader: readers[team], team: byID[team]}
			if c.sum, err = d.look(p.id, c); err != nil {
				return fmt.Errorf("before anything was changed: %w", err)
			}
			p.wants[c.part+" "+c.reader] = c
		}
	}
	return nil
}

// fewer tells who of two is in fewer teams.
func (d *swaps) fewer(a, b string, teams []layer.Team) bool {
	in := func(handle string) (n int) {
		for _, t := range teams {
			if _, err := d.identity.TeamKey(d.sessions[handle], t.ID, t.Epoch); err == nil {
				n++
			}
		}
		return n
	}
	return in(a) < in(b)
}

// look reads everything in a compartment as one person, and sums it up.
func (d *swaps) look(p id.Patient, w content) (sum [32]byte, err error) {
	ctx := d.sessions[w.reader]
	c, err := d.vault.Open(ctx, p, w.part)
	if err != nil {
		return sum, err
	}
	defer c.Close()
	list, err := c.List(ctx)
	if err != nil {
		return sum, err
	}
	slices.SortFunc(list, func(a, b layer.Entry) int { return bytes.Compare([]byte(a.Record), []byte(b.Record)) })
	h := sha256.New()
	for _, e := range list {
		got, body, err := c.Read(ctx, e.Record)
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(h, "%s %d %d %d %q %q\n", e.Record, got.Version, e.At.UnixMilli(), e.Size, got.Head, body)
	}
	return [32]byte(h.Sum(nil)), nil
}

// patients changes rows of patients, in several workers, each with its own.
func (d *swaps) patients(ctx context.Context) error {
	total, _, _ := d.times()
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		var mine []*patientRows
		for i := w; i < len(d.cast); i += workers {
			mine = append(mine, d.cast[i])
		}
		wg.Go(func() {
			dice := dice(d.seed + uint64(w))
			for i := range (total + w) / workers {
				errs[w] = d.one(ctx, &dice, mine)
				if errs[w] == nil && i%300 == 0 {
					errs[w] = d.whole(mine)
				}
				if errs[w] != nil {
					return
				}
			}
			errs[w] = d.whole(mine)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// whole makes sure that what was put back reads as before: in a broken house
// everything would be noticed.
func (d *swaps) whole(mine []*patientRows) error {
	for _, p := range mine {
		for _, w := range p.wants {
			if sum, err := d.look(p.id, w); err != nil || sum != w.sum {
				return fmt.Errorf("all rows were put back, and %s of patient %s reads otherwise (seed %d): %w", w.part, p.id, d.seed, err)
			}
		}
	}
	return nil
}

// one changes rows of one patient or of two, looks whether it is noticed, and
// puts them back.
func (d *swaps) one(ctx context.Context, dice *dice, mine []*patientRows) error {
	at := dice.below(int64(len(mine)))
	p, q := mine[at], mine[(at+1+dice.below(int64(len(mine)-1)))%int64(len(mine))]
	before := slices.Concat(p.now, q.now)
	var after []row
	var name, part string
	for i := 0; ; i++ {
		if i == mostThrows {
			return errors.New("no change of rows was found that changes anything")
		}
		m := patientMutations[dice.below(int64(len(patientMutations)))]
		s := scene{swaps: d, dice: dice, p: p, q: q, rows: copyRows(before), own: len(p.now)}
		if part = m.do(&s); part != "" && !slices.EqualFunc(before, s.rows, row.equal) {
			after, name = s.rows, m.name
			break
		}
	}
	if err := turn(ctx, d.Trial.DB, before, after); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	d.judge(p, part, name)
	return turn(ctx, d.Trial.DB, after, before)
}

// judge reads as everybody who may read the compartment: somebody has to notice,
// and nobody may be given anything else in silence.
func (d *swaps) judge(p *patientRows, part, name string) {
	noticed, accepted := false, false
	for _, w := range p.wants {
		if w.part != part {
			continue
		}
		sum, err := d.look(p.id, w)
		noticed = noticed || err != nil
		accepted = accepted || err == nil && sum != w.sum
	}
	d.tally(name, string(p.id), noticed, accepted)
}

func (d *swaps) tally(name, whom string, noticed, accepted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kinds[name]++
	d.report.Tried++
	if d.report.Tried%100 == 0 {
		d.step(d.report.Tried, mutations)
	}
	if noticed && !accepted {
		return
	}
	if accepted {
		d.report.Opened++
	}
	if d.told[name] {
		return
	}
	d.told[name] = true
	what := "was not noticed"
	if accepted {
		what = "was accepted: something else was read, or less"
	}
	d.report.Findings = append(d.report.Findings, fmt.Sprintf("%s (%s, seed %d): it %s", name, whom, d.seed, what))
}

// scene is what one mutation acts on: the rows of p, then those of q.
type scene struct {
	*swaps
	dice *dice
	p, q *patientRows
	rows []row
	own  int // how many are p's
}

// any picks one of p's rows (or q's) of a table that fits, nil if none does.
func (s *scene) any(table string, ofQ bool, fits func(row) bool) *row {
	from, to := 0, s.own
	if ofQ {
		from, to = s.own, s.own+len(s.q.now)
	}
	var some []*row
	for i := from; i < to; i++ {
		if r := &s.rows[i]; r.table == table && !r.gone && (fits == nil || fits(*r)) {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[s.dice.below(int64(len(some)))]
}

func (s *scene) flip(b []byte) { b[s.dice.below(int64(len(b)))] ^= 1 << s.dice.below(8) }

// mutation changes rows and returns the compartment of p that it concerns, ""
// where it fits nothing here.
type mutation struct {
	name string
	do   func(*scene) string
}

// swapCells lets two rows change these cells.
func swapCells(a, b *row, columns ...string) {
	for _, c := range columns {
		a.cells[c], b.cells[c] = b.cells[c], a.cells[c]
	}
}

func oneRecord(do func(s *scene, r *row)) func(*scene) string {
	return func(s *scene) string {
		r := s.any("vault_records", false, nil)
		if r == nil {
			return ""
		}
		part := r.text("part")
		do(s, r)
		return part
	}
}

// twoRecords changes a record of p and another one, of p or of q.
func twoRecords(ofQ bool, do func(a, b *row)) func(*scene) string {
	return func(s *scene) string {
		a := s.any("vault_records", false, nil)
		if a == nil {
			return ""
		}
		b := s.any("vault_records", ofQ, func(r row) bool { return r.text("record") != a.text("record") })
		if b == nil {
			return ""
		}
		part := a.text("part")
		do(a, b)
		return part
	}
}

func oneWrap(do func(s *scene, r *row)) func(*scene) string {
	return func(s *scene) string {
		r := s.any("vault_wraps", false, s.newest)
		if r == nil {
			return ""
		}
		part := r.text("part")
		do(s, r)
		return part
	}
}

// newest tells whether a wrap holds the newest key of its compartment: an older
// one is opened by the newer key, and its wrap is read by nobody.
func (s *scene) newest(w row) bool {
	for _, r := range s.rows {
		if r.table == "vault_wraps" && r.text("patient") == w.text("patient") && r.text("part") == w.text("part") && r.number("version") > w.number("version") {
			return false
		}
	}
	return true
}

func add(column string) func(*scene, *row) {
	return func(s *scene, r *row) {
		by := 1 + s.dice.below(3)
		if s.dice.below(2) == 0 {
			by = -by
		}
		r.cells[column] = r.number(column) + by
	}
}

func flipped(column string) func(*scene, *row) {
	return func(s *scene, r *row) { s.flip(r.bytes(column)) }
}

var sealedCells = []string{"version", "keyed", "at", "head", "box", "sum", "blob", "size"}

// patientMutations are thrown at random.
var patientMutations = []mutation{
	{"head of another record", twoRecords(false, func(a, b *row) { swapCells(a, b, "head") })},
	{"body of another record", twoRecords(false, func(a, b *row) { swapCells(a, b, "box", "sum", "size") })},
	{"body of another record under its own sum", twoRecords(false, func(a, b *row) { a.cells["box"] = b.cells["box"] })},
	{"all of another record", twoRecords(false, func(a, b *row) { swapCells(a, b, sealedCells...) })},
	{"head of another patient's record", twoRecords(true, func(a, b *row) { swapCells(a, b, "head") })},
	{"body of another patient's record", twoRecords(true, func(a, b *row) { swapCells(a, b, "box", "sum", "size") })},
	{"all of another patient's record", twoRecords(true, func(a, b *row) { swapCells(a, b, sealedCells...) })},
	{"records change their names", twoRecords(true, func(a, b *row) { swapCells(a, b, "record") })},
	{"record moved to another patient", twoRecords(true, func(a, b *row) { a.cells["patient"] = b.cells["patient"] })},
	{"record moved to another part", oneRecord(func(s *scene, r *row) {
		r.cells["part"] = map[string]string{vault.Identity: vault.Chart, vault.Chart: vault.Billing, vault.Billing: vault.Identity}[r.text("part")]
	})},
	{"record's version", oneRecord(add("version"))},
	{"record's key version", oneRecord(add("keyed"))},
	{"record's time", oneRecord(add("at"))},
	{"record's size", oneRecord(add("size"))},
	{"record's sum", oneRecord(flipped("sum"))},
	{"a bit of a head", oneRecord(flipped("head"))},
	{"a bit of a body", oneRecord(flipped("box"))},
	{"a bit of a body, and its sum with it", oneRecord(func(s *scene, r *row) {
		s.flip(r.bytes("box"))
		sum := sha256.Sum256(r.bytes("box"))
		r.cells["sum"] = sum[:]
	})},
	{"a body cut short", oneRecord(func(s *scene, r *row) {
		r.cells["box"] = r.bytes("box")[:s.dice.below(int64(len(r.bytes("box"))))]
	})},
	{"a stream in place of a body", oneRecord(func(s *scene, r *row) { r.cells["blob"] = string(id.New[id.Record]()) })},
	{"record deleted", oneRecord(func(s *scene, r *row) { r.gone = true })},
	{"compartment deleted", func(s *scene) string { return s.deletePart(func(row) bool { return true }) }},
	{"all keys deleted", func(s *scene) string { return s.deletePart(func(r row) bool { return r.table != "vault_records" }) }},
	{"older record put back", (*scene).recordOnce},
	{"older compartment put back, keys and all", (*scene).partOnce},
	{"newest key deleted", oneWrap(func(s *scene, r *row) { s.deleteKey(r.text("part"), r.number("version")) })},
	{"older key deleted", oneOlder(func(s *scene, r *row) { r.gone = true })},
	{"a bit of an older key", oneOlder(flipped("box"))},
	{"wrap deleted", oneWrap(func(s *scene, r *row) { r.gone = true })},
	{"a bit of a wrap", oneWrap(flipped("box"))},
	{"wrap's version", oneWrap(func(s *scene, r *row) { r.cells["version"] = r.number("version") + 1 + s.dice.below(3) })},
	{"wrap's epoch", oneWrap(add("epoch"))},
	{"wrap said to be from the inbox", oneWrap(func(s *scene, r *row) { r.cells["inbox"] = int64(1) })},
	{"wrap of another part", func(s *scene) string {
		return s.twoWraps(false, func(a, b row) bool { return a.text("part") != b.text("part") })
	}},
	{"wrap of another patient", func(s *scene) string {
		return s.twoWraps(true, func(a, b row) bool { return a.text("part") == b.text("part") })
	}},
	{"wrap under an attacker's team key", (*scene).forgeWrap},
	{"key and records of an attacker, wrapped to the team's own inbox", (*scene).forgeInbox},
	{"record sealed under an attacker's key", oneRecord(func(s *scene, r *row) { s.forgeRecord(r, seal.NewKey(), r.number("keyed")) })},
}

func oneOlder(do func(s *scene, r *row)) func(*scene) string {
	return func(s *scene) string {
		r := s.any("vault_older", false, nil)
		if r == nil {
			return ""
		}
		do(s, r)
		return r.text("part")
	}
}

func (s *scene) deletePart(also func(row) bool) string {
	w := s.any("vault_wraps", false, nil)
	if w == nil {
		return ""
	}
	part := w.text("part")
	for i := range s.rows[:s.own] {
		if r := &s.rows[i]; r.text("part") == part && also(*r) {
			r.gone = true
		}
	}
	return part
}

// deleteKey takes a key's version away, as if it had never been made.
func (s *scene) deleteKey(part string, version int64) {
	for i := range s.rows[:s.own] {
		if r := &s.rows[i]; r.table != "vault_records" && r.text("part") == part && r.number("version") == version {
			r.gone = true
		}
	}
}

// recordOnce puts back a record as it once was, with its key where that is still there.
func (s *scene) recordOnce() string {
	r := s.any("vault_records", false, nil)
	if r == nil {
		return ""
	}
	for _, old := range s.p.once {
		if old.table == r.table && old.text("record") == r.text("record") {
			r.cells = copyRows([]row{old})[0].cells
			return r.text("part")
		}
	}
	return ""
}

// partOnce puts back a whole compartment as it once was.
func (s *scene) partOnce() string {
	part := s.deletePart(func(row) bool { return true })
	if part == "" {
		return ""
	}
	was, once := 0, 0
	for _, old := range s.p.once {
		if old.text("part") == part {
			s.rows, once = append(s.rows, copyRows([]row{old})...), once+1
		}
	}
	for _, r := range s.rows[:s.own] {
		if r.text("part") == part && slices.ContainsFunc(s.p.once, r.same) {
			was++
		}
	}
	if once == 0 || was == once { // it never changed
		return ""
	}
	return part
}

// same tells whether two rows say the same, gone or not.
func (r row) same(o row) bool { o.gone = r.gone; return r.table == o.table && r.equal(o) }

func (s *scene) twoWraps(ofQ bool, fits func(a, b row) bool) string {
	a := s.any("vault_wraps", false, s.newest)
	if a == nil {
		return ""
	}
	b := s.any("vault_wraps", ofQ, func(r row) bool { return fits(*a, r) })
	if b == nil {
		return ""
	}
	part := a.text("part")
	swapCells(a, b, "box")
	return part
}

// forgeWrap wraps an attacker's key under an attacker's team key: in the name of
// the attacker's own team, or of the real one and its next key.
func (s *scene) forgeWrap() string {
	r := s.any("vault_wraps", false, s.newest)
	if r == nil {
		return ""
	}
	part, version := r.text("part"), r.number("version")
	team, theirs, key := s.attacker, seal.NewKey(), seal.NewKey()
	if real, ok := s.teamOf(part, r.text("team")); ok && s.dice.below(2) == 0 {
		team = real
		team.Epoch += uint64(s.dice.below(2))
	}
	box, err := s.vault.ForgeWrap(s.p.id, part, uint64(version), team, key, &theirs)
	if err != nil {
		return ""
	}
	r.cells["team"], r.cells["epoch"], r.cells["box"] = string(team.ID), int64(team.Epoch), box
	s.forgePart(part, key, version)
	return part
}

// forgeInbox seals an attacker's key to the team's real inbox, which is public,
// with a tag of the attacker's, or none, and writes all records anew under it.
func (s *scene) forgeInbox() string {
	r := s.any("vault_wraps", false, s.newest)
	if r == nil {
		return ""
	}
	part, version, key, theirs := r.text("part"), r.number("version"), seal.NewKey(), seal.NewKey()
	if s.dice.below(2) == 0 {
		version++
	}
	team, ok := s.teamOf(part, r.text("team"))
	if !ok {
		return ""
	}
	box, err := s.vault.ForgeWrap(s.p.id, part, uint64(version), team, key, nil)
	if err != nil {
		return ""
	}
	r.cells["inbox"], r.cells["box"], r.cells["version"], r.cells["epoch"] = int64(1), box, version, int64(team.Epoch)
	r.cells["tagged"], r.cells["tag"] = int64(1), theirs.Seal(key.Commitment(), seal.Slot{Kind: "key-tag"})
	s.forgePart(part, key, version)
	return part
}

func (s *scene) teamOf(part, team string) (layer.Team, bool) {
	for _, w := range s.p.wants {
		if w.part == part && string(w.team.ID) == team {
			return w.team, true
		}
	}
	return layer.Team{}, false
}

func (s *scene) forgePart(part string, key seal.Key, keyed int64) {
	for i := range s.rows[:s.own] {
		if r := &s.rows[i]; r.table == "vault_records" && r.text("part") == part {
			s.forgeRecord(r, key, keyed)
		}
	}
}

func (s *scene) forgeRecord(r *row, key seal.Key, keyed int64) {
	r.cells["keyed"] = keyed
	r.cells["head"], r.cells["box"], r.cells["sum"] = s.vault.ForgeRecord(id.Patient(r.text("patient")), r.text("part"), id.Record(r.text("record")), uint64(r.number("version")), uint64(keyed), key, []byte("forged"))
}
