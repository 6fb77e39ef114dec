/* SPDX-License-Identifier: Apache-2.0 */
/* Packed forms in the store: found by the constant's bytes and all words of their name, by whoever
 * opens the version next; what the keeper does not know is no failure. */
#include "host/keep.c"

#include "shelf.h"

enum { PIECE = 128 << 10, PACKED = 4096 };

static struct store_version *version;
static struct keep *k;
static struct span constant; /* the first of two pieces */
static uint8_t packed[PACKED];

static int set_up(void **state) {
    static uint8_t bytes[2 * PIECE];
    static const struct store_piece pieces[] = {{0, PIECE}, {PIECE, PIECE}};
    struct store_added added;
    if (shelf_open(state) != 0)
        return 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    for (size_t i = 0; i < PACKED; i++)
        packed[i] = (uint8_t)(i * 3);
    struct store_source source = {LIT("w.bin"), {bytes, sizeof bytes}, pieces, 2};
    struct store_new add = {
        .model = LIT("m"), .format = LIT("test"), .sources = &source, .n_sources = 1};
    return store_add(store, &add, &added, &e) != OK ||
           store_version_open(store, LIT("m"), 1, &version, &e) != OK ||
           store_version_bytes(version, 0, 0, PIECE, &constant, &e) != OK ||
           keep_open(store, version, &k, &e) != OK;
}

static int tear_down(void **state) {
    keep_close(k);
    keep_close(NULL);
    keep_stop(NULL);
    store_version_unref(version);
    return shelf_close(state);
}

static struct keeper_pack pack(const char *layout, const char *revision, uint64_t packing,
                               size_t bytes) {
    return (struct keeper_pack){constant.p, constant.n, layout, revision, packing, bytes};
}

static bool finds(struct keep *by, struct keeper_pack p) {
    const void *found = keep_face(by)->find(keep_face(by), &p);
    return found && (uintptr_t)found % 64 == 0 && memcmp(found, packed, PACKED) == 0;
}

static void by_all_its_words(void **state) {
    (void)state;
    struct keeper_pack p = pack("strips", "2-avx2", 5, PACKED);
    assert_false(finds(k, p));
    assert_ok(keep_face(k)->keep(keep_face(k), &p, packed, &e));
    assert_true(finds(k, p));
    assert_false(finds(k, pack("stripes", "2-avx2", 5, PACKED)));
    assert_false(finds(k, pack("strips", "3-avx2", 5, PACKED)));
    assert_false(finds(k, pack("strips", "2-avx2", 6, PACKED)));
    assert_false(finds(k, pack("strips", "2-avx2", 5, PACKED / 2)));
    for (int i = 0; i < 300; i++) /* more references than there was room for at first */
        assert_true(finds(k, p));
}

/* The next one that opens the version, and the thread of none that began. */
static void by_the_next(void **state) {
    (void)state;
    struct keep *next;
    assert_ok(keep_open(store, version, &next, &e));
    assert_true(finds(next, pack("strips", "2-avx2", 5, PACKED)));
    keep_stop(next);
    keep_close(next);
}

static void what_it_does_not_know(void **state) {
    (void)state;
    struct keeper_pack p = pack("strips", "2-avx2", 5, PACKED);
    p.constant_bytes = 64; /* a part of a piece */
    assert_ok(keep_face(k)->keep(keep_face(k), &p, packed, &e));
    assert_null(keep_face(k)->find(keep_face(k), &p));
    p.constant = packed; /* not of the version */
    assert_ok(keep_face(k)->keep(keep_face(k), &p, packed, &e));
    assert_null(keep_face(k)->find(keep_face(k), &p));
    p.constant = constant.p + PIECE; /* the second piece has none of its own */
    p.constant_bytes = PIECE;
    assert_null(keep_face(k)->find(keep_face(k), &p));
}

static void of_the_version_as_a_whole(void **state) {
    (void)state;
    struct keeper *f = keep_face(k);
    struct span bytes = {packed, 777};
    assert_int_equal(f->find_whole(f, "crate", "1").n, 0);
    assert_ok(f->keep_whole(f, "crate", "1", bytes, &e));
    struct span found = f->find_whole(f, "crate", "1");
    assert_int_equal(found.n, 777);
    assert_memory_equal(found.p, packed, 777);
    assert_int_equal(f->find_whole(f, "crate", "2").n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_all_its_words),
        cmocka_unit_test(by_the_next),
        cmocka_unit_test(what_it_does_not_know),
        cmocka_unit_test(of_the_version_as_a_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
