-- Who is told of events, how far, and what went wrong. Holds the secrets that deliveries are signed with: the file is
-- readable by its owner alone. Lost, webhooks have to be set up again; the log tells which there were.
CREATE TABLE webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    url             TEXT    NOT NULL,
    format          TEXT    NOT NULL,
    types           TEXT    NOT NULL,
    repository      TEXT,
    package         TEXT,
    secrets         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    reason          TEXT,
    cursor_at       INTEGER NOT NULL,
    cursor_hash     TEXT,
    attempts        INTEGER NOT NULL,
    failing_since   INTEGER,
    next_attempt_at INTEGER NOT NULL,
    attempted_at    INTEGER,
    last_status     INTEGER,
    last_error      TEXT,
    delivered_at    INTEGER,
    lease           TEXT,
    lease_until     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    version         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
