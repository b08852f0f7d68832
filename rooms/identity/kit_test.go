package identity

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// withKit gives the practice a kit of one paper, or of three shares.
func (s *served) withKit(owner *authenticator.Browser, trusted ...string) (authenticator.Kit, [3]seal.Code) {
	s.t.Helper()
	ticket, err := owner.Tap(s.t.Context(), actSetKit, string(s.session(owner).Person))
	if err != nil {
		s.t.Fatal(err)
	}
	kit := authenticator.Kit{Secret: seal.NewCode(seal.Kit).KEK(), Practice: s.Anchor.Practice()}
	var shares [3]seal.Code
	var boxes [][]byte
	if len(trusted) > 0 {
		for i := range shares {
			shares[i] = seal.NewCode(seal.Share)
		}
		for _, b := range seal.SplitKit(kit.Secret, shares, kit.Practice) {
			boxes = append(boxes, b)
		}
	}
	if err := owner.SetKit(s.t.Context(), kit, ticket, trusted, boxes); err != nil {
		s.t.Fatal(err)
	}
	return kit, shares
}

func TestOnePaperBringsASoleOwnerBackAfterADay(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		s := serve(t, open(), false)
		var told []string
		s.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error {
			told = append(told, n.Subject)
			return nil
		}
		ana := s.claimed()
		code := s.withCode(ana)
		kit, _ := s.withKit(ana)
		me := s.session(ana).Person
		_, _, joP := s.member(ana, nil)
		before := s.epochs()

		lost := s.browser()
		wrong := authenticator.Kit{Secret: seal.NewKey(), Practice: kit.Practice}
		if _, _, err := lost.ShowKit(t.Context(), wrong); status(t, err) != http.StatusForbidden {
			t.Errorf("another kit: %v", err)
		}
		pass, from, err := lost.ShowKit(t.Context(), kit)
		if err != nil || pass != "" || from == "" {
			t.Fatalf("one paper opens at once: %q, from %q (%v)", pass, from, err)
		}
		if !strings.Contains(strings.Join(told, "|"), "The recovery kit is being used") {
			t.Errorf("nobody is told: %q", told)
		}
		n := len(told)
		if pass, again, err := lost.ShowKit(t.Context(), kit); err != nil || pass != "" || again != from || len(told) != n {
			t.Errorf("shown again it waits from %q until %q, %d notices more (%v)", from, again, len(told)-n, err)
		}
		if err := ana.SignIn(t.Context()); err != nil {
			t.Errorf("meanwhile the owner's own passkey: %v", err)
		}
		s.clock.pass(kitWaits + time.Minute)
		pass, _, err = lost.ShowKit(t.Context(), kit)
		if err != nil || pass == "" {
			t.Fatalf("a day later: %v", err)
		}
		if err := lost.ComeBack(t.Context(), kit, pass, string(joP)); status(t, err) != http.StatusBadRequest {
			t.Errorf("the kit made keys for somebody who is no owner: %v", err)
		}
		if pass, _, err = lost.ShowKit(t.Context(), kit); err != nil {
			t.Fatal(err)
		}
		if err := lost.ComeBack(t.Context(), kit, pass, string(me)); err != nil {
			t.Fatalf("the kit does not bring the owner back: %v", err)
		}
		if !s.home(lost) || s.home(ana) {
			t.Error("the owner who came back has to be in, and every session of before out")
		}
		if err := ana.SignIn(t.Context()); status(t, err) != http.StatusForbidden {
			t.Errorf("the lost passkey still opens: %v", err)
		}
		if _, err := s.UnlockCode(t.Context(), code.Auth(), code.KEK()); err == nil {
			t.Error("the lost code still opens")
		}
		r := s.ringOf(lost)
		for team, epoch := range s.epochs() {
			if epoch != before[team]+1 || len(r.Teams[team]) != int(epoch) {
				t.Errorf("team %s is at key %d (was %d), and the owner holds %d", team, epoch, before[team], len(r.Teams[team]))
			}
		}
		if _, err := lost.Tap(t.Context(), "export", "everything"); err != nil {
			t.Errorf("the new passkey does not tap: %v", err)
		}
		if err := s.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, err := s.kitEvidence(t.Context(), mustRoster(t, s)); err != nil || e.State != layer.NeedsYou {
			t.Errorf("a kit that was typed somewhere is %s (%v), want a new one asked for", e.State, err)
		}
		if pass, from, err := lost.ShowKit(t.Context(), kit); err != nil || pass != "" || from == "" {
			t.Errorf("the used kit opens again at once: %v", err)
		}
	})
}

