/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to few bits and back: quantize_linear, dequantize_linear, dynamic_quantize_linear.
 *
 * 1. y = saturate(round_half_even(x / scale) + zero) and x = (y - zero) * scale, in f32. One scale
 * serves the whole tensor, a position of `axis`, or (opset 21) a block of `block_size` positions.
 * 2. The work goes in runs: stretches of elements that lie side by side and either share a scale
 * or have scales that lie side by side too. Only a blocked scale whose layout differs from the
 * input's goes element by element.
 * 3. 4- and 2-bit integers and 8- and 4-bit floats are one element per byte here. */
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/team.h"
#include "op/wide.h"
#include "tensor/minifloat.h"

#include <math.h>

enum { BLOCK = 256, CHUNK = 8192 };

/* --- types --- */

/* Ends of an integer type's range; false when t is none that numbers are quantised to. */
static bool range_of(enum dtype t, float *low, float *high) {
    static const struct {
        enum dtype t;
        float low, high;
    } ranges[] = {{DT_U8, 0, 255}, {DT_I8, -128, 127}, {DT_U16, 0, 65535}, {DT_I16, -32768, 32767},
                  {DT_U4, 0, 15},  {DT_I4, -8, 7},     {DT_U2, 0, 3},      {DT_I2, -2, 1}};
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        if (ranges[k].t == t) {
            *low = ranges[k].low;
            *high = ranges[k].high;
            return true;
        }
    return false;
}

static bool is_quantized(enum dtype t) {
    float low, high;
    return range_of(t, &low, &high) || minifloat_is(t);
}

/* Scales are floats, or (microscaling) bare powers of two. */
static bool is_scale(enum dtype t) { return dtype_is_float(t) || t == DT_F8E8M0; }

/* --- where the scale of an element is --- */

enum spread { ONE = 1, AXIS, AXIS_LAST, BLOCKS, BLOCKS_LAST, SCATTERED };

struct job {
    const struct tensor *x, *scale, *zero, *y; /* zero: NULL when absent */
    enum spread spread;
    size_t outer, dim, inner; /* x as it lies, around the axis */
    size_t block, blocks;     /* positions of a block; blocks along the axis */
    int axis;
    bool saturate;
};

struct run {
    size_t at, n; /* elements of x and y */
    size_t scale; /* of the first */
    bool own;     /* each element has the next scale */
};

static size_t units_of(const struct job *j) {
    switch (j->spread) {
    case ONE: return (tensor_count(j->x) + CHUNK - 1) / CHUNK;
    case AXIS_LAST: return j->outer;
    case BLOCKS_LAST: return j->outer * j->blocks;
    case AXIS:
    case BLOCKS: return j->outer * j->dim;
    case SCATTERED: break;
    }
    return tensor_count(j->x);
}

/* Scale of the element at a physical position, whatever the layouts. */
static size_t scale_at(const struct job *j, size_t position) {
    struct shape x, s;
    int64_t strides[SHAPE_MAX], at[SHAPE_MAX];
    size_t index = 0;
    tensor_physical_shape(j->x, &x);
    tensor_physical_shape(j->scale, &s);
    shape_strides(&s, strides);
    for (int k = x.rank - 1; k >= 0; position /= (size_t)x.dims[k], k--)
        at[k] = (int64_t)(position % (size_t)x.dims[k]);
    for (int k = 0; k < x.rank; k++) {
        int64_t own = at[tensor_physical_axis(j->x, k)];
        own = k == j->axis ? own / (int64_t)j->block : own;
        index += (size_t)(own * strides[tensor_physical_axis(j->scale, k)]);
    }
    return index;
}

static struct run run_at(const struct job *j, size_t unit) {
    const size_t count = tensor_count(j->x), row = j->dim * j->inner;
    size_t first;
    switch (j->spread) {
    case ONE:
        first = unit * CHUNK;
        return (struct run){first, count - first < CHUNK ? count - first : CHUNK, 0, false};
    case AXIS_LAST: return (struct run){unit * row, row, 0, true};
    case AXIS: return (struct run){unit * j->inner, j->inner, unit % j->dim, false};
    case BLOCKS_LAST:
        first = unit % j->blocks * j->block;
        return (struct run){unit / j->blocks * row + first,
                            j->dim - first < j->block ? j->dim - first : j->block, unit, false};
    case BLOCKS:
        first = unit / j->dim * j->blocks + unit % j->dim / j->block;
        return (struct run){unit * j->inner, j->inner, first * j->inner, true};
    case SCATTERED: break;
    }
    return (struct run){unit, 1, scale_at(j, unit), false};
}

