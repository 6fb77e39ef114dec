/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons, logic, bits, and the choice between two tensors. Comparisons give bool: one byte, 0
 * or 1. */
#include "op/broadcast.h"
#include "op/pairwise.h"
#include "op/team.h"

#include <math.h>

/* --- comparisons --- */

#define COMPARE(name, operator)                                                                    \
    PAIR_FN(name, float, uint8_t, u operator v)                                                    \
    PAIR_FN(name, double, uint8_t, u operator v)                                                   \
    PAIR_FN(name, int8_t, uint8_t, u operator v)                                                   \
    PAIR_FN(name, int16_t, uint8_t, u operator v)                                                  \
    PAIR_FN(name, int32_t, uint8_t, u operator v)                                                  \
    PAIR_FN(name, int64_t, uint8_t, u operator v)                                                  \
    PAIR_FN(name, uint8_t, uint8_t, u operator v)                                                  \
    PAIR_FN(name, uint16_t, uint8_t, u operator v)                                                 \
    PAIR_FN(name, uint32_t, uint8_t, u operator v)                                                 \
    PAIR_FN(name, uint64_t, uint8_t, u operator v)
COMPARE(equal, ==)
COMPARE(less, <)
COMPARE(less_or_equal, <=)
COMPARE(greater, >)
COMPARE(greater_or_equal, >=)

typedef struct str str;
PAIR_FN(equal, str, uint8_t, str_eq(u, v))

/* infer and run of a pairwise operator, with the alignment of old opsets. */
#define PAIR_OP(name, inplace)                                                                     \
    static enum code infer_##name(struct op_infer *c, struct err *e) {                             \
        return pairwise_infer(c, &pair_##name, e);                                                 \
    }                                                                                              \
    static enum code run_##name(const struct op_call *c, struct err *e) {                          \
        struct tensor b = *c->in[1];                                                               \
        TRY(pairwise_align(OPERAND_AT(c), &c->in[0]->shape, &b.shape, e));                         \
        return pairwise_run(c, &pair_##name, c->in[0], &b, c->out[0], e);                          \
    }                                                                                              \
    const struct op op_##name = {                                                                  \
        #name, OP_PURE | OP_ELEMENTWISE | (inplace), infer_##name, NULL, run_##name, NULL};

#define ORDER_OP(name)                                                                             \
    static const struct pairwise pair_##name = {                                                   \
        .truth = true,                                                                             \
        .ns = 0.3,                                                                                 \
        .fn = {PAIR_FLOAT_ROWS(name), PAIR_SIGNED_ROWS(name), PAIR_UNSIGNED_ROWS(name)}};          \
    PAIR_OP(name, 0)

static const struct pairwise pair_equal = {
    .truth = true,
    .ns = 0.3,
    .fn = {
        PAIR_FLOAT_ROWS(equal), PAIR_SIGNED_ROWS(equal),
        PAIR_UNSIGNED_ROWS(equal), [DT_BOOL] = pair_equal_uint8_t, [DT_STRING] = pair_equal_str}};
PAIR_OP(equal, 0)
ORDER_OP(less)
ORDER_OP(less_or_equal)
ORDER_OP(greater)
ORDER_OP(greater_or_equal)

/* --- logic: bool with bool --- */

