/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions against the definition, over windows, groups, sizes, layouts, posts; weights
 * constant and not. */
#include "op/conv.c"

#include "base/cpu.h"
#include "op_case.h"

#include <math.h>

struct form {
    int n; /* spatial dims */
    int64_t batch, in, out, groups, size[3], kernel[3], stride[3], dilation[3], pads[6];
    bool bias;
};

static int64_t at(const int64_t *v, int i, int64_t otherwise) { return v[i] ? v[i] : otherwise; }

/* y by seven loops (up to three spatial dims, missing ones of size 1). */
static struct tensor expected(struct op_case *c, const struct form *f, const struct tensor *x,
                              const struct tensor *w, const struct tensor *b) {
    int64_t in[3] = {1, 1, 1}, k[3] = {1, 1, 1}, s[3] = {1, 1, 1}, d[3] = {1, 1, 1}, p[3] = {0},
            out[3] = {1, 1, 1};
    struct shape shape = {.rank = f->n + 2, .dims = {f->batch, f->out}};
    for (int i = 0; i < f->n; i++) {
        int j = 3 - f->n + i;
        in[j] = f->size[i], k[j] = f->kernel[i], s[j] = at(f->stride, i, 1),
        d[j] = at(f->dilation, i, 1), p[j] = f->pads[i];
        out[j] = shape.dims[2 + i] =
            (in[j] + p[j] + f->pads[f->n + i] - (k[j] - 1) * d[j] - 1) / s[j] + 1;
    }
    struct tensor y;
    struct err e;
    assert_int_equal(tensor_new(&c->arena, DT_F32, &shape, &y, &e), OK);
    const float *xs = x->data, *ws = w->data;
    int64_t in_c = f->in / f->groups, out_c = f->out / f->groups, index = 0;
    for (int64_t n = 0; n < f->batch; n++)
        for (int64_t o = 0; o < f->out; o++)
            for (int64_t pixel = 0; pixel < out[0] * out[1] * out[2]; pixel++, index++) {
                double sum = b ? (double)((float *)b->data)[o] : 0;
                for (int64_t i = 0; i < in_c; i++)
                    for (int64_t tap = 0; tap < k[0] * k[1] * k[2]; tap++) {
                        int64_t z =
                            pixel / (out[1] * out[2]) * s[0] - p[0] + tap / (k[1] * k[2]) * d[0];
                        int64_t r =
                            pixel / out[2] % out[1] * s[1] - p[1] + tap / k[2] % k[1] * d[1];
                        int64_t q = pixel % out[2] * s[2] - p[2] + tap % k[2] * d[2];
                        if (z < 0 || r < 0 || q < 0 || z >= in[0] || r >= in[1] || q >= in[2])
                            continue;
                        int64_t channel = o / out_c * in_c + i;
                        sum += (double)xs[((n * f->in + channel) * in[0] + z) * in[1] * in[2] +
                                          r * in[2] + q] *
                               (double)ws[(o * in_c + i) * k[0] * k[1] * k[2] + tap];
                    }
                ((float *)y.data)[index] = (float)sum;
            }
    return y;
}

static struct op_case make(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("conv", 22);
    struct shape x = {.rank = f->n + 2, .dims = {f->batch, f->in}},
                 w = {.rank = f->n + 2, .dims = {f->out, f->in / f->groups}};
    for (int i = 0; i < f->n; i++)
        x.dims[2 + i] = f->size[i], w.dims[2 + i] = f->kernel[i];
    c.relative = 1e-4, c.absolute = 1e-4, c.ways_absolute = 2e-3; /* Winograd of 4 x 4 */
    op_case_in(&c, op_case_random(&c, DT_F32, x, seed));
    op_case_in(&c, op_case_random(&c, DT_F32, w, seed + 1));
    if (f->bias)
        op_case_in(&c, op_case_random(&c, DT_F32, DIMS(f->out), seed + 2));
    op_case_int(&c, "group", f->groups);
    if (f->stride[0])
        op_case_ints(&c, "strides", (size_t)f->n, f->stride);
    if (f->dilation[0])
        op_case_ints(&c, "dilations", (size_t)f->n, f->dilation);
    op_case_ints(&c, "pads", 2 * (size_t)f->n, f->pads);
    op_case_out(&c, expected(&c, f, &c.in[0], &c.in[1], f->bias ? &c.in[2] : NULL));
    return c;
}

