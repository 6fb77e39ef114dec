/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of batch_normalization, instance_normalization and group_normalization. */
#include "op/norm.c"

#include "op_case.h"

static void tolerant(struct op_case *c, enum dtype t) {
    c->relative = c->absolute = t == DT_F16 ? 4e-3 : t == DT_BF16 ? 4e-2 : 2e-5;
}

static struct tensor like(struct op_case *c, const struct tensor *x) {
    struct tensor y = *x;
    y.data = arena_push_aligned(&c->arena, tensor_bytes(x) + 1, 64);
    return y;
}

/* Positive numbers, for variances. */
static struct tensor positive(struct op_case *c, enum dtype t, struct shape s, uint64_t seed) {
    struct tensor v = op_case_random(c, t, s, seed);
    for (size_t k = 0; k < tensor_count(&v); k++)
        operand_put(&v, k, fabs(tensor_f64(&v, k)) + 0.25);
    return v;
}

static void batch(enum dtype dtype, struct shape dims, bool constant) {
    struct op_case c = op_case("batch_normalization", 15);
    struct shape table = DIMS(dims.dims[1]);
    struct tensor x = op_case_random(&c, dtype, dims, 1), y = like(&c, &x);
    struct tensor scale = op_case_random(&c, dtype, table, 2),
                  shift = op_case_random(&c, dtype, table, 3),
                  mean = op_case_random(&c, dtype, table, 4), var = positive(&c, dtype, table, 5);
    size_t pixels = tensor_count(&x) / (size_t)(dims.dims[0] * dims.dims[1]);
    for (size_t k = 0; k < tensor_count(&x); k++) {
        size_t ch = k / pixels % (size_t)dims.dims[1];
        double v = (tensor_f64(&x, k) - tensor_f64(&mean, ch)) /
                   sqrt(tensor_f64(&var, ch) + (double)1e-3f);
        operand_put(&y, k, v * tensor_f64(&scale, ch) + tensor_f64(&shift, ch));
    }
    op_case_float(&c, "epsilon", 1e-3f);
    op_case_in(&c, x);
    op_case_in(&c, scale);
    op_case_in(&c, shift);
    op_case_in(&c, mean);
    op_case_in(&c, var);
    op_case_out(&c, y);
    c.constant = constant ? 0x1e : 0;
    tolerant(&c, dtype);
    op_case_check(&c);
}

static void batch_over_sizes_and_types(void **state) {
    (void)state;
    static const int64_t n[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) {
        batch(DT_F32, DIMS(2, n[k], 3, 3), k & 1);
        batch(DT_F32, DIMS(2, 3, n[k], 2), true);
        batch(DT_F32, DIMS(5, n[k]), true);
    }
    batch(DT_F64, DIMS(2, 3, 4, 5), true);
    batch(DT_F16, DIMS(2, 3, 4, 5), true);
    batch(DT_BF16, DIMS(2, 3, 17), true);
    batch(DT_F32, DIMS(1, 2, 100, 100), true);
}

static void batch_in_training(void **state) {
    (void)state;
    struct op_case c = op_case("batch_normalization", 15), old = op_case("batch_normalization", 9);
    op_case_int(&c, "training_mode", 1);
    struct op_case *both[] = {&c, &old};
    for (int k = 0; k < 2; k++) {
        op_case_float(both[k], "epsilon", 0);
        op_case_in(both[k], T_F32(DIMS(2, 2, 1), 1, 2, 3, 6));
        op_case_in(both[k], T_F32(DIMS(2), 1, 2));
        op_case_in(both[k], T_F32(DIMS(2), 0, 1));
        op_case_in(both[k], T_F32(DIMS(2), 0, 10));
        op_case_in(both[k], T_F32(DIMS(2), 1, 1));
        op_case_out(both[k], T_F32(DIMS(2, 2, 1), -1, -1, 1, 3));
        op_case_out(both[k], T_F32(DIMS(2), 0.2f, 9.4f));
        op_case_out(both[k], T_F32(DIMS(2), 1, 1.3f));
    }
    op_case_check(&c);
    op_case_out(&old, T_F32(DIMS(2), 2, 4));
    op_case_out(&old, T_F32(DIMS(2), 1, 4));
    op_case_check(&old);
}

static void batch_per_position(void **state) {
    (void)state;
    struct op_case c = op_case("batch_normalization", 7);
    op_case_int(&c, "spatial", 0);
    op_case_float(&c, "epsilon", 0);
    op_case_in(&c, T_F32(DIMS(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8));
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 10, 100, 1000));
    op_case_in(&c, T_F32(DIMS(2, 2), 0, 0, 0, 1));
    op_case_in(&c, T_F32(DIMS(2, 2), 0, 0, 1, 0));
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 1, 4, 1));
    op_case_out(&c, T_F32(DIMS(2, 2, 2), 1, 20, 100, 4001, 5, 60, 300, 8001));
    op_case_check(&c);
}

