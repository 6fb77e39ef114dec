/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a version: store_add.
 *
 *   layout.c   cut the files into blobs
 *   object.c   hash each blob; write those that are not there; flush, settle   <---+
 *   record.c   all rows in one transaction; a blob was swept by a gc meanwhile? ---+
 *
 * Each byte is read from the source's map once for its blob's hash, and again, from the page cache,
 * only when its blob has to be written; the hashes of whole files are taken by a second thread
 * meanwhile. Nothing is copied in user space.
 *
 * On failure the drafts are unlinked at once, and so are blobs this call made that no version
 * names: a full disk is not left full. That is safe for the reason record.c gives. */
#include "base/buf.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "store/gc.h"
#include "store/name.h"
#include "store/object.h"
#include "store/record.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS = 5, /* of writing what a gc took away under our feet */
    CHUNK = 1 << 20,
    THREAD_BYTES = 4 << 20, /* whole-file hashing below this is not worth a thread */
    ORIGIN_MAX = 8192,
};
#define ARENA_BYTES ((size_t)1 << 30)

static const uint8_t zeros[LAYOUT_ALIGN];

/* --- progress: hashing is half of the work, storing the other half --- */

struct meter {
    const struct store_new *n;
    uint64_t total, hashed, stored, told;
};

static void tell(struct meter *m) {
    uint64_t done = (m->hashed + m->stored) / 2;
    done = done < m->total ? done : m->total; /* padding and parts count as work, not as size */
    if (!m->n->progress || done < m->told + CHUNK)
        return;
    m->told = done;
    m->n->progress(m->n->progress_ctx, done, m->total);
}

static void tell_stored(void *ctx, uint64_t bytes) {
    struct meter *m = ctx;
    m->stored += bytes;
    tell(m);
}

/* --- hashes of whole files --- */

struct digest { /* owned by store_add; by the thread while it runs, but for stop */
    const struct store_new *n;
    uint8_t (*hashes)[SHA256_BYTES];
    const uint32_t
        *whole; /* (n_sources) the blob that is this whole file, LAYOUT_EMPTY: none, hash it here */
    _Atomic bool stop;
    pthread_t thread;
    bool threaded;
};

static void digest_file(struct digest *d, size_t file) {
    struct span bytes = d->n->sources[file].bytes;
    struct sha256 h;
    sha256_begin(&h);
    for (size_t at = 0; at < bytes.n && !atomic_load_explicit(&d->stop, memory_order_relaxed);
         at += CHUNK)
        sha256_add(&h, bytes.p + at, bytes.n - at < CHUNK ? bytes.n - at : CHUNK);
    sha256_end(&h, d->hashes[file]);
}

static void *digest_all(void *arg) {
    struct digest *d = arg;
    for (size_t file = 0; file < d->n->n_sources; file++)
        if (d->whole[file] == LAYOUT_EMPTY)
            digest_file(d, file);
    return NULL;
}

static void digest_begin(struct digest *d) {
    uint64_t bytes = 0;
    struct err ignored; /* without a thread it is done at the end */
    for (size_t file = 0; file < d->n->n_sources; file++)
        if (d->whole[file] == LAYOUT_EMPTY)
            bytes += d->n->sources[file].bytes.n;
    d->threaded = bytes >= THREAD_BYTES && cpu_cores() > 1 &&
                  thread_start(&d->thread, "store-hash", digest_all, d, &ignored) == OK;
}

static void digest_cancel(struct digest *d) {
    atomic_store(&d->stop, true);
    if (d->threaded)
        pthread_join(d->thread, NULL);
    d->threaded = false;
}

static void digest_end(struct digest *d, const struct layout *l) {
    if (d->threaded)
        pthread_join(d->thread, NULL);
    else
        digest_all(d);
    d->threaded = false;
    for (size_t file = 0; file < d->n->n_sources; file++)
        if (d->whole[file] != LAYOUT_EMPTY)
            memcpy(d->hashes[file], l->blobs[d->whole[file]].hash, SHA256_BYTES);
}

/* --- one call of store_add --- */

struct adding {
    struct store *store;
    const struct store_new *n;
    struct arena arena;
    struct layout layout;
    struct map seen; /* hash -> its first layout_blob */
    uint32_t *slots; /* (n_slots) index of the blob that stands for it */
    bool *written;   /* (n_slots) by this call */
    size_t n_slots;
    struct digest digest;
    struct object_batch batch;
    struct object_ballast ballast;
    struct meter meter;
    uint64_t new_bytes;
};

static void hash_blob(struct adding *a, struct layout_blob *b) {
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < b->n_extents; i++) {
        const struct layout_extent *x = &b->extents[i];
        for (size_t at = 0; at < x->n; at += CHUNK) {
            size_t n = x->n - at < CHUNK ? x->n - at : CHUNK;
            sha256_add(&h, x->p ? x->p + at : zeros, n);
            a->meter.hashed += n;
            tell(&a->meter);
        }
    }
    sha256_end(&h, b->hash);
}

