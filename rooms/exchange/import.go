package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// ErrNothing means that what was named holds no FHIR at all.
var ErrNothing = errors.New("there is no FHIR in what was named: wanted are .json, .ndjson, .zip or .gz files, or a folder of them")

// ErrNoTeam means that nobody would care for the patients who come in.
var ErrNoTeam = errors.New("an import needs a care team that its patients belong to: whoever imports is in none")

// Options of Import.
type Options struct {
	Care []id.Team // the care teams that new patients belong to: the importer's
	// Unscanned: files that cannot be looked through for malware are taken in;
	// else the resources that carry them are left out, and told in Problems.
	Unscanned bool
	Step      func(Progress) // told now and then how far it is; may be nil
}

// Progress is how far an import or an export is.
type Progress struct {
	Done, Total int64 // of an import: bytes of the files; of an export: patients
	Patients    int
	Resources   int
}

// Imported is what an import did.
type Imported struct {
	Patients  int            `json:"patients"`  // who stand in the files and are in the house now
	New       int            `json:"new"`       // of these: admitted by this import
	Changed   int            `json:"changed"`   // of these: with new or changed resources
	Unchanged int            `json:"unchanged"` // of these: everything was here already
	Resources int            `json:"resources"`
	Shared    int            `json:"shared"` // of these: belong to no patient
	Types     map[string]int `json:"types"`  // resources by type
	Bytes     int64          `json:"bytes"`  // of the files
	// Files that resources carry, and how many of them were not looked through for
	// malware and taken in all the same.
	Files      int            `json:"files"`
	NotScanned int            `json:"not_scanned"`
	LeftAlone  int            `json:"left_alone"`
	Bad        int            `json:"bad"`      // how many problems there were
	Problems   []fhir.Problem `json:"problems"` // the first thousand; they name files and patients
	TookMS     int64          `json:"took_ms"`
}

const mostProblems = 1000

