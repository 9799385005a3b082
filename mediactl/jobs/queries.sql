-- The journal's SQL, one named statement a block; the rule that each keeps stands beside it.

-- name: add
-- Idempotent: a pending or running job stays as it is; a finished one that is asked for again starts afresh.
INSERT INTO jobs (key, kind, lane, source, content, format, size, payload, priority, enqueued_at, due, time_limit, plan,
    cores, stall_limit, memory_limit, memory, operation, piece, pieces, cut, destination)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
ON CONFLICT (key) DO UPDATE SET
    state = 'ready', payload = excluded.payload, plan = excluded.plan, operation = excluded.operation,
    format = excluded.format, size = excluded.size, content = excluded.content, cut = excluded.cut,
    destination = excluded.destination,
    cores = excluded.cores, stall_limit = excluded.stall_limit, memory_limit = excluded.memory_limit,
    memory = excluded.memory, source = excluded.source, priority = excluded.priority,
    enqueued_at = excluded.enqueued_at, due = excluded.due, time_limit = excluded.time_limit, lane = excluded.lane,
    failures = 0, crashes = 0, interruptions = 0, reason = ''
WHERE state NOT IN ('ready', 'running');

-- name: wake
-- Retries whose time has come stand in the line again; those that would wait longer than any does, too: the clock was
-- set back.
UPDATE jobs SET run_after = NULL
WHERE state = 'ready' AND run_after IS NOT NULL AND (run_after <= ?1 OR run_after > ?1 + ?2);

-- name: candidates
-- In due order, without the kinds (?4, a JSON list) of which no more may run; a job whose content another job is working
-- on waits, so that equal sources are computed once. Where ?3 is set, so do jobs of sources that are not this run's.
-- Those that count on what another bucket has than this run's (?5) are left to a run to that one.
SELECT due, id, content, kind FROM jobs
WHERE lane = ?1 AND state = 'ready' AND run_after IS NULL
  AND (NOT ?3 OR source IS NULL OR kind = 'upload' OR source IN (SELECT source FROM temp.mine))
  AND (?4 = '[]' OR kind NOT IN (SELECT value FROM json_each(?4)))
  AND (?5 IS NULL OR kind = 'upload' OR destination IN ('', ?5))
  AND (content IS NULL OR NOT EXISTS (
      SELECT 1 FROM jobs AS other WHERE other.state = 'running' AND other.content = jobs.content))
ORDER BY due, id LIMIT ?2;

-- name: next_fetches
-- Those that "candidates" offers next of the kind that fetches, with their bytes.
SELECT id, source, size FROM jobs
WHERE lane = 'network' AND kind = 'fetch' AND state = 'ready' AND run_after IS NULL
  AND (NOT ?2 OR source IN (SELECT source FROM temp.mine))
ORDER BY due, id LIMIT ?1;

-- name: alone
SELECT min(due) FROM jobs
WHERE lane = 'alone' AND state = 'ready' AND run_after IS NULL
  AND (?1 IS NULL OR kind = 'upload' OR destination IN ('', ?1));

-- name: claim
-- Compare-and-set: ready -> running, for the jobs of a JSON list.
UPDATE jobs SET state = 'running', owner = ?2, attempt = attempt + 1, started_at = ?3
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'ready' AND run_after IS NULL
RETURNING id, key, kind, operation, lane, source, content, format, size, payload, priority, due, attempt, time_limit,
    plan, cores, stall_limit, memory_limit, memory, piece, pieces, cut, destination, enqueued_at;

-- name: finish_done
-- As "finish", for all of a JSON list of [job, attempt]; those that it changed. (The "+" keeps SQLite from starting at
-- the index of what runs, where it would look through the list for each.)
UPDATE jobs SET state = 'done', owner = NULL, started_at = NULL, reason = '', payload = x''
FROM (SELECT value ->> 0 AS job, value ->> 1 AS attempt FROM json_each(?1)) AS ended
WHERE jobs.id = ended.job AND jobs.attempt = ended.attempt AND +jobs.state = 'running' AND +jobs.owner = ?2
RETURNING jobs.id;

