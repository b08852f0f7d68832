-- One row a leaving, planned or done. What decides who belongs to the practice is
-- the signed list; this is how far a leaving is.
CREATE TABLE leaving_acts (
	leaving   TEXT PRIMARY KEY,
	person    TEXT NOT NULL,
	successor TEXT NOT NULL,           -- who takes the patients over; or ''
	entered   BIGINT NOT NULL,         -- milliseconds, like all times here
	hour      BIGINT NOT NULL,         -- when the person leaves, or has left
	plan      BIGINT NOT NULL,         -- number of the plan on the signed list; 0: it was done at once
	closed    BIGINT NOT NULL DEFAULT 0, -- when the doors were closed; 0: they stand open
	took      BIGINT NOT NULL DEFAULT 0, -- microseconds
	ended     BIGINT NOT NULL DEFAULT 0, -- when the plan was taken back or replaced
	tried     BIGINT NOT NULL DEFAULT 0, -- when the doors were tried last
	walk      TEXT NOT NULL DEFAULT '',  -- a drill's report, as JSON: a made-up person left in the same way
	walked    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX leaving_acts_person ON leaving_acts (person);
-- The doors to who left, as they were known before, and what their verifiers said last.
CREATE TABLE leaving_doors (
	leaving TEXT NOT NULL,
	n       BIGINT NOT NULL,
	room    TEXT NOT NULL,
	kind    TEXT NOT NULL,
	name    TEXT NOT NULL,
	key     TEXT NOT NULL, -- an identifier or a hash, never a secret
	before  BIGINT NOT NULL, -- 1: it was open before
	open    BIGINT NOT NULL, -- 1: its verifier accepted it the last time
	micros  BIGINT NOT NULL, -- how long the answer took
	PRIMARY KEY (leaving, n)
);
-- Keys that teams get when a plan is carried out, sealed to those who stay: until
-- then nobody holds them.
CREATE TABLE leaving_keys (
	plan   BIGINT NOT NULL,
	team   TEXT NOT NULL,
	epoch  BIGINT NOT NULL,
	holder TEXT NOT NULL,
	box    BYTEA NOT NULL,
	PRIMARY KEY (plan, team, holder)
);
-- How far the patients are handed over.
CREATE TABLE leaving_patients (
	leaving TEXT PRIMARY KEY,
	team    TEXT NOT NULL,   -- whose patients they are
	moved   BIGINT NOT NULL DEFAULT 0,
	shut    BIGINT NOT NULL DEFAULT 0 -- of the last round: those that the acting person's keys do not reach
);
-- What only people can say of systems outside.
CREATE TABLE leaving_outside (
	leaving TEXT NOT NULL,
	item    TEXT NOT NULL, -- a fixed word
	person  TEXT NOT NULL, -- who does it
	due     BIGINT NOT NULL,
	done    BIGINT NOT NULL DEFAULT 0,
	said_by TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (leaving, item)
);
