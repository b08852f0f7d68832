package trackers

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// Site is a web site that an owner said is theirs.
type Site struct {
	ID      string
	URL     string
	Hosts   []string // more hosts that are theirs
	Named   []string // pages to open in any case
	Tests   []string // pages whose form may be sent as a test
	Days    int      // between scans; 0: only when somebody asks
	By      id.Person
	At      time.Time
	Removed time.Time
}

func lines(text string) (all []string) {
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	return all
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// sites are those that are watched, the oldest first.
func (t *Trackers) sites(ctx context.Context) (all []Site, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT site, url, hosts, named, tests, days, person, at FROM trackers_sites WHERE removed = 0 ORDER BY at, site`)
	if err != nil {
		return nil, fmt.Errorf("read sites: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s Site
		var hosts, named, tests string
		var at int64
		if err := rows.Scan(&s.ID, &s.URL, &hosts, &named, &tests, &s.Days, &s.By, &at); err != nil {
			return nil, fmt.Errorf("read sites: %w", err)
		}
		s.Hosts, s.Named, s.Tests, s.At = lines(hosts), lines(named), lines(tests), moment(at)
		all = append(all, s)
	}
	return all, rows.Err()
}

func (t *Trackers) site(ctx context.Context, number string) (Site, error) {
	all, err := t.sites(ctx)
	if err != nil {
		return Site{}, err
	}
	for _, s := range all {
		if s.ID == number {
			return s, nil
		}
	}
	return Site{}, errUnknown
}

// nameSite keeps a site, new or changed, by the word of the acting person.
func (t *Trackers) nameSite(ctx context.Context, s Site) error {
	actor := id.From(ctx)
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		err := tx.Send(ctx, `INSERT INTO trackers_sites (site, url, hosts, named, tests, days, person, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (site) DO UPDATE SET url = $2, hosts = $3, named = $4, tests = $5, days = $6, person = $7`,
			s.ID, s.URL, strings.Join(s.Hosts, "\n"), strings.Join(s.Named, "\n"), strings.Join(s.Tests, "\n"), s.Days, string(actor.Person), t.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("keep a site: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: actor, Kind: "trackers.site-named", Ref: s.ID})
	})
}

func (t *Trackers) removeSite(ctx context.Context, s Site) error {
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `UPDATE trackers_sites SET removed = $2 WHERE site = $1`, s.ID, t.Now().UnixMilli()); err != nil {
			return fmt.Errorf("take a site off the list: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: id.From(ctx), Kind: "trackers.site-removed", Ref: s.ID})
	})
}

// Looked is one scan as it is kept.
type Looked struct {
	ID, Site string
	At       time.Time
	State    string // done, stopped, failed
	Why      string
	HAR      string
	report   []byte
	Proof    bool // its traffic is still here
}

// Ways in which a scan ends.
const (
	done    = "done"
	stopped = "stopped"
	failed  = "failed"
)

// looks are the scans of a site, the newest first.
func (t *Trackers) looks(ctx context.Context, site string, most int) (all []Looked, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT scan, site, at, state, why, har, report, CASE WHEN LENGTH(proof) > 0 THEN 1 ELSE 0 END FROM trackers_scans WHERE site = $1 OR scan = $1 ORDER BY at DESC, scan LIMIT $2`, site, most)
	if err != nil {
		return nil, fmt.Errorf("read scans: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Looked
		var at, proof int64
		if err := rows.Scan(&l.ID, &l.Site, &at, &l.State, &l.Why, &l.HAR, &l.report, &proof); err != nil {
			return nil, fmt.Errorf("read scans: %w", err)
		}
		l.At, l.Proof = moment(at), proof == 1
		all = append(all, l)
	}
	return all, rows.Err()
}

// Result unpacks what a scan saw.
func (l Looked) Result() (*Result, error) {
	text, err := unpack(l.report)
	if err != nil {
		return nil, fmt.Errorf("read scan %s: %w", l.ID, err)
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read scan %s: %w", l.ID, err)
	}
	return r, nil
}

func (t *Trackers) look(ctx context.Context, number string) (Looked, error) {
	all, err := t.looks(ctx, number, 1)
	if err == nil && (len(all) == 0 || all[0].ID != number) {
		err = errUnknown
	}
	if err != nil {
		return Looked{}, err
	}
	return all[0], nil
}

// traffic is the recorded traffic of a scan, while it is kept.
func (t *Trackers) traffic(ctx context.Context, scan string) ([]byte, error) {
	var packed []byte
	err := t.DB.QueryRowContext(ctx, `SELECT proof FROM trackers_scans WHERE scan = $1`, scan).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) || err == nil && len(packed) == 0 {
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("read traffic: %w", err)
	}
	return unpack(packed)
}

func (t *Trackers) picture(ctx context.Context, scan, name string) (png []byte, err error) {
	err = t.DB.QueryRowContext(ctx, `SELECT png FROM trackers_pictures WHERE scan = $1 AND name = $2`, scan, name).Scan(&png)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUnknown
	}
	return png, err
}

func pack(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}