-- name: finish
-- Compare-and-set on (job, attempt, running, owner): a stale worker's answer changes no row.
-- A done job's payload is dropped: planning makes it again should it be needed.
UPDATE jobs SET state = ?4, owner = NULL, started_at = NULL, reason = ?5,
    payload = CASE ?4 WHEN 'done' THEN x'' ELSE payload END
WHERE id = ?1 AND attempt = ?2 AND state = 'running' AND owner = ?3;

-- name: fail
UPDATE jobs SET failures = failures + 1, owner = NULL, started_at = NULL, reason = ?4,
    state = CASE WHEN failures + 1 >= ?5 THEN ?7 ELSE 'ready' END,
    run_after = CASE WHEN failures + 1 >= ?5 THEN NULL ELSE ?6 END
WHERE id = ?1 AND attempt = ?2 AND state = 'running' AND owner = ?3
RETURNING state, failures;

-- name: head
SELECT key, kind, source, iif(kind = 'upload', destination, '') FROM jobs WHERE id = ?1;

-- name: give_up
-- Of this run or, where handling failed before it was claimed or after it was done, of none.
UPDATE jobs SET state = 'quarantined', owner = NULL, started_at = NULL, run_after = NULL, reason = ?3
WHERE id = ?1 AND (?2 IS NULL OR attempt = ?2);

-- name: reject_ready
UPDATE jobs SET state = 'rejected', reason = ?2, run_after = NULL WHERE id = ?1 AND state = 'ready' RETURNING key;

-- name: source_path
SELECT path FROM sources WHERE id = ?1;

-- name: crash
-- Before its last attempt a job that kills workers is moved to the lane where it runs alone.
UPDATE jobs SET crashes = crashes + 1, owner = NULL, started_at = NULL, reason = ?4,
    state = CASE WHEN crashes + 1 >= ?5 THEN 'quarantined' ELSE 'ready' END,
    lane = CASE WHEN crashes + 1 = ?5 - 1 THEN 'alone' ELSE lane END
WHERE id = ?1 AND attempt = ?2 AND state = 'running' AND owner = ?3
RETURNING state, crashes;

-- name: interrupt
-- Free, but bounded; what had not begun (?5 = 0) is not counted.
UPDATE jobs SET owner = NULL, started_at = NULL, interruptions = interruptions + ?5, reason = ?4,
    state = CASE WHEN interruptions + ?5 >= ?6 THEN 'quarantined' ELSE 'ready' END
WHERE id = ?1 AND attempt = ?2 AND state = 'running' AND owner = ?3
RETURNING state;

-- name: reclaim
-- Only for an owner whose lock was taken, so is dead. What was replanned meanwhile is not begun again: it would
-- write over what the newer plan has made. Nor is what has no payload (see MIGRATIONS).
UPDATE jobs SET owner = NULL, started_at = NULL, interruptions = interruptions + 1, reason = 'its run was killed',
    state = CASE
        WHEN payload = x'' THEN 'cancelled'
        WHEN plan <> '' AND EXISTS (SELECT 1 FROM sources AS s WHERE s.id = jobs.source AND jobs.plan <> s.plan)
            THEN 'cancelled'
        WHEN interruptions + 1 >= ?2 THEN 'quarantined'
        ELSE 'ready'
    END
WHERE owner = ?1 AND state = 'running'
RETURNING id, attempt, source, state, operation;

-- name: owners
SELECT DISTINCT owner FROM jobs WHERE state = 'running' AND owner <> ?1;

-- name: retry
-- A stopped job whose source has moved on since (it is done, or has a newer job, or another plan) is left as it is. One
-- without a payload stays where it is, too: its source is pending again, and the next run that finds it plans it.
UPDATE jobs SET state = iif(payload = x'', 'cancelled', 'ready'),
    failures = 0, crashes = 0, interruptions = 0, reason = '', run_after = NULL,
    lane = CASE lane WHEN 'alone' THEN 'heavy' ELSE lane END, enqueued_at = ?2, due = ?2
