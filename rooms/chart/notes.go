package chart

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// draft is a note as its form sends it.
type draft struct {
	Record  id.Record
	Version uint64 // that was read; 0: not kept yet
	Form    form
	Of      id.Record
	On      string // the day of the session, YYYY-MM-DD
	Content content
}

// stored is a note as the vault has it.
type stored struct {
	layer.Entry
	about head
	words content
}

// notePage is the sheet on which a note is written.
type notePage struct {
	Patient id.Patient
	Called  string
	Draft   draft
	Fields  []sheetField
	Today   string
	Saved   time.Time
	Fault   string
	Theirs  *theirs
}

type sheetField struct {
	formField
	Text string
}

// theirs is what somebody else wrote in the same note meanwhile.
type theirs struct {
	By     string
	At     time.Time
	Signed bool
	Fields []filled
}

// signedPage is a note that never changes.
type signedPage struct {
	Patient id.Patient
	Called  string
	Note    signedNote
	Addenda []signedNote
	Of      id.Record
}

type signedNote struct {
	Record        id.Record
	Title, Word   string
	At, Signed    time.Time
	Signer, Begun string // Begun: who began it, if it is somebody else
	Fields        []filled
}

// errTornNote is for a form that no page of ours sends.
var errTornNote = &web.Error{Status: http.StatusBadRequest, Text: "The sheet arrived torn, so nothing was kept.", Fix: "Go back, and send it again."}

// showBlank shows an empty sheet. The kind of note comes by POST: that a safety
// plan was begun must not stand in an address.
func (c *Chart) showBlank(w http.ResponseWriter, r *http.Request) error {
	form, ok := formBy(r.PostFormValue("form"))
	if !ok || form.Key == addendumForm.Key {
		form = forms[0]
	}
	return c.blank(w, r, form, "")
}

func (c *Chart) showAddendum(w http.ResponseWriter, r *http.Request) error {
	of, err := recordOf(r)
	if err != nil {
		return err
	}
	return c.blank(w, r, addendumForm, of)
}

func (c *Chart) blank(w http.ResponseWriter, r *http.Request, f form, of id.Record) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	d := draft{Record: id.New[id.Record](), Form: f, Of: of, On: c.Now().Format(time.DateOnly)}
	// The chart is opened before anybody writes, so that nobody writes a page
	// that cannot be kept.
	if of == "" {
		err = c.mayWrite(r.Context(), p)
	} else {
		err = c.takesAddenda(r.Context(), p, of)
	}
	if err != nil {
		return err
	}
	return c.sheet(w, r, http.StatusOK, p, notePage{Draft: d})
}

// mayWrite returns nil for a person of the patient's care team.
func (c *Chart) mayWrite(ctx context.Context, p id.Patient) error {
	if err := c.readOnly(ctx, p); err != nil {
		return err
	}
	chart, err := c.Vault.Open(ctx, p, layer.PartChart)
	if err != nil {
		return err
	}
	chart.Close()
	return nil
}

// readOnly refuses, before anybody writes a word, what the vault would not keep
// under a broken glass.
func (c *Chart) readOnly(ctx context.Context, p id.Patient) error {
	if c.Glass == nil {
		return nil
	}
	if until, _ := c.Glass.Broken(ctx, p); until.IsZero() {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Text: "You opened this chart by breaking the glass: it can be read, and not written in.",
		Fix: "Tell the patient’s clinician what should stand in it, or ask to be taken into the care team.", Back: pageOf(p)}
}

// takesAddenda returns nil for a signed note that addenda may be written to.
func (c *Chart) takesAddenda(ctx context.Context, p id.Patient, of id.Record) error {
	if err := c.readOnly(ctx, p); err != nil {
		return err
	}
	chart, err := c.Vault.Open(ctx, p, layer.PartChart)
	if err != nil {
		return err
	}
	defer chart.Close()
	if note, err := readNote(ctx, chart, of); err != nil || note.about.Signed == 0 || note.about.Of != "" {
		return errors.Join(errNotHere, err)
	}
	return nil
}

