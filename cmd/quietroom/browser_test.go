package main

import (
	"context"
	"os"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/vault"
)

// pictures is where browser tests leave what they saw, if anybody wants to look.
func pictures(t *testing.T) string {
	dir := os.Getenv("QUIETROOM_PICTURES")
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// enterAs opens the demo's sign-in link of a made-up person in the tab.
func (t *trial) enterAs(tt *testing.T, tab *webtest.Tab, handle string) {
	tt.Helper()
	code, err := parsePersonal(t.Codes[handle])
	if err != nil {
		tt.Fatal(err)
	}
	tab.Go(t.URL + t.identity.DemoLink(handle, code))
	tab.Click("main button")
	tab.Arrive("/")
}

func testTrial(t *testing.T, patients int) *trial {
	t.Helper()
	house, err := newTrial(t.Context(), patients)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := house.close(); err != nil {
			t.Error(err)
		}
	})
	return house
}

// Every page of every room, with full data, at phone and desktop width, in light
// and dark: nothing that axe finds, no complaint of the browser, nothing that
// scrolls sideways.
func TestEveryPageOfTheHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	h := testTrial(t, 60)
	held := true
	for _, name := range drillNames() {
		if err := h.home.Save(t.Context(), layer.Report{Drill: name, Held: &held, Tried: 33_000, TookMS: 4200}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	session, done, err := h.Unlock(t.Context(), h.Codes["owner-1"])
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	patient := h.patientWithMost(t, session)
	h.settle(t)

	tab := webtest.Browser(t)
	dir := pictures(t)
	for name, path := range map[string]string{"cover": "/unlock", "cover-code": "/unlock/code"} {
		tab.EveryWay(h.URL+path, name, dir)
	}
	h.enterAs(t, tab, "owner-1")
	approve, _, err := h.identity.Ask(t.Context(), "export", id.From(session))
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"home": "/", "evidence": "/evidence", "people": "/people", "doors": "/doors",
		"patients": "/patients", "new-patient": "/patients/new", "chart": "/patients/" + patient,
		"edit": "/patients/" + patient + "/edit", "looked": "/patients/" + patient + "/looked", "note": "/patients/" + patient + "/notes/new",
		"kit": "/kit", "approve": approve, "mail": "/mail", "mail-server": "/mail/server", "sign-in-watch": "/signins", "web-site": "/site",
	} {
		tab.EveryWay(h.URL+path, name, dir)
	}
	desk := tab.Another()
	h.enterAs(t, desk, "front-desk-1")
	desk.EveryWay(h.URL+"/patients/"+patient, "chart-front-desk", dir)
	desk.EveryWay(h.URL+"/patients/AAAAAAAAAAAAAAAAAAAAAAAAAA", "unknown-patient", dir)
}

// settle waits until home has asked every room.
func (t *trial) settle(tt *testing.T) {
	tt.Helper()
	for _, l := range t.layers {
		for _, job := range l.Jobs {
			if err := job.Run(tt.Context()); err != nil {
				tt.Fatal(err)
			}
		}
	}
}

// patientWithMost returns a patient with notes and files.
func (t *trial) patientWithMost(tt *testing.T, ctx context.Context) (best string) {
	tt.Helper()
	most := -1
	for p, err := range t.vault.Patients(ctx) {
		if err != nil {
			tt.Fatal(err)
		}
		c, err := t.vault.Open(ctx, p, vault.Chart)
		if err != nil {
			tt.Fatal(err)
		}
		list, err := c.List(ctx)
		if err != nil {
			tt.Fatal(err)
		}
		if c.Close(); len(list) > most {
			most, best = len(list), string(p)
		}
	}
	return best
}
