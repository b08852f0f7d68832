-- What was found in files that came in, and what could not be looked through.
-- The box says what it is and what people decided; it is sealed under a key
-- outside of the database, so that writing a row lets nothing out.
CREATE TABLE antivirus_findings (
	finding TEXT PRIMARY KEY,
	patient TEXT   NOT NULL, -- about whom; empty if about nobody
	tag     TEXT   NOT NULL, -- keyed hash of the content
	at      BIGINT NOT NULL,
	open    BIGINT NOT NULL, -- 1: it waits for somebody
	box     BYTEA  NOT NULL
);
CREATE INDEX antivirus_findings_tag ON antivirus_findings (tag);
CREATE INDEX antivirus_findings_patient ON antivirus_findings (patient);
CREATE INDEX antivirus_findings_at ON antivirus_findings (at);
-- How it is with the scanner of each server.
CREATE TABLE antivirus_servers (
	server   TEXT PRIMARY KEY,
	first    BIGINT NOT NULL, -- since when its scanner is looked after
	at       BIGINT NOT NULL, -- when it was looked at last
	state    TEXT   NOT NULL, -- a fixed word; empty: it sees
	engine   TEXT   NOT NULL,
	number   BIGINT NOT NULL, -- of the signatures in use
	built    BIGINT NOT NULL,
	refused  TEXT   NOT NULL, -- a signature file that it could not load
	tried    BIGINT NOT NULL, -- when signatures were fetched last
	outcome  TEXT   NOT NULL
);