// sheet shows the page on which a note is written.
func (c *Chart) sheet(w http.ResponseWriter, r *http.Request, status int, p id.Patient, page notePage) error {
	card, _, err := c.card(r.Context(), p)
	if err != nil {
		return err
	}
	page.Patient, page.Called, page.Today = p, card.Called(), c.Now().Format(time.DateOnly)
	for _, f := range page.Draft.Form.Fields {
		page.Fields = append(page.Fields, sheetField{f, page.Draft.Content.text(f.Key)})
	}
	return c.show(w, r, "note", web.View{Status: status, Title: "Note", Bare: true, Class: "note", Scripts: []string{"note.js"}, Data: page})
}

func (c content) text(key string) string {
	for _, f := range c.Fields {
		if f.Key == key {
			return f.Text
		}
	}
	return ""
}

// showNote shows a draft to go on with, or a signed note.
func (c *Chart) showNote(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	rec, err := recordOf(r)
	if err != nil {
		return err
	}
	chart, err := c.Vault.Open(r.Context(), p, layer.PartChart)
	if err != nil {
		return err
	}
	defer chart.Close()
	note, err := readNote(r.Context(), chart, rec)
	if err != nil {
		return err
	}
	if note.about.Signed != 0 {
		return c.showSigned(w, r, p, chart, note)
	}
	form, ok := formBy(note.about.Form)
	if !ok {
		return errTornNote
	}
	d := draft{Record: rec, Version: note.Version, Form: form, Of: note.about.Of, On: note.At.In(c.Now().Location()).Format(time.DateOnly), Content: note.words}
	return c.sheet(w, r, http.StatusOK, p, notePage{Draft: d, Saved: time.UnixMilli(note.about.Saved)})
}

// readNote opens a note. A record that is none is unknown.
func readNote(ctx context.Context, chart layer.Compartment, rec id.Record) (s stored, err error) {
	e, body, err := chart.Read(ctx, rec)
	if err != nil {
		return s, err
	}
	defer clear(body)
	h, ours := readHead(e.Head)
	if !ours || h.Kind != noteKind {
		return s, layer.ErrUnknown
	}
	s.Entry, s.about = e, h
	s.words, err = readContent(body)
	return s, err
}

func (c *Chart) showSigned(w http.ResponseWriter, r *http.Request, p id.Patient, chart layer.Compartment, note stored) error {
	ctx := r.Context()
	card, _, err := c.card(ctx, p)
	if err != nil {
		return err
	}
	page := signedPage{Patient: p, Called: card.Called(), Note: c.signed(ctx, note), Of: note.about.Of}
	if note.about.Of == "" {
		if page.Addenda, err = c.addendaOf(ctx, chart, note.Record); err != nil {
			return err
		}
	}
	return c.show(w, r, "signed", web.View{Title: "Signed note", Data: page})
}

func (c *Chart) signed(ctx context.Context, n stored) signedNote {
	s := signedNote{Record: n.Record, Title: n.words.Title, At: n.At, Signed: time.UnixMilli(n.about.Signed), Signer: c.name(ctx, n.about.Signer)}
	if form, ok := formBy(n.about.Form); ok && form.Word != form.Title {
		s.Word = form.Word
	}
	if n.about.By != n.about.Signer {
		s.Begun = c.name(ctx, n.about.By)
	}
	for _, f := range n.words.Fields {
		if f.Text != "" {
			s.Fields = append(s.Fields, f)
		}
	}
	return s
}

// addendaOf reads the signed addenda of a note, in the order they were signed.
func (c *Chart) addendaOf(ctx context.Context, chart layer.Compartment, rec id.Record) (list []signedNote, err error) {
	entries, err := chart.List(ctx)
	if err != nil {
		return nil, err
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if !bytes.Contains(entries[i].Head, []byte(rec)) {
			continue // it adds to another note, if to any
		}
		h, ours := readHead(entries[i].Head)
		if !ours || h.Of != rec || h.Signed == 0 {
			continue
		}
		note, err := readNote(ctx, chart, entries[i].Record)
		if err != nil {
			return nil, err
		}
		list = append(list, c.signed(ctx, note))
	}
	return list, nil
}

