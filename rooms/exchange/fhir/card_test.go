package fhir

import (
	"reflect"
	"slices"
	"testing"
)

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }

func TestACardShowsThePersonAsTheyAreCalled(t *testing.T) {
	units, _ := read(t, "testdata/bundle.json")
	got := Summary(units[0].Patient)
	want := Card{
		Family: "Ashgrove", Given: "Wilhelmina Rose", Name: "Ashgrove, Wilhelmina Rose", Preferred: "Wil",
		Born: "1971-03-09", Gender: "female",
		Phones: []string{"555-0102", "555-0101", "555-0100"}, Emails: []string{"wil@example.org"},
		Address:     "1 Quiet Lane, Flat 2, Beverly, MA 01915",
		Identifiers: []string{"urn:practice|A-17", "http://hl7.org/fhir/sid/us-ssn|999-00-0000"},
		Language:    "English",
		Contacts:    []Contact{{"Otto Tern", "Brother", "555-0199"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestACardIsMadeOfWhateverIsThere(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"nothing", `{}`, ""},
		{"no object", `7`, ""},
		{"torn", `{"name":[{"family":"A`, ""},
		{"only a text", `{"name":[{"text":"Bo Birch"}]}`, "Bo Birch"},
		{"a name that is no list", `{"name":{"family":"Birch"}}`, "Birch"},
		{"an old name last", `{"name":[{"use":"old","family":"Was"},{"family":"Is"}]}`, "Is"},
		{"control characters", `{"name":[{"family":"A\u0000\n\u202eB"}]}`, "A  B"},
		{"numbers for names", `{"name":[{"family":7,"given":[1,"X"]}]}`, "X"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Summary(Resource{Raw: []byte(c.raw)}).Name; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if !Summary(Resource{Raw: []byte(`{"deceasedDateTime":"2020"}`)}).Deceased {
		t.Error("a day of death is not read as deceased")
	}
}

func TestATitleSaysWhatAndWhen(t *testing.T) {
	for _, c := range []struct{ kind, raw, title, when string }{
		{"Encounter", `{"type":[{"text":"Encounter for symptom (procedure)"}],"period":{"start":"2020-01-02"}}`, "Encounter: Encounter for symptom (procedure)", "2020-01-02"},
		{"Observation", `{"code":{"coding":[{"code":"8302-2","display":"Body Height"}]},"effectiveDateTime":"2013-02-04T00:48:08+00:00","issued":"2013"}`, "Observation: Body Height", "2013-02-04T00:48:08+00:00"},
		{"MedicationRequest", `{"medicationReference":{"display":"Sertraline"},"authoredOn":"2021-05"}`, "Medication request: Sertraline", "2021-05"},
		{"Practitioner", `{"name":[{"family":"Elm","given":["Dr"]}]}`, "Practitioner: Elm, Dr", ""},
		{"Claim", `{"type":{"coding":[{"code":"institutional"}]},"item":[{"productOrService":{"text":"Visit"}}],"billablePeriod":{"start":"1974"}}`, "Claim: Visit", "1974"},
		{"MoonPhase", `{"date":"soon"}`, "Moon phase", ""},
		{"Goal", `{"description":{"text":"Sleep"},"startDate":"2020-01-01"}`, "Goal: Sleep", "2020-01-01"},
		{"Basic", `not json`, "Basic", ""},
	} {
		title, when := Title(Resource{Type: c.kind, Raw: []byte(c.raw)})
		if title != c.title || when != c.when {
			t.Errorf("%s: got %q on %q, want %q on %q", c.kind, title, when, c.title, c.when)
		}
	}
}
