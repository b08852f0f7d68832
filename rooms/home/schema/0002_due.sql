-- The day by which it should be done, where the room says one.
ALTER TABLE home_evidence ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
