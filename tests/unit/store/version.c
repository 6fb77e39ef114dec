/* SPDX-License-Identifier: Apache-2.0 */
/* Reading versions: bytes in place, parts, sharing, life after removal, damaged tables. */
#include "store/version.c"

#include "store/object.h"

#include "shelf.h"

static void bytes_and_parts(void **state) {
    struct shelf *sh = *state;
    struct span weights = shelf_bytes(sh, 50000, 1), graph = shelf_bytes(sh, 300, 2);
    struct store_piece pieces[] = {{10, 5000}, {5010, 5000}, {20000, 100}, {30000, 4096}};
    struct store_source sources[] = {{LIT("dir/weights.bin"), weights, pieces, 4},
                                     {LIT("empty"), {0}, NULL, 0}};
    struct store_part parts[] = {{LIT("graph"), graph}, {LIT("nothing"), {0}}};
    struct store_new n = {.model = LIT("m"),
                          .sources = sources,
                          .n_sources = 2,
                          .parts = parts,
                          .n_parts = 2,
                          .format = LIT("onnx")};
    struct store_added added;
    struct store_version *v;
    struct span got;
    SHELF_OK(sh, store_add(sh->s, &n, &added, &sh->e));
    SHELF_OK(sh, store_version_open(sh->s, LIT("m"), 1, &v, &sh->e));
    assert_int_equal(store_version_files(v), 2);
    assert_true(str_is(store_version_file_name(v, 0), "dir/weights.bin"));
    assert_int_equal(store_version_file_size(v, 0), 50000);
    assert_int_equal(store_version_file_size(v, 1), 0);
    assert_int_equal(store_version_mapped_bytes(v), added.new_bytes);
    for (size_t i = 0; i < 4; i++) {
        SHELF_OK(sh, store_version_bytes(v, 0, pieces[i].offset, pieces[i].length, &got, &sh->e));
        assert_memory_equal(got.p, weights.p + pieces[i].offset, pieces[i].length);
        assert_int_equal((uintptr_t)got.p % (pieces[i].length < STORE_PIECE_MIN ? 64 : 4096), 0);
        SHELF_OK(sh, store_version_bytes(v, 0, pieces[i].offset + 1, pieces[i].length - 1, &got,
                                         &sh->e));
        assert_memory_equal(got.p, weights.p + pieces[i].offset + 1, pieces[i].length - 1);
    }
    for (size_t at = 0; at < 50000; at++) { /* every byte on its own */
        SHELF_OK(sh, store_version_bytes(v, 0, at, 1, &got, &sh->e));
        assert_int_equal(got.p[0], weights.p[at]);
    }
    SHELF_OK(sh, store_version_bytes(v, 0, 50000, 0, &got, &sh->e));
    SHELF_OK(sh, store_version_bytes(v, 1, 0, 0, &got, &sh->e));
    assert_int_equal(got.n, 0);
    SHELF_FAILS(sh, INVALID, "not one piece", store_version_bytes(v, 0, 10, 5001, &got, &sh->e));
    SHELF_FAILS(sh, INVALID, "reach past", store_version_bytes(v, 0, 50000, 1, &got, &sh->e));
    SHELF_FAILS(sh, INVALID, "reach past", store_version_bytes(v, 0, 1, UINT64_MAX, &got, &sh->e));
    SHELF_FAILS(sh, INVALID, "no file 2", store_version_bytes(v, 2, 0, 0, &got, &sh->e));
    SHELF_OK(sh, store_version_part(v, "graph", &got, &sh->e));
    assert_int_equal(got.n, graph.n);
    assert_memory_equal(got.p, graph.p, graph.n);
    SHELF_OK(sh, store_version_part(v, "nothing", &got, &sh->e));
    assert_int_equal(got.n, 0);
    SHELF_FAILS(sh, NOT_FOUND, "m@1 has no part 'absent'",
                store_version_part(v, "absent", &got, &sh->e));
    store_version_unref(v);
}

