package signins

import (
	"time"

	"quietroom/rooms/signins/logs"
)

// item is one thing that makes a mailbox harder to take. Nobody measures it
// here: it is a person's word, and asked again after a year.
type item struct {
	Word  string // its name in the ledger
	Title string
	Where string // where it is found at the provider
}

const reviewed = 365 * 24 * time.Hour

var checklists = map[logs.Kind][]item{
	logs.Entra: {
		{"phishing-resistant", "Everybody signs in with a passkey or a security key", "Entra admin center, Authentication methods: Passkey (FIDO2) for all users; then a Conditional Access policy that requires phishing-resistant MFA, owners and administrators first."},
		{"old-protocols-off", "Old protocols are blocked: IMAP, POP, SMTP AUTH and the rest", "Security defaults on, or a Conditional Access policy that blocks legacy authentication clients; in Exchange admin center, Authenticated SMTP off for each mailbox that does not need it."},
		{"number-matching", "Prompts ask for a number and show where the sign-in comes from", "Authentication methods, Microsoft Authenticator, Configure: number matching, application name and location on. Nobody can then approve by mere habit."},
		{"no-calls-or-texts", "Phone calls and text messages are no second factor any more", "Authentication methods: SMS and Voice call off, once everybody has another method."},
		{"report-suspicious", "Who refuses a prompt can report it", "Authentication methods, Settings: Report suspicious activity on, for all users."},
		{"forwarding-off", "Mail is not forwarded outside by rules", "Defender portal, Anti-spam outbound policy: automatic forwarding off. Then look at the inbox rules of each mailbox."},
		{"mailbox-small", "The mailbox holds few old messages about patients", "What is not in the mailbox cannot be taken with it. Move what must be kept into the record, and delete the rest after the time your policy names."},
	},
	logs.Google: {
		{"phishing-resistant", "Everybody signs in with a passkey or a security key", "Admin console, Security, 2-Step Verification: enforced, and only security key allowed; owners and administrators first, in the Advanced Protection Program."},
		{"old-protocols-off", "Old protocols are blocked: IMAP, POP and app passwords", "Admin console, Gmail, End user access: POP and IMAP off. Less secure apps off. Security keys only also ends app passwords."},
		{"no-calls-or-texts", "Phone calls and text messages are no second factor any more", "Admin console, 2-Step Verification: any method except codes by text or phone call, at the least."},
		{"alerts-on", "Suspicious sign-ins raise an alert that somebody reads", "Admin console, Rules: suspicious login and leaked password, by mail to two people."},
		{"forwarding-off", "Mail is not forwarded outside by rules", "Admin console, Gmail, End user access: automatic forwarding off. Then look at filters and delegates of each mailbox."},
		{"sessions-short", "Sign-ins end after a day", "Admin console, Security, Google session control: 24 hours or less."},
		{"mailbox-small", "The mailbox holds few old messages about patients", "What is not in the mailbox cannot be taken with it. Move what must be kept into the record, and delete the rest after the time your policy names."},
	},
}

var providers = map[logs.Kind]string{logs.Entra: "Microsoft Entra", logs.Google: "Google Workspace"}
