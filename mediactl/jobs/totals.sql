-- Counters of metrics. They stay when history is pruned, so none ever falls.

CREATE TABLE attempt_totals (
    operation TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    PRIMARY KEY (operation, outcome)
) STRICT, WITHOUT ROWID;

-- Histograms in seconds: how long jobs ran that are done, and how long jobs were pending before their first attempt.
CREATE TABLE timing_totals (
    timing    TEXT NOT NULL CHECK (timing IN ('run', 'wait')),
    operation TEXT NOT NULL,
    edge      REAL NOT NULL,                  -- upper edge of the bucket; that of the last one is infinite
    count     INTEGER NOT NULL,
    seconds   REAL NOT NULL,                  -- sum of what is in the bucket
    PRIMARY KEY (timing, operation, edge)
) STRICT, WITHOUT ROWID;

CREATE TABLE byte_totals (
    direction TEXT PRIMARY KEY CHECK (direction IN ('in', 'out', 'sent')),
    bytes     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE artefact_totals (
    role      TEXT PRIMARY KEY,
    artefacts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