func unpack(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// keepFailed keeps that a scan came to nothing, and why.
func (t *Trackers) keepFailed(ctx context.Context, s Site, at time.Time, why string) error {
	number := string(id.New[id.Record]())
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		err := tx.Send(ctx, `INSERT INTO trackers_scans (scan, site, at, state, why, har, report, proof) VALUES ($1, $2, $3, $4, $5, '', $6, $6)`, number, s.ID, at.UnixMilli(), failed, why, []byte{})
		if err != nil {
			return fmt.Errorf("keep a scan: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: id.From(ctx), Kind: "trackers.scan-failed", Subject: s.ID, Ref: number})
	})
}

// keep keeps a scan: its report and proof, its harms, and a fact with the hash of
// the traffic that was recorded.
func (t *Trackers) keep(ctx context.Context, s Site, r *Result) (number string, err error) {
	number = string(id.New[id.Record]())
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	sum, err := hex.DecodeString(r.HAR)
	if err != nil {
		return "", err
	}
	state := done
	if r.Stopped {
		state = stopped
	}
	report, proof := pack(text), pack(r.Archive())
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		err := tx.Send(ctx, `INSERT INTO trackers_scans (scan, site, at, state, why, har, report, proof) VALUES ($1, $2, $3, $4, '', $5, $6, $7)`, number, s.ID, r.Began.UnixMilli(), state, r.HAR, report, proof)
		if err != nil {
			return fmt.Errorf("keep a scan: %w", err)
		}
		for name, png := range r.Pictures() {
			if err := tx.Send(ctx, `INSERT INTO trackers_pictures (scan, name, png) VALUES ($1, $2, $3)`, number, name, png); err != nil {
				return fmt.Errorf("keep a picture: %w", err)
			}
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: id.From(ctx), Kind: "trackers.scanned", Subject: s.ID, Ref: number, Part: state, Hash: sum}); err != nil {
			return err
		}
		return t.compare(ctx, tx, s, number, r)
	})
	if err != nil {
		return "", err
	}
	return number, t.tidy(ctx, s)
}

// Kept is a harm as it is remembered over scans.
type Kept struct {
	ID, Site, Word  string
	Severity        Severity
	Sentence        string
	Page, Who       string
	Typed           bool      // what was typed is among what is told
	Clean           time.Time // when the page was last looked at without it; zero: never
	First, Last     time.Time
	FirstScan, Scan string
	Gone, Decided   time.Time
	Decision        string
	By              id.Person
}

// Open tells whether it was there at the last look, and nobody has said yet what
// is done about it.
func (k Kept) Open() bool { return k.Gone.IsZero() && k.Decided.IsZero() }

const harmColumns = `harm, site, word, severity, sentence, page, who, typed, clean, first, last, first_scan, last_scan, gone, decided, decision, person`

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readHarms(ctx context.Context, q querier, where string, args ...any) (all []Kept, err error) {
	rows, err := q.QueryContext(ctx, `SELECT `+harmColumns+` FROM trackers_harms WHERE `+where+` ORDER BY last DESC, first, harm`, args...)
	if err != nil {
		return nil, fmt.Errorf("read harms: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var k Kept
		var typed, clean, first, last, gone, decided int64
		if err := rows.Scan(&k.ID, &k.Site, &k.Word, &k.Severity, &k.Sentence, &k.Page, &k.Who, &typed, &clean, &first, &last, &k.FirstScan, &k.Scan, &gone, &decided, &k.Decision, &k.By); err != nil {
			return nil, fmt.Errorf("read harms: %w", err)
		}
		k.Typed = typed == 1
		k.Clean, k.First, k.Last, k.Gone, k.Decided = moment(clean), moment(first), moment(last), moment(gone), moment(decided)
		all = append(all, k)
	}
	return all, rows.Err()
}

func (t *Trackers) harm(ctx context.Context, number string) (Kept, error) {
	all, err := readHarms(ctx, t.DB, `harm = $1`, number)
	if err == nil && len(all) == 0 {
		err = errUnknown
	}
	if err != nil {
		return Kept{}, err
	}
	return all[0], nil
}

// decide keeps what somebody said is done about a harm.
func (t *Trackers) decide(ctx context.Context, k Kept, decision string) error {
	actor := id.From(ctx)
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `UPDATE trackers_harms SET decided = $2, decision = $3, person = $4 WHERE harm = $1`, k.ID, t.Now().UnixMilli(), decision, string(actor.Person)); err != nil {
			return fmt.Errorf("keep a decision: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Actor: actor, Kind: "trackers.decided", Subject: k.Site, Ref: k.ID, Reason: decision})
	})
}

// Bounds of what is kept of a site: reports, and the heavier proofs. The first and
// the newest scan of a harm keep their proof while the harm is there.
const (
	keptReports = 60
	keptProofs  = 4
)

// tidy lets old scans go.
func (t *Trackers) tidy(ctx context.Context, s Site) error {
	all, err := t.looks(ctx, s.ID, 10*keptReports)
	if err != nil {
		return err
	}
	harms, err := readHarms(ctx, t.DB, `site = $1 AND gone = 0`, s.ID)
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, h := range harms {
		needed[h.FirstScan], needed[h.Scan] = true, true
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		for i, l := range all {
			var texts []string
			switch {
			case needed[l.ID] || i < keptProofs:
			case i >= keptReports:
				texts = []string{`DELETE FROM trackers_pictures WHERE scan = $1`, `DELETE FROM trackers_scans WHERE scan = $1`}
			case l.Proof:
				texts = []string{`DELETE FROM trackers_pictures WHERE scan = $1`, `UPDATE trackers_scans SET proof = '' WHERE scan = $1`}
			}
			for _, text := range texts {
				if err := tx.Send(ctx, text, l.ID); err != nil {
					return fmt.Errorf("let old scans go: %w", err)
				}
			}
		}
		return nil
	})
}
