package exchange

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// Plain is what has to be said of every export.
const Plain = "This folder is not sealed: everybody who has it can read it. Keep it where you keep paper records, and delete it when it is no longer needed."

// ErrNotEmpty means that the folder holds something already: an export never
// mixes with what somebody else put there.
var ErrNotEmpty = fhir.ErrNotEmpty

// unfinished is a file that an export leaves only where it was cut off.
const unfinished = "NOT-FINISHED.txt"

const unfinishedText = "This export was cut off. It is not whole, and it can be read by everybody who has it.\nDelete this folder and export again.\n"

// asTextWords is what a patient's page says of files that came out as text.
const asTextWords = "A browser would open these as pages, which could run what somebody put into them and read this folder. Their content is as it came; only .txt was put behind their names."

// Takeout says what an export takes along.
type Takeout struct {
	Patient id.Patient     // only this one; empty: everybody
	Step    func(Progress) // told now and then how far it is; may be nil
}

// Exported is what an export took along.
type Exported struct {
	Patients  int            `json:"patients"`
	Resources int            `json:"resources"`
	Shared    int            `json:"shared"` // of these: belong to no patient
	Types     map[string]int `json:"types"`  // resources by type
	Files     int            `json:"files"`  // notes and papers
	Closed    int            `json:"closed"` // patients whose chart or bills are in the care of others, and stayed here
	Missing   []Missing      `json:"missing"`
	Warning   string         `json:"warning"`
	TookMS    int64          `json:"took_ms"`
}

// Missing is a patient who could not be taken out whole, and was left out.
type Missing struct {
	Patient id.Patient `json:"patient"`
	Reason  string     `json:"reason"`
}

// Export writes a plain folder, which must be new or empty: a FHIR Bundle, the
// papers and a readable page for each patient, and a list of all. index.html
// comes last; where an export was cut off, NOT-FINISHED.txt stands in its place.
// An export that fails takes away what it wrote.
//
// A patient who cannot be read whole is told in Missing. An error means that
// there is no export: the context's own, ErrNotEmpty, store.ErrFull,
// layer.ErrLocked, layer.ErrUnknown, or a *layer.Refusal.
func (x *Exchange) Export(ctx context.Context, out string, o Takeout) (sum Exported, err error) {
	root, err := empty(out)
	if err != nil {
		return sum, err
	}
	defer root.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	began := x.Now()
	e := &exporting{x: x, o: o, stop: stop, root: root, flow: newFlow(), cards: map[string]fhir.Card{}}
	if e.to, err = fhir.NewExport(root); err != nil {
		return sum, fmt.Errorf("choose a new folder, or an empty one: %w", err)
	}
	e.sum = Exported{Types: map[string]int{}, Missing: []Missing{}, Warning: Plain}
	if err := e.run(ctx); err != nil {
		return e.sum, errors.Join(full(err), clean(root))
	}
	e.sum.TookMS = x.Now().Sub(began).Milliseconds()
	return e.sum, nil
}

// full gives a full disk its own name.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", store.ErrFull, syscall.ENOSPC)
	}
	return err
}

// empty opens a folder that is new or empty.
func empty(out string) (*os.Root, error) {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return nil, fmt.Errorf("make the export's folder: %w", err)
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return nil, fmt.Errorf("open the export's folder: %w", err)
	}
	_, err = root.Stat(unfinished)
	switch {
	case err == nil:
		err = fmt.Errorf("an earlier export into this folder was cut off; delete the folder, or choose another: %w", ErrNotEmpty)
	case errors.Is(err, fs.ErrNotExist):
		return root, nil
	}
	root.Close()
	return nil, err
}

// clean takes away what a failed export wrote: it is plain.
func clean(root *os.Root) error {
	for _, name := range []string{"patients", "shared.ndjson", "shared.ndjson.part", "index.html", unfinished} {
		if err := root.RemoveAll(name); err != nil {
			return fmt.Errorf("take away what was exported: %w", err)
		}
	}
	return nil
}

