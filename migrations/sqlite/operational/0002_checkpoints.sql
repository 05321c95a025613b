-- What another process needs to go on with an upload, and the claim under which `received` was written.
ALTER TABLE uploads ADD COLUMN checkpoint BLOB;
ALTER TABLE uploads ADD COLUMN written_by TEXT;
