/* SPDX-License-Identifier: Apache-2.0 */
/* Transposed convolutions against the definition: every input pixel scatters a kernel. */
#include "op/conv_transpose.c"

#include "base/cpu.h"
#include "op_case.h"

struct form {
    int n;
    int64_t batch, in, out, groups, size[3], kernel[3], stride[3], dilation[3], pads[6], extra[3];
    bool bias;
};

static int64_t at(const int64_t *v, int i, int64_t otherwise) { return v[i] ? v[i] : otherwise; }

static struct op_case make(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("conv_transpose", 22);
    struct shape x = {.rank = f->n + 2, .dims = {f->batch, f->in}},
                 w = {.rank = f->n + 2, .dims = {f->in, f->out / f->groups}},
                 y = {.rank = f->n + 2, .dims = {f->batch, f->out}};
    int64_t in[3] = {1, 1, 1}, k[3] = {1, 1, 1}, s[3] = {1, 1, 1}, d[3] = {1, 1, 1}, p[3] = {0},
            out[3] = {1, 1, 1};
    for (int i = 0; i < f->n; i++) {
        int j = 3 - f->n + i;
        x.dims[2 + i] = in[j] = f->size[i], w.dims[2 + i] = k[j] = f->kernel[i];
        s[j] = at(f->stride, i, 1), d[j] = at(f->dilation, i, 1), p[j] = f->pads[i];
        y.dims[2 + i] = out[j] =
            s[j] * (in[j] - 1) + f->extra[i] + (k[j] - 1) * d[j] + 1 - p[j] - f->pads[f->n + i];
    }
    c.relative = c.absolute = 1e-4;
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
    op_case_ints(&c, "output_padding", (size_t)f->n, f->extra);
    struct tensor expected = op_case_random(&c, DT_F32, y, 1);
    float *ys = expected.data;
    int64_t pixels = out[0] * out[1] * out[2], in_c = f->in / f->groups, out_c = f->out / f->groups;
    for (int64_t i = 0; i < f->batch * f->out * pixels; i++)
        ys[i] = f->bias ? ((float *)c.in[2].data)[i / pixels % f->out] : 0;
    for (int64_t i = 0; i < f->batch * f->in * in[0] * in[1] * in[2]; i++)
        for (int64_t o = 0; o < out_c; o++)
            for (int64_t tap = 0; tap < k[0] * k[1] * k[2]; tap++) {
                int64_t channel = i / (in[0] * in[1] * in[2]) % f->in,
                        n = i / (in[0] * in[1] * in[2] * f->in);
                int64_t z = i / (in[1] * in[2]) % in[0] * s[0] - p[0] + tap / (k[1] * k[2]) * d[0];
                int64_t r = i / in[2] % in[1] * s[1] - p[1] + tap / k[2] % k[1] * d[1];
                int64_t q = i % in[2] * s[2] - p[2] + tap % k[2] * d[2];
                if (z < 0 || r < 0 || q < 0 || z >= out[0] || r >= out[1] || q >= out[2])
                    continue;
                ys[(n * f->out + channel / in_c * out_c + o) * pixels + (z * out[1] + r) * out[2] +
                   q] += ((float *)c.in[0].data)[i] *
                         ((float *)c.in[1].data)[(channel * out_c + o) * k[0] * k[1] * k[2] + tap];
            }
    op_case_out(&c, expected);
    return c;
}

static const struct form forms[] = {
    {2, 1, 3, 5, 1, {4, 5}, {3, 3}, .bias = true},
    {2, 2, 24, 24, 1, {6, 7}, {2, 2}, {2, 2}, .bias = true},
    {2, 1, 24, 1, 1, {9, 9}, {2, 2}, {2, 2}, .bias = true},
    {2, 1, 4, 6, 2, {5, 4}, {3, 2}, {2, 3}, .pads = {1, 0, 1, 1}, .extra = {1, 0}},
    {2, 1, 2, 2, 1, {5, 5}, {3, 3}, {2, 1}, {2, 2}, {1, 2, 2, 1}},
    {1, 2, 7, 17, 1, {9}, {4}, {3}, .pads = {1, 1}},
    {1, 1, 3, 3, 3, {8}, {2}, {4}, .bias = true},
    {3, 1, 2, 3, 1, {3, 4, 2}, {2, 3, 2}, {1, 2, 2}, .bias = true},
};

static void test_forms(void **state) {
    (void)state;
    for (uint64_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (unsigned constant = 0; constant < 4; constant += 2) {
            struct op_case c = make(&forms[i], 10 * i);
            c.constant = constant;
            op_case_check(&c);
        }
}

static void test_posts(void **state) {
    (void)state;
    struct op_case c = make(&forms[1], 5);
    c.n_post = 1;
    c.post[0].kind = POST_RELU;
    float *y = c.out[0].data;
    for (size_t i = 0; i < tensor_count(&c.out[0]); i++)
        y[i] = y[i] > 0 ? y[i] : 0;
    op_case_check(&c);
}

/* One spatial dim: x = 1 2 3, kernel of three ones. */
static struct op_case ones(int64_t stride) {
    struct op_case c = op_case("conv_transpose", 11);
    op_case_ints(&c, "strides", 1, (int64_t[]){stride});
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 2, 3));
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
    return c;
}

static void test_sizes_asked_for(void **state) {
    (void)state;
    struct op_case c = ones(2); /* in full: 1 1 3 2 5 3 3 */
    op_case_str(&c, "auto_pad", "SAME_UPPER");
    op_case_out(&c, T_F32(DIMS(1, 1, 6), 1, 1, 3, 2, 5, 3));
    op_case_check(&c);
    c = ones(2);
    op_case_str(&c, "auto_pad", "SAME_LOWER");
    op_case_out(&c, T_F32(DIMS(1, 1, 6), 1, 3, 2, 5, 3, 3));
    op_case_check(&c);
    c = ones(2);
    op_case_ints(&c, "output_shape", 1, (int64_t[]){5});
    op_case_out(&c, T_F32(DIMS(1, 1, 5), 1, 3, 2, 5, 3));
    op_case_check(&c);
    c = ones(2);
    op_case_ints(&c, "output_shape", 1, (int64_t[]){9});
    op_case_out(&c, T_F32(DIMS(1, 1, 9), 1, 1, 3, 2, 5, 3, 3, 0, 0));
    op_case_check(&c);
    c = ones(1);
    op_case_ints(&c, "output_padding", 1, (int64_t[]){-1});
    op_case_out(&c, T_F32(DIMS(1, 1, 1), 0));
    op_case_refuse(&c, ERR_INVALID, "output_padding");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_posts),
        cmocka_unit_test(test_sizes_asked_for),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
