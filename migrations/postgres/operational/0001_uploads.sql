-- Operational: upload sessions. Lost without harm, never replayed.
CREATE TABLE uploads (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    repository  TEXT COLLATE "C" NOT NULL,
    principal   TEXT COLLATE "C" NOT NULL,
    algorithm   TEXT COLLATE "C",
    received    BIGINT           NOT NULL,
    lease       TEXT COLLATE "C",
    lease_until BIGINT           NOT NULL,
    expires_at  BIGINT           NOT NULL,
    finished    TEXT COLLATE "C"
) WITH (fillfactor = 70);
CREATE INDEX uploads_expiry ON uploads (expires_at);
