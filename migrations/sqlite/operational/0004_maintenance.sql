-- Who does what only one replica does at a time, and how far it is. Lost without harm: it begins again.
CREATE TABLE maintenance (
    name        TEXT    NOT NULL PRIMARY KEY,
    lease       TEXT,
    lease_until INTEGER NOT NULL,
    position    TEXT,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Objects that no row named when they were first seen so. One that is seen so again later is nobody's.
CREATE TABLE orphans (
    storage_key TEXT    NOT NULL PRIMARY KEY,
    size        INTEGER NOT NULL,
    found_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
