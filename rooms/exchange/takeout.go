package exchange

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// opening is all that the acting person may read of one patient.
type opening struct {
	patient id.Patient
	card    layer.Card
	sets    []set
	closed  bool // a compartment is in the care of others
}

// open opens the identity and other parts of a patient. What is in the care of
// others stays closed, and is left out.
func (x *Exchange) open(ctx context.Context, p id.Patient, others ...string) (*opening, error) {
	o := &opening{patient: p}
	for _, part := range append([]string{layer.PartIdentity}, others...) {
		s, err := x.opened(ctx, p, part)
		switch {
		case errors.Is(err, layer.ErrUnknown) && part != layer.PartIdentity:
			continue
		case errors.Is(err, layer.ErrNotYours) && part != layer.PartIdentity:
			o.closed = true
			continue
		case err != nil:
			o.close()
			return nil, err
		}
		s.part = part
		o.sets = append(o.sets, s)
		if part != layer.PartIdentity {
			continue
		}
		if o.card, _, err = s.c.Card(ctx); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func (o *opening) close() {
	for _, s := range o.sets {
		s.c.Close()
	}
}

// resources yields all resources. A patient who did not come by an import is
// told as a Patient made of the card.
func (o *opening) resources(ctx context.Context) iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		if !o.sets[0].found && !yield(patientOf(o.patient, o.card)) {
			return
		}
		for _, s := range o.sets {
			for r, err := range s.all(ctx) {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// patientOf makes a Patient of a card (hl7.org/fhir/R4/patient.html).
func patientOf(p id.Patient, c layer.Card) (fhir.Resource, error) {
	type coded map[string]any
	patient := coded{"resourceType": "Patient", "id": string(p)}
	names := []coded{{"use": "official", "family": c.Family, "given": []string{c.Given}}}
	if c.Preferred != "" {
		names = append(names, coded{"use": "usual", "text": c.Preferred})
	}
	patient["name"] = names
	var telecom []coded
	for _, v := range c.Phones {
		telecom = append(telecom, coded{"system": "phone", "value": v})
	}
	for _, v := range c.Mails {
		telecom = append(telecom, coded{"system": "email", "value": v})
	}
	var numbers, contacts []coded
	for _, n := range c.Numbers {
		numbers = append(numbers, coded{"system": n.System, "value": n.Value})
	}
	for _, e := range c.Emergency {
		contacts = append(contacts, coded{"relationship": []coded{{"text": e.Bond}}, "name": coded{"text": e.Name}, "telecom": []coded{{"system": "phone", "value": e.Phone}}})
	}
	for name, list := range map[string][]coded{"telecom": telecom, "identifier": numbers, "contact": contacts} {
		if len(list) > 0 {
			patient[name] = list
		}
	}
	if c.Born != "" {
		patient["birthDate"] = c.Born
	}
	if c.Sex != "" {
		patient["gender"] = c.Sex
	}
	if c.Address != "" {
		patient["address"] = []coded{{"text": c.Address}}
	}
	raw, err := json.Marshal(patient)
	if err != nil {
		return fhir.Resource{}, fmt.Errorf("write patient %s: %w", p, err)
	}
	return fhir.Resource{Type: "Patient", ID: string(p), Raw: raw}, nil
}

// zip puts a patient's resources into the archive that a person takes along.
func (x *Exchange) zip(ctx context.Context, p id.Patient, z *zip.Writer) error {
	o, err := x.open(ctx, p, beside...)
	if err != nil {
		return err
	}
	defer o.close()
	w, err := z.Create("fhir/bundle.json")
	if err != nil {
		return fmt.Errorf("export patient %s: %w", p, err)
	}
	return fhir.WriteBundle(w, o.resources(ctx))
}