// exporting is one export under way.
type exporting struct {
	x    *Exchange
	o    Takeout
	stop context.CancelCauseFunc
	root *os.Root
	to   *fhir.Export
	flow *flow

	mu    sync.Mutex
	sum   Exported
	cards map[string]fhir.Card
	at    Progress
	told  time.Time
}

func (e *exporting) run(ctx context.Context) error {
	if err := e.root.WriteFile(unfinished, []byte(unfinishedText), 0o600); err != nil {
		return fmt.Errorf("begin the export: %w", err)
	}
	if err := e.everybody(ctx); err != nil {
		return err
	}
	if e.o.Patient == "" {
		if err := e.shared(ctx); err != nil {
			return err
		}
	}
	if err := e.to.Index(fhir.IndexPage{Practice: e.x.Practice(), Made: e.made(), Patients: e.list()}); err != nil {
		return err
	}
	if err := e.to.Close(); err != nil {
		return err
	}
	if err := e.root.Remove(unfinished); err != nil {
		return fmt.Errorf("end the export: %w", err)
	}
	return nil
}

func (e *exporting) made() string { return e.x.Now().Format("January 2, 2006") }

// everybody takes out the patients, several at a time.
func (e *exporting) everybody(ctx context.Context) error {
	var all []id.Patient
	if e.o.Patient != "" {
		all = []id.Patient{e.o.Patient}
	} else {
		for p, err := range e.x.Vault.Patients(ctx) {
			if err != nil {
				return err
			}
			all = append(all, p)
		}
	}
	e.at.Total = int64(len(all))
	for _, p := range all {
		e.flow.run(ctx, string(p), 1<<20, func() { e.patient(ctx, p) }) // however large: it is streamed
	}
	e.flow.wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// patient takes one patient out whole, or not at all.
func (e *exporting) patient(ctx context.Context, p id.Patient) {
	taken, err := again(func() (taken, error) { return e.takeOut(ctx, p) })
	if err != nil {
		e.failed(ctx, p, err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cards[string(p)] = fhir.Card{Name: taken.card.Shown(), Born: taken.card.Born, Phones: taken.card.Phones}
	e.sum.Patients++
	e.sum.Files += taken.files
	if taken.closed {
		e.sum.Closed++
	}
	for kind, n := range taken.types {
		e.sum.Types[kind] += n
		e.sum.Resources += n
		e.at.Resources += n
	}
	e.at.Patients++
	e.at.Done++
	if now := e.x.Now(); e.o.Step != nil && (e.at.Done == e.at.Total || now.Sub(e.told) >= 100*time.Millisecond) {
		e.told = now
		e.o.Step(e.at)
	}
}

// failed says whether only this patient is missing, or the export ends.
func (e *exporting) failed(ctx context.Context, p id.Patient, err error) {
	if ctx.Err() != nil {
		return
	}
	reason := ""
	switch {
	case e.o.Patient != "":
	case errors.Is(err, layer.ErrUnknown):
		reason = "was deleted meanwhile"
	case errors.Is(err, layer.ErrChanged):
		reason = "what is stored was changed from outside of Quietroom: run quietroom verify"
	case errors.Is(err, layer.ErrNotYours):
		reason = "is in the care of others"
	}
	if reason == "" {
		e.stop(err)
		return
	}
	if err := e.root.RemoveAll("patients/" + string(p)); err != nil {
		e.stop(fmt.Errorf("take away patient %s: %w", p, err))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at.Done++
	e.sum.Missing = append(e.sum.Missing, Missing{p, reason})
}

// taken is what was taken out of one patient.
type taken struct {
	card   layer.Card
	closed bool
	types  map[string]int
	files  int
}

func (e *exporting) takeOut(ctx context.Context, p id.Patient) (taken, error) {
	o, err := e.x.open(ctx, p, beside...)
	if err != nil {
		return taken{}, err
	}
	defer o.close()
	t := taken{card: o.card, closed: o.closed, types: map[string]int{}}
	var lines []fhir.Line
	err = e.to.Patient(string(p), func(yield func(fhir.Resource, error) bool) {
		for r, err := range o.resources(ctx) {
			if err == nil {
				t.types[r.Type]++
				title, when := fhir.Title(r)
				lines = append(lines, fhir.Line{When: day(when), Title: title})
			}
			if !yield(r, err) {
				return
			}
		}
	})
	if err != nil {
		return t, err
	}
	papers, asText, err := e.papers(ctx, p)
	if errors.Is(err, layer.ErrNotYours) {
		t.closed, err = true, nil
	}
	if err != nil {
		return t, err
	}
	t.files = len(papers)
	lines = append(lines, papers...)
	slices.SortStableFunc(lines, func(a, b fhir.Line) int { return strings.Compare(b.When, a.When) })
	words := also(o.card)
	if asText {
		words = append(words, fhir.Word{Name: "Some files end in .txt", Text: asTextWords})
	}
	return t, e.to.Page(string(p), fhir.Page{Practice: e.x.Practice(), Made: e.made(), Card: shown(o.card), Also: words, Lines: slices.Values(lines)})
}

// day is a FHIR date without its time.
func day(when string) string { return when[:min(len(when), len("2006-01-02"))] }

// also is what a card tells beyond FHIR.
func also(c layer.Card) []fhir.Word {
	ways := func(allowed bool) string {
		var list []string
		for _, way := range slices.Sorted(maps.Keys(c.Safe.Ways)) {
			if c.Safe.Ways[way] == allowed {
				list = append(list, way)
			}
		}
		return strings.Join(list, ", ")
	}
	var words []fhir.Word
	for _, w := range []fhir.Word{
		{Name: "Pronouns", Text: c.Pronouns}, {Name: "Safe contact", Text: c.Safe.Words}, {Name: "May be used", Text: ways(true)},
		{Name: "Must not be used", Text: ways(false)}, {Name: "Insurance", Text: c.Insurance}, {Name: "Patient since", Text: c.Since},
	} {
		if w.Text != "" {
			words = append(words, w)
		}
	}
	return words
}

// papers writes notes and files beside the Bundle. asText tells that the name of
// one was changed, so that no browser runs it.
func (e *exporting) papers(ctx context.Context, p id.Patient) (lines []fhir.Line, asText bool, err error) {
	if e.x.Originals == nil {
		return nil, false, nil
	}
	names := names{}
	for o, err := range e.x.Originals(ctx, p) {
		if err != nil {
			return lines, asText, err
		}
		name, changed, err := e.paper(ctx, p, names, o)
		if err != nil {
			return lines, asText, err
		}
		asText = asText || changed
		lines = append(lines, fhir.Line{When: o.When, Title: cmp.Or(o.Title, o.Name), Link: "files/" + name})
	}
	return lines, asText, nil
}

func (e *exporting) paper(ctx context.Context, p id.Patient, names names, o Original) (name string, asText bool, err error) {
	content, err := o.Open(ctx)
	if err != nil {
		return "", false, err
	}
	defer content.Close()
	body := bufio.NewReader(content)
	first, err := body.Peek(looked)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	name = harmless(o.Name)
	if asText = active(name, first); asText {
		name += ".txt"
	}
	name = names.free(name)
	return name, asText, e.to.File(string(p), name, body)
}

// shared takes out what belongs to no patient.
func (e *exporting) shared(ctx context.Context) error {
	s, err := e.x.opened(ctx, e.x.Vault.House(), layer.PartShared)
	if errors.Is(err, layer.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.c.Close()
	for r, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		if err := e.to.Shared(r); err != nil {
			return err
		}
		e.sum.Types[r.Type]++
		e.sum.Resources++
		e.sum.Shared++
	}
	return nil
}

// list yields the patients in order of their names.
func (e *exporting) list() iter.Seq2[string, fhir.Card] {
	return func(yield func(string, fhir.Card) bool) {
		order := slices.SortedFunc(maps.Keys(e.cards), func(a, b string) int {
			return cmp.Or(strings.Compare(strings.ToLower(e.cards[a].Name), strings.ToLower(e.cards[b].Name)), strings.Compare(a, b))
		})
		for _, p := range order {
			if !yield(p, e.cards[p]) {
				return
			}
		}
	}
}
