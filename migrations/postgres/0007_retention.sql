-- Retention, holds and dispositions; what collection and verification need to know.

-- Truth: the events of one run of a collection.
CREATE INDEX events_run ON events (subject, sequence)
    WHERE type IN ('v1.blob.released', 'v1.blob.condemned', 'v1.blob.delete_intended', 'v1.blob.purged',
        'v1.orphan.removed');

-- Truth: everything about a package, its retention and its holds too.
DROP INDEX events_package;
CREATE INDEX events_package ON events (subject, sequence) WHERE subject >= 'pkg_' AND subject < 'pkg`';

-- Which packages have some content, each once.
DROP INDEX package_files_content;
CREATE INDEX package_files_content ON package_files (repository, content, package);

-- Since when nothing of its repository names a linked blob, as far as is known; a collection makes sure.
ALTER TABLE blob_links ADD COLUMN unreferenced_since BIGINT;
CREATE INDEX blob_links_unreferenced ON blob_links (unreferenced_since, repository, content)
    WHERE unreferenced_since IS NOT NULL;
-- What is wrong with the copy of a blob, since when no repository links it, and when it was condemned.
ALTER TABLE blobs ADD COLUMN damage TEXT COLLATE "C";
ALTER TABLE blobs ADD COLUMN unlinked_since BIGINT;
ALTER TABLE blobs ADD COLUMN condemned_at BIGINT;
CREATE INDEX blobs_unlinked ON blobs (unlinked_since, content)
    WHERE state = 'live' AND unlinked_since IS NOT NULL;
CREATE INDEX blobs_leaving ON blobs (state, condemned_at, content) WHERE state IN ('condemned', 'deleting');
-- What an object in the storage is the copy of, if of anything.
CREATE INDEX blobs_storage_key ON blobs (storage_key);

CREATE TABLE retentions (
    repository   TEXT COLLATE "C" NOT NULL,
    target       TEXT COLLATE "C" NOT NULL,
    class        TEXT COLLATE "C" NOT NULL,
    mode         TEXT COLLATE "C" NOT NULL,
    rule         TEXT COLLATE "C" NOT NULL,
    retain_from  BIGINT,
    retain_until BIGINT,
    -- What was promised while it waits for an event.
    retain_floor TEXT COLLATE "C",
    revision     BIGINT           NOT NULL,
    -- The version of the policy it came to be under.
    resolved_under BIGINT NOT NULL,
    leaves_at    BIGINT,
    PRIMARY KEY (repository, target)
);
CREATE INDEX retentions_end ON retentions (repository, retain_until, target);
CREATE INDEX retentions_leaving ON retentions (leaves_at, repository, target) WHERE leaves_at IS NOT NULL;
ALTER TABLE retentions SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE holds (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    repository     TEXT COLLATE "C" NOT NULL,
    target         TEXT COLLATE "C" NOT NULL,
    kind           TEXT COLLATE "C" NOT NULL,
    matter         TEXT COLLATE "C" NOT NULL,
    reason         TEXT COLLATE "C" NOT NULL,
    placed_by      TEXT COLLATE "C" NOT NULL,
    placed_at      BIGINT           NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    released_by    TEXT COLLATE "C",
    released_at    BIGINT,
    release_reason TEXT COLLATE "C",
    sequence       BIGINT           NOT NULL
);
CREATE INDEX holds_repository ON holds (repository, id);
CREATE INDEX holds_target ON holds (repository, target, state);
ALTER TABLE holds SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

