package chart

import (
	"context"

	"quietroom/ground/id"
	"quietroom/layer"
)

// Reach tells whether a patient may be reached in one of the ways of package
// layer, where, under which name and in which language. Every sender asks it
// before it sends. It opens who the patient is, for a signed-in person, and so
// leaves a fact. What nobody asked the patient is not allowed; a voicemail needs
// its own yes, whatever was said of the phone.
func (c *Chart) Reach(ctx context.Context, p id.Patient, way string) (layer.Reach, error) {
	card, _, err := c.card(ctx, p)
	if err != nil {
		return layer.Reach{Patient: p, Way: way}, err
	}
	return reach(p, card, way), nil
}

func reach(p id.Patient, card layer.Card, way string) layer.Reach {
	r := layer.Reach{Patient: p, Way: way, Name: card.Safe.Name, Language: card.Language, Words: card.Safe.Words, Said: card.Safe.Said}
	if r.Name == "" {
		r.Name = card.Called()
	}
	r.May, r.Asked = card.Safe.Ways[way]
	switch way {
	case layer.ByText, layer.ByPhone, layer.ByVoicemail:
		r.To = card.Phones
	case layer.ByMail:
		r.To = card.Mails
	case layer.ByPost:
		if card.Address != "" {
			r.To = []string{card.Address}
		}
	case layer.ByPortal:
		return r
	default:
		r.May, r.Asked = false, false // a way that no card knows
	}
	r.May = r.May && len(r.To) > 0
	return r
}
