/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a line of elements against each other: softmax, log_softmax, hardmax.
 *
 * 1. Before opset 13 the line is everything from `axis` (default 1) on, seen as one dim; from 13 on
 * it is that axis alone (default -1).
 * 2. A line is elements `step` apart. f32 lines that lie side by side are a kernel each; where
 * neighbours belong to different lines, a stretch of lines goes through at once, row by row.
 * f16 and bf16 lines are gathered as f32, everything else as f64. */
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/sweep.h"
#include "op/team.h"

#include <math.h>

enum kind { SOFTMAX = 1, LOG_SOFTMAX, HARDMAX };
enum { STRETCH = 256 }; /* lines that go through together */

struct job {
    enum kind kind;
    enum dtype dtype;
    struct sweep s;
    size_t n; /* elements of a line */
    ptrdiff_t step;
    const char *x;
    char *y;
    double *room; /* per thread: one line */
};

/* --- infer --- */

/* Bit per axis of the line. */
static enum code axes_of(const struct operand_at *at, int rank, unsigned *axes, struct err *e) {
    const bool flat = at->node->opset < 13;
    int axis;
    *axes = 0;
    if (rank == 0)
        return OK; /* one element, one line */
    TRY(operand_axis(at, attr_int(at->node, "axis", flat && rank > 1 ? 1 : -1), rank, &axis, e));
    const unsigned all = (1u << rank) - 1;
    *axes = flat ? all & ~((1u << axis) - 1) : 1u << axis;
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    unsigned axes;
    return c->in[0].known ? axes_of(OPERAND_AT(c), c->in[0].shape.rank, &axes, e) : OK;
}

/* --- one line --- */

static void line_f64(enum kind kind, size_t n, double *v) {
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (v[k] > v[best])
            best = k;
    const double top = v[best];
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += exp(v[k] - top);
    for (size_t k = 0; k < n; k++)
        v[k] = kind == HARDMAX   ? k == best
               : kind == SOFTMAX ? exp(v[k] - top) / sum
                                 : v[k] - top - log(sum);
}

static void line_f32(enum kind kind, size_t n, const float *x, float *y) {
    const struct kernel_set *k = kernel_set();
    if (kind != HARDMAX) {
        (kind == SOFTMAX ? k->softmax_f32 : k->log_softmax_f32)(n, x, y);
        return;
    }
    const float top = k->top_f32(n, x);
    size_t best = 0;
    while (best + 1 < n && x[best] != top)
        best++;
    for (size_t at = 0; at < n; at++)
        y[at] = at == best;
}

static void line_half(const struct job *j, size_t position, float *v) {
    const uint16_t *x = (const uint16_t *)j->x + position;
    uint16_t *y = (uint16_t *)j->y + position;
    const bool ieee = j->dtype == DT_F16;
    for (size_t k = 0; k < j->n; k++)
        v[k] = ieee ? dtype_f16_to_f32(x[(ptrdiff_t)k * j->step])
                    : dtype_bf16_to_f32(x[(ptrdiff_t)k * j->step]);
    line_f32(j->kind, j->n, v, v);
    for (size_t k = 0; k < j->n; k++)
        y[(ptrdiff_t)k * j->step] = ieee ? dtype_f32_to_f16(v[k]) : dtype_f32_to_bf16(v[k]);
}

/* A line anywhere, through `v`, which has room for it. */
static void line(const struct job *j, size_t position, double *v) {
    if (j->dtype == DT_F32) { /* hardmax only */
        const float *x = (const float *)j->x + position;
        float *single = (float *)v, *y = (float *)j->y + position;
        for (size_t k = 0; k < j->n; k++)
            single[k] = x[(ptrdiff_t)k * j->step];
        line_f32(j->kind, j->n, single, single);
        for (size_t k = 0; k < j->n; k++)
            y[(ptrdiff_t)k * j->step] = single[k];
        return;
    }
    if (j->dtype != DT_F64) {
        line_half(j, position, (float *)v);
        return;
    }
    const double *x = (const double *)j->x + position;
    double *y = (double *)j->y + position;
    for (size_t k = 0; k < j->n; k++)
        v[k] = x[(ptrdiff_t)k * j->step];
    line_f64(j->kind, j->n, v);
    for (size_t k = 0; k < j->n; k++)
        y[(ptrdiff_t)k * j->step] = v[k];
}

/* Lines [begin, end), one after the other. */
static void lines(const struct job *j, size_t begin, size_t end, double *room) {
    struct sweep_cursor at;
    sweep_begin(&j->s.kept, begin, &at);
    for (size_t k = begin; k < end; k++, sweep_next(&j->s.kept, &at)) {
        if (j->dtype == DT_F32 && j->step == 1)
            line_f32(j->kind, j->n, (const float *)j->x + at.position, (float *)j->y + at.position);
        else
            line(j, at.position, room);
    }
}

/* --- f32, many lines side by side --- */

/* w lines whose first elements lie at x: y = exp(x - top) while summing, then divided; or the
 * logarithm of that. */
