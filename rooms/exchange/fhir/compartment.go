package fhir

import "strings"

// compartment says where a resource names its patient: element paths, the one
// that says most first, after the search parameters of the R4 patient
// compartment, http://hl7.org/fhir/R4/compartmentdefinition-patient.html.
// Types that stand in it by "patient" or "subject" alone need no line, nor do
// types that nobody knows yet: see generic.
var compartment = map[string][]string{
	"AllergyIntolerance":       {"patient", "recorder", "asserter"},
	"Appointment":              {"participant.actor"},
	"AppointmentResponse":      {"actor"},
	"AuditEvent":               {"entity.what", "agent.who"},
	"Basic":                    {"subject", "author"},
	"CarePlan":                 {"subject", "activity.detail.performer"},
	"CareTeam":                 {"subject", "participant.member"},
	"Claim":                    {"patient", "payee.party"},
	"Communication":            {"subject", "recipient", "sender"},
	"CommunicationRequest":     {"subject", "recipient", "sender", "requester"},
	"Composition":              {"subject", "author", "attester.party"},
	"Condition":                {"subject", "asserter"},
	"Coverage":                 {"beneficiary", "subscriber", "policyHolder", "payor"},
	"DeviceRequest":            {"subject", "performer"},
	"DocumentManifest":         {"subject", "author", "recipient"},
	"DocumentReference":        {"subject", "author"},
	"EnrollmentRequest":        {"candidate"},
	"ExplanationOfBenefit":     {"patient", "payee.party"},
	"Group":                    {"member.entity"},
	"Invoice":                  {"subject", "recipient"},
	"List":                     {"subject", "source"},
	"MedicationAdministration": {"subject", "performer.actor"},
	"MedicationDispense":       {"subject", "receiver"},
	"Observation":              {"subject", "performer"},
	"Person":                   {"link.target"},
	"Procedure":                {"subject", "performer.actor"},
	"Provenance":               {"target"},
	"QuestionnaireResponse":    {"subject", "author", "source"},
	"RequestGroup":             {"subject", "action.participant"},
	"ResearchSubject":          {"individual"},
	"Schedule":                 {"actor"},
	"ServiceRequest":           {"subject", "performer"},
	"SupplyRequest":            {"deliverTo"},
	"SupplyDelivery":           {"patient", "receiver"},

	// Outside the compartment by the letter, yet they may speak of one patient.
	"Binary": {"securityContext"},
	"Media":  {"subject", "operator"},
	"Task":   {"for", "focus", "owner", "requester"},
}

// generic are the paths of every type without a line of its own.
var generic = []string{"subject", "patient", "beneficiary", "individual", "for"}

// references returns what a resource says about its patient, best first. A
// Patient speaks of itself.
func references(kind string, find func(string) view) []string {
	if kind == "Patient" {
		return nil
	}
	paths, ok := compartment[kind]
	if !ok {
		paths = generic
	}
	var refs []string
	for _, path := range paths {
		head, rest, _ := strings.Cut(path, ".")
		refs = follow(refs, find(head), strings.TrimPrefix(rest+".reference", "."))
	}
	return refs
}

// papers says where a resource holds the addresses of its files. A Binary at
// such an address belongs to the same patient, though it does not say so.
var papers = map[string]string{
	"Communication":     "payload.contentAttachment.url",
	"Consent":           "sourceAttachment.url",
	"DiagnosticReport":  "presentedForm.url",
	"DocumentReference": "content.attachment.url",
	"Media":             "content.url",
	"Patient":           "photo.url",
}

func attachments(kind string, find func(string) view) []string {
	path, ok := papers[kind]
	if !ok {
		return nil
	}
	head, rest, _ := strings.Cut(path, ".")
	return follow(nil, find(head), rest)
}

// follow collects the texts at the end of a path, at most 64.
func follow(found []string, v view, path string) []string {
	head, rest, _ := strings.Cut(path, ".")
	for item := range v.items() {
		if len(found) >= 64 {
			break
		}
		if path != "" {
			found = follow(found, item.field(head), rest)
		} else if text := item.text(); text != "" && len(text) <= maxAddress {
			found = append(found, text)
		}
	}
	return found
}

// local reduces a literal reference to "Type/id" as it reads inside one set of
// files: "https://ehr.example/fhir/Patient/7/_history/2" is "Patient/7". It
// returns "" for a contained resource (#x), a urn or a search.
// http://hl7.org/fhir/R4/references.html#literal
func local(ref string) string {
	if strings.HasPrefix(ref, "#") || strings.HasPrefix(ref, "urn:") || strings.Contains(ref, "?") {
		return ""
	}
	ref, _, _ = strings.Cut(ref, "#")
	ref, _, _ = strings.Cut(ref, "/_history/")
	slash := strings.LastIndexByte(ref, '/')
	if slash < 0 || slash == len(ref)-1 {
		return ""
	}
	kind := strings.LastIndexByte(ref[:slash], '/') + 1
	if !isTypeName(ref[kind:slash]) {
		return ""
	}
	return ref[kind:]
}

// namesPatient reports whether a local reference names a patient.
func namesPatient(local string) bool { return strings.HasPrefix(local, "Patient/") }
