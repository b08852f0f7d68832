package identity

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"testing"
	"time"

	"quietroom/ground/id"
)

func TestAnExportOfAServedHouseWaitsForAnOwnersTap(t *testing.T) {
	s := serveSQLite(t, false)
	owner := s.claimed()
	by := id.Actor{Person: s.owner(), Session: id.New[id.Session]()}
	page, wait, err := s.Ask(t.Context(), "export", by)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- wait(t.Context()) }()

	if status, text, err := owner.Get(t.Context(), page); err != nil || status != http.StatusOK {
		t.Fatalf("the owner sees %d, %v: %.200s", status, err, text)
	}
	approve := func(object string) int {
		t.Helper()
		ticket, err := owner.Tap(t.Context(), ActApprove, object)
		if err != nil {
			t.Fatal(err)
		}
		status, err := owner.Post(t.Context(), page, url.Values{TapField: {ticket}})
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status, err := owner.Post(t.Context(), page, url.Values{}); err != nil || status != http.StatusForbidden {
		t.Fatalf("a press without a tap got %d, %v; want 403", status, err)
	}
	if status := approve(string(id.New[id.Record]())); status != http.StatusForbidden {
		t.Fatalf("a tap for another act got %d, want 403", status)
	}
	select {
	case err := <-ended:
		t.Fatalf("the export went on without a tap: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	if status := approve(path.Base(page)); status != http.StatusSeeOther {
		t.Fatalf("the owner's tap got %d", status)
	}
	if err := <-ended; err != nil {
		t.Fatalf("the owner tapped, and the export got %v", err)
	}
	if s.facts("identity.approval-asked") != 1 || s.facts("identity.approved") != 1 {
		t.Fatal("the question and its answer are not both in the ledger")
	}
}

func TestAnExportThatNobodyApprovesIsNotDone(t *testing.T) {
	s := serveSQLite(t, false)
	s.claimed()
	_, wait, err := s.Ask(t.Context(), "export", id.Actor{Person: s.owner()})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.pass(approvalLasts + time.Second)
	if err := wait(t.Context()); !errors.Is(err, ErrNotApproved) {
		t.Fatalf("after 10 minutes without a tap: %v", err)
	}
}
