/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of layer_normalization, rms_normalization, lp_normalization, mean_variance_normalization.
 */
#include "op/standard.c"

#include "op_case.h"

static void tolerant(struct op_case *c, enum dtype t) {
    c->relative = c->absolute = t == DT_F16 ? 4e-3 : t == DT_BF16 ? 4e-2 : 2e-5;
}

static struct tensor make(struct op_case *c, enum dtype t, struct shape s) {
    struct tensor y;
    struct err e;
    assert_int_equal(tensor_new(&c->arena, t, &s, &y, &e), OK);
    return y;
}

static double broadcast(const struct tensor *t, const struct shape *to, size_t at) {
    int64_t strides[SHAPE_MAX];
    size_t position = 0;
    shape_strides_to(&t->shape, to, strides);
    for (int k = to->rank - 1; k >= 0; at /= (size_t)to->dims[k], k--)
        position += at % (size_t)to->dims[k] * (size_t)strides[k];
    return tensor_f64(t, position);
}

static void lines(bool is_rms, enum dtype dtype, struct shape dims, int axis, struct shape scale,
                  struct shape bias, bool stats) {
    struct op_case c = op_case(is_rms ? "rms_normalization" : "layer_normalization", 23);
    struct tensor x = op_case_random(&c, dtype, dims, 1), y = make(&c, dtype, dims);
    struct tensor s = op_case_random(&c, dtype, scale, 2), b = op_case_random(&c, dtype, bias, 3);
    struct shape reduced = dims;
    size_t n = 1;
    for (int k = axis; k < dims.rank; k++) {
        n *= (size_t)dims.dims[k];
        reduced.dims[k] = 1;
    }
    struct tensor means = make(&c, DT_F32, reduced), scales = make(&c, DT_F32, reduced);
    for (size_t line = 0; line < tensor_count(&x) / n; line++) {
        double sum = 0, squares = 0;
        for (size_t k = 0; k < n && !is_rms; k++)
            sum += tensor_f64(&x, line * n + k) / (double)n;
        for (size_t k = 0; k < n; k++)
            squares += pow(tensor_f64(&x, line * n + k) - sum, 2) / (double)n;
        double factor = 1 / sqrt(squares + (double)1e-5f);
        operand_put(&means, line, sum);
        operand_put(&scales, line, factor);
        for (size_t k = 0; k < n; k++) {
            double v =
                (tensor_f64(&x, line * n + k) - sum) * factor * broadcast(&s, &dims, line * n + k);
            operand_put(&y, line * n + k, is_rms ? v : v + broadcast(&b, &dims, line * n + k));
        }
    }
    op_case_int(&c, "axis", axis - dims.rank);
    op_case_in(&c, x);
    op_case_in(&c, s);
    if (!is_rms)
        op_case_in(&c, b);
    op_case_out(&c, y);
    if (stats) {
        op_case_out(&c, means);
        op_case_out(&c, scales);
    }
    tolerant(&c, dtype);
    op_case_check(&c);
}

static void layers(void **state) {
    (void)state;
    static const int64_t n[] = {2, 3, 4, 7, 8, 15, 16, 17, 31, 127, 768};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++)
        for (int is_rms = 0; is_rms < 2; is_rms++) {
            lines(is_rms, DT_F32, DIMS(3, n[k]), 1, DIMS(n[k]), DIMS(n[k]), k & 1 && !is_rms);
            lines(is_rms, DT_F16, DIMS(3, n[k]), 1, DIMS(n[k]), DIMS(n[k]), false);
        }
    for (int axis = 0; axis < 4; axis++)
        for (int is_rms = 0; is_rms < 2; is_rms++) {
            struct shape rest = {.rank = 4 - axis};
            for (int k = axis; k < 4; k++)
                rest.dims[k - axis] = k + 2;
            lines(is_rms, DT_F32, DIMS(2, 3, 4, 5), axis, rest, rest, !is_rms);
            lines(is_rms, DT_F64, DIMS(2, 3, 4, 5), axis, rest, rest, false);
            lines(is_rms, DT_BF16, DIMS(2, 3, 4, 5), axis, rest, rest, false);
        }
}

