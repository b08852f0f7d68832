package madeup

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Bundle is patient i as a FHIR R4 transaction bundle: the patient, a condition
// for each diagnosis and an encounter for each note (hl7.org/fhir/R4/bundle.html).
// Notes and files are not in it. The same patient always gives the same bytes.
func (p *Practice) Bundle(i int) []byte {
	a := p.Patient(i)
	d := newDice(p.seed^0x46484952, uint64(i)) // a stream of its own: "FHIR"
	return bundle(a, func() string { return uuid(d) })
}

func bundle(a Patient, newID func() string) []byte {
	b := resource{"resourceType": "Bundle", "type": "transaction"}
	var entries []resource
	add := func(r resource) string {
		id := newID()
		r["id"] = id
		entries = append(entries, resource{
			"fullUrl":  "urn:uuid:" + id,
			"resource": r,
			"request":  resource{"method": "POST", "url": r["resourceType"]},
		})
		return "urn:uuid:" + id
	}
	subject := resource{"reference": add(fhirPatient(a))}
	for _, x := range a.Diagnoses {
		add(fhirCondition(a, x, subject))
	}
	for _, n := range a.Notes {
		add(fhirEncounter(a, n, subject))
	}
	b["entry"] = entries
	out, err := json.Marshal(b)
	if err != nil {
		panic("madeup: bundle of strings: " + err.Error()) // cannot happen: strings, lists and maps
	}
	return out
}

type resource map[string]any

func fhirPatient(a Patient) resource {
	names := []resource{{"use": "official", "family": a.Family, "given": strings.Fields(a.Given)}}
	if a.Preferred != "" {
		names = append(names, resource{"use": "usual", "given": []string{a.Preferred}})
	}
	var telecom []resource
	for k, phone := range a.Phones {
		telecom = append(telecom, resource{"system": "phone", "use": []string{"mobile", "home"}[k], "value": phone})
	}
	if a.Email != "" {
		telecom = append(telecom, resource{"system": "email", "value": a.Email})
	}
	return resource{
		"resourceType": "Patient",
		"identifier":   []resource{{"use": "usual", "system": "https://harborcounseling.example.com/record-number", "value": a.Number}},
		"active":       len(a.Sessions) > 0,
		"name":         names,
		"telecom":      telecom,
		"gender":       a.Sex,
		"birthDate":    a.BirthDate.Format(time.DateOnly),
		"address": []resource{{
			"use": "home", "line": []string{a.Address.Line}, "city": a.Address.City,
			"state": a.Address.State, "postalCode": a.Address.ZIP, "country": "US",
		}},
		"contact": []resource{{
			"relationship": []resource{{"text": a.Emergency.Relation}},
			"name":         resource{"text": a.Emergency.Name},
			"telecom":      []resource{{"system": "phone", "value": a.Emergency.Phone}},
		}},
	}
}

func fhirCondition(a Patient, x Diagnosis, subject resource) resource {
	return resource{
		"resourceType":       "Condition",
		"clinicalStatus":     coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
		"verificationStatus": coded("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
		"code":               resource{"coding": []resource{{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": x.Code, "display": x.Text}}, "text": x.Text},
		"subject":            subject,
		"recordedDate":       a.Since.Format(time.RFC3339),
	}
}

func fhirEncounter(a Patient, n Note, subject resource) resource {
	return resource{
		"resourceType": "Encounter",
		"status":       "finished",
		"class":        resource{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
		"type":         []resource{{"text": n.Kind}},
		"subject":      subject,
		"participant":  []resource{{"individual": resource{"display": a.Clinician}}},
		"period":       resource{"start": n.At.Format(time.RFC3339), "end": n.At.Add(50 * time.Minute).Format(time.RFC3339)},
	}
}

func coded(system, code string) resource {
	return resource{"coding": []resource{{"system": system, "code": code}}}
}

// uuid throws a random identifier in the form of RFC 9562, version 4.
func uuid(d *dice) string {
	hi, lo := d.Uint64(), d.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xfff, lo>>48&0x3fff|0x8000, lo&0xffffffffffff)
}
