package fhir

import "strings"

// held is how much of one Bundle is kept in memory. A larger one is indexed
// and gathered patient by patient, like NDJSON.
const held = 64 << 20

// scope is one Bundle: the space in which its fullUrls are known.
// http://hl7.org/fhir/R4/bundle.html#references
type scope struct {
	src     source
	index   int32 // the source's place in the index
	n       int   // ordinal of the Bundle in the source, 0: none
	all     []Resource
	size    int64
	spilled bool   // Raw was let go
	kept    int64  // bytes of memory taken without Raw, roughly
	patient string // id of the only patient so far, for a message
	several bool   // there is another
}

// maxScope bounds the memory of a Bundle that is not held: about a million resources.
const maxScope = 256 << 20

func (sc *scope) full() bool { return sc.kept > maxScope }

// weight is the memory that a resource takes without Raw, roughly.
func (r Resource) weight() int64 {
	n := 256 + len(r.Type) + len(r.ID) + len(r.FullURL)
	for _, ref := range r.refs {
		n += 16 + len(ref)
	}
	for _, file := range r.files {
		n += 16 + len(file)
	}
	return int64(n)
}

func (sc *scope) add(r Resource) {
	sc.size += int64(len(r.Raw))
	if !sc.spilled && sc.size > held {
		sc.spilled = true
		for i := range sc.all {
			sc.all[i].Raw = nil
		}
	}
	if sc.spilled {
		r.Raw = nil
	}
	sc.kept += r.weight()
	if r.Type == "Patient" {
		sc.several = sc.several || sc.patient != "" && sc.patient != r.ID
		sc.patient = r.ID
	}
	sc.all = append(sc.all, r)
}

// onlyPatient returns the id of the Bundle's patient, for a message.
func (sc *scope) onlyPatient() string {
	if sc.several {
		return ""
	}
	return sc.patient
}

// Where a resource belongs, when it is not the place of a Patient in the Bundle.
const (
	nobody  = -1 - iota // no patient: shared
	abroad              // a patient who is not in this Bundle
	nowhere             // the reference leads nowhere
)

// owners says for each resource of the Bundle whose it is.
func (sc *scope) owners() []int {
	o := ownership{all: sc.all, place: make(map[string]int, 2*len(sc.all)), of: make([]int, len(sc.all))}
	patients := 0
	for i, r := range sc.all {
		o.of[i] = nobody
		o.put(r.FullURL, i)
		if r.ID != "" {
			o.put(r.Type+"/"+r.ID, i)
		}
		if r.Type == "Patient" {
			o.of[i] = o.firstOf(i)
			if o.of[i] == i {
				patients++
			}
		}
	}
	for i, r := range sc.all {
		if r.Type != "Patient" {
			o.of[i] = o.direct(r)
		}
	}
	o.through()
	if patients == 1 {
		o.rest()
	}
	return o.of
}

// ownership is the work of finding owners.
type ownership struct {
	all   []Resource
	place map[string]int // of a fullUrl or a Type/id
	of    []int
}

func (o *ownership) put(name string, i int) {
	if _, taken := o.place[name]; name != "" && !taken {
		o.place[name] = i
	}
}

// firstOf returns the place of the first copy of the Patient at i.
func (o *ownership) firstOf(i int) int {
	r := o.all[i]
	if r.ID == "" {
		return i
	}
	return o.place[r.Type+"/"+r.ID]
}

// find resolves a reference inside the Bundle: by fullUrl, then by Type/id.
func (o *ownership) find(ref string) (int, bool) {
	if i, ok := o.place[ref]; ok {
		return i, true
	}
	i, ok := o.place[local(ref)]
	return i, ok && !foreign(ref, o.all[i].FullURL)
}

// foreign reports whether a reference and a fullUrl of equal ending name two
// servers: number 7 there is not number 7 here.
func foreign(ref, fullURL string) bool {
	return strings.Contains(ref, "://") && strings.Contains(fullURL, "://") && !strings.HasPrefix(ref, fullURL)
}

// direct follows a resource's own references to a Patient.
func (o *ownership) direct(r Resource) int {
	owner := nobody
	for _, ref := range r.refs {
		i, ok := o.find(ref)
		switch {
		case ok && o.all[i].Type == "Patient":
			return o.firstOf(i)
		case !ok && namesPatient(local(ref)):
			owner = abroad
			if _, alike := o.place[local(ref)]; alike {
				owner = nowhere
			}
		case !ok && owner == nobody && strings.HasPrefix(ref, "urn:"):
			owner = nowhere
		}
	}
	return owner
}

// through gives a resource to the patient of what it speaks of (a Provenance
// of an Observation), and a file to the patient of the paper that shows it.
func (o *ownership) through() {
	for range 2 {
		for i, r := range o.all {
			if o.of[i] >= 0 {
				for _, file := range r.files {
					if j, ok := o.find(file); ok && o.of[j] == nobody {
						o.of[j] = o.of[i]
					}
				}
				continue
			}
			for _, ref := range r.refs {
				if j, ok := o.find(ref); ok && o.of[i] == nobody {
					o.of[i] = o.of[j]
				}
			}
		}
	}
}

// rest gives what belongs to nobody to the Bundle's only patient, so that the
// patient's record is whole wherever it goes.
func (o *ownership) rest() {
	only := 0
	for i := range o.all {
		if o.all[i].Type == "Patient" {
			only = o.of[i]
			break
		}
	}
	for i := range o.of {
		if o.of[i] == nobody {
			o.of[i] = only
		}
	}
}

// finish yields the patients of a Bundle, or hands over to the index what it
// cannot place or hold.
func (r *reader) finish(sc *scope) error {
	if len(sc.all) == 0 {
		return nil
	}
	owners := sc.owners()
	if sc.spilled {
		r.loose.addScope(sc, owners)
	}
	groups := make(map[int][]Resource)
	var order []int
	for i, owner := range owners {
		switch {
		case owner == nowhere:
			p := &Problem{Line: sc.all[i].Line, Patient: sc.onlyPatient(), Reason: sc.all[i].Type + " refers to a patient who is nowhere in this file"}
			if err := r.report(sc.src.problem(p)); err != nil {
				return err
			}
		case sc.spilled:
		case owner == abroad:
			r.loose.add(sc.index, sc.all[i])
		default:
			if groups[owner] == nil {
				order = append(order, owner)
			}
			groups[owner] = append(groups[owner], sc.all[i])
		}
	}
	for _, owner := range order {
		if owner >= 0 {
			r.loose.know(sc.index, sc.all[owner], patientKey(sc.all[owner]))
		}
		if err := r.unit(groups[owner]); err != nil {
			return err
		}
		delete(groups, owner)
	}
	return nil
}
