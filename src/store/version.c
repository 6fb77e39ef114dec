/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a version: its tables in four queries, its blobs mapped at once.
 *
 * Mapping at once costs some microseconds a blob and buys two things: a damaged store is found when
 * a model is loaded and not in the middle of a request, and gc may unlink the files of a removed
 * version while it is still served. */
#include "store/version.h"
#include "store/tuples.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_BYTES ((size_t)1 << 30)

struct store_version { /* immutable after store_version_open, but for refs */
    struct store *store;
    _Atomic uint64_t refs;
    struct arena arena;
    struct str model;
    uint64_t number;
    struct version_tables tables;
    struct blob **blobs; /* (n_slots) a reference each */
    size_t n_blobs;
    struct blob **by_address; /* (n_blobs) the same, in the order of their bytes */
    uint64_t mapped_bytes;
};

/* --- tables --- */

static enum code fail_tables(const struct query *q, const char *what, struct err *e) {
    return fail(e, CORRUPT, "store '%s': store.db has a version with %s; see 'slipway verify'",
                q->db->folder, what);
}

static enum code take_hash(const struct query *q, int column, uint8_t hash[SHA256_BYTES],
                           struct err *e) {
    struct span bytes = query_bytes(q, column);
    if (bytes.n != SHA256_BYTES)
        return fail_tables(q, "a hash of the wrong length", e);
    memcpy(hash, bytes.p, SHA256_BYTES);
    return OK;
}

static enum code read_slot(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct version_slot *slot = element;
    size_t *n = r->ctx;
    int64_t size = query_int(q, 2);
    if (query_int(q, 0) != (int64_t)(*n)++ || size <= 0)
        return fail_tables(q, "a wrong list of blobs", e);
    slot->size = (uint64_t)size;
    return take_hash(q, 1, slot->hash, e);
}

static enum code read_file(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct version_file *file = element;
    size_t *n = r->ctx;
    int64_t size = query_int(q, 2);
    if (query_int(q, 0) != (int64_t)(*n)++ || size < 0)
        return fail_tables(q, "a wrong list of files", e);
    file->size = (uint64_t)size;
    TRY(tuples_text(r, q, 1, &file->name, e));
    return take_hash(q, 3, file->hash, e);
}

/* Everything that a later reader relies on: the file and the blob exist, the segment goes on where
 * the last one ended (filled into the file's first_segment and n_segments on the way) and lies
 * within its blob. */
static enum code read_segment(const struct query *q, struct tuples *r, void *element,
                              struct err *e) {
    struct version_tables *t = r->ctx;
    struct version_segment *x = element;
    int64_t file = query_int(q, 0), offset = query_int(q, 1), length = query_int(q, 2),
            slot = query_int(q, 3), at = query_int(q, 4);
    if (file < 0 || (uint64_t)file >= t->n_files || slot < 0 || (uint64_t)slot >= t->n_slots)
        return fail_tables(q, "a segment of no file or no blob", e);
    struct version_file *f = &t->files[file];
    uint64_t size = t->slots[slot].size;
    if (length <= 0 || at < 0 || (uint64_t)at > size || (uint64_t)length > size - (uint64_t)at)
        return fail_tables(q, "a segment outside its blob", e);
    const struct version_segment *last =
        f->n_segments ? x - 1 : NULL; /* the array grows, but stays in order */
    if ((uint64_t)offset != (last ? last->offset + last->length : 0))
        return fail_tables(q, "a gap or an overlap in a file", e);
    *x = (struct version_segment){.file = (uint32_t)file,
                                  .slot = (uint32_t)slot,
                                  .offset = (uint64_t)offset,
                                  .length = (uint64_t)length,
                                  .at = (uint64_t)at};
    if (f->n_segments++ == 0)
        f->first_segment = t->n_segments;
    t->n_segments++;
    return OK;
}

static enum code read_part(const struct query *q, struct tuples *r, void *element, struct err *e) {
    const struct version_tables *t = r->ctx;
    struct version_part *part = element;
    part->slot = query_int(q, 1);
    if (part->slot < -1 || part->slot >= (int64_t)t->n_slots)
        return fail_tables(q, "a part of no blob", e);
    return tuples_text(r, q, 0, &part->name, e);
}

static enum code check_covered(struct db *d, const struct version_tables *t, struct err *e) {
    for (size_t file = 0; file < t->n_files; file++) {
        const struct version_file *f = &t->files[file];
        const struct version_segment *last =
            f->n_segments ? &t->segments[f->first_segment + f->n_segments - 1] : NULL;
        if ((last ? last->offset + last->length : 0) != f->size)
            return fail(
                e, CORRUPT,
                "store '%s': the segments of '%.*s' do not make up its size; see 'slipway verify'",
                d->folder, STR(f->name));
    }
    return OK;
}

static enum code read_rows(struct db *d, const char *sql, int64_t version_id, struct tuples *rows,
                           struct err *e) {
    struct query q;
    TRY(query_begin(&q, d, sql, DB_BIND(db_int(version_id)), e));
    return tuples_read(rows, &q, e);
}

