-- Retention, holds and dispositions; what collection and verification need to know.

-- Truth: the events of one run of a collection.
CREATE INDEX events_run ON events (subject, sequence)
    WHERE type IN ('v1.blob.released', 'v1.blob.condemned', 'v1.blob.delete_intended', 'v1.blob.purged',
        'v1.orphan.removed');

-- Truth: everything about a package, its retention and its holds too.
DROP INDEX events_package;
CREATE INDEX events_package ON events (subject, sequence) WHERE subject >= 'pkg_' AND subject < 'pkg`';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('events', 'events_package', '1000000 100 1');

-- Which packages have some content, each once.
DROP INDEX package_files_content;
CREATE INDEX package_files_content ON package_files (repository, content, package);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('package_files', 'package_files_content', '10000000 10000 2 1');

-- Since when nothing of its repository names a linked blob, as far as is known; a collection makes sure.
ALTER TABLE blob_links ADD COLUMN unreferenced_since INTEGER;
CREATE INDEX blob_links_unreferenced ON blob_links (unreferenced_since, repository, content)
    WHERE unreferenced_since IS NOT NULL;
-- What is wrong with the copy of a blob, since when no repository links it, and when it was condemned.
ALTER TABLE blobs ADD COLUMN damage TEXT;
ALTER TABLE blobs ADD COLUMN unlinked_since INTEGER;
ALTER TABLE blobs ADD COLUMN condemned_at INTEGER;
CREATE INDEX blobs_unlinked ON blobs (unlinked_since, content)
    WHERE state = 'live' AND unlinked_since IS NOT NULL;
CREATE INDEX blobs_leaving ON blobs (state, condemned_at, content) WHERE state IN ('condemned', 'deleting');
-- What an object in the storage is the copy of, if of anything.
CREATE INDEX blobs_storage_key ON blobs (storage_key);

