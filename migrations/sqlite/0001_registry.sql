-- The log and its views. Kinds: INTEGER (BIGINT), TEXT (bytewise order), BLOB. Times are microseconds.
PRAGMA application_id = 0x41525453;

-- Truth: written once by the appender, never changed.
CREATE TABLE log_head (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    log_id           TEXT    NOT NULL,
    epoch            INTEGER NOT NULL,
    next_sequence    INTEGER NOT NULL,
    last_recorded_at INTEGER NOT NULL,
    views_version    INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    sequence    INTEGER NOT NULL PRIMARY KEY,
    type        TEXT    NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    repository  TEXT,
    subject     TEXT,
    command_id  TEXT    NOT NULL,
    header      BLOB    NOT NULL,
    payload     BLOB    NOT NULL,
    salt        BLOB    NOT NULL,
    leaf_hash   BLOB    NOT NULL
) STRICT;
CREATE INDEX events_command ON events (command_id);

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TABLE manifest_contents (
    content TEXT NOT NULL PRIMARY KEY,
    bytes   BLOB NOT NULL
) STRICT;

-- Views: rebuilt from the events by `artifactstore replay`.
CREATE TABLE repositories (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE content_digests (
    digest  TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX content_digests_content ON content_digests (content);

CREATE TABLE blobs (
    content     TEXT    NOT NULL PRIMARY KEY,
    size        INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    backend     TEXT    NOT NULL,
    storage_key TEXT    NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_links (
    repository TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_links_content ON blob_links (content);

CREATE TABLE manifests (
    repository TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest_references (
    repository TEXT NOT NULL,
    content    TEXT NOT NULL,
    role       TEXT NOT NULL,
    target     TEXT NOT NULL,
    PRIMARY KEY (repository, content, role, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_references_target ON manifest_references (repository, target);

CREATE TABLE referrers (
    repository    TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    content       TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    artifact_type TEXT,
    annotations   TEXT    NOT NULL,
    PRIMARY KEY (repository, subject, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX referrers_content ON referrers (repository, content);

CREATE TABLE tags (
    repository TEXT    NOT NULL,
    tag        TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    moved_at   INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_content ON tags (repository, content);
