package identity

import (
	"testing"

	"quietroom/ground/id"
)

func TestNamesAreThoseThatAnOwnerSigned(t *testing.T) {
	h := newHouse(t)
	h.takeJoOut(t) // a new key leaves the team's name
	for p, want := range map[id.Person]string{h.anaU.Person: "Ana Reyes", h.joPerson: "Jo Park"} {
		if name, err := h.Name(t.Context(), p); err != nil || name != want {
			t.Errorf("the name of %s is %q (%v)", want, name, err)
		}
	}
	roster, err := h.Roster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if team, _ := roster.Team(string(h.care)); team.Name != "Jo and Ana" {
		t.Errorf("the signed list calls the team %q", team.Name)
	}
	if who, _ := roster.Person(string(h.joPerson)); who.Name != "Jo Park" {
		t.Errorf("the signed list calls Jo %q", who.Name)
	}
	var column int
	if err := h.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pragma_table_info('identity_people') WHERE name = 'name'`).Scan(&column); err != nil || column != 0 {
		t.Errorf("a second name, which nobody signed, lies in the database (%v)", err)
	}
}