WHERE id = ?1 AND (state = 'ready' AND run_after IS NOT NULL OR state IN ('rejected', 'quarantined', 'cancelled')
    AND (source IS NULL OR kind = 'upload' OR EXISTS (SELECT 1 FROM sources AS s WHERE s.id = jobs.source
        AND s.state = jobs.state
        AND jobs.plan IN ('', s.plan))))
RETURNING source, plan, cut, iif(kind = 'upload', destination, '');

-- name: revive_pieces
-- With one piece of a video, those that were cancelled for its sake.
UPDATE jobs SET state = 'ready', failures = 0, crashes = 0, interruptions = 0, reason = '', enqueued_at = ?4, due = ?4
WHERE source = ?1 AND kind = 'piece' AND plan = ?2 AND cut = ?3 AND state = 'cancelled' AND payload <> x'';

-- name: cancel_pieces
-- Those of a video that are ready, all of them or (?3 set) those of one plan and cut.
UPDATE jobs SET state = 'cancelled', reason = ?2, run_after = NULL
WHERE source = ?1 AND kind = 'piece' AND state = 'ready' AND (?3 IS NULL OR plan = ?3 AND cut = ?4);

-- name: live_pieces
SELECT EXISTS (SELECT 1 FROM jobs
    WHERE source = ? AND kind = 'piece' AND plan = ? AND cut = ? AND state IN ('ready', 'running'));

-- name: unfinished_digests
-- Contents that something is still to be made of.
SELECT DISTINCT digest FROM sources AS s WHERE digest IS NOT NULL AND (state IN ('pending', 'quarantined', 'cancelled')
    OR EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = s.id AND j.kind <> 'upload' AND j.state IN ('ready', 'running')));

-- name: cancel
-- A running job is left to finish: only a pending job can be cancelled.
UPDATE jobs SET state = 'cancelled', reason = 'cancelled', run_after = NULL WHERE id = ?1 AND state = 'ready'
RETURNING source, plan, cut, iif(kind = 'upload', destination, '');

