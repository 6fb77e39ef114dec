/* SPDX-License-Identifier: Apache-2.0 */
/* Transposed convolutions against the definition, which adds each input into the outputs it
 * reaches: windows, groups, sizes, layouts, posts; weights constant and not; and how output sizes
 * and pads follow from each other, by hand. */
#include "op/conv_transpose.c"

#include "base/cpu.h"
#include "op_case.h"

struct form {
    int n; /* spatial dims */
    int64_t batch, in, out, groups, size[3], kernel[3], stride[3], dilation[3], pads[6], extra[3];
    bool bias;
};

static int64_t at(const int64_t *v, int i, int64_t otherwise) { return v[i] ? v[i] : otherwise; }

struct cube { /* a form in three dims */
    int64_t in[3], k[3], s[3], d[3], p[3], out[3];
};

static struct cube cube_of(const struct form *f, struct shape *y) {
    struct cube c;
    *y = (struct shape){.rank = f->n + 2, .dims = {f->batch, f->out}};
    for (int i = 0; i < 3; i++) {
        int own = i - (3 - f->n);
        c.in[i] = c.k[i] = c.s[i] = c.d[i] = c.out[i] = 1, c.p[i] = 0;
        if (own < 0)
            continue;
        c.in[i] = f->size[own], c.k[i] = f->kernel[own], c.s[i] = at(f->stride, own, 1),
        c.d[i] = at(f->dilation, own, 1), c.p[i] = f->pads[own];
        c.out[i] = y->dims[2 + own] = (c.in[i] - 1) * c.s[i] + f->extra[own] +
                                      (c.k[i] - 1) * c.d[i] + 1 - c.p[i] - f->pads[f->n + own];
    }
    return c;
}

/* y of one plane of x and one plane of w; returns where tap `tap` of input `pixel` lands, or -1. */
static int64_t target(const struct cube *c, int64_t pixel, int64_t tap) {
    int64_t to = 0,
            i[3] = {pixel / c->in[2] / c->in[1], pixel / c->in[2] % c->in[1], pixel % c->in[2]},
            k[3] = {tap / c->k[2] / c->k[1], tap / c->k[2] % c->k[1], tap % c->k[2]};
    for (int d = 0; d < 3; d++) {
        int64_t o = i[d] * c->s[d] + k[d] * c->d[d] - c->p[d];
        if (o < 0 || o >= c->out[d])
            return -1;
        to = to * c->out[d] + o;
    }
    return to;
}

static struct tensor expected(struct op_case *oc, const struct form *f) {
    struct shape shape;
    const struct cube c = cube_of(f, &shape);
    const int64_t in_c = f->in / f->groups, out_c = f->out / f->groups,
                  pixels = c.in[0] * c.in[1] * c.in[2], taps = c.k[0] * c.k[1] * c.k[2],
                  outs = c.out[0] * c.out[1] * c.out[2];
    const float *x = oc->in[0].data, *w = oc->in[1].data, *b = f->bias ? oc->in[2].data : NULL;
    struct tensor y;
    struct err e;
    assert_int_equal(tensor_new(&oc->arena, DT_F32, &shape, &y, &e), OK);
    float *ys = y.data;
    for (int64_t i = 0; i < f->batch * f->out * outs; i++)
        ys[i] = b ? b[i / outs % f->out] : 0;
    for (int64_t n = 0; n < f->batch; n++)
        for (int64_t i = 0; i < f->in; i++)
            for (int64_t o = 0; o < out_c; o++)
                for (int64_t pixel = 0; pixel < pixels; pixel++)
                    for (int64_t tap = 0; tap < taps; tap++) {
                        int64_t to = target(&c, pixel, tap), channel = i / in_c * out_c + o;
                        if (to >= 0)
                            ys[(n * f->out + channel) * outs + to] +=
                                x[(n * f->in + i) * pixels + pixel] *
                                w[(i * out_c + o) * taps + tap];
                    }
    return y;
}

