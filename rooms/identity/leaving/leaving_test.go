package leaving

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/vault"
)

func TestOneActClosesEveryDoor(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		p := h.admit("Dana", "Dana", "Aldridge")
		dana, _ := h.as("Dana")
		ana, u := h.as("Ana")
		before, err := h.knocks(ana, h.who["Dana"], nil)
		h.must(err)
		kinds := map[string]int{}
		for _, d := range before {
			if kinds[d.Kind]++; !d.Open {
				t.Errorf("before, the %s %q does not open", d.Kind, d.Name)
			}
		}
		if kinds[identity.DoorCode] != 1 || kinds[identity.DoorKey] != 2 {
			t.Fatalf("before, these doors are known: %v", kinds)
		}
		h.clock.pass(time.Second)
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()})
		h.must(err)

		doors, err := doorsOf(t.Context(), h.db, leaving)
		h.must(err)
		got := tallied(doors)
		if got != (tally{Doors: 1, Open: 0, Keys: 2, Reached: 0}) {
			t.Errorf("afterwards the doors say %+v", got)
		}
		for _, d := range doors {
			if !d.Before {
				t.Errorf("nothing tells that the %s %q was open before", d.Kind, d.Name)
			}
		}
		if err := h.enters("Dana"); !errors.Is(err, identity.ErrNoDoor) {
			t.Errorf("Dana comes in: %v", err)
		}
		if text, err := h.read(dana, p); err == nil {
			t.Errorf("what Dana's session held opens the chart: %q", text)
		}
		if err := h.write(dana, p, "from outside"); err == nil {
			t.Error("what Dana's session held writes into the chart")
		}
		for team, want := range map[string]uint64{"Dana": 2, "directory": 2, "Aisha": 1} {
			if got := h.epoch(team); got != want {
				t.Errorf("the key of team %s is number %d, want %d", team, got, want)
			}
		}
		if text, err := h.read(ana, p); err != nil || text != "written by Dana" {
			t.Errorf("Ana, who was in the team, reads %q, %v", text, err)
		}
		h.must(h.write(ana, p, "written after"))
		for _, kind := range []string{"identity.left", "identity.doors-tried"} {
			if n := h.facts(kind); n != 1 {
				t.Errorf("%d facts %s, want 1", n, kind)
			}
		}
		written, reached, err := h.vault.WrittenSince(ana, h.Now(), held(doors))
		h.must(err)
		if written != 1 || reached != 0 {
			t.Errorf("%d were written since, %d of them within Dana's reach; want 1 and 0", written, reached)
		}
		if _, reached, err = h.vault.WrittenSince(ana, h.Now().Add(-time.Minute), held(doors)); err != nil || reached != 2 {
			t.Errorf("%d of what was written before lie within Dana's reach, want card and note, %v", reached, err)
		}
	})
}

func TestAnActThatFailsInOneRoomChangesNothing(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		broken := errors.New("a room that cannot close its doors")
		offboard := h.Offboard
		h.Offboard = func(ctx context.Context, tx *store.Tx, l layer.Leaving) error {
			return errors.Join(offboard(ctx, tx, l), broken)
		}
		ana, u := h.as("Ana")
		if _, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()}); !errors.Is(err, broken) {
			t.Fatalf("the act went on: %v", err)
		}
		if h.gone("Dana") || h.epoch("Dana") != 1 || h.enters("Dana") != nil {
			t.Error("half of the act stands")
		}
		acts, err := h.acts(t.Context())
		h.must(err)
		if len(acts) != 0 || h.facts("identity.left") != 0 {
			t.Errorf("the act left %d rows behind", len(acts))
		}
	})
}

