/* SPDX-License-Identifier: Apache-2.0 */
/* What stays within a memory budget of 100 bytes: three versions of 40, in the order they were
 * used: "a", "b", "c". */
#include "host/budget.c"

#include "table.h"

static struct host h;

static struct live *version_of(const char *model) {
    return route_find(&h, str_of(model))->lives[0];
}

static bool is_loaded(const char *model) {
    return atomic_load(&version_of(model)->state) == LIVE_READY;
}

static int begin(void **state) {
    static const char *const names[] = {"a", "b", "c"};
    (void)state;
    table_open(&h);
    h.options.memory_bytes = 100;
    for (size_t i = 0; i < 3; i++) {
        struct live *l = table_add(&h, names[i], 1)->lives[0];
        l->bytes = 40;
        atomic_store(&l->touched_ns, i + 1);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    table_close(&h);
    return 0;
}

static void the_least_used_goes(void **state) {
    (void)state;
    assert_false(budget_room(&h, 40, false)); /* nobody else goes for it */
    assert_true(is_loaded("a") && is_loaded("b") && is_loaded("c"));
    assert_true(budget_room(&h, 40, true));
    assert_true(!is_loaded("a") && !is_loaded("b") && is_loaded("c"));
    assert_true(budget_room(&h, 60, false));
    assert_false(budget_room(&h, 61, false));
    h.options.memory_bytes = 0;
    assert_true(budget_room(&h, 1 << 30, false));
}

static void what_is_pinned_or_busy_stays(void **state) {
    (void)state;
    version_of("a")->policy.pin = true;
    atomic_store(&version_of("b")->waiting, 1);
    assert_true(budget_room(&h, 20, true));
    assert_true(is_loaded("a") && is_loaded("b") && !is_loaded("c"));
    assert_false(budget_room(&h, 40, true)); /* there is nothing left that may go */
    assert_true(is_loaded("a") && is_loaded("b"));
}

/* It comes back as its model is meant to be treated, whatever the store says meanwhile. */
static void its_policy_stays(void **state) {
    struct policy p;
    struct live_limits limits;
    (void)state;
    policy_default(&p);
    p.priority = PRIORITY_LOW;
    p.batch = 4;
    p.queue = 5;
    p.instances = 6;
    p.wait = 7;
    p.weight = 8;
    p.capture = 0.5;
    p.precision = CHOOSE_BF16;
    struct live *before = version_of("a");
    entry_take_policy(before, &p);
    assert_true(budget_room(&h, 20, true));
    const struct live *l = version_of("a");
    assert_true(l != before && !is_loaded("a"));
    live_limits(l, &limits);
    assert_true(limits.priority == PRIORITY_LOW && limits.batch == 4 && limits.queue == 5);
    assert_true(limits.instances == 6 && limits.wait_us == 7 && l->weight == 8);
    assert_true(l->capture_share == 500000 && l->policy.precision == CHOOSE_BF16);
}

/* What was loaded a moment ago is waited for; the one that is being noted stays in any case. */
static void the_young_stay(void **state) {
    (void)state;
    struct live *a = version_of("a");
    a->loaded_ns = clock_ns() + 20000000 - YOUNG_NS; /* for 20 ms more */
    version_of("b")->policy.pin = version_of("c")->policy.pin = true;
    assert_true(budget_room(&h, 20, true));
    assert_true(!is_loaded("a") && is_loaded("b") && is_loaded("c"));
    version_of("b")->policy.pin = false;
    h.options.memory_bytes = 10;
    budget_note(&h, version_of("c"));
    assert_true(is_loaded("c") && !is_loaded("b"));
    assert_int_equal(version_of("c")->bytes, 0); /* it maps nothing */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_used_goes, begin, end),
        cmocka_unit_test_setup_teardown(what_is_pinned_or_busy_stays, begin, end),
        cmocka_unit_test_setup_teardown(its_policy_stays, begin, end),
        cmocka_unit_test_setup_teardown(the_young_stay, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
