-- Where backups go. box holds place and credentials, sealed under a secret of
-- the house that is not in the database.
CREATE TABLE backup_targets (
	target TEXT PRIMARY KEY,
	added  BIGINT NOT NULL,
	box    BYTEA NOT NULL
);
-- What was saved where: the newest few hundred. verified is when the copies of
-- the keys were read back and were the ones that were written; 0: not yet.
CREATE TABLE backup_saved (
	target   TEXT NOT NULL,
	pair     TEXT NOT NULL,
	at       BIGINT NOT NULL,
	facts    BIGINT NOT NULL,
	records  TEXT NOT NULL,
	wraps    TEXT NOT NULL, -- empty: this place cannot let keys expire and gets none
	sum      BYTEA NOT NULL, -- SHA-256 of the copy of the keys
	verified BIGINT NOT NULL DEFAULT 0,
	took     BIGINT NOT NULL,
	added    BIGINT NOT NULL, -- bytes that were new
	PRIMARY KEY (target, pair)
);
CREATE INDEX backup_saved_at ON backup_saved (at);
-- The last time each place failed, since when, and how.
CREATE TABLE backup_failed (
	target TEXT PRIMARY KEY,
	since  BIGINT NOT NULL,
	at     BIGINT NOT NULL,
	said   TEXT NOT NULL
);
-- Each time the newest backup was brought back into an empty house and opened.
CREATE TABLE backup_proofs (
	at     BIGINT PRIMARY KEY,
	held   BIGINT NOT NULL,
	report TEXT NOT NULL -- JSON, without a word about a patient
);
-- How often, how long, and what the clock showed.
CREATE TABLE backup_settings (
	one  BIGINT PRIMARY KEY CHECK (one = 1),
	text TEXT NOT NULL -- JSON
);
-- Records that belong to nobody, which a proof has to open: sealed under a key
-- that lies, wrapped under a secret of the house, in the other stream.
CREATE TABLE backup_drill (
	record TEXT PRIMARY KEY,
	box    BYTEA NOT NULL
);
CREATE TABLE backup_drill_key (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	box BYTEA NOT NULL
);
