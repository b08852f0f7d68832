// Package smtp hands messages to a mail server (RFC 5321, submission RFC 6409).
// It protects what is on the way: nothing but a greeting is said before the
// server has shown a certificate for its name, over TLS 1.2 or newer; without
// TLS it speaks to this machine only.
//
// What goes wrong comes back as *Error, which tells whether the server or one
// message is concerned, and whether it may be tried again. The server's own
// words are not kept: they repeat addresses.
package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Security is how the way to the server is protected.
type Security string

// The three ways.
const (
	StartTLS Security = "starttls" // RFC 3207, required: usually port 587
	TLS      Security = "tls"      // from the first byte, RFC 8314: usually port 465
	Plain    Security = "plain"    // to this machine only
)

// Server says where mail is handed over, and as whom.
type Server struct {
	Host     string
	Port     int
	Security Security
	Hello    string // what the house calls itself: a domain
	User     string // empty: no login
	Password string
	Roots    *x509.CertPool // nil: the system's
	Patience time.Duration  // how long one answer may take; 0: 2 minutes
}

// Why says what failed.
type Why string

// What may fail.
const (
	Unreachable Why = "unreachable" // no connection
	Greeting    Why = "greeting"    // the server will not talk now
	NoTLS       Why = "no-tls"      // it offers no TLS, or something spoke in between
	Handshake   Why = "handshake"   // it offers none that is new enough
	Certificate Why = "certificate" // it is for another name, too old, or of nobody known
	Login       Why = "login"       // user and password were refused
	Sender      Why = "sender"      // it does not take mail from the sender's address
	Recipient   Why = "recipient"   // it does not take mail for this address
	Content     Why = "content"     // it does not take this message
	Lost        Why = "lost"        // the connection broke: whether a message was taken is not known
)

// Error is what failed, by fixed words and the server's numbers.
type Error struct {
	Why    Why
	Code   int    // 550; 0 where the server did not answer
	Status string // "5.1.1" (RFC 3463); empty where it gave none
	Err    error  // for the operator; no words of the server
}

func (e *Error) Error() string {
	said := "smtp: " + string(e.Why)
	if e.Code != 0 {
		said += " " + strconv.Itoa(e.Code)
	}
	if e.Status != "" {
		said += " " + e.Status
	}
	if e.Err != nil {
		said += ": " + e.Err.Error()
	}
	return said
}

func (e *Error) Unwrap() error { return e.Err }

// Mine tells that one message is concerned, and others may go on.
func (e *Error) Mine() bool { return e.Why == Recipient || e.Why == Content }

// Permanent tells that the server will say the same again (RFC 5321, 4.2.1).
func (e *Error) Permanent() bool { return e.Code >= 500 }

// Conn is a conversation with a server that has let us in.
type Conn struct {
	server    Server
	raw       net.Conn // what TLS runs over
	conn      net.Conn
	text      *textproto.Conn
	can       map[string]string // what it offers: "PIPELINING" -> ""
	encrypted string
}

const patience = 2 * time.Minute // RFC 5321, 4.5.3.2 asks for up to 5; a queue waits better than a connection

// LocalOnly tells whether a host is this machine, which alone may be spoken to
// without TLS.
func LocalOnly(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Open connects, encrypts and logs in. Close the Conn when done.
func (s Server) Open(ctx context.Context) (*Conn, error) {
	if s.Patience == 0 {
		s.Patience = patience
	}
	if s.Security == Plain && !LocalOnly(s.Host) {
		return nil, &Error{Why: NoTLS, Err: errors.New("without TLS only this machine is spoken to")}
	}
	d := net.Dialer{Timeout: 30 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, &Error{Why: Unreachable, Err: bare(err)}
	}
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); s.Security == Plain && (!ok || !at.IP.IsLoopback()) {
		conn.Close()
		return nil, &Error{Why: NoTLS, Err: errors.New("without TLS only this machine is spoken to")}
	}
	c := &Conn{server: s, raw: conn, conn: conn}
	stop := c.until(ctx)
	defer stop()
	if err := c.begin(ctx); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) begin(ctx context.Context) error {
	if c.server.Security == TLS {
		if err := c.encrypt(ctx); err != nil {
			return err
		}
	}
	c.text = textproto.NewConn(c.conn)
	if err := c.expect(220, Greeting); err != nil {
		return err
	}
	if err := c.hello(); err != nil {
		return err
	}
	if c.server.Security == StartTLS {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	if c.server.User != "" {
		return c.login()
	}
	return nil
}

func (c *Conn) startTLS(ctx context.Context) error {
	if _, ok := c.can["STARTTLS"]; !ok {
		return &Error{Why: NoTLS}
	}
	if err := c.say(220, NoTLS, "STARTTLS"); err != nil {
		return err
	}
	if c.text.R.Buffered() > 0 {
		return &Error{Why: NoTLS, Err: errors.New("something was said between the answer and TLS")}
	}
	if err := c.encrypt(ctx); err != nil {
		return err
	}
	c.text = textproto.NewConn(c.conn)
	return c.hello() // what was offered before is forgotten (RFC 3207, 4.2)
}

// encrypt makes the handshake now, so that nothing is said to the wrong server.
func (c *Conn) encrypt(ctx context.Context) error {
	c.wait()
	t := tls.Client(c.conn, &tls.Config{ServerName: c.server.Host, MinVersion: tls.VersionTLS12, RootCAs: c.server.Roots})
	if err := t.HandshakeContext(ctx); err != nil {
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return &Error{Why: Certificate, Err: err}
		}
		return &Error{Why: Handshake, Err: bare(err)}
	}
	c.conn, c.encrypted = t, tls.VersionName(t.ConnectionState().Version)
	return nil
}

