-- What the rooms could prove, and from when to when: a row is a time in which a
-- claim was in one state. No patient is in here: claims, counts, names of staff.
CREATE TABLE compliance_seen (
	id      TEXT PRIMARY KEY,
	claim   TEXT NOT NULL,
	nth     BIGINT NOT NULL, -- one claim may be made of several things
	text    TEXT NOT NULL,   -- the newest sentence of that time
	state   TEXT NOT NULL,
	first   BIGINT NOT NULL, -- milliseconds
	last    BIGINT NOT NULL,
	until   BIGINT NOT NULL, -- after it the claim reads Not known
	fact    BIGINT NOT NULL
);
CREATE INDEX compliance_seen_claim ON compliance_seen (claim, nth, last);
-- What a person said of a control. Rows are only added: the newest one counts,
-- the others show what was said before (kept six years, 45 CFR 164.316(b)(2)(i)).
CREATE TABLE compliance_words (
	id      TEXT PRIMARY KEY,
	n       BIGINT NOT NULL UNIQUE, -- in the order of saying, whatever the clock did
	control TEXT NOT NULL,
	kind    TEXT NOT NULL, -- said, off, instead, not-done, taken-back
	text    TEXT NOT NULL, -- in that person's words
	person  TEXT NOT NULL,
	at      BIGINT NOT NULL,
	review  BIGINT NOT NULL -- when it has to be said again
);
CREATE INDEX compliance_words_control ON compliance_words (control, n);
-- The last time the whole ledger was read again.
CREATE TABLE compliance_ledger (
	one     BIGINT PRIMARY KEY CHECK (one = 1),
	at      BIGINT NOT NULL,
	facts   BIGINT NOT NULL,
	finding TEXT NOT NULL
);