// Import brings in what the paths hold: Bundles, single resources and Bulk Data
// lines, plain, gzipped or zipped, or folders of them. Each patient is one
// transaction: whole or not at all. What is here already and equal is left as it
// is; what differs makes a new version; nothing that came before is lost. An
// import that was interrupted is completed by running it again.
//
// What cannot be read or kept is told in Problems, and the rest goes on. An error
// means that the import ended early: the context's own, store.ErrFull,
// layer.ErrLocked, a *layer.Refusal, ErrNoTeam or ErrNothing.
func (x *Exchange) Import(ctx context.Context, paths []string, o Options) (Imported, error) {
	if len(o.Care) == 0 {
		return Imported{}, ErrNoTeam
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	im := &importing{x: x, o: o, stop: stop, flow: newFlow(), did: map[string]outcome{}, shared: map[string]fhir.Resource{}}
	im.sum.Types, im.sum.Problems = map[string]int{}, []fhir.Problem{}
	began := x.Now()
	for u, err := range fhir.Read(ctx, paths, fhir.Options{Progress: im.progress}) {
		im.take(ctx, u, err)
	}
	im.flushShared(ctx)
	im.flow.wait()
	im.tell(true)
	im.sum.TookMS = x.Now().Sub(began).Milliseconds()
	im.count()
	if ctx.Err() != nil {
		return im.sum, context.Cause(ctx)
	}
	if im.sum.Resources == 0 && im.sum.Bad == 0 {
		return im.sum, ErrNothing
	}
	return im.sum, nil
}

// importing is one import under way.
type importing struct {
	x    *Exchange
	o    Options
	stop context.CancelCauseFunc
	flow *flow

	shared     map[string]fhir.Resource // not written yet, by key
	order      []string
	sharedSize int64

	mu   sync.Mutex
	sum  Imported
	did  map[string]outcome // by the patient's key
	at   Progress
	told time.Time
	why  string // why no file at all can be looked through; empty while that is not so
}

func (im *importing) take(ctx context.Context, u fhir.Unit, err error) {
	p, bad := errors.AsType[*fhir.Problem](err)
	switch {
	case bad:
		im.report(*p)
	case err != nil:
		im.stop(err)
	case u.Shared():
		im.takeShared(ctx, u)
	default:
		im.flow.run(ctx, u.Key, weight(u), func() { im.patient(ctx, u) })
	}
}

func weight(u fhir.Unit) int64 {
	n := len(u.Patient.Raw)
	for _, r := range u.Resources {
		n += len(r.Raw) + 256
	}
	return int64(n)
}

func (im *importing) patient(ctx context.Context, u fhir.Unit) {
	where := fhir.Problem{File: u.Source, Number: u.Number, Line: u.Line, Patient: u.Patient.ID}
	u, whole, err := im.looked(ctx, u, where)
	if err == nil && !whole {
		return
	}
	var did outcome
	if err == nil {
		did, err = im.x.keep(ctx, u, im.o.Care)
	}
	if err != nil {
		im.failed(ctx, err, where)
		return
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if was, ok := im.did[u.Key]; !ok || did > was {
		im.did[u.Key] = did
	}
	im.kept(u.Patient)
	for _, r := range u.Resources {
		im.kept(r)
	}
	im.at.Patients = len(im.did)
	im.tellLocked(false)
}

// looked takes out of a unit the resources with files that may not come in. Where
// the patient is one of them, nothing comes in.
func (im *importing) looked(ctx context.Context, u fhir.Unit, where fhir.Problem) (fhir.Unit, bool, error) {
	kept, out, err := im.scanned(ctx, append([]fhir.Resource{u.Patient}, u.Resources...))
	if err != nil {
		return u, false, err
	}
	for _, p := range out {
		p.File, p.Number, p.Line, p.Patient = where.File, where.Number, where.Line, where.Patient
		im.report(p)
	}
	if len(kept) == 0 || kept[0].Type != "Patient" {
		return u, false, nil
	}
	u.Resources = kept[1:]
	return u, true, nil
}

// kept counts a resource that is in the house now. The caller holds the lock.
func (im *importing) kept(r fhir.Resource) {
	im.sum.Types[r.Type]++
	im.sum.Resources++
	im.at.Resources++
}

// sharedMost is how much that belongs to no patient is gathered before it is
// written: every file may bring the same few organizations along.
const sharedMost = 16 << 20

func (im *importing) takeShared(ctx context.Context, u fhir.Unit) {
	for _, r := range u.Resources {
		key := r.Key()
		if _, ok := im.shared[key]; !ok {
			im.order = append(im.order, key)
			im.sharedSize += int64(len(r.Raw))
		}
		im.shared[key] = r
	}
	if im.sharedSize > sharedMost {
		im.flushShared(ctx)
	}
}

func (im *importing) flushShared(ctx context.Context) {
	if len(im.order) == 0 {
		return
	}
	all := make([]fhir.Resource, 0, len(im.order))
	for _, key := range im.order {
		all = append(all, im.shared[key])
	}
	size := im.sharedSize
	im.order, im.shared, im.sharedSize = nil, map[string]fhir.Resource{}, 0
	im.flow.run(ctx, "", size, func() {
		all, out, err := im.scanned(ctx, all)
		for _, p := range out {
			im.report(p)
		}
		if err == nil && len(all) > 0 {
			err = im.x.keepShared(ctx, all)
		}
		if err != nil {
			im.failed(ctx, err, fhir.Problem{})
			return
		}
		im.mu.Lock()
		defer im.mu.Unlock()
		for _, r := range all {
			im.kept(r)
		}
		im.sum.Shared += len(all)
	})
}

// failed reports a patient who was left out whole. What would meet every other
// patient too ends the import.
func (im *importing) failed(ctx context.Context, err error, p fhir.Problem) {
	if ctx.Err() != nil {
		return // it ended because the import did
	}
	_, refused := errors.AsType[*layer.Refusal](err)
	switch {
	case errors.Is(err, syscall.ENOSPC): // of the blobs' disk
		im.stop(store.ErrFull)
		return
	case refused, errors.Is(err, layer.ErrLocked), errors.Is(err, store.ErrFull), errors.Is(err, store.ErrClosed):
		im.stop(err)
		return
	case errors.Is(err, layer.ErrNotYours):
		p.Reason = "is here already, in the care of another team: ask them to import it; nothing of this patient was changed"
	case errors.Is(err, layer.ErrChanged):
		p.Reason = "what is stored was changed from outside of Quietroom, run quietroom verify; nothing of this patient was changed"
	case errors.Is(err, layer.ErrConflict):
		p.Reason = "somebody else keeps changing this patient, import it again; nothing of this patient was changed"
	default:
		p.Reason = fmt.Sprintf("could not be stored, nothing of this patient was changed: %v", err)
	}
	im.report(p)
}

func (im *importing) report(p fhir.Problem) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if p.LeftAlone {
		im.sum.LeftAlone++
		return
	}
	if im.sum.Bad++; len(im.sum.Problems) < mostProblems {
		im.sum.Problems = append(im.sum.Problems, p)
	}
}

func (im *importing) progress(done, total int64) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.at.Done, im.at.Total, im.sum.Bytes = done, total, total
	im.tellLocked(false)
}

func (im *importing) tell(now bool) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.tellLocked(now)
}

// tellLocked tells how far it is, ten times a second at most.
func (im *importing) tellLocked(always bool) {
	now := im.x.Now()
	if im.o.Step == nil || !always && now.Sub(im.told) < 100*time.Millisecond {
		return
	}
	im.told = now
	im.o.Step(im.at)
}

// count sums up what became of the patients.
func (im *importing) count() {
	im.sum.Patients = len(im.did)
	for _, did := range im.did {
		switch did {
		case admitted:
			im.sum.New++
		case changed:
			im.sum.Changed++
		default:
			im.sum.Unchanged++
		}
	}
}
