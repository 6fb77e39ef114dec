/* SPDX-License-Identifier: Apache-2.0 */
/* Records of trials in a store: kept, joined, and not believed when they are damaged. */
#include "host/tune.c"

#include "../base/check.h"

#include <stdlib.h>

static char folder[64];
static struct store *store;
static struct arena arena;

static int open_store(void **state) {
    (void)state;
    struct err e;
    snprintf(folder, sizeof folder, "%s/slipway-tune-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    arena_init(&arena, 1 << 20);
    return !mkdtemp(folder) || store_open(folder, true, &store, &e) != OK;
}

static int close_store(void **state) {
    (void)state;
    char command[128];
    store_close(store);
    arena_deinit(&arena);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static size_t got(const char *model, uint64_t version, const struct choice **out) {
    size_t n;
    tune_get(store, str_of(model), version, &arena, out, &n);
    return n;
}

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    const struct choice *c;
    struct choice first[] = {{0xfedcba9876543210u, 3}, {5, 1}}, second[] = {{5, 2}, {6, 4}};
    assert_int_equal(got("m", 1, &c), 0);
    assert_ok(tune_put(store, LIT("m"), 1, first, 2, &e));
    assert_int_equal(got("m", 1, &c), 2);
    assert_true(c[0].node == 5 && c[0].way == 1);
    assert_true(c[1].node == 0xfedcba9876543210u && c[1].way == 3);
    assert_ok(tune_put(store, LIT("m"), 1, second, 2, &e));
    assert_int_equal(got("m", 1, &c), 3);
    assert_true(c[0].node == 5 && c[0].way == 2 && c[1].node == 6 && c[1].way == 4);
    assert_true(c[2].node == 0xfedcba9876543210u && c[2].way == 3);
    assert_int_equal(got("m", 2, &c), 0);
}

static void test_damaged(void **state) {
    (void)state;
    static const char *const records[] = {
        "",
        "1",
        "2\n0000000000000005 1\n",
        "1\n0000000000000005 1",
        "1\n0000000000000005 0\n",
        "1\n000000000000000g 1\n",
        "1\n0000000000000005_1\n",
        "1\n0000000000000005 1\n0000000000000005 2\n",
        "1\n0000000000000006 1\n0000000000000005 2\n",
        "1\n0000000000000005 1\n0000000000000006 ",
    };
    char key[KEY_MAX];
    struct err e;
    const struct choice *c;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        assert_ok(store_fact_put(store, LIT("kernels"), key_of(LIT("d"), 1, key),
                                 str_of(records[i]), &e));
        assert_int_equal(got("d", 1, &c), 0);
    }
    struct choice whole = {9, 2};
    assert_ok(tune_put(store, LIT("d"), 1, &whole, 1, &e)); /* takes its place */
    assert_int_equal(got("d", 1, &c), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, open_store, close_store);
}
