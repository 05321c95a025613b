-- Operational: upload sessions. Lost without harm, never replayed.
PRAGMA application_id = 0x41525453;
CREATE TABLE uploads (
    id          TEXT    NOT NULL PRIMARY KEY,
    repository  TEXT    NOT NULL,
    principal   TEXT    NOT NULL,
    algorithm   TEXT,
    received    INTEGER NOT NULL,
    lease       TEXT,
    lease_until INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    finished    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_expiry ON uploads (expires_at);
