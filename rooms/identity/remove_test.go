package identity

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// withPasskey gives the person of a browser one more passkey, and returns a
// browser that has it.
func (s *served) withPasskey(b *authenticator.Browser) *authenticator.Browser {
	s.t.Helper()
	ticket, err := b.Tap(s.t.Context(), actAddDoor, string(s.session(b).Person))
	if err != nil {
		s.t.Fatal(err)
	}
	mine := b.Device
	b.Device = &authenticator.Device{}
	defer func() { b.Device = mine }()
	if err := b.Register(s.t.Context(), "/doors/begin", "/doors/passkey", TapHeader, ticket); err != nil {
		s.t.Fatal(err)
	}
	other := s.browser()
	other.Device = b.Device
	return other
}

// doorOf returns the door by which a browser's session is open now.
func (s *served) doorOf(b *authenticator.Browser) string { return s.session(b).Door }

// remove taps for the closing of a door and closes it.
func (s *served) remove(b *authenticator.Browser, door string) (status int) {
	s.t.Helper()
	ticket, err := b.Tap(s.t.Context(), actRemoveDoor, door)
	if err != nil {
		s.t.Fatal(err)
	}
	status, err = b.Post(s.t.Context(), "/doors/"+door+"/remove", url.Values{TapField: {ticket}})
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

func (s *served) epochs() map[id.Team]uint64 {
	s.t.Helper()
	roster, err := s.Roster(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	epochs := map[id.Team]uint64{}
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		epochs[id.Team(name)] = t.Epoch
	}
	return epochs
}

func TestARemovedDoorOpensNothingAndTheOthersGoOn(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		b := s.claimed()
		lost := s.withPasskey(b)
		third := s.withPasskey(b)
		for _, o := range []*authenticator.Browser{lost, third} {
			if err := o.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		door := s.doorOf(lost)
		if got := s.remove(b, door); got != http.StatusSeeOther {
			t.Fatalf("closing a way in answers %d", got)
		}
		if err := lost.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("the closed way in gives %v", err)
		}
		if s.home(lost) || s.home(third) || !s.home(b) {
			t.Error("the acting session goes on alone, and it does not")
		}
		if err := third.SignIn(t.Context()); err != nil {
			t.Fatalf("a way in that stayed gives %v", err)
		}
		for team, epoch := range s.epochs() {
			if epoch != 2 {
				t.Errorf("team %s has key %d: an owner's teams are rotated at once", team, epoch)
			}
			r := s.ringOf(third)
			if len(r.Teams[team]) != 2 {
				t.Errorf("after closing a way in the owner holds %d keys of team %s, want the old one and the new one", len(r.Teams[team]), team)
			}
		}
		if got := s.facts("identity.door-removed"); got != 1 {
			t.Errorf("%d facts tell of it", got)
		}
		if err := s.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, page, err := b.Get(t.Context(), "/doors"); err != nil || strings.Contains(page, door) {
			t.Errorf("the page still lists the closed way in (%v)", err)
		}
	})
}

