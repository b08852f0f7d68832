// Package fhir reads and writes FHIR R4 as files: Bundles, single resources
// and Bulk Data NDJSON, plain, gzipped or zipped. It is a pure codec: it knows
// no key, no database and no practice.
//
// It promises four things. What comes in comes out equal, field by field:
// every member, its order and every number literal is kept (1.10 stays 1.10),
// only white space between tokens goes. A resource lands with the patient it
// speaks of, by the R4 patient compartment, and is never guessed onto another.
// A bad record is reported with file, line, patient and reason, and the rest
// goes on. And memory stays bounded whatever the input: nothing is ever
// spooled to disk.
package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The bounds of what is read. What goes beyond is refused with a Problem.
const (
	MaxResource = 64 << 20  // bytes of one resource, without white space
	MaxPatient  = 256 << 20 // bytes of one patient with all resources
	MaxDepth    = 64        // objects and arrays inside one another
	maxName     = 256       // bytes of an id
	maxAddress  = 4 << 10   // bytes of a fullUrl
)

// Resource is one FHIR resource as it came.
type Resource struct {
	Type    string // resourceType; unknown types are kept like known ones
	ID      string // Resource.id; empty where the source gave none
	FullURL string // the Bundle entry's fullUrl; empty outside Bundles
	Raw     []byte // the resource, valid JSON on one line, every literal as it came
	Line    int    // line of the source on which it starts, from 1

	src    int32 // its source's place in the index
	at     span
	sum    uint64   // a hash of Raw
	bundle int      // ordinal of the Bundle in its source, from 1; 0: no Bundle
	refs   []string // what it says about its patient, the best first
	files  []string // addresses of its attachments
}

// span is where a resource lies in its (unpacked) source.
type span struct {
	off int64
	n   int64
}

// Key names a resource within its patient: "Observation/17", or, where the
// source gave no id, the type and a hash of the content. Two resources of equal
// Key are the same resource: storing by Key makes a second import change nothing.
func (r Resource) Key() string {
	if r.ID != "" {
		return r.Type + "/" + r.ID
	}
	sum := sha256.Sum256(r.Raw)
	return r.Type + "#" + hex.EncodeToString(sum[:16])
}

// Unit is what an import stores in one transaction: one patient with all of
// its resources from one source, or a handful of resources that belong to none.
type Unit struct {
	// Key is the patient's stable identity over imports, see patientKey; it is
	// a hash of patient data: index it keyed (HMAC), never plain. Empty when Shared.
	Key       string
	Patient   Resource   // zero when Shared
	Resources []Resource // without Patient, in the order of the source
	Source    string     // path of the file, for the person's terminal only
	Number    int        // position of that file among all, from 1
	Line      int        // where Patient starts
}

// Shared reports whether the unit belongs to no patient: organizations,
// practitioners, places, medicines of the whole practice.
func (u Unit) Shared() bool { return u.Patient.Type == "" }

// Problem says what could not be read, while the rest goes on. Error names
// files by position only, because file names carry patients' names; Detail is
// for the terminal of the person who imports, and for nothing that is kept.
type Problem struct {
	File      string `json:"file,omitempty"`    // full path, and the name inside an archive
	Number    int    `json:"number,omitempty"`  // position of the file among all, from 1
	Line      int    `json:"line,omitempty"`    // 0: the file as a whole
	Patient   string `json:"patient,omitempty"` // Patient.id, where it is known
	Reason    string `json:"reason"`            // lower case, without patient data
	LeftAlone bool   `json:"-"`                 // not an error: the file is none of ours

	order  bool // its document must be read again, with its type known
	torn   bool // nothing after this place can be read
	bundle int  // the Bundle that it spoils, when torn
}

// Error returns the problem without any name: "file 3, line 120: ...".
func (p *Problem) Error() string {
	return p.where(fmt.Sprintf("file %d", p.Number)) + p.Reason
}

// Detail returns the problem with path and patient.
func (p *Problem) Detail() string {
	where := p.where(p.File)
	if p.Patient != "" {
		where += "patient " + p.Patient + ": "
	}
	return where + p.Reason
}

func (p *Problem) where(file string) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s, line %d: ", file, p.Line)
	}
	return file + ": "
}
