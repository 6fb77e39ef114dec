/* SPDX-License-Identifier: Apache-2.0 */
/* Pools against the definition over windows, sizes, types and layouts; what happens at the edges,
 * with ceil_mode and dilations, by hand. */
#include "op/pool.c"

#include "base/cpu.h"
#include "op_case.h"

struct form { /* two spatial dims */
    const char *op;
    int64_t channels, size[2], kernel[2], stride[2], dilation[2], pads[4];
    bool include_pad;
};

static double tap_of(const struct form *f, const struct tensor *x, size_t plane, int64_t row,
                     int64_t col) {
    return tensor_f64(x, (plane * (size_t)f->size[0] + (size_t)row) * (size_t)f->size[1] +
                             (size_t)col);
}

static double window_value(const struct form *f, const struct tensor *x, size_t plane, int64_t row0,
                           int64_t col0) {
    double top = -1e30, sum = 0, power = 0;
    int64_t inside = 0;
    for (int64_t r = 0; r < f->kernel[0]; r++)
        for (int64_t q = 0; q < f->kernel[1]; q++) {
            int64_t row = row0 + r * f->dilation[0], col = col0 + q * f->dilation[1];
            if (row < 0 || col < 0 || row >= f->size[0] || col >= f->size[1])
                continue;
            double v = tap_of(f, x, plane, row, col);
            top = v > top ? v : top;
            sum += v;
            power += v * v;
            inside++;
        }
    if (strcmp(f->op, "max_pool") == 0)
        return top;
    if (strcmp(f->op, "lp_pool") == 0)
        return sqrt(power);
    return sum / (double)(f->include_pad ? f->kernel[0] * f->kernel[1] : inside);
}

static struct op_case make(const struct form *f, enum dtype t) {
    struct op_case c = op_case(f->op, 22);
    const int64_t reach[2] = {(f->kernel[0] - 1) * f->dilation[0] + 1,
                              (f->kernel[1] - 1) * f->dilation[1] + 1};
    struct shape out =
        DIMS(2, f->channels, (f->size[0] + f->pads[0] + f->pads[2] - reach[0]) / f->stride[0] + 1,
             (f->size[1] + f->pads[1] + f->pads[3] - reach[1]) / f->stride[1] + 1);
    struct tensor y;
    struct err e;
    size_t index = 0;
    c.relative = c.absolute = t == DT_F16 ? 2e-3 : t == DT_BF16 ? 1e-2 : 1e-5;
    op_case_in(&c, op_case_random(&c, t, DIMS(2, f->channels, f->size[0], f->size[1]), 7));
    assert_int_equal(tensor_new(&c.arena, t, &out, &y, &e), OK);
    for (size_t plane = 0; plane < 2 * (size_t)f->channels; plane++)
        for (int64_t row = 0; row < out.dims[2]; row++)
            for (int64_t col = 0; col < out.dims[3]; col++, index++)
                operand_put(&y, index,
                            window_value(f, &c.in[0], plane, row * f->stride[0] - f->pads[0],
                                         col * f->stride[1] - f->pads[1]));
    op_case_ints(&c, "kernel_shape", 2, f->kernel);
    op_case_ints(&c, "strides", 2, f->stride);
    op_case_ints(&c, "dilations", 2, f->dilation);
    op_case_ints(&c, "pads", 4, f->pads);
    op_case_int(&c, "count_include_pad", f->include_pad);
    op_case_out(&c, y);
    return c;
}

static const struct form forms[] = {
    {"max_pool", 3, {7, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false},
    {"max_pool", 64, {15, 15}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false},
    {"max_pool", 17, {9, 8}, {2, 3}, {1, 2}, {2, 3}, {1, 0, 1, 2}, false},
    {"max_pool", 127, {5, 5}, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, false},
    {"max_pool", 31, {12, 12}, {12, 12}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false}, /* > TAPS */
    {"max_pool", 2100, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false},   /* > STRETCH */
    {"max_pool", 1, {6, 9}, {2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, false},
    {"average_pool", 16, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false},
    {"average_pool", 15, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {"average_pool", 33, {14, 13}, {13, 12}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false},
    {"average_pool", 700, {4, 9}, {3, 2}, {2, 3}, {1, 3}, {1, 1, 0, 1}, true},
    {"lp_pool", 4, {6, 6}, {3, 2}, {2, 1}, {1, 2}, {1, 0, 1, 1}, false},
};

static void test_forms(void **state) {
    (void)state;
    static const enum dtype types[] = {DT_F32, DT_F64, DT_F16, DT_BF16};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            struct op_case c = make(&forms[i], types[t]);
            op_case_check(&c);
        }
}

static void test_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].op, "max_pool") != 0)
            continue;
        struct op_case u = make(&forms[i], DT_U8), s = make(&forms[i], DT_I8);
        op_case_check(&u);
        op_case_check(&s);
    }
}

