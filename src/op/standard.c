/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations of lines: layer_normalization, rms_normalization, lp_normalization,
 * mean_variance_normalization.
 *
 * 1. A line of layer_normalization and rms_normalization is everything from `axis` (default -1) on;
 * scale and bias broadcast to the input, and usually have just the shape of a line.
 * 2. f32 lines are a kernel each, f16 and bf16 go through it widened, f64 by the formula.
 * 3. stash_type tells the type of the outputs Mean and InvStdDev only: computing is never narrower
 * than f32. */
#include "op/operand.h"
#include "op/sweep.h"
#include "op/team.h"
#include "op/wide.h"

#include <math.h>

enum { STRETCH = 256 };

/* --- layer_normalization, rms_normalization --- */

/* scale or bias as seen from x: strides of the dims before and inside the line, 0 where it repeats.
 */
struct table {
    const struct tensor *t; /* NULL: absent */
    struct sweep_dims lines, inside;
    bool dense; /* a line's worth of f32 lies side by side: no copy needed */
};

struct job {
    const struct op_call *call;
    enum dtype dtype;
    size_t lines, n;
    struct table scale, bias;
    double epsilon;
    bool rms;
};

static enum code infer_line(struct op_infer *c, bool rms, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(operand_infer_same(c, e));
    const enum dtype stash = operand_dtype(attr_int(c->node, "stash_type", 1));
    for (int i = 1; i < c->node->n_out && !rms; i++)
        operand_out_later(c, i, stash);
    if (!dtype_is_float(c->in[0].dtype) || (!rms && !dtype_is_float(stash)))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known)
        return OK;
    struct shape x = c->in[0].shape, both;
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), x.rank, &axis, e));
    for (int i = 1; i < (rms ? 2 : 3); i++) {
        char text[SHAPE_TEXT];
        if (!operand_given(c, i))
            continue;
        if (!dtype_is_float(c->in[i].dtype))
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
        if (c->in[i].known &&
            (!shape_broadcast(&x, &c->in[i].shape, &both) || !shape_eq(&x, &both)))
            return operand_fail(c, e, INVALID, "input %d of shape %s does not broadcast to input 0",
                                i, shape_print(&c->in[i].shape, text));
    }
    for (int k = axis; k < x.rank; k++)
        x.dims[k] = 1;
    for (int i = 1; i < c->node->n_out && !rms; i++)
        TRY(operand_out(c, i, stash, &x, e));
    return OK;
}

static enum code infer_layer(struct op_infer *c, struct err *e) { return infer_line(c, false, e); }
static enum code infer_rms(struct op_infer *c, struct err *e) { return infer_line(c, true, e); }

static void push_dim(struct sweep_dims *d, int64_t dim, int64_t stride) {
    d->dims[d->rank] = (size_t)dim;
    d->strides[d->rank++] = (ptrdiff_t)stride;
    d->count *= (size_t)dim;
}

static struct table table_of(const struct tensor *t, const struct shape *x, int axis) {
    struct table table = {.t = t, .lines = {.count = 1}, .inside = {.count = 1}, .dense = true};
    int64_t strides[SHAPE_MAX], natural = 1;
    if (!t)
        return table;
    shape_strides_to(&t->shape, x, strides);
    for (int k = x->rank - 1; k >= axis; natural *= x->dims[k], k--)
        table.dense = table.dense && (x->dims[k] == 1 || strides[k] == natural);
    table.dense = table.dense && t->dtype == DT_F32;
    for (int k = 0; k < x->rank; k++)
        push_dim(k < axis ? &table.lines : &table.inside, x->dims[k], strides[k]);
    return table;
}

/* The table's elements for one line: in place, or copied to `room` as double or f32. */
static const float *table_f32(const struct table *t, size_t line, float *room) {
    if (!t->t)
        return NULL;
    struct sweep_cursor at;
    const size_t from = sweep_position(&t->lines, line);
    if (t->dense)
        return (const float *)t->t->data + from;
    sweep_begin(&t->inside, 0, &at);
    for (size_t k = 0; k < t->inside.count; k++, sweep_next(&t->inside, &at))
        room[k] = (float)tensor_f64(t->t, from + at.position);
    return room;
}

