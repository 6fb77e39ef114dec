/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the store with every allocation, open, read, write, fsync, rename, map and database
 * step failing in turn: afterwards the store verifies clean, a version is absent or complete, no
 * draft is left, and the same call works. */
#include "fault_loop.h"

#include "../unit/store/shelf.h"
#include "store_vfs.h"

/* Two pieces that are blobs, one small one; two parts, one of them empty; a second file in a
 * folder. */
static enum code add_version(struct store *s, struct store_added *out, struct err *e) {
    static uint8_t bytes[30000];
    static const struct store_piece pieces[] = {{100, 9000}, {9500, 300}, {10000, 15000}};
    static const struct store_part parts[] = {{LIT("graph"), {bytes, 100}},
                                              {LIT("signature"), {0}}};
    shelf_fill(bytes, sizeof bytes, 42);
    struct store_source sources[] = {{LIT("model.onnx"), {bytes, sizeof bytes}, pieces, 3},
                                     {LIT("data/weights"), {bytes + 5, 7000}, NULL, 0}};
    struct store_new n = {.model = LIT("m"),
                          .format = LIT("onnx"),
                          .parent = 1,
                          .sources = sources,
                          .n_sources = 2,
                          .parts = parts,
                          .n_parts = 2};
    return store_add(s, &n, out, e);
}

static void one_clear_line(enum code code, const struct err *e) {
    if (code == OK)
        return;
    assert_int_equal(e->code, code);
    assert_true(e->text[0] && !strchr(e->text, '\n'));
}

/* --- adding --- */

static enum code open_add_close(struct shelf *sh, struct store_added *out, struct err *e) {
    struct store *s;
    TRY(store_open(sh->at, true, &s, e));
    enum code code = add_version(s, out, e);
    store_close(s);
    return code;
}

/* The version is there with all its bytes. */
static void check_complete(struct shelf *sh) {
    char path[200];
    struct store_info info;
    struct span got;
    static uint8_t bytes[30000];
    shelf_fill(bytes, sizeof bytes, 42);
    SHELF_OK(sh,
             store_resolve(sh->s, &(struct store_ref){.model = LIT("m")}, &sh->a, &info, &sh->e));
    assert_true(info.version > 1 && info.size_bytes == 37000);
    snprintf(path, sizeof path, "%s/out", sh->folder);
    SHELF_OK(sh, store_export(sh->s, LIT("m"), info.version, path, &sh->e));
    snprintf(path, sizeof path, "%s/out/model.onnx", sh->folder);
    got = shelf_read(sh, path);
    assert_true(got.n == sizeof bytes && memcmp(got.p, bytes, got.n) == 0);
    snprintf(path, sizeof path, "%s/out/data/weights", sh->folder);
    got = shelf_read(sh, path);
    assert_true(got.n == 7000 && memcmp(got.p, bytes + 5, got.n) == 0);
}

static void reopen(struct shelf *sh) { SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e)); }

static void shut(struct shelf *sh) {
    store_close(sh->s);
    sh->s = NULL;
}

/* Removes the version when there is one, and what nobody names; the number of versions it found. */
static uint64_t clean_up(struct shelf *sh, uint64_t keep) {
    struct store_verdict v = shelf_verify(sh);
    struct store_info info;
    struct store_swept swept;
    if (v.versions > keep) {
        SHELF_OK(sh, store_resolve(sh->s, &(struct store_ref){.model = LIT("m")}, &sh->a, &info,
                                   &sh->e));
        SHELF_OK(sh, store_remove(sh->s, LIT("m"), info.version, &sh->e));
    }
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    return v.versions;
}

static void adding(void **state) {
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    long objects = shelf_count(sh, "objects"), faults = 0;
    shut(sh);
    FAULT_LOOP(f) {
        struct err e;
        struct store_added added = {.version = 77};
        enum code code = OK;
        struct arena_mark mark = arena_mark(&sh->a);
        FAULT_BODY(f) { code = open_add_close(sh, &added, &e); }
        one_clear_line(code, &e);
        assert_true(code == OK || (f.fired && added.version == 77));
        assert_int_equal(shelf_count(sh, "drafts"), 0);
        reopen(sh);
        bool untouched = shelf_count(sh, "objects") == objects;
        uint64_t versions = shelf_verify(sh).versions;
        assert_true(versions == 1 || versions == 2);
        assert_true(code != OK || versions == 2);
        if (versions == 2)
            check_complete(sh);
        else if (!f.sticky)
            assert_true(untouched); /* what it wrote was taken back */
        clean_up(sh, 1);
        assert_int_equal(shelf_count(sh, "objects"), objects);
        shut(sh);
        arena_reset(&sh->a, mark);
        faults += f.fired;
    }
    print_message("%ld faults met\n", faults);
}

