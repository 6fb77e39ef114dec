/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the reductions. */
#include "op/reduce.c"

#include "op_case.h"

static const char *const names[] = {[SUM] = "reduce_sum",
                                    [MEAN] = "reduce_mean",
                                    [MAX] = "reduce_max",
                                    [MIN] = "reduce_min",
                                    [PROD] = "reduce_prod",
                                    [L1] = "reduce_l1",
                                    [L2] = "reduce_l2",
                                    [LOG_SUM] = "reduce_log_sum",
                                    [LOG_SUM_EXP] = "reduce_log_sum_exp",
                                    [SUM_SQUARE] = "reduce_sum_square"};

/* The definition, in doubles, over n numbers. */
static double by_definition(enum kind kind, const double *v, size_t n) {
    double sum = 0, product = 1, top = v[0], least = v[0], ones = 0, squares = 0, powers = 0;
    for (size_t k = 0; k < n; k++) {
        sum += v[k];
        product *= v[k];
        top = v[k] > top ? v[k] : top;
        least = v[k] < least ? v[k] : least;
        ones += fabs(v[k]);
        squares += v[k] * v[k];
        powers += exp(v[k]);
    }
    const double all[] = {
        [SUM] = sum,           [MEAN] = sum / (double)n, [MAX] = top,
        [MIN] = least,         [PROD] = product,         [L1] = ones,
        [L2] = sqrt(squares),  [LOG_SUM] = log(sum),     [LOG_SUM_EXP] = log(powers),
        [SUM_SQUARE] = squares};
    return all[kind];
}

/* x of shape `dims`, swept over the axes in `axes`, with keepdims. */
static void swept(enum kind kind, enum dtype dtype, struct shape dims, unsigned axes) {
    struct op_case c = op_case(names[kind], 18);
    struct tensor x = op_case_random(&c, dtype, dims, 7 + (uint64_t)kind), y = {.dtype = dtype};
    y.shape = dims;
    int64_t list[SHAPE_MAX] = {0};
    size_t n_axes = 0, n = 1;
    for (int axis = 0; axis < dims.rank; axis++)
        if (axes >> axis & 1u) {
            list[n_axes++] = axis % 2 ? axis : axis - dims.rank;
            n *= (size_t)dims.dims[axis];
            y.shape.dims[axis] = 1;
        }
    if (kind == LOG_SUM) /* of something positive */
        for (size_t k = 0; k < tensor_count(&x); k++)
            operand_put(&x, k, fabs(tensor_f64(&x, k)) + 0.5);
    y.data = arena_push_aligned(&c.arena, tensor_bytes(&y) + 1, 64);
    double *v = arena_push_aligned(&c.arena, n * sizeof *v, 64);
    int64_t x_strides[SHAPE_MAX], y_strides[SHAPE_MAX];
    shape_strides(&dims, x_strides);
    shape_strides(&y.shape, y_strides);
    for (size_t k = 0; k < tensor_count(&y); k++) {
        size_t got = 0;
        for (size_t p = 0; p < tensor_count(&x); p++) {
            size_t at = 0;
            for (int axis = 0; axis < dims.rank; axis++)
                if (!(axes >> axis & 1u))
                    at += p / (size_t)x_strides[axis] % (size_t)dims.dims[axis] *
                          (size_t)y_strides[axis];
            if (at == k)
                v[got++] = tensor_f64(&x, p);
        }
        operand_put(&y, k, by_definition(kind, v, n));
    }
    op_case_in(&c, x);
    op_case_in(&c,
               T_OF(DT_I64, int64_t, DIMS((int64_t)n_axes), list[0], list[1], list[2], list[3]));
    op_case_out(&c, y);
    c.absolute = 2e-5;
    if (dtype == DT_F16 || dtype == DT_BF16)
        c.relative = c.absolute = dtype == DT_F16 ? 2e-3 : 2e-2;
    op_case_check(&c);
}

static void every_kind_in_every_place(void **state) {
    (void)state;
    static const unsigned places[] = {0x8, 0x4, 0xC, 0x2, 0x1, 0x9, 0xA, 0xF, 0xD, 0x6};
    for (enum kind kind = SUM; kind <= SUM_SQUARE; kind++)
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            swept(kind, DT_F32, DIMS(2, 3, 4, 5), places[p]);
            swept(kind, DT_F64, DIMS(2, 3, 2, 3), places[p]);
            if (kind != PROD)
                swept(kind, DT_F16, DIMS(2, 3, 2, 3), places[p]);
        }
}

static void sizes(void **state) {
    (void)state;
    static const int64_t n[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) {
        swept(SUM, DT_F32, DIMS(3, n[k], 5), 0x2);
        swept(MEAN, DT_F32, DIMS(3, 5, n[k]), 0x2);
        swept(MEAN, DT_F32, DIMS(3, 5, n[k]), 0x4);
        swept(MAX, DT_F32, DIMS(n[k], 17), 0x1);
        swept(MIN, DT_F32, DIMS(2, n[k]), 0x2);
        swept(SUM_SQUARE, DT_F32, DIMS(1, n[k], 2, 2), 0xC);
        swept(LOG_SUM_EXP, DT_F32, DIMS(2, n[k]), 0x2);
    }
    swept(MEAN, DT_F32, DIMS(1, 1100, 3, 3), 0xC);
    swept(LOG_SUM_EXP, DT_F32, DIMS(1, 3, 700), 0x2);
}

