package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/rooms/mail/smtp"
)

// Practice is a message of a phishing exercise to one of the practice's own
// people. It goes the way of a notice: sealed in the queue, at the practice's
// pace, taken back when its person leaves.
type Practice struct {
	To      id.Person
	Address string
	From    string // display name; the address is the practice's own, else no server would take it
	Subject string
	Text    string
	HTML    string
	Mark    string // header X-Quietroom-Exercise: whoever looks into the head can tell
}

// MarkHeader carries a practice message's mark.
const MarkHeader = "X-Quietroom-Exercise"

// ErrUnsent means that no mail server is set up.
var ErrUnsent = errors.New("mail: no server is set")

// Post queues a practice message in the caller's transaction, and returns the
// number of its letter. ErrUnsent if there is no server.
func (m *Mail) Post(ctx context.Context, tx *store.Tx, p Practice) (letterID string, err error) {
	if _, err := m.server(ctx); errors.Is(err, errNoServer) {
		return "", ErrUnsent
	}
	switch {
	case p.To == "" || smtp.Check(p.Address) != nil:
		return "", fmt.Errorf("%w: it is for a person with an address", errNotice)
	case p.Subject == "" || len(p.Subject) > mostSubject || !oneLine(p.Subject) || !oneLine(p.From) || len(p.From) > 80:
		return "", fmt.Errorf("%w: its subject or sender is not one short line", errNotice)
	case p.Text == "" || len(p.Text) > mostText || !printable(p.Text) || len(p.HTML) > 4*mostText || !printable(p.HTML):
		return "", fmt.Errorf("%w: its text is empty, too long or no text", errNotice)
	case p.Mark == "" || len(p.Mark) > 64 || strings.ContainsFunc(p.Mark, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') }):
		return "", fmt.Errorf("%w: it has no mark", errNotice)
	}
	now := m.Now()
	l := letter{To: p.Address, Subject: p.Subject, Text: p.Text, From: p.From, HTML: p.HTML, Mark: p.Mark}
	if letterID, err = m.queue(ctx, tx, p.To, l, now, now); err != nil {
		return "", err
	}
	tx.OnCommit(m.wake)
	return letterID, nil
}

// Became says what became of a letter: "waiting", "sent", "refused", "dropped";
// "" where nothing is known of it any more. Code holds the server's numbers.
func (m *Mail) Became(ctx context.Context, letterID string) (state, code string, at time.Time, err error) {
	var done int64
	err = m.DB.QueryRowContext(ctx, `SELECT state, code, done FROM mail_queue WHERE letter = $1`, letterID).Scan(&state, &code, &done)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", time.Time{}, nil
	}
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("ask what became of a letter: %w", err)
	}
	return state, code, moment(done), nil
}

// composePractice writes a practice message as it travels: text, and the same as
// HTML that the program made.
func composePractice(l letter, number, sender string, queued time.Time) ([]byte, error) {
	_, domain, _ := strings.Cut(sender, "@")
	sum := sha256.Sum256([]byte(number))
	edge := "=_" + hex(sum[:12])
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"From", (&mail.Address{Name: l.From, Address: sender}).String()},
		{"To", (&mail.Address{Address: l.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", l.Subject)},
		{"Date", queued.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ToLower(number) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{MarkHeader, l.Mark},
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/alternative; boundary="` + edge + `"`},
	} {
		b.WriteString(field[0] + ": " + fold(field[1]) + "\r\n")
	}
	for _, part := range [][2]string{{"text/plain", l.Text + "\n"}, {"text/html", l.HTML}} {
		b.WriteString("\r\n--" + edge + "\r\nContent-Type: " + part[0] + "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
		w := quotedprintable.NewWriter(&b)
		if _, err := w.Write([]byte(strings.ReplaceAll(part[1], "\n", "\r\n"))); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	b.WriteString("\r\n--" + edge + "--\r\n")
	return b.Bytes(), nil
}
