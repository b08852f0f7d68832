-- What the rooms said of themselves at the last look. No patient is in here:
-- claims, counts, and names of staff (see docs/security.md).
CREATE TABLE home_evidence (
	claim   TEXT NOT NULL,
	nth     BIGINT NOT NULL, -- one claim may be said of several things
	place   TEXT NOT NULL,
	text    TEXT NOT NULL,
	state   TEXT NOT NULL,
	seen    BIGINT NOT NULL, -- milliseconds; 0: never
	until   BIGINT NOT NULL,
	fact    BIGINT NOT NULL,
	page    TEXT NOT NULL,
	fix     TEXT NOT NULL,
	minutes BIGINT NOT NULL,
	why     TEXT NOT NULL,
	since   BIGINT NOT NULL, -- when it came into this state
	PRIMARY KEY (claim, nth)
);
-- The last time each attack was really tried, and the last time it was skipped.
-- All earlier times stand in the ledger.
CREATE TABLE home_drills (
	drill      TEXT PRIMARY KEY,
	at         BIGINT NOT NULL DEFAULT 0, -- 0: never tried
	held       BIGINT NOT NULL DEFAULT 0,
	tried      BIGINT NOT NULL DEFAULT 0,
	opened     BIGINT NOT NULL DEFAULT 0,
	took       BIGINT NOT NULL DEFAULT 0,
	findings   TEXT NOT NULL DEFAULT '[]', -- the first of them, as JSON
	found      BIGINT NOT NULL DEFAULT 0,  -- how many there were
	skipped    TEXT NOT NULL DEFAULT '',
	skipped_at BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE home_count (
	one      BIGINT PRIMARY KEY CHECK (one = 1),
	patients BIGINT NOT NULL,
	counted  BIGINT NOT NULL -- 0: never
);
INSERT INTO home_count (one, patients, counted) VALUES (1, 0, 0);
