-- Every move and every end of a tag, for as long as the log is kept.
CREATE TABLE tag_history (
    repository TEXT COLLATE "C" NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT           NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    content    TEXT COLLATE "C" NOT NULL,
    previous   TEXT COLLATE "C",
    media_type TEXT COLLATE "C" NOT NULL,
    size       BIGINT           NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    PRIMARY KEY (repository, tag, sequence)
);
