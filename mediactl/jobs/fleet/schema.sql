-- Machines that work for this journal, and when work arrives.

-- One row for each start of a worker, by its newest heartbeat.
CREATE TABLE machines (
    id         TEXT PRIMARY KEY,
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT NOT NULL,
    slots      TEXT NOT NULL,                 -- JSON: lane -> jobs at once
    running    TEXT NOT NULL,                 -- JSON list of rows of jobs
    state      TEXT NOT NULL CHECK (state IN ('working', 'draining', 'stopped')),
    started_at REAL NOT NULL,                 -- by the machine's clock
    sent_at    REAL NOT NULL,                 -- the same: heartbeats may arrive in any order
    seen_at    REAL NOT NULL,                 -- by the dispatcher's clock
    drain_at   REAL                           -- when it was asked to drain
) STRICT, WITHOUT ROWID;

-- Work by the time of its arrival: measured seconds of one slot, of jobs that are done.
CREATE TABLE arrivals (
    start   INTEGER PRIMARY KEY,              -- of an interval of five minutes
    jobs    INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
