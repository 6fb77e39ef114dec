/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions. Fast forms of f32 are kernels; the formulas here serve f64 and the rare
 * ones. */
#include "op/broadcast.h"
#include "op/team.h"
#include "op/unary.h"

#include <math.h>

#define F64(name, expression)                                                                      \
    static double f64_##name(double x, double alpha, double beta) {                                \
        (void)alpha, (void)beta;                                                                   \
        return (expression);                                                                       \
    }

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double softplus(double x) { return isnan(x) ? x : (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double hard_sigmoid(double x, double alpha, double beta) {
    double s = alpha * x + beta;
    return s < 0 ? 0 : s > 1 ? 1 : s;
}

F64(relu, x < 0 ? 0 : x)
F64(leaky_relu, x < 0 ? alpha * x : x)
F64(elu, x < 0 ? alpha * expm1(x) : x)
F64(selu, beta *(x < 0 ? alpha * expm1(x) : x))
F64(celu, x < 0 ? alpha * expm1(x / alpha) : x)
F64(sigmoid, sigmoid(x))
F64(hard_sigmoid, hard_sigmoid(x, alpha, beta))
F64(hard_swish, x *hard_sigmoid(x, 1.0 / 6, 0.5))
F64(silu, x *sigmoid(alpha *x))
F64(mish, x *tanh(softplus(x)))
F64(softplus, softplus(x))
F64(softsign, x / (1.0 + fabs(x)))
F64(tanh, tanh(x))
F64(thresholded_relu, x > alpha ? x : 0)
F64(gelu_erf, 0.5 * x * (1.0 + erf(x * M_SQRT1_2)))
F64(gelu_tanh, 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))))
F64(clip, x<alpha ? alpha : x> beta ? beta : x)
F64(shrink, x<-alpha ? x + beta : x> alpha ? x - beta : 0)

static int64_t i64_relu(int64_t x) { return x < 0 ? 0 : x; }
static uint64_t u64_same(uint64_t x) { return x; }

static const struct unary unary_relu = {
    .kernel = KERNEL_AT(relu_f32), .f64 = f64_relu, .i64 = i64_relu, .u64 = u64_same, .ns = 0.1};
static const struct unary unary_leaky_relu = {.kernel = KERNEL_AT(leaky_relu_f32),
                                              .f64 = f64_leaky_relu,
                                              .ns = 0.1,
                                              .alpha_name = "alpha",
                                              .alpha = 0.01f};
static const struct unary unary_elu = {
    .kernel = KERNEL_AT(elu_f32), .f64 = f64_elu, .ns = 0.5, .alpha_name = "alpha", .alpha = 1};
static const struct unary unary_selu = {.f64 = f64_selu,
                                        .alpha_name = "alpha",
                                        .beta_name = "gamma",
                                        .alpha = 1.67326319217681884765625f,
                                        .beta = 1.05070102214813232421875f};
static const struct unary unary_celu = {.f64 = f64_celu, .alpha_name = "alpha", .alpha = 1};
static const struct unary unary_sigmoid = {
    .kernel = KERNEL_AT(sigmoid_f32), .f64 = f64_sigmoid, .ns = 0.5};
static const struct unary unary_hard_sigmoid = {.kernel = KERNEL_AT(hard_sigmoid_f32),
                                                .f64 = f64_hard_sigmoid,
                                                .ns = 0.15,
                                                .alpha_name = "alpha",
                                                .beta_name = "beta",
                                                .alpha = 0.2f,
                                                .beta = 0.5f};
static const struct unary unary_hard_swish = {.kernel = KERNEL_AT(hard_swish_f32),
                                              .f64 = f64_hard_swish,
                                              .ns = 0.15,
                                              .alpha = 1.0f / 6,
                                              .beta = 0.5f};
static const struct unary unary_silu = {
    .kernel = KERNEL_AT(silu_f32), .f64 = f64_silu, .ns = 0.5, .alpha_name = "alpha", .alpha = 1};
/* The same function under the name with which formats know it. */
static const struct unary unary_swish = {
    .kernel = KERNEL_AT(silu_f32), .f64 = f64_silu, .ns = 0.5, .alpha_name = "alpha", .alpha = 1};
static const struct unary unary_mish = {.kernel = KERNEL_AT(mish_f32), .f64 = f64_mish, .ns = 1.5};
static const struct unary unary_softplus = {
    .kernel = KERNEL_AT(softplus_f32), .f64 = f64_softplus, .ns = 1};
