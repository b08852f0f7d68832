package glass_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/authenticator"
	"quietroom/rooms/identity/glass"
)

// inHouse runs a test in a house on both databases.
func inHouse(t *testing.T, test func(t *testing.T, h *house)) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) { test(t, newHouse(t, open())) })
}

func TestOneChartOpensForAnHourAndEverybodyWhoShouldKnowDoes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		if h.reads("jo", h.mara) {
			t.Fatal("Jo reads Sam's patient before anything was broken")
		}
		if _, page := h.get("jo", "/patients/"+string(h.mara)); !strings.Contains(page, `href="/glass/break/`+string(h.mara)+`"`) {
			t.Errorf("the closed chart does not offer to break the glass: %s", inside(page))
		}
		h.breaks("jo", h.mara)
		if !h.reads("jo", h.mara) {
			t.Fatal("the glass is broken, and the chart is closed")
		}
		if h.reads("jo", h.noor) {
			t.Fatal("the glass of one patient opens another one's chart")
		}
		_, page := h.get("jo", "/patients/"+string(h.mara))
		if !strings.Contains(page, "1 hour left") || !strings.Contains(page, `action="/glass/end/`) {
			t.Errorf("the open chart does not say how long: %.900s", inside(page))
		}

		broken := h.facts("glass.broken")
		if len(broken) != 1 || broken[0].Subject != string(h.mara) || broken[0].Actor.Person != h.people["jo"] || broken[0].Reason != "cover" || id.Check(broken[0].Ref) != nil {
			t.Fatalf("the facts of the breaking are %+v", broken)
		}
		under := 0
		for _, f := range h.facts("vault.opened") {
			if f.Reason != "glass" {
				continue
			}
			if under++; f.Subject != string(h.mara) || f.Actor.Person != h.people["jo"] || f.Part != layer.PartChart {
				t.Errorf("an opening under the glass is told as %+v", f)
			}
		}
		if under == 0 {
			t.Error("no opening under the glass has a fact that says so")
		}
		told := h.mail.to()
		slices.Sort(told)
		want := []id.Person{h.people["ana"], h.people["sam"]}
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("told were %v, want the owner and the patient's clinician", told)
		}
		for _, n := range h.mail.sent {
			if text := n.Subject + n.Text + n.Link; strings.Contains(text, "Mara") || strings.Contains(text, "Haddad") || strings.Contains(text, string(h.mara)) || strings.Contains(text, "ill") {
				t.Errorf("a notice tells of the patient: %q", text)
			}
		}

		h.clock.pass(8 * time.Minute)
		for range 6 { // somebody is there all the time
			h.must(h.browser("jo").Renew(t.Context()))
			h.clock.pass(8 * time.Minute)
		}
		h.must(h.browser("jo").Renew(t.Context()))
		h.clock.pass(3 * time.Minute) // 59
		if !h.reads("jo", h.mara) {
			t.Error("the chart is closed in the 59th minute")
		}
		h.clock.pass(2 * time.Minute) // 61
		if h.reads("jo", h.mara) {
			t.Error("the chart is open in the 61st minute")
		}
		if status, _ := h.get("jo", "/patients"); status != http.StatusOK {
			t.Errorf("the session ended (%d), so that the 61st minute proves nothing", status)
		}
	})
}

