// Package apart takes a reported message apart, so that it can be looked at
// without being shown: who says to have sent it, where its links really lead,
// what is attached. Nothing of it is rendered, fetched, run or unpacked. All it
// returns is text with letters that cannot be seen made visible; addresses are
// written so that nobody can press them.
//
// The bytes are a stranger's, who may want to do harm. Bounds are set on all of
// it, and what breaks the parser is a finding, no crash.
package apart

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"
	"golang.org/x/net/html"
)

// Bounds.
const (
	Biggest   = 25 << 20 // bytes of a message
	mostParts = 200
	mostDepth = 4 // messages within messages
	mostLinks = 100
	mostFiles = 50
	mostText  = 4000 // letters of text that are shown
	mostField = 500
)

// ErrTooBig means that a message is longer than is taken.
var ErrTooBig = errors.New("apart: the message is too big")

// ErrNoMail means that these bytes are no message.
var ErrNoMail = errors.New("apart: this is no mail message")

// Field is one line of the head.
type Field struct{ Name, Value string }

// Link is one address in a message.
type Link struct {
	Says  string // the words that are pressed
	To    string // where it leads, unpressable
	Host  string
	Other bool   // the words name another host than the link does
	Kind  string // link, form, picture, file
}

// File is one attachment. Its bytes are not kept here.
type File struct {
	Name   string
	Type   string
	Size   int
	SHA256 string
	Risky  bool // of a kind that does something when it is opened
	Twice  bool // its name has two endings, of which one is hidden by many systems
}

// Mail is a message, taken apart.
type Mail struct {
	From, FromAddress, Domain string
	ReplyTo, ReturnPath       string
	Subject, Date, ID         string
	Mark                      string // X-Quietroom-Exercise
	Fields                    []Field
	Auth                      []string // what the receiving server said of SPF, DKIM, DMARC
	Text                      string
	Links                     []Link
	Files                     []File
	Tokens                    []string // of practice links, wherever they stand
	Problems                  []string // what was odd about its form
	Inner                     *Mail    // the message that is attached to this one: what was reported
}

// Reported is the message that was reported: the attached one, or this one.
func (m *Mail) Reported() *Mail {
	for m.Inner != nil {
		m = m.Inner
	}
	return m
}

// All yields a message and those within it.
func (m *Mail) All() (all []*Mail) {
	for ; m != nil; m = m.Inner {
		all = append(all, m)
	}
	return all
}

// token finds a practice link, also where a gateway has rewritten it.
var token = regexp.MustCompile(`(?i)(?:/|%2F|%252F)m(?:/|%2F|%252F)([A-Z2-7]{26})`)

var address = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'()\[\]{}]+`)

// Take takes a message apart. ErrNoMail, ErrTooBig.
func Take(raw []byte) (*Mail, error) {
	if len(raw) > Biggest {
		return nil, ErrTooBig
	}
	return take(raw, 0)
}

