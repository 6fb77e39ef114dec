-- Slipway store, schema 2: starts from 0001.sql. Runs inside one transaction of store.c.

-- Events say who made them and why; those of the store as a whole (keys) belong to no model.
CREATE TABLE event_next (
    id       INTEGER PRIMARY KEY,
    model_id INTEGER REFERENCES model (id), -- NULL: of the store
    at_us    INTEGER NOT NULL,
    what     TEXT    NOT NULL,              -- add, remove, alias, rollback, drop-alias, a setting's name, key-add, key-revoke
    version  INTEGER NOT NULL DEFAULT 0,
    previous INTEGER NOT NULL DEFAULT 0,
    alias    TEXT    NOT NULL DEFAULT '',
    who      TEXT    NOT NULL DEFAULT '',
    note     TEXT    NOT NULL DEFAULT ''
) STRICT;
INSERT INTO event_next (id, model_id, at_us, what, version, previous, alias)
    SELECT id, model_id, at_us, what, version, previous, alias FROM event;
DROP TABLE event;
ALTER TABLE event_next RENAME TO event;
CREATE INDEX event_by_model ON event (model_id, id);

-- What is said about a model beside its versions (how traffic is split, limits): text that the store does not read.
CREATE TABLE setting (
    model_id   INTEGER NOT NULL REFERENCES model (id),
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    changed_us INTEGER NOT NULL,
    PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;

-- API keys: their hashes only. A revoked one stays, so that its name is not used twice.
CREATE TABLE access_key (
    name       TEXT    NOT NULL PRIMARY KEY,
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32), -- SHA-256 of the key
    rights     TEXT    NOT NULL,            -- text that the store does not read
    created_us INTEGER NOT NULL,
    revoked_us INTEGER NOT NULL DEFAULT 0   -- 0: valid
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
