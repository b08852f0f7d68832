-- The practice's web sites, what scans of them saw, and what was decided. All that
-- is typed in a scan is made up; nothing of any patient is here.
CREATE TABLE trackers_sites (
	site    TEXT PRIMARY KEY,
	url     TEXT   NOT NULL,
	hosts   TEXT   NOT NULL, -- more hosts that are theirs, one a line
	named   TEXT   NOT NULL, -- pages to open in any case, one a line
	tests   TEXT   NOT NULL, -- pages whose form may be sent as a test, one a line
	days    BIGINT NOT NULL, -- between scans; 0: only when somebody asks
	person  TEXT   NOT NULL, -- who said that it is theirs
	at      BIGINT NOT NULL,
	removed BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE trackers_scans (
	scan   TEXT PRIMARY KEY,
	site   TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	state  TEXT   NOT NULL, -- done, stopped, failed
	why    TEXT   NOT NULL, -- why it failed, in words for people
	har    TEXT   NOT NULL, -- SHA-256 of the recorded traffic; it stands in the ledger too
	report BYTEA  NOT NULL, -- the result as JSON, packed; empty where there is none
	proof  BYTEA  NOT NULL  -- the recorded traffic, packed; empty once it is old
);
CREATE INDEX trackers_scans_site ON trackers_scans (site, at);
CREATE TABLE trackers_pictures (
	scan TEXT  NOT NULL,
	name TEXT  NOT NULL,
	png  BYTEA NOT NULL,
	PRIMARY KEY (scan, name)
);
-- One harm: who is told something on which page.
CREATE TABLE trackers_harms (
	harm       TEXT PRIMARY KEY,
	site       TEXT   NOT NULL,
	word       TEXT   NOT NULL, -- the same in each scan: a hash of page and receiver
	severity   TEXT   NOT NULL,
	sentence   TEXT   NOT NULL,
	page       TEXT   NOT NULL,
	who        TEXT   NOT NULL,
	typed      BIGINT NOT NULL, -- 1: what was typed is among what is told
	clean      BIGINT NOT NULL, -- when the page was last looked at without it; 0: never
	first      BIGINT NOT NULL,
	last       BIGINT NOT NULL,
	first_scan TEXT   NOT NULL,
	last_scan  TEXT   NOT NULL,
	gone       BIGINT NOT NULL DEFAULT 0, -- when it was first not seen any more
	decided    BIGINT NOT NULL DEFAULT 0,
	decision   TEXT   NOT NULL DEFAULT '',
	person     TEXT   NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX trackers_harms_word ON trackers_harms (site, word);
