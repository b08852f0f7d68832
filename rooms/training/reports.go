package training

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training/apart"
)

// report is one message that somebody reported.
type report struct {
	ID       string
	Person   id.Person // "": not known
	At       time.Time
	How      string
	Message  string // the practice message that it was; "": a real one
	Scan     string
	Verdict  string
	Decided  time.Time
	By       id.Person
	Warned   time.Time
	Removed  int
	Raw      []byte `json:"-"`
	Said     string // what the person wrote on the page
	Reporter string // the address it came from
}

// boxed is what lies sealed of a report.
type boxed struct {
	Raw      []byte `json:"raw,omitempty"`
	Said     string `json:"said,omitempty"`
	Reporter string `json:"reporter,omitempty"`
}

const reportColumns = `SELECT report, person, at, how, message, box, scan, verdict, decided, by_, warned, removed FROM training_reports `

func (t *Training) reports(ctx context.Context, where string, args ...any) (all []report, err error) {
	rows, err := t.DB.QueryContext(ctx, reportColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r report
		var at, decided, warned int64
		var box []byte
		if err := rows.Scan(&r.ID, &r.Person, &at, &r.How, &r.Message, &box, &r.Scan, &r.Verdict, &decided, &r.By, &warned, &r.Removed); err != nil {
			return nil, fmt.Errorf("read reports: %w", err)
		}
		plain, err := t.Key.Open(box, t.slot("training-report", r.ID))
		if err != nil {
			return nil, fmt.Errorf("open report %s: %w", r.ID, err)
		}
		var b boxed
		if err := json.Unmarshal(plain, &b); err != nil {
			return nil, fmt.Errorf("open report %s: %w", r.ID, err)
		}
		r.At, r.Decided, r.Warned, r.Raw, r.Said, r.Reporter = moment(at), moment(decided), moment(warned), b.Raw, b.Said, b.Reporter
		all = append(all, r)
	}
	return all, rows.Err()
}

// intake takes a report in: says thank you, finds out whether it is one of the
// practice's own messages, and holds what it is not. The same report twice is
// one. It returns its number.
func (t *Training) intake(ctx context.Context, how string, from id.Person, reporter string, raw []byte, said string) (number string, err error) {
	m, err := apart.Take(raw)
	if err != nil && len(raw) > 0 {
		m = nil // held all the same: what cannot be read may be worse
	}
	if errors.Is(err, apart.ErrTooBig) {
		return "", err
	}
	practice, own, err := t.ours(ctx, m)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(boxed{raw, said, reporter})
	if err != nil {
		return "", err
	}
	number = string(id.New[id.Record]())
	now, seen := t.Now(), t.tag("report", string(from)+"\x00"+string(raw)+"\x00"+said)
	message, verdict := "", ""
	if own {
		message, verdict = practice.ID, "practice"
	}
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		var was string
		switch err := tx.QueryRowContext(ctx, `SELECT report FROM training_reports WHERE seen = $1`, seen).Scan(&was); {
		case err == nil:
			number = was
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for a report: %w", err)
		}
		decided := int64(0)
		if own {
			decided = now.UnixMilli()
			_, err := tx.ExecContext(ctx, `INSERT INTO training_acts (message, what, why, first, last, times) VALUES ($1, 'reported', '', $2, $2, 1) ON CONFLICT (message, what, why) DO UPDATE SET last = excluded.last, times = training_acts.times + 1`, practice.ID, now.UnixMilli())
			if err != nil {
				return fmt.Errorf("write down a report: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO training_reports (report, person, at, how, message, box, verdict, decided, seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			number, string(from), now.UnixMilli(), how, message, t.Key.Seal(plain, t.slot("training-report", number)), verdict, decided, seen)
		if err != nil {
			return fmt.Errorf("keep a report: %w", err)
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: "training.reported", Part: how, Ref: number}); err != nil {
			return err
		}
		if how == "page" || from == "" {
			return nil // the page says thank you; strangers get no answer
		}
		text := "Your report has arrived. Somebody looks at it, and you will hear what it was.\n\nIf you pressed something in it, say so to the owner now: nobody is blamed, and minutes count."
		if own {
			text = "Your report has arrived. It was a practice message: you saw it, and said so. That is what counts."
		}
		return t.Notices.Notify(ctx, tx, layer.Notice{To: from, Subject: "Thank you for reporting", Text: text, Link: "/training/mine"})
	})
	if err == nil {
		t.wake()
	}
	return number, err
}

