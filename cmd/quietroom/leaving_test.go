package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web/webtest"
	"quietroom/rooms/vault"
)

// Somebody leaves, from the home page to the proof, as an owner walks it, with
// the person who leaves at a browser too.
func TestSomebodyLeavesInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	h := testTrial(t, 60)
	h.settle(t)
	dir := pictures(t)
	session, done, err := h.Unlock(t.Context(), h.Codes["clinician-1"])
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	who := id.From(session).Person
	name, err := h.identity.Name(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	chart := h.ownPatient(t, session)

	owner := webtest.Browser(t)
	owner.Dark(false)
	h.enterAs(t, owner, "owner-1")
	leaver := owner.Another()
	leaver.Dark(false)
	h.enterAs(t, leaver, "clinician-1")
	leaver.Go(h.URL + "/patients/" + chart)

	// a plan, and it is taken back
	owner.Click(`nav.verbs a[href="/leaving"]`)
	owner.Arrive("/leaving")
	owner.EveryWay(h.URL+"/leaving", "leaving", dir)
	owner.Click(`input[value="` + string(who) + `"]`)
	owner.Click(`input[value=hour]`)
	choose(owner, "#to", "clinician-2", h, t)
	owner.Click("form button.first")
	owner.Arrive("/leaving/check")
	if got := owner.See("h1"); !strings.HasPrefix(got, name+" leaves ") {
		t.Errorf("the page before the tap says %q", got)
	}
	at := webtest.Eval[string](owner, "location.href")
	owner.EveryWay(at, "leaving-check-hour", dir)
	owner.Click("form[data-tap] button.first")
	plan := arriveAt(t, owner, "/leaving/")
	if got := owner.See("h1"); !strings.HasPrefix(got, name+" leaves on ") {
		t.Errorf("the plan says %q", got)
	}
	owner.EveryWay(h.URL+plan, "leaving-plan", dir)
	leaver.Go(h.URL + plan)
	if got := leaver.See("h1"); !strings.HasPrefix(got, name+" leaves on ") {
		t.Errorf("who leaves reads %q", got)
	}
	leaver.EveryWay(h.URL+plan, "leaving-plan-leaver", dir)
	owner.Go(h.URL + plan)
	owner.Click("form[data-tap=keep-doors] button")
	owner.Arrive("/leaving")

	// now: the open chart covers itself
	leaver.Go(h.URL + "/patients/" + chart)
	owner.Go(h.URL + "/leaving/check?who=" + string(who) + "&when=past&at-past=" + time.Now().Add(-time.Hour).Format("2006-01-02T15:04"))
	if got := owner.See("section[aria-labelledby=since] p"); !strings.Contains(got, "opened") {
		t.Errorf("since then: %q", got)
	}
	owner.EveryWay(webtest.Eval[string](owner, "location.href"), "leaving-check-past", dir)
	owner.Click("form[data-tap] button.first")
	proof := arriveAt(t, owner, "/leaving/")
	leaver.Arrive("/unlock")
	leaver.Go(h.URL + "/patients/" + chart)
	leaver.Arrive("/unlock")
	leaver.Calm()
	if got := owner.See("h1"); !strings.HasPrefix(got, name+" left. 0 of ") || !strings.HasSuffix(got, " doors accepted, 0 current keys reachable.") {
		t.Errorf("the proof says %q", got)
	}
	owner.EveryWay(h.URL+proof, "leaving-proof", dir)

	// the patients go to a colleague
	choose(owner, "#to", "clinician-2", h, t)
	owner.Click("form[action$=successor] button")
	owner.Arrive(proof)
	owner.See("form[action$=patients] button.first")
	owner.EveryWay(h.URL+proof, "leaving-named", dir)
	owner.Click("form[action$=patients] button.first")
	owner.Arrive(proof)
	reads(t, owner, "#patients > div", " are handed over to ")

	// what is outside is somebody's word
	owner.Click("#outside details summary")
	owner.Click("#outside details form button")
	reads(t, owner, "#outside li", " does it by ")
	owner.Click("#outside form[action$='mailbox/done'] button")
	reads(t, owner, "#outside li", "said so")

	// a made-up person leaves in the same way, and the page shows how that went
	h.leaving.Walk = h.walkMadeUp
	h.settle(t)
	owner.EveryWay(h.URL+proof, "leaving-walked", dir)
	if got := owner.See("section[aria-labelledby=walk] > div"); !strings.Contains(got, "Held") || !strings.Contains(got, "12 doors opened before, 0 after.") || !strings.Contains(got, "0 of 4 from after") {
		t.Errorf("the made-up person: %q", got)
	}
	owner.Click("form[action$='/try'] button")
	owner.Arrive(proof)
	owner.EveryWay(h.URL+"/leaving", "leavings", dir)
	desk := owner.Another()
	desk.Dark(false)
	h.enterAs(t, desk, "front-desk-1")
	desk.EveryWay(h.URL+"/leaving", "leaving-not-owner", dir)
	owner.Go(h.URL + "/")
	owner.Calm()
}

// choose selects a person in a list.
func choose(tab *webtest.Tab, css, handle string, h *trial, t *testing.T) {
	t.Helper()
	session, done, err := h.Unlock(t.Context(), h.Codes[handle])
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	webtest.Eval[any](tab, `document.querySelector('`+css+`').value = '`+string(id.From(session).Person)+`'; null`)
}

// reads waits until a part of the page says something.
func reads(t *testing.T, tab *webtest.Tab, css, what string) {
	t.Helper()
	got := ""
	for range 300 {
		if got = webtest.Eval[string](tab, `document.querySelector("`+css+`")?.textContent ?? ""`); strings.Contains(got, what) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s says %q, want %q in it", css, got, what)
}

// arriveAt waits until the tab is at a page below an address, and returns its path.
func arriveAt(t *testing.T, tab *webtest.Tab, above string) string {
	t.Helper()
	for range 500 {
		path := ""
		if path = tab.Path(); strings.HasPrefix(path, above) && len(path) == len(above)+26 {
			tab.Arrive(path)
			return path
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the tab is at %s, and did not arrive below %s", tab.Path(), above)
	return ""
}

// ownPatient is a patient in somebody's care.
func (t *trial) ownPatient(tt *testing.T, session context.Context) string {
	tt.Helper()
	for p, err := range t.vault.Patients(session) {
		if err != nil {
			tt.Fatal(err)
		}
		c, err := t.vault.Open(session, p, vault.Chart)
		if err == nil {
			c.Close()
			return string(p)
		}
	}
	tt.Fatal("there is no patient in this person's care")
	return ""
}
