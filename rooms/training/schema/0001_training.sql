-- Lessons, practice messages, reports and exercises. Nothing of a patient is here.
-- What a person did with a practice message is shown to that person alone, and
-- forgotten after 400 days; the ledger never holds it.
CREATE TABLE training_settings (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	box BYTEA  NOT NULL -- what the owner chose, and passwords of mailboxes
);
-- The practice's own lessons, and those made from what happened here.
CREATE TABLE training_own (
	lesson TEXT   NOT NULL,
	box    BYTEA  NOT NULL, -- its text
	at     BIGINT NOT NULL,
	person TEXT   NOT NULL,
	gone   BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (lesson)
);
-- A lesson under way: answers so far.
CREATE TABLE training_under_way (
	person  TEXT   NOT NULL,
	lesson  TEXT   NOT NULL,
	hash    TEXT   NOT NULL, -- of the text that is being read
	answers TEXT   NOT NULL, -- JSON: the first answer given to each question
	at      BIGINT NOT NULL,
	PRIMARY KEY (person, lesson)
);
-- A lesson done: the certificate. Its fact in the ledger holds its hash.
CREATE TABLE training_done (
	done    TEXT   PRIMARY KEY,
	person  TEXT   NOT NULL,
	name    TEXT   NOT NULL, -- as the person was called then
	lesson  TEXT   NOT NULL,
	title   TEXT   NOT NULL,
	version BIGINT NOT NULL,
	hash    TEXT   NOT NULL, -- of the text that was read
	at      BIGINT NOT NULL,
	answers TEXT   NOT NULL,
	right_  BIGINT NOT NULL, -- at the first answer
	asked   BIGINT NOT NULL
);
CREATE INDEX training_done_person ON training_done (person, lesson, at);
-- What an owner gave to somebody, or to everybody (person is empty), beside the plan.
CREATE TABLE training_given (
	given  TEXT   PRIMARY KEY,
	lesson TEXT   NOT NULL,
	person TEXT   NOT NULL,
	due    BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	by_    TEXT   NOT NULL
);
-- Since when a lesson of the plan is before a person.
CREATE TABLE training_offered (
	person TEXT   NOT NULL,
	lesson TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	PRIMARY KEY (person, lesson)
);
CREATE TABLE training_reminded (
	person TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	PRIMARY KEY (person, at)
);
-- One practice message a person and month at most: the key says so.
CREATE TABLE training_messages (
	message TEXT   PRIMARY KEY,
	person  TEXT   NOT NULL,
	month   TEXT   NOT NULL, -- 2026-12
	lure    TEXT   NOT NULL,
	level   TEXT   NOT NULL, -- NIST Phish Scale
	planned BIGINT NOT NULL,
	state   TEXT   NOT NULL DEFAULT 'planned', -- queued, sent, failed, cancelled
	tag     TEXT   NOT NULL DEFAULT '', -- keyed hash of the token in its link
	mark    TEXT   NOT NULL DEFAULT '', -- keyed hash of the mark in its head
	letter  TEXT   NOT NULL DEFAULT '',
	sent    BIGINT NOT NULL DEFAULT 0,
	code    TEXT   NOT NULL DEFAULT '',
	UNIQUE (person, month)
);
CREATE INDEX training_messages_tag ON training_messages (tag);
CREATE INDEX training_messages_mark ON training_messages (mark);
CREATE INDEX training_messages_due ON training_messages (state, planned);
-- What came of it: 'went-on' and 'held' are acts of a person, 'reported' is good,
-- 'automatic' is a program. One row each.
CREATE TABLE training_acts (
	message TEXT   NOT NULL,
	what    TEXT   NOT NULL,
	why     TEXT   NOT NULL,
	first   BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	times   BIGINT NOT NULL,
	PRIMARY KEY (message, what, why)
);
-- Pages that were used once already, so that none is replayed.
CREATE TABLE training_visits (
	visit TEXT PRIMARY KEY,
	at    BIGINT NOT NULL
);
-- Fetches without an act, counted by month and reason, of nobody in particular.
CREATE TABLE training_fetches (
	month TEXT   NOT NULL,
	why   TEXT   NOT NULL,
	times BIGINT NOT NULL,
	PRIMARY KEY (month, why)
);
-- Messages that people reported.
CREATE TABLE training_reports (
	report  TEXT   PRIMARY KEY,
	person  TEXT   NOT NULL, -- who reported; empty if not known
	at      BIGINT NOT NULL,
	how     TEXT   NOT NULL, -- page, smtp, imap
	message TEXT   NOT NULL, -- the practice message that it was; empty: a real one
	box     BYTEA  NOT NULL, -- the message and what was said, sealed; held, never shown as it is
	scan    TEXT   NOT NULL DEFAULT '', -- clean, malware, not-known
	verdict TEXT   NOT NULL DEFAULT '', -- practice, harmless, spam, bad
	decided BIGINT NOT NULL DEFAULT 0,
	by_     TEXT   NOT NULL DEFAULT '',
	warned  BIGINT NOT NULL DEFAULT 0,
	removed BIGINT NOT NULL DEFAULT 0,
	seen    TEXT   NOT NULL DEFAULT '' -- keyed hash of its bytes and who sent it: the same report twice is one
);
CREATE INDEX training_reports_at ON training_reports (at);
CREATE INDEX training_reports_seen ON training_reports (seen);
CREATE TABLE training_blocked (
	sender TEXT   PRIMARY KEY, -- keyed hash
	box    BYTEA  NOT NULL,
	at     BIGINT NOT NULL,
	by_    TEXT   NOT NULL
);
-- Table-top exercises.
CREATE TABLE training_exercises (
	exercise TEXT   PRIMARY KEY,
	number   BIGINT NOT NULL UNIQUE,
	incident TEXT   NOT NULL,
	began    BIGINT NOT NULL,
	ended    BIGINT NOT NULL DEFAULT 0,
	step     BIGINT NOT NULL DEFAULT 0,
	by_      TEXT   NOT NULL,
	box      BYTEA  NOT NULL, -- who took part, what was decided and learned
	due      BIGINT NOT NULL DEFAULT 0,
	fixed    BIGINT NOT NULL DEFAULT 0
);
