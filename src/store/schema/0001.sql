-- Slipway store, schema 1 (docs/formats/store.md). All times are microseconds since 1970 (UTC), all sizes bytes.
-- A later schema is a new file that starts from this one; this file never changes once a release carries it.

BEGIN;

CREATE TABLE model (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    last_version INTEGER NOT NULL DEFAULT 0 -- the highest number ever given: numbers are not used twice
) STRICT;

CREATE TABLE version (
    id         INTEGER PRIMARY KEY,
    model_id   INTEGER NOT NULL REFERENCES model (id),
    number     INTEGER NOT NULL CHECK (number > 0),
    parent     INTEGER NOT NULL DEFAULT 0,  -- number in the same model, 0: none; may be removed since
    format     TEXT    NOT NULL,
    origin     TEXT    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    created_us INTEGER NOT NULL,
    size       INTEGER NOT NULL,            -- sum of its files
    UNIQUE (model_id, number)
) STRICT;

-- Every blob that some version names. The file is objects/ab/cdef..., hash in hex.
CREATE TABLE blob (
    id   INTEGER PRIMARY KEY,
    hash BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the bytes
    size INTEGER NOT NULL CHECK (size > 0)
) STRICT;

-- The blobs of a version, each once; segments and parts name them by slot.
CREATE TABLE slot (
    version_id INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    slot       INTEGER NOT NULL,
    blob_id    INTEGER NOT NULL REFERENCES blob (id),
    PRIMARY KEY (version_id, slot)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX slot_by_blob ON slot (blob_id, version_id);

CREATE TABLE file (
    version_id INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    file       INTEGER NOT NULL,            -- 0, 1, ... in the order they were given
    name       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the whole file
    PRIMARY KEY (version_id, file),
    UNIQUE (version_id, name)
) STRICT, WITHOUT ROWID;

-- A file is its segments joined in order of offset, without gap or overlap; an empty file has none.
CREATE TABLE segment (
    version_id INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    file       INTEGER NOT NULL,
    offset     INTEGER NOT NULL,            -- in the file
    length     INTEGER NOT NULL CHECK (length > 0),
    slot       INTEGER NOT NULL,
    at         INTEGER NOT NULL,            -- in the blob
    PRIMARY KEY (version_id, file, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE part (
    version_id INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    slot       INTEGER NOT NULL,            -- -1: an empty part
    PRIMARY KEY (version_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE alias (
    model_id INTEGER NOT NULL REFERENCES model (id),
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    previous INTEGER NOT NULL DEFAULT 0,    -- where it pointed before, 0: nowhere
    moved_us INTEGER NOT NULL,
    PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    model_id INTEGER NOT NULL REFERENCES model (id),
    at_us    INTEGER NOT NULL,
    what     TEXT    NOT NULL,              -- add, remove, alias, rollback, drop-alias
    version  INTEGER NOT NULL,
    previous INTEGER NOT NULL DEFAULT 0,
    alias    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX event_by_model ON event (model_id, id);

CREATE TABLE fact (
    scope TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

-- When each kind of upkeep last began (see gc.c for why it writes at all).
CREATE TABLE upkeep (
    what  TEXT    NOT NULL PRIMARY KEY,     -- gc
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 0x534c4950; -- "SLIP"
PRAGMA user_version = 1;

COMMIT;
