-- Who does what only one replica does at a time, and how far it is. Lost without harm: it begins again.
CREATE TABLE maintenance (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lease       TEXT COLLATE "C",
    lease_until BIGINT           NOT NULL,
    position    TEXT COLLATE "C",
    updated_at  BIGINT           NOT NULL
);

-- Objects that no row named when they were first seen so. One that is seen so again later is nobody's.
CREATE TABLE orphans (
    storage_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size        BIGINT           NOT NULL,
    found_at    BIGINT           NOT NULL
);