func TestWithoutEverythingThatItTakesTheGlassStaysWhole(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		jo := h.browser("jo")
		elsewhere := h.another()
		elsewhere.Device = jo.Device
		h.must(elsewhere.SignIn(t.Context()))
		for name, try := range map[string]func() int{
			"no reason":        func() int { return h.post("jo", h.mara, "", "", h.tap("jo", glass.ActBreak, string(h.mara))) },
			"a reason made up": func() int { return h.post("jo", h.mara, "curious", "x", h.tap("jo", glass.ActBreak, string(h.mara))) },
			"no sentence":      func() int { return h.post("jo", h.mara, "cover", " ", h.tap("jo", glass.ActBreak, string(h.mara))) },
			"a book": func() int {
				return h.post("jo", h.mara, "cover", strings.Repeat("x", 3000), h.tap("jo", glass.ActBreak, string(h.mara)))
			},
			"no tap": func() int { return h.post("jo", h.mara, "cover", "words", "") },
			"another act": func() int {
				return h.post("jo", h.mara, "cover", "words", h.tap("jo", identity.ActApprove, string(h.mara)))
			},
			"another patient": func() int { return h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.noor))) },
			"somebody else's": func() int {
				return h.post("jo", h.mara, "cover", "words", h.tap("sam", glass.ActBreak, string(h.mara)))
			},
			"the front desk": func() int { return h.post("pat", h.mara, "danger", "", h.tap("pat", glass.ActBreak, string(h.mara))) },
			"a patient unknown": func() int {
				p := id.New[id.Patient]()
				return h.post("jo", p, "danger", "", h.tap("jo", glass.ActBreak, string(p)))
			},
			"another session": func() int {
				ticket, err := elsewhere.Tap(t.Context(), glass.ActBreak, string(h.mara))
				h.must(err)
				return h.post("jo", h.mara, "cover", "words", ticket)
			},
			"a stale tap": func() int {
				ticket := h.tap("jo", glass.ActBreak, string(h.mara))
				h.clock.pass(2*time.Minute + time.Second)
				return h.post("jo", h.mara, "cover", "words", ticket)
			},
		} {
			if status := try(); status < 400 || status >= 500 {
				t.Errorf("%s: answered %d", name, status)
			}
			if h.reads("jo", h.mara) || h.reads("pat", h.mara) {
				t.Fatalf("%s: the chart is open", name)
			}
		}
		if n := len(h.facts("glass.broken")) + len(h.mail.to()); n != 0 {
			t.Errorf("nothing was broken, and it was told %d times", n)
		}
		// in danger nobody waits for a sentence
		if status := h.post("jo", h.mara, "danger", "", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusSeeOther || !h.reads("jo", h.mara) {
			t.Errorf("in danger the glass stays whole: %d", status)
		}
	})
}

func TestATapBreaksOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		ticket := h.tap("jo", glass.ActBreak, string(h.mara))
		if status := h.post("jo", h.mara, "cover", "words", ticket); status != http.StatusSeeOther {
			t.Fatalf("answered %d", status)
		}
		h.endNow(t, "jo", h.mara)
		if h.reads("jo", h.mara) {
			t.Fatal("it was ended early, and the chart is open")
		}
		if status := h.post("jo", h.mara, "cover", "words", ticket); status != http.StatusForbidden || h.reads("jo", h.mara) {
			t.Errorf("a tap that was used breaks again: %d", status)
		}
		if len(h.facts("glass.ended")) != 1 {
			t.Error("that it was ended is not told")
		}
	})
}

// endNow presses the button on the chart's page.
func (h *house) endNow(t *testing.T, who string, p id.Patient) {
	t.Helper()
	_, page := h.get(who, "/patients/"+string(p))
	_, rest, ok := strings.Cut(page, `action="/glass/end/`)
	if !ok {
		t.Fatalf("no button to end it: %s", inside(page))
	}
	status, err := h.browser(who).Post(t.Context(), "/glass/end/"+rest[:26], url.Values{})
	if err != nil || status != http.StatusSeeOther {
		t.Fatalf("ending answers %d, %v", status, err)
	}
}

func TestWhatIsKeptOpensOnePatientInOneSession(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		jo := h.browser("jo")
		elsewhere := h.another()
		elsewhere.Device = jo.Device
		h.must(elsewhere.SignIn(t.Context()))
		h.breaks("jo", h.mara)
		if _, page, err := elsewhere.Get(t.Context(), "/patients/"+string(h.mara)+"/all"); err != nil || strings.Contains(page, `<h2 id="notes">`) {
			t.Errorf("the same person reads it in another session (%v)", err)
		}
		if h.reads("pat", h.mara) {
			t.Error("the front desk reads it")
		}
		// locked: one tap resumes, and what was broken open stays closed
		if _, err := jo.Post(t.Context(), "/lock", url.Values{}); err != nil {
			t.Fatal(err)
		}
		if h.reads("jo", h.mara) {
			t.Error("the session was locked, and the chart is open")
		}
		h.must(jo.SignIn(t.Context()))
		if h.reads("jo", h.mara) {
			t.Error("after a lock and a new sign-in the chart is open without a new reason")
		}
	})
}

