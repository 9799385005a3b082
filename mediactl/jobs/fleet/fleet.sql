-- Machines, and figures that scaling goes by.

-- name: beat
-- Of heartbeats that arrive late or twice, the newest stays; so does what the machine was asked.
INSERT INTO machines (id, host, pid, version, slots, running, state, started_at, sent_at, seen_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, slots = excluded.slots, running = excluded.running,
    state = excluded.state, sent_at = excluded.sent_at, seen_at = excluded.seen_at
WHERE excluded.sent_at > machines.sent_at;

-- name: forget_machines
DELETE FROM machines WHERE seen_at < ?1;

-- name: machines
SELECT id, host, pid, version, slots, running, state, started_at, seen_at, drain_at FROM machines
ORDER BY state = 'stopped', host, started_at;

-- name: ask_drain
UPDATE machines SET drain_at = ?2 WHERE id = ?1 AND state = 'working';

-- name: asked_drain
SELECT id FROM machines WHERE drain_at IS NOT NULL AND state = 'working' ORDER BY drain_at;

-- name: work
-- Jobs that need a slot, by class (see history.size_bucket), with the sum of their sizes. Each part has an index of its
-- own, so that jobs that have ended are not read.
SELECT lane, operation, format, (CAST(log2(max(size, 1)) AS INTEGER) + 1) / 2 AS bucket, cores, is_running, count(*),
    total(size)
FROM (
    SELECT lane, operation, format, size, cores, 0 AS is_running FROM jobs WHERE state = 'ready' AND run_after IS NULL
    UNION ALL
    SELECT lane, operation, format, size, cores, 0 FROM jobs WHERE state = 'ready' AND run_after IS NOT NULL
    UNION ALL
    SELECT lane, operation, format, size, cores, 1 FROM jobs WHERE state = 'running'
)
GROUP BY lane, operation, format, bucket, cores, is_running ORDER BY lane;

-- name: unprobed
-- Sources whose probe is pending or running, by what will follow it.
SELECT s.kind, s.format, count(*), total(s.size)
FROM (
    SELECT source, kind FROM jobs WHERE state = 'ready' AND run_after IS NULL
    UNION ALL
    SELECT source, kind FROM jobs WHERE state = 'ready' AND run_after IS NOT NULL
    UNION ALL
    SELECT source, kind FROM jobs WHERE state = 'running'
) AS j JOIN sources AS s ON s.id = j.source
WHERE j.kind = 'probe' GROUP BY s.kind, s.format;

-- name: durations_of
-- Of all sizes.
SELECT bucket, sum(count) FROM durations WHERE operation = ?1 AND format = ?2 GROUP BY bucket;

-- name: add_arrivals
INSERT INTO arrivals (start, jobs, seconds) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, seconds = seconds + excluded.seconds;

-- name: forget_arrivals
DELETE FROM arrivals WHERE start < ?1;

-- name: arrived
SELECT total(seconds) FROM arrivals WHERE start >= ?1 AND start < ?2;

-- name: first_arrival
SELECT min(start) FROM arrivals;
