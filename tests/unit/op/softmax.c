/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of softmax, log_softmax and hardmax. */
#include "op/softmax.c"

#include "op_case.h"

static const char *const names[] = {
    [SOFTMAX] = "softmax", [LOG_SOFTMAX] = "log_softmax", [HARDMAX] = "hardmax"};

/* Against the definition, over lines of `n` elements `inner` apart. */
static void defined(enum kind kind, int opset, enum dtype dtype, struct shape dims, int axis) {
    struct op_case c = op_case(names[kind], opset);
    struct tensor x = op_case_random(&c, dtype, dims, 3), y = x;
    y.data = arena_push_aligned(&c.arena, tensor_bytes(&x), 64);
    size_t inner = 1, n = 1, count = tensor_count(&x);
    for (int k = axis; k < dims.rank; k++)
        *(opset < 13 || k == axis ? &n : &inner) *= (size_t)dims.dims[k];
    double *v = arena_push_aligned(&c.arena, n * sizeof *v, 64);
    for (size_t line_at = 0; line_at < count / n; line_at++) {
        size_t base = line_at / inner * inner * n + line_at % inner;
        for (size_t k = 0; k < n; k++)
            v[k] = tensor_f64(&x, base + k * inner);
        line_f64(kind, n, v);
        for (size_t k = 0; k < n; k++)
            operand_put(&y, base + k * inner, v[k]);
    }
    op_case_int(&c, "axis", axis);
    op_case_in(&c, x);
    op_case_out(&c, y);
    if (dtype == DT_F16 || dtype == DT_BF16)
        c.relative = c.absolute = dtype == DT_F16 ? 2e-3 : 2e-2;
    op_case_check(&c);
}

static void every_axis(void **state) {
    (void)state;
    static const enum dtype types[] = {DT_F32, DT_F64, DT_F16, DT_BF16};
    for (enum kind kind = SOFTMAX; kind <= HARDMAX; kind++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            for (int axis = 0; axis < 4; axis++) {
                defined(kind, 13, types[t], DIMS(2, 3, 4, 5), axis);
                defined(kind, 11, types[t], DIMS(2, 3, 4, 5), axis);
            }
}

static void sizes(void **state) {
    (void)state;
    static const int64_t n[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127, 700};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) {
        defined(SOFTMAX, 13, DT_F32, DIMS(3, n[k]), 1);
        defined(SOFTMAX, 13, DT_F32, DIMS(n[k], 5), 0);
        defined(LOG_SOFTMAX, 13, DT_F32, DIMS(3, n[k]), 1);
        defined(LOG_SOFTMAX, 13, DT_F32, DIMS(2, 5, n[k]), 1);
        defined(HARDMAX, 13, DT_F32, DIMS(2, n[k]), 1);
    }
}

static void known_numbers(void **state) {
    (void)state;
    struct op_case c = op_case("softmax", 13), flat = op_case("softmax", 1),
                   ties = op_case("hardmax", 13);
    op_case_in(&c, T_F32(DIMS(2, 4), 0, 1, 2, 3, 10000, 10001, 10002, 10003));
    op_case_out(&c, T_F32(DIMS(2, 4), 0.032058604f, 0.08714432f, 0.23688284f, 0.6439143f,
                          0.032058604f, 0.08714432f, 0.23688284f, 0.6439143f));
    op_case_check(&c);
    op_case_in(&flat, T_F32(DIMS(1, 2, 2), 0, 0, 0, 0));
    op_case_out(&flat, T_F32(DIMS(1, 2, 2), 0.25f, 0.25f, 0.25f, 0.25f));
    op_case_check(&flat);
    op_case_in(&ties, T_F32(DIMS(4), 3, 5, 5, 1));
    op_case_out(&ties, T_F32(DIMS(4), 0, 1, 0, 0));
    op_case_check(&ties);
}

static void empty_scalar_and_wrong(void **state) {
    (void)state;
    struct op_case none = op_case("softmax", 13), one = op_case("softmax", 13),
                   axis = op_case("softmax", 13), type = op_case("softmax", 13);
    op_case_in(&none, T_EMPTY(DT_F32, DIMS(2, 0)));
    op_case_out(&none, T_EMPTY(DT_F32, DIMS(2, 0)));
    op_case_check(&none);
    op_case_in(&one, T_F32(SCALAR, 7));
    op_case_out(&one, T_F32(SCALAR, 1));
    op_case_check(&one);
    op_case_int(&axis, "axis", 2);
    op_case_in(&axis, T_F32(DIMS(1, 1), 1));
    op_case_out(&axis, T_F32(DIMS(1, 1), 1));
    op_case_refuse(&axis, ERR_INVALID, "axis 2 is outside a tensor of rank 2");
    op_case_in(&type, T_I64(DIMS(1), 1));
    op_case_out(&type, T_I64(DIMS(1), 1));
    op_case_refuse(&type, ERR_INVALID, "elements of type i64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis),
        cmocka_unit_test(sizes),
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(empty_scalar_and_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
