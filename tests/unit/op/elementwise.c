/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise arithmetic: types, broadcasting, wrap-around, posts. */
#include "op/elementwise.c"

#include "op_case.h"

static void one(const char *name, struct tensor x, struct tensor y) {
    struct op_case c = op_case(name, 13);
    op_case_in(&c, x);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void two(const char *name, struct tensor a, struct tensor b, struct tensor y) {
    struct op_case c = op_case(name, 14);
    op_case_in(&c, a);
    op_case_in(&c, b);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void test_unary(void **state) {
    (void)state;
    one("abs", T_F32(DIMS(3), -1, 2, -3), T_F32(DIMS(3), 1, 2, 3));
    one("abs", T_I8(DIMS(3), -128, 2, -3), T_I8(DIMS(3), -128, 2, 3));
    one("neg", T_I64(DIMS(2), 5, INT64_MIN), T_I64(DIMS(2), -5, INT64_MIN));
    one("neg", T_F64(DIMS(2), 5, -1), T_F64(DIMS(2), -5, 1));
    one("sign", T_U8(DIMS(2), 0, 200), T_U8(DIMS(2), 0, 1));
    one("round", T_F32(DIMS(5), 0.5f, 1.5f, -2.5f, 2.4f, -0.5f),
        T_F32(DIMS(5), 0, 2, -2, 2, -0.0f));
    one("exp", T_F32(DIMS(3), 0, 1, -1), T_F32(DIMS(3), 1, 2.7182818f, 0.36787944f));
    one("erf", T_F64(DIMS(2), 0, 1), T_F64(DIMS(2), 0, 0.8427007929497149));
    one("sin", T_F32(DIMS(1), 100000.0f), T_F32(DIMS(1), 0.0357487980f));
    one("sqrt", T_F16(DIMS(2), 0x4400, 0x3c00), T_F16(DIMS(2), 0x4000, 0x3c00)); /* 4 1 -> 2 1 */
    one("reciprocal", T_F32(SCALAR, 4), T_F32(SCALAR, 0.25f));
    one("floor", T_EMPTY(DT_F32, DIMS(0, 3)), T_EMPTY(DT_F32, DIMS(0, 3)));
}

/* Values of Abramowitz and Stegun's tables; outside of the domain NaN, as IEEE 754 says. */
static void test_transcendental(void **state) {
    (void)state;
    one("acos", T_F32(DIMS(3), 0.5f, -1, 2), T_F32(DIMS(3), 1.04719755f, 3.14159265f, NAN));
    one("acosh", T_F32(DIMS(3), 2, 1, 0), T_F32(DIMS(3), 1.31695790f, 0, NAN));
    one("asin", T_F32(DIMS(3), 0.5f, -1, 2), T_F32(DIMS(3), 0.52359878f, -1.57079633f, NAN));
    one("asinh", T_F32(DIMS(2), 1, -1), T_F32(DIMS(2), 0.88137359f, -0.88137359f));
    one("atan", T_F32(DIMS(2), 1, -INFINITY), T_F32(DIMS(2), 0.78539816f, -1.57079633f));
    one("atanh", T_F32(DIMS(3), 0.5f, 1, 2), T_F32(DIMS(3), 0.54930614f, INFINITY, NAN));
    one("cos", T_F32(DIMS(2), 1, 0), T_F32(DIMS(2), 0.54030231f, 1));
    one("cosh", T_F64(DIMS(2), 1, 0), T_F64(DIMS(2), 1.5430806348152437, 1));
    one("sinh", T_F64(DIMS(2), 1, -1), T_F64(DIMS(2), 1.1752011936438014, -1.1752011936438014));
    one("tan", T_F32(DIMS(2), 1, 0), T_F32(DIMS(2), 1.55740772f, 0));
    one("log", T_F32(DIMS(4), 2, 1, 0, -1), T_F32(DIMS(4), 0.69314718f, 0, -INFINITY, NAN));
}

static void test_broadcasting(void **state) {
    (void)state;
    two("add", T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6), T_F32(DIMS(3), 10, 20, 30),
        T_F32(DIMS(2, 3), 11, 22, 33, 14, 25, 36));
    two("sub", T_F32(DIMS(3, 1), 1, 2, 3), T_F32(DIMS(2), 1, 10),
        T_F32(DIMS(3, 2), 0, -9, 1, -8, 2, -7));
    two("mul", T_F32(SCALAR, 3), T_F32(DIMS(2, 1, 2), 1, 2, 3, 4),
        T_F32(DIMS(2, 1, 2), 3, 6, 9, 12));
    two("div", T_F32(DIMS(1, 2, 1, 2), 8, 6, 4, 2), T_F32(DIMS(2, 1), 2, 1),
        T_F32(DIMS(1, 2, 2, 2), 4, 3, 8, 6, 2, 1, 4, 2));
    two("add", T_I64(DIMS(2), INT64_MAX, 1), T_I64(DIMS(1), 1), T_I64(DIMS(2), INT64_MIN, 2));
    two("add", T_EMPTY(DT_F32, DIMS(0, 3)), T_F32(DIMS(3), 1, 2, 3), T_EMPTY(DT_F32, DIMS(0, 3)));
    two("mul", T_F16(DIMS(2), 0x4000, 0x4200), T_F16(DIMS(1), 0x3800),
        T_F16(DIMS(2), 0x3c00, 0x3e00)); /* 2 3 by 0.5 */
}

static void test_whole_numbers(void **state) {
    (void)state;
    two("div", T_I32(DIMS(4), 7, -7, INT32_MIN, 5), T_I32(DIMS(4), 2, 2, -1, 0),
        T_I32(DIMS(4), 3, -3, INT32_MIN, 0));
    two("mod", T_I64(DIMS(4), -4, 7, 5, -4), T_I64(DIMS(4), 2, -3, 8, 3),
        T_I64(DIMS(4), 0, -2, 5, 2));
    two("mul", T_U8(DIMS(2), 200, 3), T_U8(DIMS(2), 2, 3), T_U8(DIMS(2), 144, 9));
    two("pow", T_I32(DIMS(3), 2, -3, 5), T_I64(DIMS(3), 10, 3, 0), T_I32(DIMS(3), 1024, -27, 1));
    struct op_case c = op_case("mod", 13);
    op_case_int(&c, "fmod", 1);
    op_case_in(&c, T_F32(DIMS(3), -4.3f, 7.2f, 5.0f));
    op_case_in(&c, T_F32(DIMS(3), 2.1f, -3.4f, 8.0f));
    op_case_out(&c, T_F32(DIMS(3), -0.1f, 0.4f, 5.0f));
    op_case_check(&c);
}

static void test_pow(void **state) {
    (void)state;
    two("pow", T_F32(DIMS(3), 1, 2, 3), T_F32(SCALAR, 2), T_F32(DIMS(3), 1, 4, 9));
    two("pow", T_F32(DIMS(3), 1, 2, 3), T_I64(DIMS(3), 4, 5, 6), T_F32(DIMS(3), 1, 32, 729));
    two("pow", T_F32(DIMS(2, 1), 4, 9), T_F32(DIMS(2), 0.5f, 3), T_F32(DIMS(2, 2), 2, 64, 3, 729));
}

static void test_any_number(void **state) {
    (void)state;
    one("max", T_F32(DIMS(2), 1, 2), T_F32(DIMS(2), 1, 2));
    struct op_case c = op_case("mean", 13);
    op_case_in(&c, T_F32(DIMS(2), 3, 0));
    op_case_in(&c, T_F32(DIMS(1), 1));
    op_case_in(&c, T_F32(DIMS(2), 2, 5));
    op_case_out(&c, T_F32(DIMS(2), 2, 2));
    op_case_check(&c);
    two("min", T_I8(DIMS(3), 1, -2, 3), T_I8(DIMS(3), 0, 5, 3), T_I8(DIMS(3), 0, -2, 3));
    two("max", T_F32(DIMS(3), 1, NAN, 3), T_F32(DIMS(3), NAN, 5, 4), T_F32(DIMS(3), NAN, NAN, 4));
}

/* 16-bit floats: a product with an operand that repeats in some way, then a sum and a relu. */
static void one_half(enum dtype t, struct shape y, struct shape b, enum dtype added) {
    struct op_case c = op_case("mul", 14);
    op_case_in(&c, op_case_random(&c, t, y, 1));
    op_case_in(&c, op_case_random(&c, t, b, 2));
    op_case_in(&c, op_case_random(&c, added, y, 3));
    c.post[c.n_post++] = (struct post){.kind = POST_ADD, .input = 2};
    c.post[c.n_post++] = (struct post){.kind = POST_RELU};
    struct tensor want = op_case_random(&c, t, y, 4);
    int64_t strides[SHAPE_MAX], own[SHAPE_MAX];
    shape_strides(&y, strides);
    shape_strides(&b, own);
    for (size_t at = 0; at < tensor_count(&want); at++) {
        size_t from = 0;
        for (int axis = 0; axis < b.rank; axis++) {
            int outer = axis + y.rank - b.rank;
            if (b.dims[axis] > 1)
                from += (size_t)((int64_t)at / strides[outer] % y.dims[outer] * own[axis]);
        }
        double v = tensor_f64(&c.in[0], at) * tensor_f64(&c.in[1], from) + tensor_f64(&c.in[2], at);
        float kept = v > 0 ? (float)v : 0;
        ((uint16_t *)want.data)[at] =
            t == DT_F16 ? dtype_f32_to_f16(kept) : dtype_f32_to_bf16(kept);
    }
    op_case_out(&c, want);
    op_case_check(&c);
}

static void test_halves(void **state) {
    (void)state;
    static const enum dtype types[] = {DT_F16, DT_BF16};
    for (int k = 0; k < 2; k++) {
        one_half(types[k], DIMS(3, 5, 97), DIMS(97), types[k]);
        one_half(types[k], DIMS(2, 700, 3), DIMS(2, 700, 3), DT_F32);
        one_half(types[k], DIMS(2, 3, 40, 20), DIMS(3, 1, 1), types[k]);
        one_half(types[k], DIMS(2, 3, 40, 20), DIMS(2, 3, 1, 20), DT_F32);
        one_half(types[k], DIMS(2, 3, 7), DIMS(2, 1, 7), types[k]);
        one_half(types[k], DIMS(2, 1500), DIMS(2, 1), types[k]);
        one_half(types[k], DIMS(1, 2500), DIMS(1), types[k]);
    }
    two("less", T_F16(DIMS(2, 2), 0x3c00, 0x4000, 0x4200, 0x4400),
        T_F16(DIMS(2, 1), 0x4000, 0x4300),
        T_BOOL(DIMS(2, 2), 1, 0, 1, 0)); /* 1 2, 3 4 beside 2, 3.5 */
}

/* Every pairing of sizes around the vector lengths against plain loops. */
static void test_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (int k = 0; k < 10; k++)
        for (int form = 0; form < 4; form++) {
            int64_t n = sizes[k];
            struct op_case c = op_case("add", 14);
            struct tensor a = op_case_random(&c, DT_F32, DIMS(2, n, 3), 1),
                          y = op_case_random(&c, DT_F32, DIMS(2, n, 3), 2);
            struct tensor b = op_case_random(&c, DT_F32,
                                             form == 0   ? DIMS(2, n, 3)
                                             : form == 1 ? DIMS(n, 1)
                                             : form == 2 ? DIMS(2, 1, 1)
                                                         : DIMS(1, n, 3),
                                             3);
            for (int64_t i = 0; i < 2 * n * 3; i++) {
                int64_t at = form == 0   ? i
                             : form == 1 ? i / 3 % n
                             : form == 2 ? i / (3 * n)
                                         : i % (3 * n);
                ((float *)y.data)[i] = ((float *)a.data)[i] + ((float *)b.data)[at];
            }
            op_case_in(&c, a);
            op_case_in(&c, b);
            op_case_out(&c, y);
            op_case_check(&c);
        }
}