static double table_f64(const struct table *t, size_t line, size_t k) {
    return tensor_f64(t->t, sweep_position(&t->lines, line) + sweep_position(&t->inside, k));
}

struct moments {
    double mean, scale; /* scale: 1 / sqrt(variance + epsilon) */
};

static struct moments moments_f64(const struct job *j, const double *x) {
    double sum = 0, squares = 0;
    for (size_t k = 0; k < j->n && !j->rms; k++)
        sum += x[k];
    struct moments m = {.mean = sum / (double)j->n};
    for (size_t k = 0; k < j->n; k++)
        squares += (x[k] - m.mean) * (x[k] - m.mean);
    m.scale = 1 / sqrt(squares / (double)j->n + j->epsilon);
    return m;
}

static void line_f64(const struct job *j, size_t line) {
    const double *x = (const double *)j->call->in[0]->data + line * j->n;
    double *y = (double *)j->call->out[0]->data + line * j->n;
    struct moments m = moments_f64(j, x);
    for (size_t k = 0; k < j->n; k++) {
        double v = (x[k] - m.mean) * m.scale * table_f64(&j->scale, line, k);
        y[k] = j->bias.t ? v + table_f64(&j->bias, line, k) : v;
    }
}

/* room: three lines of f32. */
static void line_f32(const struct job *j, size_t line, float *room) {
    const struct tensor *x = j->call->in[0], *y = j->call->out[0];
    const bool half = wide_half(j->dtype);
    struct norm_f32 norm = {.n = j->n, .epsilon = (float)j->epsilon, .rms = j->rms};
    norm.gamma = table_f32(&j->scale, line, room);
    norm.beta = table_f32(&j->bias, line, room + j->n);
    norm.x = half ? room + 2 * j->n : (const float *)x->data + line * j->n;
    norm.y = half ? room + 2 * j->n : (float *)y->data + line * j->n;
    if (half)
        wide_load(j->dtype, x->data, line * j->n, j->n, norm.y);
    kernel_set()->norm_f32(&norm);
    if (half)
        wide_store(j->dtype, y->data, line * j->n, j->n, norm.y);
}

/* The outputs Mean and InvStdDev of a line; before y is written, which may be where x is. */
static void put_moments(const struct job *j, size_t line) {
    const struct tensor *x = j->call->in[0], *mean = operand_to(j->call, 1),
                        *scale = operand_to(j->call, 2);
    double sum = 0, squares = 0;
    for (size_t k = 0; k < j->n; k++)
        sum += tensor_f64(x, line * j->n + k);
    sum /= (double)j->n;
    for (size_t k = 0; k < j->n; k++) {
        double d = tensor_f64(x, line * j->n + k) - sum;
        squares += d * d;
    }
    if (mean)
        operand_put(mean, line, sum);
    if (scale)
        operand_put(scale, line, 1 / sqrt(squares / (double)j->n + j->epsilon));
}

static void some_lines(const struct job *j, size_t begin, size_t end, float *room) {
    const bool stats = !j->rms && (operand_to(j->call, 1) || operand_to(j->call, 2));
    for (size_t line = begin; line < end; line++) {
        if (stats)
            put_moments(j, line);
        if (j->dtype == DT_F64)
            line_f64(j, line);
        else
            line_f32(j, line, room);
    }
}

static size_t line_length(const struct shape *x, int axis) {
    size_t n = 1;
    for (int k = axis; k < x->rank; k++)
        n *= (size_t)x->dims[k];
    return n;
}

static enum code prepare_line(struct op_prepare *c, struct err *e) {
    int axis;
    const struct shape *x = &c->in[0].shape;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), x->rank, &axis, e));
    if (!mul_size(line_length(x, axis), 3 * sizeof(float) * (size_t)c->threads, &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "a line is too long");
    return OK;
}

