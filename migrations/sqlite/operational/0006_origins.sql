-- Where a command came from. Personal data, dropped after its time, and lost without harm to the log.
CREATE TABLE origins (
    command_id  TEXT    NOT NULL PRIMARY KEY,
    via         TEXT    NOT NULL,
    address     TEXT,
    client      TEXT,
    request_id  TEXT,
    recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX origins_age ON origins (recorded_at);
