package trackers

// Law is one dated fact about the law on trackers, in our words. It is no advice.
type Law struct{ Day, Text, Source string }

// lawData is the day on which Laws were last compared with their sources.
const lawData = "2026-11-23"

// Laws are what an owner and their lawyer may want to know, the newest first.
var Laws = []Law{
	{"2024-08-29", "The Department of Health and Human Services (HHS) withdrew its appeal: what the court decided in June stands.", "mofo.com, proskauer.com"},
	{"2024-06-20", "A court vacated a part of HHS’s bulletin: that HIPAA is triggered where a tool connects a visitor’s network address with a visit to a public page, without sign-in, about conditions or providers. The rest stands: pages behind a sign-in, and public pages that do more than inform, such as booking, intake and symptom forms.", "American Hospital Ass’n v. Becerra, No. 4:23-cv-1110 (N.D. Tex.), 2024 WL 3075865; note on HHS’s own page"},
	{"2024-04-15", "Cerebral: about 3.2 million people’s contact data, answers and appointments went to LinkedIn, Snapchat, TikTok and others by tools on its sites. The order bans most use of health information for advertising.", "FTC; United States v. Cerebral, Inc."},
	{"2024-04", "Monument (treatment of alcohol use): health data went to Meta and Google, against its promise. The order bans it.", "FTC; United States v. Monument, Inc."},
	{"2024-03-18", "HHS updated its bulletin on tracking technologies.", "hhs.gov"},
	{"2023-07-14", "BetterHelp: e-mail addresses and answers from the intake questionnaire went to Facebook, Snapchat, Criteo and Pinterest. The FTC holds that being a user of a therapy service tells it all.", "FTC Docket C-4796"},
	{"2023-02-01", "GoodRx: medicines and conditions went to Facebook, Google and Criteo. The first use of the FTC’s Health Breach Notification Rule: sharing without permission counts as a breach of security there.", "United States v. GoodRx Holdings, Inc., N.D. Cal. No. 23-cv-460"},
}