static const struct unary unary_softsign = {.f64 = f64_softsign};
static const struct unary unary_tanh = {.kernel = KERNEL_AT(tanh_f32), .f64 = f64_tanh, .ns = 0.6};
static const struct unary unary_thresholded_relu = {
    .f64 = f64_thresholded_relu, .alpha_name = "alpha", .alpha = 1};
static const struct unary unary_shrink = {
    .f64 = f64_shrink, .alpha_name = "lambd", .beta_name = "bias", .alpha = 0.5f};

UNARY_OP(relu)
UNARY_OP(leaky_relu)
UNARY_OP(elu)
UNARY_OP(selu)
UNARY_OP(celu)
UNARY_OP(sigmoid)
UNARY_OP(hard_sigmoid)
UNARY_OP(hard_swish)
UNARY_OP(silu)
UNARY_OP(swish)
UNARY_OP(mish)
UNARY_OP(softplus)
UNARY_OP(softsign)
UNARY_OP(tanh)
UNARY_OP(thresholded_relu)

/* shrink also takes integers: they go through the formula, too. */
static double shrink_of(const struct op_call *c, double x) {
    return f64_shrink(x, (double)attr_float(c->node, "lambd", 0.5f),
                      (double)attr_float(c->node, "bias", 0));
}
#define SHRINK(type)                                                                               \
    for (size_t i = 0; i < n; i++)                                                                 \
        ((type *)y->data)[i] = (type)shrink_of(c, (double)((const type *)c->in[0]->data)[i]);      \
    break
static enum code infer_shrink(struct op_infer *c, struct err *e) {
    return operand_infer_same(c, e);
}
static enum code run_shrink(const struct op_call *c, struct err *e) {
    const struct tensor *y = c->out[0];
    size_t n = tensor_count(y);
    switch (y->dtype) {
    case DT_I8: SHRINK(int8_t);
    case DT_I16: SHRINK(int16_t);
    case DT_I32: SHRINK(int32_t);
    case DT_I64: SHRINK(int64_t);
    case DT_U8: SHRINK(uint8_t);
    case DT_U16: SHRINK(uint16_t);
    case DT_U32: SHRINK(uint32_t);
    case DT_U64: SHRINK(uint64_t);
    default: return unary_run(c, &unary_shrink, e);
    }
    return OK;
}
const struct op op_shrink = {
    "shrink", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_shrink, NULL, run_shrink, NULL};

/* --- gelu: attribute approximate = "none" | "tanh" --- */

static const struct unary unary_gelu_erf = {
    .kernel = KERNEL_AT(gelu_erf_f32), .f64 = f64_gelu_erf, .ns = 0.8};
static const struct unary unary_gelu_tanh = {
    .kernel = KERNEL_AT(gelu_tanh_f32), .f64 = f64_gelu_tanh, .ns = 0.8};

static enum code infer_gelu(struct op_infer *c, struct err *e) {
    struct str form = attr_str(c->node, "approximate", "none");
    if (!str_is(form, "none") && !str_is(form, "tanh"))
        return operand_fail(c, e, INVALID, "approximate '%.*s' is neither none nor tanh",
                            STR(form));
    return unary_infer(c, &unary_gelu_erf, e);
}
static enum code run_gelu(const struct op_call *c, struct err *e) {
    bool by_tanh = str_is(attr_str(c->node, "approximate", "none"), "tanh");
    return unary_run(c, by_tanh ? &unary_gelu_tanh : &unary_gelu_erf, e);
}
const struct op op_gelu = {
    "gelu", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_gelu, NULL, run_gelu, NULL};

/* --- clip: limits are attributes before opset 11, scalar inputs after, each of which may be absent
 * --- */

PAIR_SIGNED(least, u < v ? u : v)
PAIR_UNSIGNED(least, u < v ? u : v)
PAIR_SIGNED(most, u > v ? u : v)
PAIR_UNSIGNED(most, u > v ? u : v)
static const struct pairwise pair_least = {
    .ns = 0.5, .fn = {PAIR_SIGNED_ROWS(least), PAIR_UNSIGNED_ROWS(least)}};
static const struct pairwise pair_most = {.ns = 0.5,
                                          .fn = {PAIR_SIGNED_ROWS(most), PAIR_UNSIGNED_ROWS(most)}};

static const struct unary unary_clip = {.kernel = KERNEL_AT(clip_f32), .f64 = f64_clip, .ns = 0.1};