/* Averages of bytes: x = (v - 3) / 2, y in eighths from 9 on. */
static void test_means_of_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * sizeof forms / sizeof forms[0]; i++) {
        const struct form *f = &forms[i / 2];
        const bool is_signed = i % 2;
        if (strcmp(f->op, "average_pool") != 0)
            continue;
        struct op_case c = make(f, is_signed ? DT_I8 : DT_U8);
        static const int8_t zeros[2] = {3, 9};
        struct tensor y = c.out[0];
        for (size_t at = 0; at < tensor_count(&y); at++) {
            const int64_t across = y.shape.dims[3], down = y.shape.dims[2];
            const int64_t col = (int64_t)at % across, row = (int64_t)at / across % down;
            int64_t taps = 0;
            double sum = 0;
            for (int64_t tap = 0; tap < f->kernel[0] * f->kernel[1]; tap++) {
                const int64_t r = row * f->stride[0] - f->pads[0] +
                                  tap / f->kernel[1] * f->dilation[0],
                              q = col * f->stride[1] - f->pads[1] +
                                  tap % f->kernel[1] * f->dilation[1];
                if (r < 0 || q < 0 || r >= f->size[0] || q >= f->size[1])
                    continue;
                sum += tap_of(f, &c.in[0], at / (size_t)(across * down), r, q) - 3;
                taps++;
            }
            const double count = (double)(f->include_pad ? f->kernel[0] * f->kernel[1] : taps),
                         low = is_signed ? -128 : 0,
                         v = rint((double)((float)sum * (4 / (float)count))) + 9;
            ((uint8_t *)y.data)[at] = (uint8_t)(int)fmax(low, fmin(low + 255, v));
        }
        op_case_in(&c, T_F32(SCALAR, 0.5f));
        op_case_in(&c,
                   (struct tensor){.dtype = c.in[0].dtype, .data = (void *)(uintptr_t)&zeros[0]});
        op_case_in(&c, T_F32(SCALAR, 0.125f));
        op_case_in(&c,
                   (struct tensor){.dtype = c.in[0].dtype, .data = (void *)(uintptr_t)&zeros[1]});
        c.op_name = "q_linear_average_pool", c.relative = c.absolute = 0;
        op_case_check(&c);
    }
}

static void test_negative_bytes(void **state) {
    (void)state;
    struct op_case c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_ints(&c, "pads", 2, (int64_t[]){1, 1});
    op_case_in(&c, T_I8(DIMS(1, 2, 2), -128, -5, -7, -100));
    op_case_out(&c, T_I8(DIMS(1, 2, 3), -128, -5, -5, -7, -7, -100));
    op_case_check(&c);
}

/* The last window exists only if it begins on the input or the pad before it; an average counts
 * pads but not what lies behind them. */
static void test_ceil(void **state) {
    (void)state;
    struct op_case c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_ints(&c, "strides", 1, (int64_t[]){2});
    op_case_int(&c, "ceil_mode", 1);
    op_case_in(&c, T_F32(DIMS(1, 1, 5), 1, 2, 3, 4, -5));
    op_case_out(&c, T_F32(DIMS(1, 1, 3), 2, 4, -5));
    op_case_check(&c);

    c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_ints(&c, "strides", 1, (int64_t[]){2});
    op_case_ints(&c, "pads", 2, (int64_t[]){1, 1});
    op_case_int(&c, "ceil_mode", 1);
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 1, 2, 3));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 1, 3));
    op_case_check(&c);

    for (int64_t include = 0; include < 2; include++) {
        c = op_case("average_pool", 19);
        op_case_ints(&c, "kernel_shape", 1, (int64_t[]){3});
        op_case_ints(&c, "strides", 1, (int64_t[]){3});
        op_case_ints(&c, "pads", 2, (int64_t[]){1, 1});
        op_case_int(&c, "ceil_mode", 1);
        op_case_int(&c, "count_include_pad", include);
        op_case_in(&c, T_F32(DIMS(1, 1, 6), 6, 12, 3, 6, 9, 12));
        if (include)
            op_case_out(&c, T_F32(DIMS(1, 1, 3), 6, 6, 6));
        else
            op_case_out(&c, T_F32(DIMS(1, 1, 3), 9, 6, 12));
        op_case_check(&c);
    }
}