static void tables_broadcast(void **state) {
    (void)state;
    lines(false, DT_F32, DIMS(2, 3, 4), 2, DIMS(1), DIMS(3, 1), false);
    lines(false, DT_F32, DIMS(2, 3, 4), 1, DIMS(4), DIMS(2, 1, 4), false);
    lines(false, DT_F64, DIMS(2, 3, 4), 2, DIMS(2, 1, 4), DIMS(1), false);
    lines(true, DT_F32, DIMS(2, 3, 4), 2, DIMS(2, 3, 4), DIMS(1), false);
    struct op_case c = op_case("layer_normalization", 17);
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(3), 1, 1, 1));
    op_case_out(&c, T_F32(DIMS(1, 2), -1, 1));
    op_case_refuse(&c, ERR_INVALID, "input 1 of shape [3] does not broadcast to input 0");
}

static void lp(enum dtype dtype, struct shape dims, int axis, int64_t p) {
    struct op_case c = op_case("lp_normalization", 22);
    struct tensor x = op_case_random(&c, dtype, dims, 1), y = make(&c, dtype, dims);
    int64_t strides[SHAPE_MAX];
    shape_strides(&dims, strides);
    size_t n = (size_t)dims.dims[axis], inner = (size_t)strides[axis];
    for (size_t l = 0; l < tensor_count(&x) / n; l++) {
        size_t base = l / inner * inner * n + l % inner;
        double sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += pow(fabs(tensor_f64(&x, base + k * inner)), (double)p);
        sum = p == 2 ? sqrt(sum) : sum;
        for (size_t k = 0; k < n; k++)
            operand_put(&y, base + k * inner, sum > 0 ? tensor_f64(&x, base + k * inner) / sum : 0);
    }
    op_case_int(&c, "axis", axis);
    op_case_int(&c, "p", p);
    op_case_in(&c, x);
    op_case_out(&c, y);
    tolerant(&c, dtype);
    op_case_check(&c);
}

static void lengths(void **state) {
    (void)state;
    for (int axis = 0; axis < 4; axis++)
        for (int64_t p = 1; p <= 2; p++) {
            lp(DT_F32, DIMS(2, 3, 4, 5), axis, p);
            lp(DT_F32, DIMS(2, 17, 3, 130), axis, p);
            lp(DT_F64, DIMS(2, 3, 4, 5), axis, p);
            lp(DT_F16, DIMS(2, 3, 4, 5), axis, p);
        }
    struct op_case zero = op_case("lp_normalization", 22), p3 = op_case("lp_normalization", 22);
    op_case_in(&zero, T_F32(DIMS(2, 2), 0, 0, 3, 4));
    op_case_out(&zero, T_F32(DIMS(2, 2), 0, 0, 0.6f, 0.8f));
    op_case_check(&zero);
    op_case_int(&p3, "p", 3);
    op_case_in(&p3, T_F32(DIMS(1), 1));
    op_case_out(&p3, T_F32(DIMS(1), 1));
    op_case_refuse(&p3, ERR_INVALID, "p = 3");
}

static void mean_and_variance(void **state) {
    (void)state;
    struct op_case c = op_case("mean_variance_normalization", 13),
                   one = op_case("mean_variance_normalization", 13);
    op_case_in(&c, T_F32(DIMS(2, 2, 1, 1), 1, 10, 3, 30));
    op_case_out(&c, T_F32(DIMS(2, 2, 1, 1), -1, -1, 1, 1));
    op_case_check(&c);
    op_case_ints(&one, "axes", 1, (int64_t[]){-1});
    op_case_in(&one, T_F64(DIMS(2, 2), 1, 3, -4, -8));
    op_case_out(&one, T_F64(DIMS(2, 2), -1, 1, 1, -1));
    op_case_check(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers),
        cmocka_unit_test(tables_broadcast),
        cmocka_unit_test(lengths),
        cmocka_unit_test(mean_and_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
