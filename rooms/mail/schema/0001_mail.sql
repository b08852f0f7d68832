-- Outgoing mail. Everything a person wrote or reads is in boxes under the outbox
-- key, which is in a file beside the database (see docs/security.md).
CREATE TABLE mail_server (
	one     BIGINT PRIMARY KEY CHECK (one = 1),
	box     BYTEA  NOT NULL, -- where, as whom, with which password
	at      BIGINT NOT NULL, -- accepted, milliseconds
	person  TEXT   NOT NULL, -- by whom
	seen    BIGINT NOT NULL, -- when it last let us in
	secured TEXT   NOT NULL, -- "TLS 1.3", then
	failing BIGINT NOT NULL DEFAULT 0, -- since when it does not; 0: it does
	why     TEXT   NOT NULL DEFAULT '',
	code    TEXT   NOT NULL DEFAULT '',
	tries   BIGINT NOT NULL DEFAULT 0,
	retry   BIGINT NOT NULL DEFAULT 0  -- not before
);
-- What is being set up: kept until its test message has arrived.
CREATE TABLE mail_proposal (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	box    BYTEA  NOT NULL,
	person TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	tries  BIGINT NOT NULL -- numbers that were typed
);
-- What the practice has agreed with whoever carries its mail. The newest counts.
CREATE TABLE mail_agreements (
	agreement TEXT   PRIMARY KEY,
	box       BYTEA  NOT NULL,
	person    TEXT   NOT NULL,
	at        BIGINT NOT NULL
);
-- One row for each address of each notice.
CREATE TABLE mail_queue (
	letter TEXT   PRIMARY KEY,
	person TEXT   NOT NULL, -- empty: somebody who has not joined
	lane   TEXT   NOT NULL, -- which provider, by a keyed hash of its domain; empty: no address known yet
	box    BYTEA  NOT NULL, -- empty once it is done
	queued BIGINT NOT NULL,
	next   BIGINT NOT NULL, -- not before
	tries  BIGINT NOT NULL DEFAULT 0,
	tried  BIGINT NOT NULL DEFAULT 0,
	state  TEXT   NOT NULL DEFAULT 'waiting', -- sent, refused, dropped
	code   TEXT   NOT NULL DEFAULT '', -- "550 5.1.1"
	done   BIGINT NOT NULL DEFAULT 0,
	seen   BIGINT NOT NULL DEFAULT 0   -- when an owner read that it failed
);
CREATE INDEX mail_queue_next ON mail_queue (state, next);
CREATE INDEX mail_queue_lane ON mail_queue (lane, tried);
