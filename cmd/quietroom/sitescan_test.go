package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/chrome"
)

// The product's own pages pass its own scan: seen by a stranger, and by somebody
// who is signed in, they ask nobody else for anything.
func TestThePagesOfTheProductTellNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	if _, _, err := chrome.Find(t.Context()); errors.Is(err, chrome.ErrMissing) {
		t.Skip(err)
	}
	h := testTrial(t, 24)
	code, err := parsePersonal(h.Codes["owner-1"])
	if err != nil {
		t.Fatal(err)
	}
	enter := h.URL + h.identity.DemoLink("owner-1", code)
	dir, done, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	signed := []string{"/", "/people", "/patients", "/patients/new", "/mail/server", "/site", "/backups/new", "/evidence"}
	o := trackers.Options{URL: h.URL + "/unlock", Named: []string{enter}, Tests: []string{enter}, Pages: len(signed) + 2, Local: true, Dir: dir}
	for _, p := range signed {
		o.Named = append(o.Named, h.URL+p)
	}
	r, err := trackers.Scan(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Receivers {
		t.Errorf("%s was asked %d times, on %v", x.Host, x.Requests, x.Pages)
	}
	for _, f := range r.Findings {
		t.Errorf("%s %s: %s %s", f.Severity, f.Kind, f.Sentence, f.URL)
	}
	inside, fields := 0, 0
	for _, p := range r.Pages {
		fields += p.Fields
		if p.Problem == "" && p.Status == 200 && !strings.Contains(p.URL, "/unlock") && !strings.Contains(p.URL, "/demo/") && p.Title != "" {
			inside++
		}
		t.Logf("%s %q %d, %d fields %s", p.URL, p.Title, p.Status, p.Fields, p.Problem)
	}
	if inside < len(signed)-1 || fields < 10 {
		t.Errorf("%d pages behind the sign-in were seen and %d fields filled: too few to say anything", inside, fields)
	}
}
