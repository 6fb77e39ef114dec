/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over any set of axes: reduce_sum, reduce_mean, reduce_max, reduce_min, reduce_prod,
 * reduce_l1, reduce_l2, reduce_log_sum, reduce_log_sum_exp, reduce_sum_square. (arg_max and arg_min
 * are in extreme.c.)
 *
 * 1. The axes are an attribute before opset 18 (reduce_sum: 13), an optional input after; none, or
 * an empty list, means all axes, or with noop_with_empty_axes that every element is reduced by
 * itself.
 * 2. f32 goes by kernels in two ways: where the swept elements lie side by side, one fold per
 * result; where results lie side by side, whole rows are folded into a stretch of them that stays
 * in cache. f16 and bf16 are widened first. All else goes element by element, floats in double,
 * integers wrapping around.
 * 3. Nothing to reduce gives what the operation starts from: 0, 1, or the end of the type's range.
 */
#include "op/operand.h"
#include "op/sweep.h"
#include "op/team.h"
#include "op/wide.h"

#include <math.h>

enum kind {
    SUM = 1,
    MEAN,
    MAX,
    MIN,
    PROD,
    L1,
    L2,
    LOG_SUM,
    LOG_SUM_EXP,
    SUM_SQUARE,
};
enum { STRETCH = 512, TAPS = 32 }; /* results, and rows folded at once, of a step */

/* --- infer --- */

/* Which axes: bit per axis. *known is false when only data will tell. */
static enum code axes_of(const struct op_infer *c, unsigned *axes, bool *known, struct err *e) {
    struct operand_ints list = {0};
    bool present;
    const int rank = c->in[0].shape.rank;
    *known = true;
    TRY(operand_attr_ints(OPERAND_AT(c), "axes", &list, &present, e));
    if (!present && operand_given(c, 1)) {
        const struct tensor *data = operand_data(c, 1);
        *known = data != NULL;
        if (!data)
            return OK;
        TRY(operand_ints(OPERAND_AT(c), data, "axes", &list, e));
    }
    if (rank == 0) /* numpy and ONNX Runtime let a scalar have axis 0 */
        list.n = list.n == 1 && (list.v[0] == 0 || list.v[0] == -1) ? 0 : list.n;
    TRY(operand_axes(OPERAND_AT(c), &list, rank, e));
    *axes = 0;
    for (int k = 0; k < list.n; k++)
        *axes |= 1u << list.v[k];
    if (list.n == 0 && !attr_int(c->node, "noop_with_empty_axes", 0))
        *axes = (1u << rank) - 1;
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    const enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    if (!c->in[0].known)
        return OK;
    unsigned axes;
    bool known;
    TRY(axes_of(c, &axes, &known, e));
    if (!known)
        return OK;
    const bool keep = attr_int(c->node, "keepdims", 1) != 0;
    struct shape out = {0};
    for (int axis = 0; axis < c->in[0].shape.rank; axis++) {
        bool swept = axes >> axis & 1u;
        if (!swept || keep)
            out.dims[out.rank++] = swept ? 1 : c->in[0].shape.dims[axis];
    }
    return operand_out(c, 0, t, &out, e);
}

/* reduce_max and reduce_min take bool as well. */
static enum code infer_extreme(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    const enum dtype t = c->in[0].dtype;
    if (t != DT_BOOL)
        return infer(c, e);
    struct op_value in[2] = {c->in[0], c->node->n_in > 1 ? c->in[1] : (struct op_value){0}};
    struct op_infer as_bytes = *c;
    in[0].dtype = DT_U8;
    as_bytes.in = in;
    TRY(infer(&as_bytes, e));
    c->out[0].dtype = DT_BOOL;
    return OK;
}

/* run and infer read the same attributes; by now they are known to be sound. */
static enum code axes_at_run(const struct op_call *c, unsigned *axes, struct err *e) {
    const struct tensor *list = operand_in(c, 1);
    struct op_value in[2] = {{.dtype = c->in[0]->dtype, .known = true, .shape = c->in[0]->shape},
                             {.dtype = list ? list->dtype : DT_NONE, .known = true, .data = list}};
    bool known;
    struct op_infer again = {.graph = c->graph, .node = c->node, .in = in};
    return axes_of(&again, axes, &known, e);
}