static void shared_in_memory(void **state) {
    struct shelf *sh = *state;
    struct store_piece piece = {0, 50000};
    struct store_version *a, *b, *again;
    struct span x, y;
    uint8_t *bytes = (uint8_t *)(uintptr_t)shelf_bytes(sh, 60000, 1).p;
    shelf_add(sh, "m", (struct span){bytes, 60000}, &piece, 1);
    bytes[59999] ^= 1;
    shelf_add(sh, "m", (struct span){bytes, 60000}, &piece, 1);
    SHELF_OK(sh, store_version_open(sh->s, LIT("m"), 1, &a, &sh->e));
    SHELF_OK(sh, store_version_open(sh->s, LIT("m"), 2, &b, &sh->e));
    SHELF_OK(sh, store_version_bytes(a, 0, 0, 50000, &x, &sh->e));
    SHELF_OK(sh, store_version_bytes(b, 0, 0, 50000, &y, &sh->e));
    assert_ptr_equal(x.p, y.p); /* one map */
    again = store_version_ref(a);
    store_version_unref(a);
    assert_memory_equal(y.p, bytes, 50000);
    store_version_unref(again);
    assert_memory_equal(y.p, bytes, 50000); /* b holds it */
    store_version_unref(b);
    store_version_unref(NULL);
    assert_int_equal(sh->s->blobs.n, 0);
}

