-- What pruning removes, a range of jobs at once: ids above ?1, up to ?2; what is older than ?3.

-- name: where
SELECT position, pruned_at FROM pruning;

-- name: any_old_run
SELECT EXISTS (SELECT 1 FROM runs WHERE started_at < ?1 AND id <> ?2);

-- name: last
SELECT max(id) FROM jobs;

-- name: at
UPDATE pruning SET position = ?;

-- name: over
UPDATE pruning SET position = 0, pruned_at = ?;

-- name: attempts
-- The last one of a job that is not done says why.
DELETE FROM attempts WHERE job > ?1 AND job <= ?2 AND ended_at < ?3
    AND EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = attempts.job AND (j.state = 'done' OR j.attempt > attempts.attempt));

-- name: jobs
-- Ended ones with a newer job of their kind for the same source: no retry takes them up again.
DELETE FROM jobs WHERE id > ?1 AND id <= ?2 AND enqueued_at < ?3 AND kind <> 'upload'
    AND state IN ('done', 'rejected', 'quarantined', 'cancelled')
    AND EXISTS (SELECT 1 FROM jobs AS n
        WHERE n.source = jobs.source AND n.kind = jobs.kind AND n.enqueued_at > jobs.enqueued_at);

-- name: unended
SELECT id FROM runs WHERE ended_at IS NULL AND started_at < ?;

-- name: add_up
-- Runs that started before ?1, but for this one (?2), those that are alive (?3), those that own jobs, and the last one
-- that succeeded. Edits are none.
UPDATE pruning SET runs = pruning.runs + old.runs, done = pruning.done + old.done,
    since = min(coalesce(pruning.since, old.since), old.since)
FROM (SELECT count(*) AS runs, coalesce(sum(done), 0) AS done, min(started_at) AS since
    FROM runs WHERE started_at < ?1 AND id <> ?2 AND NOT instr(?3, id) AND command <> 'edit'
        AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND owner = runs.id)
        AND id IS NOT (SELECT id FROM runs WHERE exit_code = 0 AND command <> 'edit' ORDER BY ended_at DESC LIMIT 1)) AS old
WHERE old.runs > 0;

-- name: runs
DELETE FROM runs WHERE started_at < ?1 AND id <> ?2 AND NOT instr(?3, id)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND owner = runs.id)
    AND id IS NOT (SELECT id FROM runs WHERE exit_code = 0 AND command <> 'edit' ORDER BY ended_at DESC LIMIT 1);
