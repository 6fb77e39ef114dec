/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/probe.c"

#include "../base/check.h"

static struct err e;

static int hits(struct probes *all, const char *model, int asks) {
    int n = 0;
    for (int i = 0; i < asks; i++)
        n += probe_hit(all, str_of(model));
    return n;
}

static void test_rate_and_count(void **state) {
    (void)state;
    struct probes all;
    struct probe p;
    probes_init(&all);
    assert_int_equal(hits(&all, "m", 10), 0); /* off at first */
    assert_ok(probe_put(&all, (struct str){0}, &(struct probe){true, 3, -1}, &e));
    assert_int_equal(hits(&all, "m", 9), 3);
    assert_true(probe_hit(&all, LIT("m"))); /* the first of three */
    assert_false(probe_hit(&all, LIT("m")));
    assert_ok(probe_put(&all, (struct str){0}, &(struct probe){true, 2, 2}, &e));
    assert_int_equal(hits(&all, "m", 100), 2);
    probe_of(&all, LIT("m"), &p);
    assert_true(p.on && p.rate == 2 && p.count == 0);
    assert_int_equal(hits(&all, "", 10), 0); /* a request for no model */
    probes_deinit(&all);
}

static void test_models_of_their_own(void **state) {
    (void)state;
    struct probes all;
    struct probe p;
    probes_init(&all);
    assert_ok(probe_put(&all, LIT("own"), &(struct probe){true, 1, -1}, &e));
    assert_int_equal(hits(&all, "own", 5), 5);
    assert_int_equal(hits(&all, "others", 5), 0);
    probe_of(&all, LIT("others"), &p);
    assert_true(!p.on && p.rate == RATE && p.count == -1);
    assert_ok(probe_put(&all, LIT("own"), &(struct probe){false, 1, -1}, &e));
    assert_false(atomic_load(&all.any));
    probes_deinit(&all);
}

static void test_limits(void **state) {
    (void)state;
    struct probes all;
    char name[PROBE_NAME + 2];
    const struct probe on = {true, 1, -1};
    probes_init(&all);
    memset(name, 'x', sizeof name);
    assert_ok(probe_put(&all, (struct str){name, PROBE_NAME}, &on, &e));
    assert_true(probe_hit(&all, (struct str){name, PROBE_NAME}));
    assert_false(probe_hit(&all, (struct str){name, PROBE_NAME + 1}));
    assert_fails(probe_put(&all, (struct str){name, PROBE_NAME + 1}, &on, &e), INVALID,
                 "at most 128 bytes");
    for (int i = 1; i < PROBE_MODELS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_ok(probe_put(&all, str_of(name), &on, &e));
    }
    assert_fails(probe_put(&all, LIT("one more"), &on, &e), LIMIT, "more than 64 models");
    assert_ok(probe_put(&all, LIT("m1"), &on, &e)); /* those that are known may still change */
    probes_deinit(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_and_count),
        cmocka_unit_test(test_models_of_their_own),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
