package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rsc.io/qr"

	"quietroom/ground/store"
	"quietroom/ground/web"
)

func serveCommand(ctx context.Context, c *call) error {
	dir := c.flags.String("dir", "", "the house's directory; made if it is not there")
	listen := c.flags.String("listen", "localhost:8470", "where to listen; an address that others reach needs --name, or --cert and --key")
	name := c.flags.String("name", "", "the house's name on the network, like vault.example.org; a certificate is fetched for it (ACME)")
	cert := c.flags.String("cert", "", "certificate file, with --key, in place of one that is fetched")
	key := c.flags.String("key", "", "key file of --cert")
	database := c.flags.String("database", "", "postgres:// address for a group, when the house is made; otherwise a file in --dir")
	bucket := c.flags.String("blobs", "", "https:// address of an S3-compatible bucket for a group, when the house is made; otherwise a folder in --dir")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if *dir == "" || len(words) > 0 {
		return usage("serve which house? quietroom serve --dir /srv/quietroom")
	}
	if *dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	s := web.Server{Listen: *listen}
	switch {
	case *cert != "" || *key != "":
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	case *name != "":
		s.ACME = &web.ACME{Hosts: []string{*name}, Dir: filepath.Join(*dir, "certificates")}
	}
	if _, _, err := net.SplitHostPort(*listen); err != nil {
		return usage("--listen %s: want a name and a port, like localhost:8470", *listen)
	}
	if err := s.Check(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.err, nil))
	for {
		if err := prepare(*dir, *database, *bucket, origin(*listen, *name, s)); err != nil {
			return err
		}
		h, err := openHouse(ctx, *dir, log)
		if err != nil {
			return err
		}
		s.Ready = func(net.Addr) { h.greet(ctx, c) }
		var moving atomic.Bool
		here, stop := context.WithCancel(ctx)
		h.moveIn = func() { moving.Store(true); time.AfterFunc(time.Second, stop) } // its page still goes out
		err = errors.Join(h.serve(here, s), h.close())
		stop()
		if err != nil || !moving.Load() || ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(c.err, "A practice came back from a backup, and takes the place of the empty one.")
		if err := underLock(*dir, beginMove); err != nil {
			return err
		}
	}
}

// prepare makes a new house where there is none, and has an older one answer
// where it is served now. Passkeys are bound to the name of the host (WebAuthn
// Level 3, 5.1.2): a practice that was founded under another name stays there.
func prepare(dir, database, bucket, origin string) error {
	if _, err := os.Stat(filepath.Join(dir, arriving)); err == nil {
		if err := underLock(dir, moveIn); err != nil {
			return err
		}
	}
	s, err := readSettings(dir)
	if errors.Is(err, errNoHouse) {
		if database == "" {
			database = "house.db"
		}
		if err := leftAlone(dir); err != nil {
			return err
		}
		if s, err = newSettings(dir, database, origin, nil, time.Now()); err != nil || bucket == "" {
			return err
		}
		s.Blobs = bucket
		return s.save()
	}
	if err != nil || s.Origin == origin {
		return err
	}
	if was := hostOf(s.Origin); s.Root() != nil && was != hostOf(origin) {
		return fmt.Errorf("everybody's passkeys here answer to %s only: serve it under that name. Under %s nobody could come in", was, hostOf(origin))
	}
	held, err := store.Lock(dir) // a server that is there already answers where it said
	if err != nil {
		return err
	}
	s.Origin = origin
	return errors.Join(s.save(), held.Release())
}

// leftAlone tells a place for a new house from one that lost its house.json: a
// new one, with a new key for the ledger, would make the old unreadable.
func leftAlone(dir string) error {
	for _, name := range []string{"ledger.key", "house.db"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s is missing, but %s is there; bring it back from a backup, or choose another directory", filepath.Join(dir, settingsFile), name)
		}
	}
	return nil
}

func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// origin is where browsers find the house; passkeys are bound to it.
func origin(listen, name string, s web.Server) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if name != "" {
		host = name
	}
	scheme, usual := "http", "80"
	if s.TLS != nil || s.ACME != nil {
		scheme, usual = "https", "443"
	}
	if host == "" || host == "127.0.0.1" || host == "::1" {
		host = "localhost" // passkeys refuse bare addresses
	}
	if port == usual {
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// serve serves pages and the control socket, and does the house's own work, until ctx ends.
func (h *house) serve(ctx context.Context, s web.Server) error {
	orders, err := h.listenForOrders()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.Handler, s.Log = h.mux, h.log
	h.served.Store(true)
	h.leaving.Walk = h.walkMadeUp
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		h.run(ctx)
	}()
	// Commands are answered once the way in has been said.
	var controlled error
	var control sync.WaitGroup
	ready := s.Ready
	s.Ready = func(at net.Addr) {
		if ready != nil {
			ready(at)
		}
		control.Go(func() { controlled = h.control(ctx, orders) })
	}
	err = web.Serve(ctx, s)
	stop()
	<-worked
	control.Wait()
	return errors.Join(err, controlled)
}

// greet prints how to come in. A new house shows the owner's link, once, and as a QR code.
func (h *house) greet(ctx context.Context, c *call) {
	if h.identity.Founded() {
		fmt.Fprintf(c.err, "%s is open at %s\n", h.practiceName(), h.Origin)
		return
	}
	token, err := h.identity.ClaimLink(ctx)
	if err != nil {
		h.log.ErrorContext(ctx, "no link for the owner could be made", "err", err)
		return
	}
	link := h.Origin + "/claim/" + token
	fmt.Fprintf(c.err, "This house has no owner yet. The owner opens this link, once, within 30 minutes:\n\n  %s\n\n", link)
	printQR(c.err, link)
}

// printQR draws a code with half blocks, so that a phone can read it from the terminal.
func printQR(w io.Writer, text string) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return // the link itself stands above
	}
	var b strings.Builder
	const quiet = 2
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  ")
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(map[[2]bool]string{{true, true}: " ", {true, false}: "▄", {false, true}: "▀", {false, false}: "█"}[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteByte('\n')
	}
	fmt.Fprintln(w, b.String())
}
