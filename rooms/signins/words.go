package signins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/signins/logs"
)

var protocolNames = map[string]string{"imap": "IMAP", "pop": "POP", "smtp": "SMTP AUTH", "activesync": "ActiveSync", "autodiscover": "Autodiscover", "powershell": "old PowerShell", "ews": "Exchange Web Services",
	"mapi": "MAPI over HTTP", "address-book": "the offline address book", "rpc": "Outlook Anywhere", "reporting": "Reporting Web Services", "other": "an old protocol"}

// called is how a mailbox's person is named on the page.
func (s *Signins) called(ctx context.Context, f found) string {
	if f.Whose != "" {
		if name := s.Name(ctx, f.Whose); name != "" {
			return name
		}
	}
	return f.Address
}

// clock is a moment as the sentence has it; the log's own time is UTC.
func clock(t time.Time) string { return t.UTC().Format("January 2, 15:04") }

func onDays(f finding) string {
	if f.Times == 1 {
		return "on " + f.To.UTC().Format("January 2")
	}
	return fmt.Sprintf("on %d days, the last %s", f.Times, f.To.UTC().Format("January 2"))
}

// Saw is what the log says.
func (f found) Saw() string {
	switch f.Kind {
	case kindPrompts:
		said := fmt.Sprintf("%d sign-in prompts were refused or not answered from %s to %s UTC.", f.Times, clock(f.From), f.To.UTC().Format("15:04"))
		if f.Accepted {
			said += " During or right after that, a sign-in with a second factor went through."
		}
		return said
	case kindLegacy:
		return fmt.Sprintf("Somebody came in by %s, which asks for no second factor, %s.", protocolNames[f.Word], onDays(f.finding))
	case kindOne:
		return fmt.Sprintf("Somebody came in with a password and nothing else %s.", onDays(f.finding))
	}
	times := ""
	if f.Times > 1 {
		times = fmt.Sprintf(", %d times", f.Times)
	}
	return fmt.Sprintf("Sign-ins came from two places that nobody travels between so fast%s, from %s to %s UTC.", times, clock(f.From), clock(f.To))
}

// Do is what to do about it.
func (f found) Do() string {
	again := "In Entra: revoke the sessions, reset the password, remove unknown sign-in methods, and look at the inbox rules."
	if f.Provider == logs.Google {
		again = "In the Admin console: reset the sign-in cookies, set a new password, remove unknown second factors and app passwords, and look at filters, forwarding and delegates."
	}
	switch f.Kind {
	case kindPrompts:
		if f.Accepted {
			return "Ask the person now, face to face or by phone, not by mail: was that you? Unless they are sure, close the mailbox first and ask then. " + again
		}
		return "Ask the person, face to face or by phone: was that you? If not, somebody has the password. " + again
	case kindLegacy:
		return "Find the program or printer that uses it, and turn the protocol off for this mailbox. If nobody knows it: " + again
	case kindOne:
		return "Have a second factor asked for every sign-in of this mailbox, best a passkey."
	}
	return "Ask the person. A VPN or a phone network can look the same. If neither explains it: " + again
}

// State is how much it presses.
func (f found) State() layer.State {
	if f.Accepted {
		return layer.Urgent
	}
	return layer.NeedsYou
}

var conclusions = map[string]string{"explained": "Explained: it was the person or a program we know", "handled": "Dealt with: we acted on it"}

// inWords turns what an import says into what a person reads.
func inWords(err error) error {
	for _, known := range []struct {
		is        error
		text, fix string
	}{
		{logs.ErrNotALog, "This is no sign-in log that is known here. Nothing of it was kept.", "Download the sign-in log as JSON or CSV from Entra (Sign-in logs) or from the Google Admin console (User log events), and choose that file as it is."},
		{ErrOther, "This log is of another organisation than yours. Nothing of it was kept.", "Download the log again while signed in to your own practice. If you have more than one, write its number or domain down first, under Whose logs are ours."},
		{ErrCrowd, "This log tells of more mailboxes than a practice has. The rest of it was not read.", "Download the log of your own practice, for fewer days."},
	} {
		if errors.Is(err, known.is) {
			return &web.Error{Status: 422, Text: known.text, Fix: known.fix, Back: "/signins"}
		}
	}
	return err
}
