BEGIN TRANSACTION;

-- Table  artefacts
DROP TABLE IF EXISTS artefacts;
CREATE TABLE artefacts (
    source     INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL,              -- position in asset.json
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    key        TEXT NOT NULL,
    width      INTEGER,
    height     INTEGER,
    duration   REAL,
    mtime_ns   INTEGER NOT NULL,              -- 0: never seen by this journal, to be hashed before it is trusted
    inode      INTEGER NOT NULL,
    PRIMARY KEY (source, ordinal)
) STRICT, WITHOUT ROWID;
INSERT INTO artefacts VALUES(1,0,'w.webp','variant','image/webp',82,'3dd3b89a83c4702af78925a7b1827e293e93ab2fb409c736a1b3ff01978cf147','df67fd33eb9b4a1a5def31cef685e314',32,24,NULL,1795723386723540352,3055646);
INSERT INTO artefacts VALUES(2,0,'w.webp','variant','image/webp',78,'1d4aa1365d47cc77e7fcff62caebc8f0cf4d0154f4cf07b5cc0e83f605c06514','72f318dcad3a83cf6b7943407be383eb',32,24,NULL,1795723386851540355,3055648);

-- Table  attempts
DROP TABLE IF EXISTS attempts;
CREATE TABLE attempts (
    job         INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    run         TEXT NOT NULL,
    worker      INTEGER NOT NULL,             -- process id; 0 when it never reached one
    outcome     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    ended_at    REAL NOT NULL,
    wall        REAL NOT NULL,
    cpu         REAL NOT NULL,
    peak_memory INTEGER NOT NULL,
    version     TEXT NOT NULL,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO attempts VALUES(1,1,'792754286465494480a5a04182875622',2471,'done','',1795723386.577925,0.5063917229999788,0.101774,38211584,'0.1.0');
INSERT INTO attempts VALUES(2,1,'792754286465494480a5a04182875622',2474,'done','',1795723386.8468585,0.6010964830002195,0.10578499999999999,38191104,'0.1.0');
INSERT INTO attempts VALUES(3,1,'792754286465494480a5a04182875622',2471,'rejected','is truncated: it ends before its pixels begin',1795723386.8462515,0.0011538529997778824,0.0011519999999999864,39391232,'0.1.0');
INSERT INTO attempts VALUES(3,2,'b552a1cb52194e57848412548039e842',3446,'rejected','is truncated: it ends before its pixels begin',1795723390.9930866,0.6029840470000636,0.100711,38449152,'0.1.0');
INSERT INTO attempts VALUES(4,1,'792754286465494480a5a04182875622',2474,'rejected','JPEG XL requires the extra jxl: uv pip install --python /opt/mediactl/bin/python ''pillow-jxl-plugin<2,>=1.3.8''; or convert it to PNG, TIFF or JPEG',1795723387.0197568,0.13278182199974253,0.03870399999999999,45809664,'0.1.0');
INSERT INTO attempts VALUES(4,2,'b552a1cb52194e57848412548039e842',3449,'rejected','JPEG XL requires the extra jxl: uv pip install --python /opt/mediactl/bin/python ''pillow-jxl-plugin<2,>=1.3.8''; or convert it to PNG, TIFF or JPEG',1795723391.1104918,0.49639795400071307,0.137984,45862912,'0.1.0');
INSERT INTO attempts VALUES(5,1,'792754286465494480a5a04182875622',2471,'rejected','is not an image despite its name: it contains text',1795723386.8962674,0.00019014300050912425,0.00018499999999999073,39915520,'0.1.0');
INSERT INTO attempts VALUES(5,2,'b552a1cb52194e57848412548039e842',3446,'rejected','is not an image despite its name: it contains text',1795723391.000369,0.00015051400077936705,0.00014700000000000824,38449152,'0.1.0');
INSERT INTO attempts VALUES(6,1,'792754286465494480a5a04182875622',2471,'done','',1795723386.8417869,0.1667413220002345,0.02592799999999998,39391232,'0.1.0');
INSERT INTO attempts VALUES(7,1,'792754286465494480a5a04182875622',2471,'done','',1795723386.8789625,0.02422914799899445,0.007888000000000006,39915520,'0.1.0');

-- Table  durations
DROP TABLE IF EXISTS durations;
CREATE TABLE durations (
    operation   TEXT NOT NULL,
    format      TEXT NOT NULL,
    size_bucket INTEGER NOT NULL,
    bucket      INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (operation, format, size_bucket, bucket)
) STRICT, WITHOUT ROWID;
INSERT INTO durations VALUES('image','jpeg',6,28,1);
INSERT INTO durations VALUES('image','png',6,17,1);
INSERT INTO durations VALUES('probe','jpeg',5,34,1);
INSERT INTO durations VALUES('probe','png',4,35,1);

-- Table  jobs
DROP TABLE IF EXISTS jobs;
CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,       -- digest of what it does; the same in every run
    kind          TEXT NOT NULL,              -- probe, image, video, audio, piece, upload
    operation     TEXT NOT NULL DEFAULT '',   -- what it does: its kind, or 'join' or 'publish'
    lane          TEXT NOT NULL CHECK (lane IN ('quick', 'heavy', 'network', 'alone')),
    source        INTEGER REFERENCES sources (id) ON DELETE CASCADE,
    content       TEXT,                       -- digest of what it works on: two on one content never run at once
    format        TEXT NOT NULL DEFAULT '',   -- with operation and size, what its duration is predicted from
    size          INTEGER NOT NULL DEFAULT 0,
    payload       BLOB NOT NULL,
    plan          TEXT NOT NULL DEFAULT '',   -- what the targets of a make job or piece follow from, as in sources
    piece         INTEGER,                    -- of a long video: its number, from 1, or 0 for the audio
    pieces        INTEGER,                    -- how many there are; 0 for the audio
    cut           TEXT NOT NULL DEFAULT '',   -- digest of the content that a piece is cut from
    destination   TEXT NOT NULL DEFAULT '',   -- digest of where an upload goes, as in sources.uploaded
    priority      INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4),
    enqueued_at   REAL NOT NULL,
    due           REAL NOT NULL,              -- enqueued_at + slack of the priority: what claims go by
    run_after     REAL,                       -- a retry's earliest time
    time_limit    REAL NOT NULL CHECK (time_limit > 0),
    stall_limit   REAL,                       -- seconds without progress that it may take
    cores         INTEGER NOT NULL DEFAULT 1, -- that it keeps busy
    memory_limit  INTEGER,                    -- bytes that its worker may take
    memory        INTEGER NOT NULL DEFAULT 0, -- bytes that it is expected to take
    state         TEXT NOT NULL DEFAULT 'ready'
                  CHECK (state IN ('ready', 'running', 'done', 'rejected', 'quarantined', 'cancelled')),
    owner         TEXT REFERENCES runs (id),
    started_at    REAL,
    attempt       INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    crashes       INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    reason        TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'running') = (owner IS NOT NULL)),
    CHECK (run_after IS NULL OR state = 'ready')
) STRICT;
INSERT INTO jobs VALUES(1,'a99539685cd1789a795d7a959a0f4aa3','probe','probe','quick',1,NULL,'jpeg',677,X'','',NULL,NULL,'','',2,1795723385.663041,1795723985.663041,NULL,60.0001354,NULL,1,NULL,0,'done',NULL,NULL,1,0,0,0,'');
INSERT INTO jobs VALUES(2,'6239d83e805482c86317771adda1a560','probe','probe','quick',2,NULL,'png',139,X'','',NULL,NULL,'','',2,1795723385.6633606,1795723985.6633606,NULL,60.0000278,NULL,1,NULL,0,'done',NULL,NULL,1,0,0,0,'');
INSERT INTO jobs VALUES(3,'cb17a3eb263793c9fc0ebc5e2179870f','probe','probe','quick',3,NULL,'jpeg',300,X'7B22736F75726365223A7B22726F6F74223A224C334E79646939745A575270595339776147393062334D3D222C2270617468223A22593356304C6D70775A773D3D222C22706C616365223A22593356304C6D70775A773D3D222C2266696E6765727072696E74223A5B3330302C313739353732333336343938373139313037352C313739353732333336343938373139313037352C333035353632375D2C226B696E64223A22696D616765222C22666F726D6174223A226A706567227D2C226C696D697473223A7B22706978656C73223A3330303030303030302C226672616D6573223A333030302C22616E696D6174696F6E5F706978656C73223A313530303030303030302C226475726174696F6E223A32313630302E307D2C226361636865223A6E756C6C2C22706C616365223A66616C73657D','',NULL,NULL,'','',2,1795723388.5573297,1795723388.5573297,NULL,60.00006,NULL,1,NULL,0,'rejected',NULL,NULL,2,0,0,0,'is truncated: it ends before its pixels begin');
INSERT INTO jobs VALUES(4,'0af6702484b2f538aa799c54af71a4fa','probe','probe','quick',4,NULL,'jxl',52,X'7B22736F75726365223A7B22726F6F74223A224C334E79646939745A575270595339776147393062334D3D222C2270617468223A22626D56334C6D703462413D3D222C22706C616365223A22626D56334C6D703462413D3D222C2266696E6765727072696E74223A5B35322C313739353732333336343938373231383532362C313739353732333336343938373231383532362C333035353632385D2C226B696E64223A22696D616765222C22666F726D6174223A226A786C227D2C226C696D697473223A7B22706978656C73223A3330303030303030302C226672616D6573223A333030302C22616E696D6174696F6E5F706978656C73223A313530303030303030302C226475726174696F6E223A32313630302E307D2C226361636865223A6E756C6C2C22706C616365223A66616C73657D','',NULL,NULL,'','',2,1795723388.5575204,1795723388.5575204,NULL,60.0000104,NULL,1,NULL,0,'rejected',NULL,NULL,2,0,0,0,'JPEG XL requires the extra jxl: uv pip install --python /opt/mediactl/bin/python ''pillow-jxl-plugin<2,>=1.3.8''; or convert it to PNG, TIFF or JPEG');
INSERT INTO jobs VALUES(5,'94d6e839a6b89917757119c20c59bd6c','probe','probe','quick',6,NULL,'unknown',19,X'7B22736F75726365223A7B22726F6F74223A224C334E79646939745A575270595339776147393062334D3D222C2270617468223A226232526B4C6D70775A773D3D222C22706C616365223A226232526B4C6D70775A773D3D222C2266696E6765727072696E74223A5B31392C313739353732333336343938373238383135302C313739353732333336343938373238383135302C333035353633305D2C226B696E64223A22696D616765222C22666F726D6174223A22756E6B6E6F776E227D2C226C696D697473223A7B22706978656C73223A3330303030303030302C226672616D6573223A333030302C22616E696D6174696F6E5F706978656C73223A313530303030303030302C226475726174696F6E223A32313630302E307D2C226361636865223A6E756C6C2C22706C616365223A66616C73657D','',NULL,NULL,'','',2,1795723388.5575545,1795723388.5575545,NULL,60.0000038,NULL,1,NULL,0,'rejected',NULL,NULL,2,0,0,0,'is not an image despite its name: it contains text');
INSERT INTO jobs VALUES(6,'a489e236bca4943d9515159f050148a9','image','image','quick',1,'88555ba83d6516397b6ae8ac1fc2aad365b5292e18a1aeb13dcaad8d3682aeb6','jpeg',3072,X'','63cf63961d129caf:9eee8aa579b7b980',NULL,NULL,'','',2,1795723386.5778208,1795723984.663041,NULL,60.012288,NULL,1,1073790976,83895296,'done',NULL,NULL,1,0,0,0,'');
INSERT INTO jobs VALUES(7,'e1449ad085cf491693a5d40692fab204','image','image','quick',2,'f99ccf6e04e786d02a67b638d6bb28328ca4f5682f3a27a4d40d46fb3f3818c3','png',3072,X'','63cf63961d129caf:9eee8aa579b7b980',NULL,NULL,'','',2,1795723386.846788,1795723984.6633606,NULL,60.012288,NULL,1,1073790976,83895296,'done',NULL,NULL,1,0,0,0,'');
-- Triggers and indices on  jobs
CREATE INDEX jobs_content ON jobs (content) WHERE state = 'running' AND content IS NOT NULL;
CREATE INDEX jobs_delayed ON jobs (run_after) WHERE state = 'ready' AND run_after IS NOT NULL;
CREATE INDEX jobs_due ON jobs (lane, due, id, kind) WHERE state = 'ready' AND run_after IS NULL;
CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
CREATE INDEX jobs_source ON jobs (source) WHERE source IS NOT NULL;
CREATE INDEX jobs_stopped ON jobs (state, id) WHERE state IN ('rejected', 'quarantined', 'cancelled');