static enum code run_line(const struct op_call *c, bool rms, struct err *e) {
    const struct tensor *x = c->in[0];
    struct job j = {.call = c, .dtype = x->dtype, .rms = rms};
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), x->shape.rank, &axis, e));
    j.n = line_length(&x->shape, axis);
    if (tensor_count(x) == 0)
        return OK;
    j.lines = tensor_count(x) / j.n;
    j.epsilon = (double)attr_float(c->node, "epsilon", 1e-5f);
    j.scale = table_of(operand_in(c, 1), &x->shape, axis);
    j.bias = table_of(rms ? NULL : operand_in(c, 2), &x->shape, axis);
    float *room = c->scratch;
    const int threads = team_size(c->threads, (double)tensor_count(x) * 0.4);
    if (threads == 1) {
        some_lines(&j, 0, j.lines, room);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        some_lines(&j, team_cut(j.lines, 1, threads, t), team_cut(j.lines, 1, threads, t + 1),
                   room + (size_t)t * 3 * j.n);
    return OK;
}

static enum code run_layer(const struct op_call *c, struct err *e) { return run_line(c, false, e); }
static enum code run_rms(const struct op_call *c, struct err *e) { return run_line(c, true, e); }

/* --- lp_normalization: x / norm along one axis; a norm of 0 leaves zeros --- */

static enum code infer_lp(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    const int64_t p = attr_int(c->node, "p", 2);
    int axis;
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (p != 1 && p != 2)
        return operand_fail(c, e, INVALID, "p = %lld is neither 1 nor 2", (long long)p);
    return c->in[0].known ? operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1),
                                         c->in[0].shape.rank, &axis, e)
                          : OK;
}

struct lp {
    struct sweep s;
    const struct tensor *x, *y;
    size_t n;
    ptrdiff_t step;
    bool ones; /* p = 1 */
};

static void lp_line(const struct lp *l, size_t position) {
    double sum = 0;
    for (size_t k = 0; k < l->n; k++) {
        double v = tensor_f64(l->x, position + k * (size_t)l->step);
        sum += l->ones ? fabs(v) : v * v;
    }
    double norm = l->ones ? sum : sqrt(sum);
    for (size_t k = 0; k < l->n; k++) {
        size_t at = position + k * (size_t)l->step;
        operand_put(l->y, at, norm > 0 ? tensor_f64(l->x, at) / norm : 0);
    }
}

static void lp_line_f32(const struct lp *l, size_t position) {
    const struct kernel_set *k = kernel_set();
    const float *x = (const float *)l->x->data + position;
    float norm = l->ones ? k->sum_abs_f32(l->n, x) : sqrtf(k->sum_sq_f32(l->n, x));
    k->linear_f32(l->n, x, (float *)l->y->data + position, norm > 0 ? 1 / norm : 0, 0);
}

/* w lines side by side. */
static void lp_stretch(const struct lp *l, size_t position, size_t w) {
    const struct kernel_set *k = kernel_set();
    float norm[STRETCH] = {0}, v[STRETCH];
    for (size_t r = 0; r < l->n; r++) {
        const float *x = (const float *)l->x->data + position + r * (size_t)l->step;
        (l->ones ? k->abs_f32 : k->square_f32)(w, x, v, 0, 0);
        k->add_f32(&(struct binary_f32){.rows = 1, .n = w, .a = norm, .b = v, .y = norm});
    }
    for (size_t i = 0; i < w; i++) {
        float length = l->ones ? norm[i] : sqrtf(norm[i]);
        norm[i] = length > 0 ? 1 / length : 0;
    }
    for (size_t r = 0; r < l->n; r++) {
        size_t at = position + r * (size_t)l->step;
        k->mul_f32(&(struct binary_f32){.rows = 1,
                                        .n = w,
                                        .a = (const float *)l->x->data + at,
                                        .b = norm,
                                        .y = (float *)l->y->data + at});
    }
}

static void lp_lines(const struct lp *l, size_t begin, size_t end) {
    const struct sweep_dims *kept = &l->s.kept;
    const bool f32 = l->x->dtype == DT_F32;
    const bool together = f32 && kept->rank && kept->strides[kept->rank - 1] == 1;
    struct sweep_dims outer = *kept;
    const size_t inner = kept->rank ? outer.dims[--outer.rank] : 1;
    while (begin < end) {
        size_t position = sweep_position(kept, begin), w = inner - begin % inner;
        w = w < STRETCH ? w : STRETCH;
        w = w < end - begin ? w : end - begin;
        if (f32 && l->step == 1)
            lp_line_f32(l, position);
        else if (together)
            lp_stretch(l, position, w);
        else
            lp_line(l, position);
        begin += together && l->step != 1 ? w : 1;
    }
}

