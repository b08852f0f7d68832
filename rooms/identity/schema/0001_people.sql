-- Staff names and mail stand here in the clear (see docs/security.md, "what an
-- attacker gets"): the names, also of teams, within the signed chain.
-- Nothing here opens anything: seeds are sealed to doors, team keys to people.
CREATE TABLE identity_practice (
	one  BIGINT PRIMARY KEY CHECK (one = 1),
	name TEXT NOT NULL
);
CREATE TABLE identity_people (
	person TEXT PRIMARY KEY,
	mail   TEXT NOT NULL,
	joined BIGINT NOT NULL
);
-- The signed chain: who belongs to the practice and which keys are real.
CREATE TABLE identity_roster (
	number    BIGINT PRIMARY KEY,
	body      BYTEA NOT NULL,
	signature BYTEA NOT NULL
);
-- One row a door. seed is the person's seed, sealed to the door's public key.
CREATE TABLE identity_doors (
	door          TEXT PRIMARY KEY,
	person        TEXT NOT NULL,
	kind          TEXT NOT NULL,
	label         TEXT NOT NULL,
	auth          BYTEA UNIQUE,  -- code: hash of its auth part
	credential_id BYTEA UNIQUE,  -- passkey
	credential    BYTEA,         -- passkey: its public key, counter and flags
	seed          BYTEA NOT NULL,
	made          BIGINT NOT NULL,
	used          BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX identity_doors_person ON identity_doors (person);
-- Team keys, sealed to a member's pair, or to the practice's recovery pair (holder 'recovery').
CREATE TABLE identity_team_keys (
	team   TEXT NOT NULL,
	epoch  BIGINT NOT NULL,
	holder TEXT NOT NULL,
	box    BYTEA NOT NULL,
	PRIMARY KEY (holder, team, epoch)
);
-- What each person has seen of the chain, sealed under the seed.
CREATE TABLE identity_pins (
	person TEXT PRIMARY KEY,
	box    BYTEA NOT NULL
);
