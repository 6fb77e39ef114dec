/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/qdq.c"

#include "toy.h"

static value_id byte(struct toy *t, int v) {
    return toy_constant(t, t->g, DT_U8, SCALAR, (uint8_t[]){(uint8_t)v});
}

static value_id quantise(struct toy *t, value_id x, float scale, int zero) {
    return toy_node(t, "quantize_linear", IDS(x, toy_number(t, scale), byte(t, zero)));
}

static value_id dequantise(struct toy *t, value_id q, float scale, int zero) {
    return toy_node(t, "dequantize_linear", IDS(q, toy_number(t, scale), byte(t, zero)));
}

static value_id both(struct toy *t, value_id x, float scale, int zero) {
    return dequantise(t, quantise(t, x, scale, zero), scale, zero);
}

/* D(w): int8 weights (m, ...) with a scale per row, of axis 0. */
static value_id weights(struct toy *t, const struct shape *s, int64_t axis) {
    size_t n;
    (void)shape_count(s, &n);
    int64_t m = s->dims[axis];
    int8_t *data = ARENA_ARRAY(&t->arena, n, int8_t);
    float *scales = ARENA_ARRAY(&t->arena, (size_t)m, float);
    int8_t *zeros = ARENA_ARRAY(&t->arena, (size_t)m, int8_t);
    for (size_t i = 0; i < n; i++)
        data[i] = (int8_t)((int)(i * 37 % 255) - 127);
    for (int64_t c = 0; c < m; c++)
        scales[c] = 0.01F * (float)(c + 1);
    value_id y = toy_node(t, "dequantize_linear",
                          IDS(toy_constant(t, t->g, DT_I8, s, data),
                              toy_constant(t, t->g, DT_F32, SHAPE(m), scales),
                              toy_constant(t, t->g, DT_I8, SHAPE(m), zeros)));
    toy_int(t, "axis", axis);
    return y;
}

/* D(b): int32 in units of x's scale times the weights'. */
static value_id bias(struct toy *t, int64_t m, float x_scale) {
    int32_t *data = ARENA_ARRAY(&t->arena, (size_t)m, int32_t),
            *zeros = ARENA_ARRAY(&t->arena, (size_t)m, int32_t);
    float *scales = ARENA_ARRAY(&t->arena, (size_t)m, float);
    for (int64_t c = 0; c < m; c++) {
        data[c] = (int32_t)(c * 91 - 100);
        scales[c] = x_scale * 0.01F * (float)(c + 1);
    }
    value_id y = toy_node(t, "dequantize_linear",
                          IDS(toy_constant(t, t->g, DT_I32, SHAPE(m), data),
                              toy_constant(t, t->g, DT_F32, SHAPE(m), scales),
                              toy_constant(t, t->g, DT_I32, SHAPE(m), zeros)));
    toy_int(t, "axis", 0);
    return y;
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 4, 6, 6));
}

/* The steps with the pass, and answers that differ by one quantisation step at most. */
static void expect(struct toy *t, value_id out, const char *steps, double step) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 4, 6, 6), 3);
    struct session *with = toy_open(t, 0), *without = toy_open(t, ~0u);
    assert_string_equal(toy_steps(t, with, &x), steps);
    struct tensor a = toy_answer(t, with, &x), b = toy_answer(t, without, &x);
    for (size_t i = 0; i < tensor_count(&a); i++)
        assert_true(fabs(tensor_f64(&a, i) - tensor_f64(&b, i)) <= step * 1.01);
    session_close(with);
    session_close(without);
    toy_deinit(t);
}

/* conv, relu, conv, a residual, a pool: one chain of bytes. */
static void chain(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60);
    value_id y =
        toy_node(&t, "conv", IDS(x, weights(&t, SHAPE(4, 4, 1, 1), 0), bias(&t, 4, 0.05F)));
    y = both(&t, toy_node(&t, "relu", IDS(y)), 0.1F, 0);
    value_id z = both(&t, toy_node(&t, "add", IDS(y, x)), 0.2F, 10);
    z = toy_node(&t, "max_pool", IDS(z));
    ATTR_INTS_OF(&t, "kernel_shape", 2, 2);
    expect(&t, both(&t, z, 0.2F, 10),
           "quantize_linear reorder q_linear_conv+add max_pool dequantize_linear reorder ", 0.2);
}

