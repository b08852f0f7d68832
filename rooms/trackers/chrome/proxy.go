package chrome

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Volumes that one scan takes from a site: a page may offer 5 GB.
const (
	answerMost = 16 << 20  // of one answer
	visitMost  = 160 << 20 // of one visit
)

// Proxy stands between the browser and everybody else and writes down what
// leaves: also what no page's own record shows, such as a beacon that is sent
// while a page goes away, or a worker's first request.
type Proxy struct {
	net   Network
	ca    *authority
	now   func() time.Time
	own   func(host string) bool // hosts whose certificate errors are told and forgiven
	hold  func(*Exchange) bool   // requests that would send a form
	roots *x509.CertPool         // the system's if nil
	lis   net.Listener
	srv   *http.Server
	tr    *http.Transport

	mu     sync.Mutex
	mark   Mark
	all    []*Exchange
	taken  int64             // bytes of answers in this visit
	certs  map[string]string // host -> what is wrong with its certificate
	active int
	last   time.Time // when something last happened
}

// newProxy listens on loopback until close.
func newProxy(n Network, now func() time.Time, own func(string) bool, hold func(*Exchange) bool) (*Proxy, error) {
	ca, err := newAuthority(now())
	if err != nil {
		return nil, err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{net: n, ca: ca, now: now, own: own, hold: hold, lis: lis, certs: map[string]string{}}
	p.tr = &http.Transport{
		DialContext: n.connect, DisableCompression: true, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 8 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
		MaxIdleConnsPerHost: 6, IdleConnTimeout: 20 * time.Second, MaxResponseHeaderBytes: 1 << 20,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: p.checkCertificate}, // checkCertificate verifies, and remembers what was wrong
	}
	p.srv = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 1 << 20, ErrorLog: silent}
	go p.srv.Serve(lis) //nolint:errcheck // it ends by close
	return p, nil
}

func (p *Proxy) close() {
	p.srv.Close()
	p.tr.CloseIdleConnections()
}

// address is what the browser is told.
func (p *Proxy) address() string { return p.lis.Addr().String() }

// checkCertificate verifies as a browser would. The owner's own hosts pass with
// what was wrong told; others with a bad certificate get nothing, as from a browser.
func (p *Proxy) checkCertificate(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	opts := x509.VerifyOptions{DNSName: s.ServerName, Roots: p.roots, CurrentTime: p.now(), Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	if err == nil {
		return nil
	}
	p.mu.Lock()
	p.certs[s.ServerName] = err.Error()
	p.mu.Unlock()
	if p.own(s.ServerName) || p.net.Local {
		return nil
	}
	return err
}

// at sets what the browser is doing now. A new visit may take its volume anew.
func (p *Proxy) at(m Mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Visit != p.mark.Visit {
		p.taken = 0
	}
	p.mark = m
}

// since returns the exchanges after the first n.
func (p *Proxy) since(n int) []Exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	var some []Exchange
	for _, e := range p.all[min(n, len(p.all)):] {
		one := *e
		one.Frames = slices.Clone(e.Frames)
		some = append(some, one)
	}
	return some
}

func (p *Proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// settle waits until nothing has happened for quiet, but at most that long.
func (p *Proxy) settle(ctx context.Context, quiet, most time.Duration) {
	end := time.Now().Add(most)
	begun := time.Now()
	for time.Now().Before(end) && ctx.Err() == nil {
		p.mu.Lock()
		idle := p.active == 0
		since := time.Since(p.last)
		p.mu.Unlock()
		if idle && since >= quiet && time.Since(begun) >= quiet {
			return
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

type tunnelKey struct{}

// serve answers the browser: a plain request, or a tunnel that is opened.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		p.tunnel(w, r)
		return
	}
	if base, ok := r.Context().Value(tunnelKey{}).(url.URL); ok {
		r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
	}
	if r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	p.pass(w, r)
}

// tunnel takes the browser's tunnel for itself: TLS inside is ended here.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	first, err := buffered.Peek(1)
	if err != nil {
		conn.Close()
		return
	}
	base := url.URL{Scheme: "http", Host: strings.TrimSuffix(r.Host, ":80")}
	var inner net.Conn = &peeked{conn, buffered.Reader}
	if first[0] == 0x16 { // a TLS handshake
		base = url.URL{Scheme: "https", Host: strings.TrimSuffix(r.Host, ":443")}
		name := base.Hostname()
		inner = tls.Server(inner, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if h.ServerName != "" {
				return p.ca.certificate(h.ServerName)
			}
			return p.ca.certificate(name)
		}})
	}
	lis := newOneConn(inner)
	srv := &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 60 * time.Second, MaxHeaderBytes: 1 << 20, ErrorLog: silent,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, tunnelKey{}, base)
		}}
	_ = srv.Serve(lis) // ends when the connection does
}

// peeked is a connection of which some bytes were read already.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (c *peeked) Read(b []byte) (int, error) { return c.r.Read(b) }

// oneConn is a listener of one connection; it ends when that is closed.
type oneConn struct {
	conns chan net.Conn
	addr  net.Addr
	done  chan struct{}
}