-- The newest hold on a thing, in force or not; an empty target is the whole repository.
CREATE TABLE newest_holds (
    repository TEXT COLLATE "C" NOT NULL,
    target     TEXT COLLATE "C" NOT NULL,
    hold       TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (repository, target)
);
ALTER TABLE newest_holds SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE dispositions (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    repository  TEXT COLLATE "C" NOT NULL,
    target      TEXT COLLATE "C" NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    is_open     BIGINT           NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    proposed_by TEXT COLLATE "C" NOT NULL,
    proposed_at BIGINT           NOT NULL,
    revision    BIGINT           NOT NULL,
    approvals   BIGINT           NOT NULL,
    cooling_off BIGINT           NOT NULL,
    approved_at BIGINT,
    ended_by    TEXT COLLATE "C",
    ended_at    BIGINT,
    end_reason  TEXT COLLATE "C",
    certificate TEXT COLLATE "C",
    sequence    BIGINT           NOT NULL,
    end_event   BIGINT
);
CREATE INDEX dispositions_repository ON dispositions (repository, id);
CREATE INDEX dispositions_target ON dispositions (repository, target, is_open);
CREATE INDEX dispositions_open ON dispositions (id) WHERE is_open = 1;
CREATE INDEX dispositions_uncertified ON dispositions (id) WHERE status = 'executed' AND certificate IS NULL;
ALTER TABLE dispositions SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE disposition_approvals (
    disposition TEXT COLLATE "C" NOT NULL,
    principal   TEXT COLLATE "C" NOT NULL,
    approved_at BIGINT           NOT NULL,
    sequence    BIGINT           NOT NULL,
    PRIMARY KEY (disposition, principal)
);
CREATE INDEX disposition_approvals_disposition ON disposition_approvals (disposition, sequence);

-- When the bytes of some content were last deleted.
CREATE TABLE purges (
    content   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    purged_at BIGINT           NOT NULL,
    sequence  BIGINT           NOT NULL
);

CREATE TABLE tombstones (
    repository  TEXT COLLATE "C" NOT NULL,
    target      TEXT COLLATE "C" NOT NULL,
    reference   TEXT COLLATE "C" NOT NULL,
    class       TEXT COLLATE "C" NOT NULL,
    disposition TEXT COLLATE "C" NOT NULL,
    deleted_by  TEXT COLLATE "C" NOT NULL,
    deleted_at  BIGINT           NOT NULL,
    sequence    BIGINT           NOT NULL,
    PRIMARY KEY (repository, target)
);
CREATE INDEX tombstones_reference ON tombstones (repository, reference, target);
ALTER TABLE tombstones SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE retired_tags (
    repository  TEXT COLLATE "C" NOT NULL,
    tag         TEXT COLLATE "C" NOT NULL,
    target      TEXT COLLATE "C" NOT NULL,
    disposition TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT           NOT NULL,
    PRIMARY KEY (repository, tag)
);

CREATE TABLE retention_policies (
    version    BIGINT           NOT NULL PRIMARY KEY,
    policy     TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL
);

CREATE TABLE compliance_clock (
    id         BIGINT NOT NULL PRIMARY KEY,
    wall       BIGINT NOT NULL,
    compliance BIGINT NOT NULL,
    is_frozen  BIGINT NOT NULL,
    sequence   BIGINT NOT NULL
);

CREATE TABLE gc_runs (
    run          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    started_at   BIGINT           NOT NULL,
    finished_at  BIGINT,
    released     BIGINT           NOT NULL,
    condemned    BIGINT           NOT NULL,
    purged       BIGINT           NOT NULL,
    purged_bytes BIGINT           NOT NULL,
    orphans      BIGINT           NOT NULL,
    failure      TEXT COLLATE "C",
    sequence     BIGINT           NOT NULL
);

CREATE TABLE scrub_runs (
    run         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    started_at  BIGINT           NOT NULL,
    finished_at BIGINT           NOT NULL,
    covers      BIGINT           NOT NULL,
    blobs       BIGINT           NOT NULL,
    bytes       BIGINT           NOT NULL,
    manifests   BIGINT           NOT NULL,
    damaged     BIGINT           NOT NULL,
    unreadable  BIGINT           NOT NULL,
    recovered   BIGINT           NOT NULL,
    repaired    BIGINT           NOT NULL,
    sequence    BIGINT           NOT NULL
);

-- Copies that were found damaged or unreadable, and what became of them.
CREATE TABLE damages (
    storage_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    content     TEXT COLLATE "C" NOT NULL,
    backend     TEXT COLLATE "C" NOT NULL,
    trouble     TEXT COLLATE "C" NOT NULL,
    finding     TEXT COLLATE "C" NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    found_at    BIGINT           NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    ended_at    BIGINT,
    replaced_by TEXT COLLATE "C",
    sequence    BIGINT           NOT NULL
);
CREATE INDEX damages_content ON damages (content);
CREATE INDEX damages_run ON damages (run, storage_key);
CREATE INDEX damages_open ON damages (storage_key) WHERE state = 'open';
