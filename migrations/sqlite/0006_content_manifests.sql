-- By which a blob is found to be the content manifest of a package.
CREATE INDEX packages_content_manifest ON packages (repository, content_manifest);

-- As in 0002: what the query planner should think of the new index.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('packages', 'packages_content_manifest', '1000000 1000 1');
ANALYZE sqlite_schema;
