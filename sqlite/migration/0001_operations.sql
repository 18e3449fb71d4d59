-- All times are whole microseconds since 1970, UTC.

-- One row per operation. create_time is different for each and goes up, so that
-- the table itself is the list of all operations in their order. What an index
-- needs is a column and is NULL where the row does not belong into the index;
-- everything else is packed: cold is written once, hot with every change.
CREATE TABLE longrun_operation (
    create_time   INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    parent        TEXT NOT NULL,
    method        TEXT NOT NULL,
    state         INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5), -- pending, running, succeeded, failed, cancelled
    hidden        INTEGER NOT NULL CHECK (hidden IN (0, 1)),
    request_id    TEXT CHECK (request_id <> ''),
    conflict_key  TEXT CHECK (conflict_key <> ''),                -- until it is done
    session       BLOB REFERENCES longrun_session (id),           -- while it runs, below longrun_clock.floor
    ready_time    INTEGER,                                        -- while it is ready, or will be by time alone
    deadline_time INTEGER,                                        -- until it is done
    expire_time   INTEGER,                                        -- when it is done
    cold          BLOB NOT NULL,
    hot           BLOB NOT NULL,
    response      BLOB,
    error         BLOB,
    pad           BLOB,                                           -- room to grow in place: see rowsize.go
    CHECK (session IS NULL OR state = 2),
    CHECK (ready_time IS NULL OR state = 1),
    CHECK (state <> 1 OR ready_time IS NOT NULL OR conflict_key IS NOT NULL),
    CHECK ((expire_time IS NOT NULL) = (state >= 3)),
    CHECK (deadline_time IS NULL OR state <= 2),
    CHECK (conflict_key IS NULL OR state <= 2),
    CHECK (request_id IS NULL OR hidden = 0),
    CHECK ((response IS NOT NULL) = (state = 3 AND hidden = 0)),
    CHECK ((error IS NOT NULL) = (state >= 4 AND hidden = 0))
) STRICT;

CREATE INDEX longrun_operation_parent ON longrun_operation (parent) WHERE hidden = 0;
CREATE UNIQUE INDEX longrun_operation_request ON longrun_operation (parent, method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX longrun_operation_ready ON longrun_operation (method, ready_time) WHERE ready_time IS NOT NULL;
CREATE INDEX longrun_operation_session ON longrun_operation (session) WHERE session IS NOT NULL;
CREATE INDEX longrun_operation_key ON longrun_operation (conflict_key) WHERE conflict_key IS NOT NULL;
CREATE INDEX longrun_operation_deadline ON longrun_operation (deadline_time) WHERE deadline_time IS NOT NULL;
CREATE INDEX longrun_operation_expire ON longrun_operation (expire_time) WHERE expire_time IS NOT NULL;

-- Requests that are too large to be rewritten with every change of their row.
CREATE TABLE longrun_request (
    create_time INTEGER PRIMARY KEY REFERENCES longrun_operation (create_time),
    request     BLOB NOT NULL
) STRICT;

-- Who holds a conflict key. The holder is not done; whoever else has the key waits.
CREATE TABLE longrun_key (
    conflict_key TEXT PRIMARY KEY NOT NULL,
    holder       INTEGER NOT NULL UNIQUE REFERENCES longrun_operation (create_time)
) STRICT, WITHOUT ROWID;

-- What runs have done, until their operation is done.
CREATE TABLE longrun_step (
    create_time INTEGER NOT NULL REFERENCES longrun_operation (create_time),
    key         TEXT NOT NULL,
    result      BLOB,
    time        INTEGER NOT NULL,
    PRIMARY KEY (create_time, key)
) STRICT, WITHOUT ROWID;

-- Beats are not written: only what must outlive the process.
CREATE TABLE longrun_session (
    id        BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    worker    TEXT NOT NULL,
    remote    INTEGER NOT NULL CHECK (remote IN (0, 1)),
    ttl       INTEGER NOT NULL,
    closed    INTEGER NOT NULL, -- calls up to this one are closed
    open_time INTEGER NOT NULL,
    gone_time INTEGER           -- when it ended or was marked dead, for ever
) STRICT, WITHOUT ROWID;

CREATE TABLE longrun_secret (
    name   TEXT PRIMARY KEY NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE longrun_clock (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    ceiling INTEGER NOT NULL, -- the store has given out no time after this one
    floor   INTEGER NOT NULL  -- a row that was created earlier and runs has its session in its column
) STRICT;
INSERT INTO longrun_clock VALUES (1, 0, 0);
