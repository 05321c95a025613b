-- Truth: the events of a repository, of somebody, and about something, in order.
CREATE INDEX events_repository ON events (repository, sequence) WHERE repository IS NOT NULL;
CREATE INDEX events_actor ON events (actor, sequence);
CREATE INDEX events_subject ON events (subject, sequence);
-- That of packages is part of the last one.
DROP INDEX events_package;