static const struct form forms[] = {
    {2, 1, 3, 5, 1, {5, 6}, {3, 3}, .pads = {1, 1, 1, 1}, .bias = true},
    {2, 2, 4, 6, 2, {7, 5}, {3, 2}, {2, 1}, .pads = {0, 1, 1, 0}},
    {2, 1, 17, 31, 1, {9, 9}, {1, 1}, .bias = true},
    {2, 1, 16, 16, 16, {9, 7}, {3, 3}, {1, 1}, .pads = {1, 1, 1, 1}, .bias = true},
    {2, 2, 19, 19, 19, {9, 7}, {5, 5}, {2, 2}, .pads = {2, 2, 2, 2}},
    {2, 1, 8, 16, 8, {6, 6}, {3, 3}, .pads = {1, 1, 1, 1}},
    {2, 1, 5, 7, 1, {11, 11}, {3, 3}, {1, 1}, {2, 3}, {2, 3, 2, 3}},
    {2, 1, 64, 64, 1, {15, 15}, {3, 3}, {1, 1}, .pads = {1, 1, 1, 1}, .bias = true},
    {2, 2, 32, 127, 1, {16, 16}, {3, 3}, {2, 2}, .pads = {1, 1, 0, 0}, .bias = true},
    {1, 1, 1, 33, 1, {130}, {64}, {16}},
    {1, 2, 12, 7, 1, {31}, {3}, {2}, .pads = {1, 1}, .bias = true},
    {3, 1, 3, 4, 1, {4, 5, 6}, {2, 3, 3}, {1, 2, 1}, .pads = {1, 0, 1, 0, 1, 1}, .bias = true},
    {3, 1, 16, 32, 1, {8, 8, 8}, {3, 3, 3}, .pads = {1, 1, 1, 1, 1, 1}},
    {2, 1, 1, 1, 1, {1, 1}, {1, 1}},
    {2, 1, 24, 24, 4, {20, 20}, {3, 3}, .pads = {1, 1, 1, 1}, .bias = true},
};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static void test_forms(void **state) {
    (void)state;
    for (uint64_t i = 0; i < N_FORMS; i++) {
        struct op_case c = make(&forms[i], 10 * i);
        op_case_check(&c);
        c = make(&forms[i], 10 * i);
        c.constant = 2; /* bit 1: the weights */
        op_case_check(&c);
    }
}

static void test_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (uint64_t i = 0; i < 10; i++)
        for (uint64_t j = 0; j < 10; j += 3)
            for (int wide = 0; wide < 2; wide++) {
                struct form f = {2,
                                 1,
                                 sizes[i],
                                 sizes[j],
                                 1,
                                 {3, 5},
                                 {wide ? 3 : 1, wide ? 3 : 1},
                                 .pads = {wide, wide, wide, wide},
                                 .bias = true};
                struct op_case c = make(&f, i * 100 + j);
                c.constant = 2;
                op_case_check(&c);
            }
}