func TestAtTheHourTheDoorsCloseWithNobodySignedIn(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		p := h.admit("Dana", "Dana", "Aldridge")
		ana, u := h.as("Ana")
		hour := h.Now().Add(3 * 24 * time.Hour)
		leaving, err := h.Plan(ana, u, Asked{Person: h.who["Dana"], Hour: hour})
		h.must(err)
		h.must(h.carryOutDue(t.Context()))
		if h.gone("Dana") || h.enters("Dana") != nil || h.epoch("Dana") != 1 {
			t.Fatal("a plan changed something before its hour")
		}
		if said := h.says("identity.leaving-planned"); len(said) != 1 || !strings.HasPrefix(said[0], "Safe: Dana leaves on ") {
			t.Errorf("evidence says %q", said)
		}
		h.clock.pass(3*24*time.Hour + time.Second)
		h.must(h.carryOutDue(t.Context())) // a job: nobody is signed in
		h.must(h.carryOutDue(t.Context()))
		if !h.gone("Dana") || h.epoch("Dana") != 2 || h.epoch("directory") != 2 {
			t.Fatalf("at the hour: gone %v, team key %d, names %d", h.gone("Dana"), h.epoch("Dana"), h.epoch("directory"))
		}
		if err := h.enters("Dana"); !errors.Is(err, identity.ErrNoDoor) {
			t.Errorf("Dana comes in: %v", err)
		}
		a, err := readAct(t.Context(), h.db, leaving)
		h.must(err)
		doors, err := doorsOf(t.Context(), h.db, leaving)
		h.must(err)
		if got := tallied(doors); a.Closed.IsZero() || got.Open != 0 || got.Reached != 0 || got.Doors != 1 || got.Keys != 2 {
			t.Errorf("the doors say %+v", got)
		}
		if n := h.facts("identity.left"); n != 1 {
			t.Errorf("%d facts tell that Dana left", n)
		}
		// The keys that were made beforehand open for those who stay, and are written under.
		again, _ := h.as("Ana")
		if _, err := h.ids.TeamKey(again, h.team["Dana"], 2); err != nil {
			t.Errorf("Ana does not hold the planned key: %v", err)
		}
		h.must(h.write(again, p, "after the hour"))
		if text, err := h.read(again, p); err != nil || !strings.Contains(text, "written by Dana") || !strings.Contains(text, "after the hour") {
			t.Errorf("Ana reads %q, %v", text, err)
		}
		var left int
		h.must(h.db.QueryRowContext(t.Context(), `SELECT count(*) FROM leaving_keys`).Scan(&left))
		if left != 0 {
			t.Errorf("%d planned keys lie about", left)
		}
		if said := h.says("identity.left"); len(said) != 1 || said[0] != "Safe: Dana left. 0 of 1 door accepted, 0 current keys reachable." {
			t.Errorf("evidence says %q", said)
		}
	})
}

func TestATeamThatMovedOnSinceThePlanWaitsForAnOwnersTap(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		leaving, err := h.Plan(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now().Add(time.Hour)})
		h.must(err)
		h.must(h.ids.AddMember(ana, u, h.team["Dana"], h.who["Lee"])) // somebody came into it
		if said := h.says("identity.leaving-planned"); len(said) != 1 || !strings.HasPrefix(said[0], "Needs you: The plan that Dana leaves on ") {
			t.Errorf("evidence says %q", said)
		}
		h.clock.pass(2 * time.Hour)
		h.must(h.carryOutDue(t.Context()))
		if !h.gone("Dana") || h.epoch("Dana") != 1 || h.epoch("directory") != 2 {
			t.Fatalf("at the hour: gone %v, team key %d, names %d", h.gone("Dana"), h.epoch("Dana"), h.epoch("directory"))
		}
		doors, err := doorsOf(t.Context(), h.db, leaving)
		h.must(err)
		if got := tallied(doors); got.Reached != 1 {
			t.Errorf("one team still has the key that Dana held, and the doors say %+v", got)
		}
		_, lee := h.as("Lee") // whose coming in is an owner's tap
		h.must(h.NewKeys(t.Context(), lee))
		h.must(h.Try(t.Context(), leaving))
		doors, err = doorsOf(t.Context(), h.db, leaving)
		h.must(err)
		if got := tallied(doors); got.Reached != 0 || h.epoch("Dana") != 2 {
			t.Errorf("after the tap the doors say %+v, and the key is number %d", got, h.epoch("Dana"))
		}
	})
}

func TestAPlanIsTakenBackOrReplaced(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		first, err := h.Plan(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now().Add(time.Hour)})
		h.must(err)
		second, err := h.Plan(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now().Add(5 * time.Hour)})
		h.must(err)
		refusedWith(t, h.Withdraw(ana, u, first), "There is no plan")
		h.clock.pass(2 * time.Hour)
		h.must(h.carryOutDue(t.Context()))
		if h.gone("Dana") {
			t.Fatal("a plan that was replaced was carried out")
		}
		_, lee := h.as("Lee")
		h.must(h.Withdraw(ana, lee, second))
		h.clock.pass(24 * time.Hour)
		h.must(h.carryOutDue(t.Context()))
		if h.gone("Dana") || h.enters("Dana") != nil {
			t.Error("a plan that was taken back was carried out")
		}
		var keys int
		h.must(h.db.QueryRowContext(t.Context(), `SELECT count(*) FROM leaving_keys`).Scan(&keys))
		if keys != 0 {
			t.Errorf("%d keys of plans that are over lie about", keys)
		}
		if said := h.says("identity.leaving-planned"); len(said) != 0 {
			t.Errorf("evidence still says %q", said)
		}
	})
}

