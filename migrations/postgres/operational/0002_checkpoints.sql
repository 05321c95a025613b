-- What another process needs to go on with an upload, and the claim under which `received` was written.
-- A checkpoint is bytes of high entropy: compressing it would only cost time.
ALTER TABLE uploads ADD COLUMN checkpoint BYTEA;
ALTER TABLE uploads ALTER COLUMN checkpoint SET STORAGE EXTERNAL;
ALTER TABLE uploads ADD COLUMN written_by TEXT COLLATE "C";
