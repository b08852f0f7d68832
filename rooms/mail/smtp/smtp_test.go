package smtp_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/rooms/mail/smtp"
)

// peer is a server on this machine that follows a script, and keeps what it heard.
type peer struct {
	t     *testing.T
	port  int
	roots *x509.CertPool
	cert  tls.Certificate
	mu    sync.Mutex
	heard []string
}

func newPeer(t *testing.T, script func(*peer, net.Conn)) *peer {
	t.Helper()
	p := &peer{t: t, roots: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.roots.AddCert(leaf)
	p.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		stop := context.AfterFunc(t.Context(), func() { conn.Close() })
		defer stop()
		script(p, conn)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return p
}

func (p *peer) server(security smtp.Security) smtp.Server {
	return smtp.Server{Host: "localhost", Port: p.port, Security: security, Hello: "practice.example", Roots: p.roots, Patience: 10 * time.Second}
}

// follow answers each line by the first word that fits, and everything else with 250.
func (p *peer) follow(conn io.ReadWriter, answers ...[2]string) {
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		p.mu.Lock()
		p.heard = append(p.heard, line)
		p.mu.Unlock()
		answer := "250 ok"
		for _, a := range answers {
			if strings.HasPrefix(line, a[0]) {
				answer = a[1]
				break
			}
		}
		if answer != "" {
			fmt.Fprint(conn, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n")
		}
		if line == "QUIT" {
			return
		}
	}
}

func (p *peer) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

func why(t *testing.T, err error, want smtp.Why) *smtp.Error {
	t.Helper()
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok || e.Why != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	return e
}

func TestWhatIsSlippedInBeforeTLSIsNoticed(t *testing.T) {
	p := newPeer(t, func(p *peer, conn net.Conn) {
		fmt.Fprint(conn, "220 hello\r\n")
		p.follow(conn, [2]string{"EHLO", "250-here\n250 STARTTLS"}, [2]string{"STARTTLS", "220 go\n250 AUTH PLAIN"})
	})
	_, err := p.server(smtp.StartTLS).Open(t.Context())
	why(t, err, smtp.NoTLS)
}

func TestNoPasswordIsSaidBeforeTLS(t *testing.T) {
	for _, offers := range []string{"250-here\n250 AUTH PLAIN LOGIN", "250-here\n250-STARTTLS\n250 AUTH PLAIN"} {
		p := newPeer(t, func(p *peer, conn net.Conn) {
			fmt.Fprint(conn, "220 hello\r\n")
			p.follow(conn, [2]string{"EHLO", offers}, [2]string{"STARTTLS", "454 4.7.0 not now"})
		})
		s := p.server(smtp.StartTLS)
		s.User, s.Password = "jo", "secret"
		_, err := s.Open(t.Context())
		why(t, err, smtp.NoTLS)
		for _, line := range p.lines() {
			if strings.HasPrefix(line, "AUTH") || strings.HasPrefix(line, "MAIL") {
				t.Errorf("without TLS it said %q", line)
			}
		}
	}
}

func TestLogin(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00jo\x00secret"))
	code := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		title, offers string
		answers       [][2]string
		want          []string
		refused       bool
	}{
		{"PLAIN", "250-here\n250 AUTH LOGIN PLAIN", [][2]string{{"AUTH", "235 2.7.0 welcome"}}, []string{"AUTH PLAIN " + plain}, false},
		{"LOGIN, where it is all there is", "250-here\n250 AUTH LOGIN XOAUTH2", [][2]string{{"AUTH", "334 VXNlcm5hbWU6"}, {code("jo"), "334 UGFzc3dvcmQ6"}, {code("secret"), "235 ok"}}, []string{"AUTH LOGIN", code("jo"), code("secret")}, false},
		{"a wrong password", "250-here\n250 AUTH PLAIN", [][2]string{{"AUTH", "535 5.7.8 no"}}, []string{"AUTH PLAIN " + plain}, true},
		{"nothing we know", "250-here\n250 AUTH XOAUTH2", nil, nil, true},
	} {
		t.Run(c.title, func(t *testing.T) {
			p := newPeer(t, func(p *peer, conn net.Conn) {
				s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{p.cert}})
				fmt.Fprint(s, "220 hello\r\n")
				p.follow(s, append([][2]string{{"EHLO", c.offers}}, c.answers...)...)
			})
			s := p.server(smtp.TLS)
			s.User, s.Password = "jo", "secret"
			conn, err := s.Open(t.Context())
			if c.refused {
				why(t, err, smtp.Login)
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error repeats the password: %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				if conn.Encrypted() != "TLS 1.3" {
					t.Errorf("encrypted with %q", conn.Encrypted())
				}
				conn.Close()
			}
			var said []string
			for _, line := range p.lines() {
				if !strings.HasPrefix(line, "EHLO") && line != "QUIT" {
					said = append(said, line)
				}
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("it said %q, want %q", said, c.want)
			}
		})
	}
}