/* The blob is there and complete. Unless a version names it, its name may not be on disk yet
 * (another add is between its flush and its settle), and gc may be waiting for it to grow old. */
static enum code share(struct adding *a, const struct layout_blob *b, struct err *e) {
    bool named = false;
    TRY(record_blob_named(a->store, b->hash, &named, e));
    if (!named) {
        object_touch(a->store, b->hash);
        object_batch_unsettle(&a->batch, b->hash);
    }
    tell_stored(&a->meter, b->size);
    return OK;
}

static enum code store_slot(struct adding *a, uint32_t slot, struct err *e) {
    const struct layout_blob *b = &a->layout.blobs[a->slots[slot]];
    bool present = false;
    TRY(object_present(a->store, b->hash, b->size, &present, e));
    if (present)
        return share(a, b, e);
    if (!a->written[slot])
        a->new_bytes += b->size;
    a->written[slot] = true;
    return object_batch_put(&a->batch, b, tell_stored, &a->meter, e);
}

/* First round: the hash says whether these bytes had a slot already. */
static enum code store_blob(struct adding *a, uint32_t blob, struct err *e) {
    struct layout_blob *b = &a->layout.blobs[blob];
    hash_blob(a, b);
    struct str key = {(const char *)b->hash, SHA256_BYTES};
    const struct layout_blob *first = map_get(&a->seen, key);
    if (first) {
        b->slot = first->slot;
        tell_stored(&a->meter, b->size);
        return OK;
    }
    b->slot = (uint32_t)a->n_slots;
    a->slots[a->n_slots++] = blob;
    TRY(map_put(&a->seen, key, b, e));
    return store_slot(a, b->slot, e);
}

static enum code store_blobs(struct adding *a, struct err *e) {
    for (uint32_t blob = 0; blob < a->layout.n_blobs; blob++)
        TRY(store_blob(a, blob, e));
    TRY(object_batch_flush(&a->batch, e));
    return object_batch_settle(&a->batch, e);
}

static enum code store_again(struct adding *a, struct err *e) {
    for (uint32_t slot = 0; slot < a->n_slots; slot++)
        TRY(store_slot(a, slot, e));
    TRY(object_batch_flush(&a->batch, e));
    return object_batch_settle(&a->batch, e);
}

/* --- the identity of a version --- */

static int by_name(const void *x, const void *y) {
    const struct store_source *const *a = x, *const *b = y;
    return str_cmp((*a)->name, (*b)->name);
}

/* SHA-256 over, for each file in order of name: the name's length (8 bytes, little-endian), the
 * name, its SHA-256. */
static enum code digest_version(struct adding *a, uint8_t digest[SHA256_BYTES], struct err *e) {
    const struct store_new *n = a->n;
    const struct store_source **sorted =
        ARENA_ARRAY(&a->arena, n->n_sources, const struct store_source *);
    if (!sorted)
        return arena_fail(&a->arena, n->n_sources * sizeof *sorted, "the files of a version", e);
    for (size_t file = 0; file < n->n_sources; file++)
        sorted[file] = &n->sources[file];
    qsort(sorted, n->n_sources, sizeof *sorted, by_name);
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < n->n_sources; i++) {
        uint8_t length[8];
        for (unsigned byte = 0; byte < 8; byte++)
            length[byte] = (uint8_t)((uint64_t)sorted[i]->name.n >> (8 * byte));
        sha256_add(&h, length, sizeof length);
        sha256_add(&h, sorted[i]->name.p, sorted[i]->name.n);
        sha256_add(&h, a->digest.hashes[sorted[i] - n->sources], SHA256_BYTES);
    }
    sha256_end(&h, digest);
    return OK;
}

/* --- is the request sound? --- */

static enum code check_names(const struct store_new *n, struct arena *a, struct err *e) {
    struct map names;
    map_init(&names, a);
    for (size_t file = 0; file < n->n_sources; file++) {
        struct str name = n->sources[file].name;
        TRY(name_file(name, e));
        if (map_has(&names, name))
            return fail(e, INVALID, "two files named '%.*s' in one version", STR(name));
        TRY(map_put(&names, name, NULL, e));
    }
    for (size_t file = 0; file < n->n_sources;
         file++) { /* "a" and "a/b" could not both be exported */
        struct str name = n->sources[file].name;
        for (size_t i = 0; i < name.n; i++)
            if (name.p[i] == '/' && map_has(&names, str_sub(name, 0, i)))
                return fail(e, INVALID, "'%.*s' is a file and, for '%.*s', a folder", (int)i,
                            name.p, STR(name));
    }
    return OK;
}

static enum code check_parts(const struct store_new *n, struct err *e) {
    for (size_t part = 0; part < n->n_parts; part++) {
        struct str name = n->parts[part].name;
        if (name.n == 0)
            return fail(e, INVALID, "a part without a name");
        TRY(name_text("name of a part", name, STORE_NAME_MAX, e));
        for (size_t other = 0; other < part; other++)
            if (str_eq(name, n->parts[other].name))
                return fail(e, INVALID, "two parts named '%.*s' in one version", STR(name));
    }
    return OK;
}