// keepNote keeps a draft, or signs it. A script that keeps drafts by itself gets JSON.
func (c *Chart) keepNote(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	d, err := readDraft(r)
	if err != nil {
		return err
	}
	sign := r.PostFormValue("act") == "sign"
	quiet := strings.HasPrefix(r.Header.Get("Accept"), "application/json")
	page := notePage{Draft: d}
	switch empty := d.Content.empty(); {
	case sign && empty:
		page.Fault = "There is nothing on the sheet to sign yet."
		return c.sheet(w, r, http.StatusUnprocessableEntity, p, page)
	case empty && d.Version == 0 && quiet: // an empty sheet is not worth keeping
		return web.JSON(w, http.StatusOK, kept{Record: d.Record})
	case empty && d.Version == 0:
		return web.SeeOther(w, r, pageOf(p))
	}
	version, other, err := c.keep(ctx, p, d, sign)
	switch {
	case err != nil:
		return err
	case other != nil && quiet:
		return web.JSON(w, http.StatusConflict, kept{Record: d.Record})
	case other != nil:
		return c.showConflict(w, r, p, d, *other)
	case quiet:
		return web.JSON(w, http.StatusOK, kept{d.Record, version})
	}
	return web.SeeOther(w, r, pageOf(p))
}

// kept is what a script learns.
type kept struct {
	Record  id.Record `json:"record"`
	Version uint64    `json:"version"`
}

func readDraft(r *http.Request) (d draft, err error) {
	form, ok := formBy(r.PostFormValue("form"))
	version, err := strconv.ParseUint(r.PostFormValue("version"), 10, 62)
	rec, of := r.PostFormValue("record"), r.PostFormValue("of")
	if !ok || err != nil || id.Check(rec) != nil || of != "" && id.Check(of) != nil {
		return d, errTornNote
	}
	if (form.Key == addendumForm.Key) != (of != "") {
		return d, errTornNote
	}
	d = draft{Record: id.Record(rec), Version: version, Form: form, Of: id.Record(of), On: r.PostFormValue("on"), Content: content{Title: form.Title}}
	for _, f := range form.Fields {
		text := strings.TrimRight(strings.ReplaceAll(r.PostFormValue("f-"+f.Key), "\r\n", "\n"), " \n\t")
		d.Content.Fields = append(d.Content.Fields, filled{f.Key, f.Label, strings.ToValidUTF8(text, "\uFFFD")})
	}
	return d, nil
}