// ours finds the practice message that somebody reported: by the mark in its
// head, or by its link, wherever that stands. No link has to be followed for it.
func (t *Training) ours(ctx context.Context, m *apart.Mail) (practice, bool, error) {
	for _, one := range m.All() {
		if one.Mark != "" {
			if all, err := t.messages(ctx, `WHERE mark = $1`, t.tag("mark", one.Mark)); err != nil || len(all) > 0 {
				return first1(all), err == nil, err
			}
		}
		for _, token := range one.Tokens {
			if found, ok, err := t.byToken(ctx, token); err != nil || ok {
				return found, ok, err
			}
		}
	}
	return practice{}, false, nil
}

func first1(all []practice) practice {
	if len(all) == 0 {
		return practice{}
	}
	return all[0]
}

// whose finds the person who reads mail at an address.
func (t *Training) whose(ctx context.Context, address string) (id.Person, error) {
	_, people, err := t.people(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range people {
		for _, a := range p.Addresses {
			if strings.EqualFold(a, address) {
				return p.ID, nil
			}
		}
	}
	return "", nil
}

// scanReports has the antivirus look at what was reported and nobody has looked
// at yet. Nothing is unpacked or run here.
func (t *Training) scanReports(ctx context.Context) error {
	if t.Scanner == nil {
		return nil
	}
	for range 20 { // one in memory at a time
		all, err := t.reports(ctx, `WHERE scan = '' AND message = '' ORDER BY at LIMIT 1`)
		if err != nil || len(all) == 0 {
			return err
		}
		r, said := all[0], "nothing" // told in words only
		if len(r.Raw) > 0 {
			if said, err = t.Scanner.Scan(ctx, r.Raw); err != nil {
				return nil // it is asked again
			}
		}
		err = t.DB.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Send(ctx, `UPDATE training_reports SET scan = $2 WHERE report = $1`, r.ID, said); err != nil {
				return err
			}
			if said != "malware" {
				return nil
			}
			return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Kind: "training.malware-reported", Ref: r.ID})
		})
		if err != nil {
			return fmt.Errorf("keep what the antivirus said: %w", err)
		}
	}
	return nil
}

// verdicts are what an owner may decide, and what the reporter is told.
var verdicts = map[string]string{
	"harmless": "What you reported was harmless. Thank you for asking: that is how it should be.",
	"spam":     "What you reported was unwanted, and not dangerous. It can be deleted. Thank you.",
	"bad":      "What you reported was dangerous. Everybody was warned because of you. Thank you.",
}