func TestUnderABrokenGlassNothingIsWritten(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		jo, at := h.browser("jo"), "/patients/"+string(h.mara)
		for path, form := range map[string]url.Values{
			"/notes": {"act": {"sign"}, "record": {string(id.New[id.Record]())}, "version": {"0"}, "form": {"dap"}, "f-data": {"A line of Jo's."}},
			"/care":  {"care": {string(h.joTeam)}},
		} {
			status, err := jo.Post(t.Context(), at+path, form)
			if err != nil || status < 400 || status >= 500 {
				t.Errorf("POST %s answers %d, %v; want a refusal", path, status, err)
			}
		}
		for _, kind := range []string{"vault.written", "vault.care-changed", "vault.rekeyed", "vault.keyed"} {
			for _, f := range h.facts(kind) {
				if f.Subject == string(h.mara) && f.Part == layer.PartChart && f.Actor.Person == h.people["jo"] {
					t.Errorf("Jo wrote: %+v", f)
				}
			}
		}
		if !h.reads("jo", h.mara) {
			t.Error("and reading ended with it")
		}
	})
}

func TestSomebodyWhoMayNotAnyMoreBreaksNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.browser("jo")
		var old []byte
		h.must(h.db.QueryRowContext(t.Context(), `SELECT box FROM glass_halves WHERE person = $1`, h.people["jo"]).Scan(&old))
		h.must(h.glass.Make(t.Context(), h.ana, h.people["sam"])) // anew, without Jo
		h.get("sam", "/patients")
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden {
			t.Errorf("Jo may not any more, and gets %d", status)
		}
		if _, page := h.get("jo", "/patients/"+string(h.mara)); strings.Contains(page, "/glass/break/") {
			t.Error("and is still offered it")
		}
		// somebody puts Jo's old half back into the database
		var making string
		h.must(h.db.QueryRowContext(t.Context(), `SELECT making FROM glass_making`).Scan(&making))
		h.exec(`INSERT INTO glass_halves (person, making, box) VALUES ($1, $2, $3)`, h.people["jo"], making, old)
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden || h.reads("jo", h.mara) {
			t.Errorf("an old half that was put back breaks the new glass: %d", status)
		}
		// and the old making with it
		var first string
		for _, f := range h.facts("glass.made") {
			first = f.Ref
			break
		}
		h.exec(`UPDATE glass_making SET making = $1`, first)
		h.exec(`UPDATE glass_halves SET making = $1 WHERE person = $2`, first, h.people["jo"])
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden || h.reads("jo", h.mara) {
			t.Errorf("an old making that was put back opens: %d", status)
		}
		refused := h.facts("glass.refused")
		if n := len(refused); n < 2 || refused[n-1].Reason != "not-signed" {
			t.Errorf("the refusals are told as %+v", refused)
		}
	})
}

func TestWithoutTheHousesHalfTheGlassStaysWholeAndSaysWhy(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		kept := *h.half.key
		h.must(h.half.DropGlassHalf())
		ticket := h.tap("jo", glass.ActBreak, string(h.mara))
		err := h.browser("jo").Ask(t.Context(), "/glass/break/"+string(h.mara)+"?reason=cover", struct{}{}, nil, identity.TapHeader, ticket)
		if _, ok := errors.AsType[*authenticator.Refused](err); !ok {
			t.Fatalf("answered %v", err)
		}
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden || h.reads("jo", h.mara) {
			t.Errorf("without the house's half: %d", status)
		}
		if e := h.evidence("glass.ready"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "half") {
			t.Errorf("the evidence says %v: %s", e.State, e.Text)
		}
		other := seal.NewKey()
		h.half.key = &other
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden || h.reads("jo", h.mara) {
			t.Errorf("with another house's half: %d", status)
		}
		h.half.key = &kept
		h.breaks("jo", h.mara)
	})
}

