package layer

import "quietroom/ground/id"

// Ways are the ways to reach a patient, as a card keeps them.
const (
	ByText      = "text"
	ByPhone     = "phone"
	ByVoicemail = "voicemail"
	ByMail      = "mail"
	ByPost      = "post"
	ByPortal    = "portal"
)

// Reach is what a sender has to know before it sends anything to a patient. Who
// does not find May true sends nothing by itself.
type Reach struct {
	Patient  id.Patient
	Way      string
	May      bool     // the patient said yes to this way
	Asked    bool     // somebody asked; false: it is not known
	To       []string // numbers or addresses for this way, the first first; the portal has none
	Name     string   // to use towards whoever reads or hears it
	Language string   // as the card says it: "Spanish"
	Words    string   // in the patient's own words, for a person who sends by hand
	Said     string   // when it was said last, YYYY-MM-DD
}
