/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise arithmetic of one, two and any number of inputs. Integers wrap; a division by zero
 * of integers gives 0 rather than a trap. */
#include "op/broadcast.h"
#include "op/team.h"
#include "op/unary.h"

#include <math.h>

/* --- one input --- */

#define F64(name, expression)                                                                      \
    static double f64_##name(double x, double alpha, double beta) {                                \
        (void)alpha, (void)beta;                                                                   \
        return (expression);                                                                       \
    }
F64(abs, fabs(x))
F64(neg, -x)
F64(exp, exp(x))
F64(log, log(x))
F64(sqrt, sqrt(x))
F64(reciprocal, 1.0 / x)
F64(floor, floor(x))
F64(ceil, ceil(x))
F64(round, rint(x))
F64(sign, isnan(x) ? x : (double)((x > 0) - (x < 0)))
F64(erf, erf(x))
F64(sin, sin(x))
F64(cos, cos(x))
F64(tan, tan(x))
F64(asin, asin(x))
F64(acos, acos(x))
F64(atan, atan(x))
F64(sinh, sinh(x))
F64(cosh, cosh(x))
F64(asinh, asinh(x))
F64(acosh, acosh(x))
F64(atanh, atanh(x))
F64(square, x *x)

static int64_t i64_abs(int64_t x) { return x < 0 ? (int64_t)(0 - (uint64_t)x) : x; }
static int64_t i64_neg(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static int64_t i64_sign(int64_t x) { return (x > 0) - (x < 0); }
static uint64_t u64_same(uint64_t x) { return x; }
static uint64_t u64_sign(uint64_t x) { return x > 0; }

#define MATH(name, kernel_name, cost)                                                              \
    static const struct unary unary_##name = {                                                     \
        .kernel = KERNEL_AT(kernel_name), .f64 = f64_##name, .ns = cost};                          \
    UNARY_OP(name)
#define LIBM(name)                                                                                 \
    static const struct unary unary_##name = {.f64 = f64_##name};                                  \
    UNARY_OP(name)

static const struct unary unary_abs = {
    .kernel = KERNEL_AT(abs_f32), .f64 = f64_abs, .i64 = i64_abs, .u64 = u64_same, .ns = 0.1};
static const struct unary unary_neg = {
    .kernel = KERNEL_AT(neg_f32), .f64 = f64_neg, .i64 = i64_neg, .ns = 0.1};
static const struct unary unary_sign = {.f64 = f64_sign, .i64 = i64_sign, .u64 = u64_sign};
UNARY_OP(abs)
UNARY_OP(neg)
UNARY_OP(sign)
MATH(exp, exp_f32, 0.4)
MATH(log, log_f32, 0.5)
MATH(sqrt, sqrt_f32, 0.3)
MATH(reciprocal, reciprocal_f32, 0.2)
MATH(floor, floor_f32, 0.1)
MATH(ceil, ceil_f32, 0.1)
MATH(round, round_f32, 0.1)
MATH(erf, erf_f32, 0.6)
LIBM(sin)
LIBM(cos)
LIBM(tan)
LIBM(asin)
LIBM(acos)
LIBM(atan)
LIBM(sinh)
LIBM(cosh)
LIBM(asinh)
LIBM(acosh)
LIBM(atanh)

/* --- two inputs --- */

#define WRAP(operator) ((uint64_t)u operator(uint64_t) v)
PAIR_FLOATS(add, u + v, u + v)
PAIR_SIGNED(add, WRAP(+))
PAIR_UNSIGNED(add, u + v)
PAIR_FLOATS(sub, u - v, u - v)
PAIR_SIGNED(sub, WRAP(-))
PAIR_UNSIGNED(sub, u - v)
PAIR_FLOATS(mul, u *v, u *v)
PAIR_SIGNED(mul, WRAP(*))
PAIR_UNSIGNED(mul, WRAP(*))
PAIR_FLOATS(div, u / v, u / v)
PAIR_SIGNED(div, v == 0 ? 0 : v == -1 ? 0 - (uint64_t)u : (uint64_t)(u / v))
PAIR_UNSIGNED(div, v == 0 ? 0 : u / v)
PAIR_FLOATS(min, isnan(u) || u < v ? u : v, isnan(u) || u < v ? u : v)
PAIR_SIGNED(min, u < v ? u : v)
PAIR_UNSIGNED(min, u < v ? u : v)
PAIR_FLOATS(max, isnan(u) || u > v ? u : v, isnan(u) || u > v ? u : v)
PAIR_SIGNED(max, u > v ? u : v)
PAIR_UNSIGNED(max, u > v ? u : v)

#define ARITHMETIC(name, cost)                                                                     \
    static const struct pairwise pair_##name = {                                                   \
        .kernel = KERNEL_AT(name##_f32),                                                           \
        .ns = cost,                                                                                \
        .fn = {PAIR_FLOAT_ROWS(name), PAIR_SIGNED_ROWS(name), PAIR_UNSIGNED_ROWS(name)}};
ARITHMETIC(add, 0.15)
ARITHMETIC(sub, 0.15)
ARITHMETIC(mul, 0.15)
ARITHMETIC(div, 0.25)
ARITHMETIC(min, 0.15)
ARITHMETIC(max, 0.15)

/* Inputs 0 and 1 of a binary node, the second aligned as its opset says. */
static enum code run_pair(const struct op_call *c, const struct pairwise *p, struct err *e) {
    struct tensor b = *c->in[1];
    TRY(pairwise_align(OPERAND_AT(c), &c->in[0]->shape, &b.shape, e));
    return pairwise_run(c, p, c->in[0], &b, c->out[0], e);
}

#define PAIR_OP(name)                                                                              \
    static enum code infer_##name(struct op_infer *c, struct err *e) {                             \
        return pairwise_infer(c, &pair_##name, e);                                                 \
    }                                                                                              \
    static enum code run_##name(const struct op_call *c, struct err *e) {                          \
        return run_pair(c, &pair_##name, e);                                                       \
    }                                                                                              \
    const struct op op_##name = {#name,        OP_PURE | OP_INPLACE | OP_ELEMENTWISE | OP_POST,    \
                                 infer_##name, NULL,                                               \
                                 run_##name,   NULL};
PAIR_OP(add)
PAIR_OP(sub)
PAIR_OP(mul)
PAIR_OP(div)

/* mod: the sign of the divisor (fmod = 0, as in Python) or of the dividend (fmod = 1, as in C). */
static float floored_f32(float u, float v) {
    float r = fmodf(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}
static double floored_f64(double u, double v) {
    double r = fmod(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}
#define REST(u, v) ((v) == 0 || (v) == -1 ? 0 : (u) % (v))
PAIR_FLOATS(mod, floored_f32(u, v), floored_f64(u, v))
PAIR_SIGNED(mod, REST(u, v) != 0 && (REST(u, v) < 0) != (v < 0) ? REST(u, v) + v : REST(u, v))
PAIR_UNSIGNED(mod, v == 0 ? 0 : u % v)
PAIR_FLOATS(fmod, fmodf(u, v), fmod(u, v))
PAIR_SIGNED(fmod, REST(u, v))
static const struct pairwise pair_mod = {
    .ns = 5, .fn = {PAIR_FLOAT_ROWS(mod), PAIR_SIGNED_ROWS(mod), PAIR_UNSIGNED_ROWS(mod)}};
static const struct pairwise pair_fmod = {
    .ns = 5, .fn = {PAIR_FLOAT_ROWS(fmod), PAIR_SIGNED_ROWS(fmod), PAIR_UNSIGNED_ROWS(mod)}};

static enum code infer_mod(struct op_infer *c, struct err *e) {
    return pairwise_infer(c, &pair_mod, e);
}
static enum code run_mod(const struct op_call *c, struct err *e) {
    return run_pair(c, attr_int(c->node, "fmod", 0) ? &pair_fmod : &pair_mod, e);
}
const struct op op_mod = {"mod", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_mod, NULL, run_mod,
                          NULL};

/* --- pow: base and exponent may differ in type; the result has the base's --- */

static double power(double x, double y) { return y == 2 ? x * x : y == 0.5 ? sqrt(x) : pow(x, y); }

static int64_t power_whole(int64_t x, int64_t y) { /* wraps; y >= 0 */
    uint64_t result = 1, base = (uint64_t)x;
    for (uint64_t rest = (uint64_t)y; rest; rest >>= 1, base *= base)
        if (rest & 1)
            result *= base;
    return (int64_t)result;
}

struct pow_call {
    const struct tensor *x, *y, *out;
};

static void pow_store(const struct tensor *t, size_t at, double f, int64_t i) {
    switch (t->dtype) {
    case DT_F32: ((float *)t->data)[at] = (float)f; break;
    case DT_F64: ((double *)t->data)[at] = f; break;
    case DT_F16: ((uint16_t *)t->data)[at] = dtype_f32_to_f16((float)f); break;
    case DT_BF16: ((uint16_t *)t->data)[at] = dtype_f32_to_bf16((float)f); break;
    case DT_I8:
    case DT_U8: ((int8_t *)t->data)[at] = (int8_t)i; break;
    case DT_I16:
    case DT_U16: ((int16_t *)t->data)[at] = (int16_t)i; break;
    case DT_I32:
    case DT_U32: ((int32_t *)t->data)[at] = (int32_t)i; break;
    default: ((int64_t *)t->data)[at] = i;
    }
}

static int64_t saturate_i64(double v) {
    return isnan(v) ? 0 : v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

static void pow_piece(const struct broadcast_piece *p, void *ctx) {
    const struct pow_call *c = ctx;
    bool whole = !dtype_is_float(c->x->dtype), whole_exponent = !dtype_is_float(c->y->dtype);
    for (size_t row = 0; row < p->rows; row++)
        for (size_t i = 0; i < p->n; i++) {
            size_t a = (size_t)(p->in[0] + (ptrdiff_t)row * p->row[0] + (ptrdiff_t)i * p->step[0]);
            size_t b = (size_t)(p->in[1] + (ptrdiff_t)row * p->row[1] + (ptrdiff_t)i * p->step[1]);
            double f = 0;
            int64_t v = 0;
            if (whole && whole_exponent && tensor_i64(c->y, b) >= 0)
                v = power_whole(tensor_i64(c->x, a), tensor_i64(c->y, b));
            else
                f = power(tensor_f64(c->x, a), tensor_f64(c->y, b)), v = saturate_i64(f);
            pow_store(c->out, p->out + row * p->n + i, f, v);
        }
}

static enum code infer_pow(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    for (int i = 0; i < 2; i++)
        if (!dtype_is_float(c->in[i].dtype) && !dtype_is_integer(c->in[i].dtype))
            return operand_fail(c, e, UNSUPPORTED, "an input of type %s",
                                dtype_name(c->in[i].dtype));
    return broadcast_infer(c, 2, c->in[0].dtype, e);
}

static const struct unary unary_square = {
    .kernel = KERNEL_AT(square_f32), .f64 = f64_square, .ns = 0.1};

static enum code run_pow(const struct op_call *c, struct err *e) {
    struct tensor y = *c->in[1];
    TRY(pairwise_align(OPERAND_AT(c), &c->in[0]->shape, &y.shape, e));
    double exponent = tensor_count(&y) == 1 ? tensor_f64(&y, 0) : 0;
    bool simple = c->in[0]->dtype == DT_F32 && tensor_count(c->in[0]) == tensor_count(c->out[0]);
    if (simple && exponent == 2)
        return unary_apply(c, &unary_square, 0, 0, e);
    if (simple && exponent == 0.5)
        return unary_apply(c, &unary_sqrt, 0, 0, e);
    struct pow_call call = {c->in[0], &y, c->out[0]};
    struct broadcast walk;
    broadcast_plan(&walk, c->out[0], (const struct tensor *[]){c->in[0], &y}, 2);
    broadcast_each(&walk, team_size(c->threads, 20.0 * (double)tensor_count(c->out[0])), pow_piece,
                   &call);
    return OK;
}
const struct op op_pow = {"pow", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_pow, NULL, run_pow,
                          NULL};

/* --- any number of inputs: min max sum mean --- */

static enum code infer_many(struct op_infer *c, const struct pairwise *p, struct err *e) {
    TRY(operand_need(c, c->node->n_in > 1 ? c->node->n_in : 1, e));
    for (int i = 0; i < c->node->n_in; i++)
        if (c->in[i].dtype != c->in[0].dtype || !pairwise_takes(p, c->in[i].dtype))
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
    return broadcast_infer(c, c->node->n_in, c->in[0].dtype, e);
}

/* y = in[0] op in[1], then y = y op in[2] and so on. y has the full shape, so it may be its own
 * input. */
static enum code fold_many(const struct op_call *c, const struct pairwise *p, struct err *e) {
    const struct tensor *y = c->out[0];
    if (c->node->n_in == 1 && y->data != c->in[0]->data && tensor_bytes(y))
        memcpy(y->data, c->in[0]->data, tensor_bytes(y));
    for (int i = 1; i < c->node->n_in; i++)
        TRY(pairwise_run(c, p, i == 1 ? c->in[0] : y, c->in[i], y, e));
    return OK;
}

#define MANY_OP(name, pair)                                                                        \
    static enum code infer_##name(struct op_infer *c, struct err *e) {                             \
        return infer_many(c, &pair, e);                                                            \
    }                                                                                              \
    static enum code run_##name(const struct op_call *c, struct err *e) {                          \
        return fold_many(c, &pair, e);                                                             \
    }                                                                                              \
    const struct op op_##name = {#name, OP_PURE | OP_ELEMENTWISE, infer_##name, NULL, run_##name,  \
                                 NULL};
MANY_OP(min, pair_min)
MANY_OP(max, pair_max)
MANY_OP(sum, pair_add)

static enum code infer_mean(struct op_infer *c, struct err *e) {
    return infer_many(c, &pair_add, e);
}
static enum code run_mean(const struct op_call *c, struct err *e) {
    TRY(fold_many(c, &pair_add, e));
    float n_f32 = (float)c->node->n_in;
    double n_f64 = (double)c->node->n_in;
    uint16_t n_half =
        c->out[0]->dtype == DT_F16 ? dtype_f32_to_f16(n_f32) : dtype_f32_to_bf16(n_f32);
    struct tensor n = {.dtype = c->out[0]->dtype, .data = &n_half};
    if (n.dtype == DT_F32)
        n.data = &n_f32;
    else if (n.dtype == DT_F64)
        n.data = &n_f64;
    if (!dtype_is_float(n.dtype))
        return operand_fail(c, e, UNSUPPORTED, "inputs of type %s", dtype_name(n.dtype));
    return pairwise_run(c, &pair_div, c->out[0], &n, c->out[0], e);
}
const struct op op_mean = {"mean", OP_PURE | OP_ELEMENTWISE, infer_mean, NULL, run_mean, NULL};
