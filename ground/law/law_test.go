package law_test

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"quietroom/ground/law"
)

func TestAll65StandardsAndSpecificationsAreThere(t *testing.T) {
	count := map[string]int{}
	for _, c := range law.Controls() {
		count[c.Kind]++
		if c.Kind == law.Standard || c.Kind == law.Implementation {
			count[c.Section]++
			if c.Kind == law.Implementation {
				count[c.Obligation]++
			}
			if c.Plain == "" || c.Question == "" || c.ReviewDays <= 0 || !c.Checked || c.NIST == nil {
				t.Errorf("%s has a hole: %+v", c.ID, c)
			}
			if c.Parent != "" {
				if _, ok := law.Find(c.Parent); !ok {
					t.Errorf("%s belongs to %s, which is not there", c.ID, c.Parent)
				}
			}
		}
	}
	for what, want := range map[string]int{law.Standard: 22, law.Implementation: 43, law.General: 5, law.Clause: 10, law.Required: 21, law.Addressable: 22,
		"164.308": 30, "164.310": 12, "164.312": 12, "164.314": 6, "164.316": 5} {
		if count[what] != want {
			t.Errorf("%s: %d rows, want %d (the rule's own count)", what, count[what], want)
		}
	}
	if n := len(law.Standards()); n != 65 {
		t.Errorf("%d standards and specifications, want 65", n)
	}
	unusual := 0
	for _, c := range law.Standards() {
		if !c.Usual() {
			unusual++
		}
	}
	if unusual != 5 {
		t.Errorf("%d of the 65 are not usual for a practice, want 5", unusual)
	}
}

func TestEachControlHasARowOfClaimsOrSpecificationsOrNeedsAWord(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+\.([a-z.-]+\??|\*)$`)
	for _, c := range law.Standards() {
		claims, ok := law.Claims(c.ID)
		if !ok {
			t.Errorf("%s has no row in claims.yaml", c.ID)
		}
		if len(claims) == 0 && c.Attestation == "" {
			t.Errorf("%s: nothing measures it and nobody is asked, so it could never be anything", c.ID)
		}
		if len(claims) > 0 && !slices.ContainsFunc(claims, func(c string) bool { return !law.Optional(c) }) {
			t.Errorf("%s: nothing that shows it would be missed, so it would be safe by silence", c.ID)
		}
		for _, claim := range claims {
			if !form.MatchString(claim) {
				t.Errorf("%s asks for the claim %q, which no room can make", c.ID, claim)
			}
		}
	}
	for _, p := range law.Practices() {
		for _, id := range p.Controls {
			if _, ok := law.Find(id); !ok {
				t.Errorf("%s points to %s, which is not there", p.ID, id)
			}
		}
	}
	if !law.Shows("devices.*", "devices.encrypted") || !law.Shows("identity.left?", "identity.left") || law.Shows("devices.*", "devices") || law.Shows("backup.fresh", "backup.fresher") {
		t.Error("a claim is taken for another one")
	}
}

func TestWhatNobodyCheckedStartsNoClock(t *testing.T) {
	checked, not := 0, 0
	for _, c := range law.Clocks() {
		if _, ok := c.Due(time.Now()); ok != c.Sure() {
			t.Errorf("%s: Due and Sure disagree", c.ID)
		}
		if c.Checked {
			checked++
		}
	}
	for _, g := range law.Goals() {
		if !g.Checked {
			not++
		}
	}
	if checked != 8 || not != 5 || len(law.Goals()) != 20 || len(law.Rights()) != 8 || len(law.Proposals()) != 27 {
		t.Errorf("%d clocks checked, %d goals not, %d goals, %d rights, %d proposals: the flags are not those of the files", checked, not, len(law.Goals()), len(law.Rights()), len(law.Proposals()))
	}
	c := law.Clock{ID: "x", Days: new(60)}
	if day, ok := c.Due(time.Now()); ok {
		t.Errorf("an unchecked clock runs out on %v", day)
	}
	if cited := len(slices.DeleteFunc(slices.Clone(law.Proposals()), func(p law.Proposal) bool { return !p.Cited })); cited != 6 {
		t.Errorf("%d proposed paragraphs are shown as read, want 6", cited)
	}
}

func TestClocksAreCountedFromTheDayOfDiscovery(t *testing.T) {
	evening := time.FixedZone("UTC-5", -5*3600)
	for _, c := range []struct {
		clock, discovered, due string
	}{
		{"individuals", "2026-11-15", "2027-01-14"},
		{"hhs_large", "2026-01-01", "2026-03-02"},
		{"hhs_small", "2026-06-01", "2027-03-01"}, // the examples of the rule's own file
		{"hhs_small", "2027-12-31", "2028-02-29"},
		{"hhs_small", "2028-01-01", "2029-03-01"},
		{"law_enforcement_oral_hold", "2026-12-31", "2027-01-30"},
	} {
		i := slices.IndexFunc(law.Clocks(), func(k law.Clock) bool { return k.ID == c.clock })
		if i < 0 {
			t.Fatalf("no clock %s", c.clock)
		}
		day, err := time.ParseInLocation(time.DateOnly, c.discovered, evening)
		if err != nil {
			t.Fatal(err)
		}
		due, ok := law.Clocks()[i].Due(day.Add(23 * time.Hour))
		if got := due.Format(time.DateOnly); !ok || got != c.due {
			t.Errorf("%s discovered on %s late in the evening is due %s, want %s", c.clock, c.discovered, got, c.due)
		}
	}
}

func TestPapersAreKeptSixYearsFromTheLaterDay(t *testing.T) {
	made, last := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	if until, ok := law.Keep(law.Papers, made, last); !ok || !until.Equal(time.Date(2030, 5, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a policy in force until May 2024 may go on %v (%v), want six years later", until, ok)
	}
	if _, ok := law.Keep("patient_records", made, last); ok {
		t.Error("HIPAA sets no period for the record itself; a number was made up")
	}
	if _, ok := law.Keep("no-such-kind", made, last); ok {
		t.Error("what no law names may go, says Keep")
	}
}

func TestAFileFromTheFutureIsNotRead(t *testing.T) {
	const item = "items: [{id: x, title: X, obligation: required}]\n"
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ title, head string }{
		{"a newer form", "meta: {format: 2, as_of: '2026-11-01'}\n"},
		{"a day to come", "meta: {as_of: '2027-11-01'}\n"},
	} {
		if _, err := law.Parse([]byte(c.head+item), now); !errors.Is(err, law.ErrFuture) {
			t.Errorf("%s: %v, want ErrFuture", c.title, err)
		}
	}
	if got, err := law.Parse([]byte("meta: {as_of: '2026-11-01'}\n"+item), now); err != nil || len(got) != 1 {
		t.Errorf("a file of this month is refused: %v", err)
	}
	for _, bad := range []string{"", "x", "meta: {as_of: '2026-11-01'}\n", "meta: {as_of: '2026-11-01'}\nitems: [{id: x, title: X, obligation: maybe}]", "meta: {as_of: '2026-11-01'}\nitems: [{id: x, title: X, obligation: required}, {id: x, title: X, obligation: required}]"} {
		if _, err := law.Parse([]byte(bad), now); err == nil {
			t.Errorf("%q is taken for a file of controls", bad)
		}
	}
}