static enum code read_tables(struct db *d, int64_t version_id, struct arena *a,
                             struct version_tables *t, struct err *e) {
    static const char slots[] =
        "SELECT s.slot, b.hash, b.size FROM slot s JOIN blob b ON b.id = s.blob_id"
        " WHERE s.version_id = ?1 ORDER BY s.slot";
    static const char files[] =
        "SELECT file, name, size, hash FROM file WHERE version_id = ?1 ORDER BY file";
    static const char segments[] =
        "SELECT file, offset, length, slot, at FROM segment WHERE version_id = ?1"
        " ORDER BY file, offset";
    static const char parts[] = "SELECT name, slot FROM part WHERE version_id = ?1 ORDER BY name";
    size_t n_slots = 0, n_files = 0;
    struct tuples r = {
        .arena = a, .row_bytes = sizeof *t->slots, .read = read_slot, .ctx = &n_slots};
    TRY(read_rows(d, slots, version_id, &r, e));
    t->slots = r.p;
    t->n_slots = r.n;
    r = (struct tuples){
        .arena = a, .row_bytes = sizeof *t->files, .read = read_file, .ctx = &n_files};
    TRY(read_rows(d, files, version_id, &r, e));
    t->files = r.p;
    t->n_files = r.n;
    r = (struct tuples){
        .arena = a, .row_bytes = sizeof *t->segments, .read = read_segment, .ctx = t};
    TRY(read_rows(d, segments, version_id, &r, e));
    t->segments = r.p;
    r = (struct tuples){.arena = a, .row_bytes = sizeof *t->parts, .read = read_part, .ctx = t};
    TRY(read_rows(d, parts, version_id, &r, e));
    t->parts = r.p;
    t->n_parts = r.n;
    return check_covered(d, t, e);
}

enum code version_read(struct db *d, struct str model, uint64_t number, struct arena *a,
                       struct version_tables *out, struct err *e) {
    struct version_tables t = {0};
    int64_t model_id = 0, version_id = 0;
    TRY(catalog_model(d, model, &model_id, e));
    TRY(catalog_version(d, model, model_id, number, &version_id, e));
    TRY(read_tables(d, version_id, a, &t, e));
    *out = t;
    return OK;
}

/* --- opening --- */

static enum code read_locked(struct store_version *v, struct err *e) {
    struct store *s = v->store;
    TRY(store_look(s, e));
    return store_seen(s, version_read(&s->reader, v->model, v->number, &v->arena, &v->tables, e),
                      e);
}

static int by_address(const void *a, const void *b) {
    const struct blob *x = *(struct blob *const *)a, *y = *(struct blob *const *)b;
    return x->bytes.p < y->bytes.p ? -1 : x->bytes.p > y->bytes.p;
}

static enum code map_blobs(struct store_version *v, struct err *e) {
    v->blobs = ARENA_ARRAY(&v->arena, v->tables.n_slots, struct blob *);
    v->by_address = ARENA_ARRAY(&v->arena, v->tables.n_slots, struct blob *);
    if (!v->blobs || !v->by_address)
        return arena_fail(&v->arena, v->tables.n_slots * sizeof *v->blobs, "an open version", e);
    for (; v->n_blobs < v->tables.n_slots; v->n_blobs++) {
        const struct version_slot *slot = &v->tables.slots[v->n_blobs];
        TRY(blob_ref(v->store, slot->hash, slot->size, &v->blobs[v->n_blobs], e));
        v->mapped_bytes += slot->size;
    }
    if (v->n_blobs) {
        memcpy(v->by_address, v->blobs, v->n_blobs * sizeof *v->blobs);
        qsort(v->by_address, v->n_blobs, sizeof *v->by_address, by_address);
    }
    return OK;
}

/* A blob's file is missing. Was the version removed, and the blob swept, since we read its rows?
 * Then say so. */
static enum code explain_missing(struct store_version *v, struct err *e) {
    struct err now;
    if (read_locked(v, &now) == OK) {
        e->code = ERR_CORRUPT;
        return err_prefix(e, "%.*s@%llu is damaged", STR(v->model), (unsigned long long)v->number);
    }
    *e = now;
    return e->code;
}

static enum code fill(struct store_version *v, struct str model, struct err *e) {
    v->model = arena_str(&v->arena, model);
    if (model.n > 0 && !v->model.p)
        return arena_fail(&v->arena, model.n, "an open version", e);
    TRY(read_locked(v, e));
    enum code code = map_blobs(v, e);
    return code == ERR_NOT_FOUND ? explain_missing(v, e) : code;
}

enum code store_version_open(struct store *s, struct str model, uint64_t version,
                             struct store_version **out, struct err *e) {
    struct store_version *v = mem_zalloc(1, sizeof *v);
    if (!v)
        return fail(e, NOMEM, "store '%s': out of memory for a version", s->folder);
    v->store = s;
    v->number = version;
    atomic_init(&v->refs, 1);
    arena_init(&v->arena, ARENA_BYTES);
    enum code code = fill(v, model, e);
    if (code == OK)
        *out = v;
    else
        store_version_unref(v);
    return code;
}

