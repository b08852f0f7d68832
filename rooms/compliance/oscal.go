package compliance

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/law"
)

// OSCAL 1.0.6 of NIST, so that an auditor's own programs can read the bundle. It
// has observations and no findings: an OSCAL finding says "satisfied" or "not
// satisfied", and that a person concludes.

const oscalVersion = "1.0.6"

type oscalMeta struct {
	Title        string      `json:"title"`
	LastModified string      `json:"last-modified"`
	Version      string      `json:"version"`
	OSCAL        string      `json:"oscal-version"`
	Props        []oscalProp `json:"props,omitempty"`
	Remarks      string      `json:"remarks,omitempty"`
}

type oscalProp struct {
	Name  string `json:"name"`
	NS    string `json:"ns,omitempty"`
	Value string `json:"value"`
}

type oscalPart struct {
	ID    string `json:"id,omitempty"`
	Name  string `json:"name"`
	Prose string `json:"prose,omitempty"`
}

type oscalControl struct {
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Props []oscalProp `json:"props,omitempty"`
	Parts []oscalPart `json:"parts,omitempty"`
}

type oscalGroup struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Controls []oscalControl `json:"controls"`
}

// namespace names our own properties; nothing is fetched from it.
const namespace = "https://quietroom.invalid/ns/oscal"

// oscalID makes a control's citation into a token: "c-164.312-a-2-iv".
func oscalID(control string) string {
	return "c-" + strings.Trim(strings.NewReplacer(")(", "-", "(", "-", ")", "").Replace(control), "-")
}

// oscalUUID derives the same identifier for the same thing each time: the first
// 16 bytes of a SHA-256 in the form of a name-based UUID (RFC 9562, 5.5; there it
// is SHA-1).
func oscalUUID(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func oscalCatalog(m *Made) any {
	var groups []oscalGroup
	for _, c := range law.Standards() {
		name := "s-" + c.Section
		if len(groups) == 0 || groups[len(groups)-1].ID != name {
			groups = append(groups, oscalGroup{ID: name, Title: c.SectionTitle})
		}
		g := &groups[len(groups)-1]
		g.Controls = append(g.Controls, oscalControl{ID: oscalID(c.ID), Title: c.Title,
			Props: []oscalProp{{Name: "label", Value: c.Citation}, {Name: "obligation", NS: namespace, Value: c.Obligation}},
			Parts: []oscalPart{{ID: oscalID(c.ID) + "-plain", Name: "overview", Prose: c.Plain}}})
	}
	return map[string]any{"catalog": map[string]any{
		"uuid":     oscalUUID("catalog", law.Files()[0].AsOf),
		"metadata": oscalMeta{Title: "HIPAA Security Rule, 45 CFR Part 164 Subpart C, in plain words", LastModified: stamp(m.At), Version: law.Files()[0].AsOf, OSCAL: oscalVersion, Remarks: "Titles and citations are the rule's; the wording is not. Not legal advice."},
		"groups":   groups,
	}}
}

type oscalObservation struct {
	UUID        string      `json:"uuid"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Props       []oscalProp `json:"props"`
	Methods     []string    `json:"methods"`
	Collected   string      `json:"collected"`
	Expires     string      `json:"expires,omitempty"`
}

func oscalResults(m *Made, p *printPage) any {
	var all []oscalObservation
	see := func(s Standing, claim, text, state, method string, seen, until time.Time) {
		if seen.IsZero() {
			seen = m.At // that nothing is known was looked at now
		}
		o := oscalObservation{UUID: oscalUUID(m.ID, s.ID, claim, fmt.Sprint(len(all))), Title: s.Citation + ": " + s.Title, Description: text, Methods: []string{method}, Collected: stamp(seen),
			Props: []oscalProp{{Name: "control", NS: namespace, Value: oscalID(s.ID)}, {Name: "claim", NS: namespace, Value: claim}, {Name: "state", NS: namespace, Value: state}}}
		if !until.IsZero() {
			o.Expires = stamp(until)
		}
		all = append(all, o)
	}
	for _, s := range p.standings {
		for _, part := range s.Parts {
			if part.Missing {
				see(s, part.Asked, "Nobody measures this here yet.", p.Unknown.String(), "EXAMINE", time.Time{}, time.Time{})
				continue
			}
			see(s, part.Claim, part.Text, part.State.String(), "TEST", part.Seen, part.Until)
		}
		if w := s.Word; w != nil {
			state := "Your word"
			if !w.Counts() {
				state = p.Unknown.String()
			}
			see(s, "word", w.Who+": "+w.Text, state, "INTERVIEW", w.At, w.Review)
		}
		if len(s.Parts) == 0 && s.Word == nil {
			see(s, "none", "Nobody measured or said this.", p.Unknown.String(), "EXAMINE", time.Time{}, time.Time{})
		}
	}
	return map[string]any{"assessment-results": map[string]any{
		"uuid":      oscalUUID("results", m.ID),
		"metadata":  oscalMeta{Title: "What was observed", LastModified: stamp(m.At), Version: "1", OSCAL: oscalVersion, Remarks: "Observations only. Whether a control is satisfied a person concludes."},
		"import-ap": map[string]any{"href": "#none", "remarks": "There is no separate plan: every control of the catalog is looked at all the time."},
		"results": []any{map[string]any{
			"uuid": oscalUUID("result", m.ID), "title": "The period of this binder", "description": "What the rooms observed and what people said, with times.",
			"start": stamp(m.From), "end": stamp(m.To),
			"reviewed-controls": map[string]any{"control-selections": []any{map[string]any{"include-all": map[string]any{}}}},
			"observations":      all,
		}},
	}}
}
