package fhir

import (
	"cmp"
	"hash/maphash"
	"io"
	"slices"
)

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
	defer sp.release()
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
