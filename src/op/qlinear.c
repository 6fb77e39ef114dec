/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise and pooling operators on quantised bytes, as com.microsoft defines them:
 * q_linear_add, q_linear_mul, q_linear_sigmoid, q_linear_leaky_relu, q_linear_global_average_pool.
 * Every one means: dequantise, compute in real numbers, quantise. Functions of one byte are tables
 * of 256 made in each run. */
#include "kernel/kernel.h"
#include "op/broadcast.h"
#include "op/operand.h"
#include "op/q8.h"
#include "op/team.h"

#include <math.h>

/* Parameter inputs in [from, to) have one entry each. */
static enum code single(struct op_infer *c, int from, int to, struct err *e) {
    for (int i = from; i < to; i++)
        if (operand_given(c, i) && c->in[i].dtype != c->in[0].dtype && c->in[i].dtype != DT_F32)
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
        else if (operand_given(c, i))
            TRY(q8_check(OPERAND_AT(c), &c->in[i], 1, "a scale or zero point", e));
    if (!q8_is(c->in[0].dtype))
        return operand_fail(c, e, UNSUPPORTED, "an input of type %s", dtype_name(c->in[0].dtype));
    return OK;
}

/* To nearest even, of numbers whose sum with 1.5 * 2^52 has no bits for a fraction: what is beyond
 * 2^20 is beyond every byte. */
static double rounded(double v) {
    const double most = 1 << 20, magic = 0x1.8p52;
    v = v > most ? most : v < -most ? -most : v;
    return (v + magic) - magic;
}

static uint8_t quantised(double v, double scale, int32_t zero, bool is_signed) {
    double r = rounded(v / scale) + zero, low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    return (uint8_t)(int)(isnan(r) ? zero : r < low ? low : r > high ? high : r);
}

/* --- two inputs: A a_scale a_zero B b_scale b_zero y_scale y_zero --- */

static enum code infer_pair(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 7, e));
    if (c->in[3].dtype != c->in[0].dtype)
        return operand_fail(c, e, INVALID, "inputs are %s and %s", dtype_name(c->in[0].dtype),
                            dtype_name(c->in[3].dtype));
    TRY(single(c, 1, 3, e));
    TRY(single(c, 4, 8, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known || !c->in[3].known)
        return OK;
    struct shape out;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!shape_broadcast(&c->in[0].shape, &c->in[3].shape, &out))
        return operand_fail(c, e, INVALID, "shapes %s and %s do not broadcast",
                            shape_print(&c->in[0].shape, a), shape_print(&c->in[3].shape, b));
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

struct pair_call {
    struct qadd q; /* scales of a and b over y's */
    int32_t a_zero, b_zero;
    bool is_signed, multiply;
};

static void multiply_row(const struct pair_call *c, const struct broadcast_piece *p, size_t row) {
    const uint8_t *a = (const uint8_t *)c->q.a + p->in[0] + (ptrdiff_t)row * p->row[0],
                  *b = (const uint8_t *)c->q.b + p->in[1] + (ptrdiff_t)row * p->row[1];
    uint8_t *y = (uint8_t *)c->q.y + p->out + row * p->n;
    for (size_t i = 0; i < p->n; i++, a += p->step[0], b += p->step[1]) {
        int32_t u = (c->is_signed ? (int8_t)*a : *a) - c->a_zero,
                v = (c->is_signed ? (int8_t)*b : *b) - c->b_zero;
        double product = (double)((float)(u * v) * c->q.a_scale),
               sum = (double)((float)u * c->q.a_scale + (float)v * c->q.b_scale);
        y[i] = quantised(c->multiply ? product : sum, 1, c->q.y_zero, c->is_signed);
    }
}