// keep writes a draft or the signed note. Where somebody else wrote the same
// note meanwhile, it writes nothing and returns what is there.
func (c *Chart) keep(ctx context.Context, p id.Patient, d draft, sign bool) (version uint64, other *stored, err error) {
	b, err := c.Vault.Begin(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer b.Drop()
	chart, err := b.In(ctx, p, layer.PartChart)
	if err != nil {
		return 0, nil, err
	}
	now, me := c.Now(), id.From(ctx).Person
	h := head{Kind: noteKind, Form: d.Form.Key, Title: d.Form.Title, By: me, Saved: now.UnixMilli(), Of: d.Of}
	was, err := readNote(ctx, chart, d.Record)
	switch {
	case errors.Is(err, layer.ErrUnknown) && d.Version == 0:
	case err != nil:
		return 0, nil, err
	case same(was, d) && (was.about.Signed != 0) == sign:
		return was.Version, nil, nil // it is kept already: an answer was lost on its way
	case was.about.Signed != 0 || was.Version != d.Version:
		return 0, &was, nil
	default:
		h.By, h.Form, h.Title, h.Of = was.about.By, was.about.Form, was.about.Title, was.about.Of
	}
	if d.Of != "" {
		if err := mayAdd(ctx, chart, d.Of); err != nil {
			return 0, nil, err
		}
	}
	if sign {
		h.Signer, h.Signed, h.Saved = me, now.UnixMilli(), 0
	}
	body := d.Content.bytes()
	defer clear(body)
	if _, err := b.Put(ctx, chart, layer.Draft{Record: d.Record, Version: d.Version, At: onDay(d.On, was.At, now), Head: h.bytes(), Body: body}); err != nil {
		return 0, nil, err
	}
	err = b.Commit(ctx)
	if errors.Is(err, layer.ErrConflict) {
		other, err := c.reread(ctx, p, d.Record)
		if errors.Is(err, layer.ErrUnknown) { // it stands in another chart, or is no note
			err = layer.ErrConflict
		}
		return 0, other, err
	}
	return d.Version + 1, nil, err
}

// mayAdd tells whether a note is one that takes addenda.
func mayAdd(ctx context.Context, chart layer.Compartment, of id.Record) error {
	note, err := readNote(ctx, chart, of)
	if err != nil {
		return err
	}
	if note.about.Signed == 0 || note.about.Of != "" {
		return errTornNote
	}
	return nil
}

func same(was stored, d draft) bool {
	if was.about.Form != d.Form.Key || len(was.words.Fields) != len(d.Content.Fields) {
		return false
	}
	for i, f := range was.words.Fields {
		if f != d.Content.Fields[i] {
			return false
		}
	}
	return true
}

// reread reads a note once more, after somebody else was faster.
func (c *Chart) reread(ctx context.Context, p id.Patient, rec id.Record) (*stored, error) {
	chart, err := c.Vault.Open(ctx, p, layer.PartChart)
	if err != nil {
		return nil, err
	}
	defer chart.Close()
	note, err := readNote(ctx, chart, rec)
	if err != nil {
		return nil, err
	}
	return &note, nil
}

// onDay is when a session was: on the day that the sheet names, at the hour it
// had before, or now's.
func onDay(iso string, was, now time.Time) time.Time {
	if was.IsZero() {
		was = now
	}
	was = was.In(now.Location())
	day, err := time.ParseInLocation(time.DateOnly, iso, now.Location())
	if err != nil || day.After(now) || day.Year() < 1900 {
		return was
	}
	return time.Date(day.Year(), day.Month(), day.Day(), was.Hour(), was.Minute(), was.Second(), was.Nanosecond(), now.Location())
}

// showConflict shows both texts. One's own words become the next version of the
// draft, or an addendum where the other one was signed.
func (c *Chart) showConflict(w http.ResponseWriter, r *http.Request, p id.Patient, yours draft, other stored) error {
	t := theirs{By: c.name(r.Context(), other.about.By), At: time.UnixMilli(other.about.Saved), Fields: other.words.Fields}
	yours.Version = other.Version
	if other.about.Signed != 0 {
		t.By, t.At, t.Signed = c.name(r.Context(), other.about.Signer), time.UnixMilli(other.about.Signed), true
		of := other.Record
		if other.about.Of != "" {
			of = other.about.Of
		}
		yours = draft{Record: id.New[id.Record](), Form: addendumForm, Of: of, On: c.Now().Format(time.DateOnly), Content: yours.Content.joined()}
	}
	return c.sheet(w, r, http.StatusConflict, p, notePage{Draft: yours, Theirs: &t})
}

// joined puts all fields into the one of an addendum.
func (c content) joined() content {
	var texts []string
	for _, f := range c.Fields {
		if f.Text != "" && len(c.Fields) > 1 {
			texts = append(texts, f.Label+": "+f.Text)
		} else if f.Text != "" {
			texts = append(texts, f.Text)
		}
	}
	return content{Title: addendumForm.Title, Fields: []filled{{"note", addendumForm.Fields[0].Label, strings.Join(texts, "\n\n")}}}
}