func TestABoxOfATeamThatWasPutBackOpensNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		var old []byte
		h.must(h.db.QueryRowContext(t.Context(), `SELECT box FROM glass_keys WHERE team = $1`, h.samTeam).Scan(&old))
		h.must(h.glass.Make(t.Context(), h.ana))
		h.get("sam", "/patients")
		var fresh []byte
		h.must(h.db.QueryRowContext(t.Context(), `SELECT box FROM glass_keys WHERE team = $1`, h.samTeam).Scan(&fresh))
		var another []byte
		h.get("jo", "/patients")
		h.must(h.db.QueryRowContext(t.Context(), `SELECT box FROM glass_keys WHERE team = $1`, h.joTeam).Scan(&another))
		for name, box := range map[string][]byte{"the old pair's": old, "another team's": another, "a torn one": fresh[:40], "none": nil} {
			if box == nil {
				h.exec(`DELETE FROM glass_keys WHERE team = $1`, h.samTeam)
			} else {
				h.exec(`UPDATE glass_keys SET box = $1 WHERE team = $2`, box, h.samTeam)
			}
			if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden || h.reads("jo", h.mara) {
				t.Errorf("%s box: answered %d", name, status)
			}
		}
		// a forged key, sealed to the pair as anybody can
		roster, err := h.identity.Roster(t.Context())
		h.must(err)
		public, _ := roster.PublicKey(seal.GlassKey)
		evil := seal.NewKey()
		box, err := seal.SealTo(public, evil[:], seal.Slot{Kind: "team-key", Practice: roster.Practice, Holder: seal.GlassKey, Subject: string(h.samTeam), Version: 1})
		h.must(err)
		h.exec(`INSERT INTO glass_keys (team, epoch, making, box) VALUES ($1, 1, '', $2) ON CONFLICT (team, epoch) DO UPDATE SET box = excluded.box`, h.samTeam, box)
		if status := h.post("jo", h.mara, "cover", "words", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden {
			t.Errorf("a key that the practice never signed: answered %d", status)
		}
	})
}

func TestRowsThatAreForgedOpenNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		// whoever writes the database moves the breaking to another patient, and makes it longer
		h.exec(`UPDATE glass_breaks SET patient = $1`, h.noor)
		if h.reads("jo", h.noor) || h.reads("jo", h.mara) {
			t.Error("a breaking that was moved opens")
		}
		h.exec(`UPDATE glass_breaks SET patient = $1, ends = ends + 86400000`, h.mara)
		if !h.reads("jo", h.mara) {
			t.Fatal("the chart is closed, so that what follows proves nothing")
		}
		for range 8 {
			h.clock.pass(8 * time.Minute)
			h.must(h.browser("jo").Renew(t.Context()))
		}
		if h.reads("jo", h.mara) {
			t.Error("an end that was put off in the database is believed")
		}
	})
}

