package identity

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"quietroom/rooms/identity/authenticator"
)

// asksUntilBusy floods a path from a browser until the house refuses.
func asksUntilBusy(t testing.TB, b *authenticator.Browser, path string, in any) (n int) {
	t.Helper()
	for range 1000 {
		if status(t, b.Ask(t.Context(), path, in, nil)) == http.StatusTooManyRequests {
			return n
		}
		n++
	}
	t.Fatalf("1000 requests to %s within one moment, and none was refused", path)
	return n
}

func TestAStrangerStarvesNobodyWhoHasSignedInHereBefore(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	stranger := s.browser() // in the same network
	asksUntilBusy(t, stranger, "/passkey/begin", struct{}{})
	if err := owner.SignIn(t.Context()); err != nil {
		t.Errorf("a stranger fills the network, and the owner's own browser is told: %v", err)
	}
	forged := s.browser()
	forged.Header = http.Header{"Cookie": {knownCookie + "=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}
	if got := status(t, forged.Ask(t.Context(), "/passkey/begin", struct{}{}, nil)); got != http.StatusTooManyRequests {
		t.Errorf("a cookie that nobody was given is let past the flood: %d", got)
	}
	known := owner.Copy()
	if n := asksUntilBusy(t, known, "/passkey/begin", struct{}{}); n > knownBurst {
		t.Errorf("a known browser may ask %d times at once", n)
	}
}

func TestASessionAsksForTapsAtAPace(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	asksUntilBusy(t, owner, "/tap/begin", tapAct{Act: "export"})
	if got := status(t, owner.Ask(t.Context(), "/doors/begin", struct{}{}, nil)); got != http.StatusTooManyRequests {
		t.Errorf("the session asks for a new passkey instead: %d", got)
	}
	s.clock.pass(time.Second)
	if _, err := owner.Tap(t.Context(), "export", "everything"); err != nil {
		t.Errorf("after a second: %v", err)
	}
}

func TestStrangersPushOutNoQuestionOfAFriend(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	var q authenticator.Question
	if err := owner.Ask(t.Context(), "/passkey/begin", struct{}{}, &q); err != nil {
		t.Fatal(err)
	}
	for range mostCeremonies + 1 { // from very many networks
		if err := s.kept.put(t.Context(), keptCeremony, fmt.Sprint(s.clock.now()), nil, s.clock.now().Add(ceremonyLasts)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := owner.Answer(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Ask(t.Context(), "/passkey/finish", r, nil); err != nil {
		t.Errorf("strangers asked very much, and the owner's question is forgotten: %v", err)
	}
}

func TestOneNetworkCannotFillTheHouseWithQuestions(t *testing.T) {
	if most := doorBurst + doorRefill*ceremonyLasts.Seconds(); most > mostCeremonies/20 {
		t.Errorf("one network may keep %.0f of %d questions", most, mostCeremonies)
	}
}

func TestInAFullLimiterANewNetworkCostsOneOldBucket(t *testing.T) {
	now := time.Now()
	l := newLimits(func() time.Time { return now }) // so that no bucket fills up again
	for i := range mostBuckets {
		l.allow(fmt.Sprint("old ", i), doorBurst, doorRefill)
	}
	const news = 1000
	for i := range news {
		l.allow(fmt.Sprint("new ", i), doorBurst, doorRefill)
	}
	old := 0
	for key := range l.buckets {
		if strings.HasPrefix(key, "old ") {
			old++
		}
	}
	if n := len(l.buckets); n != mostBuckets || old < mostBuckets-news {
		t.Errorf("%d buckets, %d of them old; want %d, and no more than %d forgotten", n, old, mostBuckets, news)
	}
}
