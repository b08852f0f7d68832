package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/chrome"
)

// siteScanCommand looks at a practice's own web site with a real browser, and
// says what it tells others about the people who visit it.
func siteScanCommand(ctx context.Context, c *call) error {
	pages := c.flags.Int("pages", 12, "open at most so many `pages`")
	consent := c.flags.String("consent", "ignore", "what to answer when the site asks about cookies: `ignore`, accept or reject")
	out := c.flags.String("out", "", "a `folder` for the recorded traffic (HAR), pictures and the report")
	local := c.flags.Bool("allow-local", false, "the site is on this machine; all of 127.0.0.0/8 is allowed then, also as somebody else")
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	list := c.flags.String("list", "", "a `file` with a list of trackers in the form of EasyPrivacy, to name more of them")
	words, err := c.parse()
	if err != nil {
		return err
	}
	o, err := siteOptions(words, *pages, *consent, *local)
	if err != nil {
		return err
	}
	if *list != "" {
		f, err := os.Open(*list)
		if err != nil {
			return usage("the list cannot be read: %w", err)
		}
		defer f.Close()
		o.Lists = f
	}
	if *out != "" {
		if err := os.MkdirAll(*out, 0o700); err != nil {
			return err
		}
	}
	r, err := c.siteScan(ctx, o)
	if errors.Is(err, chrome.ErrMissing) || errors.Is(err, chrome.ErrOld) || errors.Is(err, chrome.ErrSandbox) {
		if *asJSON {
			err = errors.Join(json.NewEncoder(c.out).Encode(map[string]any{"url": o.URL, "skipped": err.Error()}), err)
		}
		return exit{exitSkipped, err}
	}
	if err != nil {
		if *asJSON {
			err = errors.Join(err, json.NewEncoder(c.out).Encode(map[string]any{"url": o.URL, "error": err.Error()}))
		}
		return err
	}
	if *out != "" {
		if err := keepScan(*out, r); err != nil {
			return err
		}
	}
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		printScan(c.out, r, *out)
	}
	return errors.Join(err, scanVerdict(r))
}

// siteOptions reads the words of the command: the site, and more pages that shall
// be opened in any case. Naming a page says that its host is the owner's.
func siteOptions(words []string, pages int, consent string, local bool) (o trackers.Options, err error) {
	if len(words) == 0 {
		return o, usage("which site? quietroom site-scan https://your-practice.example")
	}
	if pages < 1 || pages > 500 {
		return o, usage("--pages %d: want a number from 1 to 500", pages)
	}
	switch chrome.Consent(consent) {
	case chrome.Ignore, chrome.Accept, chrome.Reject:
	default:
		return o, usage("--consent %s: want ignore, accept or reject", consent)
	}
	o = trackers.Options{URL: words[0], Pages: pages, Consent: chrome.Consent(consent), Local: local, Mail: trackers.SystemDNS{}}
	if scheme, _, _ := strings.Cut(o.URL, ":"); !strings.Contains(o.URL, "://") && !slices.Contains([]string{"data", "javascript", "file", "about", "blob", "mailto"}, scheme) {
		o.URL = "https://" + o.URL
	}
	for _, w := range words[1:] {
		u, err := url.Parse(w)
		if err != nil || u.Host == "" {
			return o, usage("%q is no address of a page", w)
		}
		o.Named, o.Hosts = append(o.Named, w), append(o.Hosts, u.Host)
	}
	return o, nil
}

// siteScan gives the scan a folder for the browser's profile, and takes it away.
func (c *call) siteScan(ctx context.Context, o trackers.Options) (*trackers.Result, error) {
	dir, done, err := scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	bar := c.progress("pages")
	defer bar.end()
	o.Dir = dir
	o.Step = func(p trackers.Progress) { bar.step(p.Done, p.Total) }
	r, err := trackers.Scan(ctx, o)
	switch {
	case errors.Is(err, trackers.ErrAddress):
		return nil, exit{exitUsage, err}
	case err == nil && r.Stopped:
		return nil, context.Canceled
	}
	return r, err
}

// keepScan writes the report with its proofs.
func keepScan(dir string, r *trackers.Result) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{"report.json": text, "traffic.har": r.Archive()}
	for name, png := range r.Pictures() {
		files[name] = png
	}
	for name, content := range files {
		if err := writeFile(dir, name, content); err != nil {
			return err
		}
	}
	return nil
}

// scanVerdict is the exit code: 0 only if nothing is to be stopped or fixed, and
// something was looked at.
func scanVerdict(r *trackers.Result) error {
	looked := 0
	for _, p := range r.Pages {
		if p.Problem == "" {
			looked++
		}
	}
	if looked == 0 {
		return errors.New("no page could be looked at, so nothing is known")
	}
	if r.Count(trackers.Stop)+r.Count(trackers.Fix) > 0 {
		return exit{exitFailed, nil}
	}
	return nil
}

// printScan tells an owner what was found, the worst first.
func printScan(w io.Writer, r *trackers.Result, out string) {
	fmt.Fprintf(w, "\n%s\n%s\n", r.URL, trackers.Summary(r))
	for _, s := range []struct {
		severity trackers.Severity
		head     string
	}{{trackers.Stop, "Stop"}, {trackers.Fix, "Fix"}, {trackers.Know, "Good to know"}} {
		lines := trackers.Told(r, s.severity)
		if len(lines) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", s.head)
		for _, l := range lines {
			fmt.Fprintf(w, "  - %s\n", l)
		}
	}
	if len(r.Checks) > 0 {
		fmt.Fprint(w, "\nAlso looked at\n")
		for _, k := range r.Checks {
			fmt.Fprintf(w, "  %-10s %s\n", k.State, strings.TrimSpace(k.Text+" "+k.Fix))
		}
	}
	if len(r.Notes) > 0 {
		fmt.Fprint(w, "\nWhat this scan could not see\n")
		for _, n := range r.Notes {
			fmt.Fprintf(w, "  - %s\n", n)
		}
	}
	fmt.Fprintf(w, "\nPages opened: %d. Requests seen: %d. %s, %s.\n", len(r.Pages), r.Requests, r.Browser, time.Duration(r.TookMS*int64(time.Millisecond)).Round(time.Second))
	if out != "" {
		fmt.Fprintf(w, "The proof lies in %s.\n", filepath.Clean(out))
	}
}

// scratch is a folder for a browser's profile, apart from the house: another user
// of this machine gets into it.
func scratch() (dir string, done func(), err error) {
	place := os.TempDir()
	if os.Geteuid() == 0 && !openToAll(place) { // the browser runs as somebody else then
		place = "/tmp"
	}
	dir, err = os.MkdirTemp(place, "quietroom-scan-")
	return dir, func() { os.RemoveAll(dir) }, err
}

// openToAll tells whether every user can get to a folder.
func openToAll(dir string) bool {
	for {
		s, err := os.Stat(dir)
		if err != nil || s.Mode()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}
