-- Packages, their files and metadata schemas; keyed objects.

-- Truth: the events of one package.
CREATE INDEX events_package ON events (subject, sequence) WHERE type >= 'v1.package.' AND type < 'v1.package/';

-- Views: rebuilt from the events by `artifactstore replay`.
CREATE TABLE packages (
    id               TEXT    NOT NULL PRIMARY KEY,
    repository       TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    kind             TEXT,
    retention_class  TEXT,
    schema_name      TEXT,
    metadata         TEXT    NOT NULL,
    provenance       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    finalized_at     INTEGER,
    expires_at       INTEGER,
    files            INTEGER NOT NULL,
    size             INTEGER NOT NULL,
    manifest_digest  TEXT,
    content_manifest TEXT,
    reference        TEXT,
    failure          TEXT,
    sequence         INTEGER NOT NULL,
    revision         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX packages_repository ON packages (repository, id);
CREATE INDEX packages_reference ON packages (repository, reference);
CREATE INDEX packages_idle ON packages (updated_at) WHERE status IN ('created', 'uploading');

CREATE TABLE package_files (
    package    TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    repository TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    content    TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    role       TEXT,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (package, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX package_files_content ON package_files (repository, content);

CREATE TABLE metadata_schemas (
    name          TEXT    NOT NULL PRIMARY KEY,
    schema_json   TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,
    sequence      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
    repository TEXT    NOT NULL,
    object_key TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    media_type TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    PRIMARY KEY (repository, object_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_content ON objects (repository, content);

-- As in 0002: what the query planner should think of the new tables.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('events', 'events_package', '1000000 100 1'),
    ('packages', 'packages_repository', '1000000 1000 1'),
    ('packages', 'packages_reference', '1000000 1000 1'),
    ('package_files', 'package_files', '10000000 1000 1'),
    ('package_files', 'package_files_content', '10000000 10000 2'),
    ('objects', 'objects', '5000000 5000 1'),
    ('objects', 'objects_content', '5000000 5000 2');
ANALYZE sqlite_schema;
