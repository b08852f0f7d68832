package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"

	"quietroom/ground/web"
	"quietroom/rooms/backup/restic"
)

// A house comes back through the first page of a fresh installation: whoever
// holds the link that founds a practice pastes the recovery sheet, watches, reads
// what came back, and opens it. Until then the fresh installation stays as it is.

// Fresh is the installation that the house comes back to.
type Fresh interface {
	// Claimed tells whether the request's link still founds a practice here.
	Claimed(r *http.Request) error
	// Arrive brings the house of a sheet back, beside the fresh one. answers is
	// under which address it will answer; cannot says why it cannot be opened here.
	Arrive(ctx context.Context, s Sheet, key, known string, step func(what string)) (r Report, answers, cannot string, err error)
	// Open puts it in the place of the fresh one, once the request has ended.
	Open() error
}

// coming is what goes on. One house comes back at a time.
type coming struct {
	mu      sync.Mutex
	token   [32]byte // of the link by which it was begun: it lasts for as long as this does
	begun   bool
	doing   string
	done    bool
	opened  bool
	report  Report
	answers string
	cannot  string
	fault   *web.Error
	sheet   string
}

type bringPage struct {
	Token, Sheet, Key, Known string
	Fault, Fix               string
	Doing                    string
	Report                   *Report
	Answers, Cannot          string
	Opening                  bool
}

// mayBring lets in whoever holds the link; the link by which a house was brought
// back lasts until that is opened.
func (b *Backup) mayBring(r *http.Request) error {
	b.coming.mu.Lock()
	mine := b.coming.token == sha256.Sum256([]byte(r.PathValue("token")))
	b.coming.mu.Unlock()
	if mine && len(b.Root()) == 0 {
		return nil
	}
	return b.Fresh.Claimed(r)
}

func (b *Backup) showBringBack(w http.ResponseWriter, r *http.Request) error {
	if err := b.mayBring(r); err != nil {
		return err
	}
	c := &b.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	p := bringPage{Token: r.PathValue("token")}
	v := web.View{Title: "Bring a practice back", Bare: true}
	switch {
	case c.opened:
		p.Opening, p.Answers = true, c.answers
		w.Header().Set("Refresh", "6; url=/")
	case c.begun:
		p.Doing = c.doing
		w.Header().Set("Refresh", "2")
	case c.done:
		p.Report, p.Answers, p.Cannot = &c.report, c.answers, c.cannot
	case c.fault != nil:
		p.Fault, p.Fix, p.Sheet = c.fault.Text, c.fault.Fix, c.sheet
	}
	v.Data = p
	return b.pages.Show(w, r, "bring-back", v)
}

// bringBack begins.
func (b *Backup) bringBack(w http.ResponseWriter, r *http.Request) error {
	if err := b.mayBring(r); err != nil {
		return err
	}
	token := r.PathValue("token")
	p := bringPage{Token: token, Sheet: r.PostFormValue("sheet"), Key: strings.TrimSpace(r.PostFormValue("key")), Known: strings.TrimSpace(r.PostFormValue("known"))}
	s, err := ParseSheet(p.Sheet)
	if err == nil && len(s.Targets) == 0 {
		err = errors.New("the sheet names no place; a line that begins with Target: is missing")
	}
	if err != nil {
		p.Fault, p.Fix = "The sheet could not be read: "+err.Error()+".", "Type it as it is printed, line by line; capital letters and spaces do not matter."
		if e, ok := errors.AsType[*web.Error](err); ok {
			p.Fault, p.Fix = e.Text, e.Fix
		}
		return b.pages.Show(w, r, "bring-back", web.View{Status: http.StatusUnprocessableEntity, Title: "Bring a practice back", Bare: true, Data: p})
	}
	c := &b.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun || c.opened {
		return web.SeeOther(w, r, "/claim/"+token+"/bring-back")
	}
	c.token, c.begun, c.done, c.fault, c.sheet, c.doing = sha256.Sum256([]byte(token)), true, false, nil, p.Sheet, "Looking at the places"
	b.background(r, func(ctx context.Context) {
		report, answers, cannot, err := b.Fresh.Arrive(ctx, s, p.Key, p.Known, func(what string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.doing = what
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.begun = false
		if err != nil {
			b.Log.WarnContext(ctx, "a house did not come back", "err", err)
			c.fault = inWords(err)
			return
		}
		c.done, c.sheet, c.report, c.answers, c.cannot = true, "", report, answers, cannot
	})
	return web.SeeOther(w, r, "/claim/"+token+"/bring-back")
}

// inWords is why a house did not come back, for the page.
func inWords(err error) *web.Error {
	if e, ok := errors.AsType[*web.Error](err); ok {
		return e
	}
	if errors.Is(err, restic.ErrMissing) || errors.Is(err, restic.ErrOld) || errors.Is(err, restic.ErrPassword) {
		if e, ok := errors.AsType[*web.Error](explain(Target{}, err)); ok {
			return e
		}
	}
	return &web.Error{Text: "The house did not come back: " + plain(err) + ".", Fix: "Nothing was changed here. Is the place plugged in, and is there room on this disk? Then try again."}
}

// openBroughtBack puts what came back in the place of the fresh installation.
func (b *Backup) openBroughtBack(w http.ResponseWriter, r *http.Request) error {
	if err := b.mayBring(r); err != nil {
		return err
	}
	c := &b.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done || c.cannot != "" {
		return web.SeeOther(w, r, "/claim/"+r.PathValue("token")+"/bring-back")
	}
	if len(b.Root()) > 0 { // somebody founded a practice here meanwhile
		return &web.Error{Status: http.StatusConflict, Text: "A practice was founded here meanwhile. A living house is never written over.", Fix: "Use another folder: quietroom restore --kit sheet.txt --dir …"}
	}
	if err := b.Fresh.Open(); err != nil {
		return err
	}
	c.opened = true
	return b.pages.Show(w, r, "bring-back", web.View{Title: "Bring a practice back", Bare: true, Data: bringPage{Opening: true, Answers: c.answers}})
}
