-- Beside the truth: the place each storage was when it was first used. Not copied with the log, and never rebuilt.
CREATE TABLE storage_places (
    backend TEXT NOT NULL PRIMARY KEY,
    place   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
