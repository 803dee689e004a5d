-- The bytes of media that are too many for a step's body, which holds a mark in their place. In
-- pieces of equal size, the last apart, each sealed with the interaction's key.
CREATE TABLE medium_piece (
    interaction INTEGER NOT NULL REFERENCES interaction,
    project_id  INTEGER NOT NULL,
    medium      INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (interaction, medium, position)
) STRICT;