-- Table  parts
DROP TABLE IF EXISTS parts;
CREATE TABLE parts (
    upload INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    crc32  INTEGER NOT NULL,
    etag   TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

-- Table  recipes
DROP TABLE IF EXISTS recipes;
CREATE TABLE recipes (
    digest  TEXT PRIMARY KEY,
    content TEXT NOT NULL                     -- JSON of the whole recipe
) STRICT, WITHOUT ROWID;
INSERT INTO recipes VALUES('21d253392474f29f','{"name":"old","description":"","placeholder":"none","metadata":["camera","lens","taken","exposure","aperture","iso","focal_length","artist","copyright","title","description","software","album","album_artist","composer","genre","track","date","make","model"],"image":[{"name":"w","format":"webp","width":32,"height":null,"quality":null,"effort":null,"fit":"inside","position":"attention","similarity":0.97,"animate":true,"when":""}],"animation":[],"video":[],"hls":[],"poster":[],"storyboard":[],"preview":[],"subtitles":[],"audio":[],"waveform":[],"cutting":{"above":120.0,"piece":30.0},"limits":{"pixels":300000000,"frames":3000,"animation_pixels":1500000000,"duration":21600.0},"run":{"seconds":null,"stall_seconds":null,"memory_mib":null}}');

-- Table  runs
DROP TABLE IF EXISTS runs;
CREATE TABLE runs (
    id         TEXT PRIMARY KEY,
    pid        INTEGER NOT NULL,
    boot       TEXT NOT NULL,                 -- the kernel's boot id: a changed one means the machine went down
    version    TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL,
    exit_code  INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO runs VALUES('5b5142c12b5144f18080a7fe856ebe74',3935,'87459ec8-913c-42cf-a3e4-9ecd68ee0379','0.1.0',1795723392.8369944,NULL,NULL);
INSERT INTO runs VALUES('792754286465494480a5a04182875622',1720,'87459ec8-913c-42cf-a3e4-9ecd68ee0379','0.1.0',1795723385.6480858,1795723387.2278442,1);
INSERT INTO runs VALUES('b552a1cb52194e57848412548039e842',3260,'87459ec8-913c-42cf-a3e4-9ecd68ee0379','0.1.0',1795723389.7774723,1795723391.2401834,1);
INSERT INTO runs VALUES('be10acad981d444fa4ff169710206031',2709,'87459ec8-913c-42cf-a3e4-9ecd68ee0379','0.1.0',1795723388.5545788,1795723388.5579462,0);

-- Table  sources
DROP TABLE IF EXISTS sources;
CREATE TABLE sources (
    id          INTEGER PRIMARY KEY,
    folder      BLOB NOT NULL,                -- parent of its output directory, relative to OUT; empty at the top
    name        BLOB NOT NULL,                -- name of its output directory
    root        BLOB NOT NULL,
    path        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    ctime_ns    INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'none')),
    format      TEXT NOT NULL,
    recipe      TEXT NOT NULL,                -- digest in recipes; empty when adopted from asset.json
    plan        TEXT NOT NULL,                -- digest of what decides the targets: outputs, limits, encoders
    state       TEXT NOT NULL CHECK (state IN ('pending', 'done', 'rejected', 'quarantined', 'cancelled', 'ignored')),
    reason      TEXT NOT NULL DEFAULT '',
    digest      TEXT,
    info        BLOB,                         -- JSON of MediaInfo
    placeholder TEXT NOT NULL DEFAULT '',
    warnings    TEXT NOT NULL DEFAULT '[]',
    folder_mtime_ns INTEGER NOT NULL DEFAULT 0,
    upload_state TEXT NOT NULL DEFAULT ''
                CHECK (upload_state IN ('', 'pending', 'done', 'conflict', 'failed')),
    uploaded    TEXT NOT NULL DEFAULT '',     -- digest of the destination that upload_state is about
    outputs     BLOB,                         -- msgpack of (name, size, mtime_ns), one an inode, for the quick check
    UNIQUE (folder, name),
    CHECK (state <> 'done' OR (digest IS NOT NULL AND info IS NOT NULL AND outputs IS NOT NULL))
) STRICT;
INSERT INTO sources VALUES(1,X'',X'612E6A7067',X'2F7372762F6D656469612F70686F746F73',X'612E6A7067',677,1795723364881087158,1795723364881087158,3055625,'image','jpeg','21d253392474f29f','63cf63961d129caf:9eee8aa579b7b980','done','','88555ba83d6516397b6ae8ac1fc2aad365b5292e18a1aeb13dcaad8d3682aeb6',X'7B22666F726D6174223A226A706567222C227769647468223A36342C22686569676874223A34387D',',#ca1e1e,','[]',1795723386743540353,'','',X'9193C406772E7765627052CF18EBB0E7F4849D80');
INSERT INTO sources VALUES(2,X'',X'622E706E67',X'2F7372762F6D656469612F70686F746F73',X'622E706E67',139,1795723364987100631,1795723364987100631,3055626,'image','png','21d253392474f29f','63cf63961d129caf:9eee8aa579b7b980','done','','f99ccf6e04e786d02a67b638d6bb28328ca4f5682f3a27a4d40d46fb3f3818c3',X'7B22666F726D6174223A22706E67222C227769647468223A36342C22686569676874223A34387D',',#1ec81e,','[]',1795723386863540355,'','',X'9193C406772E776562704ECF18EBB0E7FC25BD83');
INSERT INTO sources VALUES(3,X'',X'6375742E6A7067',X'2F7372762F6D656469612F70686F746F73',X'6375742E6A7067',300,1795723364987191075,1795723364987191075,3055627,'image','jpeg','21d253392474f29f','63cf63961d129caf:9eee8aa579b7b980','rejected','is truncated: it ends before its pixels begin',NULL,NULL,'','[]',0,'','',NULL);
INSERT INTO sources VALUES(4,X'',X'6E65772E6A786C',X'2F7372762F6D656469612F70686F746F73',X'6E65772E6A786C',52,1795723364987218526,1795723364987218526,3055628,'image','jxl','21d253392474f29f','63cf63961d129caf:9eee8aa579b7b980','rejected','JPEG XL requires the extra jxl: uv pip install --python /opt/mediactl/bin/python ''pillow-jxl-plugin<2,>=1.3.8''; or convert it to PNG, TIFF or JPEG',NULL,NULL,'','[]',0,'','',NULL);
INSERT INTO sources VALUES(5,X'',X'6E6F7465732E747874',X'2F7372762F6D656469612F70686F746F73',X'6E6F7465732E747874',6,1795723364987260228,1795723364987260228,3055629,'none','unknown','','','ignored','no image, video or audio',NULL,NULL,'','[]',0,'','',NULL);
INSERT INTO sources VALUES(6,X'',X'6F64642E6A7067',X'2F7372762F6D656469612F70686F746F73',X'6F64642E6A7067',19,1795723364987288150,1795723364987288150,3055630,'image','unknown','21d253392474f29f','63cf63961d129caf:9eee8aa579b7b980','rejected','is not an image despite its name: it contains text',NULL,NULL,'','[]',0,'','',NULL);
-- Triggers and indices on  sources
CREATE INDEX sources_digest ON sources (digest) WHERE digest IS NOT NULL;

-- Table  uploads
DROP TABLE IF EXISTS uploads;
CREATE TABLE uploads (
    id         INTEGER PRIMARY KEY,
    endpoint   TEXT NOT NULL,                 -- URL; empty for AWS
    bucket     TEXT NOT NULL,
    key        TEXT NOT NULL,
    place      BLOB NOT NULL,                 -- JSON of Location: how it is reached
    file       BLOB NOT NULL,
    size       INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN
               ('planned', 'creating', 'uploading', 'completing', 'done', 'conflict', 'aborted')),
    upload_id  TEXT NOT NULL,
    state      BLOB NOT NULL,                 -- JSON of UploadState, without the parts
    began_at   REAL NOT NULL,
    changed_at REAL NOT NULL,
    UNIQUE (endpoint, bucket, key)
) STRICT;
-- Triggers and indices on  uploads
CREATE INDEX uploads_live ON uploads (began_at) WHERE status IN ('creating', 'uploading', 'completing');

-- Database header
pragma user_version=3;
pragma application_id=1835231793;

COMMIT TRANSACTION;
