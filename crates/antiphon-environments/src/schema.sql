-- Times are milliseconds since 1970.
CREATE TABLE environment(
    id TEXT PRIMARY KEY,
    project INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    last_accessed INTEGER NOT NULL,
    -- Its files are gone, or about to be.
    is_expired INTEGER NOT NULL DEFAULT 0,
    -- Somebody has a lease; at the start of a server, nobody does.
    is_leased INTEGER NOT NULL DEFAULT 0,
    -- JSON: paths; names with their values.
    sources TEXT NOT NULL,
    variables TEXT NOT NULL,
    file_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX environment_of_project ON environment(project, created, id);