/* --- attributes and shapes --- */

static bool is_single(const struct shape *s) {
    return s->rank == 0 || (s->rank == 1 && s->dims[0] == 1);
}

static enum code check_scale(const struct op_infer *c, struct err *e) {
    const struct shape *x = &c->in[0].shape, *s = &c->in[1].shape;
    const int64_t block = attr_int(c->node, "block_size", 0);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!c->in[0].known || !c->in[1].known)
        return OK;
    const struct shape *z = operand_given(c, 2) && c->in[2].known ? &c->in[2].shape : s;
    const bool one = is_single(s);
    if (one ? !is_single(z) : !shape_eq(s, z))
        return operand_fail(c, e, INVALID, "scale and zero point have the shapes %s and %s",
                            shape_print(s, a), shape_print(z, b));
    if (one)
        return OK;
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 1), x->rank, &axis, e));
    bool fits = s->rank == 1 && s->dims[0] == x->dims[axis];
    if (block > 0 && s->rank == x->rank) {
        fits = true;
        const int64_t blocks = x->dims[axis] / block + (x->dims[axis] % block != 0);
        for (int k = 0; k < x->rank; k++)
            fits = fits && s->dims[k] == (k == axis ? blocks : x->dims[k]);
    }
    if (!fits)
        return operand_fail(c, e, INVALID, "scales of shape %s do not fit axis %d of %s",
                            shape_print(s, a), axis, shape_print(x, b));
    return OK;
}

static enum code infer_quantize(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    const enum dtype x = c->in[0].dtype,
                     named = operand_dtype(attr_int(c->node, "output_dtype", 0));
    enum dtype y = operand_given(c, 2) ? c->in[2].dtype : named != DT_NONE ? named : DT_U8;
    operand_out_later(c, 0, y);
    if ((!dtype_is_float(x) && x != DT_I32) || !is_scale(c->in[1].dtype))
        return operand_fail(c, e, INVALID, "an input of type %s with scales of type %s",
                            dtype_name(x), dtype_name(c->in[1].dtype));
    if (!is_quantized(y))
        return operand_fail(c, e, INVALID, "numbers cannot be quantised to %s", dtype_name(y));
    TRY(check_scale(c, e));
    return c->in[0].known ? operand_out(c, 0, y, &c->in[0].shape, e) : OK;
}

static enum code infer_dequantize(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    const enum dtype x = c->in[0].dtype,
                     named = operand_dtype(attr_int(c->node, "output_dtype", 0));
    enum dtype y = named != DT_NONE ? named : c->in[1].dtype;
    operand_out_later(c, 0, y);
    if (!is_quantized(x) && x != DT_I32)
        return operand_fail(c, e, INVALID, "elements of type %s are not quantised", dtype_name(x));
    if (!dtype_is_float(y) || !is_scale(c->in[1].dtype))
        return operand_fail(c, e, INVALID, "scales of type %s to numbers of type %s",
                            dtype_name(c->in[1].dtype), dtype_name(y));
    if (operand_given(c, 2) && c->in[2].dtype != x)
        return operand_fail(c, e, INVALID, "the zero point is %s, the input %s",
                            dtype_name(c->in[2].dtype), dtype_name(x));
    TRY(check_scale(c, e));
    return c->in[0].known ? operand_out(c, 0, y, &c->in[0].shape, e) : OK;
}

static enum code job_of(const struct op_call *c, struct job *j, struct err *e) {
    const struct tensor *x = c->in[0], *scale = c->in[1];
    *j = (struct job){.x = x, .scale = scale, .zero = operand_in(c, 2), .y = c->out[0]};
    j->saturate = attr_int(c->node, "saturate", 1) != 0;
    j->spread = ONE;
    if (tensor_count(scale) == 1 && scale->shape.rank <= 1)
        return OK;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 1), x->shape.rank, &j->axis, e));
    const bool blocked = scale->shape.rank > 1 || attr_int(c->node, "block_size", 0) > 0;
    struct shape physical;
    tensor_physical_shape(x, &physical);
    const int at = tensor_physical_axis(x, j->axis);
    j->outer = j->inner = 1;
    j->dim = (size_t)physical.dims[at];
    for (int k = 0; k < physical.rank; k++)
        if (k != at)
            *(k < at ? &j->outer : &j->inner) *= (size_t)physical.dims[k];
    j->block = blocked && attr_int(c->node, "block_size", 0) > 0
                   ? (size_t)attr_int(c->node, "block_size", 0)
                   : 1;
    j->blocks = (j->dim + j->block - 1) / j->block;
    if (!blocked || (x->shape.rank == 1 && j->block == 1))
        j->spread = j->inner == 1 ? AXIS_LAST : AXIS;
    else if (x->layout != scale->layout || (j->zero && j->zero->layout != scale->layout))
        j->spread = SCATTERED;
    else
        j->spread = j->inner == 1 ? BLOCKS_LAST : BLOCKS;
    return OK;
}