/* Posts of every kind behind a large and a small convolution. */
static void test_posts(void **state) {
    (void)state;
    for (int size = 6; size <= 20; size += 14)
        for (enum post_kind kind = POST_RELU; kind <= POST_MUL; kind++)
            for (int operand = 0; operand < (kind >= POST_ADD ? 3 : 1); operand++) {
                struct form f = {
                    2, 1, 16, 24, 1, {size, size}, {3, 3}, .pads = {1, 1, 1, 1}, .bias = true};
                struct op_case c = make(&f, 7);
                struct tensor *y = &c.out[0];
                c.constant = 2;
                c.n_post = 1;
                c.post[0] = (struct post){.kind = kind, .alpha = 0.25f, .beta = 0.5f, .input = 3};
                c.relative = 1e-3, c.absolute = 1e-3;
                if (kind >= POST_ADD)
                    op_case_in(&c, op_case_random(&c, DT_F32,
                                                  operand == 0   ? y->shape
                                                  : operand == 1 ? DIMS(24, 1, 1)
                                                                 : DIMS(1),
                                                  99));
                for (size_t i = 0; i < tensor_count(y); i++) {
                    double v = (double)((float *)y->data)[i], a = 0.25, b = 0.5, r = v;
                    size_t other = operand == 0   ? i
                                   : operand == 1 ? i / ((size_t)size * (size_t)size)
                                                  : 0;
                    double o = kind >= POST_ADD ? (double)((float *)c.in[3].data)[other] : 0;
                    double hard = fmin(1, fmax(0, a * v + b)), sig = 1 / (1 + exp(-v));
                    switch (kind) {
                    case POST_RELU: r = fmax(v, 0); break;
                    case POST_CLIP: r = fmin(b, fmax(a, v)); break;
                    case POST_LEAKY_RELU: r = v < 0 ? a * v : v; break;
                    case POST_ELU: r = v < 0 ? a * expm1(v) : v; break;
                    case POST_SIGMOID: r = sig; break;
                    case POST_TANH: r = tanh(v); break;
                    case POST_HARD_SIGMOID: r = hard; break;
                    case POST_HARD_SWISH: r = v * fmin(1, fmax(0, v / 6 + 0.5)); break;
                    case POST_SILU: r = v * sig; break;
                    case POST_GELU_ERF: r = 0.5 * v * (1 + erf(v / sqrt(2.0))); break;
                    case POST_GELU_TANH:
                        r = 0.5 * v * (1 + tanh(0.7978845608 * (v + 0.044715 * v * v * v)));
                        break;
                    case POST_ADD: r = v + o; break;
                    case POST_MUL: r = v * o; break;
                    case POST_NONE: break;
                    }
                    ((float *)y->data)[i] = (float)r;
                }
                op_case_check(&c);
            }
}

static void test_other_types(void **state) {
    (void)state;
    struct op_case c = op_case("conv", 22);
    op_case_in(&c, T_F16(DIMS(1, 1, 2, 2), 0x3c00, 0x4000, 0x4200, 0x4400)); /* 1 2 3 4 */
    op_case_in(&c, T_F16(DIMS(1, 1, 2, 2), 0x3c00, 0x3c00, 0x3c00, 0x3c00));
    op_case_out(&c, T_F16(DIMS(1, 1, 1, 1), 0x4900)); /* 10 */
    op_case_check(&c);
}

static void test_auto_pad(void **state) {
    (void)state;
    for (int lower = 0; lower < 2; lower++) {
        struct op_case c = op_case("conv", 11);
        op_case_str(&c, "auto_pad", lower ? "SAME_LOWER" : "SAME_UPPER");
        op_case_ints(&c, "strides", 1, (int64_t[]){2});
        op_case_in(&c, T_F32(DIMS(1, 1, 4), 1, 2, 3, 4));
        op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
        op_case_out(&c, lower ? T_F32(DIMS(1, 1, 2), 3, 9) : T_F32(DIMS(1, 1, 2), 6, 7));
        op_case_check(&c);
    }
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("conv", 11);
    op_case_in(&c, T_F32(DIMS(1, 2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_F32(DIMS(1, 1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "in 1 groups");
    c = op_case("conv", 11);
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "does not fit");
    c = op_case("conv", 11);
    op_case_ints(&c, "strides", 1, (int64_t[]){0});
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(1, 1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "strides");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_posts),    cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_auto_pad), cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
