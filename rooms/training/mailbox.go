package training

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/training/apart"
	"quietroom/rooms/training/imap"
	"quietroom/rooms/training/smtpd"
)

// listening is the server that receives reports directly, and what is wrong with
// the mailbox they are read from.
type listening struct {
	lock    sync.Mutex
	server  *smtpd.Server
	where   string // as it was set when it began
	failing string
}

func (t *Training) trouble() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.failing
}

func (t *Training) troubled(text string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.failing = text
}

// readMailbox reads what was forwarded, has it scanned, takes dangerous messages
// out of mailboxes, and keeps the receiving server as it is set.
func (t *Training) readMailbox(ctx context.Context) error {
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	if err := t.listen(ctx, s.Reports); err != nil {
		t.troubled(err.Error())
		return nil
	}
	if err := t.scanReports(ctx); err != nil {
		return err
	}
	if s.Reports.IMAP == "" {
		t.troubled("")
		return nil
	}
	_, err = s.Reports.box().Read(ctx, apart.Biggest, func(raw []byte) error { return t.forwarded(ctx, "imap", "", raw) })
	if err != nil {
		t.troubled(err.Error())
		t.Log.WarnContext(ctx, "the report mailbox cannot be read", "err", err)
		return nil
	}
	t.troubled("")
	return t.clean(ctx, s.Reports)
}

func (r reports) box() imap.Box {
	return imap.Box{Address: r.IMAP, User: r.User, Password: r.Password, Plain: r.Plain}
}

// boxes are all mailboxes the house may clean: that of the reports, and those
// that were added.
func (r reports) boxes() (all []imap.Box) {
	all = append(all, r.box())
	for _, m := range r.More {
		b := r.box()
		b.User, b.Password = m.User, m.Password
		all = append(all, b)
	}
	return all
}

// Anybody can write any sender into a message, so that what comes by mail is
// bounded: a day's worth from one person, and less from all strangers together.
const (
	mostOne       = 50
	mostStrangers = 20
)

var errFlood = errors.New("more reports came by mail within a day than are taken; the rest waits until tomorrow")

// forwarded takes in a message that came to the report address.
func (t *Training) forwarded(ctx context.Context, how, envelope string, raw []byte) error {
	from := envelope
	if m, err := apart.Take(raw); err == nil && m.FromAddress != "" {
		from = m.FromAddress
	}
	who, err := t.whose(ctx, from)
	if err != nil {
		return err
	}
	var today int
	if err := t.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM training_reports WHERE person = $1 AND at > $2`, string(who), t.Now().Add(-24*time.Hour).UnixMilli()).Scan(&today); err != nil {
		return fmt.Errorf("count today's reports: %w", err)
	}
	if today >= mostOne || who == "" && today >= mostStrangers {
		return errFlood
	}
	_, err = t.intake(ctx, how, who, from, raw, "")
	return err
}

// listen keeps the receiving server as it is set.
func (t *Training) listen(ctx context.Context, r reports) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	where := r.Listen + " " + r.Address
	if t.server != nil && where != t.where {
		t.server.Close()
		t.server = nil
	}
	if r.Listen == "" || r.Address == "" || t.server != nil {
		return nil
	}
	s, err := smtpd.Listen(ctx, r.Listen, r.Address, apart.Biggest, func(ctx context.Context, from string, raw []byte) error { return t.forwarded(ctx, "smtp", from, raw) })
	if err != nil {
		return err
	}
	t.server, t.where = s, where
	context.AfterFunc(ctx, func() { s.Close() })
	return nil
}

// clean moves dangerous messages out of mailboxes: once for each report, and what
// blocked senders send at any time.
func (t *Training) clean(ctx context.Context, r reports) error {
	bad, err := t.reports(ctx, `WHERE verdict = 'bad' AND decided > $1 ORDER BY decided`, t.Now().Add(-48*time.Hour).UnixMilli())
	if err != nil {
		return err
	}
	blocked, err := t.blocked(ctx)
	if err != nil || len(bad)+len(blocked) == 0 {
		return err
	}
	for _, one := range bad {
		m, err := apart.Take(one.Raw)
		if err != nil || m.Inner == nil && one.How != "page" {
			continue // forwarded inline: its own number is not known
		}
		if err := t.cleanAll(ctx, r, one.ID, m.Reported().ID); err != nil {
			return err
		}
	}
	if len(blocked) == 0 {
		return nil
	}
	return t.cleanAll(ctx, r, "", "", blocked...)
}

func (t *Training) cleanAll(ctx context.Context, r reports, reportID, messageID string, senders ...string) error {
	n := 0
	for _, b := range r.boxes() {
		found, err := b.Remove(ctx, messageID, senders...)
		if err != nil {
			t.troubled(fmt.Sprintf("The mailbox of %s: %v", b.User, err))
			continue
		}
		n += found
	}
	if n == 0 {
		return nil
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `UPDATE training_reports SET removed = removed + $2 WHERE report = $1`, reportID, n); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: t.Now(), Kind: "training.message-removed", Ref: reportID, Version: int64(n)})
	})
}

// blocked are the senders of dangerous messages.
func (t *Training) blocked(ctx context.Context) (all []string, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT sender, box FROM training_blocked ORDER BY at DESC LIMIT 200`)
	if err != nil {
		return nil, fmt.Errorf("read blocked senders: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var tag string
		var box []byte
		if err := rows.Scan(&tag, &box); err != nil {
			return nil, fmt.Errorf("read blocked senders: %w", err)
		}
		plain, err := t.Key.Open(box, t.slot("training-blocked", tag))
		if err != nil {
			return nil, fmt.Errorf("open a blocked sender: %w", err)
		}
		all = append(all, string(plain))
	}
	return all, rows.Err()
}

