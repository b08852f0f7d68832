-- Browsers in which somebody has opened a door with a passkey before: a typed
-- code is taken there only. The hash of a cookie; it opens nothing.
CREATE TABLE identity_browsers (
	hash   BYTEA NOT NULL,
	person TEXT NOT NULL,
	made   BIGINT NOT NULL,
	PRIMARY KEY (hash, person)
);
-- Sessions, ceremonies and taps: minutes or hours old, shared by all servers.
-- UNLOGGED: in no write-ahead log, no replica and no base backup, and empty
-- after a crash. SQLite has no such tables; its one server keeps them in memory.
CREATE UNLOGGED TABLE identity_kept (
	kind  TEXT NOT NULL,
	key   TEXT NOT NULL,
	value BYTEA NOT NULL,
	ends  BIGINT NOT NULL,
	PRIMARY KEY (kind, key)
);
CREATE INDEX identity_kept_ends ON identity_kept (kind, ends);
