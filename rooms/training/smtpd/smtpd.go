// Package smtpd receives what people forward to the report address, directly: one
// address, messages of a bounded size, and nothing is passed on. It speaks to the
// practice's own mail server; whoever else comes gets no further than the address.
package smtpd

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Take gets one message. An error is answered with "later", so that nothing is lost.
type Take func(ctx context.Context, from string, raw []byte) error

const mostAtOnce = 10

// Server is one that listens. Close ends it.
type Server struct {
	server *gosmtp.Server
	addr   net.Addr
}

// Listen begins to receive for one address.
func Listen(ctx context.Context, listen, address string, biggest int64, take Take) (*Server, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, errors.New("smtpd: the port is taken, or may not be opened")
	}
	b := &backend{ctx: ctx, address: address, biggest: biggest, take: take}
	s := gosmtp.NewServer(b)
	s.Domain, s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = "quietroom", biggest, 1, 4000
	s.ReadTimeout, s.WriteTimeout = 2*time.Minute, 2*time.Minute
	s.ErrorLog = silent{}
	go s.Serve(l)
	return &Server{s, l.Addr()}, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends it, and what is under way.
func (s *Server) Close() error { return s.server.Close() }

type backend struct {
	ctx     context.Context
	address string
	biggest int64
	take    Take
	now     atomic.Int32
}

var busy = &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "too many at once, come back later"}

func (b *backend) NewSession(*gosmtp.Conn) (gosmtp.Session, error) {
	if b.now.Add(1) > mostAtOnce {
		b.now.Add(-1)
		return nil, busy
	}
	return &session{backend: b}, nil
}

type session struct {
	*backend
	from string
	over bool
}

func (s *session) Reset() { s.from = "" }

func (s *session) Logout() error {
	if !s.over {
		s.over = true
		s.now.Add(-1)
	}
	return nil
}

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if !strings.EqualFold(to, s.address) {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "there is no such address"}
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // too big, or broken off: go-smtp says which
	}
	if err := s.take(s.ctx, s.from, raw); err != nil {
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "not now, try again"}
	}
	return nil
}

// silent keeps the library from logging: it would repeat addresses.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}
