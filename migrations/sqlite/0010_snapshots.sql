-- Snapshots of the views.

-- Truth: few events among many, looked for when there are no views that name them.
CREATE INDEX events_snapshots ON events (sequence) WHERE type = 'v1.snapshot.created';

-- Truth: what a collection kept belongs to its run as well.
DROP INDEX events_run;
CREATE INDEX events_run ON events (subject, sequence)
    WHERE type IN ('v1.blob.released', 'v2.blob.kept', 'v1.blob.condemned', 'v1.blob.delete_intended',
        'v1.blob.purged', 'v1.orphan.removed');

-- Those whose objects are kept: 0 is the newest.
CREATE TABLE snapshots (
    position      INTEGER NOT NULL PRIMARY KEY,
    snapshot      INTEGER NOT NULL,
    views_version INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    row_count     INTEGER NOT NULL,
    content       TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    backend       TEXT    NOT NULL,
    storage_key   TEXT    NOT NULL,
    version       TEXT,
    created_at    INTEGER NOT NULL,
    sequence      INTEGER NOT NULL
) STRICT;