#define LOGIC_OP(name, expression)                                                                 \
    PAIR_FN(name, uint8_t, uint8_t, expression)                                                    \
    static const struct pairwise pair_##name = {                                                   \
        .truth = true, .ns = 0.2, .fn = {[DT_BOOL] = pair_##name##_uint8_t}};                      \
    PAIR_OP(name, OP_INPLACE)
LOGIC_OP(and, u &v)
LOGIC_OP(or, u | v)
LOGIC_OP(xor, u ^ v)

static enum code infer_not(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (c->in[0].dtype != DT_BOOL)
        return operand_fail(c, e, INVALID, "the input is %s, bool was expected",
                            dtype_name(c->in[0].dtype));
    return operand_infer_same(c, e);
}
static enum code run_not(const struct op_call *c, struct err *e) {
    (void)e;
    const uint8_t *x = c->in[0]->data;
    uint8_t *y = c->out[0]->data;
    for (size_t i = 0, n = tensor_count(c->in[0]); i < n; i++)
        y[i] = !x[i];
    return OK;
}
const struct op op_not = {"not", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_not, NULL, run_not,
                          NULL};

/* --- bits --- */

#define BITS_OP(name, expression)                                                                  \
    PAIR_SIGNED(name, expression)                                                                  \
    PAIR_UNSIGNED(name, expression)                                                                \
    static const struct pairwise pair_##name = {                                                   \
        .ns = 0.3, .fn = {PAIR_SIGNED_ROWS(name), PAIR_UNSIGNED_ROWS(name)}};                      \
    PAIR_OP(name, OP_INPLACE)
BITS_OP(bitwise_and, u &v)
BITS_OP(bitwise_or, u | v)
BITS_OP(bitwise_xor, u ^ v)

static enum code infer_bitwise_not(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (!dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "the input is %s, an integer type was expected",
                            dtype_name(c->in[0].dtype));
    return operand_infer_same(c, e);
}
static enum code run_bitwise_not(const struct op_call *c, struct err *e) {
    (void)e;
    const uint8_t *x = c->in[0]->data;
    uint8_t *y = c->out[0]->data;
    for (size_t i = 0, n = tensor_bytes(c->in[0]); i < n; i++)
        y[i] = (uint8_t)~x[i];
    return OK;
}
const struct op op_bitwise_not = {"bitwise_not",     OP_PURE | OP_INPLACE | OP_ELEMENTWISE,
                                  infer_bitwise_not, NULL,
                                  run_bitwise_not,   NULL};

/* Shifts by the width or more give 0, and of signed numbers (opset 28) to the right the sign. */
#define SHIFT_BITS (8 * sizeof u)
PAIR_UNSIGNED(left, v >= SHIFT_BITS ? 0 : (uint64_t)u << v)
PAIR_SIGNED(left, (uint64_t)v >= SHIFT_BITS ? 0 : (uint64_t)u << v)
PAIR_UNSIGNED(right, v >= SHIFT_BITS ? 0 : u >> v)
PAIR_SIGNED(right, (uint64_t)v >= SHIFT_BITS ? (u < 0 ? -1 : 0) : u >> v)
static const struct pairwise pair_left = {.ns = 0.5,
                                          .fn = {PAIR_SIGNED_ROWS(left), PAIR_UNSIGNED_ROWS(left)}};
static const struct pairwise pair_right = {
    .ns = 0.5, .fn = {PAIR_SIGNED_ROWS(right), PAIR_UNSIGNED_ROWS(right)}};

static enum code infer_bit_shift(struct op_infer *c, struct err *e) {
    struct str direction = attr_str(c->node, "direction", "");
    if (!str_is(direction, "LEFT") && !str_is(direction, "RIGHT"))
        return operand_fail(c, e, INVALID, "direction '%.*s' is neither LEFT nor RIGHT",
                            STR(direction));
    return pairwise_infer(c, &pair_left, e);
}
static enum code run_bit_shift(const struct op_call *c, struct err *e) {
    bool left = str_is(attr_str(c->node, "direction", ""), "LEFT");
    return pairwise_run(c, left ? &pair_left : &pair_right, c->in[0], c->in[1], c->out[0], e);
}
const struct op op_bit_shift = {
    "bit_shift", OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_bit_shift, NULL, run_bit_shift, NULL};

/* --- what kind of number --- */