/* --- f32 --- */

struct job {
    enum kind kind;
    struct sweep s;
    const float *x;
    float *y;
    size_t stretch; /* results of a step over rows */
    size_t steps;   /* per outer position */
};

static float fold_of(enum kind kind, size_t n, const float *x) {
    const struct kernel_set *k = kernel_set();
    double product = 1;
    switch (kind) {
    case MAX: return k->top_f32(n, x);
    case MIN: return k->bottom_f32(n, x);
    case L1: return k->sum_abs_f32(n, x);
    case L2:
    case SUM_SQUARE: return k->sum_sq_f32(n, x);
    case PROD:
        for (size_t i = 0; i < n; i++)
            product *= (double)x[i];
        return (float)product;
    case SUM:
    case MEAN:
    case LOG_SUM:
    case LOG_SUM_EXP: break;
    }
    return k->sum_f32(n, x);
}

static double join_of(enum kind kind, double a, double b) {
    switch (kind) {
    case MAX: return isnan(a) || a > b ? a : b;
    case MIN: return isnan(a) || a < b ? a : b;
    case PROD: return a * b;
    default: return a + b;
    }
}

/* An infinite maximum is not taken off: infinity minus itself would be NaN. */
static float finite_or_0(float v) { return isinf(v) ? 0 : v; }

/* Sum of exp(x - top) */
static float exp_sum(size_t n, const float *x, float top) {
    const struct kernel_set *k = kernel_set();
    float v[STRETCH], sum = 0;
    for (size_t i = 0; i < n; i += STRETCH) {
        size_t some = n - i < STRETCH ? n - i : STRETCH;
        k->linear_f32(some, x + i, v, 1, -top);
        k->exp_f32(some, v, v, 0, 0);
        sum += k->sum_f32(some, v);
    }
    return sum;
}

static float finish(enum kind kind, double v, size_t n) {
    switch (kind) {
    case MEAN: return (float)(v / (double)n);
    case L2: return (float)sqrt(v);
    case LOG_SUM: return (float)log(v);
    default: return (float)v;
    }
}

/* Results [begin, end), of each of which the swept elements come in runs of n side by side. */
static void fold_runs(const struct job *j, size_t begin, size_t end) {
    const struct sweep_dims *swept = &j->s.swept;
    const size_t n = swept->dims[swept->rank - 1], runs = swept->count / n;
    struct sweep_cursor at, run;
    sweep_begin(&j->s.kept, begin, &at);
    for (size_t k = begin; k < end; k++, sweep_next(&j->s.kept, &at)) {
        struct sweep_dims outer = *swept;
        outer.rank--;
        double total = 0, top = 0;
        const bool exponents = j->kind == LOG_SUM_EXP;
        for (int pass = exponents ? 0 : 1; pass < 2; pass++) {
            sweep_begin(&outer, 0, &run);
            for (size_t r = 0; r < runs; r++, sweep_next(&outer, &run)) {
                const float *x = j->x + at.position + run.position;
                double v = exponents && pass ? (double)exp_sum(n, x, (float)top)
                                             : (double)fold_of(pass ? j->kind : MAX, n, x);
                total = r ? join_of(pass ? j->kind : MAX, total, v) : v;
            }
            if (pass == 0)
                top = (double)finite_or_0((float)total);
        }
        j->y[k] = exponents ? (float)(log(total) + top) : finish(j->kind, total, swept->count);
    }
}