static void test_auto_pad(void **state) {
    (void)state;
    static const struct {
        const char *pad;
        float y[3];
        int64_t n;
    } cases[] = {{"SAME_UPPER", {2, 4, 5}, 3}, {"SAME_LOWER", {1, 3, 5}, 3}, {"VALID", {2, 4}, 2}};
    for (size_t i = 0; i < 3; i++) {
        struct op_case c = op_case("max_pool", 12);
        struct tensor y = {.dtype = DT_F32, .shape = DIMS(1, 1, cases[i].n)};
        y.data = (void *)(uintptr_t)cases[i].y;
        op_case_str(&c, "auto_pad", cases[i].pad);
        op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
        op_case_ints(&c, "strides", 1, (int64_t[]){2});
        op_case_in(&c, T_F32(DIMS(1, 1, 5), 1, 2, 3, 4, 5));
        op_case_out(&c, y);
        op_case_check(&c);
    }
}

/* Indices count from the start of the tensor; among equals the first is taken. */
static void test_indices(void **state) {
    (void)state;
    for (int64_t order = 0; order < 2; order++) {
        struct op_case c = op_case("max_pool", 12);
        op_case_ints(&c, "kernel_shape", 2, (int64_t[]){2, 2});
        op_case_int(&c, "storage_order", order);
        op_case_in(&c, T_F32(DIMS(1, 2, 2, 3), 1, 5, 2, 5, 0, 3, -1, -2, -3, -4, -5, -1));
        op_case_out(&c, T_F32(DIMS(1, 2, 1, 2), 5, 5, -1, -1));
        if (order)
            op_case_out(&c, T_I64(DIMS(1, 2, 1, 2), 2, 2, 6, 11));
        else
            op_case_out(&c, T_I64(DIMS(1, 2, 1, 2), 1, 1, 6, 11));
        op_case_check(&c);
    }
    struct op_case c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 3, (int64_t[]){2, 2, 2});
    op_case_int(&c, "storage_order", 1);
    op_case_in(&c, T_U8(DIMS(1, 1, 2, 2, 3), 1, 5, 2, 5, 0, 3, 1, 2, 9, 4, 5, 1));
    op_case_out(&c, T_U8(DIMS(1, 1, 1, 1, 2), 5, 9));
    op_case_out(&c, T_I64(DIMS(1, 1, 1, 1, 2), 4, 9));
    op_case_check(&c);
}

/* A dilated window can miss the input altogether. */
static void test_nothing_under_the_window(void **state) {
    (void)state;
    static const char *const ops[] = {"max_pool", "average_pool"};
    for (int i = 0; i < 2; i++) {
        struct op_case c = op_case(ops[i], 19);
        op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
        op_case_ints(&c, "dilations", 1, (int64_t[]){2});
        op_case_ints(&c, "pads", 2, (int64_t[]){1, 1});
        op_case_in(&c, T_F32(DIMS(1, 1, 1), 3));
        op_case_out(&c, T_F32(DIMS(1, 1, 1), i ? 0 : -FLT_MAX));
        op_case_check(&c);
    }
}

static void test_not_a_number(void **state) {
    (void)state;
    struct op_case c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_in(&c, T_F32(DIMS(1, 2, 3), 1, NAN, 2, -INFINITY, -INFINITY, 1));
    op_case_out(&c, T_F32(DIMS(1, 2, 2), NAN, NAN, -INFINITY, 1));
    op_case_check(&c);
}

