package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web"
	"quietroom/rooms/identity/authenticator"
)

// status is the status of a refusal; 200 where there was none.
func status(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	r, ok := errors.AsType[*authenticator.Refused](err)
	if !ok {
		t.Fatalf("no refusal of the house: %v", err)
	}
	return r.Status
}

func TestTheFirstOwnerClaimsSignsInAndTaps(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		b := s.claimed()
		if !s.home(b) {
			t.Fatal("the owner founded the practice and is not signed in")
		}
		roster, err := s.Roster(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, name := range roster.Teams() {
			team, _ := roster.Team(name)
			kinds = append(kinds, team.Kind)
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{BillingTeam, CareTeam, DirectoryTeam}) {
			t.Errorf("the practice begins with the teams %v", kinds)
		}
		if _, err := b.Post(t.Context(), "/lock", url.Values{}); err != nil {
			t.Fatal(err)
		}
		if s.home(b) {
			t.Fatal("the room was locked and is open")
		}
		if err := b.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		ticket, err := b.Tap(t.Context(), "export", "everything")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Ask(t.Context(), "/act", struct{}{}, nil, TapHeader, ticket); status(t, err) != http.StatusSeeOther || len(s.acted) != 1 {
			t.Fatalf("a tapped act gives %v and acted %v", err, s.acted)
		}
		for kind, want := range map[string]int{"identity.founded": 1, "identity.signed-in": 2, "identity.locked": 1, "identity.tapped": 1} {
			if n := s.facts(kind); n != want {
				t.Errorf("%d facts %s, want %d", n, kind, want)
			}
		}
	})
}

