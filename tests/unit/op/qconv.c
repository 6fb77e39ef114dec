/* SPDX-License-Identifier: Apache-2.0 */
/* 8-bit convolutions against the definition in integers: signedness, zero points, per-channel
 * scales, groups, padding. */
#include "op/qconv.c"

#include "base/cpu.h"
#include "op_case.h"

#include <math.h>

struct form {
    int64_t batch, in, out, groups, size[2], kernel[2], stride[2], pads[4];
    enum dtype x, w, y;
    int32_t x_zero, w_zero, y_zero;
    bool per_channel, bias, plus;
};

static struct tensor scalar_of(struct op_case *c, enum dtype t, int32_t v) {
    struct tensor s = op_case_random(c, t, SCALAR, 1);
    *(int8_t *)s.data = (int8_t)v;
    return s;
}

/* What is added, as q_linear_add would: its inputs, and the sum in y. */
static void add_plus(struct op_case *c, const struct form *f, struct tensor *y) {
    const float y_scale = 0.05f, plus_scale = 0.02f, sum_scale = 0.07f;
    struct tensor plus = op_case_random(c, f->y, y->shape, 77);
    for (size_t i = 0; i < tensor_count(y); i++) {
        double sum = (double)(tensor_i64(y, i) - f->y_zero) * (double)y_scale +
                     (double)(tensor_i64(&plus, i) - 9) * (double)plus_scale,
               v = rint(sum / (double)sum_scale) + 21, low = f->y == DT_I8 ? -128 : 0;
        ((uint8_t *)y->data)[i] = (uint8_t)(int)fmax(low, fmin(low + 255, v));
    }
    while (c->n_in < PLUS)
        op_case_in(c, T_ABSENT);
    op_case_in(c, plus);
    op_case_in(c, T_F32(SCALAR, plus_scale));
    op_case_in(c, scalar_of(c, f->y, 9));
    op_case_in(c, T_F32(SCALAR, sum_scale));
    op_case_in(c, scalar_of(c, f->y, 21));
    c->n_post = 1;
    c->post[0] = (struct post){.kind = POST_ADD, .input = PLUS};
}

static struct op_case make(const struct form *f, bool integer, uint64_t seed) {
    struct op_case c = op_case(integer ? "conv_integer" : "q_linear_conv", 10);
    struct tensor x = op_case_random(&c, f->x, DIMS(f->batch, f->in, f->size[0], f->size[1]), seed);
    struct tensor w = op_case_random(
        &c, f->w, DIMS(f->out, f->in / f->groups, f->kernel[0], f->kernel[1]), seed + 1);
    struct tensor w_scale = op_case_random(&c, DT_F32, f->per_channel ? DIMS(f->out) : SCALAR, 2),
                  bias = op_case_random(&c, DT_I32, DIMS(f->out), 3);
    struct tensor w_zero =
        f->per_channel ? op_case_random(&c, f->w, DIMS(f->out), 4) : scalar_of(&c, f->w, f->w_zero);
    for (size_t i = 0; i < tensor_count(&w_scale); i++)
        ((float *)w_scale.data)[i] = 0.01f * (float)(i % 7 + 1);
    for (size_t i = 0; f->per_channel && i < tensor_count(&w_zero); i++)
        ((int8_t *)w_zero.data)[i] = (int8_t)f->w_zero;
    int64_t out[2];
    for (int i = 0; i < 2; i++)
        out[i] = (f->size[i] + f->pads[i] + f->pads[2 + i] - f->kernel[i]) / f->stride[i] + 1;
    struct tensor y =
        op_case_random(&c, integer ? DT_I32 : f->y, DIMS(f->batch, f->out, out[0], out[1]), 1);
    int64_t in_c = f->in / f->groups, out_c = f->out / f->groups;
    for (int64_t i = 0; i < (int64_t)tensor_count(&y); i++) {
        int64_t sum = 0, o = i / (out[0] * out[1]) % f->out, n = i / (out[0] * out[1] * f->out);
        for (int64_t k = 0; k < in_c; k++)
            for (int64_t tap = 0; tap < f->kernel[0] * f->kernel[1]; tap++) {
                int64_t r = i / out[1] % out[0] * f->stride[0] - f->pads[0] + tap / f->kernel[1],
                        q = i % out[1] * f->stride[1] - f->pads[1] + tap % f->kernel[1];
                if (r < 0 || q < 0 || r >= f->size[0] || q >= f->size[1])
                    continue;
                int64_t u =
                    tensor_i64(&x, (size_t)(((n * f->in + o / out_c * in_c + k) * f->size[0] + r) *
                                                f->size[1] +
                                            q)) -
                    f->x_zero;
                sum +=
                    u *
                    (tensor_i64(&w, (size_t)((o * in_c + k) * f->kernel[0] * f->kernel[1] + tap)) -
                     f->w_zero);
            }
        if (integer) {
            ((int32_t *)y.data)[i] = (int32_t)sum;
            continue;
        }
        sum += f->bias ? ((int32_t *)bias.data)[o] : 0;
        double v = rint((double)sum * 0.02 *
                        (double)((float *)w_scale.data)[f->per_channel ? o : 0] / 0.05) +
                   f->y_zero;
        double low = f->y == DT_I8 ? -128 : 0, high = f->y == DT_I8 ? 127 : 255;
        ((uint8_t *)y.data)[i] = (uint8_t)(int)(v < low ? low : v > high ? high : v);
    }
    op_case_in(&c, x);
    if (integer) {
        op_case_in(&c, w);
        op_case_in(&c, scalar_of(&c, f->x, f->x_zero));
        op_case_in(&c, w_zero);
    } else {
        op_case_in(&c, T_F32(SCALAR, 0.02f));
        op_case_in(&c, scalar_of(&c, f->x, f->x_zero));
        op_case_in(&c, w);
        op_case_in(&c, w_scale);
        op_case_in(&c, w_zero);
        op_case_in(&c, T_F32(SCALAR, 0.05f));
        op_case_in(&c, scalar_of(&c, f->y, f->y_zero));
        if (f->bias)
            op_case_in(&c, bias);
    }
    c.absolute = integer ? 0 : 1; /* a tie may round either way */
    op_case_int(&c, "group", f->groups);
    op_case_ints(&c, "strides", 2, f->stride);
    op_case_ints(&c, "pads", 4, f->pads);
    if (f->plus && !integer)
        add_plus(&c, f, &y);
    op_case_out(&c, y);
    return c;
}