// Encrypted says with what the way is protected: "TLS 1.3"; empty if it is not.
func (c *Conn) Encrypted() string { return c.encrypted }

func (c *Conn) hello() error {
	c.wait()
	if err := c.text.PrintfLine("EHLO %s", c.server.Hello); err != nil {
		return &Error{Why: Lost, Err: bare(err)}
	}
	_, said, err := c.text.ReadResponse(250)
	if err != nil {
		return failed(Greeting, err)
	}
	c.can = map[string]string{}
	_, offers, _ := strings.Cut(said, "\n")
	for line := range strings.SplitSeq(offers, "\n") {
		name, value, _ := strings.Cut(line, " ")
		c.can[strings.ToUpper(name)] = strings.ToUpper(value)
	}
	return nil
}

// login proves who we are: AUTH PLAIN (RFC 4616), else AUTH LOGIN, which some
// large providers offer alone.
func (c *Conn) login() error {
	offered := strings.Fields(c.can["AUTH"])
	code64 := base64.StdEncoding.EncodeToString
	for _, how := range offered {
		if how == "PLAIN" {
			return c.say(235, Login, "AUTH PLAIN %s", code64([]byte("\x00"+c.server.User+"\x00"+c.server.Password)))
		}
	}
	for _, how := range offered {
		if how == "LOGIN" {
			if err := c.say(334, Login, "AUTH LOGIN"); err != nil {
				return err
			}
			if err := c.say(334, Login, "%s", code64([]byte(c.server.User))); err != nil {
				return err
			}
			return c.say(235, Login, "%s", code64([]byte(c.server.Password)))
		}
	}
	return &Error{Why: Login, Err: errors.New("the server offers no login with user and password")}
}

// Check refuses what may not stand in a command: an address is one word of
// visible characters (RFC 5321, 4.1.2; letters of other scripts by RFC 6531).
func Check(address string) error {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 || len(address) > 254 || at == len(address)-1 {
		return errors.New("smtp: not a mail address")
	}
	for _, part := range []string{address[:at], address[at+1:]} { // dot-atoms (RFC 5322, 3.2.3)
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || strings.Contains(part, "..") || strings.Contains(part, "@") {
			return errors.New("smtp: not a mail address")
		}
	}
	for _, r := range address {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("<>()[],;:\\\"", r) || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfffd {
			return errors.New("smtp: not a mail address")
		}
	}
	return nil
}

// Send hands over one message, with lines that end in CR LF, from one address to
// another. After an *Error that is Mine the Conn can go on; after any other
// one it is of no more use.
func (c *Conn) Send(ctx context.Context, from, to string, message []byte) error {
	stop := c.until(ctx)
	defer stop()
	for _, address := range []string{from, to} {
		if Check(address) != nil {
			return &Error{Why: Recipient, Code: 553, Status: "5.1.3"}
		}
	}
	options := ""
	if !ascii(from) || !ascii(to) {
		if _, ok := c.can["SMTPUTF8"]; !ok {
			return &Error{Why: Recipient, Code: 553, Status: "5.6.7"} // RFC 6531, 3.5
		}
		options = " SMTPUTF8"
	}
	commands := []string{"MAIL FROM:<" + from + ">" + options, "RCPT TO:<" + to + ">", "DATA"}
	errs, err := c.envelope(commands)
	if err != nil {
		return err
	}
	if errs[2] == nil && (errs[0] != nil || errs[1] != nil) {
		// The server waits for a message that nobody is to get (RFC 2920, 3.1).
		if err := c.say(250, Content, "."); err != nil && !isMine(err) {
			return err
		}
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		if isMine(err) { // leave the conversation as it was before
			if err := c.say(250, Lost, "RSET"); err != nil {
				return err
			}
		}
		return err
	}
	return c.data(message)
}

