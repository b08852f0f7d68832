package web

import (
	"errors"
	"net"
	"testing"
)

// arriving is a listener at whose door connections stand already.
type arriving struct {
	net.Listener
	next []net.Conn
}

func (a *arriving) Accept() (net.Conn, error) {
	if len(a.next) == 0 {
		return nil, errors.New("nobody else")
	}
	c := a.next[0]
	a.next = a.next[1:]
	return c, nil
}

// knock is a connection from an address.
type knock struct {
	net.Conn
	from   string
	closed bool
}

func (k *knock) Close() error { k.closed = true; return nil }

func (k *knock) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(k.from), Port: 4711} }

func TestOneNetworkLeavesRoomForTheOthers(t *testing.T) {
	door := &arriving{}
	c := newCrowd(door, 7, 2)
	comes := func(from string) (inside net.Conn) {
		t.Helper()
		k := &knock{from: from}
		door.next = append(door.next, k)
		inside, err := c.Accept()
		if (err == nil) == k.closed {
			t.Fatalf("%s: %v, and closed: %v", from, err, k.closed)
		}
		return inside
	}
	first := comes("192.0.2.1")
	for _, s := range []struct {
		from string
		in   bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", false}, {"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false},
		{"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", false}, {"192.0.2.3", false}, // seven are here
	} {
		if in := comes(s.from) != nil; in != s.in {
			t.Errorf("%s comes in: %v, want %v", s.from, in, s.in)
		}
	}
	for range 2 { // a connection may be closed twice
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if comes("192.0.2.1") == nil || comes("192.0.2.4") != nil {
		t.Error("one who leaves makes room for one")
	}
}