// ringOf is the ring in a browser's session.
func (s *served) ringOf(b *authenticator.Browser) *ring {
	s.t.Helper()
	r, _ := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "/", nil)
	for name, value := range b.Cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	ctx, done, err := s.Sessions().Enter(httptest.NewRecorder(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(done)
	return ringFrom(ctx)
}

func TestAnOwnerInUseKeepsTwoDoorsAndNobodyClosesTheLast(t *testing.T) {
	s := serveSQLite(t, false)
	b := s.claimed()
	if got := s.remove(b, s.doorOf(b)); got != http.StatusConflict {
		t.Fatalf("the last way in is closed with %d", got)
	}
	other := s.withPasskey(b)
	if err := other.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	kit, err := seal.RecoveryFromCode(seal.NewCode(seal.Kit).KEK(), s.Anchor.Practice())
	if err != nil {
		t.Fatal(err)
	}
	code := s.withCode(b)
	u, err := s.UnlockCode(t.Context(), code.Auth(), code.KEK())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetRecovery(t.Context(), u, kit.Public()); err != nil {
		t.Fatal(err)
	}
	if got := s.remove(b, u.Door); got != http.StatusSeeOther {
		t.Fatalf("one of three ways in is closed with %d", got)
	}
	if got := s.remove(b, s.doorOf(b)); got != http.StatusConflict {
		t.Errorf("an owner in use goes down to one way in: %d", got)
	}
	if err := other.SignIn(t.Context()); err != nil {
		t.Errorf("nothing was closed, and the other way in gives %v", err)
	}
}

// joHouse is a served made-up house in which Jo, no owner, has two passkeys and a code.
func joHouse(t *testing.T) (h *house, s *served, jo, second *authenticator.Browser) {
	t.Helper()
	h = newHouse(t)
	h.Origin = "http://localhost"
	s = &served{t: t, db: h.db, Identity: h.Identity, clock: &clock{t: time.Now()}}
	s.serveHouse()
	jo = s.browser()
	ticket, _, err := jo.Code(t.Context(), h.jo)
	if err != nil {
		t.Fatal(err)
	}
	if err := jo.Register(t.Context(), "/doors/begin", "/doors/passkey", TapHeader, ticket); err != nil {
		t.Fatal(err)
	}
	return h, s, jo, s.withPasskey(jo)
}

func (h *house) claim(t *testing.T, claim string) layer.Evidence {
	t.Helper()
	for e, err := range h.evidence(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Claim == claim {
			return e
		}
	}
	t.Fatalf("nothing is said of %s", claim)
	return layer.Evidence{}
}

func TestWhoIsNoOwnerWaitsForOneAndTheHouseSaysSo(t *testing.T) {
	h, s, jo, second := joHouse(t)
	if err := second.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := h.claim(t, "identity.rotated"); e.State != layer.Safe {
		t.Fatalf("before anything happened: %v %s", e.State, e.Text)
	}
	if got := s.remove(jo, s.doorOf(second)); got != http.StatusSeeOther {
		t.Fatalf("closing a way in answers %d", got)
	}
	if e := h.claim(t, "identity.rotated"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "Jo Park") {
		t.Fatalf("Jo's teams wait for an owner, and the house says %v: %s", e.State, e.Text)
	}
	if !s.home(jo) {
		t.Fatal("Jo's own session ended")
	}
	ana, err := h.UnlockCode(t.Context(), h.ana.Auth(), h.ana.KEK())
	if err != nil {
		t.Fatal(err)
	}
	defer ana.Wipe()
	if e := h.claim(t, "identity.rotated"); e.State != layer.Safe {
		t.Errorf("an owner came in, and the house says %v: %s", e.State, e.Text)
	}
	if len(ana.ring.Teams[h.care]) != 2 {
		t.Error("the owner does not hold the new key")
	}
	if r := s.ringOf(jo); len(r.Teams[h.care]) != 2 {
		t.Errorf("Jo's open session holds %d keys of the team, want the new one as well", len(r.Teams[h.care]))
	}
	again, err := h.UnlockCode(t.Context(), h.jo.Auth(), h.jo.KEK())
	if err != nil {
		t.Fatalf("Jo's code, which stayed, gives %v", err)
	}
	defer again.Wipe()
	if len(again.ring.Teams[h.care]) != 2 {
		t.Error("Jo does not hold the new key")
	}
}

// A thief has the lost door and a copy of the disk of that day, and another copy
// of a later day.
func TestAnOldDoorAndAnOldCopyOpenNothingNew(t *testing.T) {
	h, s, jo, second := joHouse(t)
	if err := second.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := h.UnlockCode(t.Context(), h.jo.Auth(), h.jo.KEK())
	if err != nil {
		t.Fatal(err)
	}
	old := u.seed // what the lost door opens in the old copy
	user, err := old.User()
	if err != nil {
		t.Fatal(err)
	}
	s.remove(jo, s.doorOf(second))
	if _, err := h.UnlockCode(t.Context(), h.ana.Auth(), h.ana.KEK()); err != nil {
		t.Fatal(err)
	}
	boxes, err := teamBoxes(t.Context(), h.db, string(h.joPerson))
	if err != nil || len(boxes) != 2 {
		t.Fatalf("Jo has %d boxes (%v)", len(boxes), err)
	}
	for _, b := range boxes {
		if _, err := user.OpenKey(b.box, h.teamSlot(string(h.joPerson), b.team, b.epoch)); err == nil {
			t.Errorf("the seed of before opens key %d", b.epoch)
		}
	}
	if err := h.Change(t.Context(), &Unlocked{Person: h.joPerson, seed: old, user: user, ring: newRing(h.joPerson)}, func(c *Change) error {
		return c.Sign(seal.Entry{Act: seal.Doors, Person: string(h.joPerson), Doors: map[string]seal.Door{}})
	}); err == nil {
		t.Error("the seed of before signs")
	}
}

func TestClosingADoorThatBreaksAnywhereLeavesBothOpen(t *testing.T) {
	h := newHouse(t)
	spare := seal.NewCode(seal.Personal)
	d, err := h.codeDoor(h.anaU.Person, h.anaU.seed, spare.Auth(), spare.KEK(), "spare")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.addOwnDoor(t.Context(), h.anaU, d); err != nil {
		t.Fatal(err)
	}
	for at := 0; ; at++ {
		u, err := h.UnlockCode(t.Context(), h.ana.Auth(), h.ana.KEK())
		if err != nil {
			t.Fatalf("before write %d: %v", at, err)
		}
		broke := false
		err = h.Change(t.Context(), u, func(c *Change) error {
			if err := c.reseed(t.Context(), id.Actor{Person: u.Person}, d.id, nil); err != nil {
				return err
			}
			if broke = at < len(c.writes); broke {
				c.writes[at] = func(*store.Tx) error { return errPulled }
			}
			return nil
		})
		if !broke {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, errPulled) {
			t.Fatalf("write %d broke, and the change says %v", at, err)
		}
		if err := h.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := h.UnlockCode(t.Context(), spare.Auth(), spare.KEK())
		if err != nil {
			t.Fatalf("write %d broke, and the other way in gives %v", at, err)
		}
		s.Wipe()
	}
	if _, err := h.UnlockCode(t.Context(), spare.Auth(), spare.KEK()); !errors.Is(err, ErrNoDoor) {
		t.Errorf("the closed way in gives %v", err)
	}
	if u, err := h.UnlockCode(t.Context(), h.ana.Auth(), h.ana.KEK()); err != nil || len(u.ring.Teams[h.care]) != 2 {
		t.Errorf("the other way in gives %v", err)
	}
}

func TestAStolenSessionIsReported(t *testing.T) {
	_, s, jo, second := joHouse(t)
	if err := second.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticket, err := jo.Tap(t.Context(), actNewSeed, string(s.session(jo).Person))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := jo.Post(t.Context(), "/sessions/stolen", url.Values{TapField: {ticket}}); err != nil || got != http.StatusSeeOther {
		t.Fatalf("reporting answers %d %v", got, err)
	}
	if s.home(second) || !s.home(jo) {
		t.Error("the other session goes on, or one's own does not")
	}
	if err := second.SignIn(t.Context()); err != nil {
		t.Errorf("no way in was closed, and one gives %v", err)
	}
	if late, err := s.Overdue(t.Context()); err != nil || len(late) == 0 {
		t.Errorf("the teams do not wait for a new key (%v)", err)
	}
}

func TestOnesSessionsAreListedAndEnded(t *testing.T) {
	h, s, jo, second := joHouse(t)
	second.Header = http.Header{"User-Agent": {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"}}
	if err := second.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, page, err := jo.Get(t.Context(), "/doors")
	if err != nil || !strings.Contains(page, "Firefox on Windows") || !strings.Contains(page, "This one") {
		t.Fatalf("the page does not list both sessions (%v)", err)
	}
	which := string(s.session(second).ID)
	if got, err := jo.Post(t.Context(), "/sessions/"+which+"/end", nil); err != nil || got != http.StatusSeeOther {
		t.Fatalf("ending a session answers %d %v", got, err)
	}
	if s.home(second) || !s.home(jo) {
		t.Error("another session than the meant one ended")
	}
	ana := s.browser()
	if _, _, err := ana.Code(t.Context(), h.ana); err != nil {
		t.Fatal(err)
	}
	if _, err := ana.Post(t.Context(), "/sessions/"+string(s.session(jo).ID)+"/end", nil); err != nil {
		t.Fatal(err)
	}
	if !s.home(jo) {
		t.Error("Ana ended Jo's session")
	}
}
