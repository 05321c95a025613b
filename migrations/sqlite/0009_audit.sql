-- Every move and every end of a tag, for as long as the log is kept.
CREATE TABLE tag_history (
    repository TEXT    NOT NULL,
    tag        TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    previous   TEXT,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (repository, tag, sequence)
) STRICT, WITHOUT ROWID;
