package fhir

import "strings"

// titlePaths say where resources keep the words a person would call them by,
// the best first.
var titlePaths = map[string][]string{
	"AllergyIntolerance":    {"code"},
	"Appointment":           {"description", "serviceType", "appointmentType"},
	"Claim":                 {"item.productOrService", "type"},
	"Composition":           {"title", "type"},
	"DocumentReference":     {"description", "type", "content.attachment.title"},
	"Encounter":             {"type", "reasonCode", "serviceType", "class"},
	"ExplanationOfBenefit":  {"item.productOrService", "type"},
	"Goal":                  {"description"},
	"ImagingStudy":          {"description", "procedureCode", "series.modality"},
	"Immunization":          {"vaccineCode"},
	"Location":              {"name"},
	"Organization":          {"name"},
	"Patient":               {"name"},
	"Practitioner":          {"name"},
	"QuestionnaireResponse": {"questionnaire"},
	"RelatedPerson":         {"name", "relationship"},
}

// anyTitle is tried for every type, known or not.
var anyTitle = []string{
	"code", "title", "medicationCodeableConcept", "medicationReference", "vaccineCode", "description",
	"type", "category", "name", "reasonCode", "topic", "content.attachment.title",
}

// whenPaths say where resources keep their date.
var whenPaths = []string{
	"effectiveDateTime", "effectivePeriod.start", "effectiveInstant", "performedDateTime", "performedPeriod.start",
	"occurrenceDateTime", "occurrencePeriod.start", "period.start", "onsetDateTime", "onsetPeriod.start",
	"startDate", "start", "billablePeriod.start", "servicedDate", "servicedPeriod.start", "started",
	"authoredOn", "authored", "recordedDate", "assertedDate", "dateTime", "date", "issued", "sent", "created", "recorded",
	"identifiedDateTime", "context.period.start", "whenHandedOver", "birthDate", "meta.lastUpdated",
}

// Title says what a resource is, on one line, "Encounter: Encounter for
// symptom (procedure)", and when: a FHIR date as it came, or "".
func Title(r Resource) (title, when string) {
	top := members(view(r.Raw))
	words := top.firstText(titlePaths[r.Type], wording)
	if words == "" {
		words = top.firstText(anyTitle, wording)
	}
	return join(": ", spaced(r.Type), words), top.firstText(whenPaths, date)
}

// top holds the members of a resource, found in one go.
type top map[string]view

func members(v view) top {
	t := make(top, 24)
	for k, val := range v.fields() {
		t[k.text()] = val
	}
	return t
}

// firstText returns the first text that read finds at one of the paths.
func (t top) firstText(paths []string, read func(view) string) string {
	for _, path := range paths {
		head, rest, deeper := strings.Cut(path, ".")
		v := t[head]
		if v != nil && deeper {
			v = v.path(strings.Split(rest, ".")...)
		}
		if s := read(v.first()); s != "" {
			return s
		}
	}
	return ""
}

// wording reads whatever a person could read: a text, a concept, a name, a reference.
func wording(v view) string {
	if v == nil {
		return ""
	}
	if s := concept(v); s != "" {
		return s
	}
	if _, _, name := personName(v); name != "" {
		return name
	}
	return clean(v.field("display").text())
}

// date reads a FHIR date, dateTime or instant, and nothing that only looks so.
func date(v view) string {
	s := v.text()
	if len(s) < 4 || len(s) > 40 {
		return ""
	}
	for i, c := range []byte(s) {
		if !isDigit(c) && (i < 4 || !strings.ContainsRune("-:.+TZ", rune(c))) {
			return ""
		}
	}
	return s
}

// spaced turns "MedicationRequest" into "Medication request".
func spaced(kind string) string {
	var b strings.Builder
	for i, c := range []byte(kind) {
		if i > 0 && 'A' <= c && c <= 'Z' {
			b.WriteByte(' ')
			c |= 0x20
		}
		b.WriteByte(c)
	}
	return b.String()
}
