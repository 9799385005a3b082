-- Read-only questions about the journal, for status, jobs and show.

-- name: sources
-- A column a state, counted in one pass: GROUP BY would sort millions of rows.
SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
    count(*) FILTER (WHERE state = 'done') AS done,
    count(*) FILTER (WHERE state = 'rejected') AS rejected,
    count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE state = 'ignored') AS ignored
FROM sources;

-- name: required
SELECT requires, count(*) FROM sources WHERE state = 'rejected' AND requires <> '' GROUP BY requires;

-- name: jobs
SELECT count(*) FILTER (WHERE state = 'ready') AS ready,
    count(*) FILTER (WHERE state = 'running') AS running,
    count(*) FILTER (WHERE state = 'done') AS done,
    count(*) FILTER (WHERE state = 'rejected') AS rejected,
    count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled
FROM jobs;

-- name: queue
-- Number and age of pending jobs, by lane and priority.
SELECT lane, priority, count(*), min(enqueued_at), sum(run_after IS NOT NULL) FROM jobs
WHERE state = 'ready' GROUP BY lane, priority ORDER BY lane, priority;

-- name: runs
-- The newest (at most ?1) but for edits, or (?2) all without an end.
SELECT id, pid, boot, version, command, started_at, ended_at, exit_code, done, rejected, quarantined, unfinished, workers
FROM runs WHERE iif(?2, ended_at IS NULL, command <> 'edit') ORDER BY started_at DESC LIMIT ?1;

-- name: earlier_runs
SELECT runs, done, since FROM pruning;

-- name: list
-- Those to which all of a filter applies. What happened since ?5: it was enqueued, or an attempt ended.
SELECT j.id, j.key, j.kind, j.lane, j.state, j.priority, j.enqueued_at, j.due, j.run_after, j.attempt, j.failures,
    j.crashes, j.interruptions, j.reason, s.root, s.path, s.folder, s.name,
    j.piece, j.pieces
FROM jobs AS j LEFT JOIN sources AS s ON s.id = j.source
WHERE (?1 IS NULL OR j.state IN (SELECT value FROM json_each(?1)))
  AND (?2 IS NULL OR j.reason GLOB ?2)
  AND (?3 IS NULL OR j.kind = ?3)
  AND (?4 IS NULL OR CAST(s.path AS TEXT) GLOB CAST(?4 AS TEXT))
  AND (?5 IS NULL OR j.enqueued_at >= ?5
    OR EXISTS (SELECT 1 FROM attempts AS a WHERE a.job = j.id AND a.ended_at >= ?5))
ORDER BY j.id LIMIT ?6;

-- name: find
-- By the start of a key, or by output directory or path.
SELECT j.id, j.key, j.kind, j.lane, j.state, j.priority, j.enqueued_at, j.due, j.run_after, j.attempt, j.failures,
    j.crashes, j.interruptions, j.reason, s.root, s.path, s.folder, s.name,
    j.piece, j.pieces
FROM jobs AS j LEFT JOIN sources AS s ON s.id = j.source
WHERE (?1 <> '' AND j.key >= ?1 AND j.key < ?1 || 'g') OR (s.folder = ?2 AND s.name = ?3) OR s.path = ?4
ORDER BY j.id;

-- name: find_file
-- By the absolute path of the source.
SELECT j.id, j.key, j.kind, j.lane, j.state, j.priority, j.enqueued_at, j.due, j.run_after, j.attempt, j.failures,
    j.crashes, j.interruptions, j.reason, s.root, s.path, s.folder, s.name,
    j.piece, j.pieces
FROM sources AS s JOIN jobs AS j ON j.source = s.id
WHERE s.root <> x'' AND CAST(s.root || x'2f' || s.path AS BLOB) = ?
ORDER BY j.id;

-- name: some_paths
SELECT path FROM sources LIMIT 5000;

-- name: paths
SELECT DISTINCT s.path FROM sources AS s JOIN jobs AS j ON j.source = s.id
WHERE substr(s.path, 1, length(?1)) = ?1 AND j.state IN (SELECT value FROM json_each(?2))
ORDER BY s.path LIMIT ?3;

