-- Packages, their files and metadata schemas; keyed objects.

-- Truth: the events of one package.
CREATE INDEX events_package ON events (subject, sequence) WHERE type >= 'v1.package.' AND type < 'v1.package/';

-- Views: rebuilt from the events by `artifactstore replay`.
CREATE TABLE packages (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    repository       TEXT COLLATE "C" NOT NULL,
    status           TEXT COLLATE "C" NOT NULL,
    kind             TEXT COLLATE "C",
    retention_class  TEXT COLLATE "C",
    schema_name      TEXT COLLATE "C",
    metadata         TEXT COLLATE "C" NOT NULL,
    provenance       TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT           NOT NULL,
    updated_at       BIGINT           NOT NULL,
    finalized_at     BIGINT,
    expires_at       BIGINT,
    files            BIGINT           NOT NULL,
    size             BIGINT           NOT NULL,
    manifest_digest  TEXT COLLATE "C",
    content_manifest TEXT COLLATE "C",
    reference        TEXT COLLATE "C",
    failure          TEXT COLLATE "C",
    sequence         BIGINT           NOT NULL,
    revision         BIGINT           NOT NULL
);
CREATE INDEX packages_repository ON packages (repository, id);
CREATE INDEX packages_reference ON packages (repository, reference);
CREATE INDEX packages_idle ON packages (updated_at) WHERE status IN ('created', 'uploading');
ALTER TABLE packages SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE package_files (
    package    TEXT COLLATE "C" NOT NULL,
    path       TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    size       BIGINT           NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    sha256     TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C",
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (package, path)
);
CREATE INDEX package_files_content ON package_files (repository, content);
ALTER TABLE package_files SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE metadata_schemas (
    name          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    schema_json   TEXT COLLATE "C" NOT NULL,
    digest        TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT           NOT NULL,
    sequence      BIGINT           NOT NULL
);
ALTER TABLE metadata_schemas SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE objects (
    repository TEXT COLLATE "C" NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    sha256     TEXT COLLATE "C" NOT NULL,
    size       BIGINT           NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL,
    PRIMARY KEY (repository, object_key)
);
CREATE INDEX objects_content ON objects (repository, content);
ALTER TABLE objects SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
