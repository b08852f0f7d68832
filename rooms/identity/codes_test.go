package identity

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/layer"
)

// A good code in a browser that was never used waits for a day, its person is told,
// and may stop it; it is used up only when it opens.
func TestACodeInANewBrowserWaitsForADay(t *testing.T) {
	s := serveSQLite(t, false)
	var told []layer.Notice
	s.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { told = append(told, n); return nil }
	ana := s.claimed()
	jo, code, joP := s.member(ana, nil) // with one address
	told = nil
	stranger := s.browser()
	if _, _, err := stranger.Code(t.Context(), code); status(t, err) != http.StatusForbidden || !strings.Contains(err.Error(), "a day after") {
		t.Fatalf("in a new browser: %v", err)
	}
	if len(told) != 2 || told[0].To != joP || told[1].To != s.session(ana).Person || strings.Contains(told[0].Text+told[1].Text, code.Text()) {
		t.Errorf("with one address the person and the owner are told: %+v", told)
	}
	if _, _, err := stranger.Code(t.Context(), code); status(t, err) != http.StatusForbidden || len(told) != 2 {
		t.Errorf("at once again: %v, %d notices", err, len(told))
	}
	_, page := s.get(jo, "/doors")
	if !strings.Contains(page, "Typed in a new browser") {
		t.Error("the person's own page does not tell of it")
	}
	roster := mustRoster(t, s)
	who, _ := roster.Person(string(joP))
	var door string
	for name, d := range who.Doors {
		if d.Kind == codeDoor {
			door = name
		}
	}
	if got, _ := ana.Post(t.Context(), "/doors/"+door+"/stop", nil); got != http.StatusNotFound {
		t.Errorf("somebody else stops it: %d", got)
	}
	if got, err := jo.Post(t.Context(), "/doors/"+door+"/stop", nil); err != nil || got != http.StatusSeeOther {
		t.Fatalf("stopping answers %d (%v)", got, err)
	}
	s.clock.pass(codeLasts + time.Minute)
	if _, _, err := stranger.Code(t.Context(), code); status(t, err) != http.StatusForbidden {
		t.Errorf("it was stopped, and a day later: %v", err)
	}
	s.clock.pass(codeLasts + time.Minute)
	_, next, err := stranger.Code(t.Context(), code)
	if err != nil {
		t.Fatalf("a day after it was typed first: %v", err)
	}
	if _, _, err := s.browser().Code(t.Context(), code); status(t, err) != http.StatusForbidden || strings.Contains(err.Error(), "is good") {
		t.Errorf("a code that was used: %v", err)
	}
	if _, _, err := s.browser().Code(t.Context(), next); status(t, err) != http.StatusForbidden {
		t.Errorf("the wait of a code counts for the next one: %v", err)
	}
	s.clock.pass(codeLasts + codePatient + time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, waits, err := s.waiting(t.Context(), codeWait, door); err != nil || waits {
		t.Errorf("what nobody came back for is still there (%v)", err)
	}
}