struct store_version *store_version_ref(struct store_version *v) {
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void store_version_unref(struct store_version *v) {
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t slot = 0; slot < v->n_blobs; slot++)
        blob_unref(v->store, v->blobs[slot]);
    arena_deinit(&v->arena);
    mem_free(v);
}

/* --- reading --- */

const struct version_tables *version_tables(const struct store_version *v) { return &v->tables; }

struct span version_segment_bytes(const struct store_version *v, size_t segment) {
    const struct version_segment *x = &v->tables.segments[segment];
    return (struct span){v->blobs[x->slot]->bytes.p + x->at, (size_t)x->length};
}

bool store_version_piece(const struct store_version *v, struct span bytes,
                         uint8_t hash[SHA256_BYTES]) {
    size_t low = 0, high = v->n_blobs; /* the answer is in [low, high) */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct blob *b = v->by_address[middle];
        if (b->bytes.p == bytes.p) {
            memcpy(hash, b->hash, SHA256_BYTES);
            return b->bytes.n == bytes.n;
        }
        if (b->bytes.p < bytes.p)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The blob of a version's first bytes is the packed one, which holds whatever is no large tensor:
 * seldom shared, and never among versions that differ in nothing but their digest. */
bool store_version_whole(const struct store_version *v, struct store_pack *p) {
    const struct version_tables *t = &v->tables;
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    if (!t->n_files || !t->files[0].n_segments)
        return false;
    sha256_begin(&h);
    for (size_t file = 0; file < t->n_files; file++)
        sha256_add(&h, t->files[file].hash, SHA256_BYTES);
    sha256_end(&h, digest);
    memcpy(&p->packing, digest, sizeof p->packing);
    memcpy(p->piece, t->slots[t->segments[t->files[0].first_segment].slot].hash, SHA256_BYTES);
    return true;
}

void store_version_release(const struct store_version *v) {
    for (size_t i = 0; i < v->n_blobs; i++)
        madvise((void *)(uintptr_t)v->blobs[i]->bytes.p, v->blobs[i]->bytes.n, MADV_DONTNEED);
}

size_t store_version_files(const struct store_version *v) { return v->tables.n_files; }
struct str store_version_file_name(const struct store_version *v, size_t file) {
    return v->tables.files[file].name;
}
uint64_t store_version_file_size(const struct store_version *v, size_t file) {
    return v->tables.files[file].size;
}
uint64_t store_version_mapped_bytes(const struct store_version *v) { return v->mapped_bytes; }

/* The last segment of the file that starts at or before offset; offset lies within the file. */
static size_t segment_at(const struct version_tables *t, const struct version_file *f,
                         uint64_t offset) {
    size_t low = f->first_segment,
           high = f->first_segment + f->n_segments; /* the answer is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->segments[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum code store_version_bytes(struct store_version *v, size_t file, uint64_t offset,
                              uint64_t length, struct span *out, struct err *e) {
    const struct version_tables *t = &v->tables;
    if (file >= t->n_files)
        return fail(e, INVALID, "%.*s@%llu: no file %zu, there are %zu", STR(v->model),
                    (unsigned long long)v->number, file, t->n_files);
    const struct version_file *f = &t->files[file];
    if (offset > f->size || length > f->size - offset)
        return fail(e, INVALID, "%.*s@%llu: bytes %llu + %llu reach past the %llu of '%.*s'",
                    STR(v->model), (unsigned long long)v->number, (unsigned long long)offset,
                    (unsigned long long)length, (unsigned long long)f->size, STR(f->name));
    if (length == 0) {
        *out = (struct span){0};
        return OK;
    }
    size_t segment = segment_at(t, f, offset);
    struct span bytes = version_segment_bytes(v, segment);
    uint64_t from = offset - t->segments[segment].offset;
    if (length > bytes.n - from)
        return fail(e, INVALID, "%.*s@%llu: bytes %llu + %llu of '%.*s' are not one piece",
                    STR(v->model), (unsigned long long)v->number, (unsigned long long)offset,
                    (unsigned long long)length, STR(f->name));
    *out = (struct span){bytes.p + from, (size_t)length};
    return OK;
}

bool store_version_find_part(const struct store_version *v, struct str name, struct span *out) {
    for (size_t part = 0; part < v->tables.n_parts; part++) {
        const struct version_part *p = &v->tables.parts[part];
        if (!str_eq(p->name, name))
            continue;
        *out = p->slot < 0 ? (struct span){0} : v->blobs[p->slot]->bytes;
        return true;
    }
    return false;
}

enum code store_version_part(struct store_version *v, const char *name, struct span *out,
                             struct err *e) {
    if (store_version_find_part(v, str_of(name), out))
        return OK;
    return fail(e, NOT_FOUND, "%.*s@%llu has no part '%s'", STR(v->model),
                (unsigned long long)v->number, name);
}
