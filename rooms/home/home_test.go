package home_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
)

// holds fails unless the page says all of it.
func holds(t *testing.T, page string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page[max(0, strings.Index(page, "<main")):])
		}
	}
}

func lacks(t *testing.T, page string, unwanted ...string) {
	t.Helper()
	for _, u := range unwanted {
		if strings.Contains(page, u) {
			t.Errorf("the page says %q", u)
		}
	}
}

func TestAHouseOfWhichNothingIsKnownIsNeverSafe(t *testing.T) {
	p := newPractice(t)
	page := p.page("/")
	holds(t, page, "Nothing has been measured here yet.", "Nothing watches devices, backups, web and mail yet.", "There is no proof yet", "No attack has been tried here yet.", "Nothing, as far as is known.", "Elsewhere: not written down yet.", "not counted yet")
	lacks(t, page, `data-is="safe"`, `data-is="urgent"`, `data-is="needs"`)
}

func TestThePageNeverAsksTheRooms(t *testing.T) {
	p := newPractice(t)
	p.said = []answer{{err: errors.New("a check ran while somebody waited")}}
	p.Evidence = nil
	p.Patients = nil
	p.page("/")
	p.page("/evidence")
}

func TestEvidenceExpiresWhenNobodyLooksAnyMore(t *testing.T) {
	p := newPractice(t)
	p.says(safe("identity.doors", layer.People, "All 12 people have at least 2 ways in.", p.now))
	p.allHeld(p.now)
	holds(t, p.page("/"), `href="/evidence#people"><span>People</span><b class="status" data-is="safe">`)
	p.now = p.now.Add(25 * time.Hour)
	page := p.page("/")
	holds(t, page, `href="/evidence#people"><span>People</span><b class="status" data-is="unknown">`, "too long ago to count", "Not\u00a0known: devices, people, backups, web and mail.")
}

func TestARoomThatFailsKeepsWhatItSaid(t *testing.T) {
	p := newPractice(t)
	doors := safe("identity.doors", layer.People, "All 12 people have at least 2 ways in.", p.now)
	kit := safe("identity.kit", layer.People, "The kit was read back from the paper.", p.now)
	sealed := safe("vault.sealed", layer.Records, "Every record is sealed.", p.now)
	p.says(doors, kit, sealed)
	for _, c := range []struct {
		title  string
		said   []answer
		stays  []string
		leaves []string
	}{
		{"a claim fails, its room stays", []answer{{layer.Evidence{Claim: "identity.doors"}, errors.New("no")}, {kit, nil}}, []string{doors.Text, kit.Text}, []string{sealed.Text}},
		{"a claim fails for one of the things it is said of", []answer{{layer.Evidence{Claim: "identity.doors", Text: "Half of a look."}, nil}, {layer.Evidence{Claim: "identity.doors"}, errors.New("no")}, {kit, nil}, {sealed, nil}}, []string{doors.Text, kit.Text, sealed.Text}, []string{"Half of a look."}},
		{"a room broke after its first claim", []answer{{doors, nil}, {layer.Evidence{Claim: "identity.kit"}, errors.New("no")}, {sealed, nil}}, []string{doors.Text, kit.Text, sealed.Text}, nil},
		{"nobody knows which room broke", []answer{{layer.Evidence{}, errors.New("no")}}, []string{doors.Text, kit.Text, sealed.Text}, nil},
	} {
		t.Run(c.title, func(t *testing.T) {
			p.says(doors, kit, sealed)
			p.said = c.said
			if err := p.look(); err == nil {
				t.Error("a look in which a room failed says nothing to the operator")
			}
			page := p.page("/evidence")
			holds(t, page, c.stays...)
			lacks(t, page, c.leaves...)
		})
	}
}

func TestAClaimThatNobodyMakesAnyMoreIsGone(t *testing.T) {
	p := newPractice(t)
	kit := safe("identity.kit", layer.People, "The kit was read back from the paper.", p.now)
	p.says(kit, safe("devices.ben", layer.Devices, "Ben’s laptop is encrypted.", p.now), safe("devices.ben", layer.Devices, "Ben’s phone is locked.", p.now))
	holds(t, p.page("/evidence"), "Ben’s laptop", "Ben’s phone")
	p.says(kit, safe("devices.ben", layer.Devices, "Ben’s laptop is encrypted.", p.now))
	lacks(t, p.page("/evidence"), "Ben’s phone")
	p.says(kit)
	page := p.page("/evidence")
	lacks(t, page, "Ben’s laptop")
	holds(t, page, kit.Text, "Nothing watches devices yet.")
}