-- name: buckets
SELECT DISTINCT bucket, coalesce(json_extract(CAST(place AS TEXT), '$.prefix'), '') AS prefix
FROM uploads ORDER BY bucket, prefix LIMIT ?;

-- name: attempts
SELECT attempt, outcome, reason, ended_at, wall, cpu, peak_memory, worker, run, version
FROM attempts WHERE job = ? ORDER BY attempt;

-- name: all_sources
-- The next ?3 behind folder ?1 and name ?2, but for those that are worked on: a run must find the rows of what it has
-- claimed.
SELECT id, root, path, folder, name FROM sources AS s
WHERE (folder, name) > (?1, ?2) AND root <> x'' AND state <> 'ignored'
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = s.id AND j.state = 'running')
ORDER BY folder, name LIMIT ?3;

-- name: idle_source
-- One of them.
SELECT root, path, folder, name FROM sources AS s
WHERE id = ? AND root <> x'' AND state <> 'ignored'
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = s.id AND j.state = 'running');

-- name: artefact_names
SELECT name FROM artefacts WHERE source = ?;

-- name: delete_source
DELETE FROM sources WHERE id = ?;

-- name: ahead
SELECT count(*) FROM jobs WHERE lane = ?1 AND state = 'ready' AND run_after IS NULL AND (due, id) < (?2, ?3);

-- name: classes
SELECT operation, format, size_bucket, bucket, count FROM durations ORDER BY operation, format, size_bucket, bucket;

-- name: waits
SELECT j.priority, j.lane, max(0.0, a.ended_at - a.wall - j.enqueued_at) FROM jobs AS j JOIN attempts AS a ON a.job = j.id
WHERE a.attempt = 1;

-- name: durations
SELECT j.priority, j.lane, a.wall FROM jobs AS j JOIN attempts AS a ON a.job = j.id;

-- name: uploads
-- All of them, or (?1) those that are under way.
SELECT u.place, u.key, u.file, u.size, u.status, u.upload_id, u.began_at, u.changed_at,
    (SELECT count(*) FROM parts AS p WHERE p.upload = u.id),
    (SELECT coalesce(sum(p.size), 0) FROM parts AS p WHERE p.upload = u.id),
    u.state
FROM uploads AS u WHERE NOT ?1 OR u.status IN ('creating', 'uploading', 'completing') ORDER BY u.began_at, u.id;

-- name: upload_jobs
-- Those pending or running.
SELECT enqueued_at, payload FROM jobs WHERE kind = 'upload' AND state IN ('ready', 'running') ORDER BY due, id;

-- name: done_sources
SELECT id, folder, name, path, kind, digest, info, placeholder, warnings,
    (SELECT content ->> '$.metadata' FROM recipes AS r WHERE r.digest = sources.recipe)
FROM sources WHERE state = 'done' AND in_bucket = '' AND id > ?1 ORDER BY id LIMIT ?2;

-- name: in_bucket
SELECT count(*) FROM sources WHERE state = 'done' AND in_bucket <> '';

-- name: published
SELECT name, role, media_type, bytes, sha256, key, width, height, duration FROM artefacts WHERE source = ? ORDER BY ordinal;

-- name: last_watch
-- The newest: whether it has no end, and who it is.
SELECT ended_at IS NULL, id, pid, boot FROM runs WHERE command = 'watch' ORDER BY started_at DESC LIMIT 1;

-- name: measured
-- Of each attempt that reached a worker: its group, seconds that it ran, and seconds that its job waited before, where it
-- is the first one since that was enqueued; those of one run (?3), or that ended since ?2.
SELECT CASE ?1 WHEN 'operation' THEN j.operation WHEN 'format' THEN j.format WHEN 'lane' THEN j.lane ELSE a.version END,
    a.wall,
    CASE WHEN a.ended_at - a.wall >= j.enqueued_at AND (a.attempt = 1 OR NOT EXISTS (SELECT 1 FROM attempts AS b
        WHERE b.job = a.job AND b.attempt = a.attempt - 1 AND b.ended_at - b.wall >= j.enqueued_at))
    THEN a.ended_at - a.wall - j.enqueued_at END
