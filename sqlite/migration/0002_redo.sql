-- The redo log is a file of its own, beside this one: see docs/adr/0011-redo-log.md.
-- store tells whose log it is, and applied how much of it is in here.
ALTER TABLE longrun_clock ADD COLUMN store BLOB;
ALTER TABLE longrun_clock ADD COLUMN applied INTEGER NOT NULL DEFAULT 0;
UPDATE longrun_clock SET store = randomblob(16);
