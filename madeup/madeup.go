// Package madeup invents a mental-health practice: the people who work there,
// its patients, their notes and files. The demo, tests and drills fill a house
// with it, so that every protection can be attacked without a real person
// being at stake.
//
// The same seed, number and day give the same practice on every platform.
// Everyone is made up: telephone numbers are from 555-0101 to 555-0199, which
// are kept for fiction, and mail goes to example.org and example.com (RFC 2606).
package madeup

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Practice is one made-up practice. It never changes, and holds no patient:
// each is derived when asked for. So it is safe for use from many goroutines.
type Practice struct {
	Name   string
	People []Person
	Today  time.Time // midnight at the beginning of the day it was made for

	seed     uint64
	patients int
	carers   []string // handles of those who see patients
}

// Person is somebody who works in the practice.
type Person struct {
	Handle string   // role and number: "clinician-1"
	Name   string   // "Tomás Rivera"
	Roles  []string // of owner, clinician, supervisor, front-desk, billing
	Mail   string
}

// Patient is somebody who is cared for, with all that the practice knows.
type Patient struct {
	Index     int    // 0 up to the number of patients
	Number    string // the practice's own record number
	Given     string
	Family    string
	Preferred string // what they are called, if not Given
	Pronouns  string
	BirthDate time.Time // midnight UTC: a date
	Sex       string    // administrative, as in FHIR: female, male, other
	Phones    []string  // "(207) 555-0100", the preferred one first
	Email     string    // may be empty
	Address   Address
	Emergency Contact
	Safe      SafeContact
	Insurance Insurance
	Diagnoses []Diagnosis
	Clinician string      // handle
	Since     time.Time   // first session
	Sessions  []time.Time // from last week's Monday, four weeks long; empty for former patients
	Notes     []Note      // 0 to 3, oldest first
	Files     []File      // few patients have one or two
}

// Address is a place to which post could be sent.
type Address struct{ Line, City, State, ZIP string }

// Contact is whom to call in an emergency.
type Contact struct{ Name, Relation, Phone string }

// SafeContact says how a patient may be reached. The ways are phone,
// voicemail, text, mail, post and portal; one that is in neither list was not
// asked about.
type SafeContact struct {
	Words        string
	Allowed, Not []string
}

// Insurance is who pays.
type Insurance struct{ Payer, Member string }

// Diagnosis is a code of ICD-10-CM and its words.
type Diagnosis struct{ Code, Text string }

// Note is what a clinician wrote. Its Canary stands in Text and nowhere else.
type Note struct {
	Kind   string // "Intake", "Progress note", "Safety plan"
	At     time.Time
	Text   string
	Canary string // 26 letters and digits, 130 random bits

	telling string // a sentence about this patient, found in Text
}

// File is a paper in the chart. Its Canary stands in Bytes as it is.
type File struct {
	Name   string
	Type   string // media type
	At     time.Time
	Bytes  []byte
	Canary string
}

// New invents a practice of twelve people and the given number of patients.
// The schedule lies around the day of now, in its time zone.
func New(seed uint64, patients int, now time.Time) *Practice {
	p := &Practice{
		Name:     "Harbor Counseling",
		Today:    time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location()),
		seed:     seed,
		patients: patients,
	}
	for _, who := range people {
		who.Roles = slices.Clone(who.Roles)
		who.Mail = mailbox(strings.TrimPrefix(who.Name, "Dr. ")) + "@harborcounseling.example.com"
		p.People = append(p.People, who)
		if slices.Contains(who.Roles, "clinician") {
			p.carers = append(p.carers, who.Handle)
		}
	}
	return p
}

// Len is the number of patients.
func (p *Practice) Len() int { return p.patients }

// Patients yields each patient, holding one at a time.
func (p *Practice) Patients() iter.Seq[Patient] {
	return func(yield func(Patient) bool) {
		for i := range p.patients {
			if !yield(p.Patient(i)) {
				return
			}
		}
	}
}

// Patient invents patient i, whatever was asked for before. It panics if there
// is no such patient.
func (p *Practice) Patient(i int) Patient {
	if i < 0 || i >= p.patients {
		panic("madeup: no patient " + strconv.Itoa(i))
	}
	d := newDice(p.seed, uint64(i))
	a := Patient{Index: i, Number: recordNumber(i), Clinician: p.carers[i%len(p.carers)]}
	minor := d.chance(6)
	p.person(d, &a, minor)
	reach(d, &a, minor)
	p.calendar(d, &a, minor)
	p.papers(d, &a, minor)
	return a
}

// recordNumber is eight digits, so that it does not appear by chance.
func recordNumber(i int) string {
	s := strconv.Itoa(i + 1)
	return "HC-" + "00000000"[min(len(s), 8):] + s
}

// Called is what the patient is called in the room.
func (a Patient) Called() string {
	if a.Preferred != "" {
		return a.Preferred
	}
	return a.Given
}

// Name is the full name on screens: "Sam Aldridge".
func (a Patient) Name() string { return a.Called() + " " + a.Family }

// NextSession returns the first session that begins at t or later.
func (a Patient) NextSession(t time.Time) (time.Time, bool) {
	for _, s := range a.Sessions {
		if !s.Before(t) {
			return s, true
		}
	}
	return time.Time{}, false
}

// dice are the random numbers of one patient. Only 64-bit arithmetic is used,
// so that every platform throws the same.
type dice struct{ rand.PCG }

func newDice(seed, i uint64) *dice {
	d := new(dice)
	d.Seed(mix(seed), mix(seed^mix(i+1)))
	return d
}

// mix is the finalizer of SplitMix64: neighbors in, strangers out.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below throws 0 to n-1, for small n; the bias is below 2^-32.
func (d *dice) below(n int) int { return int((d.Uint64() >> 32) * uint64(n) >> 32) }

func (d *dice) chance(percent int) bool { return d.below(100) < percent }

func pick[T any](d *dice, list []T) T { return list[d.below(len(list))] }

// canary throws 26 letters and digits: 130 bits, in the alphabet of identifiers.
func (d *dice) canary() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var out [26]byte
	for half := range 2 {
		u, v := d.Uint64(), d.Uint64()
		for k := range 12 {
			out[13*half+k] = alphabet[u&31]
			u >>= 5
		}
		out[13*half+12] = alphabet[v&31]
	}
	return string(out[:])
}

func (d *dice) digits(n int) string {
	var out [16]byte
	for k := range n {
		out[k] = '0' + byte(d.below(10))
	}
	return string(out[:n])
}
