package identity

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"quietroom/ground/store"
	"quietroom/layer"
)

func TestNoticesOfOnesOwnWaysInGoToTwoAddresses(t *testing.T) {
	s := serveSQLite(t, false)
	var told []layer.Notice
	s.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { told = append(told, n); return nil }
	ana := s.claimed()
	me := s.session(ana).Person
	set := func(mail, second string) int {
		return s.signs(ana, actAddresses, string(me), "/doors/addresses", url.Values{"mail": {mail}, "second": {second}})
	}
	if got := set("ana@example.org", "ana@home.example.org"); got != http.StatusSeeOther {
		t.Fatalf("giving two addresses answers %d", got)
	}
	if all, err := s.Addresses(t.Context(), me); err != nil || !slices.Equal(all, []string{"ana@example.org", "ana@home.example.org"}) {
		t.Errorf("the addresses are %v (%v)", all, err)
	}
	if got := set("thief@example.net", ""); got != http.StatusSeeOther || len(told) != 2 || told[0].Address != "ana@example.org" || told[1].Address != "ana@home.example.org" {
		t.Errorf("the old addresses are not told: %d %+v", got, told)
	}
	if got, err := ana.Post(t.Context(), "/doors/addresses", url.Values{"mail": {"x@example.net"}}); err != nil || got != http.StatusForbidden {
		t.Errorf("without a tap the addresses are changed: %d (%v)", got, err)
	}
	told = nil
	other := s.withPasskey(ana)
	if err := other.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.remove(ana, s.doorOf(other))
	if len(told) != 2 || told[0].Subject != "A way in was added" || told[1].To != me {
		t.Errorf("a door was made and closed, and told is %+v", told)
	}
}
