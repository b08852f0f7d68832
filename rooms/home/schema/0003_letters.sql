-- The weekly letters of the owner, with the head that each carried.
CREATE TABLE home_letters (
	n     BIGINT PRIMARY KEY,
	at    BIGINT NOT NULL,
	note  TEXT NOT NULL, -- the signed head
	words TEXT NOT NULL, -- six
	text  TEXT NOT NULL
);
