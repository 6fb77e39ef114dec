/* SPDX-License-Identifier: Apache-2.0 */
/* From names to versions: what is found, what stands in for what was withdrawn, what is said of the
 * rest, and that nobody's reference is lost. */
#include "host/route.c"

#include "table.h"

static struct host h;
static struct err e;

static uint64_t asked(const char *model, uint64_t version, const char *alias) {
    struct live *l;
    if (route_ask(&h, str_of(model), version, str_of(alias), &l, NULL, &e) != OK)
        return 0;
    uint64_t found = l->version;
    live_unref(l);
    return found;
}

static void by_name(void **state) {
    (void)state;
    table_open(&h);
    static const char *const names[] = {"m", "b", "z", "a", "mm"};
    for (size_t i = 0; i < 5; i++)
        table_add(&h, names[i], i + 1);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(asked(names[i], 0, ""), i + 1);
    for (size_t i = 1; i < h.n_models; i++) /* which is what lower_bound needs */
        assert_true(strcmp(h.models[i - 1]->name, h.models[i]->name) < 0);
    assert_int_equal(asked("z", 2, ""), 2);
    assert_int_equal(asked("z", 4, ""), 0);
    assert_non_null(strstr(e.text, "'z' version 4 is not found"));
    assert_int_equal(asked("z", 0, "prod"), 0);
    assert_non_null(strstr(e.text, "'z' has no alias 'prod'"));
    route_drop(&h, "b");
    route_drop(&h, "nobody");
    assert_int_equal(asked("b", 0, ""), 0);
    assert_non_null(strstr(e.text, "unknown model: 'b'"));
    assert_int_equal(h.n_models, 4);
    table_close(&h);
}

/* Another entry of the same name takes its place; who holds a version keeps it. */
static void an_entry_is_replaced(void **state) {
    struct live *held;
    (void)state;
    table_open(&h);
    table_add(&h, "m", 1);
    assert_ok(route_ask(&h, LIT("m"), 0, (struct str){0}, &held, NULL, &e));
    table_add(&h, "m", 3);
    assert_int_equal(h.n_models, 1);
    assert_int_equal(asked("m", 0, ""), 3);
    assert_int_equal(atomic_load(&held->refs), 1);
    live_unref(held);
    table_close(&h);
}

static void what_was_withdrawn(void **state) {
    (void)state;
    table_open(&h);
    struct route_model *m = table_add(&h, "m", 3); /* 3, 2, 1 */
    table_alias(m, "prod", m->lives[0], m->lives[1]);
    table_alias(m, "old", m->lives[2], NULL);
    m->before = live_ref(m->lives[2]);
    atomic_store(&m->lives[0]->withdrawn, BY_HAND);
    atomic_store(&m->lives[2]->withdrawn, BY_HAND);
    assert_int_equal(asked("m", 0, "prod"), 2);
    assert_int_equal(asked("m", 0, "old"), 1); /* nothing to go back to */
    assert_int_equal(asked("m", 0, ""), 3);    /* nor here: the one before is withdrawn, too */
    atomic_store(&m->lives[2]->withdrawn, NOT_WITHDRAWN);
    assert_int_equal(asked("m", 0, ""), 1);
    assert_int_equal(asked("m", 3, ""), 3); /* by its number it is there */
    atomic_store(&m->lives[1]->state, LIVE_FAILED);
    assert_int_equal(asked("m", 0, "prod"), 3);
    table_close(&h);
}

static void a_split_decides_for_the_name_alone(void **state) {
    struct split *split = NULL;
    struct live *l;
    (void)state;
    table_open(&h);
    struct route_model *m = table_add(&h, "m", 2);
    m->split = split_new(&(struct rollout){.n_arms = 0});
    assert_ok(route_ask(&h, LIT("m"), 0, (struct str){0}, &l, &split, &e));
    assert_ptr_equal(split, m->split);
    split_unref(split);
    live_unref(l);
    assert_ok(route_ask(&h, LIT("m"), 1, (struct str){0}, &l, &split, &e));
    assert_null(split);
    live_unref(l);
    assert_false(route_by_hand(&h, LIT("m")));
    route_set_by_hand(&h, m, true);
    assert_true(route_by_hand(&h, LIT("m")) && !route_by_hand(&h, LIT("n")));
    table_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_name),
        cmocka_unit_test(an_entry_is_replaced),
        cmocka_unit_test(what_was_withdrawn),
        cmocka_unit_test(a_split_decides_for_the_name_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