CREATE TABLE retentions (
    repository   TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    class        TEXT    NOT NULL,
    mode         TEXT    NOT NULL,
    rule         TEXT    NOT NULL,
    retain_from  INTEGER,
    retain_until INTEGER,
    -- What was promised while it waits for an event.
    retain_floor TEXT,
    revision     INTEGER NOT NULL,
    -- The version of the policy it came to be under.
    resolved_under INTEGER NOT NULL,
    leaves_at    INTEGER,
    PRIMARY KEY (repository, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX retentions_end ON retentions (repository, retain_until, target);
CREATE INDEX retentions_leaving ON retentions (leaves_at, repository, target) WHERE leaves_at IS NOT NULL;

CREATE TABLE holds (
    id             TEXT    NOT NULL PRIMARY KEY,
    repository     TEXT    NOT NULL,
    target         TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    matter         TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    placed_by      TEXT    NOT NULL,
    placed_at      INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    released_by    TEXT,
    released_at    INTEGER,
    release_reason TEXT,
    sequence       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_repository ON holds (repository, id);
CREATE INDEX holds_target ON holds (repository, target, state);

-- The newest hold on a thing, in force or not; an empty target is the whole repository.
CREATE TABLE newest_holds (
    repository TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    hold       TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (repository, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE dispositions (
    id          TEXT    NOT NULL PRIMARY KEY,
    repository  TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    is_open     INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    proposed_by TEXT    NOT NULL,
    proposed_at INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    approvals   INTEGER NOT NULL,
    cooling_off INTEGER NOT NULL,
    approved_at INTEGER,
    ended_by    TEXT,
    ended_at    INTEGER,
    end_reason  TEXT,
    certificate TEXT,
    sequence    INTEGER NOT NULL,
    end_event   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX dispositions_repository ON dispositions (repository, id);
CREATE INDEX dispositions_target ON dispositions (repository, target, is_open);
CREATE INDEX dispositions_open ON dispositions (id) WHERE is_open = 1;
CREATE INDEX dispositions_uncertified ON dispositions (id) WHERE status = 'executed' AND certificate IS NULL;

CREATE TABLE disposition_approvals (
    disposition TEXT    NOT NULL,
    principal   TEXT    NOT NULL,
    approved_at INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (disposition, principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX disposition_approvals_disposition ON disposition_approvals (disposition, sequence);

-- When the bytes of some content were last deleted.
CREATE TABLE purges (
    content   TEXT    NOT NULL PRIMARY KEY,
    purged_at INTEGER NOT NULL,
    sequence  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
    repository  TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    reference   TEXT    NOT NULL,
    class       TEXT    NOT NULL,
    disposition TEXT    NOT NULL,
    deleted_by  TEXT    NOT NULL,
    deleted_at  INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (repository, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_reference ON tombstones (repository, reference, target);

CREATE TABLE retired_tags (
    repository  TEXT    NOT NULL,
    tag         TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    disposition TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE retention_policies (
    version    INTEGER NOT NULL PRIMARY KEY,
    policy     TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT;

CREATE TABLE compliance_clock (
    id         INTEGER NOT NULL PRIMARY KEY,
    wall       INTEGER NOT NULL,
    compliance INTEGER NOT NULL,
    is_frozen  INTEGER NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT;

CREATE TABLE gc_runs (
    run          TEXT    NOT NULL PRIMARY KEY,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    released     INTEGER NOT NULL,
    condemned    INTEGER NOT NULL,
    purged       INTEGER NOT NULL,
    purged_bytes INTEGER NOT NULL,
    orphans      INTEGER NOT NULL,
    failure      TEXT,
    sequence     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scrub_runs (
    run         TEXT    NOT NULL PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    covers      INTEGER NOT NULL,
    blobs       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    manifests   INTEGER NOT NULL,
    damaged     INTEGER NOT NULL,
    unreadable  INTEGER NOT NULL,
    recovered   INTEGER NOT NULL,
    repaired    INTEGER NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Copies that were found damaged or unreadable, and what became of them.
CREATE TABLE damages (
    storage_key TEXT    NOT NULL PRIMARY KEY,
    content     TEXT    NOT NULL,
    backend     TEXT    NOT NULL,
    trouble     TEXT    NOT NULL,
    finding     TEXT    NOT NULL,
    run         TEXT    NOT NULL,
    found_at    INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    ended_at    INTEGER,
    replaced_by TEXT,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX damages_content ON damages (content);
CREATE INDEX damages_run ON damages (run, storage_key);
CREATE INDEX damages_open ON damages (storage_key) WHERE state = 'open';

-- As in 0002: what the query planner should think of the new tables.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('retentions', 'retentions', '1000000 1000 1'),
    ('retentions', 'retentions_end', '1000000 1000 2 1'),
    ('holds', 'holds', '10000 1'),
    ('holds', 'holds_repository', '10000 100 1'),
    ('holds', 'holds_target', '10000 100 2 1'),
    ('newest_holds', 'newest_holds', '10000 100 1'),
    ('dispositions', 'dispositions', '100000 1'),
    ('dispositions', 'dispositions_repository', '100000 100 1'),
    ('dispositions', 'dispositions_target', '100000 100 2 1'),
    ('tombstones', 'tombstones', '100000 1000 1'),
    ('tombstones', 'tombstones_reference', '100000 1000 2 1'),
    ('events', 'events_run', '1000000 100 1'),
    ('blob_links', 'blob_links_unreferenced', '10000 2 1 1'),
    ('blobs', 'blobs_unlinked', '10000 2 1'),
    ('blobs', 'blobs_leaving', '10000 5000 2 1'),
    ('blobs', 'blobs_storage_key', '5000000 1'),
    ('damages', 'damages', '10000 1'),
    ('damages', 'damages_content', '10000 1'),
    ('damages', 'damages_run', '10000 100 1'),
    ('damages', 'damages_open', '1000 1');
ANALYZE sqlite_schema;
