-- What outlives the history of runs and attempts, and where sources were found.

-- One row: how far pruning is, and totals of the runs that it removed.
CREATE TABLE pruning (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    position    INTEGER NOT NULL DEFAULT 0,   -- jobs up to this id are pruned; 0: all were
    pruned_at   REAL NOT NULL DEFAULT 0,      -- when all were
    runs        INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,   -- sources that they completed
    since       REAL                          -- when the first of them started
) STRICT;
INSERT INTO pruning (id) VALUES (1);

-- Directories that sources were found in, each with the mount point that it was on.
CREATE TABLE roots (
    root  BLOB PRIMARY KEY,
    mount BLOB NOT NULL
) STRICT, WITHOUT ROWID;
