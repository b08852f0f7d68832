package identity

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// What one network may ask of the doors: a practice behind one address signs in
// all at once at nine o'clock, and is not refused.
const (
	doorBurst  = 120.0
	doorRefill = 5.0 // a second
	// A browser in which somebody has signed in here before asks on its own
	// account: strangers in the same network, or behind the same proxy, never
	// starve it. So does a session.
	knownBurst, knownRefill     = 30.0, 0.5
	sessionBurst, sessionRefill = 120.0, 1.0
	// A typed code is throttled a second time, by the beginning of its hash.
	codeBurst  = 5.0
	codeRefill = 1.0 / 30
	// mostBuckets bounds the memory that strangers can make the house use.
	mostBuckets = 50_000
)

// limits are token buckets by network, never by person: whoever could lock out
// a person by trying in that person's name would be given a weapon.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	from    func(*http.Request) string // the network of a request; a drill plays many
	buckets map[string]bucket
}

type bucket struct {
	left, burst, refill float64
	at                  time.Time
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, from: network, buckets: map[string]bucket{}}
}

// network is the address of a request: one IPv4 address, or an IPv6 /56, which
// is what one customer usually has.
func network(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	bits := 56
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // fails for impossible lengths only
	return p.String()
}

func (b bucket) filled(now time.Time) bucket {
	b.left, b.at = min(b.burst, b.left+now.Sub(b.at).Seconds()*b.refill), now
	return b
}

// allow takes one token.
func (l *limits) allow(key string, burst, refill float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= mostBuckets {
			l.dropOne()
		}
		b = bucket{left: burst, burst: burst, refill: refill, at: now}
	}
	b = b.filled(now)
	ok = b.left >= 1
	if ok {
		b.left--
	}
	l.buckets[key] = b
	return ok
}

// network tells where a request comes from.
func (l *limits) network(r *http.Request) string {
	l.mu.Lock()
	from := l.from
	l.mu.Unlock()
	return from(r)
}

// pretend has the networks of a drill's requests told apart by another rule,
// with empty buckets, until undo is called.
func (l *limits) pretend(from func(*http.Request) string) (undo func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, buckets := l.from, l.buckets
	l.from, l.buckets = from, map[string]bucket{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.from, l.buckets = before, buckets
	}
}

// dropOne forgets any one bucket: that lets somebody try more, and locks nobody
// out. It is all that a request pays for when there are too many.
func (l *limits) dropOne() {
	for key := range l.buckets {
		delete(l.buckets, key)
		return
	}
}

// sweep forgets the buckets that are full again.
func (l *limits) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for key, b := range l.buckets {
		if b.filled(now).left >= b.burst {
			delete(l.buckets, key)
		}
	}
}

// errBusy is what a person reads whose network has asked too much.
var errBusy = &web.Error{
	Status: http.StatusTooManyRequests,
	Text:   "Too many tries came from this network within a short time.",
	Fix:    "Wait half a minute and try again. Nobody is locked out.",
}

// errBusySession is what a person reads whose session has asked too much.
var errBusySession = &web.Error{
	Status: http.StatusTooManyRequests,
	Text:   "Your passkey was asked for too often within a short time.",
	Fix:    "Wait half a minute and try again.",
}

// limited holds back a network that asks too much, but for the browsers in it
// that are known here.
func (i *Identity) limited(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		known, err := i.knownBrowser(r)
		if err != nil {
			return err
		}
		if known != "" {
			r = r.WithContext(context.WithValue(r.Context(), knownKey{}, known))
		}
		own := known != "" && i.limits.allow("known "+known, knownBurst, knownRefill)
		if !own && !i.limits.allow("door "+i.limits.network(r), doorBurst, doorRefill) {
			i.refuse(r.Context(), "busy")
			return errBusy
		}
		return h(w, r)
	}
}

// paced holds back a session that asks too much.
func (i *Identity) paced(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !i.limits.allow("session "+string(id.From(r.Context()).Session), sessionBurst, sessionRefill) {
			i.refuse(r.Context(), "busy")
			return errBusySession
		}
		return h(w, r)
	}
}

type knownKey struct{}

// fromFriend tells whether a request comes from a known browser or out of a session.
func fromFriend(ctx context.Context) bool {
	return visitFrom(ctx) != nil || ctx.Value(knownKey{}) != nil
}

// refusals counts what did not get in, so that one fact a minute tells of all
// of it and nobody fills the disk by trying.
type refusals struct {
	mu     sync.Mutex
	count  int64
	told   time.Time
	reason string
}

// refuse counts one refused try. A failing ledger keeps nobody from being refused.
func (i *Identity) refuse(ctx context.Context, reason string) {
	i.refused.mu.Lock()
	i.refused.count++
	i.refused.reason = reason
	i.refused.mu.Unlock()
	_ = i.tellRefusals(ctx, time.Minute)
}

// tellRefusals writes one fact for all refused tries, at most one each pause.
func (i *Identity) tellRefusals(ctx context.Context, pause time.Duration) error {
	r := &i.refused
	r.mu.Lock()
	count, reason, now := r.count, r.reason, i.Now()
	if count == 0 || now.Sub(r.told) < pause {
		r.mu.Unlock()
		return nil
	}
	r.count, r.told = 0, now
	r.mu.Unlock()
	err := i.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "identity.refused", Version: count, Reason: reason})
	})
	if err != nil {
		r.mu.Lock()
		r.count += count
		r.mu.Unlock()
	}
	return err
}
