package exchange

import (
	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// parts are the compartments that hold resources, in the order of an export.
var (
	parts  = append([]string{layer.PartIdentity}, beside...)
	beside = []string{layer.PartChart, layer.PartBilling}
)

// partOf says which compartment a type of resource belongs to. What is not named
// here, and what nobody knows yet, goes where the fewest people read.
var partOf = map[string]string{
	"Patient":       layer.PartIdentity,
	"RelatedPerson": layer.PartIdentity,

	"Account":                     layer.PartBilling,
	"ChargeItem":                  layer.PartBilling,
	"Claim":                       layer.PartBilling,
	"ClaimResponse":               layer.PartBilling,
	"Contract":                    layer.PartBilling,
	"Coverage":                    layer.PartBilling,
	"CoverageEligibilityRequest":  layer.PartBilling,
	"CoverageEligibilityResponse": layer.PartBilling,
	"EnrollmentRequest":           layer.PartBilling,
	"EnrollmentResponse":          layer.PartBilling,
	"ExplanationOfBenefit":        layer.PartBilling,
	"Invoice":                     layer.PartBilling,
	"PaymentNotice":               layer.PartBilling,
	"PaymentReconciliation":       layer.PartBilling,
}

// sorted lays resources into their compartments, in their order.
func sorted(u fhir.Unit) map[string][]fhir.Resource {
	by := map[string][]fhir.Resource{layer.PartIdentity: {u.Patient}}
	for _, r := range u.Resources {
		part, ok := partOf[r.Type]
		if !ok {
			part = layer.PartChart
		}
		by[part] = append(by[part], r)
	}
	return by
}
