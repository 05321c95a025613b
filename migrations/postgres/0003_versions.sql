-- Which version of its key a blob is, where the backend keeps several.
ALTER TABLE blobs ADD COLUMN version TEXT COLLATE "C";