FROM attempts AS a JOIN jobs AS j ON j.id = a.job
WHERE a.worker <> 0 AND iif(?3 IS NULL, a.ended_at >= ?2, a.run = ?3);

-- name: spent
-- What the same attempts come to: how many, not done, CPU seconds, largest memory.
SELECT CASE ?1 WHEN 'operation' THEN j.operation WHEN 'format' THEN j.format WHEN 'lane' THEN j.lane ELSE a.version END,
    count(*), count(*) FILTER (WHERE a.outcome <> 'done'), total(a.cpu), max(a.peak_memory)
FROM attempts AS a JOIN jobs AS j ON j.id = a.job
WHERE a.worker <> 0 AND iif(?3 IS NULL, a.ended_at >= ?2, a.run = ?3)
GROUP BY 1;

-- name: costliest
-- The ?4 of them that took longest ('wall'), or most memory.
SELECT j.key, j.kind, s.path, a.attempt, a.outcome, a.ended_at, a.wall, a.cpu, a.peak_memory
FROM (SELECT * FROM attempts WHERE worker <> 0 AND iif(?3 IS NULL, ended_at >= ?2, run = ?3)
    ORDER BY iif(?1 = 'wall', wall, peak_memory) DESC, job LIMIT ?4) AS a
JOIN jobs AS j ON j.id = a.job LEFT JOIN sources AS s ON s.id = j.source
ORDER BY iif(?1 = 'wall', a.wall, a.peak_memory) DESC, a.job;

-- name: run
-- Those whose id begins so.
SELECT id, pid, boot, version, command, started_at, ended_at, exit_code, done, rejected, quarantined, unfinished
FROM runs WHERE substr(id, 1, length(?1)) = ?1;

-- name: run_problems
-- Sources that this run gave up, each with its last reason.
SELECT s.path, j.kind, a.outcome, j.state, a.reason, max(a.ended_at)
FROM attempts AS a JOIN jobs AS j ON j.id = a.job LEFT JOIN sources AS s ON s.id = j.source
WHERE a.run = ?1 AND j.attempt = a.attempt AND j.state IN ('rejected', 'quarantined') GROUP BY j.source, j.kind
ORDER BY s.path;

-- name: run_sources
-- What a run completed: done sources, and what was made of them. ?2: after this id, ?3 at most.
SELECT s.id, s.root, s.path, s.folder, s.name, s.kind, s.format, s.size, s.mtime_ns, s.ctime_ns, s.inode, s.digest, s.info,
    s.recipe, s.warnings
FROM sources AS s
WHERE s.state = 'done' AND s.id > ?2 AND EXISTS (SELECT 1 FROM jobs AS j JOIN attempts AS a ON a.job = j.id
    WHERE j.source = s.id AND j.kind IN ('image', 'video', 'audio') AND a.run = ?1 AND a.outcome = 'done')
ORDER BY s.id LIMIT ?3;

-- name: made_of
SELECT name, role, bytes, width, height, similarity FROM artefacts WHERE source = ? ORDER BY ordinal;

-- name: recipe
SELECT content FROM recipes WHERE digest = ?;

-- name: changed_fate
-- Sources that were rejected or quarantined in run ?1 and are done by run ?2.
SELECT DISTINCT s.path FROM attempts AS a JOIN jobs AS j ON j.id = a.job JOIN sources AS s ON s.id = j.source
WHERE a.run = ?1 AND a.outcome NOT IN ('done', 'interrupted', 'changed', 'blocked')
  AND EXISTS (SELECT 1 FROM jobs AS k JOIN attempts AS b ON b.job = k.id
    WHERE k.source = j.source AND k.kind = j.kind AND b.run = ?2 AND b.outcome = 'done') ORDER BY s.path;
