package training_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/training"
)

func TestALessonIsDoneStepByStepAndItsCertificateHolds(t *testing.T) {
	h := newHouse(t, 3)
	h.must(h.Remind(t.Context()))
	code, page := h.get(1, "/training")
	if code != 200 || !strings.Contains(page, "7 short lessons") {
		t.Fatalf("%d %s", code, page)
	}
	_, page = h.get(1, "/training/lessons/odd-links/1")
	if !strings.Contains(page, "<legend>") || strings.Contains(page, "This one holds") {
		t.Fatal("the question is not there, or its answer is")
	}
	code, _, page = h.post(1, "/training/lessons/odd-links/1", "/training/lessons/odd-links/1", url.Values{})
	if code != 422 || !strings.Contains(page, "Choose an answer first") {
		t.Errorf("without an answer: %d", code)
	}
	if code, to, _ := h.post(1, "/training/lessons/odd-links/1", "/training/lessons/odd-links/finish", url.Values{}); code != 303 || !strings.HasSuffix(to, "/odd-links/1") {
		t.Errorf("finished without answers: %d %s", code, to)
	}
	for _, step := range []string{"1", "2", "3"} {
		code, to, _ := h.post(1, "/training/lessons/odd-links/"+step, "/training/lessons/odd-links/"+step, url.Values{"q0": {"0"}})
		if code != 303 || !strings.HasSuffix(to, "/"+step+"#said") {
			t.Fatalf("step %s: %d %s", step, code, to)
		}
		h.post(1, "/training/lessons/odd-links/"+step, "/training/lessons/odd-links/"+step, url.Values{"q0": {"1"}}) // a second try changes nothing
	}
	_, page = h.get(1, "/training/lessons/odd-links/3")
	if !strings.Contains(page, "You chose") || !strings.Contains(page, "This one holds") {
		t.Error("what follows is not told")
	}
	_, to, _ := h.post(1, "/training/lessons/odd-links/3", "/training/lessons/odd-links/finish", url.Values{})
	number := strings.TrimPrefix(to, "/training/certificates/")
	for {
		n, err := h.ledger.Sequence(t.Context())
		h.must(err)
		if n == 0 {
			break
		}
	}
	c, v, err := h.Verify(t.Context(), number)
	if err != nil || !v.Holds || v.Size == 0 || c.Asked != 3 || c.Person != h.staff[1].ID || c.Version != 1 {
		t.Fatalf("%+v %+v %v", c, v, err)
	}
	if _, page = h.get(1, to); !strings.Contains(page, "of 3 at the first answer") {
		t.Errorf("the person does not read how it was answered")
	}
	if code, page = h.get(0, to); code != 200 || strings.Contains(page, "at the first answer") {
		t.Errorf("the owner reads how somebody answered: %d", code)
	}
	if code, _ = h.get(2, to); code != 404 {
		t.Errorf("a colleague reads the certificate: %d", code)
	}
	for _, change := range []string{`name = 'Somebody Else'`, `version = 2`, `at = at`, `right_ = 3, answers = '[[0],[0],[0]]', asked = 4`, `hash = 'another text'`} {
		var name, answers, hash string
		var version, right, asked int
		h.must(h.db.QueryRowContext(t.Context(), `SELECT name, answers, hash, version, right_, asked FROM training_done`).Scan(&name, &answers, &hash, &version, &right, &asked))
		h.sql(`UPDATE training_done SET ` + change)
		_, v, err = h.Verify(t.Context(), number)
		if want := change == `at = at`; err != nil || v.Holds != want {
			t.Errorf("after %s it holds: %v (%v)", change, v.Holds, err)
		}
		h.sql(`UPDATE training_done SET name = $1, answers = $2, hash = $3, version = $4, right_ = $5, asked = $6`, name, answers, hash, version, right, asked)
	}
}

func (h *house) sql(text string, args ...any) {
	h.t.Helper()
	h.must(h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(h.t.Context(), text, args...)
		return err
	}))
}

