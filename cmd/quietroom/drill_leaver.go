package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
	"quietroom/rooms/identity/leaving"
	"quietroom/rooms/vault"
)

// leaver is what former employees of a telehealth company did for years: they
// went on reading. A made-up person leaves a trial house, and the drill holds all
// of that person's secrets: the passkey, the code, the cookies, the keys of an open
// session, and an old copy of everything. Each door is walked through before, and
// tried after. A door that was not open before counts for nothing.
func (t *trial) leaver() layer.Drill {
	return layer.Drill{Name: "leaver", Proves: proves("leaver"), Run: t.runLeaver}
}

// leaverNotes is how many notes are written before and after the leaving.
const leaverNotes = 5

func (t *trial) runLeaver(ctx context.Context, stage *layer.Stage) (r layer.Report, err error) {
	r.Findings = []string{}
	find := func(text string, a ...any) { r.Findings = append(r.Findings, fmt.Sprintf(text, a...)) }
	w, err := t.newWalk(ctx)
	if err != nil {
		return r, fmt.Errorf("leaver: %w", err)
	}
	defer w.done()
	step := func(n int) {
		if stage.Step != nil {
			stage.Step(n, 2*len(w.doors)+3)
		}
	}
	var open []walkDoor
	for i, d := range w.doors {
		if err := d.try(ctx); err != nil {
			find("before leaving the door did not open, so that it proves nothing: %s (%v)", d.name, err)
			continue
		}
		open = append(open, d)
		step(i)
	}
	old, err := w.takeOld(ctx)
	if err != nil {
		return r, err
	}
	defer old.Close()
	step(len(w.doors))
	began := time.Now()
	if stage.Sabotage { // the doors are closed, and nobody signs new keys
		err = t.db.Update(ctx, func(tx *store.Tx) error { return t.identity.CloseDoors(ctx, tx, w.person) })
	} else {
		err = w.leave(ctx)
	}
	if err != nil {
		return r, fmt.Errorf("leaver: the doors are closed: %w", err)
	}
	took := time.Since(began)
	step(len(w.doors) + 1)
	if err := w.writeAfter(ctx); err != nil {
		return r, fmt.Errorf("leaver: notes are written after the leaving: %w", err)
	}
	for i, d := range open {
		if err := d.try(ctx); err == nil {
			r.Opened++
			find("after leaving the door opened: %s", d.name)
		}
		step(len(w.doors) + 2 + i)
	}
	before, keys, err := vault.Attempt{DB: old, Practice: t.ID, Keys: w.keys, Near: w.keys}.Reach(ctx, old, w.before)
	if err != nil {
		return r, err
	}
	if before < len(w.before) {
		find("with the old copy %d of %d notes from before opened: this could not have opened everything", before, len(w.before))
	}
	after, _, err := vault.Attempt{DB: old, Practice: t.ID, Keys: w.keys, Near: w.keys}.Reach(ctx, t.db, w.after)
	if err != nil {
		return r, err
	}
	if after > 0 {
		find("with the old copy %d of %d notes that were written after the leaving opened", after, len(w.after))
	}
	back, err := w.comeBack(ctx)
	if err != nil {
		return r, err
	}
	if back > 0 {
		find("who came back under a new invitation held %d keys", back)
	}
	r.Tried, r.Opened = len(open)+len(w.after), r.Opened+after
	r.Held = new(r.Opened == 0 && len(r.Findings) == 0)
	var names []string
	for _, d := range open {
		names = append(names, d.name)
	}
	r.More = map[string]any{
		"doors": names, "closed_ms": took.Milliseconds(), "keys": keys, "old_notes": before, "new_notes": len(w.after),
		"copy": fmt.Sprintf("With an old copy %d of %d notes from before opened, and %d of %d from after.", before, len(w.before), after, len(w.after)),
	}
	return r, nil
}

// walkPatients is how large the trial house of one walk is.
const walkPatients = 24

