package training_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/training"
)

func TestAServerThatRefusesByRuleHoldsAllBackAndIsTold(t *testing.T) {
	h := newHouse(t, 8)
	h.must(h.TurnOn(t.Context()))
	h.held = true
	h.run(20 * 24 * time.Hour)
	if len(h.letters) < 4 {
		t.Fatalf("only %d letters", len(h.letters))
	}
	h.code = "550 5.7.26" // DMARC, as Google says it
	for _, l := range h.letters {
		h.states[l] = "refused"
	}
	h.must(h.Turn(t.Context()))
	before := len(h.letters)
	h.run(40 * 24 * time.Hour)
	if len(h.letters) != before {
		t.Errorf("%d more were sent to servers that refuse them", len(h.letters)-before)
	}
	if e := h.says("training.practice"); e.State != layer.NeedsYou || !strings.Contains(e.Text+e.Why, "DMARC") {
		t.Errorf("%v %s", e.State, e.Text)
	}
	h.held = false
	if code, _, _ := h.post(0, "/training/practice", "/training/practice", map[string][]string{"do": {"again"}}); code != 303 {
		t.Errorf("%d", code)
	}
	h.run(31 * 24 * time.Hour)
	if len(h.letters) == before {
		t.Error("they do not go on after an owner said so")
	}
}

func TestABounceOrAGreylistStopsNobodyElse(t *testing.T) {
	h := newHouse(t, 6)
	h.takes = 25 * time.Minute // greylisted: taken at the second try
	h.must(h.TurnOn(t.Context()))
	h.run(33 * 24 * time.Hour)
	n := len(h.letters)
	h.states[h.letters[n-1]], h.code = "refused", "550 5.1.1" // one address is gone
	h.run(24 * time.Hour)
	if e := h.says("training.practice"); e.State != layer.Safe {
		t.Errorf("%v %s", e.State, e.Text)
	}
	h.run(31 * 24 * time.Hour)
	if len(h.letters) < n+5 {
		t.Errorf("after one bounce %d were sent, then %d", n, len(h.letters))
	}
}

func TestWithoutAServerNothingIsSentTwiceLater(t *testing.T) {
	h := newHouse(t, 5)
	h.unsent = true
	h.must(h.TurnOn(t.Context()))
	h.run(75 * 24 * time.Hour)
	if e := h.says("training.practice"); e.State != layer.NeedsYou {
		t.Errorf("%v %s", e.State, e.Text)
	}
	h.unsent = false
	h.run(20 * time.Hour)
	per := map[id.Person]int{}
	for _, m := range h.sent {
		if per[m.To]++; per[m.To] > 1 {
			t.Errorf("%s gets the messages of months that are over", m.To)
		}
	}
}

func TestWhoLeavesGetsNothingAndOldLinksAreDead(t *testing.T) {
	h := newHouse(t, 5)
	h.must(h.TurnOn(t.Context()))
	h.run(33 * 24 * time.Hour)
	leaver := h.staff[4]
	var old training.Message
	for _, m := range h.sent {
		if m.To == leaver.ID {
			old = m
		}
	}
	open := func() (n int) {
		for d, err := range h.Layer().Knock(t.Context(), leaver.ID, []layer.Door{{}}) {
			h.must(err)
			if d.Open {
				n++
			}
		}
		return n
	}
	if open() == 0 || h.page(link(old)) != 200 {
		t.Fatal("nothing goes to the person before")
	}
	h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
		return h.Layer().Offboard(t.Context(), tx, layer.Leaving{Person: leaver.ID, At: h.clock()})
	}))
	// The doors close first; the list of people may still hold the leaver for a moment.
	if open() != 0 || h.page(link(old)) != 404 {
		t.Error("something still goes to who left")
	}
	h.staff = h.staff[:4]
	n, told := len(h.letters), len(h.notices)
	h.run(60 * 24 * time.Hour)
	for _, l := range h.letters[n:] {
		if h.sent[l].To == leaver.ID {
			t.Error("who left gets a practice message")
		}
	}
	for _, notice := range h.notices[told:] {
		if notice.To == leaver.ID {
			t.Error("who left is reminded")
		}
	}
}

func (h *house) page(path string) int {
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code
}

func TestAGuessedTokenFindsNothing(t *testing.T) {
	h := newHouse(t, 1)
	m := h.oneMessage()
	for _, path := range []string{"/m/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/m/x", "/m/" + strings.Repeat("A", 400), strings.ToLower(link(m)), link(m)[:len(link(m))-1] + "A", "/m/%27%20OR%201=1"} {
		if path == link(m) {
			continue
		}
		if code := h.page(path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
		r := httptest.NewRequest("POST", path, strings.NewReader("go=yes"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.mux.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if h.dbHasNot(strings.TrimPrefix(link(m), "/m/"), m.Marker); len(h.whys(m)) != 0 {
		t.Errorf("guessing wrote something down: %v", h.whys(m))
	}
	if strings.Contains(h.log.String(), "/m/") {
		t.Error("a log holds a link")
	}
}

func TestTheCalendarKnowsHolidaysAndZones(t *testing.T) {
	for day, works := range map[string]bool{
		"2026-01-01": false, "2026-01-02": true, "2026-01-19": false, "2026-02-16": false, "2026-05-25": false, "2026-05-18": true, "2026-06-19": false, "2026-07-03": false, "2026-07-04": false,
		"2026-09-07": false, "2026-10-12": false, "2026-11-11": false, "2026-11-26": false, "2026-11-27": false, "2026-12-25": false, "2026-12-24": true, "2027-12-24": false, "2027-06-18": false, "2026-03-07": false, "2026-11-20": true, "2021-12-31": false,
	} {
		at, err := time.Parse(time.DateOnly, day)
		h := &house{t: t}
		h.must(err)
		if training.Working(at) != works {
			t.Errorf("%s (%s): a working day %v, want %v", day, at.Weekday(), !works, works)
		}
	}
	// Nine in the morning in Honolulu is evening in London; summer time moves nothing.
	for _, c := range []struct {
		at, zone string
		works    bool
	}{
		{"2026-07-07T19:00:00Z", "Pacific/Honolulu", true}, {"2026-07-07T18:00:00Z", "Pacific/Honolulu", false},
		{"2026-03-09T13:00:00Z", "America/New_York", true}, {"2026-03-06T13:00:00Z", "America/New_York", false}, {"2026-03-06T14:00:00Z", "America/New_York", true},
		{"2026-07-07T14:00:00Z", "no such zone", true}, {"2026-07-04T03:00:00Z", "Pacific/Guam", false},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		if training.AtWork(at, c.zone) != c.works {
			t.Errorf("%s in %s: %v", c.at, c.zone, !c.works)
		}
	}
}

func TestFewerThanFivePeopleAreNeverTold(t *testing.T) {
	for _, people := range []int{4, 6} {
		h := newHouse(t, people)
		h.must(h.TurnOn(t.Context()))
		h.run(33 * 24 * time.Hour)
		h.must(h.ReportMark(h.as(0), h.sent[h.letters[0]].Marker))
		_, page := h.get(0, "/training/practice")
		if told := strings.Contains(page, "What came of practice messages"); told != (people >= 5) {
			t.Errorf("%d people, and figures are shown: %v", people, told)
		}
	}
}
