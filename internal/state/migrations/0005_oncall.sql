-- A message may be about no incident (a hand-over): incident_id is then empty,
-- so the outbox is made anew without the reference. ref is what the service
-- calls the message, to change it later; data is the text of a message that is
-- about no incident.
CREATE TABLE outbox_next (
  id          TEXT   NOT NULL PRIMARY KEY,
  key         TEXT   NOT NULL,
  tenant      TEXT   NOT NULL,
  incident_id TEXT   NOT NULL,
  kind        TEXT   NOT NULL,
  person      TEXT   NOT NULL,
  channel     TEXT   NOT NULL,
  method      TEXT   NOT NULL,
  generation  BIGINT NOT NULL,
  step        BIGINT NOT NULL,
  round       BIGINT NOT NULL,
  status      TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  due_at      BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  attempts    BIGINT NOT NULL,
  lease_owner TEXT   NOT NULL,
  lease_until BIGINT NOT NULL,
  last_error  TEXT   NOT NULL,
  done_at     BIGINT NOT NULL,
  ref         TEXT   NOT NULL,
  data        TEXT   NOT NULL
);
INSERT INTO outbox_next SELECT id, key, tenant, incident_id, kind, person, channel, method, generation, step, round,
  status, created_at, due_at, expires_at, attempts, lease_owner, lease_until, last_error, done_at, '', '' FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_next RENAME TO outbox;
CREATE UNIQUE INDEX outbox_key ON outbox (key);
CREATE INDEX outbox_due ON outbox (due_at) WHERE status = 'pending';
CREATE INDEX outbox_incident ON outbox (incident_id, id);
CREATE INDEX outbox_done ON outbox (tenant, done_at);

-- What the rule behind an incident is called, for counting; the incident that it
-- was merged into; and when somebody first took it.
ALTER TABLE incidents ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN first_acknowledged_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX incidents_opened ON incidents (tenant, opened_at);
CREATE INDEX incidents_merged ON incidents (tenant, merged_into) WHERE merged_into <> '';

-- Of which source an alert came; an incident that others were merged into has
-- several, and is over when none of them fires.
ALTER TABLE incident_alerts ADD COLUMN source_key TEXT NOT NULL DEFAULT '';
CREATE TABLE incident_sources (
  tenant      TEXT   NOT NULL,
  source_key  TEXT   NOT NULL,
  incident_id TEXT   NOT NULL REFERENCES incidents (id),
  firing      BIGINT NOT NULL,
  PRIMARY KEY (tenant, source_key, incident_id)
);
CREATE INDEX incident_sources_incident ON incident_sources (incident_id);

-- The words of an incident, in hexadecimal (in place of incidents.search)
ALTER TABLE incidents DROP COLUMN search;
CREATE TABLE incident_words (
  tenant      TEXT NOT NULL,
  word        TEXT NOT NULL,
  incident_id TEXT NOT NULL REFERENCES incidents (id),
  PRIMARY KEY (tenant, word, incident_id)
);

-- What the stores knew about an incident when its first page was sent.
CREATE TABLE incident_evidence (
  incident_id TEXT   NOT NULL PRIMARY KEY REFERENCES incidents (id),
  at          BIGINT NOT NULL,
  data        TEXT   NOT NULL
);

-- Overrides that were imported know the calendar they came from.
ALTER TABLE oncall_overrides ADD COLUMN source TEXT NOT NULL DEFAULT '';

-- Shifts that somebody would like to give away.
CREATE TABLE oncall_swaps (
  id          TEXT   NOT NULL PRIMARY KEY,
  tenant      TEXT   NOT NULL,
  schedule    TEXT   NOT NULL,
  person      TEXT   NOT NULL,
  starts_at   BIGINT NOT NULL,
  ends_at     BIGINT NOT NULL,
  reason      TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  taken_by    TEXT   NOT NULL,
  override_id TEXT   NOT NULL,
  created_at  BIGINT NOT NULL
);
CREATE INDEX oncall_swaps_time ON oncall_swaps (tenant, schedule, ends_at);

-- The next hand-over of each schedule that tells people about it, so that each
-- is told of once.
CREATE TABLE oncall_handovers (
  tenant   TEXT   NOT NULL,
  schedule TEXT   NOT NULL,
  told_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, schedule)
);