static void stretch(const struct job *j, const float *x, float *y, size_t w) {
    const struct kernel_set *k = kernel_set();
    float top[STRETCH], sum[STRETCH] = {0}, v[STRETCH];
    struct binary_f32 c = {.rows = 1, .n = w, .a = top, .y = top};
    const bool plain = j->kind == SOFTMAX;
    memcpy(top, x, w * sizeof *top);
    for (size_t r = 1; r < j->n; r++) {
        c.b = x + (ptrdiff_t)r * j->step;
        k->max_f32(&c);
    }
    for (size_t r = 0; r < j->n; r++) {
        float *to = plain ? y + (ptrdiff_t)r * j->step : v;
        k->sub_f32(&(struct binary_f32){
            .rows = 1, .n = w, .a = x + (ptrdiff_t)r * j->step, .b = top, .y = to});
        k->exp_f32(w, to, to, 0, 0);
        k->add_f32(&(struct binary_f32){.rows = 1, .n = w, .a = sum, .b = to, .y = sum});
    }
    for (size_t i = 0; i < w; i++)
        sum[i] = plain ? 1 / sum[i] : top[i] + logf(sum[i]);
    for (size_t r = 0; r < j->n; r++) {
        float *to = y + (ptrdiff_t)r * j->step;
        struct binary_f32 last = {
            .rows = 1, .n = w, .a = plain ? to : x + (ptrdiff_t)r * j->step, .b = sum, .y = to};
        (plain ? k->mul_f32 : k->sub_f32)(&last);
    }
}

/* Lines [begin, end), in runs along the last kept dim. */
static void stretches(const struct job *j, size_t begin, size_t end) {
    struct sweep_dims outer = j->s.kept;
    const size_t inner = outer.dims[--outer.rank];
    while (begin < end) {
        size_t first = begin % inner, w = inner - first;
        w = w < STRETCH ? w : STRETCH;
        w = w < end - begin ? w : end - begin;
        size_t position = sweep_position(&outer, begin / inner) + first;
        stretch(j, (const float *)j->x + position, (float *)j->y + position, w);
        begin += w;
    }
}

/* --- run --- */

/* Room for one line per thread. */
static enum code prepare_lines(struct op_prepare *c, struct err *e) {
    unsigned axes;
    size_t n = 1, bytes;
    const struct shape *in = &c->in[0].shape;
    TRY(axes_of(OPERAND_AT(c), in->rank, &axes, e));
    for (int axis = 0; axis < in->rank; axis++)
        if (axes >> axis & 1u && !mul_size(n, (size_t)in->dims[axis], &n))
            return operand_fail(c, e, LIMIT, "the input is too large");
    if (!mul_size(n, sizeof(double) * (size_t)c->threads, &bytes))
        return operand_fail(c, e, LIMIT, "the input is too large");
    c->scratch_bytes = bytes;
    return OK;
}
/* f32 needs none: lines lie side by side, or neighbours do. */
static enum code prepare(struct op_prepare *c, struct err *e) {
    return c->in[0].dtype == DT_F32 ? OK : prepare_lines(c, e);
}

static void part(const struct job *j, bool together, int threads, int t) {
    const size_t begin = team_cut(j->s.kept.count, together ? 64 : 1, threads, t),
                 end = team_cut(j->s.kept.count, together ? 64 : 1, threads, t + 1);
    if (together)
        stretches(j, begin, end);
    else
        lines(j, begin, end, j->room ? j->room + (size_t)t * j->n : NULL);
}

static enum code run(const struct op_call *c, enum kind kind, struct err *e) {
    const struct tensor *x = c->in[0];
    struct job j = {
        .kind = kind, .dtype = x->dtype, .x = x->data, .y = c->out[0]->data, .room = c->scratch};
    unsigned axes;
    TRY(axes_of(OPERAND_AT(c), x->shape.rank, &axes, e));
    sweep_plan(&j.s, x, axes, NULL);
    const struct sweep_dims *kept = &j.s.kept;
    j.n = j.s.swept.count;
    if (kept->count == 0 || j.n == 0)
        return OK;
    if (!sweep_line(&j.s.swept, &j.step)) /* (C, spatial) in NHWC is one stretch: never here */
        return operand_fail(c, e, INTERNAL, "the axes do not lie in one line");
    const bool together = x->dtype == DT_F32 && kind != HARDMAX && j.step != 1 && kept->rank &&
                          kept->strides[kept->rank - 1] == 1;
    const double ns = x->dtype == DT_F32 ? 1 : 10;
    const int threads = team_size(c->threads, (double)kept->count * (double)j.n * ns);
    if (threads == 1) {
        part(&j, together, 1, 0);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        part(&j, together, threads, t);
    return OK;
}

static enum code run_softmax(const struct op_call *c, struct err *e) { return run(c, SOFTMAX, e); }
static enum code run_log_softmax(const struct op_call *c, struct err *e) {
    return run(c, LOG_SOFTMAX, e);
}
static enum code run_hardmax(const struct op_call *c, struct err *e) { return run(c, HARDMAX, e); }

const struct op op_softmax = {
    "softmax", OP_PURE | OP_INPLACE | OP_NHWC, infer, prepare, run_softmax, NULL};
const struct op op_log_softmax = {
    "log_softmax", OP_PURE | OP_INPLACE | OP_NHWC, infer, prepare, run_log_softmax, NULL};
/* Which of equals comes first depends on the order of a line: no NHWC. */
const struct op op_hardmax = {"hardmax",     OP_PURE | OP_INPLACE, infer,
                              prepare_lines, run_hardmax,          NULL};