-- name: attempt
INSERT OR REPLACE INTO attempts (job, attempt, run, worker, outcome, reason, ended_at, wall, cpu, peak_memory, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: duration
INSERT INTO durations (operation, format, size_bucket, bucket, count) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET count = count + excluded.count;

-- name: durations
SELECT bucket, count FROM durations WHERE operation = ? AND format = ? AND size_bucket = ?;

-- name: move_lane
-- Pending jobs of a class follow what was learnt of it.
UPDATE jobs SET lane = ?4
WHERE state = 'ready' AND lane = ?5 AND operation = ?1 AND format = ?2 AND size >= ?3 AND size < ?6;

-- name: bump
UPDATE jobs SET priority = ?2, due = enqueued_at + ?3 WHERE id = ?1 AND state = 'ready';

-- name: measured
SELECT operation, bucket, sum(count) FROM durations GROUP BY operation, bucket;

-- name: put_source
INSERT INTO sources (folder, name, root, path, size, mtime_ns, ctime_ns, inode, kind, format, recipe, plan, state, reason,
    decoders)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT (folder, name) DO UPDATE SET
    root = excluded.root, path = excluded.path, size = excluded.size, mtime_ns = excluded.mtime_ns,
    ctime_ns = excluded.ctime_ns, inode = excluded.inode, kind = excluded.kind, format = excluded.format,
    recipe = excluded.recipe, plan = excluded.plan, state = excluded.state, reason = excluded.reason,
    decoders = excluded.decoders, requires = ''
RETURNING id;

-- name: known
SELECT id, name, root, path, size, mtime_ns, ctime_ns, inode, state, plan, folder_mtime_ns, outputs, kind,
    upload_state, uploaded, format, decoders, in_bucket
FROM sources WHERE folder = ?;

-- name: complete
-- What need not be judged if its file and its outputs are unchanged; plans of images, videos and audio.
SELECT name, size, mtime_ns, ctime_ns, inode, id, folder_mtime_ns, outputs, in_bucket FROM sources
WHERE folder = ?1 AND root = ?2 AND state = 'done'
  AND plan = CASE kind WHEN 'image' THEN ?3 WHEN 'video' THEN ?4 WHEN 'audio' THEN ?5 END
  AND iif(?6 IS NULL, in_bucket = '', upload_state = 'done' AND uploaded = ?6 AND in_bucket IN ('', ?6));

-- name: known_one
SELECT id, name, root, path, size, mtime_ns, ctime_ns, inode, state, plan, folder_mtime_ns, outputs, kind,
    upload_state, uploaded, format, decoders, in_bucket
FROM sources WHERE folder = ? AND name = ?;

-- name: source
SELECT id, folder, name, root, path, size, mtime_ns, ctime_ns, inode, kind, format, recipe, plan, state, reason,
    digest, info, placeholder, warnings, in_bucket
FROM sources WHERE id = ?;

-- name: source_digest
SELECT digest FROM sources WHERE id = ?;

-- name: source_state
UPDATE sources SET state = ?2, reason = ?3, decoders = ?4, requires = ?5 WHERE id = ?1;

-- name: source_probed
UPDATE sources SET digest = ?2, info = ?3, plan = ?4, placeholder = CASE WHEN digest IS ?2 THEN placeholder ELSE '' END WHERE id = ?1;

-- name: source_done
-- "done" is committed only after every output is durable under its final name.
UPDATE sources SET state = 'done', reason = '', decoders = '', requires = '', placeholder = ?2, warnings = ?3, folder_mtime_ns = ?4, outputs = ?5,
    plan = ?6, upload_state = '', uploaded = '', in_bucket = ?7, indexed = ''
WHERE id = ?1;

-- name: clear_artefacts
DELETE FROM artefacts WHERE source = ?;

-- name: put_artefact
INSERT INTO artefacts (source, ordinal, name, role, media_type, bytes, sha256, key, width, height, duration, mtime_ns, inode,
    similarity)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: artefacts
SELECT name, role, media_type, bytes, sha256, key, width, height, duration, mtime_ns, inode, similarity
FROM artefacts WHERE source = ? ORDER BY ordinal;

-- name: measured_artefacts
-- Of done sources whose plan is that of their kind in a JSON object.
SELECT s.path, a.name, a.role, a.bytes, a.similarity FROM sources AS s JOIN artefacts AS a ON a.source = s.id
WHERE s.state = 'done' AND s.plan = ?1 ->> s.kind ORDER BY s.id, a.ordinal;

-- name: measured_artefacts_of
-- The same of one source.
SELECT s.path, a.name, a.role, a.bytes, a.similarity FROM sources AS s JOIN artefacts AS a ON a.source = s.id
WHERE s.id = ?2 AND s.state = 'done' AND s.plan = ?1 ->> s.kind ORDER BY a.ordinal;

-- name: outcomes
-- Done sources with what they have, an artefact a row, those of a source together.
SELECT s.id, s.path, s.size, s.kind, s.digest, s.info, a.name, a.role, a.key, a.bytes, a.width, a.height, a.duration
FROM sources AS s JOIN artefacts AS a ON a.source = s.id
WHERE s.state = 'done' ORDER BY s.id, a.ordinal;

-- name: outcomes_of
-- The same of those in a JSON list of ids.
SELECT s.id, s.path, s.size, s.kind, s.digest, s.info, a.name, a.role, a.key, a.bytes, a.width, a.height, a.duration
FROM json_each(?) AS l JOIN sources AS s ON s.id = l.value JOIN artefacts AS a ON a.source = s.id
WHERE s.state = 'done' ORDER BY l.key, a.ordinal;

-- name: uploads_waiting
-- Objects pending for a destination, their bytes, and sources whose asset.json is to come after them.
SELECT count(*), CAST(total(size) AS INTEGER),
    count(DISTINCT source) - count(DISTINCT CASE WHEN operation = 'publish' THEN source END)
FROM jobs WHERE kind = 'upload' AND state = 'ready' AND destination = ?;

-- name: twins
-- Artefacts made from the same content elsewhere in OUT, one a key: any will do, and there may be thousands.
SELECT a.name, a.role, a.media_type, a.bytes, a.sha256, a.key, a.width, a.height, a.duration, s.folder, s.name,
    s.warnings
FROM sources AS s JOIN artefacts AS a ON a.source = s.id
WHERE s.digest = ?1 AND s.id <> ?2 AND a.mtime_ns <> 0
GROUP BY a.key;

-- name: waiting
-- In the lanes (a JSON list) that this run serves, without the kinds (a JSON list) that it does not, and what counts on
-- another bucket than this run's (?4).
SELECT
    (SELECT min(run_after) FROM jobs WHERE state = 'ready' AND run_after IS NOT NULL
        AND lane IN (SELECT value FROM json_each(?2)) AND kind NOT IN (SELECT value FROM json_each(?3))
        AND (?4 IS NULL OR kind = 'upload' OR destination IN ('', ?4))),
    EXISTS (SELECT 1 FROM jobs WHERE state = 'ready' AND run_after IS NULL
        AND lane IN (SELECT value FROM json_each(?2)) AND kind NOT IN (SELECT value FROM json_each(?3))
        AND (?4 IS NULL OR kind = 'upload' OR destination IN ('', ?4))),
    EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND owner <> ?1);