// decide keeps an owner's verdict and tells the reporter. Of a dangerous message
// everybody is warned, its sender is blocked, and it is removed where the house
// can read mailboxes.
func (t *Training) decide(ctx context.Context, r report, verdict string) error {
	now, actor := t.Now(), id.From(ctx)
	_, people, err := t.people(ctx)
	if err != nil {
		return err
	}
	var domain, sender string
	if m, err := apart.Take(r.Raw); err == nil {
		domain, sender = m.Reported().Domain, m.Reported().FromAddress
		if m.Inner == nil && r.How != "page" {
			domain, sender = "", "" // forwarded inline: the sender of this mail is a colleague
		}
	}
	if who, err := t.whose(ctx, sender); err != nil || who != "" {
		domain, sender = "", "" // a colleague's address is never blocked by a click: it may have been imitated
		if err != nil {
			return err
		}
	}
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		warned := int64(0)
		if verdict == "bad" {
			warned = now.UnixMilli()
		}
		done, err := tx.ExecContext(ctx, `UPDATE training_reports SET verdict = $2, decided = $3, by_ = $4, warned = $5 WHERE report = $1 AND verdict = ''`, r.ID, verdict, now.UnixMilli(), string(actor.Person), warned)
		if err != nil {
			return fmt.Errorf("decide on a report: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // decided already
		}
		if err := ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "training.report-decided", Reason: verdict, Ref: r.ID}); err != nil {
			return err
		}
		if r.Person != "" {
			if err := t.Notices.Notify(ctx, tx, layer.Notice{To: r.Person, Subject: "What you reported", Text: verdicts[verdict]}); err != nil {
				return err
			}
		}
		if verdict != "bad" {
			return nil
		}
		if sender != "" {
			tag := t.tag("sender", sender)
			if err := tx.Send(ctx, `INSERT INTO training_blocked (sender, box, at, by_) VALUES ($1, $2, $3, $4) ON CONFLICT (sender) DO NOTHING`, tag, t.Key.Seal([]byte(sender), t.slot("training-blocked", tag)), now.UnixMilli(), string(actor.Person)); err != nil {
				return fmt.Errorf("block a sender: %w", err)
			}
		}
		text := "A colleague reported a dangerous message, and others may have got it too.\n\nIf you get it: press nothing in it, do not answer, and report it. If you already pressed something, say so to the owner now. Nobody is blamed, and minutes count."
		if domain != "" {
			text = "A colleague reported a dangerous message, and others may have got it too. Its sender's address ends in " + apart.Unpressable(domain) + ".\n\nIf you get it: press nothing in it, do not answer, and report it. If you already pressed something, say so to the owner now. Nobody is blamed, and minutes count."
		}
		for _, p := range people {
			if err := t.Notices.Notify(ctx, tx, layer.Notice{To: p.ID, Subject: "Warning: a dangerous message is about", Text: text, Link: "/report"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		t.wake()
	}
	return err
}

// reportEvidence says what was reported and waits for somebody to look.
func (t *Training) reportEvidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		now := t.Now()
		e := layer.Evidence{Claim: "training.reports", Place: layer.Edges, State: layer.Safe, Seen: now, Until: now.Add(evidenceLasts), Page: "/training/reports"}
		var waiting, recent, malware int
		var oldest sql.NullInt64
		err := t.DB.QueryRowContext(ctx, `SELECT COUNT(CASE WHEN verdict = '' THEN 1 END), COUNT(CASE WHEN at > $1 THEN 1 END), COUNT(CASE WHEN verdict = '' AND scan = 'malware' THEN 1 END), MIN(CASE WHEN verdict = '' THEN at END) FROM training_reports WHERE message = ''`,
			now.Add(-30*24*time.Hour).UnixMilli()).Scan(&waiting, &recent, &malware, &oldest)
		if err != nil {
			yield(e, fmt.Errorf("count reports: %w", err))
			return
		}
		switch {
		case waiting > 0:
			e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at what was reported", 3*waiting
			e.Text = fmt.Sprintf("%s reported, and nobody has looked yet.", messagesWere(waiting))
			if malware > 0 {
				e.State, e.Text = layer.Urgent, fmt.Sprintf("%s reported, and malware was found in it. It is held here; others may have got it too.", messagesWere(malware))
			}
		case recent == 0:
			e.Text = "Nobody reported a message in the last 30 days."
		default:
			e.Text = fmt.Sprintf("%s reported in the last 30 days. Nothing waits.", messagesWere(recent))
		}
		yield(e, nil)
	}
}

func messagesWere(n int) string {
	if n == 1 {
		return "1 message was"
	}
	return fmt.Sprintf("%d messages were", n)
}

