/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads, over machines that are made up: what a step takes on how many is said. */
#include "base/team.c"

#include "check.h"

static int most; /* threads */

struct machine {
    double ns[9]; /* of a step of one row, by threads */
    double late;  /* part of it that each thread waits, where there are several */
};

/* Steps until `ns` have passed; returns how much of it was on `threads`. */
static double live(struct team *t, const struct machine *m, double ns, int threads) {
    double passed = 0, there = 0;
    while (passed < ns) {
        int n = team_size(t, 1, most);
        assert_in_range(n, 1, most);
        double step = m->ns[n];
        team_note(t, 1, n, most, (uint64_t)step, n > 1 ? (uint64_t)(step * m->late * n) : 0);
        passed += step;
        there += n == threads ? step : 0;
    }
    return there / passed;
}

static const struct machine own = {.ns = {[1] = 5e6, [2] = 3e6}, .late = 0.02};
static const struct machine shared = {.ns = {[1] = 8e6, [2] = 30e6}, .late = 0.7};
static const struct machine shared_well = {.ns = {[1] = 12e6, [2] = 8e6}, .late = 0.3};

static void cores_of_ones_own_are_all_used(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    assert_true(live(&t, &own, 20e9, 2) == 1);
}

static void shared_cores_are_used_by_one(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    assert_true(live(&t, &own, 1e9, 2) == 1);
    live(&t, &shared, 0.3e9, 1);
    assert_int_equal(team_size(&t, 1, most), 1);
    assert_true(live(&t, &shared, 20e9, 1) > 0.9); /* trials of two are rare */
}

static void a_machine_that_is_free_again_is_used_again(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    live(&t, &shared, 20e9, 1);
    live(&t, &own, 2e9, 2);
    assert_int_equal(team_size(&t, 1, most), 2);
    assert_true(live(&t, &own, 20e9, 2) == 1);
}

static void threads_that_pay_stay_though_they_wait(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    assert_true(live(&t, &shared_well, 20e9, 2) > 0.9);
}

/* Of eight cores four are others': the best is found in steps, down and up again. */
static void half_a_machine_is_found(void **state) {
    (void)state;
    const struct machine half = {.ns = {[1] = 8e6, [2] = 4e6, [4] = 2e6, [8] = 6e6}, .late = 0.3};
    const struct machine all = {.ns = {[1] = 8e6, [2] = 4e6, [4] = 2e6, [8] = 1e6}, .late = 0.01};
    const struct machine none = {.ns = {[1] = 8e6, [2] = 9e6, [4] = 12e6, [8] = 20e6}, .late = 0.8};
    struct team t = {0};
    most = 8;
    assert_true(live(&t, &half, 20e9, 4) > 0.8);
    assert_true(live(&t, &none, 20e9, 1) > 0.8);
    assert_true(live(&t, &all, 20e9, 8) > 0.8);
}

static void each_size_of_step_has_its_own(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    live(&t, &shared, 1e9, 1);
    assert_int_equal(team_size(&t, 1, most), 1);
    assert_int_equal(team_size(&t, 2, most), 2);
    assert_int_equal(team_size(&t, 8, most), 2);
    assert_int_equal(team_size(&t, 512, most), 2);
}

/* Fewer cores than asked for say nothing about as many. */
static void what_was_not_granted_is_not_counted(void **state) {
    (void)state;
    struct team t = {0};
    most = 2;
    for (int i = 0; i < 1000; i++)
        team_note(&t, 1, 1, most, 1000000, 0);
    assert_int_equal(team_size(&t, 1, most), 2);
    assert_true(t.classes[0].now.rows == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_of_ones_own_are_all_used),
        cmocka_unit_test(shared_cores_are_used_by_one),
        cmocka_unit_test(a_machine_that_is_free_again_is_used_again),
        cmocka_unit_test(threads_that_pay_stay_though_they_wait),
        cmocka_unit_test(half_a_machine_is_found),
        cmocka_unit_test(each_size_of_step_has_its_own),
        cmocka_unit_test(what_was_not_granted_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
