/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the routing table, as the loading thread makes them of what a store says: a model "m"
 * with versions 3, 2, 1. Loading is a word here. */
#include "host/entry.c"

#include "table.h"

static struct host h;
static struct store_info infos[3];
static struct store_alias aliases[2];
static struct known k;

static int begin(void **state) {
    (void)state;
    table_open(&h);
    for (size_t i = 0; i < 3; i++)
        infos[i] = (struct store_info){.model = LIT("m"), .format = LIT("test"), .version = 3 - i};
    k = (struct known){.infos = infos, .n = 3, .aliases = aliases};
    policy_default(&k.policy);
    return 0;
}

static int end(void **state) {
    (void)state;
    table_close(&h);
    return 0;
}

static const struct route_model *entry(void) { return route_find(&h, LIT("m")); }

static struct live *version_of(uint64_t version) { return entry_live(entry(), version); }

static void set(uint64_t version, enum live_state s) {
    atomic_store(&version_of(version)->state, s);
}

static void name(size_t i, const char *text, uint64_t version, uint64_t previous) {
    aliases[i] = (struct store_alias){
        .model = LIT("m"), .name = str_of(text), .version = version, .previous = previous};
    k.n_aliases = i + 1;
}

static uint64_t alias_at(const char *text) {
    struct live *l = alias_of(entry(), str_of(text));
    return l ? l->version : 0;
}

/* As follow_model does it: what is wanted is loaded between the two. */
static void follow(void) {
    entry_publish_known(&h, &k);
    for (size_t i = 0; i < k.n; i++)
        if (entry_wants(&h, &k, version_of(infos[i].version)) &&
            atomic_load(&version_of(infos[i].version)->state) == LIVE_UNLOADED)
            set(infos[i].version, LIVE_READY);
    entry_publish_final(&h, &k);
}

static void the_newest_is_meant(void **state) {
    (void)state;
    entry_publish_known(&h, &k);
    assert_true(entry()->chosen == version_of(3)); /* not there yet: asks for it wait */
    assert_int_equal(atomic_load(&entry()->chosen->state), LIVE_UNLOADED);
    assert_true(entry_wants(&h, &k, version_of(3)) && !entry_wants(&h, &k, version_of(2)));
    set(3, LIVE_FAILED);
    assert_true(entry_wants(&h, &k, version_of(2))); /* then the one before it is */
    set(2, LIVE_READY);
    entry_publish_final(&h, &k);
    assert_true(entry()->chosen == version_of(2));
    k.policy.pin = true;
    name(0, "prod", 1, 0); /* a name goes before numbers */
    follow();
    assert_true(entry()->chosen == version_of(1) && version_of(1)->policy.pin);
    assert_int_equal(atomic_load(&version_of(2)->state), LIVE_UNLOADED); /* nobody asks for it */
    assert_true(version_of(2)->policy.pin); /* and it is as the model is to be treated */
}

/* It stays where it was until the version it moves to is there. */
static void a_name_moves_to_what_is_ready(void **state) {
    (void)state;
    name(0, "prod", 1, 0);
    follow();
    assert_int_equal(alias_at("prod"), 1);
    name(0, "prod", 3, 1);
    entry_publish_known(&h, &k);
    assert_int_equal(alias_at("prod"), 1);
    assert_true(entry()->chosen == version_of(1));
    set(3, LIVE_FAILED);
    entry_publish_final(&h, &k);
    assert_int_equal(alias_at("prod"), 1);
    set(3, LIVE_READY);
    entry_publish_final(&h, &k);
    assert_int_equal(alias_at("prod"), 3);
    assert_true(entry()->chosen == version_of(3) && entry()->before == version_of(1));
    assert_int_equal(atomic_load(&version_of(1)->state), LIVE_READY); /* kept warm */
    k.n_aliases = 0;
    follow();
    assert_int_equal(alias_at("prod"), 0);
}