func take(raw []byte, depth int) (m *Mail, err error) {
	defer func() { // the parser is somebody else's, and so are the bytes
		if broke := recover(); broke != nil {
			m, err = nil, fmt.Errorf("%w: taking it apart broke off", ErrNoMail)
		}
	}()
	head, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil || head.Header.Get("From") == "" && head.Header.Get("Subject") == "" && head.Header.Get("Received") == "" && head.Header.Get("Date") == "" && head.Header.Get("Content-Type") == "" {
		return nil, ErrNoMail
	}
	parser := enmime.NewParser(enmime.MaxStoredPartErrors(20), enmime.SkipMalformedParts(true))
	env, err := parser.ReadEnvelope(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: its parts cannot be read", ErrNoMail)
	}
	m = &Mail{Subject: plain(env.GetHeader("Subject"), mostField), Date: plain(env.GetHeader("Date"), 100), ID: plain(env.GetHeader("Message-Id"), mostField),
		ReplyTo: plain(env.GetHeader("Reply-To"), mostField), ReturnPath: plain(env.GetHeader("Return-Path"), mostField), From: plain(env.GetHeader("From"), mostField), Mark: plain(env.GetHeader("X-Quietroom-Exercise"), 64)}
	if from, err := mail.ParseAddress(env.GetHeader("From")); err == nil {
		m.FromAddress = plain(strings.ToLower(from.Address), mostField)
		_, m.Domain, _ = strings.Cut(m.FromAddress, "@")
	}
	for _, name := range []string{"From", "Reply-To", "Return-Path", "To", "Cc", "Subject", "Date", "Message-Id", "Received", "Authentication-Results", "X-Mailer", "List-Unsubscribe", "X-Originating-Ip"} {
		for i, v := range env.GetHeaderValues(name) {
			if i < 6 {
				m.Fields = append(m.Fields, Field{name, plain(v, mostField)})
			}
		}
	}
	for _, v := range env.GetHeaderValues("Authentication-Results") {
		m.Auth = append(m.Auth, verdicts(v)...)
	}
	m.Text = plain(env.Text, mostText)
	m.links(env)
	m.parts(env, depth)
	for _, e := range env.Errors {
		if len(m.Problems) < 10 && e.Name != enmime.ErrorPlainTextFromHTML { // that is how most mail is
			m.Problems = append(m.Problems, plain(e.Name, 100))
		}
	}
	return m, nil
}

// verdicts are the words of Authentication-Results (RFC 8601).
func verdicts(v string) (all []string) {
	for _, found := range regexp.MustCompile(`(?i)\b(spf|dkim|dmarc|arc)=([a-z]+)`).FindAllStringSubmatch(v, 20) {
		said := strings.ToLower(found[1] + " " + found[2])
		if !slices.Contains(all, said) {
			all = append(all, said)
		}
	}
	return all
}

// parts looks at attachments and at messages within.
func (m *Mail) parts(env *enmime.Envelope, depth int) {
	seen := 0
	var walk func(p *enmime.Part)
	walk = func(p *enmime.Part) {
		for ; p != nil && seen < mostParts; p = p.NextSibling {
			seen++
			inner := strings.EqualFold(p.ContentType, "message/rfc822") || strings.HasSuffix(strings.ToLower(p.FileName), ".eml")
			switch {
			case inner && m.Inner == nil && depth < mostDepth && len(p.Content) > 0:
				if within, err := take(p.Content, depth+1); err == nil {
					m.Inner = within
				} else {
					m.file(p)
				}
			case p.FileName != "" || p.Disposition == "attachment":
				m.file(p)
			}
			walk(p.FirstChild)
		}
	}
	walk(env.Root)
	if seen >= mostParts {
		m.Problems = append(m.Problems, "It has more parts than are looked at.")
	}
}

// risky are endings of files that do something when they are opened.
var risky = []string{".exe", ".scr", ".com", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".jse", ".wsf", ".hta", ".msi", ".lnk", ".iso", ".img", ".vhd", ".jar", ".docm", ".xlsm", ".pptm", ".one", ".html", ".htm", ".shtml", ".svg", ".zip", ".rar", ".7z", ".gz", ".chm", ".url", ".appx", ".dmg", ".pkg", ".app", ".command", ".sh", ".reg", ".xll", ".rdp"}

func (m *Mail) file(p *enmime.Part) {
	if len(m.Files) >= mostFiles {
		return
	}
	sum := sha256.Sum256(p.Content)
	name := plain(p.FileName, 200)
	ending := strings.ToLower(path.Ext(strings.TrimRight(name, ". ")))
	before := strings.TrimSuffix(strings.ToLower(name), ending)
	m.Files = append(m.Files, File{Name: name, Type: plain(p.ContentType, 100), Size: len(p.Content), SHA256: hex.EncodeToString(sum[:]),
		Risky: slices.Contains(risky, ending), Twice: slices.Contains(risky, ending) && regexp.MustCompile(`\.[a-z0-9]{2,4}\s*$`).MatchString(before)})
}

