package fhir

import (
	"fmt"
	"hash/maphash"
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
