package fhir

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"iter"
)

// Page is one patient for reading and printing: no script, nothing fetched.
type Page struct {
	Practice string
	Made     string // when, in words
	Card     Card
	Also     []Word         // what the card has no place for
	Lines    iter.Seq[Line] // may be nil
}

// Word is one more thing that is known about a patient.
type Word struct{ Name, Text string }

// Line is one resource, or one paper, on a page.
type Line struct {
	When, Title string
	Link        string // of a file beside the page, relative; may be empty
}

// IndexPage lists the patients of an export.
type IndexPage struct {
	Practice string
	Made     string
	Patients iter.Seq2[string, Card] // opaque id and card; may be nil
}

//go:embed page.html index.html style.html
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "*.html"))

// WritePage writes the page of one patient.
func WritePage(w io.Writer, p Page) error {
	if p.Lines == nil {
		p.Lines = func(func(Line) bool) {}
	}
	return pages.ExecuteTemplate(w, "page.html", p)
}

func writeIndex(w io.Writer, p IndexPage) error {
	if p.Patients == nil {
		p.Patients = func(func(string, Card) bool) {}
	}
	return pages.ExecuteTemplate(w, "index.html", p)
}

// quote writes a text as JSON.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string can always be marshaled
		panic(err)
	}
	return b
}