/* --- one run --- */

/* Scales and zero points of elements [from, from + n) of a run. */
static void scales_of(const struct job *j, const struct run *r, size_t from, size_t n, float *scale,
                      float *zero) {
    for (size_t k = 0; k < (r->own ? n : 1); k++) {
        size_t at = r->scale + (r->own ? from + k : 0);
        scale[k] = (float)tensor_f64(j->scale, at);
        zero[k] = j->zero ? (float)tensor_f64(j->zero, at) : 0;
    }
    for (size_t k = 1; k < n && !r->own; k++) {
        scale[k] = scale[0];
        zero[k] = zero[0];
    }
}

static void load(const struct tensor *t, size_t at, size_t n, float *to) {
    if (t->dtype == DT_F32 || wide_half(t->dtype)) {
        wide_load(t->dtype, t->data, at, n, to);
        return;
    }
    for (size_t k = 0; k < n; k++)
        to[k] = (float)tensor_f64(t, at + k);
}

static void store(const struct tensor *t, size_t at, size_t n, const float *from) {
    if (t->dtype == DT_F32 || wide_half(t->dtype)) {
        wide_store(t->dtype, t->data, at, n, from);
        return;
    }
    for (size_t k = 0; k < n; k++)
        operand_put(t, at + k, (double)from[k]);
}

static void store_minifloat(const struct job *j, size_t at, size_t n, const float *v,
                            const float *scale, const float *zero) {
    uint8_t *y = (uint8_t *)j->y->data + at;
    for (size_t k = 0; k < n; k++)
        y[k] = minifloat_from_f32(j->y->dtype, v[k] / scale[k] + zero[k], j->saturate);
}

static void quantize_some(const struct job *j, size_t at, size_t n, const float *scale,
                          const float *zero) {
    float v[BLOCK], low = 0, high = 0;
    load(j->x, at, n, v);
    if (!range_of(j->y->dtype, &low, &high)) {
        store_minifloat(j, at, n, v, scale, zero);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        float q = rintf(v[k] / scale[k]) + zero[k];
        q = isnan(q) ? zero[k] : q;
        v[k] = q > low ? q < high ? q : high : low;
    }
    const bool two = dtype_size(j->y->dtype) == 2;
    for (size_t k = 0; k < n && two; k++)
        ((uint16_t *)j->y->data)[at + k] = (uint16_t)(int32_t)v[k];
    for (size_t k = 0; k < n && !two; k++)
        ((uint8_t *)j->y->data)[at + k] = (uint8_t)(int32_t)v[k];
}

static void quantize_run(const struct job *j, const struct run *r) {
    const struct kernel_set *k = kernel_set();
    float scale[BLOCK], zero[BLOCK];
    scales_of(j, r, 0, 1, scale, zero);
    if (j->x->dtype == DT_F32 && !r->own && (j->y->dtype == DT_U8 || j->y->dtype == DT_I8)) {
        const float *x = (const float *)j->x->data + r->at;
        if (j->y->dtype == DT_U8)
            k->quantize_u8(r->n, x, scale[0], (int32_t)zero[0], (uint8_t *)j->y->data + r->at);
        else
            k->quantize_i8(r->n, x, scale[0], (int32_t)zero[0], (int8_t *)j->y->data + r->at);
        return;
    }
    for (size_t from = 0; from < r->n; from += BLOCK) {
        size_t n = r->n - from < BLOCK ? r->n - from : BLOCK;
        scales_of(j, r, from, n, scale, zero);
        quantize_some(j, r->at + from, n, scale, zero);
    }
}

static void dequantize_some(const struct job *j, const struct run *r, size_t from, size_t n) {
    float scale[BLOCK], v[BLOCK], zero[BLOCK];
    const size_t at = r->at + from;
    scales_of(j, r, from, n, scale, zero);
    for (size_t k = 0; k < n; k++)
        if (j->x->dtype == DT_I32) { /* the difference may need more than 24 bits */
            int64_t nought = j->zero ? tensor_i64(j->zero, r->scale + (r->own ? from + k : 0)) : 0;
            v[k] = (float)(tensor_i64(j->x, at + k) - nought) * scale[k];
        } else {
            v[k] = ((float)tensor_f64(j->x, at + k) - zero[k]) * scale[k];
        }
    store(j->y, at, n, v);
}

