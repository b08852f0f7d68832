-- Links for auditors: one binder each, which an owner has read, until a day. The
-- link itself is not here, only its hash.
CREATE TABLE compliance_links (
	token  TEXT PRIMARY KEY, -- SHA-256, hexadecimal
	person TEXT NOT NULL,    -- who made it
	at     BIGINT NOT NULL,
	ends   BIGINT NOT NULL,
	bundle BYTEA NOT NULL
);
