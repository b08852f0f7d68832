-- Facts are written here by the acts that they tell of, and stay until the
-- sequencer moves them on, within 100 ms.
CREATE TABLE ledger_waiting (
	id INTEGER PRIMARY KEY, -- order of writing
	body TEXT NOT NULL,
	mac BLOB NOT NULL, -- made with the ledger's key, which is not in the database
	subject TEXT GENERATED ALWAYS AS (body ->> '$.subject') VIRTUAL
);
CREATE INDEX ledger_waiting_subject ON ledger_waiting (subject) WHERE subject IS NOT NULL;

-- Facts with their number: the place in the tree, counted from 1. Rows are only
-- ever added. The body is the only truth: what lookups go by is computed from
-- it by the database and cannot disagree with it.
CREATE TABLE ledger_facts (
	n INTEGER PRIMARY KEY,
	body TEXT NOT NULL,
	mac BLOB NOT NULL DEFAULT x'', -- as of a waiting fact: verify needs it not, every lookup does
	at INTEGER GENERATED ALWAYS AS (body ->> '$.at') VIRTUAL,
	kind TEXT GENERATED ALWAYS AS (body ->> '$.kind') VIRTUAL,
	subject TEXT GENERATED ALWAYS AS (body ->> '$.subject') VIRTUAL,
	record TEXT GENERATED ALWAYS AS (body ->> '$.record') VIRTUAL,
	version INTEGER GENERATED ALWAYS AS (body ->> '$.version') VIRTUAL,
	written TEXT GENERATED ALWAYS AS (CASE WHEN body ->> '$.hash' IS NOT NULL THEN body ->> '$.record' END) VIRTUAL
);
CREATE INDEX ledger_facts_at ON ledger_facts (at);
CREATE INDEX ledger_facts_kind ON ledger_facts (kind);
CREATE INDEX ledger_facts_subject ON ledger_facts (subject) WHERE subject IS NOT NULL;
CREATE INDEX ledger_facts_written ON ledger_facts (subject, written, version) WHERE written IS NOT NULL;

-- The tree: row (level, tile) holds up to 256 hashes of 32 bytes, each the
-- root over 256^level facts.
CREATE TABLE ledger_tiles (
	level INTEGER NOT NULL,
	tile INTEGER NOT NULL,
	hashes BLOB NOT NULL,
	PRIMARY KEY (level, tile)
);

-- The newest signed head, and the last one of every earlier day.
CREATE TABLE ledger_heads (
	day INTEGER PRIMARY KEY, -- days since 1970 (UTC)
	size INTEGER NOT NULL,
	note TEXT NOT NULL
);
