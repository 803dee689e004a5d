-- Times are milliseconds since 1970.
CREATE TABLE credential(
    project INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    -- All that it holds: nonce and ciphertext, bound to project and id.
    sealed BLOB NOT NULL,
    PRIMARY KEY(project, id)
) STRICT;
CREATE INDEX credential_of_project ON credential(project, created, id);
-- One row: a text that everybody knows under the key of this server, to know the key again.
CREATE TABLE known_key(sealed BLOB NOT NULL) STRICT;
