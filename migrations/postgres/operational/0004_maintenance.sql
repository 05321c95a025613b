-- Who does what only one replica does at a time, and how far it is. Lost without harm: it begins again.
CREATE TABLE maintenance (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lease       TEXT COLLATE "C",
    lease_until BIGINT           NOT NULL,
    position    TEXT COLLATE "C",
    updated_at  BIGINT           NOT NULL
);