/* --- creating --- */

static void creating(void **state) {
    struct shelf *sh = *state;
    FAULT_LOOP(f) {
        struct err e;
        struct store *s = NULL;
        char at[160];
        enum code code = OK;
        snprintf(at, sizeof at, "%s/new/store", sh->folder);
        FAULT_BODY(f) { code = store_open(at, true, &s, &e); }
        one_clear_line(code, &e);
        assert_true(code == OK ? s != NULL : s == NULL && f.fired);
        store_close(s);
        s = NULL;
        code = store_open(at, false, &s, &e); /* half a store is none */
        if (code != OK && code != ERR_NOT_FOUND)
            fail_msg("%s call %ld left half a store: %s", fault_site_name(f.site), f.nth, e.text);
        store_close(s);
        SHELF_OK(sh, store_open(at, true, &s, &sh->e));
        struct store_verdict v;
        SHELF_OK(sh, store_verify(s, NULL, NULL, &v, &sh->e));
        assert_int_equal(v.bad, 0);
        store_close(s);
        snprintf(at, sizeof at, "%s/new", sh->folder);
        nftw(at, shelf_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* --- all the others: each on a store of two versions, an alias with history, and an orphan --- */

static enum code call_resolve(struct store *s, struct arena *a, struct err *e) {
    struct store_info info;
    struct store_ref ref = {.model = LIT("m"), .alias = LIT("prod")};
    return store_resolve(s, &ref, a, &info, e);
}

static enum code call_list(struct store *s, struct arena *a, struct err *e) {
    struct store_info *list;
    struct store_alias *aliases;
    struct store_event *events;
    uint64_t generation;
    size_t n;
    TRY(store_list(s, (struct str){0}, a, &list, &n, e));
    TRY(store_aliases(s, LIT("m"), a, &aliases, &n, e));
    TRY(store_generation(s, &generation, e));
    return store_log(s, LIT("m"), a, &events, &n, e);
}

static enum code call_read(struct store *s, struct arena *a, struct err *e) {
    struct store_version *v;
    struct span bytes;
    (void)a;
    TRY(store_version_open(s, LIT("m"), 1, &v, e));
    enum code code = store_version_bytes(v, 0, 100, 5000, &bytes, e);
    store_version_unref(v);
    return code;
}

static char out_path[200];

static enum code call_export(struct store *s, struct arena *a, struct err *e) {
    (void)a;
    return store_export(s, LIT("m"), 1, out_path, e);
}

static enum code call_alias(struct store *s, struct arena *a, struct err *e) {
    uint64_t version;
    (void)a;
    TRY(store_alias_set(s, LIT("m"), LIT("prod"), 1, e));
    TRY(store_alias_rollback(s, LIT("m"), LIT("prod"), &version, e));
    TRY(store_alias_set(s, LIT("m"), LIT("canary"), 1, e));
    return store_alias_drop(s, LIT("m"), LIT("canary"), e);
}

static enum code call_fact(struct store *s, struct arena *a, struct err *e) {
    struct str value;
    TRY(store_fact_put(s, LIT("a"), LIT("b"), LIT("c"), e));
    return store_fact_get(s, LIT("a"), LIT("b"), a, &value, e);
}

static enum code call_add(struct store *s, struct arena *a, struct err *e) {
    struct store_added added;
    (void)a;
    return add_version(s, &added, e);
}

static enum code call_remove(struct store *s, struct arena *a, struct err *e) {
    (void)a;
    return store_remove(s, LIT("m"), 1, e);
}

static enum code call_gc(struct store *s, struct arena *a, struct err *e) {
    struct store_swept swept;
    (void)a;
    return store_gc(s, 0, false, &swept, e);
}

static enum code call_verify(struct store *s, struct arena *a, struct err *e) {
    struct store_verdict v;
    (void)a;
    return store_verify(s, NULL, NULL, &v, e);
}

static enum code call_pack(struct store *s, struct arena *a, struct err *e) {
    static uint8_t bytes[9000];
    struct store_pack p = {.layout = LIT("strips"), .revision = LIT("1")};
    struct blob *b;
    struct span got;
    (void)a;
    TRY(store_pack_put(s, &p, (struct span){bytes, sizeof bytes}, e));
    TRY(store_pack_ref(s, &p, sizeof bytes, &b, &got, e));
    store_pack_unref(s, b);
    return OK;
}

typedef enum code call_fn(struct store *s, struct arena *a, struct err *e);

static void prepare(struct shelf *sh) {
    for (uint64_t seed = 1; seed <= 3; seed++)
        shelf_add_seed(sh, "m", seed);
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 3, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 2, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 3, &sh->e)); /* its blobs are the orphans */
    shut(sh);
}

static enum code open_call_close(struct shelf *sh, call_fn *call, struct err *e) {
    struct store *s;
    struct arena a;
    TRY(store_open(sh->at, false, &s, e));
    arena_init(&a, 1 << 20);
    enum code code = call(s, &a, e);
    arena_deinit(&a);
    store_close(s);
    return code;
}

static void try_call(call_fn *call) {
    FAULT_LOOP(f) {
        struct shelf sh;
        struct err e;
        enum code code = OK;
        shelf_begin(&sh);
        prepare(&sh);
        snprintf(out_path, sizeof out_path, "%s/out", sh.folder);
        FAULT_BODY(f) { code = open_call_close(&sh, call, &e); }
        one_clear_line(code, &e);
        assert_true(code == OK || f.fired);
        reopen(&sh);
        struct store_verdict v = shelf_verify(&sh);
        uint64_t versions = v.versions;
        assert_true(versions == 2 || (versions == 1 && call == call_remove));
        assert_true(v.bad_packs == 0 && v.packs <= (call == call_pack));
        if (call == call_export &&
            file_exists(out_path)) /* after a failed fsync of the folder; but never in part */
            assert_int_equal(shelf_read(&sh, out_path).n, 10000);
        shelf_end(&sh);
    }
}

static void reading(void **state) {
    (void)state;
    try_call(call_resolve);
    try_call(call_list);
    try_call(call_read);
    try_call(call_export);
    try_call(call_verify);
}

static void changing(void **state) {
    (void)state;
    try_call(call_alias);
    try_call(call_fact);
    try_call(call_remove);
    try_call(call_gc);
    try_call(call_pack);
}

/* --- SQLite's own allocations: the first 16 one by one, then ever larger steps --- */

static void try_oom(call_fn *call) {
    for (int sticky = 0; sticky < 2; sticky++)
        for (long nth = 1, fired = 1; fired; nth += 1 + nth / 16) {
            struct shelf sh;
            struct err e;
            shelf_begin(&sh);
            prepare(&sh);
            snprintf(out_path, sizeof out_path, "%s/out", sh.folder);
            store_vfs_arm(nth, sticky);
            enum code code = open_call_close(&sh, call, &e);
            fired = store_vfs_oom;
            store_vfs_arm(0, false);
            one_clear_line(code, &e);
            assert_true(code == OK || (fired && code == ERR_NOMEM));
            reopen(&sh);
            uint64_t versions = shelf_verify(&sh).versions;
            assert_true(versions == 2 || (versions == 1 && call == call_remove) ||
                        (versions == 3 && call == call_add));
            assert_int_equal(shelf_count(&sh, "drafts"), 0);
            shelf_end(&sh);
        }
}

static void out_of_memory(void **state) {
    (void)state;
    try_oom(call_add);
    try_oom(call_list);
    try_oom(call_read);
    try_oom(call_alias);
    try_oom(call_remove);
    try_oom(call_gc);
    try_oom(call_verify);
}

int main(void) {
    setenv("TMPDIR", "/dev/shm", 0); /* thousands of stores: no need to wear out a disk */
    store_vfs_install();
    fault_leaks_at_exit = true;
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(adding), TEST(creating), cmocka_unit_test(reading),
                                       cmocka_unit_test(changing), cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
