-- People who are invited. What an owner decided is signed; what the newcomer made
-- is signed with a key that comes from the link, which stands nowhere here.
CREATE TABLE identity_invitations (
	invitation TEXT PRIMARY KEY,
	hash       BYTEA NOT NULL UNIQUE, -- of the link's secret
	body       BYTEA NOT NULL,
	signature  BYTEA NOT NULL,
	state      TEXT NOT NULL,
	changed    BIGINT NOT NULL,
	offered    BYTEA,                 -- the newcomer's public keys and sealed doors
	proof      BYTEA
);
-- A second address, for notices about one's own account; the last day of temporary staff.
ALTER TABLE identity_people ADD COLUMN second TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_people ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