func (t *Training) mountReports(m *web.Mux) {
	m.Handle("GET /report", t.showReport, web.Signed)
	m.Handle("POST /report", web.Big(apart.Biggest+(1<<20), t.setReport), web.Signed)
	m.Handle("GET /report/thanks/{report}", t.showThanks, web.Signed)
	m.Handle("GET /training/reports", t.showReports, web.Owner)
	m.Handle("GET /training/reports/{report}", t.showTriage, web.Owner)
	m.Handle("POST /training/reports/{report}", t.setVerdict, web.Owner)
	m.Handle("POST /training/reports/{report}/lesson", t.setLessonFromReport, web.Owner)
	m.Handle("POST /training/reports/settings", t.setReportSettings, web.Owner)
}

// reportPage is what report.html gets.
type reportPage struct{ Address string }

func (t *Training) showReport(w http.ResponseWriter, r *http.Request) error {
	s, err := t.settings(r.Context())
	if err != nil {
		return err
	}
	return t.pages.Show(w, r, "report", web.View{Title: "Report a message", Data: reportPage{s.Reports.Address}})
}

const mostSaid = 4000

func (t *Training) setReport(w http.ResponseWriter, r *http.Request) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	var raw []byte
	said := ""
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch part.FormName() {
		case "said":
			b, err := io.ReadAll(io.LimitReader(part, mostSaid))
			if err != nil {
				return err
			}
			said = strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
		case "mail":
			var b bytes.Buffer
			if _, err := io.Copy(&b, io.LimitReader(part, apart.Biggest+1)); err != nil {
				return err
			}
			raw = b.Bytes()
		}
	}
	if len(raw) == 0 && said == "" {
		return wrong("There is nothing in this report yet.", "Write what happened, or add the message as a file.", "/report")
	}
	number, err := t.intake(r.Context(), "page", id.From(r.Context()).Person, "", raw, said)
	if errors.Is(err, apart.ErrTooBig) {
		return wrong("The message is larger than 25 MB.", "Write what you saw, and keep the message.", "/report")
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/report/thanks/"+number)
}

// thanksPage is what thanks.html gets.
type thanksPage struct {
	Practice bool
	Cues     *cuesPage
}

func (t *Training) showThanks(w http.ResponseWriter, r *http.Request) error {
	number := r.PathValue("report")
	if id.Check(number) != nil {
		return errUnknown
	}
	all, err := t.reports(r.Context(), `WHERE report = $1 AND person = $2`, number, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errUnknown
	}
	p := thanksPage{Practice: all[0].Message != ""}
	if p.Practice {
		if of, err := t.messages(r.Context(), `WHERE message = $1`, all[0].Message); err == nil && len(of) > 0 {
			if l, ok := t.lure(of[0].Lure); ok {
				p.Cues = &cuesPage{l, levelWords[of[0].Level]}
			}
		}
	}
	return t.pages.Show(w, r, "thanks", web.View{Title: "Thank you", Data: p})
}

// reportsPage is what reports.html gets.
type reportsPage struct {
	Waiting  []reportRow
	Decided  []reportRow
	Practice int // practice messages that were reported, of all
	Settings settings
	Scans    bool
	Stored   bool
	Failing  string
}

type reportRow struct {
	report
	Who, Says string
	Subject   string
	From      string
	State     layer.State
}

var verdictWords = map[string]string{"": "Waits for you", "practice": "A practice message", "harmless": "Harmless", "spam": "Unwanted, not dangerous", "bad": "Dangerous; everybody was warned"}

func (t *Training) row(by map[id.Person]Person, r report) reportRow {
	row := reportRow{report: r, Who: by[r.Person].Name, Says: verdictWords[r.Verdict], State: layer.NeedsYou, Subject: "Something was told, without a message"}
	if row.Who == "" {
		row.Who = "Somebody who is not known here"
	}
	if r.Verdict != "" {
		row.State = layer.YourWord
	}
	if r.Scan == "malware" && r.Verdict == "" {
		row.State = layer.Urgent
	}
	if m, err := apart.Take(r.Raw); err == nil {
		row.Subject, row.From = m.Reported().Subject, apart.Unpressable(m.Reported().Domain)
		if row.Subject == "" {
			row.Subject = "A message without a subject"
		}
	} else if len(r.Raw) > 0 {
		row.Subject = "A message that cannot be read"
	}
	return row
}