/* y op= the rows x[0..n_taps), all of n elements. */
static void fold_rows(enum kind kind, size_t n_taps, const float *const *x, size_t n, float *y) {
    static const float ones[TAPS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct kernel_set *k = kernel_set();
    float v[STRETCH];
    struct binary_f32 join = {.rows = 1, .n = n, .a = y, .b = v, .y = y};
    switch (kind) {
    case MAX:
        k->tops_f32(n_taps, x, n, v);
        k->max_f32(&join);
        return;
    case SUM:
    case MEAN:
    case LOG_SUM:
        k->blend_f32(n_taps, x, ones, n, v);
        k->add_f32(&join);
        return;
    case MIN:
    case PROD:
        for (size_t tap = 0; tap < n_taps; tap++) {
            join.b = x[tap];
            (kind == MIN ? k->min_f32 : k->mul_f32)(&join);
        }
        return;
    case L1:
    case L2:
    case SUM_SQUARE:
    case LOG_SUM_EXP: break;
    }
    for (size_t tap = 0; tap < n_taps; tap++) {
        (kind == L1 ? k->abs_f32 : k->square_f32)(n, x[tap], v, 0, 0);
        k->add_f32(&join);
    }
}

static float start_of(enum kind kind) {
    return kind == MAX ? -INFINITY : kind == MIN ? INFINITY : kind == PROD ? 1 : 0;
}

/* Folds all swept rows, of n elements each, that begin at `from`. */
static void fold_stretch(const struct job *j, enum kind kind, const float *from, size_t n,
                         float *y) {
    const struct sweep_dims *swept = &j->s.swept;
    const float *x[TAPS];
    size_t n_taps = 0;
    struct sweep_cursor at;
    for (size_t i = 0; i < n; i++)
        y[i] = start_of(kind);
    sweep_begin(swept, 0, &at);
    for (size_t row = 0; row < swept->count; row++, sweep_next(swept, &at)) {
        x[n_taps++] = from + at.position;
        if (n_taps == TAPS || row + 1 == swept->count) {
            fold_rows(kind, n_taps, x, n, y);
            n_taps = 0;
        }
    }
}

/* y = log of the sum of exp(x) over rows, in the manner that does not overflow. */
static void log_sum_exp_stretch(const struct job *j, const float *from, size_t n, float *y) {
    const struct kernel_set *k = kernel_set();
    const struct sweep_dims *swept = &j->s.swept;
    float top[STRETCH], v[STRETCH];
    fold_stretch(j, MAX, from, n, top);
    for (size_t i = 0; i < n; i++) {
        top[i] = finite_or_0(top[i]);
        y[i] = 0;
    }
    struct sweep_cursor at;
    sweep_begin(swept, 0, &at);
    for (size_t row = 0; row < swept->count; row++, sweep_next(swept, &at)) {
        k->sub_f32(
            &(struct binary_f32){.rows = 1, .n = n, .a = from + at.position, .b = top, .y = v});
        k->exp_f32(n, v, v, 0, 0);
        k->add_f32(&(struct binary_f32){.rows = 1, .n = n, .a = y, .b = v, .y = y});
    }
    for (size_t i = 0; i < n; i++)
        y[i] = logf(y[i]) + top[i];
}

/* Steps [begin, end): each a stretch of results that lie side by side in y and in x. */
static void fold_steps(const struct job *j, size_t begin, size_t end) {
    struct sweep_dims outer = j->s.kept;
    const size_t inner = outer.dims[--outer.rank];
    for (size_t step = begin; step < end; step++) {
        size_t row = step / j->steps, first = step % j->steps * j->stretch;
        size_t n = inner - first < j->stretch ? inner - first : j->stretch;
        const float *from = j->x + sweep_position(&outer, row) + first;
        float *y = j->y + row * inner + first;
        if (j->kind == LOG_SUM_EXP) {
            log_sum_exp_stretch(j, from, n, y);
            continue;
        }
        fold_stretch(j, j->kind, from, n, y);
        if (j->kind == MEAN || j->kind == L2 || j->kind == LOG_SUM)
            for (size_t i = 0; i < n; i++)
                y[i] = finish(j->kind, (double)y[i], j->s.swept.count);
    }
}

/* --- any type, element by element --- */

static double start_of_wide(enum kind kind) { return (double)start_of(kind); }

static double element(enum kind kind, double v, double top) {
    switch (kind) {
    case L1: return fabs(v);
    case L2:
    case SUM_SQUARE: return v * v;
    case LOG_SUM_EXP: return exp(v - top);
    default: return v;
    }
}

static double fold_wide(const struct sweep_dims *d, enum kind kind, const struct tensor *x,
                        size_t from, double top) {
    double total = start_of_wide(kind);
    struct sweep_cursor at;
    sweep_begin(d, 0, &at);
    for (size_t k = 0; k < d->count; k++, sweep_next(d, &at))
        total = join_of(kind, total, element(kind, tensor_f64(x, from + at.position), top));
    return total;
}

static double result_wide(const struct sweep_dims *d, enum kind kind, const struct tensor *x,
                          size_t from) {
    double top = kind == LOG_SUM_EXP ? fold_wide(d, MAX, x, from, 0) : 0;
    top = isinf(top) ? 0 : top;
    double total = fold_wide(d, kind, x, from, top);
    switch (kind) {
    case MEAN: return total / (double)d->count;
    case L2: return sqrt(total);
    case LOG_SUM: return log(total);
    case LOG_SUM_EXP: return log(total) + top;
    default: return total;
    }
}

/* What an empty maximum or minimum of integers is. */
static uint64_t end_of(enum dtype t, bool highest) {
    if (t == DT_BOOL)
        return highest;
    const unsigned bits = (unsigned)dtype_size(t) * 8;
    uint64_t all = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    if (!dtype_is_signed(t))
        return highest ? all : 0;
    return highest ? all >> 1 : ~(all >> 1);
}

static uint64_t step_whole(enum kind kind, bool is_signed, uint64_t total, uint64_t v) {
    bool less = is_signed ? (int64_t)v < (int64_t)total : v < total;
    switch (kind) {
    case MAX: return less ? total : v;
    case MIN: return less ? v : total;
    case PROD: return total * v;
    case L1: return total + (is_signed && (int64_t)v < 0 ? 0 - v : v);
    case SUM_SQUARE: return total + v * v;
    default: return total + v;
    }
}

static uint64_t result_whole(const struct sweep_dims *d, enum kind kind, const struct tensor *x,
                             size_t from) {
    const bool is_signed = dtype_is_signed(x->dtype);
    uint64_t total = kind == MAX || kind == MIN ? end_of(x->dtype, kind == MIN) : kind == PROD;
    struct sweep_cursor at;
    sweep_begin(d, 0, &at);
    for (size_t k = 0; k < d->count; k++, sweep_next(d, &at))
        total = step_whole(kind, is_signed, total, (uint64_t)tensor_i64(x, from + at.position));
    if (kind != MEAN || d->count == 0)
        return total;
    return is_signed ? (uint64_t)((int64_t)total / (int64_t)d->count) : total / d->count;
}

static void elements(const struct sweep *s, enum kind kind, const struct tensor *x,
                     const struct tensor *y, size_t begin, size_t end) {
    const bool whole =
        !dtype_is_float(x->dtype) && kind != L2 && kind != LOG_SUM && kind != LOG_SUM_EXP;
    const size_t bytes = dtype_size(y->dtype);
    struct sweep_cursor at;
    sweep_begin(&s->kept, begin, &at);
    for (size_t k = begin; k < end; k++, sweep_next(&s->kept, &at)) {
        if (!whole) {
            operand_put(y, k, result_wide(&s->swept, kind, x, at.position));
            continue;
        }
        uint64_t v = result_whole(&s->swept, kind, x, at.position);
        memcpy((char *)y->data + k * bytes, &v, bytes); /* little-endian */
    }
}

/* --- run --- */

static enum code prepare(struct op_prepare *c, struct err *e) {
    size_t from, to, total;
    if (!wide_half(c->in[0].dtype))
        return OK;
    if (!shape_count(&c->in[0].shape, &from) || !shape_count(&c->out[0].shape, &to) ||
        !add_size(from, to, &total) || !mul_size(total, sizeof(float), &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the input is too large");
    return OK;
}

static void reduce_f32(const struct job *j, bool rows, int threads) {
    void (*part)(const struct job *, size_t, size_t) = rows ? fold_steps : fold_runs;
    const size_t n =
        rows ? j->s.kept.count / j->s.kept.dims[j->s.kept.rank - 1] * j->steps : j->s.kept.count;
    if (threads == 1) {
        part(j, 0, n);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        part(j, team_cut(n, 1, threads, t), team_cut(n, 1, threads, t + 1));
}

static void reduce_elements(const struct sweep *s, enum kind kind, const struct tensor *x,
                            const struct tensor *y, int threads) {
    if (threads == 1) {
        elements(s, kind, x, y, 0, s->kept.count);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        elements(s, kind, x, y, team_cut(s->kept.count, 1, threads, t),
                 team_cut(s->kept.count, 1, threads, t + 1));
}

static void reduce(const struct op_call *c, enum kind kind, unsigned axes, const struct tensor *x,
                   const struct tensor *y) {
    struct job j = {.kind = kind, .x = x->data, .y = y->data};
    sweep_plan(&j.s, x, axes, y);
    const struct sweep_dims *kept = &j.s.kept, *swept = &j.s.swept;
    if (kept->count == 0)
        return;
    const double n = (double)kept->count * (double)swept->count;
    const bool fast = x->dtype == DT_F32 && swept->count > 0;
    const bool runs = fast && swept->rank > 0 && swept->strides[swept->rank - 1] == 1,
               rows = fast && kept->rank > 0 && kept->strides[kept->rank - 1] == 1;
    if (!runs && !rows) {
        reduce_elements(&j.s, kind, x, y, team_size(c->threads, n * 5));
        return;
    }
    const int threads = team_size(c->threads, n * (kind == LOG_SUM_EXP ? 1 : 0.15));
    if (rows) {
        const size_t inner = kept->dims[kept->rank - 1];
        const size_t share = (inner / (size_t)threads + 31) / 16 * 16;
        j.stretch = share < STRETCH ? share : STRETCH;
        j.steps = (inner + j.stretch - 1) / j.stretch;
    }
    reduce_f32(&j, rows, threads);
}

static enum code run(const struct op_call *c, enum kind kind, struct err *e) {
    struct tensor x = *c->in[0], y = *c->out[0];
    unsigned axes;
    TRY(axes_at_run(c, &axes, e));
    if (!wide_half(x.dtype)) {
        reduce(c, kind, axes, &x, &y);
        return OK;
    }
    x.data = c->scratch;
    y.data = (float *)c->scratch + tensor_count(&x);
    x.dtype = y.dtype = DT_F32;
    wide_load(c->in[0]->dtype, c->in[0]->data, 0, tensor_count(&x), x.data);
    reduce(c, kind, axes, &x, &y);
    wide_store(c->out[0]->dtype, c->out[0]->data, 0, tensor_count(&y), y.data);
    return OK;
}

#define REDUCE_OP(name, kind, infer)                                                               \
    static enum code run_##name(const struct op_call *c, struct err *e) {                          \
        return run(c, kind, e);                                                                    \
    }                                                                                              \
    const struct op op_reduce_##name = {"reduce_" #name, OP_PURE | OP_NHWC, infer,                 \
                                        prepare,         run_##name,        NULL};

REDUCE_OP(sum, SUM, infer)
REDUCE_OP(mean, MEAN, infer)
REDUCE_OP(max, MAX, infer_extreme)
REDUCE_OP(min, MIN, infer_extreme)
REDUCE_OP(prod, PROD, infer)
REDUCE_OP(l1, L1, infer)
REDUCE_OP(l2, L2, infer)
REDUCE_OP(log_sum, LOG_SUM, infer)
REDUCE_OP(log_sum_exp, LOG_SUM_EXP, infer)
REDUCE_OP(sum_square, SUM_SQUARE, infer)