-- name: put_run
INSERT INTO runs (id, pid, boot, version, started_at, command, workers) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: any_run
SELECT EXISTS (SELECT 1 FROM runs);

-- name: end_run
UPDATE runs SET ended_at = ?2, exit_code = ?3, done = ?4, rejected = ?5, quarantined = ?6, unfinished = ?7 WHERE id = ?1;

-- name: root
-- Mount point that a directory was on, and how many sources were found in it.
SELECT (SELECT mount FROM roots WHERE root = ?1), (SELECT count(*) FROM sources WHERE root = ?1 AND state <> 'ignored');

-- name: mount_of_root
SELECT mount FROM roots WHERE root = ?;

-- name: put_root
INSERT OR REPLACE INTO roots (root, mount) VALUES (?, ?);

-- name: put_recipe
INSERT OR IGNORE INTO recipes (digest, content) VALUES (?, ?);

-- name: recipe
SELECT content FROM recipes WHERE digest = ?;

-- name: live_job
-- One that makes something of the source, or reads it; other than ?2.
SELECT EXISTS (SELECT 1 FROM jobs WHERE source = ?1 AND id <> ?2 AND kind <> 'upload' AND state IN ('ready', 'running'));

-- name: supersede
-- All pending jobs of a source, uploads of its outputs too. What runs is left to end, and its result is dropped.
UPDATE jobs SET state = 'cancelled', reason = 'replanned', run_after = NULL WHERE source = ? AND state = 'ready';

-- name: reason
-- Why a source is in its state; of one that is done, why its upload failed.
SELECT CASE state
        WHEN 'done' THEN coalesce((SELECT reason FROM jobs WHERE source = ?1 AND kind = 'upload'
            AND state IN ('rejected', 'quarantined') ORDER BY id DESC LIMIT 1), '')
        ELSE reason
    END
FROM sources WHERE id = ?1;

