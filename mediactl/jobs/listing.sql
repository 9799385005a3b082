-- What the pages of `mediactl web` read: newest first, a page at a time, by index as far as there is one.

-- name: states
-- Every count but that of done jobs by a partial index: counting in one pass would read the payload of every job.
SELECT (SELECT count(*) FROM jobs WHERE state = 'ready' AND run_after IS NULL),
    (SELECT count(*) FROM jobs WHERE state = 'ready' AND run_after IS NOT NULL),
    (SELECT count(*) FROM jobs WHERE state = 'running'),
    (SELECT count(*) FROM jobs WHERE state IN ('rejected', 'quarantined', 'cancelled') AND state = 'rejected'),
    (SELECT count(*) FROM jobs WHERE state IN ('rejected', 'quarantined', 'cancelled') AND state = 'quarantined'),
    (SELECT count(*) FROM jobs WHERE state IN ('rejected', 'quarantined', 'cancelled') AND state = 'cancelled'),
    (SELECT count(*) FROM jobs);

-- name: lanes
-- Pending jobs by lane and priority; those that are delayed retries are in no lane's way.
SELECT lane, priority, count(*), min(enqueued_at), min(due) FROM jobs
WHERE state = 'ready' AND run_after IS NULL GROUP BY lane, priority ORDER BY lane, priority;

-- name: running
SELECT j.key, j.kind, j.lane, j.priority, j.started_at, j.piece, j.pieces, s.path
FROM jobs AS j LEFT JOIN sources AS s ON s.id = j.source
WHERE j.state = 'running' ORDER BY j.started_at LIMIT ?1;

-- name: reasons
-- Why jobs were stopped: each reason in its words, with the number of jobs and one of them.
SELECT kind, state, reason, count(*), max(id) FROM jobs
WHERE state IN ('rejected', 'quarantined', 'cancelled') AND state <> 'cancelled'
GROUP BY kind, state, reason;

-- name: timeline
-- Attempts that ended from ?1 on, in ?3 intervals of ?2 seconds: done, and otherwise.
SELECT min(CAST((ended_at - ?1) / ?2 AS INTEGER), ?3 - 1) AS number,
    count(*) FILTER (WHERE outcome = 'done'), count(*) FILTER (WHERE outcome <> 'done')
FROM attempts WHERE ended_at >= ?1 GROUP BY number;

-- name: roots
SELECT root, count(*), count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'pending'),
    count(*) FILTER (WHERE state IN ('rejected', 'quarantined'))
FROM sources WHERE root <> x'' AND state <> 'ignored' GROUP BY root ORDER BY root;

-- name: newest_uploads
SELECT place, key, file, size, status, upload_id, began_at, changed_at,
    (SELECT count(*) FROM parts AS p WHERE p.upload = uploads.id),
    (SELECT coalesce(sum(p.size), 0) FROM parts AS p WHERE p.upload = uploads.id),
    state
FROM uploads ORDER BY changed_at DESC, id DESC LIMIT ?1;

-- name: upload_states
SELECT status, count(*), sum(size) FROM uploads GROUP BY status ORDER BY status;

-- name: source_of
SELECT s.id, s.root, s.path, s.folder, s.name, s.size, s.mtime_ns, s.ctime_ns, s.inode, s.kind, s.format, s.state,
    s.digest, s.info, s.warnings
FROM sources AS s JOIN jobs AS j ON j.source = s.id WHERE j.id = ?1;

-- name: artefacts_of
SELECT name, role, media_type, bytes, sha256, key, width, height, duration FROM artefacts WHERE source = ?1 ORDER BY ordinal;

-- name: artefact
-- One of them, and the directory that has it.
SELECT s.folder, s.name, a.name, a.media_type, a.bytes FROM artefacts AS a JOIN sources AS s ON s.id = a.source
WHERE a.source = ?1 AND a.name = ?2;
