-- What signs the URLs of keyed objects. Lost without harm: URLs that were given out stop working.
CREATE TABLE signing_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    retired_at BIGINT
);