static void batch_with_posts(void **state) {
    (void)state;
    struct op_case c = op_case("batch_normalization", 15);
    op_case_float(&c, "epsilon", 0);
    op_case_in(&c, T_F32(DIMS(1, 2, 1, 2), 1, -2, 3, -4));
    for (int k = 0; k < 4; k++)
        op_case_in(&c, T_F32(DIMS(2), k == 0 || k == 3, k == 0 || k == 3));
    op_case_in(&c, T_F32(DIMS(1, 2, 1, 2), 10, 20, 30, 40));
    c.post[0] = (struct post){.kind = POST_RELU};
    c.post[1] = (struct post){.kind = POST_ADD, .input = 5};
    c.n_post = 2;
    op_case_out(&c, T_F32(DIMS(1, 2, 1, 2), 11, 20, 33, 40));
    op_case_check(&c);
}

/* groups of 0: instance_normalization. per_group: opset 18. */
static void grouped(enum dtype dtype, struct shape dims, int64_t groups, bool per_group) {
    struct op_case c = op_case(groups ? "group_normalization" : "instance_normalization",
                               groups && per_group ? 18 : 21);
    size_t channels = (size_t)dims.dims[1], n = groups ? (size_t)groups : channels;
    size_t each = channels / n;
    struct shape table = DIMS((int64_t)(per_group ? n : channels));
    struct tensor x = op_case_random(&c, dtype, dims, 1), y = like(&c, &x),
                  scale = op_case_random(&c, dtype, table, 2),
                  shift = op_case_random(&c, dtype, table, 3);
    size_t span = tensor_count(&x) / (size_t)dims.dims[0] / n, pixels = span / each;
    for (size_t g = 0; g < (size_t)dims.dims[0] * n; g++) {
        double sum = 0, squares = 0;
        for (size_t k = 0; k < span; k++)
            sum += tensor_f64(&x, g * span + k);
        for (size_t k = 0; k < span; k++)
            squares += pow(tensor_f64(&x, g * span + k) - sum / (double)span, 2);
        for (size_t k = 0; k < span; k++) {
            size_t at = per_group ? g % n : (g % n) * each + k / pixels;
            double v = (tensor_f64(&x, g * span + k) - sum / (double)span) /
                       sqrt(squares / (double)span + (double)1e-5f);
            operand_put(&y, g * span + k, v * tensor_f64(&scale, at) + tensor_f64(&shift, at));
        }
    }
    if (groups)
        op_case_int(&c, "num_groups", groups);
    op_case_in(&c, x);
    op_case_in(&c, scale);
    op_case_in(&c, shift);
    op_case_out(&c, y);
    tolerant(&c, dtype);
    c.absolute *= 4;
    op_case_check(&c);
}

static void instances_and_groups(void **state) {
    (void)state;
    static const int64_t n[] = {3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) {
        grouped(DT_F32, DIMS(2, 3, n[k]), 0, false);
        grouped(DT_F32, DIMS(2, n[k], 3, 3), 0, false);
        grouped(DT_F32, DIMS(2, 2 * n[k], 3, 3), 2, false);
    }
    grouped(DT_F32, DIMS(2, 6, 5, 7), 3, true);
    grouped(DT_F32, DIMS(1, 300, 8, 9), 3, false);
    grouped(DT_F64, DIMS(2, 6, 5, 7), 3, false);
    grouped(DT_F64, DIMS(2, 6, 5, 7), 0, false);
    grouped(DT_F16, DIMS(2, 6, 5, 7), 3, false);
    grouped(DT_F32, DIMS(1, 4, 60, 60), 0, false);
}

static void wrong_tables_are_refused(void **state) {
    (void)state;
    struct op_case c = op_case("instance_normalization", 6), g = op_case("group_normalization", 21);
    op_case_in(&c, T_F32(DIMS(1, 2, 1), 1, 2));
    op_case_in(&c, T_F32(DIMS(3), 1, 1, 1));
    op_case_in(&c, T_F32(DIMS(2), 0, 0));
    op_case_out(&c, T_F32(DIMS(1, 2, 1), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "input 1 has 3 elements, 2 were expected");
    op_case_int(&g, "num_groups", 2);
    op_case_in(&g, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_in(&g, T_F32(DIMS(3), 1, 1, 1));
    op_case_in(&g, T_F32(DIMS(3), 0, 0, 0));
    op_case_out(&g, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_refuse(&g, ERR_INVALID, "3 channels do not make 2 groups");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_over_sizes_and_types), cmocka_unit_test(batch_in_training),
        cmocka_unit_test(batch_per_position),         cmocka_unit_test(batch_with_posts),
        cmocka_unit_test(instances_and_groups),       cmocka_unit_test(wrong_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