func TestASessionOfOneServerOpensOnTheOther(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
	address := storetest.Postgres(t)
	open := func() *store.DB {
		db, err := store.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	s := serve(t, open(), false)
	b := s.claimed()
	other := &served{t: t, db: open(), clock: s.clock}
	other.Identity = New(Config{DB: other.db, Anchor: s.Anchor, Now: s.clock.now, Origin: s.Origin})
	other.serveHouse()
	b.Base = other.url
	if !other.home(b) {
		t.Fatal("the session of one server is unknown to the other")
	}
	var logged string
	if err := s.db.QueryRowContext(t.Context(), `SELECT relpersistence::text FROM pg_class WHERE relname = 'identity_kept'`).Scan(&logged); err != nil || logged != "u" {
		t.Errorf("the table of sessions is %q (%v): it would reach the write-ahead log and every replica", logged, err)
	}
}

func TestAClaimLinkWorksOnceAndSurvivesAFailure(t *testing.T) {
	s := serveSQLite(t, false)
	b, token := s.browser(), s.link()
	s.named(b, token)
	b.Device.Keyless = true
	at := "/claim/" + token
	if got := status(t, b.Register(t.Context(), at+"/begin", at+"/finish")); got != http.StatusForbidden || s.Founded() {
		t.Fatalf("a passkey without a key answers %d, founded %v", got, s.Founded())
	}
	b.Device = &authenticator.Device{Unverified: true}
	if got := status(t, b.Register(t.Context(), at+"/begin", at+"/finish")); got != http.StatusForbidden || s.Founded() {
		t.Fatalf("a passkey without user verification answers %d, founded %v", got, s.Founded())
	}
	b.Device = &authenticator.Device{}
	if err := b.Register(t.Context(), at+"/begin", at+"/finish"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := s.browser().Get(t.Context(), at); status != http.StatusGone {
		t.Errorf("a spent link answers %d", status)
	}
	if _, err := s.ClaimLink(t.Context()); !errors.Is(err, ErrFounded) {
		t.Errorf("a second link for a founded practice: %v", err)
	}
}

func TestAClaimLinkEndsAfterHalfAnHour(t *testing.T) {
	s := serveSQLite(t, false)
	token := s.link()
	s.clock.pass(claimLasts)
	if status, _, _ := s.browser().Get(t.Context(), "/claim/"+token); status != http.StatusNotFound {
		t.Errorf("an old link answers %d", status)
	}
}

// torn is an anchor whose house crashes while it founds.
type torn struct {
	anchor
	crash bool
}

func (a *torn) SetRoot(r []byte) error {
	if err := a.anchor.SetRoot(r); err != nil || !a.crash {
		return err
	}
	panic("the house went down")
}

func TestACrashWhileFoundingLeavesAHouseThatCanBeFounded(t *testing.T) {
	s := serveSQLite(t, false)
	a := &torn{anchor: anchor{practice: s.Anchor.Practice()}, crash: true}
	found := func() error {
		i := New(Config{DB: s.db, Anchor: a, Now: s.clock.now})
		n, err := i.Newcomer("Ana Reyes", "", Clinician)
		if err != nil {
			return err
		}
		if err := i.AddCode(n, seal.NewCode(seal.Personal), "paper"); err != nil {
			return err
		}
		_, err = i.Found(t.Context(), "Harbor Counseling", n)
		return err
	}
	func() {
		defer func() { _ = recover() }()
		_ = found()
	}()
	a.crash = false
	if i := New(Config{DB: s.db, Anchor: a, Now: s.clock.now}); a.Root() == nil || i.Founded() {
		t.Fatal("the test's crash left no anchor without a list")
	}
	if err := found(); err != nil {
		t.Fatal(err)
	}
	if err := found(); !errors.Is(err, ErrFounded) {
		t.Errorf("founding twice: %v", err)
	}
	// a house whose anchor got lost is not founded over
	if err := a.anchor.SetRoot(nil); err != nil {
		t.Fatal(err)
	}
	i := New(Config{DB: s.db, Anchor: a, Now: s.clock.now})
	if err := found(); !errors.Is(err, errNoAnchor) {
		t.Errorf("without its anchor the practice was founded over: %v", err)
	}
	if _, err := i.ClaimLink(t.Context()); !errors.Is(err, errNoAnchor) {
		t.Errorf("without its anchor the house hands out a claim link: %v", err)
	}
	if _, err := i.Roster(t.Context()); !errors.Is(err, ErrForged) {
		t.Errorf("without its anchor the list is believed: %v", err)
	}
}

func TestTwoWhoClaimAtOnceFoundOnePractice(t *testing.T) {
	s := serveSQLite(t, false)
	token := s.link()
	s.named(s.browser(), token)
	var wg sync.WaitGroup
	won := make(chan bool, 4)
	for range cap(won) {
		wg.Go(func() {
			won <- s.browser().Register(t.Context(), "/claim/"+token+"/begin", "/claim/"+token+"/finish") == nil
		})
	}
	wg.Wait()
	close(won)
	n := 0
	for w := range won {
		if w {
			n++
		}
	}
	roster, err := s.Roster(t.Context())
	if n != 1 || err != nil || len(roster.People()) != 1 {
		t.Fatalf("%d of 4 founded the practice (%v)", n, err)
	}
}

// answers is a reply to a fresh sign-in question, bent before it is sent.
func (s *served) answers(b *authenticator.Browser, bend func(q *authenticator.Question, device *authenticator.Device, origin *string)) error {
	s.t.Helper()
	var q authenticator.Question
	if err := b.Ask(s.t.Context(), "/passkey/begin", struct{}{}, &q); err != nil {
		return err
	}
	origin, device := s.origin, b.Device.Clone()
	bend(&q, device, &origin)
	a, err := device.Get(origin, q.PublicKey)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := authenticator.Seal(q, a)
	if err != nil {
		s.t.Fatal(err)
	}
	return b.Ask(s.t.Context(), "/passkey/finish", r, nil)
}

func TestWhatIsNotThePersonsOwnAnswerOpensNothing(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	fresh := func() *authenticator.Browser {
		b := s.browser()
		b.Device = owner.Device.Clone()
		return b
	}
	for name, bend := range map[string]func(*authenticator.Question, *authenticator.Device, *string){
		"another origin": func(_ *authenticator.Question, _ *authenticator.Device, o *string) {
			*o = "http://localhost.evil.example"
		},
		"another port":         func(_ *authenticator.Question, _ *authenticator.Device, o *string) { *o = "http://localhost:1" },
		"no user verification": func(_ *authenticator.Question, d *authenticator.Device, _ *string) { d.Unverified = true },
		"no key":               func(_ *authenticator.Question, d *authenticator.Device, _ *string) { d.Keyless = true },
		"another ceremony": func(q *authenticator.Question, _ *authenticator.Device, _ *string) {
			q.Ceremony = string(id.New[id.Record]())
		},
		"another challenge": func(q *authenticator.Question, _ *authenticator.Device, _ *string) {
			var o map[string]any
			_ = json.Unmarshal(q.PublicKey, &o)
			o["challenge"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			q.PublicKey, _ = json.Marshal(o)
		},
		"another house's passkey": func(q *authenticator.Question, d *authenticator.Device, _ *string) {
			d.Elsewhere("evil.example")
			q.PublicKey = bytes.ReplaceAll(q.PublicKey, []byte(`"rpId":"localhost"`), []byte(`"rpId":"evil.example"`))
		},
		"a stranger's signature": func(_ *authenticator.Question, d *authenticator.Device, _ *string) {
			if err := d.Forge(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := fresh()
			if got := status(t, s.answers(b, bend)); got != http.StatusForbidden || s.home(b) {
				t.Errorf("answered with %d, room open: %v", got, s.home(b))
			}
		})
	}
	if err := owner.SignIn(t.Context()); err != nil {
		t.Errorf("after all that the owner cannot sign in: %v", err)
	}
}

func TestAnAnswerCountsOnceAndForTwoMinutes(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	var q authenticator.Question
	if err := owner.Ask(t.Context(), "/passkey/begin", struct{}{}, &q); err != nil {
		t.Fatal(err)
	}
	r, err := owner.Answer(q)
	if err != nil {
		t.Fatal(err)
	}
	thief := s.browser()
	if err := thief.Ask(t.Context(), "/passkey/finish", r, nil); err != nil {
		t.Fatalf("the first answer: %v", err) // the answer itself is good
	}
	again := s.browser()
	if got := status(t, again.Ask(t.Context(), "/passkey/finish", r, nil)); got != http.StatusForbidden || s.home(again) {
		t.Errorf("a replayed answer gives %d", got)
	}
	if err := thief.Ask(t.Context(), "/lock", struct{}{}, nil); status(t, err) == http.StatusOK {
		t.Error("a lock without the form token was taken")
	}
	late := s.browser()
	if err := late.Ask(t.Context(), "/passkey/begin", struct{}{}, &q); err != nil {
		t.Fatal(err)
	}
	if r, err = owner.Answer(q); err != nil {
		t.Fatal(err)
	}
	s.clock.pass(ceremonyLasts)
	if got := status(t, late.Ask(t.Context(), "/passkey/finish", r, nil)); got != http.StatusForbidden || s.home(late) {
		t.Errorf("an answer after two minutes gives %d", got)
	}
}

func TestAClonedPasskeyIsRefusedAndWrittenDown(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	thief := s.browser()
	thief.Device = owner.Device.Clone()
	for range 2 { // the counter of the real one goes ahead
		if err := owner.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(t, thief.SignIn(t.Context())); got != http.StatusForbidden || s.home(thief) {
		t.Errorf("a cloned passkey gives %d", got)
	}
	if s.facts("identity.cloned-passkey") != 1 {
		t.Error("nobody learns of the cloned passkey")
	}
}

func TestCopiedCookiesDieWithinTenMinutes(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	thief := owner.Copy()
	if !s.home(thief) {
		t.Fatal("the test's thief has no session to lose")
	}
	if got := status(t, thief.Renew(t.Context())); got != http.StatusForbidden {
		t.Errorf("a thief without the browser's key renews: %d", got)
	}
	for range 9 { // minutes, in which the owner works
		s.clock.pass(time.Minute)
		if err := owner.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !s.home(owner) || s.home(thief) {
		t.Errorf("after nine minutes: owner in %v, thief in %v", s.home(owner), s.home(thief))
	}
	lone := owner.Copy()
	lone.Forget(web.ProofCookie)
	if s.home(lone) {
		t.Error("the session cookie alone opens the room")
	}
}

func TestTheRoomClosesAfterTenMinutesAndAfterTwelveHours(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	s.clock.pass(10 * time.Minute)
	if s.home(owner) {
		t.Error("open after ten minutes without anybody")
	}
	if got := status(t, owner.Renew(t.Context())); got != http.StatusUnauthorized {
		t.Errorf("a closed session renews: %d", got)
	}
	if err := owner.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := s.clock.now().Add(sessionLasts); s.clock.now().Before(end.Add(-time.Minute)); {
		s.clock.pass(5 * time.Minute)
		if s.clock.now().After(end) {
			break
		}
		if err := owner.Renew(t.Context()); err != nil && s.clock.now().Before(end) {
			t.Fatal(err)
		}
	}
	s.clock.pass(time.Minute)
	if s.home(owner) {
		t.Error("open after twelve hours")
	}
}

func TestATapIsForOneActOnOneObjectInOneSessionOnce(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	act := func(b *authenticator.Browser, ticket string) int {
		return status(t, b.Ask(t.Context(), "/act", struct{}{}, nil, TapHeader, ticket))
	}
	tap := func(word, object string) string {
		ticket, err := owner.Tap(t.Context(), word, object)
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	if got := act(owner, ""); got != http.StatusForbidden {
		t.Errorf("no tap: %d", got)
	}
	if got := act(owner, tap("restore", "everything")); got != http.StatusForbidden {
		t.Errorf("a tap for another act: %d", got)
	}
	if got := act(owner, tap("export", "one")); got != http.StatusForbidden {
		t.Errorf("a tap for another object: %d", got)
	}
	good := tap("export", "everything")
	other := s.browser()
	other.Device = owner.Device
	if err := other.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	stolen := tap("export", "everything")
	if got := act(other, stolen); got != http.StatusForbidden {
		t.Errorf("a tap of another session: %d", got)
	}
	if got := act(owner, stolen); got != http.StatusForbidden {
		t.Errorf("a tap that was tried elsewhere is spent, and gives %d", got)
	}
	if got := act(owner, good); got != http.StatusSeeOther {
		t.Errorf("the right tap: %d", got)
	}
	if got := act(owner, good); got != http.StatusForbidden {
		t.Errorf("the same tap again: %d", got)
	}
	late := tap("export", "everything")
	s.clock.pass(tapLasts)
	if got := act(owner, late); got != http.StatusForbidden {
		t.Errorf("a tap after two minutes: %d", got)
	}
	if len(s.acted) != 1 {
		t.Errorf("acted %d times, want once", len(s.acted))
	}
}

// withCode gives the owner a printed code as a second door.
func (s *served) withCode(b *authenticator.Browser) seal.Code {
	s.t.Helper()
	code := seal.NewCode(seal.Personal)
	who := s.owner()
	ticket, err := b.Tap(s.t.Context(), actAddDoor, string(who))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.sendParts(b, "/doors/code", ticket, code); err != nil {
		s.t.Fatal(err)
	}
	return code
}

func (s *served) owner() id.Person {
	s.t.Helper()
	roster, err := s.Roster(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return id.Person(roster.People()[0])
}

// sendParts seals auth and kek of a personal code, or the kek of a kit, as the page does.
func (s *served) sendParts(b *authenticator.Browser, path, ticket string, code seal.Code) error {
	var q authenticator.Question
	if err := b.Ask(s.t.Context(), "/code/begin", struct{}{}, &q); err != nil {
		return err
	}
	auth, kek := code.Auth(), code.KEK()
	plain := kek[:]
	if code.Kind == seal.Personal {
		plain = slices.Concat(auth[:], kek[:])
	}
	box, err := seal.SealToCeremony(q.Seal, q.Ceremony, plain)
	if err != nil {
		return err
	}
	return b.Ask(s.t.Context(), path, authenticator.Reply{Ceremony: q.Ceremony, Box: box}, nil, TapHeader, ticket)
}

func TestATypedCodeWorksOnceInAKnownBrowser(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	code := s.withCode(owner)
	if _, _, err := s.browser().Code(t.Context(), code); status(t, err) != http.StatusForbidden {
		t.Errorf("a code in an unknown browser: %v", err)
	}
	before, _ := s.Roster(t.Context())
	was, _ := before.Person(string(s.owner()))
	ticket, next, err := owner.Code(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	if !s.home(owner) {
		t.Fatal("the code opened nothing")
	}
	after, _ := s.Roster(t.Context())
	is, _ := after.Person(string(s.owner()))
	if was.Keys.Pair.Equal(is.Keys.Pair) {
		t.Error("a used code leaves the old seed in use")
	}
	if _, _, err := owner.Code(t.Context(), code); status(t, err) != http.StatusForbidden {
		t.Errorf("the same code again: %v", err)
	}
	// the ticket makes a passkey without one
	phone := owner.Device
	owner.Device = &authenticator.Device{}
	if err := owner.Register(t.Context(), "/doors/begin", "/doors/passkey", TapHeader, ticket); err != nil {
		t.Fatal(err)
	}
	for name, device := range map[string]*authenticator.Device{"the new passkey": owner.Device, "the old passkey": phone} {
		owner.Device = device
		if err := owner.SignIn(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := owner.Code(t.Context(), next); err != nil {
		t.Errorf("the next code: %v", err)
	}
	if doors, _, _ := s.Ready(t.Context()); doors != 3 {
		t.Errorf("the owner has %d doors, want two passkeys and a code", doors)
	}
}

func TestACodeAtTheCommandLineIsReplaced(t *testing.T) {
	s := serveSQLite(t, false)
	code := s.withCode(s.claimed())
	ctx, done, next, err := s.EnterOnce(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := UnlockedFrom(ctx); !ok {
		t.Error("no seed for the one command")
	}
	teams, _ := s.Teams(ctx)
	for _, team := range teams {
		if _, err := s.TeamKey(ctx, team.ID, team.Epoch); err != nil {
			t.Errorf("the key of %s: %v", team.Kind, err)
		}
	}
	done()
	if _, _, _, err := s.EnterOnce(t.Context(), code); !errors.Is(err, ErrNoDoor) {
		t.Errorf("the old code again: %v", err)
	}
	_, done, _, err = s.EnterOnce(t.Context(), next)
	if err != nil {
		t.Fatalf("its replacement: %v", err)
	}
	done()
}

func TestOfTwoUsesOfOneCodeOneCounts(t *testing.T) {
	s := serveSQLite(t, false)
	code := s.withCode(s.claimed())
	var wg sync.WaitGroup
	won := make(chan error, 4)
	for range cap(won) {
		wg.Go(func() {
			_, done, _, err := s.EnterOnce(t.Context(), code)
			if err == nil {
				done()
			}
			won <- err
		})
	}
	wg.Wait()
	close(won)
	n := 0
	for err := range won {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, ErrNoDoor) && !errors.Is(err, ErrForged):
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("one code counted %d times", n)
	}
}

func TestGuessingACodeIsSlowAndLeavesThePasskeyOpen(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	s.withCode(owner)
	wrong := seal.NewCode(seal.Personal)
	var last int
	for range int(codeBurst) + 1 {
		_, _, err := owner.Code(t.Context(), wrong)
		last = status(t, err)
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the sixth try of a code gives %d", last)
	}
	if err := owner.SignIn(t.Context()); err != nil {
		t.Errorf("the passkey, meanwhile: %v", err)
	}
}

func TestTheKitMakesThePracticeReady(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	states := func() map[string]string {
		m := map[string]string{}
		for e, err := range s.evidence(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			m[e.Claim] = e.State.String()
		}
		return m
	}
	if got := states(); got["identity.doors"] != "Needs you" || got["identity.kit"] != "Needs you" || got["identity.holders"] != "Needs you" {
		t.Errorf("with one door and no kit: %v", got)
	}
	s.withCode(owner)
	kit, _ := s.withKit(owner)
	doors, have, err := s.Ready(t.Context())
	if err != nil || doors != 2 || !have {
		t.Errorf("ready: %d doors, kit %v, %v", doors, have, err)
	}
	if got := states(); got["identity.doors"] != "Safe" || got["identity.kit"] != "Safe" || got["identity.holders"] != "Safe" {
		t.Errorf("with two doors and a kit: %v", got)
	}
	pair, err := seal.RecoveryFromCode(kit.Secret, kit.Practice)
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := teamBoxes(t.Context(), s.db, recoveryHolder)
	if err != nil || len(boxes) != 3 {
		t.Fatalf("%d recovery wraps (%v), want 3", len(boxes), err)
	}
	for _, b := range boxes {
		if _, err := pair.OpenKey(b.box, s.teamSlot(recoveryHolder, b.team, b.epoch)); err != nil {
			t.Errorf("the kit does not open team %s: %v", b.team, err)
		}
	}
}

func TestTwoRequestsOfOneSessionWipeTheirOwnKeysOnly(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if !s.home(owner.Copy()) {
				t.Error("a request of an open session was turned away")
			}
		})
	}
	wg.Wait()
}

func TestALeaversSessionEnds(t *testing.T) {
	h := newHouse(t)
	s := &served{t: t, db: h.db, Identity: h.Identity, clock: &clock{t: time.Now()}}
	s.serveHouse()
	jo := s.browser()
	if _, _, err := jo.Code(t.Context(), h.jo); err != nil {
		t.Fatal(err)
	}
	if err := h.Change(t.Context(), h.anaU, func(c *Change) error {
		return c.Sign(seal.Entry{Act: seal.Leave, Person: string(h.joPerson)})
	}); err != nil {
		t.Fatal(err)
	}
	if s.home(jo) {
		t.Error("Jo has left, and the session goes on")
	}
	if _, _, err := jo.Code(t.Context(), h.jo); status(t, err) != http.StatusForbidden {
		t.Errorf("Jo has left, and the code gives %v", err)
	}
}

func TestAListThatWasCutIsToldInASentence(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM identity_roster WHERE number > 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.forget()
	if got := status(t, owner.SignIn(t.Context())); got != http.StatusInternalServerError {
		t.Errorf("with a list that was cut, signing in gives %d", got)
	}
}

func TestARingIsReadAsItWasWritten(t *testing.T) {
	r := newRing(id.New[id.Person]())
	for range 3 {
		team := id.New[id.Team]()
		r.add(team, 1, seal.NewKey())
		r.add(team, 2, seal.NewKey())
	}
	b := r.bytes()
	got, err := readRing(b)
	if err != nil || got.Person != r.Person || len(got.Teams) != 3 {
		t.Fatalf("read %v (%v)", got, err)
	}
	for team, keys := range r.Teams {
		for epoch, key := range keys {
			if got.Teams[team][epoch] != key {
				t.Errorf("key %d of team %s differs", epoch, team)
			}
		}
	}
	for n := range b {
		if n != 2+26 && (n-28)%68 != 0 {
			if _, err := readRing(b[:n]); err == nil {
				t.Errorf("a ring cut at %d was read", n)
			}
		}
	}
}

func TestRefusedTriesFillNoDisk(t *testing.T) {
	s := serveSQLite(t, false)
	s.claimed()
	b := s.browser()
	for range 40 {
		_ = b.Ask(t.Context(), "/passkey/finish", authenticator.Reply{Ceremony: string(id.New[id.Record]())}, nil)
	}
	if n := s.facts("identity.refused"); n != 1 {
		t.Errorf("40 refused tries within a minute are %d facts, want 1", n)
	}
	s.clock.pass(time.Minute)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.facts("identity.refused"); n != 2 {
		t.Errorf("after the minute: %d facts, want the other 39 in a second one", n)
	}
}

func TestKeptThingsEnd(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := db.Migrate(t.Context(), "identity", schema); err != nil {
			t.Fatal(err)
		}
		k, ctx, now := keeper(db, seal.NewKey()), t.Context(), time.Now()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(k.put(ctx, keptTap, "a", []byte("one"), now.Add(time.Minute)))
		must(k.put(ctx, keptTap, "a", []byte("two"), now.Add(time.Minute)))
		if v, err := k.get(ctx, keptTap, "a", now); err != nil || string(v) != "two" {
			t.Errorf("got %q, %v", v, err)
		}
		must(k.replace(ctx, keptTap, "a", []byte("two")))
		if err := k.replace(ctx, keptTap, "b", []byte("two")); !errors.Is(err, errGone) {
			t.Errorf("what was never there is replaced: %v", err)
		}
		if _, err := k.get(ctx, keptSession, "a", now); !errors.Is(err, errGone) {
			t.Errorf("another kind: %v", err)
		}
		if _, err := k.take(ctx, keptTap, "a", now.Add(time.Minute)); !errors.Is(err, errGone) {
			t.Errorf("after its end: %v", err)
		}
		var wg sync.WaitGroup
		got := make(chan error, 8)
		for range cap(got) {
			wg.Go(func() { _, err := k.take(ctx, keptTap, "a", now); got <- err })
		}
		wg.Wait()
		close(got)
		n := 0
		for err := range got {
			if err == nil {
				n++
			} else if !errors.Is(err, errGone) {
				t.Error(err)
			}
		}
		if n != 1 {
			t.Errorf("a thing that is taken once was taken %d times", n)
		}
		for i := range 10 {
			must(k.put(ctx, keptCeremony, string(rune('a'+i)), []byte("x"), now.Add(time.Duration(i+1)*time.Second)))
		}
		must(k.put(ctx, keptSession, "s", []byte("x"), now.Add(time.Hour)))
		must(k.sweep(ctx, now, 3))
		left := 0
		for i := range 10 {
			if _, err := k.get(ctx, keptCeremony, string(rune('a'+i)), now); err == nil {
				left++
			}
		}
		if left != 3 {
			t.Errorf("%d ceremonies are kept, want the newest 3", left)
		}
		if _, err := k.get(ctx, keptSession, "s", now); err != nil {
			t.Errorf("a session went with the ceremonies: %v", err)
		}
		must(k.sweep(ctx, now.Add(2*time.Hour), 3))
		if _, err := k.get(ctx, keptSession, "s", now); !errors.Is(err, errGone) {
			t.Errorf("after the sweep: %v", err)
		}
	})
}

func TestAHouseAnswersForItsOwnAddressOnly(t *testing.T) {
	for _, c := range []struct{ conf, host, origin, rpID string }{
		{"https://vault.example.org", "vault.example.org", "https://vault.example.org", "vault.example.org"},
		{"https://vault.example.org", "localhost:1", "https://vault.example.org", "vault.example.org"},
		{"https://vault.example.org:8443", "x", "https://vault.example.org:8443", "vault.example.org"},
		{"http://localhost:8420", "localhost:9", "http://localhost:9", "localhost"},
		{"http://localhost:8420", "evil.example", "http://localhost", "localhost"},
		{"", "127.0.0.1:8420", "http://localhost", "localhost"},
	} {
		i := &Identity{Config: Config{Origin: c.conf}}
		origin, rpID, err := i.origin(&http.Request{Host: c.host})
		if err != nil || origin != c.origin || rpID != c.rpID {
			t.Errorf("%q asked as %q answers for %q, %q (%v)", c.conf, c.host, origin, rpID, err)
		}
	}
}

func TestAnAnswerMadeForAnotherPortOfLocalhostOpensNothing(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	relayed := s.browser() // by another program on this computer, with a page of its own
	relayed.Device, relayed.Origin = owner.Device, "http://localhost:9999"
	if got := status(t, relayed.SignIn(t.Context())); got != http.StatusForbidden || s.home(relayed) {
		t.Errorf("an answer for http://localhost:9999 gives %d at %s", got, s.origin)
	}
	s.Origin = "http://localhost:9999" // as a forwarded port is made known
	if err := relayed.SignIn(t.Context()); err != nil {
		t.Errorf("the house is said to be at http://localhost:9999: %v", err)
	}
}

func TestANetworkIsOneAddressOrOneCustomer(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[2001:db8:1:2ff::9]:1": "2001:db8:1:200::/56", "[2001:db8:1:201::1]:1": "2001:db8:1:200::/56",
	} {
		if got := network(&http.Request{RemoteAddr: address}); got != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
}

func BenchmarkEnter(b *testing.B) {
	s := serveSQLite(b, false)
	browser := s.claimed()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range browser.Cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for b.Loop() {
		_, done, err := s.Sessions().Enter(nil, r)
		if err != nil {
			b.Fatal(err)
		}
		done()
	}
}

func TestEveryPageIsShown(t *testing.T) {
	s := serveSQLite(t, false)
	owner, token := s.browser(), s.link()
	shows := func(path string, want ...string) {
		t.Helper()
		status, page, err := owner.Get(t.Context(), path)
		if err != nil || status != http.StatusOK {
			t.Errorf("%s answers %d (%v)", path, status, err)
		}
		for _, words := range want {
			if !strings.Contains(page, words) {
				t.Errorf("%s does not say %q", path, words)
			}
		}
	}
	shows("/unlock", "This house has no owner yet.")
	shows("/claim/"+token, "What is your practice called")
	s.named(owner, token)
	shows("/claim/"+token, `value="Harbor Counseling"`)
	shows("/claim/"+token+"/passkey", "Ana Reyes, make the key to Harbor Counseling.")
	if err := owner.Register(t.Context(), "/claim/"+token+"/begin", "/claim/"+token+"/finish"); err != nil {
		t.Fatal(err)
	}
	shows("/first/door", "If your phone falls into the sea")
	shows("/kit", "The house’s six words:")
	shows("/doors", "You have one way in.")
	s.withCode(owner)
	shows("/first/door", "You have 2 ways in.")
	shows("/doors", "You have 2 ways in.", "Code on paper")
	shows("/people", "owner, clinician", "Can open the names and appointments of all patients, billing and the charts of the care team Ana Reyes. 2 ways in.")
	shows("/unlock/code", "Nine groups of four")
	shows("/unlock", "Open with your passkey")
}
