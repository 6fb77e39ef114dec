/* SPDX-License-Identifier: Apache-2.0 */
/* conv_bf16 against the definition: windows, groups, both layouts, results of either type, posts
 * with operands of either type; by oneDNN where the processor has bf16, and by our own kernels. */
#include "op/conv_bf16.c"

#include "op_case.h"

struct form {
    int64_t in, out, groups, height, width, kernel, stride, pad;
    bool wide, relu;
    enum dtype residual; /* DT_NONE: no operand of a post */
};

static float real(const struct tensor *t, size_t i) {
    return t->dtype == DT_F32 ? ((const float *)t->data)[i]
                              : dtype_bf16_to_f32(((const uint16_t *)t->data)[i]);
}

static double sum_at(const struct form *f, const struct op_case *c, int64_t o, int64_t row,
                     int64_t col) {
    const int64_t per = f->in / f->groups, group = o / (f->out / f->groups);
    double sum = (double)real(&c->in[2], (size_t)o);
    for (int64_t i = 0; i < per; i++)
        for (int64_t r = 0; r < f->kernel; r++)
            for (int64_t q = 0; q < f->kernel; q++) {
                int64_t y = row * f->stride - f->pad + r, x = col * f->stride - f->pad + q;
                if (y < 0 || x < 0 || y >= f->height || x >= f->width)
                    continue;
                size_t from = (size_t)(((group * per + i) * f->height + y) * f->width + x),
                       tap = (size_t)(((o * per + i) * f->kernel + r) * f->kernel + q);
                sum += (double)real(&c->in[0], from) * (double)real(&c->in[1], tap);
            }
    return sum;
}

static void check(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("conv_bf16", 22);
    const int64_t high = (f->height + 2 * f->pad - f->kernel) / f->stride + 1,
                  long_ = (f->width + 2 * f->pad - f->kernel) / f->stride + 1;
    c.constant = 2;
    op_case_in(&c, op_case_random(&c, DT_BF16, DIMS(1, f->in, f->height, f->width), seed));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(f->out, f->in / f->groups, f->kernel, f->kernel),
                                  seed + 1));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(f->out), seed + 2));
    op_case_int(&c, "group", f->groups);
    op_case_int(&c, "wide", f->wide);
    op_case_ints(&c, "strides", 2, (int64_t[]){f->stride, f->stride});
    op_case_ints(&c, "pads", 4, (int64_t[]){f->pad, f->pad, f->pad, f->pad});
    if (f->residual) {
        op_case_in(&c, op_case_random(&c, f->residual, DIMS(1, f->out, high, long_), seed + 3));
        c.post[c.n_post++] = (struct post){.kind = POST_ADD, .input = 3};
    }
    if (f->relu)
        c.post[c.n_post++] = (struct post){.kind = POST_RELU};
    struct tensor y =
        op_case_random(&c, f->wide ? DT_F32 : DT_BF16, DIMS(1, f->out, high, long_), 1);
    for (size_t i = 0; i < tensor_count(&y); i++) {
        int64_t at = (int64_t)i, o = at / (high * long_);
        double v = sum_at(f, &c, o, at / long_ % high, at % long_);
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
    c.ways_absolute = 0.1; /* Winograd, whose weights are rounded once more */
    op_case_check(&c);
}

static const struct form forms[] = {
    {3, 16, 1, 17, 19, 7, 2, 3, false, true, DT_NONE},
    {16, 32, 1, 9, 7, 1, 1, 0, false, false, DT_NONE},
    {16, 32, 1, 9, 7, 1, 1, 0, true, true, DT_BF16},
    {32, 32, 1, 12, 12, 3, 1, 1, false, true, DT_BF16},
    {32, 48, 1, 12, 12, 3, 2, 1, false, false, DT_F32},
    {17, 31, 1, 8, 8, 3, 1, 1, true, false, DT_NONE},
    {32, 32, 32, 10, 10, 3, 1, 1, false, true, DT_NONE},
    {19, 19, 19, 10, 10, 5, 2, 2, true, false, DT_NONE},
    {24, 24, 4, 6, 6, 3, 1, 1, false, false, DT_BF16},
    {1, 1, 1, 1, 1, 1, 1, 0, false, false, DT_NONE},
    {64, 64, 1, 1, 31, 3, 1, 1, false, true, DT_BF16},
};

static void every_form(void **state) {
    (void)state;
    for (uint64_t i = 0; i < sizeof forms / sizeof *forms; i++)
        check(&forms[i], 10 * i);
}

static void refused(void **state) {
    (void)state;
    struct op_case c = op_case("conv_bf16", 22);
    op_case_in(&c, op_case_random(&c, DT_BF16, DIMS(1, 2, 3, 3), 1));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(2, 3, 1, 1), 2));
    op_case_out(&c, T_EMPTY(DT_BF16, DIMS(0)));
    op_case_refuse(&c, ERR_INVALID, "with weights");
    c = op_case("conv_bf16", 22);
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(1, 2, 3, 3), 1));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(2, 2, 1, 1), 2));
    op_case_out(&c, T_EMPTY(DT_BF16, DIMS(0)));
    op_case_refuse(&c, ERR_INVALID, "input is f32");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    struct err e;
    setenv("SLIPWAY_CPU", "vnni", 1); /* no bf16: our own kernels */
    assert_int_equal(cpu_setup(&e), OK);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