static void what_is_withdrawn_is_forgiven(void **state) {
    (void)state;
    name(0, "prod", 3, 1);
    follow();
    atomic_store(&version_of(3)->withdrawn, BY_CIRCUIT);
    follow(); /* the name did not move: it stays so */
    assert_int_equal(version_of(3)->withdrawn, BY_CIRCUIT);
    name(0, "prod", 1, 3);
    follow();
    assert_int_equal(version_of(3)->withdrawn, BY_CIRCUIT);
    name(0, "prod", 3, 1);
    follow();
    assert_int_equal(version_of(3)->withdrawn, NOT_WITHDRAWN);
    atomic_store(&version_of(3)->withdrawn, BY_HAND);
    name(0, "prod", 1, 3);
    follow();
    assert_int_equal(version_of(3)->withdrawn, NOT_WITHDRAWN); /* one may go back to it */
}

static void unloaded_by_hand(void **state) {
    (void)state;
    follow();
    route_set_by_hand(&h, route_find(&h, LIT("m")), true);
    entry_publish_final(&h, &k);
    assert_null(entry()->chosen);
    for (uint64_t v = 1; v <= 3; v++)
        assert_int_equal(atomic_load(&version_of(v)->state), LIVE_UNLOADED);
    h.options.explicit_only = true; /* a model seen for the first time is left alone */
    route_drop(&h, "m");
    entry_publish_known(&h, &k);
    assert_true(entry()->by_hand && !entry()->chosen);
}

static void wishes(void **state) {
    struct wish wish[2] = {{.ref = {.model = LIT("m"), .version = 2}},
                           {.ref = {.model = LIT("m"), .version = 1}}};
    (void)state;
    h.wishes = wish;
    h.options.n_models = 2;
    name(0, "prod", 3, 0);
    follow();
    assert_true(entry()->chosen == version_of(2)); /* the first says what the name alone means */
    for (uint64_t v = 1; v <= 3; v++)
        assert_int_equal(atomic_load(&version_of(v)->state), LIVE_READY);
    wish[0].ref = (struct store_ref){.model = LIT("m"), .alias = LIT("prod")};
    h.options.n_models = 1;
    follow();
    assert_true(entry()->chosen == version_of(3));
    h.wishes = NULL;
    h.options.n_models = 0;
}

/* Wherever the one stood the other stands, and nothing else has changed. */
static void one_in_the_place_of_another(void **state) {
    (void)state;
    name(0, "prod", 3, 2);
    name(1, "old", 1, 3);
    k.rollout = (struct rollout){.arms = {{3, 100}, {1, 100}}, .n_arms = 2, .shadow = 3};
    follow();
    struct live *before = live_ref(version_of(3)), *fresh = live_new(LIT("m"), &infos[0]);
    assert_true(entry_replace(&h, before, fresh));
    const struct route_model *m = entry();
    assert_true(m->chosen == fresh && version_of(3) == fresh && m->before == version_of(2));
    assert_true(m->aliases[0].live == fresh && m->aliases[0].previous == version_of(2));
    assert_true(m->aliases[1].live == version_of(1) && m->aliases[1].previous == fresh);
    assert_true(m->split->arms[0] == fresh && m->split->arms[1] == version_of(1));
    assert_true(m->split->shadow == fresh);
    assert_int_equal(atomic_load(&before->refs), 1); /* ours */
    struct live elsewhere = {.model = (char *)(uintptr_t) "nobody"};
    assert_false(entry_replace(&h, &elsewhere, fresh));
    live_unref(before);
    live_unref(fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_is_meant, begin, end),
        cmocka_unit_test_setup_teardown(a_name_moves_to_what_is_ready, begin, end),
        cmocka_unit_test_setup_teardown(what_is_withdrawn_is_forgiven, begin, end),
        cmocka_unit_test_setup_teardown(unloaded_by_hand, begin, end),
        cmocka_unit_test_setup_teardown(wishes, begin, end),
        cmocka_unit_test_setup_teardown(one_in_the_place_of_another, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
