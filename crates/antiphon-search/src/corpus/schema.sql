-- The folders' own collection has the empty name; the others are file search stores.
CREATE TABLE collection(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- What its owner says about it; nothing here reads it.
    about TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO collection(name) VALUES('');

CREATE TABLE folder(
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE document(
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
    folder INTEGER REFERENCES folder(id) ON DELETE CASCADE,
    -- Inside a folder the path of the file.
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    title TEXT NOT NULL,
    site TEXT NOT NULL,
    published TEXT,
    metadata TEXT NOT NULL,
    characters INTEGER NOT NULL,
    -- Of the file as it was read: with the next two it tells whether it changed.
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    -- As a collection's.
    about TEXT NOT NULL DEFAULT '',
    UNIQUE(collection, name)
) STRICT;
CREATE INDEX document_of_folder ON document(folder) WHERE folder IS NOT NULL;

-- The parts of a document, whose ids follow one another in its order.
CREATE TABLE chunk(
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
    characters INTEGER NOT NULL,
    -- Where it begins, in characters.
    start INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL
) STRICT;
CREATE INDEX chunk_of_document ON chunk(document, id);

-- A row for each part, under the part's id. The text is here alone. `heading` is what a part
-- is found by besides: the document's title and the heading it stands under.
CREATE VIRTUAL TABLE words USING fts5(text, heading, tokenize = "porter unicode61 remove_diacritics 2");
-- What is deleted leaves the index at once, not when it is merged some day.
INSERT INTO words(words, rank) VALUES('secure-delete', 1);

-- Has a row from a deletion until the file was written anew.
CREATE TABLE rebuild_due(one INTEGER PRIMARY KEY CHECK(one = 1)) STRICT;

CREATE TRIGGER chunk_deleted AFTER DELETE ON chunk BEGIN
    DELETE FROM words WHERE rowid = old.id;
END;
