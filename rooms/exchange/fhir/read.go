package fhir

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
)

// Options of Read. The zero value works.
type Options struct {
	// Progress is told how far the reading is, in bytes of the files on disk.
	Progress func(done, total int64)
}

// Read yields what the paths hold, patient by patient. Paths are files
// (.json, .ndjson, .zip, and .gz of those) or folders.
//
// An error is a *Problem and the sequence goes on, except that the context's
// own error ends it. A Bundle with patients is taken as a whole: if it is torn,
// nothing of it is yielded. Everything else (NDJSON, single resources, Bundles
// without a Patient) is indexed in a first pass and gathered in a second, so
// that a patient's lines may stand anywhere in any file; files must not change
// meanwhile. Memory: the index takes about 60 bytes a resource, and the rest
// stays below 256 MiB plus the largest patient.
func Read(ctx context.Context, paths []string, o Options) iter.Seq2[Unit, error] {
	return func(yield func(Unit, error) bool) {
		r := &reader{ctx: ctx, yield: yield, progress: o.Progress, loose: newIndex()}
		defer r.walker.close()
		if err := r.run(paths); err != nil && err != errStop {
			yield(Unit{}, err)
		}
	}
}

type reader struct {
	ctx      context.Context
	yield    func(Unit, error) bool
	progress func(done, total int64)
	walker   walker
	loose    *index
	done     int64
	total    int64
}

func (r *reader) run(paths []string) error {
	var sources []source
	r.walker.found = func(s source, p *Problem) bool {
		if p != nil {
			return r.yield(Unit{}, p)
		}
		sources = append(sources, s)
		r.total += s.size
		return true
	}
	if err := r.walker.walk(r.ctx, paths); err != nil {
		return err
	}
	for _, s := range sources {
		if err := r.source(s); err != nil {
			return err
		}
	}
	return r.gather()
}

func (r *reader) report(p *Problem) error {
	if !r.yield(Unit{}, p) {
		return errStop
	}
	return nil
}

func (r *reader) advance(n int64) {
	r.done += n
	if r.progress != nil {
		r.progress(min(r.done, r.total), r.total)
	}
}

// source reads one file. Half of its size counts as done when it was indexed,
// the other half when its patients are gathered.
func (r *reader) source(s source) error {
	before := len(r.loose.recs)
	again, err := r.pass(s, "")
	if again && err == nil {
		err = r.secondLook(s)
	}
	part := s.size
	if len(r.loose.recs) > before {
		part /= 2
	}
	r.advance(part)
	return err
}

// secondLook reads a document whose entries come before its type.
func (r *reader) secondLook(s source) error {
	in, err := s.open()
	if err != nil {
		return r.report(s.fails(err))
	}
	kind, err := typeOf(in)
	in.Close()
	if err == nil && !isTypeName(kind) {
		err = &fault{1, "no resourceType: this is no FHIR resource"}
	}
	if err != nil {
		sp := splitter{scanner: newScanner(in)}
		defer sp.release()
		return r.report(s.problem(sp.problem(err)))
	}
	_, err = r.pass(s, kind)
	return err
}

// pass reads a source once. again means that it has to be read with its type known.
func (r *reader) pass(s source, kind string) (again bool, err error) {
	in, err := s.open()
	if err != nil {
		return false, r.report(s.fails(err))
	}
	defer in.Close()
	src := r.loose.source(s)
	sc := &scope{src: s, index: src}
	n := 0
	for res, p := range split(cancelled{r.ctx, in}, s.lines, kind) {
		if n++; (n%256 == 0 || p != nil) && r.ctx.Err() != nil {
			return false, r.ctx.Err()
		}
		if p != nil && p.order {
			return true, nil
		}
		if p != nil {
			p.Patient = sc.onlyPatient()
			if p.torn && p.bundle == sc.n {
				sc = &scope{src: s, index: src}
			}
			if err := r.report(s.problem(p)); err != nil {
				return false, err
			}
			continue
		}
		res.src, res.sum = src, maphash.Bytes(r.loose.seed, res.Raw)
		if res.bundle != sc.n {
			if err := r.finish(sc); err != nil {
				return false, err
			}
			sc = &scope{src: s, index: src, n: res.bundle}
		}
		if res.bundle == 0 {
			r.loose.add(src, res)
		} else {
			sc.add(res)
		}
		if sc.full() || r.loose.full() {
			return false, r.report(s.problem(&Problem{Line: res.Line, Reason: tooManyResources}))
		}
	}
	return false, r.finish(sc)
}

// cancelled is a reader that ends with its context, however long the file.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c cancelled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(b)
}

const tooManyResources = "more resources than can be kept apart at once: from here on nothing was read, import it in parts"

const tooManyBytes = "one patient has more than 256 MiB of resources"

// unit makes the unit of one patient, or of none. A resource that came twice
// is kept once; a second one under the same id that says something else is a
// problem, since either could be right.
func (r *reader) unit(all []Resource) error {
	src := r.loose.sources[all[0].src]
	u := Unit{Source: src.path, Number: src.number, Line: all[0].Line}
	first := make(map[string]int, len(all))
	var size int64
	for i, res := range all {
		if size += int64(len(res.Raw)); size > MaxPatient {
			return r.reject(u, res, tooManyBytes)
		}
		key := res.Key()
		if j, twice := first[key]; twice {
			if bytes.Equal(all[j].Raw, res.Raw) {
				continue
			}
			reason := fmt.Sprintf("%s came before with the same id and other content (line %d); the first is kept", res.Type, all[j].Line)
			if err := r.reject(u, res, reason); err != nil {
				return err
			}
			continue
		}
		first[key] = i
		if res.Type == "Patient" && u.Shared() {
			u.Patient, u.Key = res, patientKey(res)
			src := r.loose.sources[res.src]
			u.Source, u.Number, u.Line = src.path, src.number, res.Line
			continue
		}
		u.Resources = append(u.Resources, res)
	}
	if !r.yield(u, nil) {
		return errStop
	}
	return nil
}

// reject reports a resource of a unit, at the place where it stands.
func (r *reader) reject(u Unit, res Resource, reason string) error {
	p := &Problem{Line: res.Line, Patient: u.Patient.ID, Reason: reason}
	return r.report(r.loose.sources[res.src].problem(p))
}