static enum code infer_kind(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (dtype_size(c->in[0].dtype) == 0 || c->in[0].dtype == DT_STRING)
        return operand_fail(c, e, UNSUPPORTED, "an input of type %s", dtype_name(c->in[0].dtype));
    operand_out_later(c, 0, DT_BOOL);
    return c->in[0].known ? operand_out(c, 0, DT_BOOL, &c->in[0].shape, e) : OK;
}
static enum code run_is_nan(const struct op_call *c, struct err *e) {
    (void)e;
    uint8_t *y = c->out[0]->data;
    for (size_t i = 0, n = tensor_count(c->in[0]); i < n; i++)
        y[i] = (uint8_t)(isnan(tensor_f64(c->in[0], i)) != 0);
    return OK;
}
static enum code run_is_inf(const struct op_call *c, struct err *e) {
    (void)e;
    uint8_t *y = c->out[0]->data;
    bool above = attr_int(c->node, "detect_positive", 1),
         below = attr_int(c->node, "detect_negative", 1);
    for (size_t i = 0, n = tensor_count(c->in[0]); i < n; i++) {
        double v = tensor_f64(c->in[0], i);
        y[i] = (uint8_t)(isinf(v) && (v > 0 ? above : below));
    }
    return OK;
}
const struct op op_is_nan = {"is_nan", OP_PURE | OP_ELEMENTWISE, infer_kind, NULL, run_is_nan,
                             NULL};
const struct op op_is_inf = {"is_inf", OP_PURE | OP_ELEMENTWISE, infer_kind, NULL, run_is_inf,
                             NULL};

/* --- where: condition ? x : y, elements moved as bytes --- */

static enum code infer_where(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    if (c->in[0].dtype != DT_BOOL)
        return operand_fail(c, e, INVALID, "the condition is %s, bool was expected",
                            dtype_name(c->in[0].dtype));
    if (c->in[1].dtype != c->in[2].dtype)
        return operand_fail(c, e, INVALID, "x is %s and y %s, they must be of one type",
                            dtype_name(c->in[1].dtype), dtype_name(c->in[2].dtype));
    return broadcast_infer(c, 3, c->in[1].dtype, e);
}

struct where_call {
    const uint8_t *condition;
    const char *x, *y;
    char *out;
    size_t bytes;
};

#define CHOOSE(type)                                                                               \
    for (size_t i = 0; i < p->n; i++) {                                                            \
        type v = ((const type *)x)[(ptrdiff_t)i * p->step[1]],                                     \
             w = ((const type *)y)[(ptrdiff_t)i * p->step[2]];                                     \
        ((type *)to)[i] = condition[(ptrdiff_t)i * p->step[0]] ? v : w;                            \
    }                                                                                              \
    break

static void where_piece(const struct broadcast_piece *p, void *ctx) {
    const struct where_call *c = ctx;
    typedef struct {
        uint64_t half[2];
    } wide;
    for (size_t row = 0; row < p->rows; row++) {
        const uint8_t *condition = c->condition + p->in[0] + (ptrdiff_t)row * p->row[0];
        const char *x = c->x + (p->in[1] + (ptrdiff_t)row * p->row[1]) * (ptrdiff_t)c->bytes;
        const char *y = c->y + (p->in[2] + (ptrdiff_t)row * p->row[2]) * (ptrdiff_t)c->bytes;
        char *to = c->out + (p->out + row * p->n) * c->bytes;
        switch (c->bytes) {
        case 1: CHOOSE(uint8_t);
        case 2: CHOOSE(uint16_t);
        case 4: CHOOSE(uint32_t);
        case 8: CHOOSE(uint64_t);
        default: CHOOSE(wide);
        }
    }
}

static enum code run_where(const struct op_call *c, struct err *e) {
    size_t bytes = dtype_size(c->in[1]->dtype);
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8 && bytes != 16)
        return operand_fail(c, e, UNSUPPORTED, "inputs of type %s", dtype_name(c->in[1]->dtype));
    struct where_call call = {c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0]->data,
                              bytes};
    struct broadcast walk;
    broadcast_plan(&walk, c->out[0], c->in, 3);
    broadcast_each(&walk, team_size(c->threads, 0.7 * (double)tensor_count(c->out[0])), where_piece,
                   &call);
    return OK;
}
const struct op op_where = {"where", OP_PURE | OP_ELEMENTWISE, infer_where, NULL, run_where, NULL};