// rows are lines of the list. One message at a time is in memory: they may be large.
func (t *Training) rows(ctx context.Context, by map[id.Person]Person, where string) (all []reportRow, err error) {
	found, err := t.DB.QueryContext(ctx, `SELECT report FROM training_reports `+where)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	defer found.Close()
	var numbers []string
	for found.Next() {
		var n string
		if err := found.Scan(&n); err != nil {
			return nil, fmt.Errorf("list reports: %w", err)
		}
		numbers = append(numbers, n)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	for _, n := range numbers {
		one, err := t.reports(ctx, `WHERE report = $1`, n)
		if err != nil {
			return nil, err
		}
		if len(one) == 1 {
			row := t.row(by, one[0])
			row.Raw = nil
			all = append(all, row)
		}
	}
	return all, nil
}

func (t *Training) showReports(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	by, _, err := t.people(ctx)
	if err != nil {
		return err
	}
	p := reportsPage{Scans: t.Scanner != nil, Failing: t.trouble()}
	if p.Settings, err = t.settings(ctx); err != nil {
		return err
	}
	p.Stored = p.Settings.Reports.Password != ""
	p.Settings.Reports.Password = ""
	for where, list := range map[string]*[]reportRow{`WHERE message = '' AND verdict = '' ORDER BY at LIMIT 40`: &p.Waiting, `WHERE message = '' AND verdict <> '' ORDER BY at DESC LIMIT 20`: &p.Decided} {
		if *list, err = t.rows(ctx, by, where); err != nil {
			return err
		}
	}
	if err := t.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM training_reports WHERE message <> ''`).Scan(&p.Practice); err != nil {
		return err
	}
	return t.pages.Show(w, r, "reports", web.View{Title: "What people reported", Data: p})
}

// triagePage is what triage.html gets.
type triagePage struct {
	reportRow
	Mail    *apart.Mail
	Scanned string
	Reads   bool // the house can read a mailbox, so it can remove
}

var scanWords = map[string]string{"": "The antivirus has not looked at it yet.", "clean": "The antivirus found nothing in it. That is no proof.", "malware": "The antivirus found malware in it. It stays held here, sealed, and is opened by nobody.", "not-known": "The antivirus could not say.", "nothing": "There was no message to scan."}

func (t *Training) oneReport(r *http.Request) (report, error) {
	number := r.PathValue("report")
	if id.Check(number) != nil {
		return report{}, errUnknown
	}
	all, err := t.reports(r.Context(), `WHERE report = $1 AND message = ''`, number)
	if err == nil && len(all) == 0 {
		err = errUnknown
	}
	if err != nil {
		return report{}, err
	}
	return all[0], nil
}

func (t *Training) showTriage(w http.ResponseWriter, r *http.Request) error {
	one, err := t.oneReport(r)
	if err != nil {
		return err
	}
	by, _, err := t.people(r.Context())
	if err != nil {
		return err
	}
	s, err := t.settings(r.Context())
	if err != nil {
		return err
	}
	p := triagePage{reportRow: t.row(by, one), Scanned: scanWords[one.Scan], Reads: s.Reports.IMAP != ""}
	if t.Scanner == nil {
		p.Scanned = "No antivirus runs here, so nobody has scanned it."
	}
	if m, err := apart.Take(one.Raw); err == nil {
		p.Mail = m.Reported()
	}
	return t.pages.Show(w, r, "triage", web.View{Title: "A reported message", Data: p})
}

func (t *Training) setVerdict(w http.ResponseWriter, r *http.Request) error {
	one, err := t.oneReport(r)
	if err != nil {
		return err
	}
	verdict := r.PostFormValue("verdict")
	if verdicts[verdict] == "" {
		return wrong("Please choose what it was.", "", "/training/reports/"+one.ID)
	}
	if err := t.decide(r.Context(), one, verdict); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/reports/"+one.ID)
}