static void pair_piece(const struct broadcast_piece *p, void *ctx) {
    const struct pair_call *c = ctx;
    for (size_t row = 0; row < p->rows; row++) {
        if (c->multiply || p->step[0] != 1 || (p->step[1] >> 1) != 0) {
            multiply_row(c, p, row);
            continue;
        }
        struct qadd q = c->q;
        q.n = p->n;
        q.a = (const char *)q.a + p->in[0] + (ptrdiff_t)row * p->row[0];
        q.b = (const char *)q.b + p->in[1] + (ptrdiff_t)row * p->row[1];
        q.y = (char *)q.y + p->out + row * p->n;
        q.b_one = p->step[1] == 0;
        (c->is_signed ? kernel_set()->qadd_i8 : kernel_set()->qadd_u8)(&q);
    }
}

static enum code run_pair(const struct op_call *c, bool multiply, struct err *e) {
    const float a = q8_scale(c->in[1], 0), b = q8_scale(c->in[4], 0), y = q8_scale(c->in[6], 0);
    struct pair_call call = {.is_signed = c->in[0]->dtype == DT_I8,
                             .multiply = multiply,
                             .a_zero = q8_zero(operand_in(c, 2), 0),
                             .b_zero = q8_zero(operand_in(c, 5), 0)};
    call.q = (struct qadd){.a = c->in[0]->data,
                           .b = c->in[3]->data,
                           .y = c->out[0]->data,
                           .a_scale = multiply ? a * b / y : a / y,
                           .b_scale = b / y,
                           .y_zero = q8_zero(operand_in(c, 7), 0),
                           .low = call.is_signed ? -128 : 0};
    call.q.offset = -((float)call.a_zero * call.q.a_scale + (float)call.b_zero * call.q.b_scale);
    if (!isfinite(call.q.a_scale) || !isfinite(call.q.b_scale) || !isfinite(call.q.offset))
        return operand_fail(c, e, INVALID, "the scales of inputs and output do not divide");
    struct broadcast walk;
    broadcast_plan(&walk, c->out[0], (const struct tensor *[]){c->in[0], c->in[3]}, 2);
    broadcast_each(&walk, team_size(c->threads, 0.1 * (double)tensor_count(c->out[0])), pair_piece,
                   &call);
    return OK;
}

static enum code run_add(const struct op_call *c, struct err *e) { return run_pair(c, false, e); }
static enum code run_mul(const struct op_call *c, struct err *e) { return run_pair(c, true, e); }
const struct op op_q_linear_add = {
    "q_linear_add", OP_PURE | OP_ELEMENTWISE, infer_pair, NULL, run_add, NULL};
const struct op op_q_linear_mul = {
    "q_linear_mul", OP_PURE | OP_ELEMENTWISE, infer_pair, NULL, run_mul, NULL};

/* --- one input: X x_scale x_zero y_scale y_zero --- */

static enum code infer_table(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 4, e));
    TRY(single(c, 1, 5, e));
    return operand_infer_same(c, e);
}

typedef double table_fn(double x, double alpha);

static enum code run_table(const struct op_call *c, table_fn *fn, double alpha, struct err *e) {
    const bool is_signed = c->in[0]->dtype == DT_I8;
    const double x_scale = (double)q8_scale(c->in[1], 0), y_scale = (double)q8_scale(c->in[3], 0);
    const int32_t x_zero = q8_zero(operand_in(c, 2), 0), y_zero = q8_zero(operand_in(c, 4), 0);
    uint8_t table[256];
    if (!(y_scale > 0))
        return operand_fail(c, e, INVALID, "the scale of the output is %g", y_scale);
    for (int i = 0; i < 256; i++)
        table[i] = quantised(fn(((is_signed ? (int8_t)i : i) - x_zero) * x_scale, alpha), y_scale,
                             y_zero, is_signed);
    const uint8_t *x = c->in[0]->data;
    uint8_t *y = c->out[0]->data;
    for (size_t i = 0, n = tensor_count(c->in[0]); i < n; i++)
        y[i] = table[x[i]];
    return OK;
}

