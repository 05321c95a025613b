-- By which a blob is found to be the content manifest of a package.
CREATE INDEX packages_content_manifest ON packages (repository, content_manifest);