static void one(const char *op, int opset, struct tensor x, struct tensor axes, int64_t keep,
                struct tensor y) {
    struct op_case c = op_case(op, opset);
    op_case_int(&c, "keepdims", keep);
    op_case_in(&c, x);
    op_case_in(&c, axes);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void integers(void **state) {
    (void)state;
    struct tensor x = T_I32(DIMS(2, 3), 1, -2, 3, 4, 5, -6), last = T_I64(DIMS(1), -1);
    one("reduce_sum", 13, x, last, 0, T_I32(DIMS(2), 2, 3));
    one("reduce_prod", 18, x, last, 0, T_I32(DIMS(2), -6, -120));
    one("reduce_max", 18, x, last, 1, T_I32(DIMS(2, 1), 3, 5));
    one("reduce_min", 18, x, last, 1, T_I32(DIMS(2, 1), -2, -6));
    one("reduce_l1", 18, x, last, 0, T_I32(DIMS(2), 6, 15));
    one("reduce_sum_square", 18, x, last, 0, T_I32(DIMS(2), 14, 77));
    one("reduce_mean", 18, T_I64(DIMS(2, 2), -3, -4, 9, 8), last, 0, T_I64(DIMS(2), -3, 8));
    one("reduce_max", 18, T_U8(DIMS(2, 2), 3, 200, 9, 8), last, 0, T_U8(DIMS(2), 200, 9));
    one("reduce_min", 18, T_I8(DIMS(2, 2), 3, -100, 9, 8), last, 0, T_I8(DIMS(2), -100, 8));
    one("reduce_max", 20, T_BOOL(DIMS(2, 2), 0, 1, 0, 0), last, 0, T_BOOL(DIMS(2), 1, 0));
    one("reduce_min", 20, T_BOOL(DIMS(2, 2), 0, 1, 1, 1), last, 0, T_BOOL(DIMS(2), 0, 1));
}

static void all_axes_and_none(void **state) {
    (void)state;
    struct tensor x = T_F32(DIMS(2, 2), 1, 2, 3, -4);
    one("reduce_sum", 18, x, T_ABSENT, 0, T_F32(SCALAR, 2));
    one("reduce_sum", 18, x, T_EMPTY(DT_I64, DIMS(0)), 1, T_F32(DIMS(1, 1), 2));
    struct op_case c = op_case("reduce_l1", 18);
    op_case_int(&c, "noop_with_empty_axes", 1);
    op_case_in(&c, x);
    op_case_out(&c, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    op_case_check(&c);
    struct op_case old = op_case("reduce_mean", 11);
    op_case_ints(&old, "axes", 1, (int64_t[]){0});
    op_case_int(&old, "keepdims", 0);
    op_case_in(&old, x);
    op_case_out(&old, T_F32(DIMS(2), 2, -1));
    op_case_check(&old);
}

static void nothing_to_reduce(void **state) {
    (void)state;
    struct tensor x = T_EMPTY(DT_F32, DIMS(2, 0)), last = T_I64(DIMS(1), 1);
    one("reduce_sum", 18, x, last, 0, T_F32(DIMS(2), 0, 0));
    one("reduce_prod", 18, x, last, 0, T_F32(DIMS(2), 1, 1));
    one("reduce_max", 18, x, last, 0, T_F32(DIMS(2), -INFINITY, -INFINITY));
    one("reduce_min", 18, x, last, 0, T_F32(DIMS(2), INFINITY, INFINITY));
    one("reduce_log_sum_exp", 18, x, last, 0, T_F32(DIMS(2), -INFINITY, -INFINITY));
    one("reduce_max", 18, T_EMPTY(DT_I32, DIMS(0)), T_ABSENT, 0, T_I32(SCALAR, INT32_MIN));
    one("reduce_sum", 18, T_EMPTY(DT_F32, DIMS(0, 2)), last, 0, T_EMPTY(DT_F32, DIMS(0)));
}

static void far_exponents_do_not_overflow(void **state) {
    (void)state;
    struct tensor x = T_F32(DIMS(2, 2), 1000, 1000, -INFINITY, -INFINITY),
                  y = T_F32(DIMS(2), 1000.693147f, -INFINITY);
    one("reduce_log_sum_exp", 18, x, T_I64(DIMS(1), 1), 0, y);
    one("reduce_log_sum_exp", 18, T_F32(DIMS(2, 2), 1000, -INFINITY, 1000, -INFINITY),
        T_I64(DIMS(1), 0), 0, y);
}

static void wrong_axes_are_refused(void **state) {
    (void)state;
    struct op_case c = op_case("reduce_sum", 13), twice = op_case("reduce_sum", 13);
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_in(&c, T_I64(DIMS(1), 1));
    op_case_out(&c, T_F32(SCALAR, 1));
    op_case_refuse(&c, ERR_INVALID, "axis 1 is outside a tensor of rank 1");
    op_case_in(&twice, T_F32(DIMS(2), 1, 2));
    op_case_in(&twice, T_I64(DIMS(2), 0, -1));
    op_case_out(&twice, T_F32(SCALAR, 1));
    op_case_refuse(&twice, ERR_INVALID, "named twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_in_every_place),
        cmocka_unit_test(sizes),
        cmocka_unit_test(integers),
        cmocka_unit_test(all_axes_and_none),
        cmocka_unit_test(nothing_to_reduce),
        cmocka_unit_test(far_exponents_do_not_overflow),
        cmocka_unit_test(wrong_axes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
