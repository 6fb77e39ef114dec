/* SPDX-License-Identifier: Apache-2.0 */
#include "base/late.c"

#include "check.h"

#include <math.h>
#include <stdlib.h>

double no_such_function(double x);
#define FUNCTIONS(X) X(trunc) X(hypot)
#define ABSENT(X) X(trunc) X(no_such_function)
static struct {
    FUNCTIONS(LATE_FIELD)
    __typeof__(no_such_function) *no_such_function;
} lib;

static struct late m = LATE("libm.so.6", FUNCTIONS);
static struct late none = LATE("libnothing-of-this-name.so.1", FUNCTIONS);
static struct late part = LATE("libm.so.6", ABSENT);

static void functions_are_there_after_the_first_ask(void **state) {
    (void)state;
    struct err e;
    assert_null(lib.hypot);
    assert_int_equal(m.n_names, 2);
    assert_true(late_open(&m));
    assert_true(lib.trunc(2.5) == 2 && lib.hypot(3, 4) == 5);
    assert_true(late_open(&m));
    assert_ok(late_want(&m, "a sum", &e));
}

static void what_is_missing_is_said(void **state) {
    (void)state;
    struct err e;
    assert_false(late_open(&none));
    assert_false(late_open(&part));
    assert_false(late_open(&part)); /* tried again */
    assert_int_equal(late_want(&none, "a sum", &e), ERR_UNSUPPORTED);
    assert_string_equal(e.text,
                        "a sum needs libnothing-of-this-name.so.1, which cannot be opened here");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions_are_there_after_the_first_ask),
                                       cmocka_unit_test(what_is_missing_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