static double sigmoid_of(double x, double alpha) {
    (void)alpha;
    return 1 / (1 + exp(-x));
}
static double leaky_relu_of(double x, double alpha) { return x < 0 ? alpha * x : x; }
static enum code run_sigmoid(const struct op_call *c, struct err *e) {
    return run_table(c, sigmoid_of, 0, e);
}
static enum code run_leaky_relu(const struct op_call *c, struct err *e) {
    return run_table(c, leaky_relu_of, (double)attr_float(c->node, "alpha", 0.01f), e);
}
const struct op op_q_linear_sigmoid = {"q_linear_sigmoid", OP_PURE | OP_INPLACE | OP_ELEMENTWISE,
                                       infer_table,        NULL,
                                       run_sigmoid,        NULL};
const struct op op_q_linear_leaky_relu = {
    "q_linear_leaky_relu", OP_PURE | OP_INPLACE | OP_ELEMENTWISE,
    infer_table,           NULL,
    run_leaky_relu,        NULL};

/* --- global average: sums are exact, so the order does not matter --- */

static enum code infer_average(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 4, e));
    TRY(single(c, 1, 5, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (attr_int(c->node, "channels_last", 0))
        return operand_fail(c, e, UNSUPPORTED, "channels_last");
    if (!c->in[0].known)
        return OK;
    struct shape out = c->in[0].shape;
    if (out.rank < 3)
        return operand_fail(c, e, INVALID, "the input has rank %d, 3 or more was expected",
                            out.rank);
    for (int axis = 2; axis < out.rank; axis++)
        out.dims[axis] = 1;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

enum { SIDE = 64 }; /* channels that are summed together */

/* Sums of `n` channels side by side over pixels `step` bytes apart. */
static void sum_columns(const uint8_t *x, bool is_signed, size_t pixels, size_t step, size_t n,
                        int64_t *sums) {
    int32_t part[SIDE];
    memset(sums, 0, n * sizeof *sums);
    for (size_t first = 0; first < pixels; first += 65536) { /* part cannot overflow within */
        size_t last = pixels - first < 65536 ? pixels : first + 65536;
        memset(part, 0, sizeof part);
        for (size_t pixel = first; pixel < last; pixel++)
            q8_add(x + pixel * step, is_signed, n, part);
        for (size_t i = 0; i < n; i++)
            sums[i] += part[i];
    }
}

static enum code run_average(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0];
    const bool is_signed = x->dtype == DT_I8, plain = x->layout == LAYOUT_PLAIN;
    const float ratio = q8_scale(c->in[1], 0) / q8_scale(c->in[3], 0);
    const int32_t x_zero = q8_zero(operand_in(c, 2), 0), y_zero = q8_zero(operand_in(c, 4), 0);
    const size_t planes = tensor_count(c->out[0]), channels = (size_t)x->shape.dims[1],
                 pixels = planes ? tensor_count(x) / planes : 0;
    uint8_t *y = c->out[0]->data;
    if (!isfinite(ratio) || (planes && pixels == 0))
        return operand_fail(c, e, INVALID, "nothing to average, or scales that do not divide");
    for (size_t plane = 0; plane < planes;) {
        int64_t sums[SIDE];
        size_t left = channels - plane % channels, n = plain ? 1 : left < SIDE ? left : SIDE;
        const uint8_t *at =
            (const uint8_t *)x->data +
            (plain ? plane * pixels : plane / channels * pixels * channels + plane % channels);
        sum_columns(at, is_signed, pixels, plain ? 1 : channels, n, sums);
        for (size_t i = 0; i < n; i++, plane++)
            y[plane] = quantised(((double)sums[i] / (double)pixels - x_zero) * (double)ratio, 1,
                                 y_zero, is_signed);
    }
    return OK;
}
const struct op op_q_linear_global_average_pool = {
    "q_linear_global_average_pool", OP_PURE | OP_NHWC, infer_average, NULL, run_average, NULL};
