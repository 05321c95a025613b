-- The log and its views. Kinds: BIGINT, TEXT in bytewise order, BYTEA. Times are microseconds.

-- Truth: written once by the appender, never changed.
-- One row that every append updates: room in its page keeps the new versions beside the old ones, and
-- frequent cleaning keeps them few.
CREATE TABLE log_head (
    id               BIGINT           NOT NULL PRIMARY KEY CHECK (id = 1),
    log_id           TEXT COLLATE "C" NOT NULL,
    epoch            BIGINT           NOT NULL,
    next_sequence    BIGINT           NOT NULL,
    last_recorded_at BIGINT           NOT NULL,
    views_version    BIGINT           NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE events (
    sequence    BIGINT           NOT NULL PRIMARY KEY,
    type        TEXT COLLATE "C" NOT NULL,
    recorded_at BIGINT           NOT NULL,
    actor       TEXT COLLATE "C" NOT NULL,
    repository  TEXT COLLATE "C",
    subject     TEXT COLLATE "C",
    command_id  TEXT COLLATE "C" NOT NULL,
    header      BYTEA            NOT NULL,
    payload     BYTEA            NOT NULL,
    salt        BYTEA            NOT NULL,
    leaf_hash   BYTEA            NOT NULL
);
CREATE INDEX events_command ON events (command_id);

CREATE FUNCTION events_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept();
CREATE TRIGGER events_are_not_deleted BEFORE DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept();

CREATE TABLE manifest_contents (
    content TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    bytes   BYTEA            NOT NULL
);

-- Views: rebuilt from the events by `artifactstore replay`.
CREATE TABLE repositories (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL
);

CREATE TABLE content_digests (
    digest  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    content TEXT COLLATE "C" NOT NULL
);
CREATE INDEX content_digests_content ON content_digests (content);

CREATE TABLE blobs (
    content     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size        BIGINT           NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    backend     TEXT COLLATE "C" NOT NULL,
    storage_key TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT           NOT NULL
);

CREATE TABLE blob_links (
    repository TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (repository, content)
);
CREATE INDEX blob_links_content ON blob_links (content);

CREATE TABLE manifests (
    repository TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    size       BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (repository, content)
);

CREATE TABLE manifest_references (
    repository TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    target     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, content, role, target)
);
CREATE INDEX manifest_references_target ON manifest_references (repository, target);

CREATE TABLE referrers (
    repository    TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C" NOT NULL,
    content       TEXT COLLATE "C" NOT NULL,
    digest        TEXT COLLATE "C" NOT NULL,
    media_type    TEXT COLLATE "C" NOT NULL,
    size          BIGINT           NOT NULL,
    artifact_type TEXT COLLATE "C",
    annotations   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, subject, content)
);
CREATE INDEX referrers_content ON referrers (repository, content);

CREATE TABLE tags (
    repository TEXT COLLATE "C" NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    moved_at   BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (repository, tag)
);
CREATE INDEX tags_content ON tags (repository, content);
