-- Keys that all processes on one database share.
CREATE TABLE secrets (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- Numbers that people can say aloud ("incident 42"), per tenant.
CREATE TABLE counters (
  tenant TEXT   NOT NULL,
  name   TEXT   NOT NULL,
  value  BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);

-- One row an incident; the last columns are the escalation's state.
-- source_key names what the incident is about (group, dedup key); open_key is
-- the same while the incident is open and NULL after, so that there is at most
-- one open incident for each.
CREATE TABLE incidents (
  id              TEXT   NOT NULL PRIMARY KEY,
  tenant          TEXT   NOT NULL,
  number          BIGINT NOT NULL,
  source          TEXT   NOT NULL,
  source_key      TEXT   NOT NULL,
  open_key        TEXT,
  receiver        TEXT   NOT NULL,
  group_key       TEXT   NOT NULL,
  title           TEXT   NOT NULL,
  summary         TEXT   NOT NULL,
  severity        TEXT   NOT NULL,
  group_labels    TEXT   NOT NULL,
  labels          TEXT   NOT NULL,
  annotations     TEXT   NOT NULL,
  alerts_firing   BIGINT NOT NULL,
  alerts_total    BIGINT NOT NULL,
  search          TEXT   NOT NULL,
  opened_at       BIGINT NOT NULL,
  updated_at      BIGINT NOT NULL,
  resolved_at     BIGINT NOT NULL,
  resolved_by     TEXT   NOT NULL,
  event_seq       BIGINT NOT NULL,
  status          TEXT   NOT NULL,
  policy          TEXT   NOT NULL,
  generation      BIGINT NOT NULL,
  step            BIGINT NOT NULL,
  round           BIGINT NOT NULL,
  next_action     TEXT   NOT NULL,
  next_at         BIGINT NOT NULL,
  acknowledged_by TEXT   NOT NULL,
  acknowledged_at BIGINT NOT NULL,
  snoozed_until   BIGINT NOT NULL,
  assignees       TEXT   NOT NULL
);
CREATE UNIQUE INDEX incidents_open ON incidents (tenant, open_key);
CREATE UNIQUE INDEX incidents_number ON incidents (tenant, number);
CREATE INDEX incidents_source ON incidents (tenant, source_key, id);
CREATE INDEX incidents_status ON incidents (tenant, status, id);
CREATE INDEX incidents_due ON incidents (next_at) WHERE next_at > 0;

CREATE TABLE incident_alerts (
  incident_id   TEXT   NOT NULL REFERENCES incidents (id),
  fingerprint   TEXT   NOT NULL,
  status        TEXT   NOT NULL,
  labels        TEXT   NOT NULL,
  annotations   TEXT   NOT NULL,
  starts_at     BIGINT NOT NULL,
  ends_at       BIGINT NOT NULL,
  generator_url TEXT   NOT NULL,
  PRIMARY KEY (incident_id, fingerprint)
);

CREATE TABLE incident_events (
  incident_id TEXT   NOT NULL REFERENCES incidents (id),
  seq         BIGINT NOT NULL,
  at          BIGINT NOT NULL,
  kind        TEXT   NOT NULL,
  actor       TEXT   NOT NULL,
  message     TEXT   NOT NULL,
  data        TEXT   NOT NULL,
  PRIMARY KEY (incident_id, seq)
);

-- Pages decided on and not yet delivered, and what became of them. A row is
-- written in the transaction of its decision; key makes the decision idempotent.
CREATE TABLE outbox (
  id          TEXT   NOT NULL PRIMARY KEY,
  key         TEXT   NOT NULL,
  tenant      TEXT   NOT NULL,
  incident_id TEXT   NOT NULL REFERENCES incidents (id),
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
  done_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX outbox_key ON outbox (key);
CREATE INDEX outbox_due ON outbox (due_at) WHERE status = 'pending';
CREATE INDEX outbox_incident ON outbox (incident_id, id);

-- What people with the contact method "inbox" received.
CREATE TABLE inbox (
  id          TEXT   NOT NULL PRIMARY KEY,
  tenant      TEXT   NOT NULL,
  key         TEXT   NOT NULL,
  recipient   TEXT   NOT NULL,
  incident_id TEXT   NOT NULL,
  kind        TEXT   NOT NULL,
  severity    TEXT   NOT NULL,
  title       TEXT   NOT NULL,
  body        TEXT   NOT NULL,
  links       TEXT   NOT NULL,
  at          BIGINT NOT NULL,
  read_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX inbox_key ON inbox (key);
CREATE INDEX inbox_recipient ON inbox (tenant, recipient, id);

CREATE TABLE oncall_overrides (
  id         TEXT   NOT NULL PRIMARY KEY,
  tenant     TEXT   NOT NULL,
  schedule   TEXT   NOT NULL,
  person     TEXT   NOT NULL,
  replaces   TEXT   NOT NULL,
  starts_at  BIGINT NOT NULL,
  ends_at    BIGINT NOT NULL,
  reason     TEXT   NOT NULL,
  created_by TEXT   NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX oncall_overrides_time ON oncall_overrides (tenant, schedule, ends_at);

-- Heartbeats: when each was last heard, and when its silence becomes an incident.
CREATE TABLE heartbeats (
  tenant  TEXT   NOT NULL,
  id      TEXT   NOT NULL,
  last_at BIGINT NOT NULL,
  due_at  BIGINT NOT NULL,
  status  TEXT   NOT NULL,
  PRIMARY KEY (tenant, id)
);
