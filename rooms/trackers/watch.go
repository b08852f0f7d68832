package trackers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/trackers/chrome"
)

// running is the scan that is at work on this server: one at a time, for a browser
// takes its memory.
type running struct {
	mu    sync.Mutex
	site  string
	began time.Time
	at    Progress
	stop  context.CancelFunc
}

// Doing tells what is being scanned now; empty: nothing.
func (t *Trackers) Doing() (site string, at Progress, began time.Time) {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	return t.run.site, t.run.at, t.run.began
}

// errBusy means that a scan is at work already.
var errBusy = &web.Error{Status: 409, Text: "A scan is at work already.", Fix: "Wait until it has ended, or stop it.", Back: "/site"}

// begin takes the one place.
func (t *Trackers) begin(ctx context.Context, site string) (context.Context, error) {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	if t.run.site != "" {
		return nil, errBusy
	}
	ctx, t.run.stop = context.WithCancel(ctx)
	t.run.site, t.run.began, t.run.at = site, t.Now(), Progress{}
	return ctx, nil
}

func (t *Trackers) end() {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	t.run.stop()
	t.run.site, t.run.stop = "", nil
}

// halt stops a scan of this site, if one is at work here.
func (t *Trackers) halt(site string) {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	if t.run.site == site && t.run.stop != nil {
		t.run.stop()
	}
}

// Look scans a site, keeps what was seen and compares it with before.
func (t *Trackers) Look(ctx context.Context, s Site) error {
	inner, err := t.begin(ctx, s.ID)
	if err != nil {
		return err
	}
	defer t.end()
	began := t.Now()
	dir, away, err := t.Scratch()
	if err != nil {
		return fmt.Errorf("make a folder for the browser: %w", err)
	}
	defer away()
	r, err := t.Scan(inner, Options{URL: s.URL, Pages: 30, Consent: chrome.Accept, Local: t.Local, Hosts: s.Hosts, Named: s.Named, Tests: s.Tests, Dir: dir, Now: t.Now, Net: t.Net, Mail: t.Mail,
		Step: func(p Progress) {
			t.run.mu.Lock()
			t.run.at = p
			t.run.mu.Unlock()
		}})
	if ctx.Err() != nil {
		return ctx.Err() // the house is closing; what was half seen is no scan
	}
	if err != nil {
		if inner.Err() != nil {
			return nil // stopped before anything was seen
		}
		t.Log.WarnContext(ctx, "the web site could not be looked at", "site", s.ID, "err", err)
		return t.keepFailed(ctx, s, began, whyFailed(err))
	}
	_, err = t.keep(ctx, s, r)
	return err
}

// whyFailed says in words for people why a scan came to nothing.
func whyFailed(err error) string {
	switch {
	case errors.Is(err, chrome.ErrMissing):
		return "The server has no Chromium. Ask whoever looks after it to run: apt-get install chromium"
	case errors.Is(err, chrome.ErrOld):
		return "The server’s Chromium is too old. Ask whoever looks after it to run: apt-get install --only-upgrade chromium"
	case errors.Is(err, chrome.ErrSandbox):
		return "Chromium cannot start its sandbox on this server, and without it no page is opened. Ask whoever looks after the server to allow user namespaces."
	case errors.Is(err, ErrLocal):
		return "The address leads to this machine or its network, which a scan leaves alone."
	case errors.Is(err, ErrAddress):
		return "The address is none of a web site."
	case errors.Is(err, ErrNoSite):
		return "The site did not answer. Look whether it opens in your own browser, and whether the server is on the Internet."
	}
	return "The browser did not come to an end. It is tried again tomorrow."
}