static enum code infer_clip(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, UNSUPPORTED, "an input of type %s", dtype_name(c->in[0].dtype));
    for (int i = 1; i < 3 && c->node->opset >= 11; i++)
        if (operand_given(c, i) && c->in[i].dtype != c->in[0].dtype)
            return operand_fail(c, e, INVALID, "limit %d is %s, the input %s", i,
                                dtype_name(c->in[i].dtype), dtype_name(c->in[0].dtype));
    return operand_infer_same(c, e);
}

static enum code clip_whole(const struct op_call *c, const struct tensor *low,
                            const struct tensor *high, struct err *e) {
    const struct tensor *y = c->out[0], *x = c->in[0];
    double ignored;
    for (int i = 0; i < 2; i++)
        if (i ? high : low)
            TRY(operand_number(OPERAND_AT(c), i ? high : low, "a limit", &ignored, e));
    if (low)
        TRY(pairwise_run(c, &pair_most, x, low, y, e));
    if (high)
        TRY(pairwise_run(c, &pair_least, low ? y : x, high, y, e));
    if (!low && !high && y->data != x->data && tensor_bytes(y))
        memcpy(y->data, x->data, tensor_bytes(y));
    return OK;
}

static enum code run_clip(const struct op_call *c, struct err *e) {
    bool inputs = c->node->opset >= 11;
    const struct tensor *low = inputs ? operand_in(c, 1) : NULL,
                        *high = inputs ? operand_in(c, 2) : NULL;
    double alpha = -INFINITY, beta = INFINITY;
    if (!inputs && attr_find(c->node, "min"))
        alpha = (double)attr_float(c->node, "min", 0);
    if (!inputs && attr_find(c->node, "max"))
        beta = (double)attr_float(c->node, "max", 0);
    if (!dtype_is_float(c->in[0]->dtype))
        return clip_whole(c, low, high, e);
    if (low)
        TRY(operand_number(OPERAND_AT(c), low, "the lower limit", &alpha, e));
    if (high)
        TRY(operand_number(OPERAND_AT(c), high, "the upper limit", &beta, e));
    return unary_apply(c, &unary_clip, alpha, beta, e);
}
const struct op op_clip = {
    "clip", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_clip, NULL, run_clip, NULL};

/* --- prelu: the slope broadcasts to the input, one way; before opset 7 a slope of (C) belongs to
 * axis 1 --- */

PAIR_FLOATS(prelu, u < 0 ? u * v : u, u < 0 ? u * v : u)
PAIR_SIGNED(prelu, u < 0 ? (uint64_t)u * (uint64_t)v : (uint64_t)u)
PAIR_UNSIGNED(prelu, v == 0 ? u : u) /* never below 0 */
static const struct pairwise pair_prelu = {
    .kernel = KERNEL_AT(prelu_f32),
    .ns = 0.2,
    .fn = {PAIR_FLOAT_ROWS(prelu), PAIR_SIGNED_ROWS(prelu), PAIR_UNSIGNED_ROWS(prelu)}};

static void align_slope(const struct node *n, const struct shape *x, struct shape *slope) {
    if (n->opset >= 7 || slope->rank != 1 || slope->dims[0] == 1 || x->rank < 2)
        return;
    while (slope->rank < x->rank - 1)
        slope->dims[slope->rank++] = 1;
}

static enum code infer_prelu(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    if (c->in[1].dtype != c->in[0].dtype || !pairwise_takes(&pair_prelu, c->in[0].dtype))
        return operand_fail(c, e, INVALID, "input is %s, slope %s", dtype_name(c->in[0].dtype),
                            dtype_name(c->in[1].dtype));
    if (operand_known(c)) {
        struct shape slope = c->in[1].shape, both;
        align_slope(c->node, &c->in[0].shape, &slope);
        if (!shape_broadcast(&c->in[0].shape, &slope, &both) || !shape_eq(&both, &c->in[0].shape))
            return operand_fail(c, e, INVALID, "the slope does not broadcast to the input");
    }
    return operand_infer_same(c, e);
}
static enum code run_prelu(const struct op_call *c, struct err *e) {
    struct tensor slope = *c->in[1];
    align_slope(c->node, &c->in[0]->shape, &slope.shape);
    return pairwise_run(c, &pair_prelu, c->in[0], &slope, c->out[0], e);
}
const struct op op_p_relu = {
    "p_relu", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_prelu, NULL, run_prelu, NULL};
