-- Traces of unfinished sources, in runs that send them. IDs as in W3C Trace Context; they stay until the source is done,
-- so that whichever run finishes it goes on with the same trace.
CREATE TABLE traces (
    source   INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
    trace    TEXT NOT NULL,
    span     TEXT NOT NULL,                   -- the source's own, which those of its attempts are children of
    parent   TEXT NOT NULL,                   -- traceparent of the span above it, or ''
    began_at REAL NOT NULL
) STRICT;