func TestAnInterruptedLookChangesNothing(t *testing.T) {
	p := newPractice(t)
	p.says(safe("identity.kit", layer.People, "The kit was read back from the paper.", p.now))
	p.said = nil
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := p.Layer().Jobs[0].Run(ctx); err == nil {
		t.Error("an interrupted look ends without an error")
	}
	holds(t, p.page("/evidence"), "The kit was read back")
}

func TestWhatIsAskedForKeepsItsDay(t *testing.T) {
	p := newPractice(t)
	p.patients = 9
	ask := needs("identity.doors", layer.People, "Dana has one way in only.", "Add another way in", "/doors", 2, p.now)
	p.says(ask)
	holds(t, p.page("/"), "One small thing waits for you.", ">Nov 30</time>", "2 min")
	p.now = p.now.AddDate(0, 0, 3)
	ask.Text = "Dana and Ben have one way in only."
	p.says(ask)
	holds(t, p.page("/"), "by <time", ">Nov 30</time>")
	p.now = p.now.AddDate(0, 0, 5)
	page := p.page("/")
	holds(t, page, "asked <time", ">8 days ago</time>")
	lacks(t, page, "by <time")
	ask.State = layer.Safe
	p.says(ask)
	ask.State = layer.NeedsYou
	p.says(ask)
	holds(t, p.page("/"), ">Dec 8</time>") // it was well meanwhile: a new week
}

func TestAtMostThreeThingsAreAskedForAtATime(t *testing.T) {
	p := newPractice(t)
	p.patients = 1
	var all []layer.Evidence
	for i, minutes := range []int{30, 4, 1, 9} {
		all = append(all, needs("devices."+string(rune('a'+i)), layer.Devices, "Laptop "+string(rune('A'+i))+" is silent.", "Ask", "/devices", minutes, p.now))
	}
	p.says(all...)
	page := p.page("/")
	holds(t, page, "Four things wait for you.", "1 more thing can wait", "Four things, 44 minutes")
	lacks(t, page, "Laptop A")
	if c, b := strings.Index(page, "Laptop C"), strings.Index(page, "Laptop B"); c < 0 || b < c {
		t.Errorf("the quickest thing does not come first")
	}
	p.patients = 0
	p.says(all...)
	holds(t, p.page("/"), "First steps", "No things done, four next, 44 minutes", "Laptop A")
}

func TestAThingIsDueOnItsOwnDayAndElseAWeekAfterItWasAsked(t *testing.T) {
	p := newPractice(t)
	p.patients = 1
	own := needs("identity.access", layer.People, "Somebody left.", "Look", "/people", 2, p.now)
	own.By = p.now.AddDate(0, 0, 3)
	p.says(own)
	day := func(at time.Time) string { return `datetime="` + at.UTC().Format("2006-01-02") }
	holds(t, p.page("/"), day(own.By))
	own.By = time.Time{}
	p.says(own)
	page := p.page("/")
	holds(t, page, day(p.now.AddDate(0, 0, 7)))
	lacks(t, page, day(p.now.AddDate(0, 0, 3)))
}

func TestSomebodyWhoIsNoOwnerGetsNoButtons(t *testing.T) {
	p := newPractice(t)
	p.patients = 1
	p.owner = false
	p.says(needs("identity.kit", layer.People, "There is no recovery kit.", "Make the recovery kit", "/kit", 3, p.now))
	page := p.page("/")
	holds(t, page, "One small thing waits for the owner.", "For the owner", "There is no recovery kit")
	lacks(t, page, `href="/kit"`, "Needs you")
	page = p.page("/evidence")
	holds(t, page, "For the owner", "Make the recovery kit, 3 minutes")
	lacks(t, page, `href="/kit"`, "Needs you")
}

func TestHarmIsNeverFollowedByNice(t *testing.T) {
	p := newPractice(t)
	p.patients = 1
	p.says(layer.Evidence{Claim: "identity.roster", Place: layer.People, State: layer.Urgent, Seen: p.now, Text: "The list of people is not the one that was signed. Nothing is opened with it.", Page: "/people", Fix: "Look at the list", Minutes: 30})
	page := p.page("/")
	holds(t, page, "<h1>The list of people is not the one that was signed.</h1>", "Nothing is opened with it. Since <time")
	lacks(t, page, "Nice")
}

