/* SPDX-License-Identifier: Apache-2.0 */
/* Quality reports in a store, and what they make of a choice of precision. */
#include "host/quality.c"

#include "../base/check.h"

#include <math.h>
#include <stdlib.h>

static char folder[64];
static struct store *store;

static int open_store(void **state) {
    (void)state;
    struct err e;
    snprintf(folder, sizeof folder, "%s/slipway-quality-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return !mkdtemp(folder) || store_open(folder, true, &store, &e) != OK;
}

static int close_store(void **state) {
    (void)state;
    char command[128];
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const struct quality good = {4, 3, 0.004, 0.99999, 1, 10.5, 5.25};

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    struct quality q;
    assert_fails(quality_get(store, LIT("m"), 1, &q, &e), NOT_FOUND, "m@1");
    assert_ok(quality_put(store, LIT("m"), 1, &good, &e));
    assert_ok(quality_get(store, LIT("m"), 1, &q, &e));
    assert_true(q.samples == 4 && q.recorded == 3 && q.largest == 0.004 && q.cosine == 0.99999 &&
                q.top == 1 && q.f32_ms == 10.5 && q.bf16_ms == 5.25);
    assert_fails(quality_get(store, LIT("m"), 2, &q, &e), NOT_FOUND, "m@2");
}

static void test_limits(void **state) {
    (void)state;
    struct quality q = good;
    assert_true(quality_fits(&q));
    q.largest = 0.03;
    assert_false(quality_fits(&q));
    q = good, q.cosine = 0.99;
    assert_false(quality_fits(&q));
    q = good, q.top = 0.9;
    assert_false(quality_fits(&q));
    q = good, q.samples = 0;
    assert_false(quality_fits(&q));
    q = good, q.largest = (double)NAN;
    assert_false(quality_fits(&q));
}

static void test_choice(void **state) {
    (void)state;
    struct err e;
    enum precision_choice c;
    const struct str m = LIT("n");
    const enum precision usable = cpu_flags() & CPU_BF16 ? PRECISION_BF16 : PRECISION_F32;
    assert_ok(precision_parse(LIT("auto"), &c, &e));
    assert_true(c == CHOOSE_AUTO);
    assert_fails(precision_parse(LIT("f16"), &c, &e), INVALID, "'f16'");
    assert_true(precision_of(store, m, 1, CHOOSE_BF16) == PRECISION_BF16);
    assert_true(precision_of(store, m, 1, CHOOSE_AUTO) == PRECISION_F32);
    assert_ok(quality_put(store, m, 1, &good, &e));
    assert_true(precision_of(store, m, 1, CHOOSE_AUTO) == usable);
    assert_true(precision_of(store, m, 1, CHOOSE_DEFAULT) == PRECISION_F32);
    assert_true(precision_of(store, m, 1, CHOOSE_F32) == PRECISION_F32);
    assert_true(precision_of(store, m, 2, CHOOSE_AUTO) == PRECISION_F32);
    assert_ok(
        store_fact_put(store, LIT("quality"), LIT("n@2 bf16"), LIT("{\"samples\": oops"), &e));
    assert_true(precision_of(store, m, 2, CHOOSE_AUTO) == PRECISION_F32);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, open_store, close_store);
}
