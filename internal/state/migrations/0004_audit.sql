-- Who did what that cannot be undone: entries are only ever added.
CREATE TABLE audit (
  id     TEXT   NOT NULL PRIMARY KEY,
  at     BIGINT NOT NULL,
  tenant TEXT   NOT NULL,
  actor  TEXT   NOT NULL,
  action TEXT   NOT NULL,
  target TEXT   NOT NULL,
  detail TEXT   NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, id);
