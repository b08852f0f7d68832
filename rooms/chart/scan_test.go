package chart_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/chart"
	"quietroom/rooms/vault"
)

// guard is a scanner whose verdict a test chooses.
type guard struct {
	looked
	verdict layer.Scan
	err     error
	sum     [32]byte
	saw     layer.Incoming
}

func (g *guard) Scan(_ context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error) {
	if g.err != nil {
		return layer.Scan{}, g.err
	}
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return layer.Scan{}, err
	}
	g.sum, g.saw = [32]byte(h.Sum(nil)), in
	return g.verdict, nil
}

func (g *guard) Free(_ context.Context, findings []id.Record) (map[id.Record]bool, error) {
	return g.free, nil
}

func TestNothingIsOpenedThatWasNotFoundClean(t *testing.T) {
	for _, size := range []int{200, 3 << 20} { // a row, and a stream
		g := &guard{}
		h := newHouse(t, func(c *chart.Config, _ *vault.Config) { c.Scanner = g })
		p := h.sam()
		body := bytes.Repeat([]byte("a patient's own words "), size/20)
		upload := func(name string) (int, string) {
			w := h.upload("rivera", p, name, bytes.NewReader(body))
			return w.Code, w.Body.String()
		}
		link := func() string {
			page := h.get("rivera", page(p))
			return fileLink.FindString(page.Body.String())
		}
		exported := func() string {
			var all strings.Builder
			for paper, err := range h.chart.Papers(h.as("rivera"), p) {
				h.must(err)
				r, err := paper.Open(h.as("rivera"))
				h.must(err)
				b, err := io.ReadAll(r)
				h.must(err)
				all.WriteString(paper.Name)
				all.Write(b)
			}
			return all.String()
		}
		finding := id.New[id.Record]()

		g.verdict = layer.Scan{State: layer.Urgent, Name: "Test.Harm", Finding: finding}
		code, text := upload("invoice.pdf")
		if code != 422 || !strings.Contains(text, "“invoice.pdf” was not added: the virus scanner found Test.Harm in it.") {
			t.Fatalf("a harmful file: %d %s", code, text)
		}
		if g.saw.Patient != p || g.saw.Name != "invoice.pdf" || g.saw.From != "upload" {
			t.Fatalf("the scanner was told %+v", g.saw)
		}
		if got := link(); got != "" {
			t.Fatalf("a harmful file has a link: %s", got)
		}
		if strings.Contains(exported(), "own words") || !strings.Contains(exported(), "invoice.pdf.isolated.txt") {
			t.Fatalf("a harmful file leaves the house: %s", exported())
		}
		rec := h.records1(p)
		at := page(p, "/files/", string(rec))
		if w := h.get("rivera", at); w.Code != 403 || bytes.Contains(w.Body.Bytes(), body[:40]) {
			t.Fatalf("a harmful file opens: %d", w.Code)
		}
		g.free = map[id.Record]bool{finding: true} // two people let it out
		if w := h.get("rivera", at); w.Code != 200 || sha256.Sum256(w.Body.Bytes()) != g.sum {
			t.Fatalf("after two people let it out: %d, and it is not what was looked through", w.Code)
		}
		g.free = nil

		g.verdict = layer.Scan{Why: "encrypted", Finding: id.New[id.Record]()}
		if code, _ := upload("locked.zip"); code != 303 {
			t.Fatalf("a locked file: %d", code)
		}
		if got := link(); got != "" {
			t.Fatalf("a file that nobody looked through has a link before anybody decided: %s", got)
		}
		if text := h.get("rivera", page(p)).Body.String(); !strings.Contains(text, "Not scanned") || !strings.Contains(text, "/antivirus/findings/"+string(g.verdict.Finding)) {
			t.Fatal("nobody is asked to decide about it")
		}

		g.verdict = layer.Scan{State: layer.Safe}
		if code, _ := upload("clean.pdf"); code != 303 {
			t.Fatalf("a clean file: %d", code)
		}
		if w := h.get("rivera", link()); w.Code != 200 || sha256.Sum256(w.Body.Bytes()) != g.sum {
			t.Fatal("a clean file is not what was looked through")
		}

		g.err = errors.New("the store is full")
		if code, _ := upload("lost.pdf"); code != 500 {
			t.Fatalf("a scanner that cannot write down what it saw: %d", code)
		}
		if strings.Contains(h.get("rivera", page(p)).Body.String(), "lost.pdf") {
			t.Fatal("a file was kept although its verdict could not be")
		}
	}
}

// records1 is the only record of a patient's chart.
func (h *house) records1(p id.Patient) id.Record {
	h.t.Helper()
	c, err := h.vault.Open(h.as("rivera"), p, layer.PartChart)
	h.must(err)
	defer c.Close()
	all, err := c.List(h.as("rivera"))
	h.must(err)
	if len(all) != 1 {
		h.t.Fatalf("%d records, want 1", len(all))
	}
	return all[0].Record
}

func (h *house) get(who, path string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.ask(who, "GET", path, nil)
}
