/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights in the store: see keep.h. A version whose packs are there starts by mapping them;
 * one whose packs are missing (a store that was copied, a newer program, a disk that was full)
 * packs in memory, serves, and keeps them meanwhile. Not being able to is no failure of the model.
 */
#include "host/keep.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "llm/forward.h"

#include <stdatomic.h>

struct keep {
    struct keeper face; /* first: what find and keep are handed */
    struct store *store;
    struct store_version *version;
    const struct model *model; /* of the thread, with: */
    struct session *session;   /* or NULL */
    pthread_t thread;
    bool began;
    atomic_bool stop;

    pthread_mutex_t lock; /* guards what follows */
    struct blob **refs;   /* owned; of packs that were found */
    size_t n_refs, room;
};

static bool pack_of(const struct keep *k, const struct keeper_pack *p, struct store_pack *out) {
    *out = (struct store_pack){
        .layout = str_of(p->layout), .revision = str_of(p->revision), .packing = p->packing};
    return store_version_piece(k->version, (struct span){p->constant, p->constant_bytes},
                               out->piece);
}

static bool room_for_ref(struct keep *k) { /* under lock */
    if (k->n_refs < k->room)
        return true;
    size_t room = k->room ? 2 * k->room : 256;
    struct blob **refs = mem_realloc(k->refs, room * sizeof *refs);
    if (!refs)
        return false;
    k->refs = refs;
    k->room = room;
    return true;
}

static struct span take_ref(struct keep *k, const struct store_pack *pack, size_t bytes) {
    struct span found = {0};
    struct err ignored;
    pthread_mutex_lock(&k->lock);
    if (room_for_ref(k) &&
        store_pack_ref(k->store, pack, bytes, &k->refs[k->n_refs], &found, &ignored) == OK)
        k->n_refs++;
    pthread_mutex_unlock(&k->lock);
    return found;
}

static const void *find(struct keeper *face, const struct keeper_pack *p) {
    struct keep *k = (struct keep *)face;
    struct store_pack pack;
    return pack_of(k, p, &pack) ? take_ref(k, &pack, p->bytes).p : NULL;
}

static bool whole_pack(const struct keep *k, const char *layout, const char *revision,
                       struct store_pack *out) {
    *out = (struct store_pack){.layout = str_of(layout), .revision = str_of(revision)};
    return store_version_whole(k->version, out);
}

static struct span find_whole(struct keeper *face, const char *layout, const char *revision) {
    struct keep *k = (struct keep *)face;
    struct store_pack pack;
    return whole_pack(k, layout, revision, &pack) ? take_ref(k, &pack, STORE_PACK_ANY)
                                                  : (struct span){0};
}

static enum code put(struct keep *k, const struct store_pack *pack, struct span bytes,
                     struct err *e) {
    enum code code = store_pack_put(k->store, pack, bytes, e);
    return code == ERR_DENIED ? OK : code;
}

static enum code keep_whole(struct keeper *face, const char *layout, const char *revision,
                            struct span bytes, struct err *e) {
    struct keep *k = (struct keep *)face;
    struct store_pack pack;
    return whole_pack(k, layout, revision, &pack) ? put(k, &pack, bytes, e) : OK;
}

static enum code keep_one(struct keeper *face, const struct keeper_pack *p, const void *packed,
                          struct err *e) {
    struct keep *k = (struct keep *)face;
    struct store_pack pack;
    return pack_of(k, p, &pack) ? put(k, &pack, (struct span){packed, p->bytes}, e) : OK;
}

enum code keep_open(struct store *s, struct store_version *v, struct keep **out, struct err *e) {
    struct keep *k = mem_zalloc(1, sizeof *k);
    if (!k)
        return fail(e, NOMEM, "no memory for a keeper of packed weights");
    k->face = (struct keeper){find, keep_one, find_whole, keep_whole};
    k->store = s;
    k->version = v;
    pthread_mutex_init(&k->lock, NULL);
    *out = k;
    return OK;
}

struct keeper *keep_face(struct keep *k) {
    return &k->face;
}

enum code keep_all(struct keep *k, const struct model *m, struct session *s, struct err *e) {
    enum code code = s ? session_keep(s, &k->stop, e) : forward_keep(m, &k->face, &k->stop, e);
    store_version_release(k->version);
    return code;
}

static void *keep_main(void *arg) {
    struct keep *k = arg;
    struct err e;
    thread_step_back();
    if (keep_all(k, k->model, k->session, &e) != OK)
        log_event(LOG_WARN, "packed weights are not kept: every start packs them again", 1,
                  (struct log_field[]){LOG_S("error", str_of(e.text))});
    return NULL;
}

void keep_begin(struct keep *k, const struct model *m, struct session *s) {
    struct err ignored;
    k->model = m;
    k->session = s;
    k->began = thread_start(&k->thread, "keep", keep_main, k, &ignored) == OK;
}

void keep_stop(struct keep *k) {
    if (!k || !k->began)
        return;
    atomic_store(&k->stop, true);
    pthread_join(k->thread, NULL);
    k->began = false;
}

void keep_close(struct keep *k) {
    if (!k)
        return;
    keep_stop(k);
    for (size_t i = 0; i < k->n_refs; i++)
        store_pack_unref(k->store, k->refs[i]);
    pthread_mutex_destroy(&k->lock);
    mem_free(k->refs);
    mem_free(k);
}
