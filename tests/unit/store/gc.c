/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage: what goes, what stays, grace, dry runs, names that are not ours. */
#include "store/gc.c"

#include "shelf.h"

static void put(struct shelf *sh, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", sh->at, name);
    *strrchr(path, '/') = '\0';
    SHELF_OK(sh, file_mkdirs(path, &sh->e));
    snprintf(path, sizeof path, "%s/%s", sh->at, name);
    SHELF_OK(sh,
             file_publish(path, (struct span){(const uint8_t *)text, strlen(text)}, 0644, &sh->e));
}

static void age(struct shelf *sh, const char *name, time_t seconds) {
    char path[300];
    struct timespec then[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
    snprintf(path, sizeof path, "%s/%s", sh->at, name);
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

#define ORPHAN "objects/ab/cdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

static struct store_swept sweep_ok(struct shelf *sh, uint64_t grace_s, bool dry) {
    struct store_swept swept = {77, 77, 77};
    SHELF_OK(sh, store_gc(sh->s, grace_s, dry, &swept, &sh->e));
    return swept;
}

static void what_goes_and_what_stays(void **state) {
    struct shelf *sh = *state;
    struct store_swept swept = sweep_ok(sh, 0, false);
    assert_true(swept.blobs == 0 && swept.bytes == 0 && swept.drafts == 0);
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "m", 2);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    put(sh, ORPHAN, "orphan");
    put(sh, "drafts/blob-0123", "dead draft");
    put(sh, "drafts/store-0123-wal", "dead");
    put(sh, "drafts/README", "not ours");
    put(sh, "objects/ab/README", "not ours");
    put(sh, "objects/xy/cdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
        "not ours");
    put(sh, "objects/ab/CDEF0123456789abcdef0123456789abcdef0123456789abcdef012345678", "not ours");
    long before = shelf_count(sh, ".");
    swept = sweep_ok(sh, 0, true);
    /* version 1's packed blob and piece (its part is shared with version 2), the orphan; two drafts
     */
    assert_true(swept.blobs == 3 && swept.drafts == 2);
    assert_int_equal(shelf_count(sh, "."), before); /* dry */
    struct store_swept gone = sweep_ok(sh, 0, false);
    assert_memory_equal(&gone, &swept, sizeof gone);
    assert_int_equal(shelf_count(sh, "."), before - 5);
    swept = sweep_ok(sh, 0, false);
    assert_true(swept.blobs == 0 && swept.bytes == 0 && swept.drafts == 0);
    assert_int_equal(shelf_verify(sh).blobs, 3);
}

static void grace(void **state) {
    struct shelf *sh = *state;
    put(sh, ORPHAN, "orphan");
    put(sh, "drafts/blob-0123", "dead draft");
    age(sh, ORPHAN, 100);
    age(sh, "drafts/blob-0123", 100);
    struct store_swept swept = sweep_ok(sh, 200, false);
    assert_true(swept.blobs == 0 && swept.drafts == 0);
    swept = sweep_ok(sh, UINT64_MAX, false);
    assert_true(swept.blobs == 0 && swept.drafts == 0);
    swept = sweep_ok(sh, 50, false);
    assert_true(swept.blobs == 1 && swept.drafts == 1 && swept.bytes == 16);
    put(sh, ORPHAN, "from the future");
    age(sh, ORPHAN, -1000);
    swept = sweep_ok(sh, 0, false);
    assert_int_equal(swept.blobs, 0);
}

static void looks_again_before_unlinking(
    void **state) { /* listed as garbage, then named or touched: stays */
    struct shelf *sh = *state;
    struct buf hashes;
    struct store_swept swept;
    struct span bytes = shelf_bytes(sh, 5000, 3);
    struct store_piece piece = {0, 5000};
    uint8_t hash[SHA256_BYTES];
    shelf_add(sh, "m", bytes, &piece, 1);
    sha256_of(bytes, hash);
    buf_init(&hashes, 1000);
    buf_put(&hashes, hash, sizeof hash);
    SHELF_OK(sh, gc_unlink(sh->s, &hashes, GC_ANY_AGE, &swept, &sh->e));
    assert_int_equal(swept.blobs, 0);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh,
             gc_unlink(sh->s, &hashes, (int64_t)clock_wall_us() - 60 * 1000000, &swept, &sh->e));
    assert_int_equal(swept.blobs, 0); /* too young */
    SHELF_OK(sh, gc_unlink(sh->s, &hashes, GC_ANY_AGE, &swept, &sh->e));
    assert_int_equal(swept.blobs, 1);
    SHELF_OK(sh, gc_unlink(sh->s, &hashes, GC_ANY_AGE, &swept, &sh->e));
    assert_int_equal(swept.blobs, 0); /* gone already: fine */
    buf_deinit(&hashes);
}

static void many(void **state) { /* more than one batch */
    struct shelf *sh = *state;
    enum { N = BATCH + 44 };
    for (int i = 0; i < N; i++) {
        char name[100];
        snprintf(name, sizeof name, "objects/ab/%062x", (unsigned)i);
        put(sh, name, "x");
    }
    struct store_swept swept = sweep_ok(sh, 0, false);
    assert_true(swept.blobs == N && swept.bytes == N);
    assert_int_equal(shelf_count(sh, "objects"), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(what_goes_and_what_stays), TEST(grace),
                                       TEST(looks_again_before_unlinking), TEST(many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
