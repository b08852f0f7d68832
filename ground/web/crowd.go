package web

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections may be open: of all, and of one network elsewhere (an
// IPv4 address, an IPv6 /64). A practice behind one address needs some six for
// each browser; a proxy on this machine speaks for everybody.
const (
	mostOpen    = 1024
	mostOfOne   = 256
	mostStreams = 64 // requests at once in one HTTP/2 connection
)

// crowd is a listener that turns away at once whom it has no room for, so that
// one who opens connections without end leaves room for the others.
type crowd struct {
	net.Listener
	all, one int // how many may be open

	mu   sync.Mutex
	open int
	from map[netip.Prefix]int
}

func newCrowd(l net.Listener, all, one int) *crowd {
	return &crowd{Listener: l, all: all, one: one, from: map[netip.Prefix]int{}}
}

// Accept returns the next connection that there is room for.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		network := networkOf(conn.RemoteAddr())
		if c.enter(network) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.leave(network) })}, nil
		}
		_ = conn.Close() // nobody is told: a log line for each would be the next flood
	}
}

func (c *crowd) enter(network netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.all || network.IsValid() && c.from[network] >= c.one {
		return false
	}
	c.open++
	c.from[network]++
	return true
}

func (c *crowd) leave(network netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.from[network]--; c.from[network] == 0 {
		delete(c.from, network)
	}
}

// networkOf is where a connection comes from; invalid for this machine itself.
func networkOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits) // fits by construction; else invalid, and only counted among all
	return network
}

// guest is a connection that makes room when it closes.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// CloseWrite lets net/http end an answer so that it arrives where the request
// was not read to its end.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
