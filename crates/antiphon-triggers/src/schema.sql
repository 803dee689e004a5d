-- Times are milliseconds since 1970.
CREATE TABLE trigger(
    id TEXT PRIMARY KEY,
    project INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    display_name TEXT,
    schedule TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    -- JSON: what each execution asks for.
    request TEXT NOT NULL,
    -- Where the last execution worked.
    environment TEXT,
    -- In seconds.
    timeout INTEGER NOT NULL,
    most_failures INTEGER NOT NULL,
    status TEXT NOT NULL,
    failures INTEGER NOT NULL,
    next_run INTEGER,
    last_run INTEGER,
    last_pause INTEGER,
    last_resume INTEGER,
    previous_interaction TEXT
) STRICT;
CREATE INDEX trigger_of_project ON trigger(project, created, id);
CREATE INDEX trigger_in_time ON trigger(next_run) WHERE next_run IS NOT NULL;
CREATE TABLE execution(
    id TEXT PRIMARY KEY,
    trigger TEXT NOT NULL REFERENCES trigger(id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    -- Known before there is one.
    interaction TEXT,
    environment TEXT,
    scheduled INTEGER NOT NULL,
    start INTEGER NOT NULL,
    ended INTEGER,
    error TEXT
) STRICT;
CREATE INDEX execution_of_trigger ON execution(trigger, start, id);
-- One at a time.
CREATE UNIQUE INDEX execution_in_progress ON execution(trigger) WHERE status = 'in_progress';
