-- What the query planner should think of the tables: one that knows nothing takes a scan of a whole
-- repository by a prefix of the primary key for as good as a probe of the index made for the question.
-- Per index: rows, then rows per value of its first column, of its first two, … A real ANALYZE may replace it.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('events', 'events_command', '10000000 2'),
    ('blob_links', 'blob_links', '5000000 2000 1'),
    ('blob_links', 'blob_links_content', '5000000 2'),
    ('manifests', 'manifests', '1000000 1000 1'),
    ('manifest_references', 'manifest_references', '10000000 10000 10 9 1'),
    ('manifest_references', 'manifest_references_target', '10000000 10000 3'),
    ('referrers', 'referrers', '1000000 1000 3 1'),
    ('referrers', 'referrers_content', '1000000 1000 1'),
    ('tags', 'tags', '1000000 1000 1'),
    ('tags', 'tags_content', '1000000 1000 2');
ANALYZE sqlite_schema;
