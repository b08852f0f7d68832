package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

// head is what lists show of a note or a file: the sealed head of its record.
// Records of other rooms have heads of their own kind and are not ours.
type head struct {
	Kind   string    `json:"kind"`             // "note" or "file"
	Form   string    `json:"form,omitempty"`   // of a note: a key of forms
	Title  string    `json:"title"`            // of a note its form's title, of a file its name
	Type   string    `json:"type,omitempty"`   // of a file: what its first bytes say it is
	By     id.Person `json:"by"`               // who began it, or brought it
	Saved  int64     `json:"saved,omitempty"`  // of a draft: when it was kept last, unix milliseconds
	Signer id.Person `json:"signer,omitempty"` // of a signed note
	Signed int64     `json:"signed,omitempty"` // when, unix milliseconds; 0: a draft
	Of     id.Record `json:"of,omitempty"`     // of an addendum: the note that it adds to

	Scan    string    `json:"scan,omitempty"`    // of a file: "clean", "taken" or "held"; empty: nobody looked
	Scanned int64     `json:"scanned,omitempty"` // when, unix milliseconds
	Harm    string    `json:"harm,omitempty"`    // what was found
	Finding id.Record `json:"finding,omitempty"` // where people decide about it
}

// The kinds of heads.
const (
	noteKind = "note"
	fileKind = "file"
)

func (h head) bytes() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return b
}

// readHead tells whether a record is a note or a file, and what its head says.
func readHead(b []byte) (h head, ours bool) {
	if json.Unmarshal(b, &h) != nil {
		return head{}, false
	}
	return h, h.Kind == noteKind || h.Kind == fileKind
}

// filed is one note or file of a chart.
type filed struct {
	head
	Record id.Record
	At     time.Time // when it happened
	Size   int64
}

// folder is what lies in a chart, newest first.
type folder struct {
	notes, files []filed
	addenda      map[id.Record]int // signed ones, by the note they add to
	other        []layer.Entry     // what other rooms put there
	kinds        map[id.Record]string
}

// readFolder sorts the records of an opened chart.
func readFolder(ctx context.Context, chart layer.Compartment) (f folder, err error) {
	entries, err := chart.List(ctx)
	if err != nil {
		return f, err
	}
	f.addenda, f.kinds = map[id.Record]int{}, make(map[id.Record]string, len(entries))
	for _, e := range entries {
		h, ours := readHead(e.Head)
		one := filed{h, e.Record, e.At, e.Size}
		switch {
		case !ours:
			f.other = append(f.other, e)
			f.kinds[e.Record] = ""
			continue
		case h.Kind == fileKind:
			f.files = append(f.files, one)
		case h.Of != "" && h.Signed != 0:
			f.addenda[h.Of]++
		default:
			f.notes = append(f.notes, one)
		}
		f.kinds[e.Record] = h.Kind
	}
	return f, nil
}

// content is the body of a note. Labels are kept with the words, so that a note
// can be read without this program's forms.
type content struct {
	Title  string   `json:"title"`
	Fields []filled `json:"fields"`
}

type filled struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Text  string `json:"text"`
}

func readContent(body []byte) (c content, err error) {
	if json.Unmarshal(body, &c) != nil {
		return c, fmt.Errorf("a note is not readable")
	}
	return c, nil
}

func (c content) bytes() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings always encode
	}
	return b
}

func (c content) empty() bool {
	for _, f := range c.Fields {
		if f.Text != "" {
			return false
		}
	}
	return true
}

// form is a kind of note.
type form struct {
	Key, Title, Word string
	Fields           []formField
}

type formField struct {
	Key, Label, Hint string
	Rows             int
}

// forms are the kinds of notes, the most used first.
var forms = []form{
	{"dap", "Progress note", "DAP", []formField{
		{"data", "Data", "What was said and seen", 6},
		{"assessment", "Assessment", "How it looks to you", 3},
		{"plan", "Plan", "Until next time", 3},
	}},
	{"soap", "Progress note", "SOAP", []formField{
		{"subjective", "Subjective", "What the patient says", 5},
		{"objective", "Objective", "What you saw", 4},
		{"assessment", "Assessment", "How it looks to you", 3},
		{"plan", "Plan", "Until next time", 3},
	}},
	{"free", "Progress note", "Free text", []formField{{"note", "Note", "", 12}}},
	// The six steps of Stanley and Brown, Safety Planning Intervention (2012).
	{"safety-plan", "Safety plan", "Plan", []formField{
		{"signs", "Warning signs", "How a crisis begins", 3},
		{"own", "What I can do", "Alone, without anybody’s help", 3},
		{"around", "People and places", "That take my mind off it", 3},
		{"ask", "People I can ask", "Names and numbers", 3},
		{"professionals", "Professionals", "Names and numbers; 988 at any hour", 3},
		{"safer", "A safer place", "What is put out of reach, and by whom", 3},
	}},
	{"intake", "Intake", "Intake", []formField{
		{"why", "Why now", "In the patient’s words", 4},
		{"history", "History", "", 5},
		{"risk", "Risk and protection", "Asked directly", 3},
		{"agreed", "Agreed", "What happens next", 3},
	}},
	{"letter", "Letter", "Letter", []formField{
		{"to", "To", "Name and address", 2},
		{"text", "Letter", "", 12},
	}},
}

// addendumForm is what a signed note can get. It is not offered by itself.
var addendumForm = form{"addendum", "Addendum", "Addendum", []formField{{"note", "Addendum", "What is added or put right, and why", 6}}}

func formBy(key string) (form, bool) {
	if key == addendumForm.Key {
		return addendumForm, true
	}
	for _, f := range forms {
		if f.Key == key {
			return f, true
		}
	}
	return form{}, false
}
