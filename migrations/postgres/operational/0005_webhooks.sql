-- Who is told of events, how far, and what went wrong. Holds the secrets that deliveries are signed with: the table is
-- for the registry alone. Lost, webhooks have to be set up again; the log tells which there were.
CREATE TABLE webhooks (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    url             TEXT COLLATE "C" NOT NULL,
    format          TEXT COLLATE "C" NOT NULL,
    types           TEXT COLLATE "C" NOT NULL,
    repository      TEXT COLLATE "C",
    package         TEXT COLLATE "C",
    secrets         TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    reason          TEXT COLLATE "C",
    cursor_at       BIGINT           NOT NULL,
    cursor_hash     TEXT COLLATE "C",
    attempts        BIGINT           NOT NULL,
    failing_since   BIGINT,
    next_attempt_at BIGINT           NOT NULL,
    attempted_at    BIGINT,
    last_status     BIGINT,
    last_error      TEXT COLLATE "C",
    delivered_at    BIGINT,
    lease           TEXT COLLATE "C",
    lease_until     BIGINT           NOT NULL,
    created_at      BIGINT           NOT NULL,
    created_by      TEXT COLLATE "C" NOT NULL,
    version         TEXT COLLATE "C" NOT NULL
);