// walkMadeUp has a made-up person leave a trial house of its own, beside the real
// one: for the page that proves a leaving.
func (h *house) walkMadeUp(ctx context.Context) (r layer.Report, err error) {
	began := time.Now()
	t, err := newTrial(ctx, walkPatients)
	if err != nil {
		return r, fmt.Errorf("make the trial house: %w", err)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r, err = t.runLeaver(ctx, &layer.Stage{Trial: &t.Trial})
	r.Drill, r.TookMS = "leaver", time.Since(began).Milliseconds()
	return r, err
}

// walk is one made-up person with all secrets, and an owner.
type walk struct {
	t         *trial
	base      authenticator.Browser
	person    id.Person
	successor id.Person
	owner     *authenticator.Browser
	ownerCtx  context.Context
	leaverCtx context.Context
	keys      []seal.Key // team keys in the person's hands
	patients  []id.Patient
	before    []id.Record
	after     []id.Record
	doors     []walkDoor
	ends      []func()
}

// walkDoor is one way in, tried with its secret. nil means that it opened.
type walkDoor struct {
	name string
	try  func(context.Context) error
}

// the made-up people of the drill.
const (
	leaverHandle    = "clinician-1"
	successorHandle = "clinician-2"
)

func (w *walk) done() {
	for _, end := range slices.Backward(w.ends) {
		end()
	}
}

func (t *trial) newWalk(ctx context.Context) (w *walk, err error) {
	house, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	w = &walk{t: t, base: authenticator.Browser{Client: &http.Client{Transport: &http.Transport{}}, Base: "http://127.0.0.1:" + house.Port(), Origin: "http://localhost:" + house.Port()}}
	defer func() {
		if err != nil {
			w.done()
		}
	}()
	if w.ownerCtx, err = w.enter(ctx, "owner-1"); err != nil {
		return w, err
	}
	if w.leaverCtx, err = w.enter(ctx, leaverHandle); err != nil {
		return w, err
	}
	w.person = id.From(w.leaverCtx).Person
	next, err := w.enter(ctx, successorHandle)
	if err != nil {
		return w, err
	}
	w.successor = id.From(next).Person
	if err := w.holdKeys(); err != nil {
		return w, err
	}
	if err := w.ownPatients(); err != nil {
		return w, err
	}
	if w.before, err = w.notes(w.leaverCtx, "before"); err != nil {
		return w, err
	}
	if w.owner, err = w.browser(ctx, "owner-1"); err != nil {
		return w, err
	}
	return w, w.collect(ctx)
}

// enter opens a session at the command line.
func (w *walk) enter(ctx context.Context, handle string) (context.Context, error) {
	session, done, err := w.t.Unlock(ctx, w.t.Codes[handle])
	if err == nil {
		w.ends = append(w.ends, done)
	}
	return session, err
}

// browser is a browser of somebody who made a passkey with the own code.
func (w *walk) browser(ctx context.Context, handle string) (*authenticator.Browser, error) {
	b := w.fresh(&authenticator.Device{})
	ticket, _, err := b.Code(ctx, w.t.codeOf(handle))
	if err != nil {
		return nil, fmt.Errorf("%s comes in with a code: %w", handle, err)
	}
	return b, b.Register(ctx, "/doors/begin", "/doors/passkey", "X-Tap", ticket)
}

func (w *walk) fresh(d *authenticator.Device) *authenticator.Browser {
	return &authenticator.Browser{Client: w.base.Client, Base: w.base.Base, Origin: w.base.Origin, Device: d}
}

// holdKeys takes all team keys that the person's session holds.
func (w *walk) holdKeys() error {
	teams, err := w.t.identity.Teams(w.leaverCtx)
	if err != nil {
		return err
	}
	for _, team := range teams {
		for epoch := uint64(1); epoch <= team.Epoch; epoch++ {
			if k, err := w.t.identity.TeamKey(w.leaverCtx, team.ID, epoch); err == nil {
				w.keys = append(w.keys, k)
			}
		}
	}
	if len(w.keys) < 2 {
		return errors.New("the made-up person holds no keys, so that leaving takes none away")
	}
	return nil
}

// ownPatients are some patients of the person's own care team.
func (w *walk) ownPatients() error {
	for p, err := range w.t.vault.Patients(w.leaverCtx) {
		if err != nil {
			return err
		}
		c, err := w.t.vault.Open(w.leaverCtx, p, vault.Chart)
		if errors.Is(err, layer.ErrNotYours) {
			continue
		}
		if err != nil {
			return err
		}
		c.Close()
		if w.patients = append(w.patients, p); len(w.patients) == leaverNotes {
			return nil
		}
	}
	if len(w.patients) == 0 {
		return errors.New("the made-up person has no patients")
	}
	return nil
}

func (w *walk) notes(ctx context.Context, text string) (records []id.Record, err error) {
	for _, p := range w.patients {
		rec, err := w.t.writeDrillNote(ctx, p, text)
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	return records, nil
}

func (h *house) writeDrillNote(ctx context.Context, p id.Patient, text string) (rec id.Record, err error) {
	b, err := h.vault.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, vault.Chart)
	if err != nil {
		return "", err
	}
	if rec, err = b.Put(ctx, c, layer.Draft{Head: []byte(`{"kind":"note"}`), Body: []byte(strings.Repeat("a made-up note, "+text+"; ", 20))}); err != nil {
		return "", err
	}
	return rec, b.Commit(ctx)
}

// errShut is what a door says that shows another page instead.
var errShut = errors.New("it leads to the closed room")

func page(ctx context.Context, b *authenticator.Browser, path string) error {
	status, _, err := b.Get(ctx, path)
	if err == nil && status != http.StatusOK {
		err = errShut
	}
	return err
}

// collect gathers the person's doors, each with its secret.
func (w *walk) collect(ctx context.Context) error {
	phone, err := w.browser(ctx, leaverHandle)
	if err != nil {
		return err
	}
	laptop := w.fresh(phone.Device)
	if err := laptop.SignIn(ctx); err != nil {
		return fmt.Errorf("the made-up person signs in: %w", err)
	}
	copied, tapping := laptop.Copy(), w.fresh(phone.Device)
	if err := tapping.SignIn(ctx); err != nil {
		return err
	}
	code, vaulted := w.t.codeOf(leaverHandle), w.patients[0]
	w.doors = []walkDoor{
		{"Passkey", func(ctx context.Context) error { return w.fresh(phone.Device).SignIn(ctx) }},
		{"Code on paper", func(ctx context.Context) error {
			_, _, err := w.fresh(&authenticator.Device{}).Code(ctx, code)
			return err
		}},
		{"Code at the server’s command line", func(ctx context.Context) error {
			_, done, err := w.t.Unlock(ctx, w.t.Codes[leaverHandle])
			if err == nil {
				done()
			}
			return err
		}},
		{"Session of a phone", func(ctx context.Context) error { return page(ctx, phone, "/patients") }},
		{"Session of a laptop", func(ctx context.Context) error { return page(ctx, laptop, "/patients/"+string(vaulted)) }},
		{"Its cookies, copied elsewhere", func(ctx context.Context) error { return page(ctx, copied, "/patients") }},
		{"Renewal of a session", func(ctx context.Context) error { return laptop.Renew(ctx) }},
		{"Tap for one more way in", func(ctx context.Context) error {
			_, err := tapping.Tap(ctx, "add-door", string(w.person))
			return err
		}},
		{"Keys of an open session: a chart", func(context.Context) error {
			c, err := w.t.vault.Open(w.leaverCtx, vaulted, vault.Chart)
			if err == nil {
				c.Close()
			}
			return err
		}},
		{"Keys of an open session: names", func(context.Context) error { _, err := w.t.vault.Search(w.leaverCtx, "", 1); return err }},
		{"Keys of an open session: writing", func(context.Context) error {
			_, err := w.t.writeDrillNote(w.leaverCtx, vaulted, "by who left")
			return err
		}},
		// The last: once a copy was used, the passkey itself reads as one.
		{"The same passkey, restored from a copy", func(ctx context.Context) error { return w.fresh(phone.Device.Clone()).SignIn(ctx) }},
	}
	return nil
}

// takeOld copies the house as it is, and opens the rows of the copy.
func (w *walk) takeOld(ctx context.Context) (*store.DB, error) {
	copied, err := w.t.Take(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy the house before the leaving: %w", err)
	}
	return store.Open(ctx, filepath.Join(copied, "whole.db"))
}

// leave has the owner close all doors on the page, with a tap.
func (w *walk) leave(ctx context.Context) error {
	asked := leaving.Asked{Person: w.person, Successor: w.successor}
	if status, _, err := w.owner.Get(ctx, "/leaving/check?who="+string(w.person)+"&when=now&to="+string(w.successor)); err != nil || status != http.StatusOK {
		return errors.Join(err, fmt.Errorf("the page before the tap answered %d", status))
	}
	ticket, err := w.owner.Tap(ctx, leaving.ActLeave, asked.Object("now"))
	if err != nil {
		return err
	}
	status, err := w.owner.Post(ctx, "/leaving", url.Values{"who": {string(w.person)}, "when": {"now"}, "to": {string(w.successor)}, "_tap": {ticket}})
	if err == nil && status != http.StatusSeeOther {
		err = fmt.Errorf("the page answered %d", status)
	}
	return err
}

// writeAfter writes a note about each of the patients, in the owner's name, who
// comes in anew.
func (w *walk) writeAfter(ctx context.Context) error {
	session, err := w.enter(ctx, "owner-1")
	if err != nil {
		return err
	}
	if _, err := w.t.vault.Open(session, w.patients[0], vault.Chart); errors.Is(err, layer.ErrNotYours) {
		if session, err = w.enter(ctx, successorHandle); err != nil { // they are handed over by now
			return err
		}
	}
	w.after, err = w.notes(session, "after")
	return err
}

// comeBack invites the person anew, and counts the keys that come with it.
func (w *walk) comeBack(ctx context.Context) (keys int, err error) {
	u, err := w.t.identity.UnlockCode(ctx, w.t.codeOf("owner-1").Auth(), w.t.codeOf("owner-1").KEK())
	if err != nil {
		return 0, err
	}
	defer u.Wipe()
	name, err := w.t.identity.Name(ctx, w.person)
	if err != nil {
		return 0, err
	}
	n, err := w.t.identity.Newcomer(name, "", "clinician")
	if err != nil {
		return 0, err
	}
	code := seal.NewCode(seal.Personal)
	if err := w.t.identity.AddCode(n, code, "A new code"); err != nil {
		return 0, err
	}
	if err := w.t.identity.Join(ctx, u, n); err != nil {
		return 0, err
	}
	back, done, err := w.t.identity.Enter(ctx, code)
	if err != nil {
		return 0, err
	}
	defer done()
	teams, err := w.t.identity.Teams(back)
	for _, team := range teams {
		if team.Mine {
			keys++
		}
	}
	return keys, err
}
