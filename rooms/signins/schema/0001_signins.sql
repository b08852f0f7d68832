-- What the sign-in logs of the practice's mailboxes told. A mailbox is named by a
-- keyed hash of its address; addresses and places are in boxes. Nothing of any
-- message is here.
CREATE TABLE signins_tenants (
	kind TEXT NOT NULL,
	name TEXT NOT NULL, -- the provider's number of the practice, or a mail domain
	PRIMARY KEY (kind, name)
);
CREATE TABLE signins_mailboxes (
	mailbox TEXT PRIMARY KEY,
	kind    TEXT  NOT NULL,
	box     BYTEA NOT NULL, -- the address
	person  TEXT  NOT NULL  -- whose it is, if known
);
-- Prompts that were refused or not answered. The key is a keyed hash of the
-- event's own number, so that the same log may come twice.
CREATE TABLE signins_prompts (
	event   TEXT PRIMARY KEY,
	mailbox TEXT   NOT NULL,
	at      BIGINT NOT NULL
);
CREATE INDEX signins_prompts_at ON signins_prompts (mailbox, at);
-- Where somebody came in, in spans of ten minutes: the first and the last time.
CREATE TABLE signins_visits (
	mailbox TEXT   NOT NULL,
	span    BIGINT NOT NULL,
	place   TEXT   NOT NULL, -- keyed hash
	box     BYTEA  NOT NULL, -- the place
	first   BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	how     BIGINT NOT NULL, -- bits: see how.go
	PRIMARY KEY (mailbox, span, place)
);
CREATE TABLE signins_findings (
	finding    TEXT PRIMARY KEY,
	mailbox    TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	word       TEXT   NOT NULL, -- a protocol
	started    BIGINT NOT NULL,
	ended      BIGINT NOT NULL,
	times      BIGINT NOT NULL,
	accepted   BIGINT NOT NULL, -- somebody came in right after
	found      BIGINT NOT NULL,
	concluded  BIGINT NOT NULL DEFAULT 0,
	conclusion TEXT   NOT NULL DEFAULT '',
	person     TEXT   NOT NULL DEFAULT '' -- who concluded
);
CREATE INDEX signins_findings_mailbox ON signins_findings (mailbox, kind);
CREATE TABLE signins_imports (
	import TEXT PRIMARY KEY,
	at     BIGINT NOT NULL,
	person TEXT   NOT NULL,
	kind   TEXT   NOT NULL,
	since  BIGINT NOT NULL, -- the oldest and the newest sign-in in it
	until  BIGINT NOT NULL,
	box    BYTEA  NOT NULL  -- what was read, and what could not be
);
CREATE INDEX signins_imports_at ON signins_imports (at);
CREATE TABLE signins_checks (
	kind   TEXT   NOT NULL,
	item   TEXT   NOT NULL,
	person TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	PRIMARY KEY (kind, item)
);
