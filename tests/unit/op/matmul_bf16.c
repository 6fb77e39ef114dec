/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul_bf16 against the definition: sizes, transposed weights, biases, results of either type,
 * posts; by oneDNN where the processor has bf16, and by our own kernels. */
#include "op/matmul_bf16.c"

#include "op_case.h"

struct form {
    int64_t batch, m, n, k;
    bool turned, bias, wide, relu;
    enum dtype residual; /* DT_NONE: no operand of a post */
};

static float real(const struct tensor *t, size_t i) {
    return t->dtype == DT_F32 ? ((const float *)t->data)[i]
                              : dtype_bf16_to_f32(((const uint16_t *)t->data)[i]);
}

static void check(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("mat_mul_bf16", 13);
    const size_t n = (size_t)f->n, depth = (size_t)f->k;
    c.constant = 2;
    op_case_in(&c, op_case_random(&c, DT_BF16, DIMS(f->batch, f->m, f->k), seed));
    op_case_in(
        &c, op_case_random(&c, DT_F32, f->turned ? DIMS(f->n, f->k) : DIMS(f->k, f->n), seed + 1));
    op_case_in(&c, f->bias ? op_case_random(&c, DT_F32, DIMS(f->n), seed + 2) : T_ABSENT);
    op_case_int(&c, "transB", f->turned);
    op_case_int(&c, "wide", f->wide);
    if (f->residual) {
        op_case_in(&c, op_case_random(&c, f->residual, DIMS(f->batch, f->m, f->n), seed + 3));
        c.post[c.n_post++] = (struct post){.kind = POST_ADD, .input = 3};
    }
    if (f->relu)
        c.post[c.n_post++] = (struct post){.kind = POST_RELU};
    struct tensor y = op_case_random(&c, f->wide ? DT_F32 : DT_BF16, DIMS(f->batch, f->m, f->n), 1);
    for (size_t i = 0; i < tensor_count(&y); i++) {
        size_t row = i / n, col = i % n;
        double v = f->bias ? (double)real(&c.in[2], col) : 0;
        for (size_t k = 0; k < depth; k++)
            v += (double)real(&c.in[0], row * depth + k) *
                 (double)real(&c.in[1], f->turned ? col * depth + k : k * n + col);
        v += f->residual ? (double)real(&c.in[3], i) : 0;
        v = f->relu && v < 0 ? 0 : v;
        if (f->wide)
            ((float *)y.data)[i] = (float)v;
        else
            ((uint16_t *)y.data)[i] = dtype_f32_to_bf16((float)v);
    }
    op_case_out(&c, y);
    c.relative = f->wide ? 1e-4 : 0x1p-7; /* one unit in the last place of bf16 */
    c.absolute = f->wide ? 1e-4 : 0x1p-7;
    op_case_check(&c);
}

static const struct form forms[] = {
    {1, 1, 1, 1, false, false, false, false, DT_NONE},
    {1, 1, 127, 64, true, true, true, false, DT_NONE},
    {2, 3, 31, 17, false, false, false, true, DT_NONE},
    {2, 16, 48, 32, true, true, false, false, DT_BF16},
    {1, 33, 64, 96, false, true, true, true, DT_BF16},
    {3, 8, 15, 127, true, false, false, false, DT_F32},
    {1, 128, 96, 384, false, true, false, true, DT_NONE},
};

static void every_form(void **state) {
    (void)state;
    for (uint64_t i = 0; i < sizeof forms / sizeof *forms; i++)
        check(&forms[i], 10 * i);
}

static void refused(void **state) {
    (void)state;
    struct op_case c = op_case("mat_mul_bf16", 13);
    op_case_in(&c, op_case_random(&c, DT_BF16, DIMS(2, 3), 1));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(2, 3), 2));
    op_case_out(&c, T_EMPTY(DT_BF16, DIMS(0)));
    op_case_refuse(&c, ERR_INVALID, "do not multiply");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    struct err e;
    setenv("SLIPWAY_CPU", "vnni", 1); /* no bf16: our own kernels */
    assert_int_equal(cpu_setup(&e), OK);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
