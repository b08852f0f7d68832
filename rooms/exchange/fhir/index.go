package fhir

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
)

// index remembers where the resources of each patient lie, when they lie
// anywhere: of each a few numbers, not its content.
type index struct {
	sources []source
	recs    []rec
	slots   []slot
	byRef   map[string]int32 // "Patient/7" to its slot
	owner   map[uint64]int32 // hash of "Type/id" to its slot
	seed    maphash.Seed
	files   map[uint64]int32 // hash of an attached "Binary/id" to the slot of the paper
	waiting []waiting
	urls    []string
	kept    int64              // bytes of memory taken, roughly
	bundled map[string]bundled // patients who came in Bundles, by "Patient/7"
}

// bundled is where the Patient of a Bundle lies, for lines outside of it.
type bundled struct {
	rec rec
	key string // patientKey, or "" where two different patients share the id
}

// slot is one patient of the index.
type slot struct {
	id   string
	have bool // a Patient resource was seen
}

// rec is where one resource lies.
type rec struct {
	slot, src, line, url int32 // url 0: none
	span
	sum uint64
}

// shared is the slot of what belongs to no patient: it sorts last.
const shared = 1<<31 - 1

// waiting is a record that may yet belong to the patient of what it speaks of.
type waiting struct {
	rec  int
	key  uint64
	refs []string
}

func newIndex() *index {
	return &index{
		byRef: map[string]int32{}, owner: map[uint64]int32{}, files: map[uint64]int32{},
		seed: maphash.MakeSeed(), urls: []string{""}, bundled: map[string]bundled{},
	}
}

func (x *index) source(s source) int32 {
	x.sources = append(x.sources, s)
	return int32(len(x.sources) - 1)
}

func (x *index) hash(local string) uint64 { return maphash.String(x.seed, local) }

func (x *index) slot(ref, id string) int32 {
	if n, ok := x.byRef[ref]; ok && ref != "" {
		return n
	}
	n := int32(len(x.slots))
	x.slots = append(x.slots, slot{id: id})
	if ref != "" {
		x.byRef[ref] = n
	}
	return n
}

// add remembers a resource that stands outside a Bundle with patients.
func (x *index) add(src int32, r Resource) {
	if r.Type == "Patient" {
		ref := ""
		if r.ID != "" {
			ref = "Patient/" + r.ID
		}
		n := x.slot(ref, r.ID)
		x.slots[n].have = true
		x.put(src, n, r)
		return
	}
	for _, ref := range r.refs {
		if name := local(ref); namesPatient(name) {
			x.put(src, x.slot(name, name[len("Patient/"):]), r)
			return
		}
	}
	x.put(src, shared, r)
	if len(r.refs) > 0 || r.Type == "Binary" {
		x.kept += r.weight()
		x.waiting = append(x.waiting, waiting{len(x.recs) - 1, x.hash(r.Type + "/" + r.ID), r.refs})
	}
}

// maxIndex bounds the memory of the index: about eight million resources.
const maxIndex = 768 << 20

func (x *index) full() bool { return x.kept > maxIndex }

// know remembers the Patient of a Bundle.
func (x *index) know(src int32, r Resource, key string) {
	ref := "Patient/" + r.ID
	if before, ok := x.bundled[ref]; ok && before.key != key {
		key = "" // whose a line is could only be guessed
	}
	x.bundled[ref] = bundled{x.record(src, 0, r), key}
}

// meet brings the lines outside together with a patient in a Bundle.
func (x *index) meet() {
	for ref, n := range x.byRef {
		if b, ok := x.bundled[ref]; ok && b.key != "" && !x.slots[n].have {
			b.rec.slot = n
			x.recs = append(x.recs, b.rec)
			x.slots[n].have = true
		}
	}
}

func (x *index) record(src, slot int32, r Resource) rec {
	x.kept += 96 + int64(len(r.FullURL)+len(r.ID))
	url := int32(0)
	if r.FullURL != "" {
		x.urls = append(x.urls, r.FullURL)
		url = int32(len(x.urls) - 1)
	}
	return rec{slot, src, int32(r.Line), url, r.at, r.sum}
}

func (x *index) put(src, slot int32, r Resource) {
	x.recs = append(x.recs, x.record(src, slot, r))
	if slot == shared {
		return
	}
	if r.ID != "" {
		x.owner[x.hash(r.Type+"/"+r.ID)] = slot
	}
	for _, file := range r.files {
		x.kept += 32
		x.files[x.hash(local(file))] = slot
	}
}

// addScope remembers a Bundle too large to be held: its patients are its own.
func (x *index) addScope(sc *scope, owners []int) {
	own := map[int]int32{}
	for i, owner := range owners {
		r := sc.all[i]
		switch {
		case owner == nowhere:
		case owner == abroad:
			x.add(sc.index, r)
		case owner == nobody:
			x.put(sc.index, shared, r)
		default:
			n, ok := own[owner]
			if !ok {
				n = x.slot("", sc.all[owner].ID)
				x.slots[n].have = true
				own[owner] = n
				x.know(sc.index, sc.all[owner], fmt.Sprintf("slot %d", n))
			}
			x.put(sc.index, n, r)
		}
	}
}

// settle gives the waiting ones to the patient of what they speak of.
func (x *index) settle() {
	for range 2 {
		for _, w := range x.waiting {
			if n, ok := x.ownerOf(w); ok && x.recs[w.rec].slot == shared {
				x.recs[w.rec].slot = n
				x.owner[w.key] = n
			}
		}
	}
}

func (x *index) ownerOf(w waiting) (int32, bool) {
	if n, ok := x.files[w.key]; ok {
		return n, true
	}
	for _, ref := range w.refs {
		if name := local(ref); name != "" {
			if n, ok := x.owner[x.hash(name)]; ok {
				return n, true
			}
		}
	}
	return 0, false
}