static struct op_case make(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("conv_transpose", 22);
    struct shape x = {.rank = f->n + 2, .dims = {f->batch, f->in}},
                 w = {.rank = f->n + 2, .dims = {f->in, f->out / f->groups}};
    for (int i = 0; i < f->n; i++)
        x.dims[2 + i] = f->size[i], w.dims[2 + i] = f->kernel[i];
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
    op_case_out(&c, expected(&c, f));
    return c;
}

static const struct form forms[] = {
    {2, 1, 3, 5, 1, {5, 6}, {3, 3}, .bias = true},
    {2, 2, 24, 24, 1, {6, 7}, {2, 2}, {2, 2}, .bias = true}, /* columns merged */
    {2, 2, 24, 1, 1, {9, 70}, {2, 2}, {2, 2}, .bias = true}, /* rows too */
    {2, 1, 5, 2, 1, {4, 3}, {2, 3}, {2, 3}, .bias = true},
    {3, 2, 4, 1, 1, {2, 3, 5}, {2, 2, 2}, {2, 2, 2}, .pads = {1, 0, 0, 0, 0, 0}},
    {2, 1, 16, 33, 1, {7, 70}, {3, 3}, {2, 2}, .pads = {1, 1, 1, 1}, .extra = {1, 1}},
    {2, 2, 17, 7, 1, {5, 5}, {4, 4}, {2, 2}, .pads = {1, 1, 1, 1}, .bias = true},
    {2, 1, 6, 4, 2, {5, 4}, {3, 2}, {2, 3}, {2, 1}, {0, 1, 1, 0}, .bias = true},
    {2, 2, 19, 19, 19, {6, 5}, {4, 4}, {2, 2}, .pads = {1, 1, 1, 1}, .bias = true},
    {2, 1, 16, 16, 16, {5, 9}, {3, 3}, {1, 2}},
    {2, 2, 5, 3, 1, {4, 3}, {1, 2}, {3, 4}, .bias = true},         /* gaps */
    {2, 1, 4, 4, 1, {3, 3}, {3, 3}, {4, 2}, {2, 4}, .bias = true}, /* gaps by dilation */
    {2, 1, 127, 31, 1, {3, 4}, {3, 3}, {2, 1}, .pads = {1, 0, 1, 2}},
    {1, 2, 12, 7, 1, {31}, {8}, {4}, .pads = {2, 2}, .bias = true},
    {1, 1, 8, 15, 1, {40}, {4}, {4}},
    {3, 1, 3, 4, 1, {3, 2, 4}, {2, 3, 3}, {1, 2, 2}, .pads = {1, 0, 1, 0, 1, 1}, .bias = true},
    {3, 1, 16, 8, 1, {3, 3, 3}, {2, 2, 2}, {2, 2, 2}, .bias = true},
    {2, 1, 1, 1, 1, {1, 1}, {1, 1}},
    {2, 1, 32, 32, 1, {24, 24}, {4, 4}, {2, 2}, .pads = {1, 1, 1, 1}, .bias = true}, /* threads */
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

static void test_posts(void **state) {
    (void)state;
    struct op_case c = make(&forms[1], 5);
    struct tensor *y = &c.out[0];
    float *v = y->data;
    c.constant = 2;
    c.n_post = 2;
    c.post[0] = (struct post){.kind = POST_ADD, .input = 3};
    c.post[1] = (struct post){.kind = POST_RELU};
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(24, 1, 1), 99));
    const float *other = c.in[3].data;
    const size_t plane = (size_t)(y->shape.dims[2] * y->shape.dims[3]);
    for (size_t i = 0; i < tensor_count(y); i++) {
        v[i] += other[i / plane % 24];
        v[i] = v[i] > 0 ? v[i] : 0;
    }
    op_case_check(&c);
}

