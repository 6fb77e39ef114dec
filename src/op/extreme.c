/* SPDX-License-Identifier: Apache-2.0 */
/* Where along an axis the largest or smallest element is: arg_max, arg_min. A NaN counts as the
 * most extreme of all. Of equals the first one is named, with select_last_index the last.
 *
 * f32 goes fast where the axis lies side by side (a fold finds the value, a scan its place) and
 * where results do (a stretch of best values is kept in cache while rows pass by). */
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/sweep.h"
#include "op/team.h"

#include <math.h>

enum { STRETCH = 256 };

struct job {
    struct sweep s;
    const struct tensor *x;
    int64_t *y;
    size_t n; /* elements along the axis */
    ptrdiff_t step;
    bool least, last;
};

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, DT_I64);
    const enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    if (!c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->rank, &axis, e));
    struct shape out = {0};
    for (int k = 0; k < in->rank; k++)
        if (k != axis || attr_int(c->node, "keepdims", 1))
            out.dims[out.rank++] = k == axis ? 1 : in->dims[k];
    if (in->dims[axis] == 0)
        return operand_fail(c, e, INVALID, "axis %d has no elements to choose from", axis);
    return operand_out(c, 0, DT_I64, &out, e);
}

/* Place of v along a line; it is there, or v is NaN and some NaN is. */
static size_t place_of(const float *x, size_t n, float v, bool last) {
    for (size_t k = 0; k < n; k++) {
        size_t at = last ? n - 1 - k : k;
        if (x[at] == v || (isnan(v) && isnan(x[at])))
            return at;
    }
    return 0;
}

static void lines(const struct job *j, size_t begin, size_t end) {
    const struct kernel_set *k = kernel_set();
    fold_f32_fn *fold = j->least ? k->bottom_f32 : k->top_f32;
    struct sweep_cursor at;
    sweep_begin(&j->s.kept, begin, &at);
    for (size_t r = begin; r < end; r++, sweep_next(&j->s.kept, &at)) {
        const float *x = (const float *)j->x->data + at.position;
        j->y[r] = (int64_t)place_of(x, j->n, fold(j->n, x), j->last);
    }
}

/* n results side by side. Signs are turned for the least, so that one comparison serves both. */
static void stretch(const struct job *j, const float *x, size_t n, int64_t *y) {
    float best[STRETCH];
    int32_t place[STRETCH] = {0};
    const float sign = j->least ? -1 : 1;
    for (size_t i = 0; i < n; i++)
        best[i] = sign * x[i];
    for (size_t k = 1; k < j->n; k++) {
        x += j->step;
        if (j->last)
            for (size_t i = 0; i < n; i++) {
                float v = sign * x[i];
                bool wins = v >= best[i] || isnan(v);
                best[i] = wins ? v : best[i];
                place[i] = wins ? (int32_t)k : place[i];
            }
        else
            for (size_t i = 0; i < n; i++) {
                float v = sign * x[i];
                bool wins = !(v <= best[i]) && !isnan(best[i]);
                best[i] = wins ? v : best[i];
                place[i] = wins ? (int32_t)k : place[i];
            }
    }
    for (size_t i = 0; i < n; i++)
        y[i] = place[i];
}

/* Results [begin, end), which lie side by side in runs of the last kept dim. */
static void stretches(const struct job *j, size_t begin, size_t end) {
    struct sweep_dims outer = j->s.kept;
    const size_t inner = outer.dims[--outer.rank];
    while (begin < end) {
        size_t row = begin / inner, first = begin % inner, n = inner - first;
        n = n < STRETCH ? n : STRETCH;
        n = n < end - begin ? n : end - begin;
        stretch(j, (const float *)j->x->data + sweep_position(&outer, row) + first, n,
                j->y + begin);
        begin += n;
    }
}

/* Is element b more extreme than a? */
static bool beats(const struct job *j, size_t b, size_t a) {
    if (dtype_is_float(j->x->dtype)) {
        double u = tensor_f64(j->x, b), v = tensor_f64(j->x, a);
        if (isnan(u) || isnan(v))
            return isnan(u) && (j->last || !isnan(v));
        return (j->least ? u < v : u > v) || (j->last && u == v);
    }
    uint64_t u = (uint64_t)tensor_i64(j->x, b), v = (uint64_t)tensor_i64(j->x, a);
    const uint64_t turn = dtype_is_signed(j->x->dtype) ? (uint64_t)1 << 63 : 0;
    u ^= turn;
    v ^= turn;
    return (j->least ? u < v : u > v) || (j->last && u == v);
}

static void elements(const struct job *j, size_t begin, size_t end) {
    struct sweep_cursor at;
    sweep_begin(&j->s.kept, begin, &at);
    for (size_t r = begin; r < end; r++, sweep_next(&j->s.kept, &at)) {
        size_t best = 0;
        for (size_t k = 1; k < j->n; k++)
            if (beats(j, at.position + k * (size_t)j->step, at.position + best * (size_t)j->step))
                best = k;
        j->y[r] = (int64_t)best;
    }
}

static enum code run(const struct op_call *c, bool least, struct err *e) {
    struct job j = {.x = c->in[0], .y = c->out[0]->data, .least = least};
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), j.x->shape.rank, &axis, e));
    j.last = attr_int(c->node, "select_last_index", 0) != 0;
    j.n = (size_t)j.x->shape.dims[axis];
    sweep_plan(&j.s, j.x, 1u << axis, c->out[0]);
    sweep_line(&j.s.swept, &j.step);
    const struct sweep_dims *kept = &j.s.kept;
    if (kept->count == 0)
        return OK;
    void (*part)(const struct job *, size_t, size_t) = elements;
    if (j.x->dtype == DT_F32 && j.step == 1)
        part = lines;
    else if (j.x->dtype == DT_F32 && kept->rank && kept->strides[kept->rank - 1] == 1 &&
             j.n <= INT32_MAX)
        part = stretches;
    const double ns = part == elements ? 8 : 0.5;
    const int threads = team_size(c->threads, (double)kept->count * (double)j.n * ns);
    if (threads == 1) {
        part(&j, 0, kept->count);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        part(&j, team_cut(kept->count, 16, threads, t), team_cut(kept->count, 16, threads, t + 1));
    return OK;
}

static enum code run_arg_max(const struct op_call *c, struct err *e) { return run(c, false, e); }
static enum code run_arg_min(const struct op_call *c, struct err *e) { return run(c, true, e); }

const struct op op_arg_max = {"arg_max", OP_PURE | OP_NHWC, infer, NULL, run_arg_max, NULL};
const struct op op_arg_min = {"arg_min", OP_PURE | OP_NHWC, infer, NULL, run_arg_min, NULL};
