-- Rule groups that people made by API; those of rule files are not here.
CREATE TABLE rule_groups (
  tenant     TEXT   NOT NULL,
  namespace  TEXT   NOT NULL,
  name       TEXT   NOT NULL,
  type       TEXT   NOT NULL,
  body       TEXT   NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, namespace, name)
);

-- What the Alertmanagers of several processes tell one another: silences and
-- notification log entries, in Alertmanager's own encoding (base64). seq rises
-- in the order of commits, so that whoever has read up to one misses nothing.
CREATE TABLE router_changes (
  kind       TEXT   NOT NULL,
  key        TEXT   NOT NULL,
  body       TEXT   NOT NULL,
  origin     TEXT   NOT NULL,
  seq        BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE INDEX router_changes_seq ON router_changes (seq);

-- Processes that route alerts, so that they notify one after another.
CREATE TABLE router_members (
  name     TEXT   NOT NULL PRIMARY KEY,
  alive_at BIGINT NOT NULL
);

-- Maintenance windows that people made by API; body is JSON.
CREATE TABLE maintenance_windows (
  tenant     TEXT   NOT NULL,
  name       TEXT   NOT NULL,
  body       TEXT   NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