/* Pictures of other scales joined, enlarged and averaged: bytes from end to end. */
static void joined(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60);
    value_id y =
        toy_node(&t, "conv", IDS(x, weights(&t, SHAPE(4, 4, 1, 1), 0), bias(&t, 4, 0.05F)));
    y = toy_node(&t, "concat", IDS(both(&t, y, 0.1F, 100), x));
    toy_int(&t, "axis", 1);
    y = both(&t, y, 0.11F, 90);
    y = toy_node(&t, "concat", IDS(y, y));
    toy_int(&t, "axis", 2);
    y = toy_node(&t, "average_pool", IDS(both(&t, y, 0.11F, 90)));
    ATTR_INTS_OF(&t, "kernel_shape", 2, 2);
    expect(&t, both(&t, y, 0.1F, 80),
           "quantize_linear reorder q_linear_conv q_linear_concat concat q_linear_average_pool "
           "dequantize_linear reorder ",
           0.2);
}

/* Nearest pixels move; what is interpolated is a number. */
static void enlarged(void **unused) {
    (void)unused;
    for (int linear = 0; linear < 2; linear++) {
        struct toy t;
        value_id x = both(&t, begin(&t), 0.05F, 60);
        value_id y = toy_node(
            &t, "resize",
            IDS(x, VALUE_NONE, toy_constant(&t, t.g, DT_F32, SHAPE(4), (float[]){1, 1, 2, 2})));
        toy_attr(t.g, "mode", ATTR_STR)->s = str_of(linear ? "linear" : "nearest");
        expect(&t, both(&t, y, 0.05F, 60),
               linear ? "quantize_linear dequantize_linear resize quantize_linear "
                        "dequantize_linear "
                      : "quantize_linear resize dequantize_linear ",
               0.05);
    }
}

/* A real bias is quantised; a Relu that the quantiser does not make needless stays. */
static void real_bias(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60);
    value_id y = toy_node(&t, "conv",
                          IDS(x, weights(&t, SHAPE(3, 4, 1, 1), 0), toy_weights(&t, SHAPE(3), 2)));
    expect(&t, both(&t, y, 0.1F, 128),
           "quantize_linear reorder q_linear_conv dequantize_linear reorder ", 0.1);
    x = both(&t, begin(&t), 0.05F, 60);
    y = toy_node(&t, "conv", IDS(x, weights(&t, SHAPE(3, 4, 1, 1), 0)));
    expect(&t, both(&t, toy_node(&t, "relu", IDS(y)), 0.1F, 128),
           "quantize_linear dequantize_linear reorder conv+relu quantize_linear dequantize_linear "
           "reorder ",
           0.1);
}

/* The last layer has no quantiser: its result is real. */
static void classifier(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60);
    value_id f = toy_node(&t, "flatten", IDS(x));
    f = both(&t, f, 0.05F, 60);
    value_id y = toy_node(&t, "gemm", IDS(f, weights(&t, SHAPE(5, 144), 0), bias(&t, 5, 0.05F)));
    toy_int(&t, "transB", 1);
    expect(&t, y, "quantize_linear q_gemm ", 1e-2);
}

/* Other parameters behind a pool: not the same bytes, so the pool works on numbers. */
static void moved_to_other_parameters(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60), y = toy_node(&t, "max_pool", IDS(x));
    ATTR_INTS_OF(&t, "kernel_shape", 2, 2);
    toy_output(&t, both(&t, y, 0.07F, 61));
    struct tensor in = toy_tensor(&t, SHAPE(2, 4, 6, 6), 3);
    toy_equivalent(&t, &in, 1e-6);
    toy_deinit(&t);
}

/* A node read twice, the second time as numbers. */
static void read_as_numbers_too(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = both(&t, begin(&t), 0.05F, 60);
    value_id y = toy_node(&t, "sigmoid", IDS(x));
    toy_output(&t, toy_node(&t, "sub", IDS(both(&t, y, 1 / 255.0F, 0), y)));
    struct tensor in = toy_tensor(&t, SHAPE(2, 4, 6, 6), 3);
    toy_equivalent(&t, &in, 1e-6);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain),
        cmocka_unit_test(joined),
        cmocka_unit_test(enlarged),
        cmocka_unit_test(real_bias),
        cmocka_unit_test(classifier),
        cmocka_unit_test(moved_to_other_parameters),
        cmocka_unit_test(read_as_numbers_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
