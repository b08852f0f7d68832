package identity

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web"
	"quietroom/rooms/identity/authenticator"
)

// leave is everything that an owner does about a leaver, as one act.
func (h *house) leave(t testing.TB, c *Change, p id.Person) error {
	t.Helper()
	if err := c.RotateAll(t.Context(), p, true); err != nil {
		return err
	}
	if err := c.Sign(seal.Entry{Act: seal.Leave, Person: string(p)}); err != nil {
		return err
	}
	c.Write(func(tx *store.Tx) error { return h.CloseDoors(t.Context(), tx, p) })
	return nil
}

func (h *house) rows(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := h.db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestALeavingIsOneAct(t *testing.T) {
	h := newHouse(t)
	s := &served{t: t, db: h.db, Identity: h.Identity, clock: &clock{t: time.Now()}}
	s.serveHouse()
	jo := s.browser()
	if _, _, err := jo.Code(t.Context(), h.jo); err != nil {
		t.Fatal(err)
	}
	second, err := h.FormTeam(t.Context(), h.anaU, CareTeam, "Another", h.anaU.Person, h.joPerson)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Change(t.Context(), h.anaU, func(c *Change) error { return h.leave(t, c, h.joPerson) }); err != nil {
		t.Fatal(err)
	}
	if s.home(jo) {
		t.Error("Jo has left, and the session goes on")
	}
	if _, _, err := s.browser().Code(t.Context(), h.jo); status(t, err) != http.StatusForbidden {
		t.Errorf("Jo has left, and the code gives %v", err)
	}
	if n := h.rows(t, `SELECT COUNT(*) FROM identity_team_keys WHERE holder = $1`, h.joPerson); n != 0 {
		t.Errorf("Jo has left, and %d team keys are still sealed to Jo", n)
	}
	ana, err := h.UnlockCode(t.Context(), h.ana.Auth(), h.ana.KEK())
	if err != nil {
		t.Fatalf("the owner does not come in after the leaving: %v", err)
	}
	defer ana.Wipe()
	for _, team := range []id.Team{h.care, second} {
		for _, r := range []*ring{ana.ring, h.anaU.ring} {
			if len(r.Teams[team]) != 2 {
				t.Errorf("the owner holds %d keys of team %s, want the old one and the new one", len(r.Teams[team]), team)
			}
		}
	}
}

var errPulled = errors.New("the plug was pulled")

// Whatever fails on the way, the practice is as before or as after.
func TestAChangeThatBreaksAnywhereChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.Recheck(t.Context())
	before, err := h.Roster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := maps.Clone(h.anaU.ring.Teams[h.care])
	boxes := h.rows(t, `SELECT COUNT(*) FROM identity_team_keys`)
	for at := 0; ; at++ {
		broke := false
		err := h.Change(t.Context(), h.anaU, func(c *Change) error {
			if err := h.leave(t, c, h.joPerson); err != nil {
				return err
			}
			if at < len(c.writes) {
				broke = true
				c.writes[at] = func(*store.Tx) error { return errPulled }
			}
			return nil
		})
		if !broke {
			if err != nil {
				t.Fatalf("nothing broke, and the change says %v", err)
			}
			if at < 4 {
				t.Fatalf("the change has %d writes only", at)
			}
			break
		}
		if !errors.Is(err, errPulled) {
			t.Fatalf("write %d broke, and the change says %v", at, err)
		}
		if err := h.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := h.Roster(t.Context())
		if err != nil || after.Number != before.Number {
			t.Fatalf("write %d broke, and the list has %d entries, want %d (%v)", at, after.Number, before.Number, err)
		}
		if n := h.rows(t, `SELECT COUNT(*) FROM identity_team_keys`); n != boxes || !maps.Equal(held, h.anaU.ring.Teams[h.care]) {
			t.Fatalf("write %d broke, and keys were changed", at)
		}
		for _, code := range []seal.Code{h.ana, h.jo} {
			u, err := h.UnlockCode(t.Context(), code.Auth(), code.KEK())
			if err != nil {
				t.Fatalf("write %d broke, and somebody does not come in: %v", at, err)
			}
			u.Wipe()
		}
	}
}

// session returns the session behind a browser's cookies.
func (s *served) session(b *authenticator.Browser) session {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range b.Cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	v, err := s.visit(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return v.session
}

func TestASessionIsEndedByNameAndByPerson(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		first, second, third := s.claimed(), s.browser(), s.browser()
		for _, b := range []*authenticator.Browser{second, third} {
			b.Device = first.Device
			if err := b.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		end := func(f func(*store.Tx) error) {
			t.Helper()
			if err := s.db.Update(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		p, mine, theirs := s.owner(), s.session(first).ID, s.session(second).ID
		end(func(tx *store.Tx) error { return s.EndSession(t.Context(), tx, p, theirs) })
		if s.home(second) || !s.home(first) || !s.home(third) {
			t.Fatal("one session was ended by name, and not that one alone")
		}
		if err := s.db.Update(t.Context(), func(tx *store.Tx) error { return s.EndSession(t.Context(), tx, p, theirs) }); !errors.Is(err, web.ErrNoSession) {
			t.Errorf("a session that ended is ended again: %v", err)
		}
		ticket, err := first.Tap(t.Context(), "export", "everything")
		if err != nil {
			t.Fatal(err)
		}
		end(func(tx *store.Tx) error { return s.EndSessions(t.Context(), tx, p, mine) })
		if s.home(third) || !s.home(first) {
			t.Fatal("all sessions but one were ended, and not those")
		}
		if status, err := first.Post(t.Context(), "/act", url.Values{TapField: {ticket}}); err != nil || status != http.StatusForbidden {
			t.Errorf("a tap from before is still good: %d %v", status, err)
		}
		end(func(tx *store.Tx) error { return s.CloseDoors(t.Context(), tx, p) })
		if s.home(first) {
			t.Error("all doors were closed, and a session goes on")
		}
		if err := first.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("all doors were closed, and the passkey gives %v", err)
		}
	})
}
