-- What the query planner should think of the tables. The embedded engine is told by this number; here
-- autovacuum counts by itself, but too late for a table that grows from nothing: after as few rows as would
-- make a wrong plan slow, it is told to count again.
ALTER TABLE content_digests     SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE blobs               SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE blob_links          SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE manifests           SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE manifest_references SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE referrers           SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE tags                SET (autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05);