// Two of three people are back at once, whichever two; one of them is nobody.
func TestTwoSharesOfThreeBringAnOwnerBackAtOnce(t *testing.T) {
	for _, two := range [][2]int{{0, 1}, {2, 1}, {2, 0}} {
		t.Run(fmt.Sprint(two), func(t *testing.T) {
			s := serveSQLite(t, false)
			ana := s.claimed()
			_, shares := s.withKit(ana, "Ana Reyes", "Kim Sol", "a lawyer")
			me := s.session(ana).Person
			if kit := mustRoster(t, s).Kit(); len(kit.Trusted) != 3 || !strings.Contains(strings.Join(kit.Trusted, "|"), string(me)) {
				t.Errorf("the trusted people are %q", kit.Trusted)
			}
			lost := s.browser()
			practice, got, err := lost.Shares(t.Context())
			if err != nil || len(got) != 3 {
				t.Fatalf("%d boxes (%v)", len(got), err)
			}
			boxes := [3][]byte(got)
			if _, err := seal.JoinKit(shares[two[0]], shares[two[0]], boxes, practice); err == nil {
				t.Error("one share, typed twice, opens the kit")
			}
			secret, err := seal.JoinKit(shares[two[0]], shares[two[1]], boxes, practice)
			if err != nil {
				t.Fatal(err)
			}
			kit := authenticator.Kit{Secret: secret, Practice: practice}
			pass, _, err := lost.ShowKit(t.Context(), kit)
			if err != nil {
				t.Fatal(err)
			}
			if err := lost.ComeBack(t.Context(), kit, pass, string(me)); err != nil {
				t.Fatal(err)
			}
			if err := lost.ComeBack(t.Context(), kit, pass, string(me)); status(t, err) != http.StatusForbidden {
				t.Errorf("a pass works twice: %v", err)
			}
		})
	}
}

func TestAStoppedKitOpensNothing(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	kit, _ := s.withKit(ana)
	thief := s.browser()
	if _, from, err := thief.ShowKit(t.Context(), kit); err != nil || from == "" {
		t.Fatal(err)
	}
	if _, page := s.get(ana, "/people"); !strings.Contains(page, "/kit/stop") {
		t.Error("the page of people does not offer to stop it")
	}
	if got, err := ana.Post(t.Context(), "/kit/stop", nil); err != nil || got != http.StatusSeeOther {
		t.Fatalf("stopping answers %d (%v)", got, err)
	}
	s.clock.pass(kitWaits + time.Hour)
	if pass, _, err := thief.ShowKit(t.Context(), kit); err != nil || pass != "" {
		t.Errorf("a kit that was stopped opens (%v)", err)
	}
	if err := ana.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer, _ := s.withKit(ana)
	s.clock.pass(kitWaits + time.Hour)
	if _, _, err := thief.ShowKit(t.Context(), kit); status(t, err) != http.StatusForbidden {
		t.Errorf("a kit that was replaced: %v", err)
	}
	if _, from, err := thief.ShowKit(t.Context(), newer); err != nil || from == "" {
		t.Errorf("the wait of the old kit counts for the new one (%v)", err)
	}
}

// A trusted person who leaves holds a share that has to become worthless.
func TestALeavingTrusteeAsksForANewKit(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	code := s.withCode(ana)
	_, _, joP := s.member(ana, nil)
	s.withKit(ana, "Ana Reyes", "Jo Park", "a lawyer")
	state := func() layer.Evidence {
		e, err := s.kitEvidence(t.Context(), mustRoster(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := state(); e.State != layer.Safe || !strings.Contains(e.Text, "Jo Park") {
		t.Fatalf("with all three: %s, %q", e.State, e.Text)
	}
	u, err := s.UnlockCode(t.Context(), code.Auth(), code.KEK())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Change(t.Context(), u, func(c *Change) error {
		if err := c.RotateAll(t.Context(), joP, true); err != nil {
			return err
		}
		return c.Sign(seal.Entry{Act: seal.Leave, Person: string(joP)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := state(); e.State != layer.NeedsYou || !strings.Contains(e.Text, "Jo Park") || e.Page != "/kit/shares" {
		t.Errorf("Jo left with a share: %s, %q", e.State, e.Text)
	}
	s.withKit(ana, "Ana Reyes", "Kim Sol", "a lawyer")
	if e := state(); e.State != layer.Safe {
		t.Errorf("with a new kit: %s, %q", e.State, e.Text)
	}
}

// A kit that this browser cannot open is not taken.
func TestAKitThatDoesNotOpenIsNotTaken(t *testing.T) {
	s := serveSQLite(t, false)
	ana := s.claimed()
	me := string(s.session(ana).Person)
	pair, _ := seal.RecoveryFromCode(seal.NewKey(), s.Anchor.Practice())
	signer, _ := seal.RecoverySigner(seal.NewKey(), s.Anchor.Practice())
	for name, body := range map[string]map[string]any{
		"without a proof":     {"public": pair.Public(), "sign": signer.Public()},
		"with a guess":        {"public": pair.Public(), "sign": signer.Public(), "nonce": make([]byte, 32)},
		"without its signer":  {"public": pair.Public()},
		"that is no key":      {"public": []byte("x"), "sign": signer.Public()},
		"of two people":       {"public": pair.Public(), "sign": signer.Public(), "trusted": []string{"a", "b"}, "boxes": [][]byte{{1}, {1}}},
		"of people, no boxes": {"public": pair.Public(), "sign": signer.Public(), "trusted": []string{"a", "b", "c"}},
	} {
		ticket, err := ana.Tap(t.Context(), actSetKit, me)
		if err != nil {
			t.Fatal(err)
		}
		if err := ana.Ask(t.Context(), "/kit", body, nil, TapHeader, ticket); err == nil {
			t.Errorf("a kit %s is taken", name)
		}
	}
	if _, ok := mustRoster(t, s).PublicKey(recoveryHolder); ok {
		t.Error("a kit was named")
	}
}
