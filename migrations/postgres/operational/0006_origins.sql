-- Where a command came from. Personal data, dropped after its time, and lost without harm to the log.
CREATE TABLE origins (
    command_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    via         TEXT COLLATE "C" NOT NULL,
    address     TEXT COLLATE "C",
    client      TEXT COLLATE "C",
    request_id  TEXT COLLATE "C",
    recorded_at BIGINT           NOT NULL
);
CREATE INDEX origins_age ON origins (recorded_at);