func TestAtMostThreeHarmsAreOnTheScreen(t *testing.T) {
	p := newPractice(t)
	var all []layer.Evidence
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, layer.Evidence{Claim: "devices." + name, Place: layer.Devices, State: layer.Urgent, Seen: p.now, Text: "Harm on laptop " + name + ".", Page: "/devices", Fix: "Close it"})
	}
	p.says(all...)
	page := p.page("/")
	holds(t, page, "<h1>Harm on laptop a.</h1>", "Harm on laptop c", "1 more is listed under")
	lacks(t, page, "Harm on laptop d")
	if n := strings.Count(page, "button first"); n != 1 {
		t.Errorf("the page has %d first buttons, want one", n)
	}
}

func TestADrillThatDidNotHoldIsUrgent(t *testing.T) {
	p := newPractice(t)
	p.says(full(p.now)...)
	p.allHeld(p.now)
	p.now = p.now.Add(time.Hour)
	p.tried(layer.Report{Drill: "theft", Held: new(false), Tried: 33000, Opened: 2, Findings: []string{"Two records open with a key that lies in the configuration."}, TookMS: 4000}, p.now)
	page := p.page("/")
	holds(t, page, "<h1>A thief’s copy of everything opened 2 of 33,000 records.</h1>", `<title>Urgent`, `href="/evidence#drill-theft">See what was found`)
	lacks(t, page, "Last proof")
	holds(t, p.page("/evidence"), "Two records open with a key", "Did not hold")
}

func TestBothDatabasesKeepTheSame(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		p := newPracticeIn(t, open())
		p.patients = 33000
		p.allHeld(p.now)
		p.says(full(p.now)...)
		p.says(full(p.now)...)
		golden(t, "both", p.page("/"))
		golden(t, "both-evidence", p.page("/evidence"))
	})
}

func TestADrillCountsForThirtyDays(t *testing.T) {
	p := newPractice(t)
	p.says()
	p.allHeld(p.now)
	holds(t, p.page("/"), `<span>Records</span><b class="status" data-is="safe">`, "Last proof: a thief’s copy of everything opened <a href=\"/evidence#drill-theft\">0 of 33,000 records</a>")
	p.now = p.now.AddDate(0, 0, 31)
	holds(t, p.page("/"), `<span>Records</span><b class="status" data-is="unknown">`, "That is too long ago to count.")
}

func TestADrillIsKeptWithItsFact(t *testing.T) {
	p := newPractice(t)
	p.tried(layer.Report{Drill: "theft", Held: new(true), Tried: 33000}, p.now)
	p.tried(layer.Report{Drill: "push-spam", Held: new(false), Tried: 10}, p.now)
	p.tried(layer.Report{Drill: "tamper", Skipped: "no room on the disk"}, p.now)
	var got []string
	for e, err := range p.ledger.Facts(t.Context(), ledger.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Kind+" "+e.Part)
	}
	if want := "home.drill-held theft, home.drill-failed push-spam"; strings.Join(got, ", ") != want {
		t.Errorf("the ledger holds %q, want %q: a skipped drill proves nothing", got, want)
	}
	if err := p.Save(t.Context(), layer.Report{Drill: "Theft of Jane", Held: new(true), Tried: 1}, p.now); err == nil {
		t.Error("a drill with free words for a name was kept")
	}
	lacks(t, p.page("/evidence"), "Jane")
}

func TestASkippedOrOlderDrillReplacesNoOutcome(t *testing.T) {
	p := newPractice(t)
	p.tried(layer.Report{Drill: "theft", Held: new(true), Tried: 33000}, p.now)
	p.tried(layer.Report{Drill: "theft", Skipped: "the disk is full"}, p.now)
	p.tried(layer.Report{Drill: "theft", Held: new(false), Tried: 5, Opened: 5}, p.now.Add(-time.Hour))
	holds(t, p.page("/"), "0 of 33,000 records</a>", "The newest attempt was skipped: the disk is full.")
}

func TestADrillThatTriedNothingProvesNothing(t *testing.T) {
	p := newPractice(t)
	p.tried(layer.Report{Drill: "theft", Held: new(true)}, p.now)
	page := p.page("/")
	lacks(t, page, "Last proof")
	holds(t, page, `<span>Records</span><b class="status" data-is="unknown">`)
}

func TestTheCountOfPatientsIsKeptWithItsAge(t *testing.T) {
	p := newPractice(t)
	p.patients = 33000
	p.says()
	p.now = p.now.Add(3 * time.Hour)
	p.patients = -1
	if err := p.look(); err == nil {
		t.Error("patients could not be counted, and the operator hears nothing")
	}
	holds(t, p.page("/"), "Sealed here: 33,000 patients, counted <time", ">3 hours ago</time>")
}
