package chrome

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// ErrLocal means that a name leads to this machine or to its network, where a
// stranger's page has no business.
var ErrLocal = errors.New("chrome: the address is on this machine or its network")

// Network is how the browser reaches others. The zero value is the Internet.
type Network struct {
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // the system's resolver if nil
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	Local  bool // 127.0.0.0/8 may be reached too
}

// Resolve finds an address of a host that may be reached. It is asked at each
// connection, and what it answers is what is dialled: a name cannot change its
// mind in between.
func (n Network) Resolve(ctx context.Context, host string) (netip.Addr, error) {
	addrs, err := n.addrs(ctx, strings.TrimSuffix(strings.ToLower(host), "."))
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a = a.Unmap(); Public(a) || n.Local && a.Is4() && a.IsLoopback() {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("reach %s: %w", host, ErrLocal)
}

func (n Network) addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{a}, nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	if n.Lookup != nil {
		return n.Lookup(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// connect dials a host and port of the outside.
func (n Network) connect(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	a, err := n.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	dial := n.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, network, net.JoinHostPort(a.String(), port))
}

// inside are ranges besides those that netip knows by name: carriers' networks,
// benchmarks, documentation, what is translated to IPv4, and what is reserved.
var inside = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// Public tells whether an address is one of the Internet (IANA's registries of
// special addresses, RFC 6890).
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return false
	}
	for _, p := range inside {
		if p.Contains(a.WithZone("")) {
			return false
		}
	}
	return true
}

// Client asks for pages outside of the browser, under the same rules: for
// robots.txt and what else a site says of itself.
func (n Network) Client(check func(tls.ConnectionState) error) *http.Client {
	tr := &http.Transport{DialContext: n.connect, TLSHandshakeTimeout: 8 * time.Second, ResponseHeaderTimeout: 10 * time.Second, DisableKeepAlives: true}
	if check != nil {
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, VerifyConnection: check}
	}
	return &http.Client{Transport: tr, Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
