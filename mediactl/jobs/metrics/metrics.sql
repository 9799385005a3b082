-- Totals and figures for monitoring. Totals only grow.

-- name: add_attempts
INSERT INTO attempt_totals (operation, outcome, attempts) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts;

-- name: add_timing
INSERT INTO timing_totals (timing, operation, edge, count, seconds) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET count = count + excluded.count, seconds = seconds + excluded.seconds;

-- name: add_bytes
INSERT INTO byte_totals (direction, bytes) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;

-- name: add_artefacts
INSERT INTO artefact_totals (role, artefacts) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET artefacts = artefacts + excluded.artefacts;

-- name: attempts
SELECT operation, outcome, attempts FROM attempt_totals ORDER BY operation, outcome;

-- name: timings
SELECT operation, edge, count, seconds FROM timing_totals WHERE timing = ? ORDER BY operation, edge;

-- name: bytes
SELECT direction, bytes FROM byte_totals ORDER BY direction;

-- name: artefacts
SELECT role, artefacts FROM artefact_totals ORDER BY role;

-- name: jobs
SELECT lane, priority, state, count(*) FROM jobs GROUP BY lane, priority, state ORDER BY lane, priority, state;

-- name: oldest
-- Of pending jobs; those that are delayed retries, too.
SELECT lane, priority, min(enqueued_at), min(due) FROM jobs
WHERE state = 'ready' GROUP BY lane, priority ORDER BY lane, priority;

-- name: running
-- Jobs that a run has in its worker processes, or sent ahead to them.
SELECT owner, count(*) FROM jobs WHERE state = 'running' AND lane <> 'network' GROUP BY owner;

-- name: quarantined
-- Sources that were given up, and those whose upload was.
SELECT count(*) FROM sources WHERE state = 'quarantined' OR state = 'done' AND upload_state = 'failed';

-- name: last_success
SELECT max(ended_at) FROM runs WHERE exit_code = 0 AND command <> 'edit';

-- name: last_exit_code
SELECT exit_code FROM runs WHERE ended_at IS NOT NULL AND command <> 'edit' ORDER BY ended_at DESC LIMIT 1;
