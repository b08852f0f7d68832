-- One row is one fact. The body is the only truth: what lookups go by is
-- computed from it by the database and cannot disagree with it. The type JSON
-- (not JSONB) keeps the text as it was written.
CREATE TABLE ledger_facts (
	id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of writing
	n BIGINT UNIQUE,                                    -- place in the tree from 1; NULL until the sequencer has seen it
	body JSON NOT NULL,
	at BIGINT GENERATED ALWAYS AS ((body ->> 'at')::BIGINT) STORED,
	kind TEXT GENERATED ALWAYS AS (body ->> 'kind') STORED,
	subject TEXT GENERATED ALWAYS AS (body ->> 'subject') STORED,
	record TEXT GENERATED ALWAYS AS (body ->> 'record') STORED,
	written TEXT GENERATED ALWAYS AS (CASE WHEN body ->> 'hash' IS NOT NULL THEN body ->> 'record' END) STORED
);
CREATE INDEX ledger_facts_at ON ledger_facts (at, id);
CREATE INDEX ledger_facts_kind ON ledger_facts (kind, id);
CREATE INDEX ledger_facts_subject ON ledger_facts (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX ledger_facts_record ON ledger_facts (record, id) WHERE record IS NOT NULL;
CREATE INDEX ledger_facts_written ON ledger_facts (subject, written, id) WHERE written IS NOT NULL;

-- The tree: row (level, tile) holds up to 256 hashes of 32 bytes, each the
-- root of 256^level facts.
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
