-- Pages that a storm gathers have the status 'gathered' and the key of the row
-- that tells them together; taken_at is when sending a message was first begun.
ALTER TABLE outbox ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN taken_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX outbox_recipient ON outbox (tenant, person, channel, method, kind, taken_at);
CREATE INDEX outbox_gathered ON outbox (summary) WHERE status = 'gathered';
CREATE INDEX outbox_summary ON outbox (summary) WHERE summary <> '';