// setReportSettings keeps where reports are received. The mailbox is tried first.
func (t *Training) setReportSettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	next := reports{Address: field("address"), Listen: field("listen"), IMAP: field("imap"), User: field("user"), Password: r.PostFormValue("password"), Plain: field("plain") == "yes", More: s.Reports.More}
	back := "/training/reports"
	if next.Address != "" {
		if a, err := mail.ParseAddress(next.Address); err != nil || a.Address != next.Address {
			return wrong("The report address is not a mail address.", "It looks like report@example.org.", back)
		}
	}
	for _, at := range []string{next.Listen, next.IMAP} {
		if _, _, err := net.SplitHostPort(at); at != "" && err != nil {
			return wrong("A server is written as name and port.", "For example imap.example.org:993, or 127.0.0.1:2525 to receive directly.", back)
		}
	}
	if next.Listen != "" && next.Address == "" {
		return wrong("To receive directly, the report address has to be known.", "Type it above.", back)
	}
	if next.Password == "" && next.User == s.Reports.User && next.IMAP == s.Reports.IMAP {
		next.Password = s.Reports.Password
	}
	if user := field("more"); user != "" {
		next.More = slices.DeleteFunc(slices.Clone(next.More), func(m another) bool { return m.User == user })
		if p := r.PostFormValue("morepassword"); p != "" {
			next.More = append(next.More, another{user, p})
		}
	}
	if next.IMAP != "" {
		boxes := next.boxes()
		for _, b := range []imap.Box{boxes[0], boxes[len(boxes)-1]} {
			if _, err := b.Remove(ctx, ""); err != nil { // opens it, and looks for nothing
				if errors.Is(err, imap.ErrNoTLS) {
					return wrong("Without TLS only a server on this machine is spoken to.", "Choose a port with TLS, usually 993.", back)
				}
				return wrong("The mailbox of "+b.User+" cannot be opened: "+strings.TrimPrefix(err.Error(), "imap: ")+".", "Nothing was changed.", back)
			}
		}
	}
	s.Reports = next
	if err := t.keep(ctx, s, ledger.Fact{Kind: "training.report-address-set", Actor: id.From(ctx)}); err != nil {
		return err
	}
	return web.SeeOther(w, r, back)
}
