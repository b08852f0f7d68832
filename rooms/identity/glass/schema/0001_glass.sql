-- The pair as it was made last: to which making the halves below belong. An
-- empty making: turned off. Nothing here opens anything without the house's
-- half, which lies outside of the database.
CREATE TABLE glass_making (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	making TEXT NOT NULL,
	person TEXT NOT NULL,
	at     BIGINT NOT NULL
);
-- Half A, sealed to each person who may break the glass. These rows belong to
-- the short stream of backups, as all wraps do.
CREATE TABLE glass_halves (
	person TEXT PRIMARY KEY,
	making TEXT NOT NULL,
	box    BYTEA NOT NULL
);
-- Team keys, sealed to the pair.
CREATE TABLE glass_keys (
	team   TEXT NOT NULL,
	epoch  BIGINT NOT NULL,
	making TEXT NOT NULL,
	box    BYTEA NOT NULL,
	PRIMARY KEY (team, epoch)
);
-- One row a breaking. care: the teams who cared then. words, verdict: what was
-- typed, sealed under a key of the patient. ended: 0 while it lasts.
CREATE TABLE glass_breaks (
	break    TEXT PRIMARY KEY,
	patient  TEXT NOT NULL,
	person   TEXT NOT NULL,
	session  TEXT NOT NULL,
	at       BIGINT NOT NULL,
	ends     BIGINT NOT NULL,
	ended    BIGINT NOT NULL DEFAULT 0,
	reason   TEXT NOT NULL,
	care     TEXT NOT NULL,
	words    BYTEA,
	due      BIGINT NOT NULL,
	reviewer TEXT NOT NULL DEFAULT '',
	reviewed BIGINT NOT NULL DEFAULT 0,
	decided  TEXT NOT NULL DEFAULT '',
	verdict  BYTEA
);
CREATE INDEX glass_breaks_patient ON glass_breaks (patient);
CREATE INDEX glass_breaks_waiting ON glass_breaks (reviewed, due);