/* A short row that repeats, on either side, beside more rows than copies of it are made. */
static void test_short_rows(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 8, 16, 40, 64, 65};
    enum { ROWS = 531 };
    for (int k = 0; k < 7; k++)
        for (int first = 0; first < 2; first++) {
            const int64_t n = sizes[k];
            struct op_case c = op_case("sub", 14);
            struct tensor many = op_case_random(&c, DT_F32, DIMS(ROWS, n), 1),
                          y = op_case_random(&c, DT_F32, DIMS(ROWS, n), 2),
                          row = op_case_random(&c, DT_F32, DIMS(n), 3);
            for (int64_t i = 0; i < ROWS * n; i++) {
                const float of = ((float *)many.data)[i] - ((float *)row.data)[i % n];
                ((float *)y.data)[i] = first ? -of : of;
            }
            op_case_in(&c, first ? row : many);
            op_case_in(&c, first ? many : row);
            op_case_out(&c, y);
            op_case_check(&c);
        }
}

static void test_posts(void **state) {
    (void)state;
    struct op_case c = op_case("add", 14);
    c.n_post = 3;
    c.post[0] = (struct post){.kind = POST_RELU};
    c.post[1] = (struct post){.kind = POST_MUL, .input = 2};
    c.post[2] = (struct post){.kind = POST_ADD, .input = 3};
    op_case_in(&c, T_F32(DIMS(1, 2, 1, 2), 1, -2, 3, -4));
    op_case_in(&c, T_F32(SCALAR, 1));
    op_case_in(&c, T_F32(DIMS(2, 1, 1), 10, 100));
    op_case_in(&c, T_F32(DIMS(1, 2, 1, 2), 1, 2, 3, 4));
    op_case_out(&c, T_F32(DIMS(1, 2, 1, 2), 21, 2, 403, 4));
    op_case_check(&c);
}

static void test_old_broadcast(void **state) {
    (void)state;
    struct op_case c = op_case("add", 6);
    op_case_int(&c, "broadcast", 1);
    op_case_int(&c, "axis", 0);
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_F32(DIMS(2), 10, 20));
    op_case_out(&c, T_F32(DIMS(2, 2), 11, 12, 23, 24));
    op_case_check(&c);
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("add", 14);
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
    op_case_out(&c, T_F32(DIMS(3), 0, 0, 0));
    op_case_refuse(&c, ERR_INVALID, "do not broadcast");
    c = op_case("add", 14);
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_in(&c, T_I64(DIMS(2), 1, 2));
    op_case_out(&c, T_F32(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "one type");
    c = op_case("sqrt", 13);
    op_case_in(&c, T_I64(DIMS(2), 1, 2));
    op_case_out(&c, T_I64(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_UNSUPPORTED, "i64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),         cmocka_unit_test(test_transcendental),
        cmocka_unit_test(test_broadcasting),  cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_pow),           cmocka_unit_test(test_any_number),
        cmocka_unit_test(test_halves),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_short_rows),    cmocka_unit_test(test_posts),
        cmocka_unit_test(test_old_broadcast), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