static const struct form forms[] = {
    {1, 3, 5, 1, {5, 6}, {3, 3}, {1, 1}, {1, 1, 1, 1}, DT_U8, DT_I8, DT_U8, 7, 0, 3, .bias = true},
    {2,
     16,
     32,
     1,
     {9, 9},
     {3, 3},
     {2, 2},
     {1, 1, 1, 1},
     DT_U8,
     DT_I8,
     DT_U8,
     12,
     0,
     100,
     .per_channel = true,
     .bias = true},
    {1,
     64,
     64,
     1,
     {14, 14},
     {1, 1},
     {1, 1},
     {0},
     DT_I8,
     DT_I8,
     DT_I8,
     -3,
     0,
     5,
     .per_channel = true},
    {1, 8, 8, 8, {7, 7}, {3, 3}, {1, 1}, {1, 1, 1, 1}, DT_U8, DT_I8, DT_U8, 4, 0, 9, .bias = true},
    {1, 6, 4, 2, {5, 5}, {2, 2}, {1, 1}, {0, 1, 1, 0}, DT_U8, DT_U8, DT_U8, 4, 7, 9},
    {1,
     5,
     7,
     1,
     {4, 4},
     {3, 3},
     {1, 1},
     {1, 1, 1, 1},
     DT_I8,
     DT_U8,
     DT_I8,
     4,
     200,
     0,
     .per_channel = true},
    {1, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0}, DT_U8, DT_I8, DT_U8, 0, 0, 0},
    {1, /* a team that shares channels */
     20,
     150,
     1,
     {7, 7},
     {3, 3},
     {1, 1},
     {1, 1, 1, 1},
     DT_U8,
     DT_I8,
     DT_U8,
     9,
     0,
     4,
     .per_channel = true,
     .bias = true},
    {2, /* quads, with a residual */
     68,
     45,
     1,
     {5, 7},
     {1, 1},
     {1, 1},
     {0},
     DT_U8,
     DT_I8,
     DT_U8,
     130,
     0,
     70,
     .per_channel = true,
     .bias = true,
     .plus = true},
    {1, /* quads of two groups, strides, shifted weights, signed output */
     40,
     66,
     2,
     {9, 8},
     {1, 1},
     {2, 2},
     {0},
     DT_U8,
     DT_U8,
     DT_I8,
     3,
     128,
     -7,
     .plus = true},
    {1, 4, 4, 1, {3, 3}, {3, 3}, {1, 1}, {1, 1, 1, 1}, DT_I8, DT_I8, DT_I8, 3, 0, -7, .plus = true},
    {1, /* winograd, with a residual */
     64,
     64,
     1,
     {37, 38},
     {3, 3},
     {1, 1},
     {1, 1, 1, 1},
     DT_U8,
     DT_I8,
     DT_U8,
     30,
     0,
     70,
     .per_channel = true,
     .bias = true,
     .plus = true},
    {2, /* windows of few channels, unrolled */
     3,
     64,
     1,
     {31, 45},
     {7, 7},
     {2, 2},
     {3, 3, 3, 3},
     DT_U8,
     DT_I8,
     DT_U8,
     114,
     0,
     7,
     .per_channel = true,
     .bias = true},
    {2, /* lines longer than what is copied at once, and too long for the picture; a residual */
     4,
     33,
     1,
     {12, 10},
     {3, 11},
     {1, 3},
     {2, 4, 1, 5},
     DT_U8,
     DT_I8,
     DT_I8,
     200,
     0,
     -7,
     .bias = true,
     .plus = true},
    {1, 64, 64, 1, {40, 36}, {3, 3}, {1, 1}, {1, 1, 1, 1}, DT_I8, DT_I8, DT_I8, -30, 0, 7},
};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static void test_linear(void **state) {
    (void)state;
    for (uint64_t i = 0; i < N_FORMS; i++)
        for (int constants = 0; constants < 3; constants++) {
            struct op_case c = make(&forms[i], false, 10 * i);
            c.constant = constants == 0 ? 0 : constants == 1 ? 0x28 : 0x1fe;
            op_case_check(&c);
        }
}

static void test_integer(void **state) {
    (void)state;
    for (uint64_t i = 0; i < N_FORMS; i++)
        for (int constants = 0; constants < 2; constants++) {
            struct op_case c = make(&forms[i], true, 10 * i);
            c.constant = constants ? 0xe : 0;
            op_case_check(&c);
        }
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("conv_integer", 10);
    op_case_in(&c, T_U8(DIMS(1, 2, 1), 1, 2));
    op_case_in(&c, T_U8(DIMS(1, 1, 1), 1));
    op_case_out(&c, T_I32(DIMS(1, 1, 1), 0));
    op_case_refuse(&c, ERR_INVALID, "groups");
    c = op_case("conv_integer", 10);
    op_case_in(&c, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&c, T_U8(DIMS(1, 1, 1), 1));
    op_case_out(&c, T_I32(DIMS(1, 1, 1), 0));
    op_case_refuse(&c, ERR_UNSUPPORTED, "f32");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
