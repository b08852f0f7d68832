package training_test

import (
	"net/url"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
)

// TestBothDatabasesUnderstandTheRoom does one of each thing in SQLite and in
// PostgreSQL.
func TestBothDatabasesUnderstandTheRoom(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		h := newHouseIn(t, open(), 6, "http://localhost")
		h.must(h.TurnOn(t.Context()))
		for end := h.clock().Add(33 * 24 * time.Hour); h.clock().Before(end); h.wait(6 * time.Hour) {
			h.must(h.Turn(t.Context()))
			h.must(h.Remind(t.Context()))
		}
		c, err := h.Finish(h.as(0), h.staff[0].ID, "odd-links")
		h.must(err)
		h.sequence()
		if _, v, err := h.Verify(t.Context(), c.ID); err != nil || !v.Holds || v.Size == 0 {
			t.Errorf("%+v %v", v, err)
		}
		m := h.sent[h.letters[0]]
		h.page(link(m))
		h.must(h.WriteFetches(t.Context()))
		h.must(h.Forwarded(t.Context(), "smtp", forward(m.Address, raw(m))))
		h.upload(1, "odd", evil)
		_, list := h.get(0, "/training/reports")
		path := regexpFind(list, `/training/reports/[0-9A-Za-z]{26}`)
		if code, _, _ := h.post(0, path, path, url.Values{"verdict": {"bad"}}); code != 303 {
			t.Errorf("a verdict: %d", code)
		}
		if code, _, _ := h.post(0, path, path+"/lesson", url.Values{}); code != 303 {
			t.Errorf("a lesson: %d", code)
		}
		_, to, _ := h.post(0, "/training/exercises", "/training/exercises", url.Values{"script": {"pixel"}, "people": {"Jo"}})
		if code, _, _ := h.post(0, to, to, url.Values{"said": {"Off with it."}}); code != 303 {
			t.Errorf("an exercise: %d", code)
		}
		for _, path := range []string{"/training", "/training/team", "/training/practice", "/training/mine", "/training/reports", "/training/exercises", path, to} {
			if code, _ := h.get(0, path); code != 200 {
				t.Errorf("%s: %d", path, code)
			}
		}
		if sent, reported, _, _, err := h.Figures(t.Context()); err != nil || sent < 6 || reported != 1 {
			t.Errorf("sent %d, reported %d, %v", sent, reported, err)
		}
		h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
			return h.Layer().Offboard(t.Context(), tx, layer.Leaving{Person: h.staff[5].ID})
		}))
		for d, err := range h.Layer().Knock(t.Context(), h.staff[5].ID, []layer.Door{{}}) {
			if err != nil || d.Open {
				t.Errorf("%+v %v", d, err)
			}
		}
		h.must(h.Forget(t.Context()))
		h.says("")
	})
}
