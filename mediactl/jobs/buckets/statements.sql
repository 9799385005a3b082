-- What the journal knows of the index of a bucket, and of outputs that are in a bucket alone.

-- name: unindexed
-- Uploaded sources of which the index of their bucket may say something else or nothing, in the order of their folders.
SELECT id, folder, name, digest, plan, placeholder, warnings FROM sources
WHERE upload_state = 'done' AND indexed <> uploaded AND uploaded = ?1 AND state = 'done'
ORDER BY folder, name LIMIT ?2;

-- name: indexed
-- Unless it was replaced meanwhile.
UPDATE sources SET indexed = ?4 WHERE id = ?1 AND digest = ?2 AND plan = ?3 AND upload_state = 'done' AND uploaded = ?4;

-- name: looks
UPDATE sources SET placeholder = ?2, warnings = ?3 WHERE id = ?1;

-- name: release
-- From now on its outputs are in the bucket alone: those in OUT are to be removed. Not while something is made of it.
UPDATE sources SET in_bucket = uploaded WHERE id = ?1 AND state = 'done' AND upload_state = 'done'
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = ?1 AND j.state IN ('ready', 'running'));

-- name: forget_files
UPDATE artefacts SET mtime_ns = 0, inode = 0 WHERE source = ?;

-- name: released
-- Sources whose outputs in OUT are to be removed.
SELECT id, folder, name FROM sources AS s
WHERE in_bucket <> '' AND outputs <> x'90' AND state = 'done'
  AND NOT EXISTS (SELECT 1 FROM artefacts AS a WHERE a.source = s.id AND a.mtime_ns <> 0);

-- name: removed
-- They are: x'90' is msgpack of an empty list.
UPDATE sources SET outputs = x'90', folder_mtime_ns = 0 WHERE id = ? AND in_bucket <> '';

-- name: has_job_for_others
SELECT EXISTS (SELECT 1 FROM jobs
    WHERE source = ?1 AND state = 'ready' AND kind <> 'upload' AND destination NOT IN ('', ?2));

-- name: cancel_for_others
-- Jobs of a source that count on another bucket, or on one where this run has none: it is planned again.
UPDATE jobs SET state = 'cancelled', reason = 'planned for another bucket', run_after = NULL
WHERE source = ?1 AND state = 'ready' AND kind <> 'upload' AND destination NOT IN ('', ?2);

-- name: cancel_recalls
UPDATE jobs SET state = 'cancelled', reason = 'the bucket is not read any more', run_after = NULL
WHERE state = 'ready' AND kind = 'recall' AND destination = ?1 RETURNING source, priority;
