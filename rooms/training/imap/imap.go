// Package imap reads the mailbox to which people forward what they report, and
// takes a dangerous message out of mailboxes into a folder of its own: nothing is
// deleted, so that a mistake can be undone. Over TLS, or to this machine only.
package imap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Box says which mailbox, and with which password.
type Box struct {
	Address  string // host:port
	User     string
	Password string
	Plain    bool // without TLS: this machine only
	Roots    *x509.CertPool
}

// Held is the folder into which dangerous messages are moved.
const Held = "Quietroom held"

const (
	patience = 60 * time.Second
	mostNew  = 50 // messages in one round
)

// ErrNoTLS means that a password would have travelled in the clear.
var ErrNoTLS = errors.New("imap: without TLS only this machine is spoken to")

// open signs in and opens the inbox. The connection ends with ctx.
func (b Box) open(ctx context.Context) (*imapclient.Client, func(), error) {
	host, _, err := net.SplitHostPort(b.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("imap: the address is no host and port: %w", err)
	}
	if ip := net.ParseIP(host); b.Plain && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, nil, ErrNoTLS
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	options := &imapclient.Options{TLSConfig: &tls.Config{ServerName: host, RootCAs: b.Roots, MinVersion: tls.VersionTLS12}, Dialer: &net.Dialer{Timeout: 20 * time.Second}}
	var c *imapclient.Client
	switch {
	case b.Plain:
		c, err = imapclient.DialInsecure(b.Address, options)
	case strings.HasSuffix(b.Address, ":143"):
		c, err = imapclient.DialStartTLS(b.Address, options)
	default:
		c, err = imapclient.DialTLS(b.Address, options)
	}
	if err != nil {
		cancel()
		return nil, nil, errors.New("imap: the server cannot be reached, or shows no certificate that is believed")
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	done := func() { stop(); cancel(); c.Close() }
	if err := c.Login(b.User, b.Password).Wait(); err != nil {
		done()
		return nil, nil, errors.New("imap: the server refuses user and password")
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		done()
		return nil, nil, errors.New("imap: the inbox cannot be opened")
	}
	return c, done, nil
}

// Read hands over each message that is not seen yet, and marks it as seen once
// take has it. One that is larger than biggest is marked and left out.
func (b Box) Read(ctx context.Context, biggest int64, take func(raw []byte) error) (n int, err error) {
	c, done, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	found, err := c.UIDSearch(&goimap.SearchCriteria{NotFlag: []goimap.Flag{goimap.FlagSeen}}, nil).Wait()
	if err != nil {
		return 0, fmt.Errorf("imap: look for new messages: %w", err)
	}
	for i, uid := range found.AllUIDs() {
		if i >= mostNew {
			break
		}
		set := goimap.UIDSetNum(uid)
		sizes, err := c.Fetch(set, &goimap.FetchOptions{RFC822Size: true}).Collect()
		if err != nil || len(sizes) == 0 {
			return n, fmt.Errorf("imap: ask for a message's size: %w", err)
		}
		if sizes[0].RFC822Size <= biggest {
			section := &goimap.FetchItemBodySection{Peek: true}
			all, err := c.Fetch(set, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
			if err != nil || len(all) == 0 {
				return n, fmt.Errorf("imap: fetch a message: %w", err)
			}
			if err := take(all[0].FindBodySection(section)); err != nil {
				return n, err
			}
			n++
		}
		if err := c.Store(set, &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Silent: true, Flags: []goimap.Flag{goimap.FlagSeen}}, nil).Close(); err != nil {
			return n, fmt.Errorf("imap: mark a message: %w", err)
		}
	}
	return n, nil
}

// Remove moves messages out of the inbox into Held: the one with this Message-ID
// and all whose From holds one of these senders. It returns how many there were.
func (b Box) Remove(ctx context.Context, messageID string, senders ...string) (n int, err error) {
	c, done, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	wanted := [][2]string{{"Message-Id", messageID}}
	for _, s := range senders {
		wanted = append(wanted, [2]string{"From", s})
	}
	uids := map[goimap.UID]bool{}
	for _, q := range wanted {
		if q[1] == "" {
			continue
		}
		found, err := c.UIDSearch(&goimap.SearchCriteria{Header: []goimap.SearchCriteriaHeaderField{{Key: q[0], Value: q[1]}}}, nil).Wait()
		if err != nil {
			return 0, fmt.Errorf("imap: look for a message: %w", err)
		}
		for _, uid := range found.AllUIDs() {
			uids[uid] = true
		}
	}
	if len(uids) == 0 {
		return 0, nil
	}
	_ = c.Create(Held, nil).Wait() // it may be there already; Move says if it is not
	set := goimap.UIDSet{}
	for uid := range uids {
		set.AddNum(uid)
	}
	if _, err := c.Move(set, Held).Wait(); err != nil {
		return 0, fmt.Errorf("imap: move a message: %w", err)
	}
	return len(uids), nil
}