// envelope says who writes to whom: in one breath where the server allows it
// (RFC 2920).
func (c *Conn) envelope(commands []string) (errs [3]error, err error) {
	why := [3]Why{Sender, Recipient, Content}
	want := [3]int{250, 250, 354}
	if _, ok := c.can["PIPELINING"]; !ok {
		for i, command := range commands {
			if errs[i] = c.say(want[i], why[i], "%s", command); errs[i] != nil {
				for j := i + 1; j < 3; j++ {
					errs[j] = errs[i]
				}
				break
			}
		}
		return errs, nil
	}
	c.wait()
	for _, command := range commands {
		if _, err := c.text.W.WriteString(command + "\r\n"); err != nil {
			return errs, &Error{Why: Lost, Err: bare(err)}
		}
	}
	if err := c.text.W.Flush(); err != nil {
		return errs, &Error{Why: Lost, Err: bare(err)}
	}
	for i := range commands {
		errs[i] = c.expect(want[i], why[i])
		if e, ok := errors.AsType[*Error](errs[i]); ok && (e.Why == Lost || e.Why == Greeting) {
			return errs, e // nothing more comes
		}
	}
	return errs, nil
}

// data sends the message after "354".
func (c *Conn) data(message []byte) error {
	c.wait()
	w := c.text.DotWriter()
	if _, err := w.Write(message); err != nil {
		return &Error{Why: Lost, Err: bare(err)}
	}
	if err := w.Close(); err != nil {
		return &Error{Why: Lost, Err: bare(err)}
	}
	return c.expect(250, Content)
}

// Alive asks the server whether it still listens.
func (c *Conn) Alive(ctx context.Context) error {
	stop := c.until(ctx)
	defer stop()
	return c.say(250, Lost, "NOOP")
}

// Close says goodbye, without waiting for an answer for long.
func (c *Conn) Close() error {
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if err := c.text.PrintfLine("QUIT"); err == nil {
		c.text.ReadResponse(221)
	}
	return c.conn.Close()
}

func (c *Conn) say(want int, why Why, format string, args ...any) error {
	c.wait()
	if err := c.text.PrintfLine(format, args...); err != nil {
		return &Error{Why: Lost, Err: bare(err)}
	}
	return c.expect(want, why)
}

func (c *Conn) expect(want int, why Why) error {
	c.wait()
	if _, _, err := c.text.ReadResponse(want); err != nil {
		return failed(why, err)
	}
	return nil
}

// failed makes an Error of an answer, or of none.
func failed(why Why, err error) *Error {
	answer, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return &Error{Why: Lost, Err: bare(err)}
	}
	e := &Error{Why: why, Code: answer.Code, Status: status(answer.Msg)}
	if e.Code == 421 { // it closes the conversation (RFC 5321, 3.8)
		e.Why = Greeting
	}
	if e.Code < 400 || e.Code > 599 { // it answers something else than was asked
		e.Why, e.Code = Lost, 0
	}
	return e
}

// status is the enhanced status code at the beginning of an answer, if it is one.
func status(said string) string {
	word, _, _ := strings.Cut(said, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(word) > 9 {
		return ""
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return ""
		}
	}
	return word
}

func isMine(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Mine()
}

// wait gives the next answer its time.
func (c *Conn) wait() { c.conn.SetDeadline(time.Now().Add(c.server.Patience)) }

// until ends what is under way when ctx does.
func (c *Conn) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.raw.Close() })
}

// bare is an error without addresses of machines or people in it.
func bare(err error) error {
	switch e, ok := errors.AsType[net.Error](err); {
	case ok && e.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, net.ErrClosed):
		return errors.New("the connection was closed")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

func ascii(s string) bool {
	return bytes.IndexFunc([]byte(s), func(r rune) bool { return r > 0x7e }) < 0
}
