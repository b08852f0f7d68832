// Package exchange brings patients' records in from other programs and takes
// them out again, as FHIR R4. What came in comes out equal, field by field.
//
// Import seals what it reads at once: nothing plain is ever put on disk. Export
// is the opposite on purpose: a plain folder that its owner asked for, readable
// by everybody who has it.
//
// A patient's resources lie in the vault as one record in each compartment that
// they belong to: who it is, what was said, what was charged.
package exchange

import (
	"context"
	"embed"
	"io"
	"iter"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed pages
var pagesFS embed.FS

// Vault is what the room needs of the vault.
type Vault interface {
	Begin(context.Context) (layer.Batch, error)
	Open(ctx context.Context, p id.Patient, part string) (layer.Compartment, error)
	// Find returns the patient who was tagged with an outside name, or layer.ErrUnknown.
	Find(ctx context.Context, name string) (id.Patient, error)
	Patients(context.Context) iter.Seq2[id.Patient, error]
	// House is the subject of what belongs to no patient.
	House() id.Patient
}

// Original is a file or a note that was not imported as FHIR, as an export
// takes it along.
type Original struct {
	Title string // for the readable page
	Name  string // of the file; anything may stand in it
	When  string // YYYY-MM-DD, or empty
	Open  func(context.Context) (io.ReadCloser, error)
}

// Originals yields what a neighbour holds about a patient beside FHIR: files as
// they came, notes as text. layer.ErrNotYours where they are not this person's
// to read.
type Originals func(context.Context, id.Patient) iter.Seq2[Original, error]

// Config is what the room needs from the house.
type Config struct {
	Vault     Vault
	Originals Originals        // optional
	Scanner   Scanner          // optional: without one no file is looked through
	Practice  func() string    // the practice's name, for pages that leave the house; optional
	Now       func() time.Time // time.Now if nil
}

// Exchange is the room. See New.
type Exchange struct {
	Config
	pages *web.Pages
}

// New makes the room.
func New(c Config) *Exchange {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Practice == nil {
		c.Practice = func() string { return "" }
	}
	pages := web.MustPages(pagesFS)
	pages.Now = c.Now
	return &Exchange{c, pages}
}

// Layer describes the room to the house.
func (x *Exchange) Layer() layer.Layer {
	return layer.Layer{Name: "exchange", Mount: x.mount, Export: x.zip}
}
