/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of precision bf16: which steps a plan has, and how far answers are from those in f32. */
#include "plan/narrow.c"

#include "toy.h"

/* Of the largest element: bf16 keeps 8 bits, 2^-9 is the error of one rounding. */
#define TOLERANCE 0.02

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 16, 20, 20));
}

static value_id conv(struct toy *t, value_id x, int64_t in, int64_t out) {
    value_id y = toy_node(t, "conv", IDS(x, toy_weights(t, SHAPE(out, in, 3, 3), 1)));
    ATTR_INTS_OF(t, "pads", 1, 1, 1, 1);
    return y;
}

static struct session *narrow_session(struct toy *t) {
    struct session *s = NULL;
    struct err e = {0};
    if (session_open(t->g->model, &(struct session_options){.precision = PRECISION_BF16}, &s, &e))
        fail_msg("session_open: %s", e.text);
    return s;
}

static void near(const struct tensor *a, const struct tensor *b) {
    double largest = 0, worst = 0;
    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_eq(&a->shape, &b->shape));
    for (size_t i = 0; i < tensor_count(a); i++) {
        largest = fmax(largest, fabs(tensor_f64(b, i)));
        worst = fmax(worst, fabs(tensor_f64(a, i) - tensor_f64(b, i)));
    }
    if (!(worst <= TOLERANCE * largest) || worst == 0)
        fail_msg("off by %g, the largest element is %g", worst, largest);
}

static void expect(struct toy *t, const struct tensor *x, const char *steps) {
    struct session *narrow = narrow_session(t), *wide = toy_open(t, 0);
    assert_string_equal(toy_steps(t, narrow, x), steps);
    struct tensor a = toy_answer(t, narrow, x), b = toy_answer(t, wide, x);
    near(&a, &b);
    session_close(narrow);
    session_close(wide);
    toy_deinit(t);
}

static void expect_picture(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 16, 20, 20), 3);
    for (size_t i = 0; i < tensor_count(&x); i++)
        ((float *)x.data)[i] /= 16;
    expect(t, &x, steps);
}

/* One cast in; the last multiplier gives f32 by itself. */
static void chain(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 16, 16);
    a = toy_node(&t, "relu", IDS(a));
    value_id p = toy_node(&t, "max_pool", IDS(a));
    ATTR_INTS_OF(&t, "kernel_shape", 2, 2);
    ATTR_INTS_OF(&t, "strides", 2, 2);
    expect_picture(&t, conv(&t, p, 16, 8),
                   "cast reorder conv_bf16+relu max_pool conv_bf16 reorder ");
}

/* A residual stays bf16 and is added by the convolution. */
static void residual(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = toy_node(&t, "relu", IDS(conv(&t, x, 16, 16))),
             b = toy_node(&t, "add", IDS(conv(&t, a, 16, 16), a));
    expect_picture(&t, conv(&t, b, 16, 8),
                   "cast reorder conv_bf16+relu conv_bf16+add conv_bf16 reorder ");
}

/* What sums and exponentials read is f32, and so are outputs that are read inside, too. */
static void delicate(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = toy_node(&t, "relu", IDS(conv(&t, x, 16, 16)));
    toy_output(&t, toy_node(&t, "softmax", IDS(conv(&t, a, 16, 16))));
    toy_int(&t, "axis", 1);
    toy_output(&t, a);
    struct tensor in = toy_tensor(&t, SHAPE(1, 16, 20, 20), 3);
    for (size_t i = 0; i < tensor_count(&in); i++)
        ((float *)in.data)[i] /= 64;
    expect(&t, &in, "cast reorder conv_bf16+relu conv_bf16 softmax cast reorder reorder ");
}

/* Additions of both branches: narrow when both are, with a constant turned into bf16. */
static void branches(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 16, 16), b = toy_node(&t, "sigmoid", IDS(a));
    value_id c = toy_node(&t, "concat", IDS(a, b));
    toy_int(&t, "axis", 1);
    expect_picture(&t, conv(&t, c, 32, 8),
                   "cast reorder conv_bf16 sigmoid concat conv_bf16 reorder ");
}

/* Squeeze and excite, beside a smaller picture that is enlarged: what repeats over the picture is
 * cast, as is what a pool makes of it; the picture stays bf16. */
static void excited(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 16, 16), p = toy_node(&t, "max_pool", IDS(a));
    ATTR_INTS_OF(&t, "kernel_shape", 2, 2);
    ATTR_INTS_OF(&t, "strides", 2, 2);
    const float twice[] = {1, 1, 2, 2};
    value_id scales = toy_constant(&t, t.g, DT_F32, SHAPE(4), twice),
             grown = toy_node(&t, "resize", IDS(p, VALUE_NONE, scales));
    value_id squeezed = toy_node(&t, "global_average_pool", IDS(a)),
             w = toy_weights(&t, SHAPE(16, 16, 1, 1), 5);
    value_id scale = toy_node(&t, "hard_sigmoid", IDS(toy_node(&t, "conv", IDS(squeezed, w))));
    value_id y = toy_node(&t, "add", IDS(toy_node(&t, "mul", IDS(a, scale)), grown));
    expect_picture(&t, conv(&t, y, 16, 8),
                   "cast reorder conv_bf16 max_pool resize global_average_pool cast "
                   "conv+hard_sigmoid cast mul+add conv_bf16 reorder ");
}

/* Products with weights: of rows, with a bias; small ones are left alone. */
static void products(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 64));
    value_id a = toy_node(
        &t, "gemm", IDS(x, toy_weights(&t, SHAPE(64, 128), 1), toy_weights(&t, SHAPE(128), 2)));
    value_id b = toy_node(&t, "mat_mul",
                          IDS(toy_node(&t, "tanh", IDS(a)), toy_weights(&t, SHAPE(128, 64), 3)));
    toy_output(&t, toy_node(&t, "mat_mul", IDS(b, toy_weights(&t, SHAPE(64, 2), 4))));
    struct tensor in = toy_tensor(&t, SHAPE(32, 64), 5);
    for (size_t i = 0; i < tensor_count(&in); i++)
        ((float *)in.data)[i] /= 256;
    expect(&t, &in, "cast mat_mul_bf16+tanh mat_mul_bf16 mat_mul ");
}

/* What stands behind a product without a bias of its own: a row becomes the bias, a factor and a
 * residual stay what they are. */
static void behind_products(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 4, 64)),
             w = toy_weights(&t, SHAPE(64, 64), 1), row = toy_weights(&t, SHAPE(64), 2);
    value_id a = toy_node(&t, "add", IDS(toy_node(&t, "mat_mul", IDS(x, w)), row));
    value_id b = toy_node(&t, "mul", IDS(row, toy_node(&t, "mat_mul", IDS(a, w))));
    value_id c = toy_node(&t, "add", IDS(toy_node(&t, "mat_mul", IDS(b, w)), a));
    toy_output(&t, toy_node(&t, "add", IDS(toy_node(&t, "mat_mul", IDS(c, w)), row)));
    struct tensor in = toy_tensor(&t, SHAPE(8, 4, 64), 5);
    expect(&t, &in, "cast mat_mul_bf16 mat_mul_bf16+mul mat_mul_bf16+add mat_mul_bf16 ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain),    cmocka_unit_test(residual), cmocka_unit_test(delicate),
        cmocka_unit_test(branches), cmocka_unit_test(products), cmocka_unit_test(behind_products),
        cmocka_unit_test(excited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
