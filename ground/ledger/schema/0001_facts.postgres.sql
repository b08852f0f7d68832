-- Facts are written here by the acts that they tell of, and stay until the
-- sequencer moves them on, within 100 ms.
CREATE TABLE ledger_waiting (
	id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of writing
	body TEXT NOT NULL,
	mac BYTEA NOT NULL, -- made with the ledger's key, which is not in the database
	subject TEXT GENERATED ALWAYS AS (body::JSON ->> 'subject') STORED
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000); -- it empties all the time
CREATE INDEX ledger_waiting_subject ON ledger_waiting (subject, id) WHERE subject IS NOT NULL;

-- Facts with their number: the place in the tree, counted from 1. Rows are only
-- ever added. The body is the only truth: what lookups go by is computed from
-- it by the database and cannot disagree with it. The type JSON (not JSONB)
-- keeps the text as it was written.
CREATE TABLE ledger_facts (
	n BIGINT PRIMARY KEY,
	body TEXT NOT NULL,
	mac BYTEA NOT NULL DEFAULT '', -- as of a waiting fact: verify needs it not, every lookup does
	at BIGINT GENERATED ALWAYS AS ((body::JSON ->> 'at')::BIGINT) STORED,
	kind TEXT GENERATED ALWAYS AS (body::JSON ->> 'kind') STORED,
	subject TEXT GENERATED ALWAYS AS (body::JSON ->> 'subject') STORED,
	record TEXT GENERATED ALWAYS AS (body::JSON ->> 'record') STORED,
	version BIGINT GENERATED ALWAYS AS ((body::JSON ->> 'version')::BIGINT) STORED,
	written TEXT GENERATED ALWAYS AS (CASE WHEN body::JSON ->> 'hash' IS NOT NULL THEN body::JSON ->> 'record' END) STORED
);
CREATE INDEX ledger_facts_at ON ledger_facts (at, n);
CREATE INDEX ledger_facts_kind ON ledger_facts (kind, n);
CREATE INDEX ledger_facts_subject ON ledger_facts (subject, n) WHERE subject IS NOT NULL;
CREATE INDEX ledger_facts_written ON ledger_facts (subject, written, version, n) WHERE written IS NOT NULL;

-- The tree: row (level, tile) holds up to 256 hashes of 32 bytes, each the
-- root over 256^level facts.
CREATE TABLE ledger_tiles (
	level BIGINT NOT NULL,
	tile BIGINT NOT NULL,
	hashes BYTEA NOT NULL,
	PRIMARY KEY (level, tile)
);

-- The newest signed head, and the last one of every earlier day.
CREATE TABLE ledger_heads (
	day BIGINT PRIMARY KEY, -- days since 1970 (UTC)
	size BIGINT NOT NULL,
	note TEXT NOT NULL
);
