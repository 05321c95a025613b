-- What signs the URLs of keyed objects. Lost without harm: URLs that were given out stop working.
CREATE TABLE signing_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    secret     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT, WITHOUT ROWID;
