-- Times are integer milliseconds since 1970 in UTC. A column that says "sealed" holds
-- bytes that only the interaction's content_key opens.

CREATE TABLE project (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,     -- the public part
    project_id INTEGER NOT NULL REFERENCES project,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL,        -- HMAC-SHA-256 of the secret part
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- A straight run of turns. What came before its own turns is frozen when it is made.
CREATE TABLE branch (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project,
    root_id    INTEGER REFERENCES branch,  -- the conversation's first branch; NULL in that one
    ancestry   TEXT NOT NULL               -- JSON [[branch, last position], …], oldest first, without itself
) STRICT;

-- Never deleted: a deleted interaction leaves its row as the tombstone, so that numbers
-- only grow and chains across it are noticed.
CREATE TABLE interaction (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    project_id INTEGER NOT NULL REFERENCES project,
    branch_id  INTEGER NOT NULL REFERENCES branch,  -- where it was accepted, and
    position   INTEGER NOT NULL,                    -- where the next turn would continue
    status     TEXT NOT NULL,
    seed       INTEGER,                    -- an unsigned 64-bit number in its signed form
    request    BLOB,                       -- sealed JSON, without the input
    usage      BLOB,                       -- sealed JSON
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER,
    deleted_at INTEGER
) STRICT;
CREATE INDEX interaction_expiry ON interaction (expires_at) WHERE deleted_at IS NULL;

-- What stands at each place of a branch, from 0 without gaps. An interaction stands at
-- its own place, and again wherever a fork with too long an ancestry was flattened.
CREATE TABLE turn (
    branch_id   INTEGER NOT NULL REFERENCES branch,
    position    INTEGER NOT NULL,
    project_id  INTEGER NOT NULL REFERENCES project,
    interaction INTEGER NOT NULL REFERENCES interaction,
    PRIMARY KEY (branch_id, position)
) STRICT, WITHOUT ROWID;

-- Rows are added in the order of their key and overwritten in place, never deleted or
-- resized, so that no copy of a key is left elsewhere in the file.
CREATE TABLE content_key (
    interaction INTEGER PRIMARY KEY REFERENCES interaction,
    project_id  INTEGER NOT NULL REFERENCES project,
    secret      BLOB NOT NULL              -- 32 bytes; zeros once the interaction is deleted
) STRICT;

CREATE TABLE step (
    number      INTEGER PRIMARY KEY,
    project_id  INTEGER NOT NULL REFERENCES project,
    interaction INTEGER NOT NULL REFERENCES interaction,
    generated   INTEGER NOT NULL,          -- 0: input, 1: generated and closed
    position    INTEGER NOT NULL,          -- counted from 0 on either side
    body        BLOB NOT NULL,             -- sealed JSON
    trace       BLOB,                      -- sealed
    UNIQUE (interaction, generated, position)
) STRICT;

-- An ordinary rowid table: WITHOUT ROWID was half as fast at 1 KB a row.
CREATE TABLE event (
    number      INTEGER PRIMARY KEY,
    project_id  INTEGER NOT NULL REFERENCES project,
    interaction INTEGER NOT NULL REFERENCES interaction,
    seq         INTEGER NOT NULL,          -- from 1 without gaps
    body        BLOB NOT NULL,             -- sealed JSON
    trace       BLOB,                      -- sealed
    UNIQUE (interaction, seq)
) STRICT;

CREATE TABLE run (
    interaction INTEGER PRIMARY KEY REFERENCES interaction,
    project_id  INTEGER NOT NULL REFERENCES project,
    state       TEXT NOT NULL CHECK (state IN ('running', 'ended')),
    owner       TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    fence       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL           -- how often it was taken over
) STRICT;
CREATE INDEX run_running ON run (owner) WHERE state = 'running';

-- What a run does outside: the intent before, the result after.
CREATE TABLE effect (
    interaction INTEGER NOT NULL REFERENCES interaction,
    step        INTEGER NOT NULL,
    name        TEXT NOT NULL,
    project_id  INTEGER NOT NULL REFERENCES project,
    state       TEXT NOT NULL CHECK (state IN ('intended', 'done')),
    result      BLOB,                      -- sealed JSON
    fence       INTEGER NOT NULL,
    PRIMARY KEY (interaction, step, name)
) STRICT;

-- Files kept outside the database; equal bytes are shared inside one project only.
CREATE TABLE blob (
    project_id INTEGER NOT NULL REFERENCES project,
    sha256     BLOB NOT NULL,
    size       INTEGER NOT NULL,
    mime_type  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, sha256)
) STRICT;

CREATE TABLE blob_ref (
    interaction INTEGER NOT NULL REFERENCES interaction,
    project_id  INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    PRIMARY KEY (interaction, sha256),
    FOREIGN KEY (project_id, sha256) REFERENCES blob
) STRICT;
CREATE INDEX blob_ref_blob ON blob_ref (project_id, sha256);
