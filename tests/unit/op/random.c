/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the random operators. What a seed gives was computed with numpy's RandomState. */
#include "op/random.c"

#include "op_case.h"

static void a_seed_gives_numpys_numbers(void **state) {
    (void)state;
    struct op_case uniform = op_case("random_uniform", 22), normal = op_case("random_normal", 22);
    op_case_float(&uniform, "seed", 0);
    op_case_ints(&uniform, "shape", 1, (int64_t[]){4});
    op_case_out(&uniform, T_F32(DIMS(4), 0.5488135F, 0.71518937F, 0.60276338F, 0.54488318F));
    op_case_check(&uniform);
    op_case_float(&normal, "seed", 0);
    op_case_float(&normal, "mean", 1);
    op_case_float(&normal, "scale", 2);
    op_case_int(&normal, "dtype", 11);
    op_case_ints(&normal, "shape", 2, (int64_t[]){1, 3});
    op_case_out(&normal, T_F64(DIMS(1, 3), 1 + 2 * 1.764052345967664, 1 + 2 * 0.4001572083672233,
                               1 + 2 * 0.9787379841057392));
    op_case_check(&normal);
}

/* Mean and variance of many numbers. */
static void moments(struct op_case *c, double *mean, double *variance) {
    op_case_run(c);
    size_t n = tensor_count(&c->got[0]);
    double sum = 0, square = 0;
    for (size_t k = 0; k < n; k++) {
        double v = tensor_f64(&c->got[0], k);
        sum += v;
        square += v * v;
    }
    *mean = sum / (double)n;
    *variance = square / (double)n - *mean * *mean;
    arena_deinit(&c->arena);
}

static void without_a_seed_the_moments_are_right(void **state) {
    (void)state;
    double mean, variance;
    struct op_case uniform = op_case("random_uniform_like", 22),
                   normal = op_case("random_normal_like", 22), coin = op_case("bernoulli", 22);
    op_case_float(&uniform, "low", -1);
    op_case_float(&uniform, "high", 3);
    op_case_in(&uniform, op_case_random(&uniform, DT_F32, DIMS(100, 100), 1));
    op_case_out(&uniform, T_EMPTY(DT_F32, DIMS(100, 100)));
    moments(&uniform, &mean, &variance);
    assert_true(fabs(mean - 1) < 0.05);
    assert_true(fabs(variance - 16.0 / 12) < 0.05);
    op_case_in(&normal, op_case_random(&normal, DT_F32, DIMS(100, 100), 1));
    op_case_out(&normal, T_EMPTY(DT_F32, DIMS(100, 100)));
    moments(&normal, &mean, &variance);
    assert_true(fabs(mean - 0) < 0.05);
    assert_true(fabs(variance - 1) < 0.05);
    struct tensor p = op_case_random(&coin, DT_F32, DIMS(100, 100), 1);
    for (int k = 0; k < 10000; k++)
        ((float *)p.data)[k] = 0.25F;
    op_case_in(&coin, p);
    op_case_int(&coin, "dtype", 7);
    op_case_out(&coin, T_EMPTY(DT_I64, DIMS(100, 100)));
    moments(&coin, &mean, &variance);
    assert_true(fabs(mean - 0.25) < 0.02);
}

static void multinomial_follows_its_weights(void **state) {
    (void)state;
    struct op_case c = op_case("multinomial", 22);
    int counts[3] = {0};
    op_case_int(&c, "sample_size", 4000);
    op_case_in(&c, T_F32(DIMS(1, 3), 0, -INFINITY, logf(3)));
    op_case_out(&c, T_EMPTY(DT_I32, DIMS(1, 4000)));
    op_case_run(&c);
    for (int k = 0; k < 4000; k++)
        counts[((const int32_t *)c.got[0].data)[k]]++;
    assert_int_equal(counts[1], 0);
    assert_in_range(counts[0], 900, 1100);
    arena_deinit(&c.arena);
}

static void dropout_passes_on_unless_training(void **state) {
    (void)state;
    for (int opset = 7; opset <= 13; opset += 3) {
        struct op_case c = op_case("dropout", opset);
        op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_out(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_out(&c, opset < 10 ? T_F32(DIMS(3), 1, 1, 1) : T_BOOL(DIMS(3), 1, 1, 1));
        op_case_check(&c);
    }
    struct op_case zero = op_case("dropout", 13), seeded = op_case("dropout", 13),
                   wrong = op_case("dropout", 13);
    struct op_case *all[] = {&zero, &seeded, &wrong};
    static const float ratios[] = {0, 0.6F, 1};
    for (int k = 0; k < 3; k++) {
        op_case_int(all[k], "seed", 0); /* 0.5488 0.7152 0.6028: kept from the ratio on */
        op_case_in(all[k], T_F32(DIMS(3), 1, 2, 4));
        op_case_in(all[k], T_F32(SCALAR, ratios[k]));
        op_case_in(all[k], T_BOOL(SCALAR, 1));
    }
    op_case_out(&zero, T_F32(DIMS(3), 1, 2, 4));
    op_case_check(&zero);
    op_case_out(&seeded, T_F32(DIMS(3), 0, 5, 10));
    op_case_out(&seeded, T_BOOL(DIMS(3), 0, 1, 1));
    op_case_check(&seeded);
    op_case_out(&wrong, T_F32(DIMS(3), 0, 0, 0));
    op_case_refuse(&wrong, ERR_INVALID, "the ratio is 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_numpys_numbers),
        cmocka_unit_test(without_a_seed_the_moments_are_right),
        cmocka_unit_test(multinomial_follows_its_weights),
        cmocka_unit_test(dropout_passes_on_unless_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