static enum code run_lp(const struct op_call *c, struct err *e) {
    struct lp l = {.x = c->in[0], .y = c->out[0], .ones = attr_int(c->node, "p", 2) == 1};
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), l.x->shape.rank, &axis, e));
    sweep_plan(&l.s, l.x, 1u << axis, NULL);
    sweep_line(&l.s.swept, &l.step);
    l.n = l.s.swept.count;
    if (tensor_count(l.x) == 0)
        return OK;
    const double ns = l.x->dtype == DT_F32 ? 0.3 : 10;
    const int threads = team_size(c->threads, (double)tensor_count(l.x) * ns);
    if (threads == 1) {
        lp_lines(&l, 0, l.s.kept.count);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        lp_lines(&l, team_cut(l.s.kept.count, 16, threads, t),
                 team_cut(l.s.kept.count, 16, threads, t + 1));
    return OK;
}

/* --- mean_variance_normalization: (x - mean) / (deviation + 1e-9) over `axes` --- */

static enum code mean_axes(const struct operand_at *at, int rank, unsigned *axes, struct err *e) {
    struct operand_ints list;
    bool present;
    TRY(operand_attr_ints(at, "axes", &list, &present, e));
    if (!present)
        list = (struct operand_ints){.n = 3, .v = {0, 2, 3}};
    TRY(operand_axes(at, &list, rank, e));
    *axes = 0;
    for (int k = 0; k < list.n; k++)
        *axes |= 1u << list.v[k];
    return OK;
}

static enum code infer_mean(struct op_infer *c, struct err *e) {
    unsigned axes;
    TRY(operand_infer_same(c, e));
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    return c->in[0].known ? mean_axes(OPERAND_AT(c), c->in[0].shape.rank, &axes, e) : OK;
}

static void mean_one(const struct sweep_dims *d, const struct tensor *x, const struct tensor *y,
                     size_t from) {
    struct sweep_cursor at;
    double mean = 0, squares = 0;
    sweep_begin(d, 0, &at);
    for (size_t k = 0; k < d->count; k++, sweep_next(d, &at))
        mean += tensor_f64(x, from + at.position);
    mean /= (double)d->count;
    sweep_begin(d, 0, &at);
    for (size_t k = 0; k < d->count; k++, sweep_next(d, &at)) {
        double v = tensor_f64(x, from + at.position) - mean;
        squares += v * v;
    }
    const double deviation = sqrt(squares / (double)d->count) + 1e-9;
    sweep_begin(d, 0, &at);
    for (size_t k = 0; k < d->count; k++, sweep_next(d, &at))
        operand_put(y, from + at.position, (tensor_f64(x, from + at.position) - mean) / deviation);
}

static enum code run_mean(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0], *y = c->out[0];
    unsigned axes;
    struct sweep s;
    TRY(mean_axes(OPERAND_AT(c), x->shape.rank, &axes, e));
    sweep_plan(&s, x, axes, NULL);
    const size_t n = tensor_count(x) ? s.kept.count : 0;
    const int threads = team_size(c->threads, (double)tensor_count(x) * 20);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t k = 0; k < n; k++)
        mean_one(&s.swept, x, y, sweep_position(&s.kept, k));
    return OK;
}

const struct op op_layer_normalization = {
    "layer_normalization", OP_PURE | OP_INPLACE, infer_layer, prepare_line, run_layer, NULL};
const struct op op_rms_normalization = {
    "rms_normalization", OP_PURE | OP_INPLACE, infer_rms, prepare_line, run_rms, NULL};
const struct op op_lp_normalization = {
    "lp_normalization", OP_PURE | OP_INPLACE | OP_NHWC, infer_lp, NULL, run_lp, NULL};
const struct op op_mean_variance_normalization = {"mean_variance_normalization",
                                                  OP_PURE | OP_INPLACE | OP_NHWC,
                                                  infer_mean,
                                                  NULL,
                                                  run_mean,
                                                  NULL};