// How much is gathered at once. Packed sources are unpacked again for every
// batch, so that theirs are larger.
const (
	batchPlain  = 24 << 20
	batchPacked = 96 << 20
)

// gather is the second pass: it yields the indexed resources, patient by patient.
func (r *reader) gather() error {
	x := r.loose
	x.settle()
	x.meet()
	slices.SortStableFunc(x.recs, func(a, b rec) int { return cmp.Compare(a.slot, b.slot) })
	left, size := r.total-r.done, int64(len(x.recs))
	budget := int64(batchPlain)
	for _, s := range x.sources {
		if s.packed {
			budget = batchPacked
		}
	}
	for from := 0; from < len(x.recs); {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		to := x.batch(from, budget)
		read := r.batch
		if tooLarge(x.recs[from:to]) {
			read = r.refuse
		}
		if err := read(x.recs[from:to]); err != nil {
			return err
		}
		r.advance(left * int64(to-from) / size)
		from = to
	}
	r.advance(r.total - r.done)
	return nil
}

// batch returns the end of a batch: whole patients, or part of what is shared.
func (x *index) batch(from int, budget int64) int {
	size := int64(0)
	last := from // where the last whole patient ended
	for i := from; i < len(x.recs); i++ {
		if i > from && (x.recs[i].slot != x.recs[i-1].slot || x.recs[i].slot == shared) {
			last = i
		}
		if size += x.recs[i].n; size > budget && last > from {
			return last
		}
	}
	return len(x.recs)
}

// tooLarge reports whether a batch could not be held in memory, white space
// included. A batch beyond its budget is always one patient.
func tooLarge(recs []rec) bool {
	size := int64(0)
	for _, rec := range recs {
		size += rec.n
	}
	return size > 2*MaxPatient
}

func (r *reader) refuse(recs []rec) error {
	p := &Problem{Line: int(recs[0].line), Reason: tooManyBytes}
	if recs[0].slot != shared {
		p.Patient = r.loose.slots[recs[0].slot].id
	}
	return r.report(r.loose.sources[recs[0].src].problem(p))
}

// batch yields the patients of some records.
func (r *reader) batch(recs []rec) error {
	found, err := r.fetch(recs)
	if err != nil {
		return err
	}
	for from := 0; from < len(recs); {
		to := from + 1
		for to < len(recs) && recs[to].slot == recs[from].slot {
			to++
		}
		if err := r.patient(recs[from:to], found[from:to]); err != nil {
			return err
		}
		clear(found[from:to])
		from = to
	}
	return nil
}

// patient yields one patient's unit, or says of each record that the patient is missing.
func (r *reader) patient(recs []rec, all []Resource) error {
	x := r.loose
	n := recs[0].slot
	if n == shared || x.slots[n].have {
		all = slices.DeleteFunc(all, func(res Resource) bool { return res.Type == "" })
		if len(all) == 0 {
			return nil
		}
		return r.unit(all)
	}
	for i, rec := range recs {
		p := &Problem{Line: int(rec.line), Patient: x.slots[n].id, Reason: all[i].Type + " belongs to a patient who is not among the files"}
		if err := r.report(x.sources[rec.src].problem(p)); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads the records again, source by source, in the order of the source.
func (r *reader) fetch(recs []rec) ([]Resource, error) {
	found := make([]Resource, len(recs))
	order := make([]int, len(recs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(recs[a].src, recs[b].src), cmp.Compare(recs[a].off, recs[b].off))
	})
	for len(order) > 0 {
		n := 1
		for n < len(order) && recs[order[n]].src == recs[order[0]].src {
			n++
		}
		if err := r.fetchFrom(recs, order[:n], found); err != nil {
			return nil, err
		}
		order = order[n:]
	}
	return found, nil
}

func (r *reader) fetchFrom(recs []rec, order []int, found []Resource) error {
	s := r.loose.sources[recs[order[0]].src]
	in, err := s.open()
	if err != nil {
		return r.report(s.fails(err))
	}
	defer in.Close()
	file, plain := in.(io.ReaderAt)
	sp := splitter{scanner: newScanner(nil)}
	at := int64(0)
	for _, i := range order {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		rec := recs[i]
		if plain {
			sp.r = io.NewSectionReader(file, rec.off, rec.n)
		} else {
			if _, err := io.CopyN(io.Discard, in, rec.off-at); err != nil {
				return r.report(s.fails(err))
			}
			sp.r = io.LimitReader(in, rec.n)
			at = rec.off + rec.n
		}
		res, p := sp.again(rec)
		if p == nil && maphash.Bytes(r.loose.seed, res.Raw) != rec.sum {
			p = &Problem{Line: int(rec.line), Reason: changed}
		}
		if !plain {
			io.Copy(io.Discard, sp.r)
		}
		if p != nil {
			if err := r.report(s.problem(p)); err != nil {
				return err
			}
			continue
		}
		res.FullURL = r.loose.urls[rec.url]
		found[i] = res
	}
	return nil
}

// changed guards against the worst: another patient's line where this one's was.
const changed = "the file changed while it was read"

// again reads a resource that was read before.
func (s *splitter) again(rec rec) (Resource, *Problem) {
	s.restart()
	if s.peek() != '{' {
		return Resource{}, &Problem{Line: int(rec.line), Reason: changed}
	}
	res, p, err := s.resource(1)
	if err != nil || p != nil || s.offset() != rec.n {
		return Resource{}, &Problem{Line: int(rec.line), Reason: changed}
	}
	res.Line, res.src = int(rec.line), rec.src
	return res, nil
}
