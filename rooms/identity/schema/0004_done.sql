-- What people did that has to be done again after a time: looking at who may open
-- what, and rehearsing a way back in. The ledger holds a fact of each.
CREATE TABLE identity_done (
	kind   TEXT NOT NULL,
	person TEXT NOT NULL,
	at     BIGINT NOT NULL,
	number BIGINT NOT NULL, -- of the list as it was
	PRIMARY KEY (kind, person, at)
);
