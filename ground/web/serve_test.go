package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"quietroom/ground/web"
)

func TestAnAddressThatOthersReachNeedsACertificate(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "house.example:0", "nonsense", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		err := web.Serve(ctx, web.Server{Listen: listen, Handler: http.NotFoundHandler(), Ready: func(net.Addr) { cancel() }})
		cancel()
		if !errors.Is(err, web.ErrPlain) {
			t.Errorf("listening on %q without TLS: %v, want a refusal", listen, err)
		}
	}
}

// serve serves in the background and returns the address and the end.
func serve(t *testing.T, s web.Server) (addr string, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	s.Ready = func(a net.Addr) { ready <- a }
	go func() { done <- web.Serve(ctx, s) }()
	select {
	case a := <-ready:
		return a.String(), func() error { cancel(); return <-done }
	case err := <-done:
		t.Fatal(err)
		cancel()
		return "", nil
	}
}

func TestAnOrderlyEndLetsARequestFinish(t *testing.T) {
	begun := make(chan bool)
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		time.Sleep(100 * time.Millisecond)
		_, _ = io.WriteString(w, "whole")
	})
	addr, end := serve(t, web.Server{Listen: "localhost:0", Handler: slow})
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		got <- string(b)
	}()
	<-begun
	if err := end(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if s := <-got; s != "whole" {
		t.Errorf("the last request got %q", s)
	}
}

func TestAThousandOpenConnectionsAreNotLetGrow(t *testing.T) {
	addr, end := serve(t, web.Server{Listen: "127.0.0.1:0", Handler: http.NotFoundHandler()})
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range 1030 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Skip("this machine does not open as many: ", err)
		}
		open = append(open, c)
	}
	c := open[len(open)-1]
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the last of 1,030 connections stays open: %v", err)
	}
}

func TestTLSIsNewAndHybrid(t *testing.T) {
	addr, end := serve(t, web.Server{Listen: "127.0.0.1:0", Handler: http.NotFoundHandler(), TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}})
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state := c.ConnectionState()
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 && state.CurveID != tls.SecP256r1MLKEM768 {
		t.Errorf("got %s with %s, want TLS 1.3 with a hybrid key exchange", tls.VersionName(state.Version), state.CurveID)
	}
	if old, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		_ = old.Close()
		t.Error("TLS 1.2 is still spoken")
	}
}

func TestFetchingCertificatesNeedsToKnowForWhom(t *testing.T) {
	for _, a := range []*web.ACME{{}, {Hosts: []string{"house.example"}}, {Dir: "x"}, {Hosts: []string{""}, Dir: "x"}} {
		if err := web.Serve(t.Context(), web.Server{Listen: "localhost:0", ACME: a}); err == nil {
			t.Errorf("%+v was accepted", a)
		}
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