type closing struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (c *closing) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), addr: c.LocalAddr(), done: make(chan struct{})}
	l.conns <- &closing{Conn: c, done: l.done}
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }

// begin writes a request down, with its body.
func (p *Proxy) begin(r *http.Request) *Exchange {
	u := *r.URL
	e := &Exchange{At: p.now(), Method: r.Method, URL: &u, Header: r.Header.Clone()}
	if r.Host != "" {
		e.Header.Set("Host", r.Host)
	}
	e.Body, _ = io.ReadAll(io.LimitReader(r.Body, bodyKept))
	p.mu.Lock()
	defer p.mu.Unlock()
	e.Mark = p.mark
	p.last = time.Now()
	p.active++
	if len(p.all) < mostKept {
		p.all = append(p.all, e)
		e.N = len(p.all)
	}
	if p.taken > visitMost {
		e.Refused = TooBig
	}
	return e
}

// end writes down how it went.
func (p *Proxy) end(e *Exchange, began time.Time, set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	e.Took = time.Since(began)
	p.last = time.Now()
	p.active--
}

// hop are headers of one connection only (RFC 9110 section 7.6.1).
var hop = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// pass hands a request on and its answer back.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	e := p.begin(r)
	if r.URL.Host == p.address() {
		e.Refused = Local
	}
	if itself(e) {
		e.Refused = Itself
	}
	if e.Refused == "" && p.hold != nil && p.hold(e) {
		e.Refused = Held
	}
	if e.Refused != "" {
		p.end(e, began, func() {})
		if e.Refused == Held {
			p.held(w, r, e)
			return
		}
		http.Error(w, "refused by the scan", http.StatusForbidden)
		return
	}
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		p.socket(w, r, e, began)
		return
	}
	out := r.Clone(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{}))
	out.RequestURI = ""
	out.Body = io.NopCloser(io.MultiReader(bytes.NewReader(e.Body), io.LimitReader(r.Body, answerMost)))
	if r.ContentLength == 0 {
		out.Body = nil
	}
	for _, h := range hop {
		out.Header.Del(h)
	}
	res, err := p.tr.RoundTrip(out)
	if err != nil {
		p.failed(w, e, began, err)
		return
	}
	defer res.Body.Close()
	for k, v := range res.Header {
		if !slices.Contains(hop, k) {
			w.Header()[k] = v
		}
	}
	p.mu.Lock()
	e.Status, e.Answer = res.StatusCode, res.Header
	p.mu.Unlock()
	w.WriteHeader(res.StatusCode)
	size, cut := p.copy(w, res.Body)
	p.end(e, began, func() { e.Size, e.Cut = size, cut })
	if cut {
		panic(http.ErrAbortHandler) // half an answer is never taken for a whole one
	}
}

// held answers as if it had been sent, so that a page goes on and a script asks
// for all that it would ask for.
func (p *Proxy) held(w http.ResponseWriter, r *http.Request, e *Exchange) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		p.heldSocket(w, r, e)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	}
	w.WriteHeader(http.StatusNoContent) // the page stays where it is
}

// maker are hosts that only Chromium itself asks, for its own parts.
var maker = []string{"update.googleapis.com", "optimizationguide-pa.googleapis.com", "safebrowsing.googleapis.com", "content-autofill.googleapis.com", "clients2.google.com", "clients4.google.com", "edgedl.me.gvt1.com", "redirector.gvt1.com"}

// itself tells a request that the browser made for itself. What a page asks for
// over TLS says so in its Sec-Fetch headers; a page that one goes to is a document.
func itself(e *Exchange) bool {
	if e.Header.Get("Referer") == "" && e.Header.Get("Origin") == "" && slices.Contains(maker, e.URL.Hostname()) {
		return true
	}
	if e.URL.Scheme != "https" || e.Header.Get("Upgrade") != "" {
		return false
	}
	switch e.Header.Get("Sec-Fetch-Site") {
	case "":
		return e.Header.Get("Origin") == "" || e.URL.Host == "accounts.google.com" && e.URL.Path == "/ListAccounts"
	case "none":
		return e.Header.Get("Sec-Fetch-Dest") == "empty"
	}
	return false
}

// failed answers for somebody who cannot be reached.
func (p *Proxy) failed(w http.ResponseWriter, e *Exchange, began time.Time, err error) {
	p.end(e, began, func() {
		e.Failed = err.Error()
		if errors.Is(err, ErrLocal) {
			e.Refused = Local
		}
	})
	http.Error(w, "not reached by the scan", http.StatusBadGateway)
}

// copy hands an answer back as it comes, and stops where it is too much.
func (p *Proxy) copy(w http.ResponseWriter, r io.Reader) (size int64, cut bool) {
	flush := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			size += int64(n)
			p.mu.Lock()
			p.taken += int64(n)
			p.last = time.Now()
			full := p.taken > visitMost
			p.mu.Unlock()
			if size > answerMost || full {
				return size, true
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return size, false
			}
			_ = flush.Flush()
		}
		if err != nil {
			return size, !errors.Is(err, io.EOF)
		}
	}
}