-- name: make_mine
CREATE TEMP TABLE IF NOT EXISTS mine (source INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS met (source INTEGER PRIMARY KEY);

-- name: put_mine
INSERT OR IGNORE INTO temp.mine (source) VALUES (?);

-- name: mine
-- How the sources stand that this run has to do with, a column a state (GROUP BY would sort millions of rows); with uploads (?1), one is done when it is uploaded, too.
SELECT count(*) FILTER (WHERE stands = 'pending') AS pending,
    count(*) FILTER (WHERE stands = 'done') AS done,
    count(*) FILTER (WHERE stands = 'rejected') AS rejected,
    count(*) FILTER (WHERE stands = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE stands = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE stands = 'ignored') AS ignored
FROM (SELECT CASE
        WHEN s.state <> 'done' OR NOT ?1 THEN s.state
        WHEN s.upload_state = 'conflict' THEN 'rejected'
        WHEN s.upload_state = 'failed' THEN 'quarantined'
        WHEN s.upload_state = 'done' THEN 'done'
        ELSE 'pending'
    END AS stands
    FROM temp.mine AS m JOIN sources AS s ON s.id = m.source);

-- name: put_met
INSERT OR IGNORE INTO temp.met (source) VALUES (?);

-- name: met
-- How the sources stand, a column a state, that a watch found, maybe many times, with nothing to be done for them.
SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
    count(*) FILTER (WHERE state = 'done') AS done,
    count(*) FILTER (WHERE state = 'rejected') AS rejected,
    count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE state = 'ignored') AS ignored
FROM temp.met AS m JOIN sources AS s ON s.id = m.source WHERE m.source NOT IN (SELECT source FROM temp.mine);

-- name: is_mine
SELECT EXISTS (SELECT 1 FROM temp.mine WHERE source = ?);

-- name: pending_remote
-- Objects of buckets of which something is still to be made.
SELECT id, root, path, size, mtime_ns FROM sources WHERE state = 'pending' AND CAST(root AS TEXT) LIKE 's3://%';

-- name: mine_pending
SELECT EXISTS (SELECT 1 FROM temp.mine AS m JOIN sources AS s ON s.id = m.source
    WHERE s.state = 'pending' OR ?1 AND s.state = 'done' AND s.upload_state IN ('', 'pending'));

-- name: adopt_source
INSERT OR IGNORE INTO sources (folder, name, root, path, size, mtime_ns, ctime_ns, inode, kind, format, recipe, plan, state,
    digest, info, placeholder, warnings)
VALUES (?1, ?2, x'', ?3, ?4, 0, 0, 0, ?5, '', '', '', 'pending', ?6, ?7, ?8, ?9)
RETURNING id;

-- name: upload
SELECT id, status, state FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ?;