static void test_three_dims(void **state) {
    (void)state;
    struct op_case c = op_case("average_pool", 19);
    op_case_ints(&c, "kernel_shape", 3, (int64_t[]){2, 1, 2});
    op_case_in(&c, T_F32(DIMS(1, 2, 2, 2, 2), 1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 4, 4, 0, 0, 4, 4));
    op_case_out(&c, T_F32(DIMS(1, 2, 1, 2, 1), 6, 10, 0, 4));
    op_case_check(&c);
}

static void test_lp(void **state) {
    (void)state;
    struct op_case c = op_case("lp_pool", 18);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_int(&c, "p", 3);
    op_case_in(&c, T_F32(DIMS(1, 1, 3), 3, -4, 5));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 4.4979414f, 5.7387936f));
    op_case_check(&c);

    c = op_case("global_lp_pool", 1);
    op_case_float(&c, "p", 1);
    op_case_in(&c, T_F32(DIMS(1, 2, 3), 3, -4, 5, 0, 0, -1));
    op_case_out(&c, T_F32(DIMS(1, 2, 1), 12, 1));
    op_case_check(&c);
}

static void test_global(void **state) {
    (void)state;
    static const struct shape shapes[] = {{4, {1, 1, 1, 1}},   {4, {2, 3, 7, 7}},
                                          {3, {1, 17, 31}},    {4, {2, 127, 9, 8}},
                                          {4, {1, 600, 2, 3}}, {6, {1, 16, 2, 3, 4, 5}}};
    static const enum dtype types[] = {DT_F32, DT_F64, DT_F16, DT_BF16};
    for (size_t k = 0; k < 4 * sizeof shapes / sizeof shapes[0]; k++) {
        const struct shape *x = &shapes[k / 4];
        struct shape out = *x;
        struct tensor mean, top;
        struct err e;
        enum dtype t = types[k % 4];
        struct op_case a = op_case("global_average_pool", 1), m = op_case("global_max_pool", 1);
        a.relative = a.absolute = t == DT_BF16 ? 1e-2 : t == DT_F16 ? 2e-3 : 1e-5;
        for (int i = 2; i < x->rank; i++)
            out.dims[i] = 1;
        op_case_in(&a, op_case_random(&a, t, *x, k));
        op_case_in(&m, op_case_random(&m, t, *x, k));
        assert_int_equal(tensor_new(&a.arena, t, &out, &mean, &e), OK);
        assert_int_equal(tensor_new(&m.arena, t, &out, &top, &e), OK);
        size_t planes = tensor_count(&top), n = tensor_count(&a.in[0]) / planes;
        for (size_t plane = 0; plane < planes; plane++) {
            double sum = 0, most = -1e30;
            for (size_t i = plane * n; i < (plane + 1) * n; i++) {
                double v = tensor_f64(&a.in[0], i);
                sum += v;
                most = v > most ? v : most;
            }
            operand_put(&mean, plane, sum / (double)n);
            operand_put(&top, plane, most);
        }
        op_case_out(&a, mean);
        op_case_out(&m, top);
        op_case_check(&a);
        op_case_check(&m);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct op_case c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(0, 3, 4)));
    op_case_out(&c, T_EMPTY(DT_F32, DIMS(0, 3, 3)));
    op_case_check(&c);

    c = op_case("global_average_pool", 1);
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(1, 2, 0)));
    op_case_out(&c, T_F32(DIMS(1, 2, 1), 0, 0));
    op_case_check(&c);
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("max_pool", 12);
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_refuse(&c, ERR_FORMAT, "kernel_shape is missing");

    c = op_case("max_pool", 12);
    op_case_ints(&c, "kernel_shape", 1, (int64_t[]){3});
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "does not fit");

    c = op_case("max_pool", 12);
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "a pool over an input of shape [1,2]");

    c = op_case("average_pool", 19);
    op_case_in(&c, T_U8(DIMS(1, 1, 2), 1, 2));
    op_case_out(&c, T_U8(DIMS(1, 1, 2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "type");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_means_of_bytes),
        cmocka_unit_test(test_negative_bytes),
        cmocka_unit_test(test_ceil),
        cmocka_unit_test(test_auto_pad),
        cmocka_unit_test(test_indices),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_nothing_under_the_window),
        cmocka_unit_test(test_three_dims),
        cmocka_unit_test(test_lp),
        cmocka_unit_test(test_global),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
