CREATE TABLE agent(
    project INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- JSON: the body that made it.
    definition TEXT NOT NULL,
    PRIMARY KEY(project, id)
) STRICT, WITHOUT ROWID;
