-- The risk analysis, documents, vendors and the calendar of reviews. No patient
-- is in here. What was signed is kept six years (45 CFR 164.316(b)(2)(i)).
CREATE TABLE reviews_answers (
	question TEXT PRIMARY KEY, -- "place.ehr", "q.locked"
	answer   TEXT NOT NULL,    -- used, unused; yes, no, unsure
	note     TEXT NOT NULL,
	person   TEXT NOT NULL,
	at       BIGINT NOT NULL
);
CREATE TABLE reviews_findings (
	finding   TEXT PRIMARY KEY, -- what it follows from: "q.locked", "claim.backup.fresh"
	treatment TEXT NOT NULL,    -- fix, reduce, accept
	reason    TEXT NOT NULL,
	owner     TEXT NOT NULL,    -- who sees to it
	due       BIGINT NOT NULL,
	done      BIGINT NOT NULL,  -- 0: not yet
	person    TEXT NOT NULL,    -- who decided
	at        BIGINT NOT NULL
);
CREATE TABLE reviews_papers (
	id      TEXT PRIMARY KEY,
	n       BIGINT NOT NULL UNIQUE,
	kind    TEXT NOT NULL, -- risk-analysis, or a policy
	title   TEXT NOT NULL,
	html    TEXT NOT NULL, -- as it was signed
	parts   TEXT NOT NULL, -- JSON: what each paragraph was made of
	at      BIGINT NOT NULL
);
CREATE TABLE reviews_signatures (
	paper  TEXT NOT NULL,
	person TEXT NOT NULL,
	at     BIGINT NOT NULL,
	PRIMARY KEY (paper, person)
);
CREATE TABLE reviews_vendors (
	id      TEXT PRIMARY KEY,
	name    TEXT NOT NULL,
	holds   TEXT NOT NULL, -- what of patients' information, in words
	signed  TEXT NOT NULL, -- 2026-03-01, or ""
	review  TEXT NOT NULL, -- the next date, or ""
	because TEXT NOT NULL, -- not a business associate, because
	contact TEXT NOT NULL,
	person  TEXT NOT NULL,
	at      BIGINT NOT NULL,
	gone    BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE reviews_done (
	n      BIGINT PRIMARY KEY,
	kind   TEXT NOT NULL,
	what   TEXT NOT NULL,   -- done, moved, skipped
	reason TEXT NOT NULL,
	till   BIGINT NOT NULL, -- where it was moved to
	person TEXT NOT NULL,
	at     BIGINT NOT NULL
);
CREATE TABLE reviews_kept (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);
