-- Somebody who lost all ways in comes back by an owner's word. What the owner
-- confirmed, face to face, is signed; see back.go.
ALTER TABLE identity_invitations ADD COLUMN confirmed BYTEA;
ALTER TABLE identity_invitations ADD COLUMN confirmation BYTEA;
-- A good code or the kit, shown where it is not taken at once, waits for a day.
CREATE TABLE identity_waits (
	kind  TEXT NOT NULL,   -- "code", "kit"
	key   TEXT NOT NULL,   -- the door; of the kit: the number of the entry that named it
	asked BIGINT NOT NULL,
	PRIMARY KEY (kind, key)
);
-- The recovery kit's secret, sealed under each two of three shares. Opens with two
-- papers and nothing that is here.
CREATE TABLE identity_shares (
	named BIGINT NOT NULL, -- the entry that named the kit
	part  BIGINT NOT NULL,
	box   BYTEA NOT NULL,
	PRIMARY KEY (named, part)
);
