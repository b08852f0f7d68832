package trackers

import (
	"net/url"
	"regexp"
	"strings"
)

// Kinds of pages. What is told on the first six tells that somebody is, or is
// about to be, a patient: there a receiver is worth a finding by itself.
const (
	Booking    = "booking"
	Intake     = "intake"
	ContactUs  = "contact"
	SignIn     = "sign-in"
	Payment    = "payment"
	Thanks     = "thank-you"
	Conditions = "conditions"
	Clinicians = "clinicians"
	About      = "about"
	HomePage   = "home"
	Other      = "other"
)

// pageWords tell a page by its address, its title and the words of the link to
// it; English first, then Spanish, German and French.
var pageWords = []struct {
	kind  string
	words *regexp.Regexp
}{
	{Thanks, words(`thank[- _]?you|thanks|confirmation|gracias|danke|merci`)},
	{SignIn, words(`log[- _]?in|sign[- _]?in|portal|my[- _]?account|patient[- _]?access|anmelden|connexion|iniciar[- _]sesi`)},
	{Payment, words(`pay(ment|ments|-bill)?|checkout|billing|pay[- _]my|zahlung|paiement|pago`)},
	{Intake, words(`intake|new[- _](patient|client)|questionnaire|self[- _]?test|self[- _]?assessment|assessment|screening|quiz|symptom|get[- _]?started|referral|new[- _]?here|anamnese|fragebogen|cuestionario|formulaire`)},
	{Booking, words(`book|booking|appointment|appointments|schedule|scheduling|request[- _](a|an)|callback|call[- _]back|termin|termine|cita|citas|rendez[- _]vous|reserv\w*`)},
	{ContactUs, words(`contact|contact[- _]us|kontakt|contacto|reach[- _]us|ask|question|questions|newsletter|message`)},
	{Conditions, words(`conditions?|anxiety|depress\w*|adhd|trauma|ptsd|ocd|bipolar|eating|anorexia|bulimia|addict\w*|substance|alcohol|opioid|couples|marriage|grief|suicid\w*|self[- _]?harm|autism|panic|insomnia|psychosis|schizo\w*|postpartum|perinatal|gender|lgbtq\w*|treatments?|therap(y|ies)|services|specialt\w*|angst\w*|sucht|ansiedad|depresi\w*|adicci\w*|anxi[ée]t[ée]`)},
	{Clinicians, words(`team|clinicians?|therapists?|providers?|staff|doctors?|psycholog\w*|psychiatr\w*|counsell?ors?|our[- _]people|equipo|[ée]quipe`)},
	{About, words(`about|who[- _]we|mission|ueber|[uü]ber|acerca|sobre|propos`)},
}

func words(re string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[^a-z])(` + re + `)([^a-z]|$)`)
}

// kindOf tells what a page is for. path and title come before the link's words.
func kindOf(u *url.URL, title, link string) string {
	if path := strings.Trim(u.Path, "/"); path == "" || path == "index.html" || path == "index.php" {
		return HomePage
	}
	for _, text := range []string{strings.NewReplacer("/", " ", ".", " ").Replace(u.Path), title, link} {
		for _, k := range pageWords {
			if k.words.MatchString(text) {
				return k.kind
			}
		}
	}
	return Other
}

// tellsPatient tells whether being on a page says that somebody is a patient.
func tellsPatient(kind string) bool {
	switch kind {
	case Booking, Intake, ContactUs, SignIn, Payment, Thanks:
		return true
	}
	return false
}

// tellsWhy tells whether being on a page says what somebody is worried about.
func tellsWhy(kind string) bool { return kind == Conditions || kind == Clinicians }

// worth is the order in which pages are visited.
func worth(kind string) int {
	for i, k := range []string{HomePage, Booking, Intake, ContactUs, SignIn, Conditions, Clinicians, Payment, Thanks, About} {
		if k == kind {
			return i
		}
	}
	return 20
}