static enum code check(struct adding *a, struct err *e) {
    const struct store_new *n = a->n;
    TRY(name_model(n->model, e));
    TRY(name_text("format", n->format, STORE_NAME_MAX, e));
    TRY(name_text("origin", n->origin, ORIGIN_MAX, e));
    if (n->n_sources == 0)
        return fail(e, INVALID, "a version of '%.*s' without files", STR(n->model));
    TRY(layout_build(n, &a->arena, &a->layout, e)); /* checks the counts, too */
    TRY(check_names(n, &a->arena, e));
    TRY(check_parts(n, e));
    return n->parent ? record_parent(a->store, n, e) : OK;
}

/* --- the call --- */

/* Files that are one blob need no second hash. */
static void find_whole(const struct adding *a, uint32_t *whole) {
    for (size_t file = 0; file < a->n->n_sources; file++)
        whole[file] = LAYOUT_EMPTY;
    for (size_t i = 0; i < a->layout.n_segments; i++) {
        const struct layout_segment *x = &a->layout.segments[i];
        if (x->length == a->n->sources[x->file].bytes.n &&
            x->length == a->layout.blobs[x->blob].size)
            whole[x->file] = x->blob;
    }
}

static enum code prepare(struct adding *a, struct err *e) {
    size_t n_files = a->n->n_sources, n_blobs = a->layout.n_blobs;
    uint32_t *whole = ARENA_ARRAY(&a->arena, n_files, uint32_t);
    a->digest.hashes = arena_push_array(&a->arena, n_files, SHA256_BYTES);
    a->slots = ARENA_ARRAY(&a->arena, n_blobs, uint32_t);
    a->written = ARENA_ARRAY(&a->arena, n_blobs, bool);
    if (!whole || !a->digest.hashes || !a->slots || !a->written)
        return arena_fail(&a->arena, n_files * SHA256_BYTES, "a new version", e);
    find_whole(a, whole);
    a->digest.n = a->n;
    a->digest.whole = whole;
    map_init(&a->seen, &a->arena);
    a->meter = (struct meter){.n = a->n, .total = a->layout.size_bytes};
    return OK;
}

static enum code commit(struct adding *a, const struct record *r, enum record_outcome *outcome,
                        uint64_t *version, struct err *e) {
    for (int round = 1;; round++) {
        TRY(record_add(a->store, r, outcome, version, e));
        if (*outcome != RECORD_MISSING)
            return OK;
        if (round == ROUNDS)
            return fail(e, CONFLICT,
                        "store '%s': 'slipway gc' keeps removing what this add has written; give "
                        "gc a longer grace",
                        a->store->folder);
        TRY(store_again(a, e));
    }
}

static enum code add(struct adding *a, struct store_added *out, struct err *e) {
    struct record r = {.n = a->n, .layout = &a->layout};
    struct store_added added = {0};
    enum record_outcome outcome = 0;
    uint8_t digest[SHA256_BYTES];
    TRY(check(a, e));
    TRY(store_writable(a->store, e));
    TRY(prepare(a, e));
    TRY(object_ballast_take(a->store, &a->ballast, e));
    digest_begin(&a->digest);
    TRY(store_blobs(a, e));
    digest_end(&a->digest, &a->layout);
    TRY(digest_version(a, digest, e));
    r.slots = a->slots;
    r.n_slots = a->n_slots;
    r.file_hashes = (const uint8_t(*)[SHA256_BYTES])a->digest.hashes;
    r.digest = digest;
    TRY(commit(a, &r, &outcome, &added.version, e));
    if (a->n->progress)
        a->n->progress(a->n->progress_ctx, a->meter.total, a->meter.total);
    added.existed = outcome == RECORD_EXISTED;
    added.new_bytes = a->new_bytes;
    hex_put(digest, SHA256_BYTES, added.digest);
    *out = added;
    return OK;
}

/* Takes back what this call wrote and no version names. Best effort: what stays is found by gc. */
static void undo(struct adding *a) {
    struct err ignored;
    struct store_swept swept;
    struct buf hashes;
    buf_init(&hashes, SIZE_MAX / 2);
    for (size_t slot = 0; slot < a->n_slots; slot++)
        if (a->written[slot])
            buf_put(&hashes, a->layout.blobs[a->slots[slot]].hash, SHA256_BYTES);
    if (hashes.n > 0 && gc_unlink(a->store, &hashes, GC_ANY_AGE, &swept, &ignored) != OK)
        log_text(LOG_DEBUG, "store: %s", ignored.text);
    buf_deinit(&hashes);
}

enum code store_add(struct store *s, const struct store_new *n, struct store_added *out,
                    struct err *e) {
    struct adding a = {.store = s, .n = n};
    arena_init(&a.arena, ARENA_BYTES);
    object_batch_init(&a.batch, s);
    enum code code = add(&a, out, e);
    object_ballast_drop(s, &a.ballast);
    if (code != OK) {
        digest_cancel(&a.digest);
        object_batch_drop(&a.batch);
        undo(&a);
    }
    arena_deinit(&a.arena);
    return code;
}