// lookWhenDue scans each site whose time has come. A scan that failed is tried
// again after a day.
func (t *Trackers) lookWhenDue(ctx context.Context) error {
	sites, err := t.sites(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range sites {
		last, err := t.looks(ctx, s.ID, 1)
		if err != nil {
			return err
		}
		if s.Days == 0 || len(last) > 0 && t.Now().Before(last[0].At.Add(waits(s, last[0]))) {
			continue
		}
		if err := t.Look(ctx, s); err != nil && !errors.Is(err, errBusy) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

const day = 24 * time.Hour

func waits(s Site, last Looked) time.Duration {
	if last.State != done {
		return day
	}
	return time.Duration(s.Days) * day
}

// compare brings the harms of a scan together with those known before: what is
// new, what is still there, and what is gone from pages that were looked at.
func (t *Trackers) compare(ctx context.Context, tx *store.Tx, s Site, scan string, r *Result) error {
	known, err := readHarms(ctx, tx, `site = $1`, s.ID)
	if err != nil {
		return err
	}
	before := map[string]Kept{}
	for _, k := range known {
		before[k.Word] = k
	}
	at := r.Began.UnixMilli()
	fact := func(kind, harm string) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: id.From(ctx), Kind: kind, Subject: s.ID, Ref: harm})
	}
	for _, h := range Harms(r) {
		if h.Severity == Know {
			continue
		}
		k, ok := before[h.Key]
		delete(before, h.Key)
		if !ok {
			clean, err := t.cleanBefore(ctx, tx, s, h.Page, at)
			if err != nil {
				return err
			}
			number := string(id.New[id.Record]())
			err = tx.Send(ctx, `INSERT INTO trackers_harms (harm, site, word, severity, sentence, page, who, typed, clean, first, last, first_scan, last_scan) VALUES ($1, $2, $3, $4, $5, $6, $7, $11, $8, $9, $9, $10, $10)`,
				number, s.ID, h.Key, string(h.Severity), h.Sentence, h.Page, h.Who, clean, at, scan, typed(h))
			if err != nil {
				return fmt.Errorf("keep a harm: %w", err)
			}
			if err := fact("trackers.harm-found", number); err != nil {
				return err
			}
			continue
		}
		again := !k.Gone.IsZero() || k.Decision == decidedRemoved
		worse := h.Severity.rank() < k.Severity.rank()
		text := `UPDATE trackers_harms SET severity = $2, sentence = $3, page = $4, last = $5, last_scan = $6, typed = $7, gone = 0`
		if again || worse { // it is back, or more than was decided upon
			text += `, decided = 0, decision = '', person = ''`
		}
		args := []any{k.ID, string(h.Severity), h.Sentence, h.Page, at, scan, typed(h)}
		if !k.Gone.IsZero() { // it came back: since the last clean look
			clean := k.Gone.UnixMilli()
			if c, err := t.cleanBefore(ctx, tx, s, h.Page, at); err == nil && c > clean {
				clean = c
			}
			text += `, clean = $8, first = $5, first_scan = $6`
			args = append(args, clean)
		}
		if err := tx.Send(ctx, text+` WHERE harm = $1`, args...); err != nil {
			return fmt.Errorf("keep a harm: %w", err)
		}
		if again {
			if err := fact("trackers.harm-found", k.ID); err != nil {
				return err
			}
		}
	}
	for _, k := range before {
		if !k.Gone.IsZero() || r.Stopped || !sawPage(r, k.Page) {
			continue
		}
		if err := tx.Send(ctx, `UPDATE trackers_harms SET gone = $2 WHERE harm = $1`, k.ID, at); err != nil {
			return fmt.Errorf("keep a harm: %w", err)
		}
		if err := fact("trackers.harm-gone", k.ID); err != nil {
			return err
		}
	}
	return nil
}

// typed is 1 where what was typed is among what is told.
func typed(h Harm) int {
	for _, f := range h.Findings {
		if f.Kind == FormData || f.Kind == KeyLogging && f.Severity == Stop || f.Kind == SessionReplay || f.Kind == Relay {
			return 1
		}
	}
	return 0
}

// sawPage tells whether a scan looked at a page, and wholly.
func sawPage(r *Result, page string) bool {
	want, err := url.Parse(page)
	if err != nil {
		return false
	}
	for _, p := range r.Pages {
		if u, err := url.Parse(p.URL); err == nil && u.Host == want.Host && u.Path == want.Path && p.Problem == "" {
			return true
		}
	}
	return false
}

// cleanBefore is when a page was last looked at before this scan; 0: never. What is
// new there was not there then.
func (t *Trackers) cleanBefore(ctx context.Context, tx *store.Tx, s Site, page string, before int64) (int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT at, report FROM trackers_scans WHERE site = $1 AND at < $2 AND state = $3 ORDER BY at DESC LIMIT 10`, s.ID, before, done)
	if err != nil {
		return 0, fmt.Errorf("read scans: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var l Looked
		if err := rows.Scan(&at, &l.report); err != nil {
			return 0, fmt.Errorf("read scans: %w", err)
		}
		if r, err := l.Result(); err == nil && sawPage(r, page) {
			return at, nil
		}
	}
	return 0, rows.Err()
}