func TestWhoLeavesLosesItAndNothingMoreIsSealedToWhatTheyKnew(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		h.must(h.identity.Change(t.Context(), h.ana, func(c *identity.Change) error {
			if err := c.RotateAll(t.Context(), h.people["jo"], true); err != nil {
				return err
			}
			return c.Sign(seal.Entry{Act: seal.Leave, Person: string(h.people["jo"])})
		}))
		h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
			return h.glass.Layer().Offboard(t.Context(), tx, layer.Leaving{Person: h.people["jo"], At: h.clock.now()})
		}))
		open := 0
		for d, err := range h.glass.Layer().Knock(t.Context(), h.people["jo"], []layer.Door{{Room: "glass", Kind: "half", Key: h.facts("glass.made")[0].Ref}}) {
			h.must(err)
			if d.Open {
				open++
			}
		}
		if open != 0 {
			t.Errorf("%d doors of the glass are open to a leaver", open)
		}
		if status, _, err := h.browser("jo").Get(t.Context(), "/patients/"+string(h.mara)); err != nil || status == http.StatusOK {
			t.Errorf("a leaver's session answers %d", status)
		}
		if e := h.evidence("glass.ready"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "Jo Park") {
			t.Errorf("the evidence says %v: %s", e.State, e.Text)
		}
		// Sam's team gets a new key: it does not go to a pair whose half Jo may know.
		h.must(h.identity.Rotate(t.Context(), h.ana, h.samTeam, []id.Person{h.people["sam"]}))
		h.must(h.browser("sam").SignIn(t.Context()))
		h.get("sam", "/patients")
		count := func() (n int) {
			h.must(h.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM glass_keys WHERE team = $1 AND epoch = 2`, h.samTeam).Scan(&n))
			return n
		}
		if count() != 0 {
			t.Error("a key that was made after a leaving is sealed to the pair that the leaver had a half of")
		}
		h.must(h.glass.Make(t.Context(), h.ana))
		h.get("sam", "/patients/"+string(h.mara))
		if count() != 1 {
			t.Error("a new pair was made, and Sam's session did not seal the new key to it")
		}
		// and Sam's team has a key once more that Jo, with half A and an old copy, could not reach
		roster, err := h.identity.Roster(t.Context())
		h.must(err)
		if team, _ := roster.Team(string(h.samTeam)); team.Epoch != 3 {
			t.Errorf("a new pair was made after a leaving, and the team goes on with key %d", team.Epoch)
		}
		if e := h.evidence("glass.ready"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "reaches") { // nobody is in Jo's team any more
			t.Errorf("the evidence says %v: %s", e.State, e.Text)
		}
	})
}

func TestWhoGotOtherKeysIsGivenANewHalf(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		roster, err := h.identity.Roster(t.Context())
		h.must(err)
		jo, _ := roster.Person(string(h.people["jo"]))
		user, err := seal.NewSeed().User()
		h.must(err)
		h.must(h.identity.Change(t.Context(), h.ana, func(c *identity.Change) error {
			return c.Sign(seal.Entry{Act: seal.Rekey, Person: string(h.people["jo"]), Keys: new(user.Keys()), Doors: jo.Doors})
		}))
		if e := h.evidence("glass.ready"); e.State != layer.NeedsYou || !strings.Contains(e.Text, "Jo Park") {
			t.Errorf("Jo got other keys, and the evidence says %v: %s", e.State, e.Text)
		}
		h.must(h.glass.Make(t.Context(), h.ana))
		if e := h.evidence("glass.ready"); strings.Contains(e.Text, "Jo Park") {
			t.Errorf("made anew, it says %s", e.Text)
		}
	})
}

func TestAPairThatIsMadeAnewReachesWhatTheOldOneDid(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		// Ana treats too, so that she may break the glass: her tap carries Sam's key over
		h.must(h.identity.Change(t.Context(), h.ana, func(c *identity.Change) error {
			return c.Sign(seal.Entry{Act: seal.Assign, Person: string(h.people["ana"]), Roles: []string{identity.Owner, identity.Clinician}})
		}))
		h.must(h.glass.Make(t.Context(), h.ana))
		h.get("jo", "/patients")
		h.get("sam", "/patients")
		h.must(h.glass.Make(t.Context(), h.ana))
		h.breaks("jo", h.mara)
		if !h.reads("jo", h.mara) {
			t.Error("the new pair does not reach Sam's team before Sam comes in")
		}
	})
}

func TestTurnedOffItOpensNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		if e := h.evidence("glass.ready"); e.Claim != "" {
			t.Errorf("before anybody turned it on, the evidence says %v: %s", e.State, e.Text)
		}
		if status := h.post("jo", h.mara, "danger", "", h.tap("jo", glass.ActBreak, string(h.mara))); status != http.StatusForbidden {
			t.Errorf("nobody ever turned it on, and it answers %d", status)
		}
		h.on()
		h.breaks("jo", h.mara)
		h.must(h.glass.Off(t.Context(), h.ana))
		if h.reads("jo", h.mara) {
			t.Error("it was turned off, and what was open stays open")
		}
		if status := h.post("jo", h.noor, "danger", "", h.tap("jo", glass.ActBreak, string(h.noor))); status != http.StatusForbidden {
			t.Errorf("turned off, it answers %d", status)
		}
		for _, table := range []string{"halves", "keys"} {
			var n int
			h.must(h.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM glass_`+table).Scan(&n))
			if n != 0 {
				t.Errorf("%d %s are left", n, table)
			}
		}
		if _, err := h.half.GlassHalf(); !errors.Is(err, glass.ErrNoHalf) {
			t.Errorf("the house's half is still there: %v", err)
		}
		if e := h.evidence("glass.ready"); e.State != layer.Off || !strings.Contains(e.Text, "Ana Reyes") {
			t.Errorf("the evidence says %v: %s", e.State, e.Text)
		}
	})
}

