package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// Server says where and how a house is served.
type Server struct {
	Listen  string              // "localhost:8470", ":443"
	Handler http.Handler        // a Mux
	TLS     *tls.Config         // the practice's own certificate; nil without one
	ACME    *ACME               // or a certificate fetched by itself; nil without one
	Log     *slog.Logger        // slog.Default if nil
	Ready   func(addr net.Addr) // called once the door is open; may be nil
}

// ACME fetches certificates by itself (RFC 8555), over the port that is served
// (TLS-ALPN-01, RFC 8737), for these names only.
type ACME struct {
	Hosts []string // the names of the house
	Dir   string   // where certificates and their keys are kept; 0700
	Email string   // where the authority writes to; may be empty
}

// ErrPlain means that people elsewhere could read what is served here.
var ErrPlain = errors.New("web: an address that other machines can reach needs a certificate: listen on localhost, or give a certificate or a host name")

// How long a connection may take, and how much it may say before its body.
const (
	headerTime  = 10 * time.Second
	requestTime = time.Minute // a Big body and a Stream put this off while they move
	idleTime    = 2 * time.Minute
	closeTime   = 10 * time.Second
	headerLimit = 32 << 10
)

// Serve serves until ctx ends, then lets requests finish for ten seconds. It
// returns nil after an orderly end. It refuses (ErrPlain) an address that other
// machines can reach when there is no certificate.
func Serve(ctx context.Context, s Server) error {
	if err := s.Check(); err != nil {
		return err
	}
	conf, err := s.tls()
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// A name may lead elsewhere than its word: what counts is where it led.
	if a, ok := l.Addr().(*net.TCPAddr); conf == nil && (!ok || !a.IP.IsLoopback()) {
		return errors.Join(ErrPlain, l.Close())
	}
	if s.Ready != nil {
		s.Ready(l.Addr())
	}
	return s.run(ctx, l, conf)
}

// Check tells, before a house is made or opened, that Serve would refuse.
func (s Server) Check() error {
	conf, err := s.tls()
	if err == nil && conf == nil && !loopback(s.Listen) {
		err = ErrPlain
	}
	return err
}

func (s Server) run(ctx context.Context, l net.Listener, conf *tls.Config) error {
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	srv := &http.Server{
		Handler:           s.Handler,
		TLSConfig:         conf,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerLimit,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: mostStreams},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // handshakes of strangers: noise, and addresses
	}
	l = newCrowd(l, mostOpen, mostOfOne)
	ended := make(chan error, 1)
	go func() {
		if conf != nil {
			ended <- srv.ServeTLS(l, "", "")
			return
		}
		ended <- srv.Serve(l)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		return errors.Join(fmt.Errorf("end of serving: %w", err), srv.Close())
	}
	return nil
}

// tls is the configuration to serve with: nil means without TLS. TLS 1.3 alone:
// every browser that has passkeys speaks it, and its key exchange is hybrid
// post-quantum by Go's own preference.
func (s Server) tls() (*tls.Config, error) {
	switch {
	case s.TLS != nil && s.ACME != nil:
		return nil, errors.New("web: give a certificate or host names to fetch one for, not both")
	case s.TLS != nil:
		conf := s.TLS.Clone()
		conf.MinVersion = tls.VersionTLS13
		return conf, nil
	case s.ACME != nil:
		return s.ACME.tls()
	}
	return nil, nil
}

func (a *ACME) tls() (*tls.Config, error) {
	if len(a.Hosts) == 0 || a.Dir == "" || slices.Contains(a.Hosts, "") {
		return nil, errors.New("web: fetching certificates needs the names of the house and a directory to keep them")
	}
	m := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(a.Dir),
		HostPolicy: autocert.HostWhitelist(a.Hosts...),
		Email:      a.Email,
	}
	conf := m.TLSConfig()
	conf.MinVersion = tls.VersionTLS13
	return conf, nil
}

// loopback tells whether only this machine can reach the address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
