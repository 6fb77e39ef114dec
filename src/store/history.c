/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a model: one event per change, written in the transaction that makes the change.
 */
#include "store/in.h"
#include "store/tuples.h"

enum { EVENTS_SHOWN = 10000, WHO_BYTES = 128, NOTE_BYTES = 1024 };

static _Thread_local struct {
    char who[WHO_BYTES], note[NOTE_BYTES];
    size_t n_who, n_note;
} signature;

static size_t keep(char *to, size_t room, struct str text) {
    size_t n = text.n < room ? text.n : room;
    if (n)
        memcpy(to, text.p, n);
    return n;
}

void store_sign(struct str who, struct str note) {
    signature.n_who = keep(signature.who, WHO_BYTES, who);
    signature.n_note = keep(signature.note, NOTE_BYTES, note);
}

enum code history_add(struct db *d, int64_t model_id, const struct store_event *event,
                      struct err *e) {
    static const char insert[] =
        "INSERT INTO event (model_id, at_us, what, version, previous, alias, who, note)"
        " VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    struct str note = event->note.n ? event->note : (struct str){signature.note, signature.n_note};
    return db_run(d, insert,
                  DB_BIND(db_int(model_id), db_int((int64_t)event->at_us), db_text(event->what),
                          db_int((int64_t)event->version), db_int((int64_t)event->previous),
                          db_text(event->alias),
                          db_text((struct str){signature.who, signature.n_who}), db_text(note)),
                  e);
}

static enum code read_event(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct store_event *event = element;
    event->at_us = (uint64_t)query_int(q, 0);
    event->version = (uint64_t)query_int(q, 2);
    event->previous = (uint64_t)query_int(q, 3);
    TRY(tuples_text(r, q, 1, &event->what, e));
    TRY(tuples_text(r, q, 4, &event->alias, e));
    TRY(tuples_text(r, q, 5, &event->who, e));
    return tuples_text(r, q, 6, &event->note, e);
}

static enum code read_log(struct db *d, struct str model, struct tuples *rows, struct err *e) {
    static const char find[] = "SELECT at_us, what, version, previous, alias, who, note FROM event"
                               " WHERE model_id IS nullif(?1, 0) ORDER BY id DESC LIMIT ?2";
    struct query q;
    int64_t model_id = 0;
    if (model.n)
        TRY(catalog_model(d, model, &model_id, e));
    TRY(query_begin(&q, d, find, DB_BIND(db_int(model_id), db_int(EVENTS_SHOWN)), e));
    return tuples_read(rows, &q, e);
}

enum code store_log(struct store *s, struct str model, struct arena *a, struct store_event **out,
                    size_t *n, struct err *e) {
    struct tuples rows = {.arena = a, .row_bytes = sizeof **out, .read = read_event};
    TRY(store_look(s, e));
    TRY(store_seen(s, read_log(&s->reader, model, &rows, e), e));
    *out = rows.p;
    *n = rows.n;
    return OK;
}