// links finds all addresses, in text and in HTML, without rendering it.
func (m *Mail) links(env *enmime.Envelope) {
	for _, text := range []string{env.Text, env.HTML} {
		for _, found := range token.FindAllStringSubmatch(text, 20) {
			if t := strings.ToUpper(found[1]); !slices.Contains(m.Tokens, t) {
				m.Tokens = append(m.Tokens, t)
			}
		}
	}
	z := html.NewTokenizer(strings.NewReader(env.HTML))
	for i := 0; i < 200_000; i++ {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		t := z.Token()
		for _, a := range t.Attr {
			what := map[string]string{"a href": "link", "area href": "link", "form action": "form", "img src": "picture", "iframe src": "link", "object data": "file", "base href": "link", "meta content": "link", "button formaction": "form"}[t.Data+" "+a.Key]
			if what == "" || t.Data == "meta" && !strings.Contains(strings.ToLower(a.Val), "url=") {
				continue
			}
			says := ""
			if t.Data == "a" && kind == html.StartTagToken {
				says = wordsUntilEnd(z)
			}
			m.link(what, says, a.Val)
		}
	}
	for _, found := range address.FindAllString(env.Text, mostLinks) {
		m.link("link", "", found)
	}
}

// wordsUntilEnd are the words of a link.
func wordsUntilEnd(z *html.Tokenizer) string {
	var said strings.Builder
	for range 200 {
		switch z.Next() {
		case html.TextToken:
			said.Write(z.Text())
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "a" {
				return said.String()
			}
		case html.ErrorToken:
			return said.String()
		}
	}
	return said.String()
}

var hostInWords = regexp.MustCompile(`(?i)\b((?:[a-z0-9-]+\.)+[a-z]{2,24})\b`)

func (m *Mail) link(kind, says, to string) {
	to = strings.TrimSpace(to)
	if to == "" || strings.HasPrefix(to, "#") || strings.HasPrefix(strings.ToLower(to), "cid:") || len(m.Links) >= mostLinks {
		return
	}
	l := Link{Kind: kind, Says: plain(strings.Join(strings.Fields(says), " "), 200), To: Unpressable(plain(to, mostField))}
	if u, err := url.Parse(to); err == nil {
		l.Host = Unpressable(plain(u.Hostname(), 253))
		if found := hostInWords.FindString(says); found != "" && u.Hostname() != "" {
			l.Other = !strings.EqualFold(found, u.Hostname()) && !strings.HasSuffix(strings.ToLower(u.Hostname()), "."+strings.ToLower(found))
		}
	}
	if !slices.Contains(m.Links, l) {
		m.Links = append(m.Links, l)
	}
}

// Unpressable writes an address, or a host, so that no program makes a link of it.
func Unpressable(s string) string {
	s = scheme.ReplaceAllString(s, "hxxp$1:")
	before, rest, ok := strings.Cut(s, "://")
	if !ok {
		before, rest = "", s
	} else {
		before += "://"
	}
	host, path, ok := strings.Cut(rest, "/")
	if ok {
		path = "/" + path
	}
	return before + strings.ReplaceAll(strings.ReplaceAll(host, "[.]", "."), ".", "[.]") + path
}

// plain is text on which nothing hides: no control, no letter that turns the
// line round, no more than so many letters.
func plain(s string, most int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		switch {
		case c == '\n', c == '\t':
			b.WriteRune(c)
		case c == '\r':
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c), c == '\u2028', c == '\u2029':
			b.WriteRune('\ufffd')
		case c == utf8.RuneError:
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(c)
		}
	}
	return scheme.ReplaceAllString(strings.TrimSpace(b.String()), "hxxp$1:")
}

// scheme is by what programs know that something is to be pressed.
var scheme = regexp.MustCompile(`(?i)http(s?):`)
