-- How many keys people's own keys opened, team after team, through the week.
-- after is where the round that goes on stands; last_ are of the last whole one.
CREATE TABLE backup_keys (
	team        TEXT PRIMARY KEY,
	began       BIGINT NOT NULL,
	after       TEXT NOT NULL,
	opened      BIGINT NOT NULL,
	same        BIGINT NOT NULL, -- of the opened: those that lie in the newest restored copy, byte for byte
	failed      BIGINT NOT NULL,
	ended       BIGINT NOT NULL DEFAULT 0,
	last_began  BIGINT NOT NULL DEFAULT 0,
	last_opened BIGINT NOT NULL DEFAULT 0,
	last_same   BIGINT NOT NULL DEFAULT 0,
	last_failed BIGINT NOT NULL DEFAULT 0
);
-- The sums of wrapped keys in the newest copy that was brought back, by team.
CREATE TABLE backup_restored (
	team TEXT PRIMARY KEY,
	at   BIGINT NOT NULL,
	sums BYTEA NOT NULL
);
