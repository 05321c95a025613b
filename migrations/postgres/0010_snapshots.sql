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
    position      BIGINT           NOT NULL PRIMARY KEY,
    snapshot      BIGINT           NOT NULL,
    views_version BIGINT           NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    row_count     BIGINT           NOT NULL,
    content       TEXT COLLATE "C" NOT NULL,
    size          BIGINT           NOT NULL,
    backend       TEXT COLLATE "C" NOT NULL,
    storage_key   TEXT COLLATE "C" NOT NULL,
    version       TEXT COLLATE "C",
    created_at    BIGINT           NOT NULL,
    sequence      BIGINT           NOT NULL
);