static void test_other_types(void **state) {
    (void)state;
    struct op_case c = op_case("conv_transpose", 22);
    op_case_in(&c, T_F16(DIMS(1, 2, 2), 0x3c00, 0x4000, 0x4200, 0x4400)); /* 1 2 3 4 */
    op_case_in(&c, T_F16(DIMS(2, 1, 2), 0x3c00, 0x4000, 0x3c00, 0x3c00)); /* 1 2 1 1 */
    op_case_in(&c, T_F16(DIMS(1), 0x3c00));
    op_case_out(&c, T_F16(DIMS(1, 1, 3), 0x4500, 0x4a00, 0x4880)); /* 5 12 9 */
    op_case_check(&c);
    c = op_case("conv_transpose", 22);
    op_case_in(&c, T_F64(DIMS(1, 1, 2), 1, 2));
    op_case_in(&c, T_F64(DIMS(1, 2, 2), 1, 2, 3, 4));
    op_case_out(&c, T_F64(DIMS(1, 2, 3), 1, 4, 4, 3, 10, 8));
    op_case_check(&c);
}

/* Outputs of 1 2 3 through a kernel of 1 1 1 and stride 2 are 1 1 3 2 5 3 3. */
static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *pad;
        int64_t shape; /* 0: no output_shape */
        int64_t n;
        float y[9];
    } cases[] = {
        {"NOTSET", 0, 7, {1, 1, 3, 2, 5, 3, 3}},
        {"VALID", 0, 7, {1, 1, 3, 2, 5, 3, 3}},
        {"SAME_UPPER", 0, 6, {1, 1, 3, 2, 5, 3}},
        {"SAME_LOWER", 0, 6, {1, 3, 2, 5, 3, 3}},
        {"NOTSET", 6, 6, {1, 3, 2, 5, 3, 3}},
        {"SAME_UPPER", 4, 4, {1, 3, 2, 5}},
        {"SAME_UPPER", 9, 9, {1, 1, 3, 2, 5, 3, 3, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_case c = op_case("conv_transpose", 11);
        struct tensor y = {.dtype = DT_F32, .shape = DIMS(1, 1, cases[i].n)};
        y.data = (void *)(uintptr_t)cases[i].y;
        op_case_str(&c, "auto_pad", cases[i].pad);
        op_case_ints(&c, "strides", 1, (int64_t[]){2});
        if (cases[i].shape)
            op_case_ints(&c, "output_shape", 1, &cases[i].shape);
        op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 2, 3));
        op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
        op_case_out(&c, y);
        op_case_check(&c);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct op_case c = op_case("conv_transpose", 11);
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(0, 1, 3)));
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
    op_case_out(&c, T_EMPTY(DT_F32, DIMS(0, 1, 5)));
    op_case_check(&c);
    c = op_case("conv_transpose", 11); /* no inputs, but an output: (0 - 1) * 1 + 3 */
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(1, 1, 0)));
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 1, 1));
    op_case_in(&c, T_F32(DIMS(1), 7));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 7, 7));
    op_case_check(&c);
}

static struct op_case pair(const char *attribute, int64_t value) {
    struct op_case c = op_case("conv_transpose", 11);
    if (attribute)
        op_case_ints(&c, attribute, 1, &value);
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(1, 1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 0, 0));
    return c;
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = pair("output_shape", -5);
    op_case_refuse(&c, ERR_INVALID, "a dim of -5");
    c = pair("output_padding", -1);
    op_case_refuse(&c, ERR_INVALID, "output_padding of -1");
    c = pair("strides", 0);
    op_case_refuse(&c, ERR_INVALID, "strides");
    c = pair(NULL, 0);
    op_case_int(&c, "group", 2);
    op_case_refuse(&c, ERR_INVALID, "in 2 groups");
    c = pair(NULL, 0);
    op_case_ints(&c, "pads", 2, (int64_t[]){2, 2});
    op_case_refuse(&c, ERR_INVALID, "a dim of -2");
    c = pair(NULL, 0);
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "the bias does not have 1 elements");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_posts),
        cmocka_unit_test(test_other_types), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_empty),       cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
