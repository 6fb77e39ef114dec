/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen by a curve: every rule once, with numbers told to it. */
#include "host/curve.c"

#include "../base/check.h"

#define FOREVER 1e18

static struct curve c;

/* A run of 2^k rows takes ns[k] for each of them. */
static void tell(int cores, size_t n, const double *ns) {
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < EXPLORE_RUNS; i++)
            curve_learn(&c, (int64_t)1 << k, cores, (uint64_t)(ns[k] * (double)((int64_t)1 << k)));
}

static int begin(void **state) {
    (void)state;
    c = (struct curve){0};
    return 0;
}

static void chosen(int64_t rows, double most_ns, bool free, int64_t want_rows, int want_cores) {
    struct curve_choice to = curve_choose(&c, rows, most_ns, free, 2);
    assert_int_equal(to.rows, want_rows);
    assert_int_equal(to.cores, want_cores);
}

static void unknown_goes_first(void **state) {
    (void)state;
    chosen(8, FOREVER, true, 1, 1);
    tell(1, 1, (double[]){100});
    chosen(8, FOREVER, true, 2, 1);
    tell(1, 4, (double[]){100, 100, 100, 100});
    chosen(8, FOREVER, false, 1, 0); /* all of it costs the same: nobody waits for others */
    chosen(8, FOREVER, true, 1, 2);  /* the team is not known yet */
    chosen(1, FOREVER, false, 1, 0);
}

/* ResNet-50: a team answers one row sooner and costs more. */
static void joining_that_does_not_pay(void **state) {
    (void)state;
    tell(1, 4, (double[]){27.4e6, 26.9e6, 28e6, 30e6});
    tell(2, 4, (double[]){16.6e6, 14.6e6, 14.6e6, 15.6e6});
    chosen(8, FOREVER, true, 1, 0);
    chosen(8, 20e6, true, 1, 2); /* a deadline that one core does not meet */
    assert_true(curve_single(&c) == 27.4e6 && curve_row(&c) < 27e6);
    assert_true(curve_soonest(&c, 1, 2) < 15e6 && curve_soonest(&c, 1, 1) < 27e6);
}

/* Weights that are read once for all rows. */
static void joining_that_pays(void **state) {
    int64_t rows;
    (void)state;
    tell(1, 4, (double[]){8e6, 4e6, 2e6, 1e6});
    tell(2, 4, (double[]){8e6, 4e6, 2e6, 0.3e6});
    chosen(8, FOREVER, false, 8, 0);
    chosen(5, FOREVER, false, 4, 0);
    chosen(8, FOREVER, true, 8, 2);
    tell(1, 5, (double[]){8e6, 4e6, 2e6, 1e6, 1e6});
    chosen(16, 8e6, false, 8, 0);
    assert_true(curve_saving(&c, 32, &rows) == 7e6);
    assert_int_equal(rows, 8);
    assert_true(curve_saving(&c, 1, &rows) == 0);
}

static void nothing_is_saved(void **state) {
    int64_t rows;
    (void)state;
    assert_true(curve_saving(&c, 32, &rows) == 0);
    tell(1, 2, (double[]){10, 9});
    assert_true(curve_saving(&c, 32, &rows) == 0);
}

/* What is larger than anything measured is not guessed from single rows. */
static void a_lower_bound(void **state) {
    (void)state;
    assert_true(curve_run(&c, 100) == 0 && curve_single(&c) == 0);
    tell(2, 1, (double[]){10});
    assert_true(curve_single(&c) == 20 && curve_row(&c) == 20);
    assert_true(curve_run(&c, 1) == 20 && curve_run(&c, 100) == 40);
    assert_true(curve_soonest(&c, 1, 2) == 10);
}

static void one_outlier(void **state) {
    (void)state;
    tell(1, 1, (double[]){100});
    curve_learn(&c, 1, 1, 1000000);
    assert_true(curve_single(&c) < 140);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unknown_goes_first, begin),
        cmocka_unit_test_setup(joining_that_does_not_pay, begin),
        cmocka_unit_test_setup(joining_that_pays, begin),
        cmocka_unit_test_setup(nothing_is_saved, begin),
        cmocka_unit_test_setup(a_lower_bound, begin),
        cmocka_unit_test_setup(one_outlier, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
