-- Browsers in which somebody has opened a door with a passkey before: a typed
-- code is taken there only. The hash of a cookie; it opens nothing.
CREATE TABLE identity_browsers (
	hash   BYTEA NOT NULL,
	person TEXT NOT NULL,
	made   BIGINT NOT NULL,
	PRIMARY KEY (hash, person)
);