// Whoever writes the database can have a plan happen early. The doors then close,
// those who stay get their keys, and the page tells of it.
func TestAPlanThatADatabaseWriterHadHappenEarlyIsFinishedAndTold(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		_, err := h.Plan(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now().Add(72 * time.Hour)})
		h.must(err)
		roster, err := h.ids.Roster(t.Context())
		h.must(err)
		plan, _ := roster.PlanOf(string(h.who["Dana"]))
		forged := roster.Clone()
		s, err := forged.CarryOut(plan.Number)
		h.must(err)
		h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO identity_roster (number, body, signature) VALUES ($1, $2, $3)`, forged.Number, s.Body, s.Signature)
			return err
		}))
		h.must(h.ids.Recheck(t.Context()))
		h.must(h.carryOutDue(t.Context()))
		if err := h.enters("Dana"); !errors.Is(err, identity.ErrNoDoor) {
			t.Errorf("Dana comes in: %v", err)
		}
		again, _ := h.as("Ana")
		if _, err := h.ids.TeamKey(again, h.team["Dana"], 2); err != nil {
			t.Errorf("Ana did not get the planned key: %v", err)
		}
		if said := h.says("identity.left-early"); len(said) != 1 || !strings.HasPrefix(said[0], "Urgent: ") {
			t.Errorf("evidence says %q", said)
		}
		var why string
		for e, err := range h.log.Facts(t.Context(), ledger.Query{Kinds: []string{"identity.left"}}) {
			h.must(err)
			why = e.Reason
		}
		if why != "early" {
			t.Errorf("the fact says %q", why)
		}
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		_, err := h.Close(ana, u, Asked{Person: h.who["Lee"], Hour: h.Now()})
		h.must(err)
		_, err = h.Close(ana, u, Asked{Person: h.who["Ana"], Hour: h.Now()})
		refusedWith(t, err, "This is the only owner.")
		_, err = h.Plan(ana, u, Asked{Person: h.who["Ana"], Hour: h.Now().Add(time.Hour)})
		refusedWith(t, err, "This is the only owner.")
		if h.gone("Ana") || h.enters("Ana") != nil {
			t.Error("the practice has no owner")
		}
		_, err = h.Close(ana, u, Asked{Person: h.who["Lee"], Hour: h.Now()})
		refusedWith(t, err, "Nobody of that name")
	})
}

func TestOfTwoOwnersWhoRemoveEachOtherOneStays(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, anaU := h.as("Ana")
		lee, leeU := h.as("Lee")
		errs := make([]error, 2)
		var wg sync.WaitGroup
		wg.Go(func() { _, errs[0] = h.Close(ana, anaU, Asked{Person: h.who["Lee"], Hour: h.Now()}) })
		wg.Go(func() { _, errs[1] = h.Close(lee, leeU, Asked{Person: h.who["Ana"], Hour: h.Now()}) })
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("one of two wins; got %v and %v", errs[0], errs[1])
		}
		refusedWith(t, errors.Join(errs...), "You left the practice")
		if h.gone("Ana") == h.gone("Lee") {
			t.Error("the practice has no owner, or two")
		}
	})
}

// What somebody kept while writing stays for colleagues; the next word is refused.
func TestAPersonLeavesWhileWriting(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		p := h.admit("Dana", "Dana", "Aldridge")
		dana, _ := h.as("Dana")
		h.must(h.write(dana, p, "a draft"))
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Successor: h.who["Aisha"], Hour: h.Now()})
		h.must(err)
		if err := h.write(dana, p, "its next word"); err == nil {
			t.Error("what Dana writes after leaving is kept")
		}
		h.must(h.HandOver(ana, leaving, time.Now().Add(time.Minute)))
		aisha, _ := h.as("Aisha")
		if text, err := h.read(aisha, p); err != nil || !strings.Contains(text, "a draft") || strings.Contains(text, "next word") {
			t.Errorf("Aisha reads %q, %v", text, err)
		}
	})
}

func TestPatientsAreHandedOverBitByBit(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		var patients []id.Patient
		for range atOnce + 7 {
			patients = append(patients, h.admit("Dana", "Dana", "Aldridge"))
		}
		mine := h.admit("Aisha", "Aisha", "Bello")
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()})
		h.must(err)
		if said := h.says("identity.hand-over"); len(said) != 1 || !strings.HasPrefix(said[0], "Needs you: 135 patients of Dana wait for a colleague.") {
			t.Errorf("evidence says %q", said)
		}
		refusedWith(t, h.HandOver(ana, leaving, time.Now()), "Nobody is named")
		refusedWith(t, h.name(ana, leaving, h.who["June"]), "The person who takes")
		h.must(h.name(ana, leaving, h.who["Aisha"]))
		h.must(h.HandOver(ana, leaving, time.Now())) // one round, as if the time was up
		got, err := h.handover(ana, leaving)
		h.must(err)
		if got.Moved != atOnce || got.Left != 7 {
			t.Fatalf("after a round %d moved and %d are left", got.Moved, got.Left)
		}
		h.must(h.HandOver(ana, leaving, time.Now().Add(time.Minute)))
		if got, err = h.handover(ana, leaving); err != nil || got.Left != 0 || got.Moved != atOnce+7 {
			t.Fatalf("in the end: %+v, %v", got, err)
		}
		if said := h.says("identity.hand-over"); len(said) != 0 {
			t.Errorf("evidence still says %q", said)
		}
		aisha, _ := h.as("Aisha")
		for _, p := range append(patients, mine) {
			if _, err := h.read(aisha, p); err != nil {
				t.Fatalf("Aisha does not open patient %s: %v", p, err)
			}
		}
		if f, err := h.vault.Search(aisha, "", 3); err != nil || f.All != len(patients)+1 {
			t.Errorf("Aisha finds %d patients, %v", f.All, err)
		}
	})
}

// Dana's charts were shared with Lee only: the owner who closes the doors cannot
// hand them over, and Lee can, the next time.
func TestPatientsWaitForWhoseKeysReachThem(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		_, u := h.as("Ana")
		h.must(h.ids.AddMember(t.Context(), u, h.team["Dana"], h.who["Lee"]))
		h.must(h.ids.Rotate(t.Context(), u, h.team["Dana"], []id.Person{h.who["Dana"], h.who["Lee"]}))
		p := h.admit("Dana", "Dana", "Aldridge")
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Successor: h.who["Aisha"], Hour: h.Now()})
		h.must(err)
		h.must(h.HandOver(ana, leaving, time.Now().Add(time.Minute)))
		got, err := h.handover(ana, leaving)
		h.must(err)
		if got.Left != 1 || got.Shut != 1 || got.Moved != 0 {
			t.Fatalf("out of reach: %+v", got)
		}
		if said := h.says("identity.hand-over"); len(said) != 1 || said[0] != "Needs you: 1 patient of Dana waits to be handed over to Aisha." {
			t.Errorf("evidence says %q", said)
		}
		lee, _ := h.as("Lee")
		h.must(h.HandOver(lee, leaving, time.Now().Add(time.Minute)))
		aisha, _ := h.as("Aisha")
		if text, err := h.read(aisha, p); err != nil || text != "written by Dana" {
			t.Errorf("Aisha reads %q, %v", text, err)
		}
		if _, err := h.read(lee, p); !errors.Is(err, vault.ErrNotYours) {
			t.Errorf("Lee, who is in no team that cares now, gets %v", err)
		}
	})
}

func TestWhoAloneOpensAChartIsAskedToHandItOverFirst(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		p := h.admit("Aisha", "Aisha", "Aldridge")
		ana, u := h.as("Ana")
		leaving, err := h.Plan(ana, u, Asked{Person: h.who["Aisha"], Successor: h.who["Dana"], Hour: h.Now().Add(time.Hour)})
		h.must(err)
		if said := h.says("identity.hand-over"); len(said) != 1 || said[0] != "Needs you: 1 patient of Aisha can be opened by nobody else." {
			t.Errorf("evidence says %q", said)
		}
		aisha, _ := h.as("Aisha")
		h.must(h.HandOver(aisha, leaving, time.Now().Add(time.Minute)))
		h.clock.pass(2 * time.Hour)
		h.must(h.carryOutDue(t.Context()))
		dana, _ := h.as("Dana")
		if text, err := h.read(dana, p); err != nil || text != "written by Aisha" {
			t.Errorf("Dana reads %q, %v", text, err)
		}
	})
}

func TestWhoComesBackStartsFromNothing(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		p := h.admit("Dana", "Dana", "Aldridge")
		ana, u := h.as("Ana")
		_, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()})
		h.must(err)
		n, err := h.ids.Newcomer("Dana", "", identity.Clinician)
		h.must(err)
		code := seal.NewCode(seal.Personal)
		h.must(h.ids.AddCode(n, code, "A new code"))
		h.must(h.ids.Join(ana, u, n))
		if n.Person == h.who["Dana"] {
			t.Fatal("the same person came back")
		}
		if err := h.enters("Dana"); !errors.Is(err, identity.ErrNoDoor) {
			t.Errorf("the old code opens: %v", err)
		}
		h.code["Dana"] = code
		back, _ := h.as("Dana")
		teams, err := h.ids.Teams(back)
		h.must(err)
		if slices.ContainsFunc(teams, func(t layer.Team) bool { return t.Mine }) {
			t.Error("who came back holds a team's key")
		}
		if text, err := h.read(back, p); err == nil {
			t.Errorf("who came back reads %q", text)
		}
	})
}

func TestTheListOutsideIsSomebodysWord(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["June"], Hour: h.Now()})
		h.must(err)
		if said := h.says("identity.left-outside"); len(said) != 1 || !strings.HasPrefix(said[0], "Needs you: Outside Quietroom, mailbox, health-record system, phone and numbers and keys and building of June") {
			t.Errorf("evidence says %q", said)
		}
		h.must(h.Assign(ana, leaving, "building", h.who["Lee"], h.Now().AddDate(0, 0, 2)))
		if err := h.Assign(ana, leaving, "attic", h.who["Lee"], h.Now()); err == nil {
			t.Error("a line was made up")
		}
		lee, _ := h.as("Lee")
		for _, i := range items {
			h.must(h.Word(lee, leaving, i.Word, true))
		}
		said := h.says("identity.left-outside")
		if len(said) != 4 || slices.ContainsFunc(said, func(s string) bool {
			return !strings.HasPrefix(s, "Your word: ") || !strings.Contains(s, "Lee said so on ")
		}) {
			t.Errorf("evidence says %q", said)
		}
		h.must(h.Word(lee, leaving, "phone", false))
		if said := h.says("identity.left-outside"); len(said) != 4 || !strings.HasPrefix(said[3], "Needs you: ") {
			t.Errorf("a word was taken back, and evidence says %q", said)
		}
	})
}

func TestWhatHappenedSinceIsReadFromTheRecordOfEvents(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		h.admit("Dana", "Dana", "Aldridge")
		h.clock.pass(time.Hour)
		since := h.Now()
		h.clock.pass(time.Minute)
		p := h.admit("Ana", "Dana", "Bello")
		dana, _ := h.as("Dana")
		_, err := h.read(dana, p)
		h.must(err)
		s, err := h.Leaving.since(t.Context(), h.who["Dana"], since)
		h.must(err)
		if s.Patients != 1 || len(s.Facts) != 2 || s.Facts[0].What != "Opened a patient" || s.Facts[0].Patient != p || s.Facts[1].What != "Used a code" {
			t.Errorf("since then: %+v", s)
		}
	})
}

// A door that a room still has is never told as closed: the run can fail.
func TestADoorThatStandsOpenIsTold(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		h.Offboard = func(context.Context, *store.Tx, layer.Leaving) error { return nil } // a room that forgets
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()})
		h.must(err)
		doors, err := doorsOf(t.Context(), h.db, leaving)
		h.must(err)
		// The list alone closes the code; what is left of it in the rows opens nothing.
		if got := tallied(doors); got.Open != 0 || h.enters("Dana") == nil {
			t.Errorf("the list does not close the doors by itself: %+v", got)
		}
		knock := h.Knock
		h.Knock = func(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
			return func(yield func(layer.Door, error) bool) {
				for d, err := range knock(ctx, p, known) {
					if !yield(d, err) {
						return
					}
				}
				yield(layer.Door{Room: "mail", Kind: "token", Name: "A calendar", Key: "X", Open: true}, nil)
			}
		}
		h.must(h.Try(t.Context(), leaving))
		if said := h.says("identity.left"); len(said) != 1 || said[0] != "Urgent: Dana left, and 1 of 2 doors accepted, 0 current keys reachable." {
			t.Errorf("evidence says %q", said)
		}
	})
}

func TestDoorsThatGiveNoAnswerAreNotTold(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ana, u := h.as("Ana")
		leaving, err := h.Close(ana, u, Asked{Person: h.who["Dana"], Hour: h.Now()})
		h.must(err)
		h.Knock = func(context.Context, id.Person, []layer.Door) iter.Seq2[layer.Door, error] {
			return func(func(layer.Door, error) bool) {}
		}
		if err := h.Try(t.Context(), leaving); err == nil {
			t.Error("doors that nobody answered at count as tried")
		}
	})
}
