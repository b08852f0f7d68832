package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// What a file's head says of how it was looked through.
const (
	scanClean = "clean"
	scanTaken = "taken" // somebody took it in although it was not looked through
	scanHeld  = "held"  // isolated until people decide
)

// scanned is one file of an upload, and what it was found to be.
type scanned struct {
	Name string
	layer.Scan
}

// putScanned seals a file while the scanner looks through it: each byte goes both
// ways, so that what is sealed is what was looked through. The verdict stands in
// the sealed head of the same record. A scanner that dies meanwhile has said
// nothing, and nothing said is not clean.
func (c *Chart) putScanned(ctx context.Context, b layer.Batch, chart layer.Compartment, h head, taken bool, body io.Reader) (s scanned, err error) {
	s.Name = h.Title
	pr, pw := io.Pipe()
	type outcome struct {
		layer.Scan
		err error
	}
	said := make(chan outcome, 1)
	in := layer.Incoming{From: "upload", Patient: chart.Patient(), Name: h.Title, Taken: taken}
	go func() {
		v, err := c.Scanner.Scan(ctx, in, pr)
		pr.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // more bytes than it looked at are not sealed
		said <- outcome{v, err}
	}()
	defer pw.CloseWithError(errTorn)
	_, err = b.PutStream(ctx, chart, layer.Draft{At: c.Now(), HeadOf: func() ([]byte, error) {
		pw.Close()
		o := <-said
		s.Scan = o.Scan
		return h.looked(o.Scan, c.Now().UnixMilli()).bytes(), o.err
	}}, io.TeeReader(body, pw))
	return s, err
}

var errTorn = errors.New("chart: the upload broke off")

// looked is the head of a file after it was looked through.
func (h head) looked(s layer.Scan, at int64) head {
	h.Scanned, h.Finding, h.Harm = at, s.Finding, s.Name
	switch s.State {
	case layer.Safe:
		h.Scan = scanClean
	case layer.YourWord:
		h.Scan = scanTaken
	default:
		h.Scan = scanHeld
	}
	return h
}

// refusal is what somebody reads who brought a harmful file; nil if nobody did.
func refusal(p id.Patient, all []scanned) error {
	var bad []scanned
	for _, s := range all {
		if s.State == layer.Urgent {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	e := &web.Error{Status: http.StatusUnprocessableEntity, Back: pageOf(p),
		Text: fmt.Sprintf("“%s” was not added: the virus scanner found %s in it.", bad[0].Name, bad[0].Scan.Name),
		Fix:  "It is sealed and isolated, and nobody can open it. There is nothing to do. Ask whoever sent it before you try again; your other files, if there were any, are in the chart."}
	if len(bad) > 1 {
		e.Text = fmt.Sprintf("%d files were not added: the virus scanner found something harmful in each. The first is “%s”, with %s in it.", len(bad), bad[0].Name, bad[0].Scan.Name)
	}
	return e
}

// held tells that a file stays closed until people decide about it.
func (c *Chart) held(ctx context.Context, h head) (bool, error) {
	if h.Scan != scanHeld {
		return false, nil
	}
	if c.Scanner == nil {
		return true, nil
	}
	free, err := c.Scanner.Free(ctx, []id.Record{h.Finding})
	return !free[h.Finding], err
}

// errHeld is what somebody reads who wants such a file.
func errHeld(h head) error {
	text := "This file was not looked through, so it stays closed until somebody decides."
	if h.Harm != "" {
		text = "This file is isolated: the virus scanner found " + h.Harm + " in it."
	}
	return &web.Error{Status: http.StatusForbidden, Text: text, Fix: "Its own page says what can be done.", Back: decidePage(h.Finding)}
}

func decidePage(f id.Record) string { return "/antivirus/findings/" + string(f) }
