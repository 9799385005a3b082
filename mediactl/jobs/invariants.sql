-- Rows that contradict the promises of the journal, one rule a statement; each yields (name, reason) of what violates it.
-- None finds anything in a journal of which every transition was committed whole, whatever was killed.

-- name: done_with_jobs
-- A done source has nothing left to make.
SELECT s.path, 'the source is done, but its ' || j.kind || ' job ' || substr(j.key, 1, 12) || ' is ready'
FROM sources AS s JOIN jobs AS j ON j.source = s.id
WHERE s.state = 'done' AND j.state = 'ready' AND j.kind NOT IN ('upload', 'piece', 'probe') AND j.plan IN ('', s.plan);

-- name: pending_without_jobs
-- Without a reason a pending source has a job that leads on; one that was adopted from asset.json (no root), that an
-- error of the machine interrupted (a reason), or whose retried job has no payload, is planned by the next run that
-- finds it.
SELECT path, 'the source is pending without a job and without a reason' FROM sources AS s
WHERE state = 'pending' AND root <> x'' AND reason = ''
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = s.id AND j.kind <> 'upload'
      AND (j.state IN ('ready', 'running') OR j.state = 'cancelled' AND j.payload = x''));

-- name: final_with_jobs
-- Of a source that was given up nothing is made before somebody asks; its pieces end as soon as they are claimed.
SELECT s.path, 'the source is ' || s.state || ', but its ' || j.kind || ' job ' || substr(j.key, 1, 12) || ' is ready'
FROM sources AS s JOIN jobs AS j ON j.source = s.id
WHERE s.state IN ('rejected', 'quarantined', 'cancelled') AND j.state = 'ready' AND j.kind NOT IN ('upload', 'piece', 'probe')
  AND j.plan = s.plan;

-- name: final_without_reason
SELECT path, 'the source is ' || state || ' without a reason' FROM sources
WHERE state IN ('rejected', 'quarantined', 'cancelled', 'ignored') AND reason = '';

-- name: artefacts_of_done
-- The artefacts of a done source are numbered from 0, each name is there once, and each has a digest.
SELECT s.path, 'the source is done, but its artefacts are not listed whole' FROM sources AS s
WHERE s.state = 'done' AND EXISTS (SELECT 1 FROM artefacts AS a WHERE a.source = s.id GROUP BY a.source
    HAVING max(a.ordinal) <> count(*) - 1 OR count(DISTINCT a.name) <> count(*) OR min(length(a.sha256)) <> 64);

-- name: uploads_without_jobs
SELECT path, 'its upload is pending without a job' FROM sources AS s
WHERE upload_state = 'pending' AND state = 'done'
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.source = s.id AND j.kind = 'upload' AND j.state IN ('ready', 'running'));

-- name: uploaded_with_jobs
SELECT s.path, 'it is uploaded, but its upload job ' || substr(j.key, 1, 12) || ' is ready'
FROM sources AS s JOIN jobs AS j ON j.source = s.id
WHERE s.upload_state = 'done' AND j.kind = 'upload' AND j.state = 'ready' AND j.destination = s.uploaded;

-- name: parts_of_settled
-- Parts are remembered of uploads in progress alone, and no more of them than the object has bytes.
SELECT u.key, 'the upload is ' || u.status || ' with parts of ' || sum(p.size) || ' bytes, of an object of ' || u.size
FROM uploads AS u JOIN parts AS p ON p.upload = u.id GROUP BY u.id
HAVING u.status NOT IN ('uploading', 'completing') OR sum(p.size) > u.size;

-- name: exhausted
-- A job that failed, crashed or was interrupted as often as it may is not begun again. (How many failures are allowed,
-- each run decides.)
SELECT key, 'the job is ' || state || ' after ' || crashes || ' crashes and ' || interruptions || ' interruptions'
FROM jobs WHERE crashes > ?1 OR interruptions > ?2 OR state IN ('ready', 'running') AND (crashes >= ?1 OR interruptions >= ?2);

-- name: uncounted
SELECT key, 'the job was begun ' || attempt || ' times, but ended ' || (failures + crashes + interruptions) || ' times'
FROM jobs WHERE attempt < failures + crashes + interruptions;

-- name: attempts_beyond
SELECT j.key, 'its history has attempt ' || max(a.attempt) || ', but it was begun ' || j.attempt || ' times'
FROM attempts AS a JOIN jobs AS j ON j.id = a.job GROUP BY j.id HAVING max(a.attempt) > j.attempt;

-- name: foreign_keys
SELECT "table", 'row ' || coalesce(rowid, '?') || ' refers to a row of ' || parent || ' that does not exist'
FROM pragma_foreign_key_check();

-- name: run_ids
SELECT id, pid, boot FROM runs;

-- name: owners
-- Jobs that a run has taken, and which.
SELECT key, owner FROM jobs WHERE state = 'running' ORDER BY id;

-- name: unfinished
-- Output directories of sources that are not done; what a directory holds was published before the journal says so.
SELECT folder, name FROM sources WHERE state IN ('pending', 'rejected', 'quarantined', 'cancelled') ORDER BY folder, name;

-- name: names
-- Names of all artefacts.
SELECT DISTINCT name FROM artefacts;
