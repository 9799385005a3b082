-- Objects in a bucket, and their multipart uploads (see transfers.py). Part of the schema since version 2.

CREATE TABLE uploads (
    id         INTEGER PRIMARY KEY,
    endpoint   TEXT NOT NULL,                 -- URL; empty for AWS
    bucket     TEXT NOT NULL,
    key        TEXT NOT NULL,
    place      BLOB NOT NULL,                 -- JSON of Location: how it is reached
    file       BLOB NOT NULL,
    size       INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN
               ('planned', 'creating', 'uploading', 'completing', 'done', 'conflict', 'aborted')),
    upload_id  TEXT NOT NULL,
    state      BLOB NOT NULL,                 -- JSON of UploadState, without the parts
    began_at   REAL NOT NULL,
    changed_at REAL NOT NULL,
    UNIQUE (endpoint, bucket, key)
) STRICT;
CREATE INDEX uploads_live ON uploads (began_at) WHERE status IN ('creating', 'uploading', 'completing');

CREATE TABLE parts (
    upload INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    crc32  INTEGER NOT NULL,
    etag   TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
