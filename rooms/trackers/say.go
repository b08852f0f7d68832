package trackers

import (
	"fmt"
	"strings"

	"quietroom/rooms/trackers/chrome"
)

// pageNames are pages as people speak of them.
var pageNames = map[string]string{
	Booking: "booking page", Intake: "intake page", ContactUs: "contact page", SignIn: "sign-in page", Payment: "payment page", Thanks: "thank-you page",
	Conditions: "page about conditions and treatments", Clinicians: "page about clinicians", About: "page about the practice", HomePage: "home page", Other: "page",
}

func pageName(kind string) string {
	if n := pageNames[kind]; n != "" {
		return n
	}
	return "page"
}

// whom is the receiver in a sentence.
func whom(f Finding) string {
	switch {
	case f.Vendor != "":
		return f.Vendor
	case f.To != "":
		return f.To + " (we do not know who that is)"
	}
	return "somebody else"
}

// how says in which form a value left, where that is not plain.
func how(encoding string) (before, after string) {
	switch {
	case strings.Contains(encoding, "md5") || strings.Contains(encoding, "sha"):
		return "a hash of ", ""
	case strings.HasPrefix(encoding, "key by key"):
		return "", ", key by key while it was typed"
	case strings.HasPrefix(encoding, "split"):
		return "", ", in several pieces"
	case encoding == "plain" || encoding == "url-encoded" || strings.HasSuffix(encoding, "case") || encoding == "trimmed":
		return "", ""
	case encoding == "part" || encoding == "first part":
		return "a part of ", ""
	}
	return "", ", packed so that nobody reads it at a glance"
}

// say tells a finding to a practice owner: who was told what, on which page. It
// states what was seen, and draws no conclusion.
func say(f Finding) string {
	page := "Your " + pageName(f.PageKind)
	before, after := how(f.Encoding)
	what := before + f.What + after
	switch f.Kind {
	case FormData, KeyLogging:
		if strings.HasPrefix(f.What, "a script") {
			return fmt.Sprintf("On your %s a script of %s listens to every key.", pageName(f.PageKind), whom(f))
		}
		if f.Evidence.Stage == string(chrome.Pressed) {
			return fmt.Sprintf("When its button is pressed, your %s tells %s %s. The scan let nothing of that out.", pageName(f.PageKind), whom(f), the(what))
		}
		return fmt.Sprintf("%s told %s %s. Nothing had been sent.", page, whom(f), the(what))
	case PageFact:
		return fmt.Sprintf("%s told %s %s.", page, whom(f), what)
	case Identifier:
		return fmt.Sprintf("%s gave %s %s.", page, whom(f), what)
	case SessionReplay:
		return fmt.Sprintf("%s sent %s a recording of what a visitor sees and does there.", page, whom(f))
	case Relay:
		if f.Vendor != "" {
			return fmt.Sprintf("%s told your own server %s before anything was sent, in the language of %s. What your server passes on cannot be seen from outside.", page, the(what), f.Vendor)
		}
		return fmt.Sprintf("%s told your own server %s before anything was sent. What your server passes on cannot be seen from outside: ask who looks after it.", page, the(what))
	case Unknown:
		return fmt.Sprintf("After test data was typed on your %s, %s got something that we cannot read.", pageName(f.PageKind), whom(f))
	case Contact:
		return fmt.Sprintf("%s asked %s for something, so it knows that somebody was there.", page, whom(f))
	case Fingerprinting:
		who := "A script of your own"
		if f.To != "" {
			who = "A script of " + whom(f)
		}
		return fmt.Sprintf("%s measures %s on your %s, by which a visitor can be known again.", who, f.What, pageName(f.PageKind))
	case CookieKept:
		return fmt.Sprintf("%s keeps a %s, for %s.", page, f.What, whom(f))
	case StorageKept:
		return fmt.Sprintf("%s keeps %s in the visitor’s browser, where the next person at that computer may find it.", page, the(what))
	case FormTarget:
		if f.To == "" || strings.HasPrefix(f.What, "a form") {
			return fmt.Sprintf("%s has %s.", page, f.What)
		}
		return fmt.Sprintf("The form on your %s sends to %s. Do you have an agreement with them?", pageName(f.PageKind), whom(f))
	case LocalNetwork:
		return fmt.Sprintf("%s tried to reach %s, on the visitor’s own machine or network. The scan refused it.", page, f.To)
	case Permission:
		return fmt.Sprintf("On your %s %s.", pageName(f.PageKind), f.What)
	}
	return fmt.Sprintf("On your %s: %s.", pageName(f.PageKind), f.What)
}

// the puts an article before a bare name: "e-mail address".
func the(what string) string {
	for _, p := range []string{"the ", "a ", "what ", "that ", "your "} {
		if strings.HasPrefix(what, p) {
			if strings.HasPrefix(what, "a hash of ") || strings.HasPrefix(what, "a part of ") {
				rest := what[len("a hash of "):]
				return what[:len("a hash of ")] + the(rest)
			}
			return what
		}
	}
	return "the " + what
}

// whyOf says why a severity is what it is, and what the law leaves open. The
// words are for the owner and their lawyer; they decide.
func whyOf(f Finding) string {
	switch {
	case f.Kind == FormData || f.Kind == KeyLogging && f.Severity == Stop || f.Kind == Relay:
		return "What somebody types for you is about their care, before it is sent too. The Federal Trade Commission’s cases against GoodRx, BetterHelp and Cerebral were about such data."
	case tellsPatient(f.PageKind):
		return "On pages for booking, intake, contact, payment or sign-in, being there says that somebody is or may become a patient. The HHS bulletin on tracking still speaks to such pages; the part of it that was vacated in June 2024 was about public pages without sign-in that only inform."
	case tellsWhy(f.PageKind):
		return "A page about a condition or a clinician says what a visitor may be looking for. For such public pages a part of the HHS bulletin was vacated in June 2024; the Federal Trade Commission’s rules and state laws were not touched by that."
	}
	return "This page tells little about a visitor. It is listed so that you know who is told, and can decide."
}
