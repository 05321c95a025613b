-- Truth: the events of a repository, of somebody, and about something, in order.
CREATE INDEX events_repository ON events (repository, sequence) WHERE repository IS NOT NULL;
CREATE INDEX events_actor ON events (actor, sequence);
CREATE INDEX events_subject ON events (subject, sequence);
-- That of packages is part of the last one.
DROP INDEX events_package;

-- As in 0002: what the query planner should think of the new indexes.
DELETE FROM sqlite_stat1 WHERE idx = 'events_package';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('events', 'events_repository', '10000000 10000 1'),
    ('events', 'events_actor', '10000000 100000 1'),
    ('events', 'events_subject', '10000000 10 1');
ANALYZE sqlite_schema;
