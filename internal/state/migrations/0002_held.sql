-- Why the next action is held back although it is due; empty when it is not.
ALTER TABLE incidents ADD COLUMN held TEXT NOT NULL DEFAULT '';