func TestAReviewIsASecondPersonsAndDueInThreeDays(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		h.reads("jo", h.mara)
		at := "/glass/review/" + h.facts("glass.broken")[0].Ref
		e := h.evidence("glass.reviews")
		if e.State != layer.NeedsYou || !e.By.Equal(h.clock.now().Add(72*time.Hour).Truncate(time.Millisecond)) || strings.Contains(e.Text+e.Why, "Mara") {
			t.Errorf("it waits for a review, and the evidence says %v by %v: %s", e.State, e.By, e.Text)
		}
		for who, want := range map[string]string{"ana": "Mara Haddad", "sam": "Mara Haddad", "jo": "Mara Haddad"} {
			status, page := h.get(who, at)
			if status != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, "Sam is ill, and Mara is here.") || !strings.Contains(page, "Notes and files") {
				t.Errorf("%s sees %d: %s", who, status, inside(page))
			}
			if decides := strings.Contains(page, `name="decision"`); decides != (who == "ana") {
				t.Errorf("%s is asked for a conclusion: %v", who, decides)
			}
		}
		if status, _ := h.get("pat", at); status != http.StatusNotFound {
			t.Errorf("the front desk sees the breaking: %d", status)
		}
		decide := func(who, what string) int {
			status, err := h.browser(who).Post(t.Context(), at, url.Values{"decision": {what}, "words": {"Talked with Jo and Sam."}})
			h.must(err)
			return status
		}
		if status := decide("jo", "in-order"); status != http.StatusForbidden {
			t.Errorf("Jo reviews what Jo did: %d", status)
		}
		if status := decide("ana", "whatever"); status != http.StatusUnprocessableEntity {
			t.Errorf("a conclusion of one's own making: %d", status)
		}
		h.clock.pass(72 * time.Hour)
		if e := h.evidence("glass.reviews"); e.State != layer.Urgent {
			t.Errorf("after 72 hours the evidence says %v: %s", e.State, e.Text)
		}
		h.must(h.browser("ana").SignIn(t.Context()))
		if status := decide("ana", "in-order"); status != http.StatusSeeOther {
			t.Errorf("Ana's review answers %d", status)
		}
		if status := decide("ana", "not-in-order"); status != http.StatusConflict {
			t.Errorf("a review that is finished is changed: %d", status)
		}
		if e := h.evidence("glass.reviews"); e.State != layer.Safe {
			t.Errorf("reviewed, the evidence says %v: %s", e.State, e.Text)
		}
		if f := h.facts("glass.reviewed"); len(f) != 1 || f[0].Reason != "in-order" || f[0].Actor.Person != h.people["ana"] {
			t.Errorf("the review is told as %+v", f)
		}
		if _, page := h.get("ana", at); !strings.Contains(page, "It was in order") || !strings.Contains(page, "Talked with Jo and Sam.") {
			t.Errorf("the page does not show the review: %s", inside(page))
		}
	})
}

func TestAnOwnerEndsItFromThePageOfTheNotice(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		ref := h.facts("glass.broken")[0].Ref
		if status, err := h.browser("pat").Post(t.Context(), "/glass/end/"+ref, url.Values{}); err != nil || status != http.StatusNotFound {
			t.Errorf("the front desk ends it: %d, %v", status, err)
		}
		if status, err := h.browser("ana").Post(t.Context(), "/glass/end/"+ref, url.Values{}); err != nil || status != http.StatusSeeOther {
			t.Errorf("the owner's end answers %d, %v", status, err)
		}
		if h.reads("jo", h.mara) {
			t.Error("the owner ended it, and the chart is open")
		}
	})
}

func TestNothingOfABreakingLiesInPlain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		h.breaks("jo", h.mara)
		var words []byte
		h.must(h.db.QueryRowContext(t.Context(), `SELECT words FROM glass_breaks`).Scan(&words))
		if len(words) == 0 || bytes.Contains(words, []byte("Mara")) {
			t.Errorf("what was typed is kept as %q", words)
		}
		h.must(h.db.Update(t.Context(), func(tx *store.Tx) error { return h.glass.Layer().Erase(t.Context(), tx, h.mara) }))
		h.must(h.db.QueryRowContext(t.Context(), `SELECT COALESCE(words, '') FROM glass_breaks`).Scan(&words))
		if len(words) != 0 {
			t.Error("the patient was erased, and what was typed is still there")
		}
		if status, page := h.get("ana", "/glass/review/"+h.facts("glass.broken")[0].Ref); status != http.StatusOK {
			t.Errorf("the review of an erased patient answers %d: %s", status, inside(page))
		}
		if _, err := h.identity.Kept(t.Context(), string(h.mara)); !errors.Is(err, identity.ErrGone) {
			t.Errorf("without a session something is kept: %v", err)
		}
		if h.browser("jo").Cookies()[web.SessionCookie] == "" {
			t.Error("Jo has no session")
		}
	})
}

func TestWhoIsContainedHasNothingOpen(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.on()
		for name, scope := range map[string]layer.Scope{"the person": {Person: h.people["jo"]}, "everybody": {All: true}} {
			h.breaks("jo", h.mara)
			h.must(h.db.Update(t.Context(), func(tx *store.Tx) error { return h.glass.Layer().Contain(t.Context(), tx, scope) }))
			if h.reads("jo", h.mara) {
				t.Errorf("%s was contained, and the chart is open", name)
			}
		}
	})
}
