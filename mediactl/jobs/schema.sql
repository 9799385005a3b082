-- The journal, version 8. Paths are BLOBs: Linux names need not be text (CAST(name AS TEXT) shows them).
-- Times are seconds since 1970, durations seconds, sizes bytes.

-- One row for each time that the journal is opened to be changed. A run is alive while runs/<id>.lock is locked; the
-- clock decides nothing.
CREATE TABLE runs (
    id         TEXT PRIMARY KEY,
    pid        INTEGER NOT NULL,
    boot       TEXT NOT NULL,                 -- the kernel's boot id: a changed one means the machine went down
    version    TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL,
    exit_code  INTEGER,
    command    TEXT NOT NULL DEFAULT '',      -- process, watch, upload, resume, edit; '': by an older mediactl
    done       INTEGER,                       -- sources as its summary counts them; NULL: it reported none
    rejected   INTEGER,
    quarantined INTEGER,
    unfinished INTEGER,
    workers    INTEGER                        -- worker processes; NULL: by an older mediactl
) STRICT, WITHOUT ROWID;

CREATE TABLE recipes (
    digest  TEXT PRIMARY KEY,
    content TEXT NOT NULL                     -- JSON of the whole recipe
) STRICT, WITHOUT ROWID;

-- A source and its output directory in OUT.
CREATE TABLE sources (
    id          INTEGER PRIMARY KEY,
    folder      BLOB NOT NULL,                -- parent of its output directory, relative to OUT; empty at the top
    name        BLOB NOT NULL,                -- name of its output directory
    root        BLOB NOT NULL,
    path        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    ctime_ns    INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'none')),
    format      TEXT NOT NULL,
    recipe      TEXT NOT NULL,                -- digest in recipes; empty when adopted from asset.json
    plan        TEXT NOT NULL,                -- digest of what decides the targets: outputs, limits, encoders
    state       TEXT NOT NULL CHECK (state IN ('pending', 'done', 'rejected', 'quarantined', 'cancelled', 'ignored')),
    reason      TEXT NOT NULL DEFAULT '',
    digest      TEXT,
    info        BLOB,                         -- JSON of MediaInfo
    placeholder TEXT NOT NULL DEFAULT '',
    warnings    TEXT NOT NULL DEFAULT '[]',
    folder_mtime_ns INTEGER NOT NULL DEFAULT 0,
    upload_state TEXT NOT NULL DEFAULT ''
                CHECK (upload_state IN ('', 'pending', 'done', 'conflict', 'failed')),
    uploaded    TEXT NOT NULL DEFAULT '',     -- digest of the destination that upload_state is about
    outputs     BLOB,                         -- msgpack of (name, size, mtime_ns), one an inode, for the quick check
    decoders    TEXT NOT NULL DEFAULT '',     -- of a rejected or ignored one: what could have read it (media.decoders)
    requires    TEXT NOT NULL DEFAULT '',     -- of a rejected one: the extra that would decode it
    in_bucket   TEXT NOT NULL DEFAULT '',     -- digest of the destination that has artefacts that are not in OUT (mtime_ns 0)
    indexed     TEXT NOT NULL DEFAULT '',     -- digest of the destination whose index has it as it is now
    UNIQUE (folder, name),
    CHECK (state <> 'done' OR (digest IS NOT NULL AND info IS NOT NULL AND outputs IS NOT NULL))
) STRICT;
CREATE INDEX sources_digest ON sources (digest) WHERE digest IS NOT NULL;
CREATE INDEX sources_unindexed ON sources (uploaded, folder, name)
    WHERE upload_state = 'done' AND indexed <> uploaded;
CREATE INDEX sources_released ON sources (id) WHERE in_bucket <> '' AND outputs <> x'90';