func TestRemindersAreFewAndInWorkingHours(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	h.run(13 * 7 * 24 * time.Hour) // a quarter in which nobody does anything
	if n := len(h.notices); n == 0 || n > 2*5 {
		t.Errorf("two people were reminded %d times in 13 weeks", n)
	}
	e := h.says("training.lessons")
	if e.State != layer.NeedsYou {
		t.Errorf("%v: %s", e.State, e.Text)
	}
	for _, n := range h.notices {
		if n.Link != "/training" || strings.Contains(n.Subject+n.Text, "late") {
			t.Errorf("%+v", n)
		}
	}
	h.notices = nil
	for _, l := range []string{"odd-links", "prompt-not-yours", "call-from-support", "lost-phone", "wrong-patient", "something-happened", "passkeys-and-kit", "ai-tools", "changed-account", "extortion", "leaving", "psychotherapy-notes", "ransomware", "telehealth-at-home", "tracking-pixels"} {
		for i := range h.staff {
			_, err := h.Finish(h.as(i), h.staff[i].ID, l)
			h.must(err)
		}
	}
	if e := h.says("training.lessons"); e.State != layer.Safe {
		t.Errorf("all done, and still %v: %s", e.State, e.Text)
	}
	h.run(300 * 24 * time.Hour)
	if len(h.notices) != 0 {
		t.Errorf("all was done, and %d reminders came", len(h.notices))
	}
	h.run(60 * 24 * time.Hour)
	if len(h.notices) == 0 {
		t.Error("after a year nobody is asked again")
	}
}

func TestWhoJoinsLaterAndWhatComesLaterIsNotLateAtOnce(t *testing.T) {
	h := newHouse(t, 1)
	h.run(24 * time.Hour)
	h.wait(400 * 24 * time.Hour)
	newcomer := training.Person{ID: "newcomer", Name: "New Comer", Addresses: []string{"new@practice.example"}, Roles: []string{"billing"}, Joined: h.clock()}
	h.staff = []training.Person{newcomer}
	h.run(24 * time.Hour)
	if e := h.says("training.lessons"); e.State != layer.Safe {
		t.Errorf("on the first day: %s", e.Text)
	}
	h.staff[0].Roles = []string{"billing", "clinician"} // more to learn
	h.run(24 * time.Hour)
	if e := h.says("training.lessons"); e.State != layer.Safe {
		t.Errorf("on the day of another role: %s", e.Text)
	}
	h.run(15 * 24 * time.Hour)
	if e := h.says("training.lessons"); e.State != layer.NeedsYou {
		t.Errorf("after two weeks: %s", e.Text)
	}
}

func TestOwnLessonsComeInAndWrongOnesSayWhatIsWrong(t *testing.T) {
	h := newHouse(t, 2)
	text := "---\ntitle: Our fire drill\nversion: 1\nminutes: 2\nfor: everyone\nwhen: first\nreviewed: 2026-01-01\nagain: 2027-01-01\nsources:\n- Our own plan\n---\n# Where\nDown the stairs.\n"
	code, _, page := h.post(0, "/training/team", "/training/team/lessons", url.Values{"name": {"our-fire-drill"}, "text": {strings.Replace(text, "minutes: 2", "minutes: soon", 1)}})
	if code != 422 || !regexp.MustCompile(`line 4: minutes`).MatchString(page) {
		t.Errorf("%d: the line is not named", code)
	}
	if code, _, _ = h.post(0, "/training/team", "/training/team/lessons", url.Values{"name": {"our-fire-drill"}, "text": {text}}); code != 303 {
		t.Fatalf("%d", code)
	}
	if code, page = h.get(1, "/training/lessons/our-fire-drill/1"); code != 200 || !strings.Contains(page, "Down the stairs") {
		t.Errorf("%d", code)
	}
	if code, _, _ = h.post(1, "/training/lessons/our-fire-drill/1", "/training/team/lessons", url.Values{"name": {"x"}, "text": {text}}); code != 403 {
		t.Errorf("somebody who is no owner adds a lesson: %d", code)
	}
	if code, _, _ = h.post(0, "/training/team", "/training/team/give", url.Values{"lesson": {"extortion"}, "person": {string(h.staff[1].ID)}, "day": {"2026-12-10"}}); code != 303 {
		t.Errorf("%d", code)
	}
	h.must(h.Remind(t.Context()))
	if _, page = h.get(1, "/training"); !strings.Contains(page, "Given to you this time") {
		t.Error("what was given is not shown")
	}
	if _, page = h.get(0, "/training"); strings.Contains(page, "Given to you this time") {
		t.Error("it is shown to somebody else")
	}
}

func TestEachPageRendersForItsPeople(t *testing.T) {
	h := newHouse(t, 6)
	h.must(h.TurnOn(t.Context()))
	h.run(40 * 24 * time.Hour)
	for _, path := range []string{"/training", "/training/team", "/training/practice", "/training/mine"} {
		if code, page := h.get(0, path); code != 200 || strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<no value>") {
			t.Errorf("%s: %d", path, code)
		}
	}
	for _, path := range []string{"/training/team", "/training/practice"} {
		if code, _ := h.get(1, path); code != 403 {
			t.Errorf("somebody who is no owner gets %s: %d", path, code)
		}
	}
	if strings.Contains(h.log.String(), "level=ERROR") {
		t.Error(h.log.String())
	}
}