static void outlives_removal(void **state) {
    struct shelf *sh = *state;
    struct store_version *v, *none = NULL;
    struct store_swept swept;
    struct span got, bytes = shelf_bytes(sh, 10000, 1);
    struct store_piece piece = {0, 10000};
    shelf_add(sh, "m", bytes, &piece, 1);
    SHELF_OK(sh, store_version_open(sh->s, LIT("m"), 1, &v, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    assert_int_equal(swept.blobs, 2);
    SHELF_OK(sh, store_version_bytes(v, 0, 0, 10000, &got, &sh->e));
    assert_memory_equal(got.p, bytes.p, 10000);
    store_version_unref(v);
    SHELF_FAILS(sh, NOT_FOUND, "'m'", store_version_open(sh->s, LIT("m"), 1, &none, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "'x'", store_version_open(sh->s, LIT("x"), 1, &none, &sh->e));
    assert_null(none);
}

static void damaged(void **state) {
    struct shelf *sh = *state;
    struct store_version *v = NULL;
    struct span bytes = shelf_bytes(sh, 10000, 1);
    struct store_piece piece = {0, 10000};
    uint8_t hash[SHA256_BYTES];
    char name[OBJECT_NAME];
    shelf_add(sh, "m", bytes, &piece, 1);
    sha256_of(bytes, hash);
    object_name(hash, name);
    SHELF_OK(sh, object_unlink(sh->s, name, &sh->e));
    SHELF_FAILS(sh, CORRUPT, "m@1 is damaged", store_version_open(sh->s, LIT("m"), 1, &v, &sh->e));
    assert_non_null(strstr(sh->e.text, name));
}

/* The rows were read, and then, before the blobs were mapped, another process removed the version
 * and swept. */
static void removed_in_between(void **state) {
    struct shelf *sh = *state;
    struct store_swept swept;
    struct store_version *v = mem_zalloc(1, sizeof *v);
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "m", 2);
    v->store = sh->s;
    v->number = 1;
    v->model = LIT("m");
    atomic_init(&v->refs, 1);
    arena_init(&v->arena, 1 << 20);
    SHELF_OK(sh, read_locked(v, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "cannot open blob", map_blobs(v, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no version 1 (the newest is 2)", explain_missing(v, &sh->e));
    store_version_unref(v);
    assert_int_equal(sh->s->blobs.n, 0);
}

/* Rows that do not fit together are found by reading them, whoever wrote them. */
static void hostile_tables(void **state) {
    struct shelf *sh = *state;
    static const char *const wrong[] = {
        "UPDATE segment SET length = length + 1 WHERE offset = 0",
        "UPDATE segment SET length = 9223372036854775807 WHERE offset = 0",
        "UPDATE segment SET at = -1 WHERE offset = 0",
        "UPDATE segment SET at = 9223372036854775807 WHERE offset = 0",
        "UPDATE segment SET slot = 99 WHERE offset = 0",
        "UPDATE segment SET slot = -1 WHERE offset = 0",
        "UPDATE segment SET file = 7 WHERE offset = 0",
        "UPDATE segment SET offset = 1 WHERE offset = 0",
        "DELETE FROM segment WHERE offset = 0",
        "DELETE FROM segment WHERE offset = (SELECT max(offset) FROM segment)",
        "DELETE FROM slot WHERE slot = 0",
        "UPDATE slot SET slot = 5 WHERE slot = 0",
        "UPDATE blob SET size = size + 1",
        "UPDATE blob SET size = 9223372036854775807",
        "UPDATE file SET size = size + 1",
        "UPDATE file SET size = -1",
        "UPDATE file SET file = 3",
        "DELETE FROM file",
        "UPDATE part SET slot = 99",
        "UPDATE part SET slot = -2",
    };
    shelf_add_seed(sh, "m", 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct store_version *v = NULL;
        char vacuum[300], copy[256];
        sqlite3 *raw;
        snprintf(copy, sizeof copy, "%s/copy%zu.db", sh->folder, i);
        snprintf(vacuum, sizeof vacuum, "VACUUM INTO '%s'", copy);
        assert_int_equal(sqlite3_exec(sh->s->writer.handle, vacuum, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_open(copy, &raw), SQLITE_OK);
        assert_int_equal(sqlite3_exec(raw, "PRAGMA foreign_keys=OFF", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(raw, wrong[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(raw);
        struct db d;
        struct db mine = sh->s->reader; /* the store, reading the other database */
        SHELF_OK(sh, db_open(&d, "damaged", copy, DB_READ, &sh->e));
        sh->s->reader = d;
        enum code code = store_version_open(sh->s, LIT("m"), 1, &v, &sh->e);
        d = sh->s->reader;
        sh->s->reader = mine;
        db_close(&d);
        if (code != ERR_CORRUPT)
            fail_msg("%s: %s %s", wrong[i], err_name(code), code ? sh->e.text : "");
        assert_null(v);
        assert_int_equal(sh->s->blobs.n, 0);
    }
}

/* --- threads --- */

struct reading {
    struct shelf *sh;
    pthread_t thread;
    struct err e;
    uint64_t opened;
    enum code code;
};

static _Atomic bool stop;

static void *read_versions(void *arg) {
    struct reading *r = arg;
    while (!atomic_load(&stop) && r->code == OK) {
        struct store_info info;
        struct store_version *v;
        struct arena a;
        struct span part;
        uint64_t generation;
        arena_init(&a, 1 << 20);
        r->code = store_resolve(r->sh->s, &(struct store_ref){.model = LIT("m")}, &a, &info, &r->e);
        if (r->code == OK)
            r->code = store_version_open(r->sh->s, LIT("m"), info.version, &v, &r->e);
        if (r->code == OK) {
            r->code = store_version_part(v, "graph", &part, &r->e);
            store_version_unref(store_version_ref(v));
            store_version_unref(v);
            r->opened++;
        }
        if (r->code == OK)
            r->code = store_generation(r->sh->s, &generation, &r->e);
        arena_deinit(&a);
    }
    return NULL;
}

static void threads(void **state) { /* readers in threads, this one writes, all on one handle */
    struct shelf *sh = *state;
    struct reading readers[3] = {0};
    shelf_add_seed(sh, "m", 0);
    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++) {
        readers[i].sh = sh;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_versions, &readers[i]), 0);
    }
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct store_swept swept;
        shelf_add_seed(sh, "m", seed);
        SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), seed + 1, &sh->e));
        SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
        assert_int_equal(swept.blobs, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(readers[i].thread, NULL);
        if (readers[i].code != OK)
            fail_msg("reader: %s", readers[i].e.text);
        assert_true(readers[i].opened > 0);
    }
    assert_int_equal(sh->s->blobs.n, 0);
    assert_int_equal(shelf_verify(sh).versions, 40);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(bytes_and_parts),    TEST(shared_in_memory), TEST(outlives_removal), TEST(damaged),
        TEST(removed_in_between), TEST(hostile_tables),   TEST(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
