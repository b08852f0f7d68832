package mail

import (
	"bytes"
	encodehex "encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quietroom/layer"
	"quietroom/rooms/mail/smtp"
)

// letter is one notice to one address, as it lies sealed in the queue.
type letter struct {
	To      string `json:"to,omitempty"` // empty: the person had given no address when it was queued
	Subject string `json:"subject"`
	Text    string `json:"text"`
	Link    string `json:"link,omitempty"`
	From    string `json:"from,omitempty"` // display name, of a practice message
	HTML    string `json:"html,omitempty"` // the same text, of a practice message
	Mark    string `json:"mark,omitempty"` // by which a practice message is known; empty: a notice
}

const (
	mostSubject = 150
	mostText    = 16 << 10
)

// errNotice means that a room made a notice that cannot be sent: a mistake in
// the program. It names the part and never repeats it.
var errNotice = errors.New("mail: not a notice")

// checkNotice refuses what could become anything else than one plain message.
func checkNotice(n layer.Notice) error {
	switch {
	case (n.To == "") == (n.Address == ""):
		return fmt.Errorf("%w: it is for a person or for an address, one of them", errNotice)
	case n.Address != "" && smtp.Check(n.Address) != nil:
		return fmt.Errorf("%w: its address is none", errNotice)
	case n.Subject == "" || len(n.Subject) > mostSubject || !oneLine(n.Subject):
		return fmt.Errorf("%w: its subject is not one short line", errNotice)
	case n.Text == "" || len(n.Text) > mostText || !printable(n.Text):
		return fmt.Errorf("%w: its text is empty, too long or no text", errNotice)
	case n.Link != "" && (!strings.HasPrefix(n.Link, "/") || strings.HasPrefix(n.Link, "//") || !oneLine(n.Link) || strings.ContainsAny(n.Link, " <>\"")):
		return fmt.Errorf("%w: its link is no path of this house", errNotice)
	}
	return nil
}

// oneLine says whether s can be shown on one line and does nothing else there.
func oneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	})
}

func printable(s string) bool { return oneLine(strings.ReplaceAll(s, "\n", "")) }

// foot stands under every message: what a false one would not say.
const foot = "Quietroom sent this by itself. It never asks for a code, a password or a key. If you did not expect it, do not answer: open Quietroom the way you always do, or ask the owner of your practice in person."

// compose writes the message as it travels (RFC 5322, RFC 2045), with lines that
// end in CR LF. The same letter gives the same bytes each time, so that whoever
// gets it twice can tell. It carries no picture, no counted link and no secret.
func compose(l letter, number, sender, origin string, queued time.Time) ([]byte, error) {
	if smtp.Check(l.To) != nil || smtp.Check(sender) != nil || !oneLine(l.Subject) {
		return nil, errNotice
	}
	if l.Mark != "" {
		return composePractice(l, number, sender, queued)
	}
	_, domain, _ := strings.Cut(sender, "@")
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"From", (&mail.Address{Name: "Quietroom", Address: sender}).String()},
		{"To", (&mail.Address{Address: l.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", l.Subject)},
		{"Date", queued.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ToLower(number) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no holiday answers it
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(field[0] + ": " + fold(field[1]) + "\r\n")
	}
	b.WriteString("\r\n")
	text := strings.TrimSpace(l.Text)
	if l.Link != "" {
		text += "\n\n" + origin + l.Link
	}
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(text+"\n\n-- \n"+foot+"\n", "\n", "\r\n"))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// fold breaks a long subject between its encoded words (RFC 2047, 2).
func fold(value string) string { return strings.ReplaceAll(value, "?= =?", "?=\r\n =?") }

func hex(b []byte) string { return encodehex.EncodeToString(b) }

// How long a letter, or the server, is left alone after each try. A server that
// knows nobody yet wants some minutes before it takes the same message
// (greylisting, RFC 6647); a queue gives up after days (RFC 5321, 4.5.4.1).
var (
	forLetters = []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
	forServers = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
)

const (
	lasts = 5 * 24 * time.Hour  // how long a notice is tried
	kept  = 30 * 24 * time.Hour // how long it is told what became of it
)

// after is how long to wait after so many tries, a little different for each
// letter, so that they do not all come back at once.
func after(schedule []time.Duration, tries int, number string) time.Duration {
	wait := schedule[min(max(tries, 1), len(schedule))-1]
	spread := 0
	for _, c := range number {
		spread = (spread*31 + int(c)) % 100
	}
	return wait + wait*time.Duration(spread)/1000
}
