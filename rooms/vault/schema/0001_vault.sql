-- Whoever reads these tables learns opaque identifiers, sizes, times, and which
-- team cares for which opaque patient. No name, no word of a note.
CREATE TABLE vault_patients (
	patient  TEXT PRIMARY KEY,
	admitted BIGINT NOT NULL
);
-- The key of one compartment of one patient, in one version, wrapped for one
-- team: under the team's key, or (inbox = 1) sealed to the team's public inbox by
-- somebody who is no member; then tag, made under the directory key, tells that
-- it was somebody of the practice.
CREATE TABLE vault_wraps (
	patient TEXT NOT NULL,
	part    TEXT NOT NULL,
	version BIGINT NOT NULL,
	team    TEXT NOT NULL,
	epoch   BIGINT NOT NULL,
	inbox   BIGINT NOT NULL,
	box     BYTEA NOT NULL,
	tag     BYTEA,
	tagged  BIGINT NOT NULL DEFAULT 0, -- number of the directory key behind tag
	PRIMARY KEY (patient, part, team, version)
);
-- A newer key wraps the one before it.
CREATE TABLE vault_older (
	patient TEXT NOT NULL,
	part    TEXT NOT NULL,
	version BIGINT NOT NULL, -- of the newer key
	box     BYTEA NOT NULL,
	PRIMARY KEY (patient, part, version)
);
-- For whom a key is wrapped, with the number of each team's key: sealed under the
-- key itself, so that neither a row nor somebody of another team decides who gets
-- the next one.
CREATE TABLE vault_care (
	patient TEXT NOT NULL,
	part    TEXT NOT NULL,
	version BIGINT NOT NULL,
	box     BYTEA NOT NULL,
	PRIMARY KEY (patient, part, version)
);
CREATE TABLE vault_records (
	record  TEXT PRIMARY KEY,
	patient TEXT NOT NULL,
	part    TEXT NOT NULL,
	version BIGINT NOT NULL,
	keyed   BIGINT NOT NULL, -- version of the patient's key
	at      BIGINT NOT NULL,
	head    BYTEA NOT NULL,  -- sealed: what a list shows
	box     BYTEA NOT NULL,  -- sealed: the record, or where its stream lies
	sum     BYTEA NOT NULL,  -- SHA-256 of box
	blob    TEXT NOT NULL DEFAULT '',
	size    BIGINT NOT NULL
);
CREATE INDEX vault_records_patient ON vault_records (patient, part);
-- The sealed directory: derived from identity records, rebuildable.
CREATE TABLE vault_directory (
	segment BIGINT PRIMARY KEY,
	epoch   BIGINT NOT NULL,
	ids     BYTEA NOT NULL,
	texts   BYTEA NOT NULL,
	lines   BYTEA NOT NULL
);
CREATE TABLE vault_tail (
	patient TEXT NOT NULL,
	epoch   BIGINT NOT NULL,
	at      BIGINT NOT NULL, -- generation that wrote it; a fact keeps the sum of its rows
	box     BYTEA NOT NULL,
	PRIMARY KEY (patient, at)
);
CREATE TABLE vault_generation (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	number BIGINT NOT NULL, -- raised by every change of the directory
	merged BIGINT NOT NULL  -- raised when the tail is merged
);
INSERT INTO vault_generation (one, number, merged) VALUES (1, 0, 0);
-- Keyed tags of outside identifiers: is this patient here already?
CREATE TABLE vault_index (
	tag     BYTEA PRIMARY KEY,
	patient TEXT NOT NULL,
	proof   BYTEA NOT NULL -- keyed over name and patient: a tag cannot be turned to another patient
);
-- What a search showed, sealed; the fact holds the reference.
CREATE TABLE vault_shown (
	ref   TEXT PRIMARY KEY,
	epoch BIGINT NOT NULL,
	box   BYTEA NOT NULL
);
CREATE INDEX vault_records_blob ON vault_records (blob) WHERE blob <> '';