static void dequantize_run(const struct job *j, const struct run *r) {
    const struct kernel_set *k = kernel_set();
    const enum dtype t = j->x->dtype;
    if (j->y->dtype == DT_F32 && !r->own && (t == DT_U8 || t == DT_I8)) {
        float scale, zero, *y = (float *)j->y->data + r->at;
        scales_of(j, r, 0, 1, &scale, &zero);
        if (t == DT_U8)
            k->dequantize_u8(r->n, (const uint8_t *)j->x->data + r->at, scale, (int32_t)zero, y);
        else
            k->dequantize_i8(r->n, (const int8_t *)j->x->data + r->at, scale, (int32_t)zero, y);
        return;
    }
    for (size_t from = 0; from < r->n; from += BLOCK)
        dequantize_some(j, r, from, r->n - from < BLOCK ? r->n - from : BLOCK);
}

/* --- run --- */

typedef void run_fn(const struct job *j, const struct run *r);

static void units(const struct job *j, run_fn *fn, size_t begin, size_t end) {
    for (size_t unit = begin; unit < end; unit++) {
        struct run r = run_at(j, unit);
        fn(j, &r);
    }
}

static enum code run_all(const struct op_call *c, run_fn *fn, struct err *e) {
    struct job j;
    TRY(job_of(c, &j, e));
    if (tensor_count(j.x) == 0)
        return OK;
    const bool fast = j.x->dtype == DT_F32 || j.y->dtype == DT_F32;
    const size_t n = units_of(&j);
    const int threads = team_size(c->threads, (double)tensor_count(j.x) * (fast ? 0.3 : 5));
    if (threads == 1) {
        units(&j, fn, 0, n);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        units(&j, fn, team_cut(n, 1, threads, t), team_cut(n, 1, threads, t + 1));
    return OK;
}

static enum code run_quantize(const struct op_call *c, struct err *e) {
    return run_all(c, quantize_run, e);
}
static enum code run_dequantize(const struct op_call *c, struct err *e) {
    return run_all(c, dequantize_run, e);
}

/* --- dynamic_quantize_linear: u8 with the range of the data, which always holds 0 --- */

static enum code infer_dynamic(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (c->in[0].dtype != DT_F32)
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    operand_out_later(c, 0, DT_U8);
    if (c->in[0].known)
        TRY(operand_out(c, 0, DT_U8, &c->in[0].shape, e));
    TRY(operand_out(c, 1, DT_F32, &(struct shape){.rank = 0}, e));
    return operand_out(c, 2, DT_U8, &(struct shape){.rank = 0}, e);
}

static enum code run_dynamic(const struct op_call *c, struct err *e) {
    (void)e;
    const struct kernel_set *k = kernel_set();
    const struct tensor *x = c->in[0], *y = operand_to(c, 0), *scale_to = operand_to(c, 1),
                        *zero_to = operand_to(c, 2);
    const size_t n = tensor_count(x);
    float low = n ? k->bottom_f32(n, x->data) : 0, high = n ? k->top_f32(n, x->data) : 0;
    low = low < 0 ? low : 0;
    high = high > 0 ? high : 0;
    float scale = high > low ? (high - low) / 255 : 1;
    float at = rintf(-low / scale);
    uint8_t zero = (uint8_t)(at > 0 ? at < 255 ? at : 255 : 0);
    if (scale_to)
        memcpy(scale_to->data, &scale, sizeof scale);
    if (zero_to)
        memcpy(zero_to->data, &zero, sizeof zero);
    const float *from = x->data;
    uint8_t *to = y ? y->data : NULL;
    if (!to)
        return OK;
    const int threads = team_size(c->threads, (double)n * 0.2);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        size_t begin = team_cut(n, 64, threads, t), end = team_cut(n, 64, threads, t + 1);
        k->quantize_u8(end - begin, from + begin, scale, zero, to + begin);
    }
    return OK;
}

const struct op op_quantize_linear = {
    "quantize_linear", OP_PURE | OP_ELEMENTWISE, infer_quantize, NULL, run_quantize, NULL};
const struct op op_dequantize_linear = {
    "dequantize_linear", OP_PURE | OP_ELEMENTWISE, infer_dequantize, NULL, run_dequantize, NULL};
const struct op op_dynamic_quantize_linear = {
    "dynamic_quantize_linear", OP_PURE, infer_dynamic, NULL, run_dynamic, NULL};