CREATE TABLE artefacts (
    source     INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL,              -- position in asset.json
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    key        TEXT NOT NULL,
    width      INTEGER,
    height     INTEGER,
    duration   REAL,
    mtime_ns   INTEGER NOT NULL,              -- 0: never seen by this journal, to be hashed before it is trusted, or in_bucket
    inode      INTEGER NOT NULL,
    similarity REAL,                          -- SSIM to its source at the same size; NULL: not measured
    PRIMARY KEY (source, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,       -- digest of what it does; the same in every run
    kind          TEXT NOT NULL,              -- probe, image, video, audio, piece, upload
    operation     TEXT NOT NULL DEFAULT '',   -- what it does: its kind, or 'join' or 'publish'
    lane          TEXT NOT NULL CHECK (lane IN ('quick', 'heavy', 'network', 'alone')),
    source        INTEGER REFERENCES sources (id) ON DELETE CASCADE,
    content       TEXT,                       -- digest of what it works on: two on one content never run at once
    format        TEXT NOT NULL DEFAULT '',   -- with operation and size, what its duration is predicted from
    size          INTEGER NOT NULL DEFAULT 0,
    payload       BLOB NOT NULL,
    plan          TEXT NOT NULL DEFAULT '',   -- what the targets of a make job or piece follow from, as in sources
    piece         INTEGER,                    -- of a long video: its number, from 1, or 0 for the audio
    pieces        INTEGER,                    -- how many there are; 0 for the audio
    cut           TEXT NOT NULL DEFAULT '',   -- digest of the content that a piece is cut from
    destination   TEXT NOT NULL DEFAULT '',   -- digest of where an upload goes, or of the bucket that a job counts on, as in sources
    priority      INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4),
    enqueued_at   REAL NOT NULL,
    due           REAL NOT NULL,              -- enqueued_at + slack of the priority: what claims go by
    run_after     REAL,                       -- a retry's earliest time
    time_limit    REAL NOT NULL CHECK (time_limit > 0),
    stall_limit   REAL,                       -- seconds without progress that it may take
    cores         INTEGER NOT NULL DEFAULT 1, -- that it keeps busy
    memory_limit  INTEGER,                    -- bytes that its worker may take
    memory        INTEGER NOT NULL DEFAULT 0, -- bytes that it is expected to take
    state         TEXT NOT NULL DEFAULT 'ready'
                  CHECK (state IN ('ready', 'running', 'done', 'rejected', 'quarantined', 'cancelled')),
    owner         TEXT REFERENCES runs (id),
    started_at    REAL,
    attempt       INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    crashes       INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    reason        TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'running') = (owner IS NOT NULL)),
    CHECK (run_after IS NULL OR state = 'ready')
) STRICT;
-- Claims read these; delayed retries stand in another index, so that they are never in the way.
CREATE INDEX jobs_due ON jobs (lane, due, id, kind) WHERE state = 'ready' AND run_after IS NULL;
CREATE INDEX jobs_delayed ON jobs (run_after) WHERE state = 'ready' AND run_after IS NOT NULL;
CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
CREATE INDEX jobs_content ON jobs (content) WHERE state = 'running' AND content IS NOT NULL;
CREATE INDEX jobs_source ON jobs (source) WHERE source IS NOT NULL;
CREATE INDEX jobs_stopped ON jobs (state, id) WHERE state IN ('rejected', 'quarantined', 'cancelled');

-- History: one row an attempt.
CREATE TABLE attempts (
    job         INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    run         TEXT NOT NULL,
    worker      INTEGER NOT NULL,             -- process id; 0 when it never reached one
    outcome     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    ended_at    REAL NOT NULL,
    wall        REAL NOT NULL,
    cpu         REAL NOT NULL,
    peak_memory INTEGER NOT NULL,
    version     TEXT NOT NULL,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

-- Durations of attempts that ended done, in log buckets (see history.py). Rows of two journals add up.
CREATE TABLE durations (
    operation   TEXT NOT NULL,
    format      TEXT NOT NULL,
    size_bucket INTEGER NOT NULL,
    bucket      INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (operation, format, size_bucket, bucket)
) STRICT, WITHOUT ROWID;