-- name: put_upload
INSERT INTO uploads (endpoint, bucket, key, place, file, size, status, upload_id, state, began_at, changed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
ON CONFLICT (endpoint, bucket, key) DO UPDATE SET
    place = excluded.place, file = excluded.file, size = excluded.size, upload_id = excluded.upload_id,
    state = excluded.state, changed_at = excluded.changed_at, status = excluded.status,
    began_at = CASE excluded.status WHEN 'creating' THEN excluded.began_at ELSE began_at END
RETURNING id;

-- name: forget_upload
DELETE FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ?;

-- name: upload_parts
SELECT number, size, crc32, etag FROM parts WHERE upload = ? ORDER BY number;

-- name: clear_parts
DELETE FROM parts WHERE upload = ?;

-- name: put_part
INSERT OR REPLACE INTO parts (upload, number, size, crc32, etag) VALUES (?, ?, ?, ?, ?);

-- name: source_upload
-- How the upload of a source's outputs stands, and to which destination.
UPDATE sources SET upload_state = ?2, uploaded = ?3 WHERE id = ?1;

-- name: live_upload
SELECT EXISTS (SELECT 1 FROM jobs WHERE source = ? AND kind = 'upload' AND state IN ('ready', 'running'));

-- name: cancel_uploads
-- Pending uploads of a source are replanned.
UPDATE jobs SET state = 'cancelled', reason = 'replanned', run_after = NULL
WHERE source = ? AND kind = 'upload' AND state = 'ready';

-- name: upload_pending
SELECT 1 FROM sources WHERE id = ? AND state = 'done' AND upload_state = 'pending' AND uploaded = ?;

-- name: make_my_keys
CREATE TEMP TABLE IF NOT EXISTS my_keys (key TEXT PRIMARY KEY, file BLOB NOT NULL) WITHOUT ROWID;

-- name: claim_key
INSERT INTO temp.my_keys (key, file) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET file = file RETURNING file;

-- name: make_my_uploads
CREATE TEMP TABLE IF NOT EXISTS my_uploads (job TEXT PRIMARY KEY) WITHOUT ROWID;

-- name: put_my_upload
INSERT OR IGNORE INTO temp.my_uploads (job) VALUES (?);

-- name: my_uploads
SELECT state, count(*) FROM jobs
WHERE key IN (SELECT job FROM temp.my_uploads)
   OR ?1 <> '' AND kind = 'upload' AND id IN (SELECT job FROM attempts WHERE run = ?1)
GROUP BY state;

-- name: put_waiting_uploads
INSERT OR IGNORE INTO temp.my_uploads (job) SELECT key FROM jobs WHERE kind = 'upload' AND state = 'ready';

-- name: waiting_uploads
SELECT count(*), coalesce(sum(size), 0) FROM jobs WHERE kind = 'upload' AND state = 'ready';

-- name: upload_runs
SELECT EXISTS (SELECT 1 FROM jobs WHERE content = ? AND state = 'running');

-- name: cancel_object
UPDATE jobs SET state = 'cancelled', reason = 'aborted', run_after = NULL
WHERE kind = 'upload' AND content = ? AND state = 'ready' RETURNING source;

-- name: forget_done_upload
DELETE FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ? AND status = 'done' AND changed_at = ?;

-- name: sources_lost
-- Those whose objects (a JSON list of what their jobs have as content) are gone: to be uploaded again.
UPDATE sources SET upload_state = '', uploaded = '', in_bucket = '' WHERE id IN (
    SELECT source FROM jobs WHERE kind = 'upload' AND content IN (SELECT value FROM json_each(?)));

-- name: source_lost
-- The one with such an object by its directory in OUT: of what was found in a bucket there never was a job.
UPDATE sources SET upload_state = '', uploaded = '', in_bucket = ''
WHERE folder = ?1 AND name = ?2 AND upload_state = 'done';

-- name: distrust_source
-- Its outputs are found stale by the next scan, however they look.
UPDATE sources SET folder_mtime_ns = 0 WHERE id = ? AND state = 'done';

-- name: distrust_artefact
-- To be hashed before it is trusted.
UPDATE artefacts SET mtime_ns = 0 WHERE source = ? AND name = ?;

-- name: begin_trace
-- In the trace of the parent (?2, a traceparent) or, without one, a new trace.
INSERT INTO traces (source, trace, span, parent, began_at)
VALUES (?1, coalesce(nullif(substr(?2, 4, 32), ''), lower(hex(randomblob(16)))), lower(hex(randomblob(8))), ?2, ?3)
ON CONFLICT DO NOTHING;

-- name: trace
-- Of a source, with its path, how it or its upload ended, and whether any of its jobs is pending or running.
SELECT t.trace, t.span, t.parent, t.began_at, s.path, s.size,
    iif(s.state = 'done' AND s.upload_state IN ('conflict', 'failed'), s.upload_state, s.state),
    EXISTS (SELECT 1 FROM jobs WHERE source = ?1 AND state IN ('ready', 'running'))
FROM traces AS t JOIN sources AS s ON s.id = t.source WHERE t.source = ?1;

-- name: continue_trace
-- A retry gets a span below the one that has ended.
UPDATE traces SET parent = '00-' || trace || '-' || span || iif(parent = '', '-01', substr(parent, 53, 3)),
    span = lower(hex(randomblob(8))), began_at = ?2
WHERE source = ?1;

-- name: end_trace
DELETE FROM traces WHERE source = ?;