func local(t *testing.T, answers ...[2]string) (*peer, *smtp.Conn) {
	t.Helper()
	p := newPeer(t, func(p *peer, conn net.Conn) {
		fmt.Fprint(conn, "220 hello\r\n")
		p.follow(conn, append(answers, [2]string{"EHLO", "250-here\n250-PIPELINING\n250 8BITMIME"})...)
	})
	conn, err := p.server(smtp.Plain).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p, conn
}

func TestAServerThatWaitsForAMessageNobodyGetsIsGivenAnEmptyOne(t *testing.T) {
	p, conn := local(t, [2]string{"RCPT", "550 5.1.1 nobody"}, [2]string{"DATA", "354 go on"}, [2]string{".", "554 5.5.1 no valid recipients"})
	e := why(t, conn.Send(t.Context(), "a@practice.example", "b@practice.example", []byte("Subject: x\r\n\r\nsecret\r\n")), smtp.Recipient)
	if !e.Permanent() || !e.Mine() || e.Status != "5.1.1" {
		t.Errorf("got %+v", e)
	}
	if err := conn.Alive(t.Context()); err != nil {
		t.Errorf("the conversation cannot go on: %v", err)
	}
	conn.Close()
	if got := strings.Join(p.lines(), "|"); strings.Contains(got, "secret") || !strings.Contains(got, "DATA|.|RSET|NOOP|QUIT") {
		t.Errorf("it said %s", got)
	}
}

func TestWhatAMessageHoldsEndsNoMessage(t *testing.T) {
	p, conn := local(t, [2]string{"DATA", "354 go on"}, [2]string{"..", ""}, [2]string{".", "250 taken"}, [2]string{"Subject", ""}, [2]string{"before", ""}, [2]string{"after", ""}, [2]string{"MAIL FROM:<evil", ""}, [2]string{"QUIT x", ""})
	message := "Subject: x\r\nbefore\r\n.\r\nQUIT x\r\nMAIL FROM:<evil@elsewhere.example>\r\n..\r\nafter\r\n"
	if err := conn.Send(t.Context(), "a@practice.example", "b@practice.example", []byte(message)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ends := 0
	for _, line := range p.lines() {
		if line == "." {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("the message ends %d times: %q", ends, p.lines())
	}
}

func TestEachFailureSaysWhomItConcerns(t *testing.T) {
	for _, c := range []struct {
		title     string
		answers   [][2]string
		why       smtp.Why
		mine      bool
		permanent bool
	}{
		{"the sender is refused", [][2]string{{"MAIL", "550 5.7.1 not you"}, {"RCPT", "503 no"}, {"DATA", "503 no"}}, smtp.Sender, false, true},
		{"greylisted", [][2]string{{"RCPT", "451 4.7.1 later"}, {"DATA", "503 no"}}, smtp.Recipient, true, false},
		{"the message is refused", [][2]string{{"DATA", "354 go on"}, {"x", ""}, {".", "554 5.7.1 spam"}}, smtp.Content, true, true},
		{"the disk is full there", [][2]string{{"DATA", "354 go on"}, {"x", ""}, {".", "452 4.3.1 full"}}, smtp.Content, true, false},
		{"it closes", [][2]string{{"RCPT", "421 4.3.2 closing"}}, smtp.Greeting, false, false},
		{"it answers nonsense", [][2]string{{"MAIL", "hello?"}}, smtp.Lost, false, false},
		{"it answers something else", [][2]string{{"MAIL", "334 what"}}, smtp.Lost, false, false},
	} {
		t.Run(c.title, func(t *testing.T) {
			_, conn := local(t, c.answers...)
			defer conn.Close()
			e := why(t, conn.Send(t.Context(), "a@practice.example", "b@practice.example", []byte("x\r\n")), c.why)
			if e.Mine() != c.mine || e.Permanent() != c.permanent {
				t.Errorf("concerns one message: %v, want %v; for good: %v, want %v (%v)", e.Mine(), c.mine, e.Permanent(), c.permanent, e)
			}
			if strings.Contains(e.Error(), "not you") {
				t.Errorf("the server’s words are repeated: %v", e)
			}
		})
	}
}

func FuzzAnAddressIsOneWordOfACommand(f *testing.F) {
	for _, s := range []string{"a@b.example", "jo+x@practice.example", "a@b>\r\nDATA", "jö@exämple.example", "@", "a@", "\"a b\"@c.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if smtp.Check(s) == nil && (strings.ContainsAny(s, "<> \t\r\n\x00,") || !strings.Contains(s, "@") || strings.ToValidUTF8(s, "?") != s) {
			t.Errorf("%q passes as an address", s)
		}
	})
}
