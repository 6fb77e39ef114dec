/* SPDX-License-Identifier: Apache-2.0 */
/* What classic models do with the numbers of a row. */
#include "op/scores.c"

#include "op_case.h"

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g, expected %.9g", got, want);
}

static void finishing(void **state) {
    (void)state;
    double v[3] = {1, 2, 3};
    scores_finish(SCORES_NONE, v, 3);
    near(v[2], 3, 0);
    scores_finish(SCORES_SOFTMAX, v, 3);
    near(v[0], 0.0900306, 1e-6);
    near(v[0] + v[1] + v[2], 1, 1e-12);
    double big[2] = {1e4, 1e4 - 1}; /* no overflow */
    scores_finish(SCORES_SOFTMAX, big, 2);
    near(big[0], 0.7310586, 1e-6);
    double l[2] = {0, -800};
    scores_finish(SCORES_LOGISTIC, l, 2);
    near(l[0], 0.5, 0);
    near(l[1], 0, 1e-300);
    double p[2] = {0.5, 0.8413447};
    scores_finish(SCORES_PROBIT, p, 2);
    near(p[0], 0, 1e-9);
    near(p[1], 1, 2e-3);
}

/* An exact zero stays what a zero is, beside others. */
static void zeros_stay(void **state) {
    (void)state;
    double v[3] = {0, 1, 2};
    scores_finish(SCORES_SOFTMAX_ZERO, v, 3);
    near(v[0], 0, 0);
    near(v[2] / v[1], 2.7182818, 1e-6);
}

static void one_number_for_two(void **state) {
    (void)state;
    double out[2];
    scores_of_binary(SCORES_LOGISTIC, false, 1, out);
    near(out[0], 0.26894143, 1e-7);
    near(out[1], 0.73105857, 1e-7);
    scores_of_binary(SCORES_NONE, true, 0.25, out);
    near(out[0], 0.75, 0);
    scores_of_binary(SCORES_NONE, false, 0.25, out);
    near(out[0], -0.25, 0);
    near(out[1], 0.25, 0);
}

static void the_first_of_the_largest(void **state) {
    (void)state;
    assert_int_equal(scores_top((double[]){1, 3, 3, 2}, 4), 1);
    assert_int_equal(scores_top((double[]){-INFINITY}, 1), 0);
    assert_int_equal(scores_top((double[]){NAN, 1}, 2), 0);
}

static void labels_and_words(void **state) {
    (void)state;
    struct attr attrs[2] = {{.name = LIT("classlabels_int64s"), .kind = ATTR_INTS, .n = 2},
                            {.name = LIT("post_transform"), .kind = ATTR_STR}};
    attrs[0].ints = (int64_t[]){5, 6};
    attrs[1].s = LIT("SOFTMAX_ZERO");
    struct node n = {.name = LIT("n"), .op_type = LIT("LinearClassifier"), .attrs = attrs};
    struct graph g = {0};
    struct operand_at at = {.graph = &g, .node = &n};
    struct scores_labels labels;
    enum scores_after after;
    struct err e;
    assert_int_equal(scores_labels_of(&at, &labels, &e), ERR_FORMAT);
    n.n_attrs = 2;
    assert_int_equal(scores_labels_of(&at, &labels, &e), OK);
    assert_int_equal(labels.n, 2);
    assert_int_equal(scores_labels_dtype(&labels), DT_I64);
    int64_t *room = calloc(2, sizeof(struct str)); /* of either kind */
    scores_put_label(&labels, 1, &(struct tensor){.dtype = DT_I64, .data = room}, 1);
    assert_int_equal(room[1], 6);
    free(room);
    assert_int_equal(scores_after_of(&at, &after, &e), OK);
    assert_int_equal(after, SCORES_SOFTMAX_ZERO);
}

static void rows_of_ranks(void **state) {
    (void)state;
    struct node n = {.name = LIT("n"), .op_type = LIT("LinearClassifier")};
    struct graph g = {0};
    struct operand_at at = {.graph = &g, .node = &n};
    size_t rows, features;
    struct err e;
    assert_int_equal(scores_rows(&at, &DIMS(3, 4), &rows, &features, &e), OK);
    assert_true(rows == 3 && features == 4);
    assert_int_equal(scores_rows(&at, &DIMS(4), &rows, &features, &e), OK);
    assert_true(rows == 1 && features == 4);
    assert_int_equal(scores_rows(&at, &DIMS(1, 2, 3), &rows, &features, &e), ERR_INVALID);
    assert_int_equal(scores_rows(&at, &SCALAR, &rows, &features, &e), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finishing),          cmocka_unit_test(zeros_stay),
        cmocka_unit_test(one_number_for_two), cmocka_unit_test(the_first_of_the_largest),
        cmocka_unit_test(labels_and_words),   cmocka_unit_test(rows_of_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
