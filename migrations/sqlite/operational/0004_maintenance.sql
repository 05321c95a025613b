-- Who does what only one replica does at a time, and how far it is. Lost without harm: it begins again.
CREATE TABLE maintenance (
    name        TEXT    NOT NULL PRIMARY KEY,
    lease       TEXT,
    lease_until INTEGER NOT NULL,
    position    TEXT,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
