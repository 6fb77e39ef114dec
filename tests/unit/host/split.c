/* SPDX-License-Identifier: Apache-2.0 */
/* Where single asks of split traffic go, what stands in for an arm that cannot, and who holds which
 * version. */
#include "host/split.c"

#include "../base/check.h"

enum { MANY = 1000 };

static struct live versions[4]; /* 0: stable, 1 and 2: arms, 3: shadow */
static struct str user;

static struct str sticky(struct ask *a, enum sticky_kind kind, const char *name) {
    (void)a;
    return kind == STICKY_HEADER && strcmp(name, "x-user") == 0 ? user : (struct str){0};
}

static struct split *make(uint32_t first, uint32_t second, uint32_t shadow) {
    const struct rollout spec = {.arms = {{1, first}, {2, second}},
                                 .n_arms = (first > 0) + (second > 0),
                                 .sticky = STICKY_HEADER,
                                 .sticky_name = "x-user",
                                 .shadow = 3,
                                 .shadow_share = shadow};
    for (int i = 0; i < 4; i++) {
        versions[i] = (struct live){.version = (uint64_t)i};
        atomic_init(&versions[i].refs, 1);
        atomic_init(&versions[i].state, LIVE_READY);
    }
    struct split *s = split_new(&spec);
    s->arms[0] = live_ref(&versions[1]);
    s->arms[1] = live_ref(&versions[2]);
    s->shadow = live_ref(&versions[3]);
    if (s->spec.n_arms < 2)
        live_unref(s->arms[1]);
    if (s->spec.n_arms < 1)
        live_unref(s->arms[0]);
    return s;
}

/* Every reference taken is given back. */
static void end(struct split *s) {
    split_unref(s);
    for (int i = 0; i < 4; i++)
        assert_int_equal(atomic_load(&versions[i].refs), 1);
}

static uint64_t choose(struct split *s, const char *key) {
    struct ask a = {.model = LIT("m"), .sticky = sticky};
    user = str_of(key);
    struct live *l = split_choose(s, &a, live_ref(&versions[0]));
    uint64_t version = l->version;
    live_unref(l);
    return version;
}

static void count(struct split *s, int got[4]) {
    memset(got, 0, 4 * sizeof *got);
    for (int i = 0; i < MANY; i++)
        got[choose(s, "")]++;
}

static void test_shares_are_even(void **state) {
    (void)state;
    int got[4];
    struct split *s = make(1000, 2500, 0);
    count(s, got);
    assert_in_range(got[1], MANY / 10 - 2, MANY / 10 + 2); /* one in ten, not about one in ten */
    assert_in_range(got[2], MANY / 4 - 2, MANY / 4 + 2);
    assert_int_equal(got[0] + got[1] + got[2], MANY);
    end(s);
    s = make(ROLLOUT_WHOLE, 0, 0);
    count(s, got);
    assert_int_equal(got[1], MANY);
    end(s);
    s = make(0, 0, 0);
    count(s, got);
    assert_int_equal(got[0], MANY);
    end(s);
}

static void test_keys_stay(void **state) {
    (void)state;
    char key[16];
    struct split *s = make(3000, 3000, 0);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "user%d", i);
        uint64_t first = choose(s, key);
        assert_int_equal(choose(s, key), first);
        choose(s, ""); /* those without a key take turns of their own */
        assert_int_equal(choose(s, key), first);
    }
    end(s);
}

static void test_what_cannot_answer_gets_nothing(void **state) {
    (void)state;
    int got[4];
    struct split *s = make(5000, 2500, 0);
    atomic_store(&versions[1].state, LIVE_LOADING);
    atomic_store(&versions[2].withdrawn, true);
    count(s, got);
    assert_int_equal(got[0], MANY);
    atomic_store(&versions[1].state, LIVE_READY);
    count(s, got);
    assert_in_range(got[1], MANY / 2 - 2, MANY / 2 + 2);
    assert_int_equal(got[2], 0); /* and its share is not the other arm's */
    struct live *lost = s->arms[0];
    s->arms[0] = NULL; /* no such version any more */
    count(s, got);
    assert_int_equal(got[0], MANY);
    s->arms[0] = lost;
    end(s);
}

static void test_shadows(void **state) {
    (void)state;
    int copies = 0;
    struct split *s = make(0, 0, 2500);
    for (int i = 0; i < MANY; i++)
        copies += split_shadows(s, &versions[0]);
    assert_in_range(copies, MANY / 4 - 2, MANY / 4 + 2);
    assert_false(split_shadows(s, &versions[3])); /* of itself there is none */
    atomic_store(&versions[3].state, LIVE_DRAINING);
    for (int i = 0; i < 10; i++)
        assert_false(split_shadows(s, &versions[0]));
    end(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_are_even),
        cmocka_unit_test(test_keys_stay),
        cmocka_unit_test(test_what_cannot_answer_gets_nothing),
        cmocka_unit_test(test_shadows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
