/* SPDX-License-Identifier: Apache-2.0 */
/* concat and split along one axis: runs of memcpy. In NHWC the axis is another one, the runs are
 * the same. q_linear_concat joins bytes that mean different numbers: one table of 256 for each part
 * turns its bytes into y's, as dequantize_linear and quantize_linear would.
 *
 * Opsets: concat's axis may be absent (1) before 4; split takes its sizes as an attribute before 13
 * and num_outputs since 18 (the last part may be smaller). */
#include "op/operand.h"
#include "op/q8.h"
#include "op/team.h"

enum { PARTS_MAX = 32 };
static const double NS_PER_BYTE = 0.06, NS_PER_MAPPED_BYTE = 0.3, NS_PER_RUN = 4;

/* The tensor seen as (outer, run) with run = bytes from the axis inwards. */
static void runs_of(const struct tensor *t, int axis, size_t *outer, size_t *run) {
    struct shape physical;
    tensor_physical_shape(t, &physical);
    int at = tensor_physical_axis(t, axis);
    *outer = 1;
    *run = dtype_size(t->dtype);
    for (int k = 0; k < physical.rank; k++)
        *(k < at ? outer : run) *= (size_t)physical.dims[k];
}

/* One side of the copy is whole (a concat's output, a split's input), the other in parts; `outer`
 * times a run of each part. */
struct parts {
    int n;
    char *part[PARTS_MAX];
    size_t run[PARTS_MAX],
        at[PARTS_MAX]; /* bytes of a part's run; where it lies in the whole run */
    const uint8_t
        *table[PARTS_MAX]; /* what each byte of a part becomes, or NULL: itself. To join */
    char *whole;
    size_t whole_run, outer;
    bool join; /* parts to whole */
};

static void map_bytes(const uint8_t *table, const char *from, char *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (char)table[(uint8_t)from[i]];
}

static void copy_piece(const struct parts *p, int i, size_t row, size_t begin, size_t end) {
    char *part = p->part[i] + row * p->run[i], *whole = p->whole + row * p->whole_run + p->at[i];
    if (p->table[i])
        map_bytes(p->table[i], part + begin, whole + begin, end - begin);
    else if (p->join)
        memcpy(whole + begin, part + begin, end - begin);
    else
        memcpy(part + begin, whole + begin, end - begin);
}

/* The share of one of `team` threads: rows when there are enough, else a stretch of every run. */
static void copy_share(const struct parts *p, int team, int index) {
    bool by_row = p->outer >= (size_t)team;
    size_t first = by_row ? team_cut(p->outer, 1, team, index) : 0,
           last = by_row ? team_cut(p->outer, 1, team, index + 1) : p->outer;
    for (size_t row = first; row < last; row++)
        for (int i = 0; i < p->n; i++)
            copy_piece(p, i, row, by_row ? 0 : team_cut(p->run[i], MEM_LINE, team, index),
                       by_row ? p->run[i] : team_cut(p->run[i], MEM_LINE, team, index + 1));
}

static void copy_parts(const struct parts *p, int threads) {
    double ns = (double)(p->outer * (size_t)p->n) * NS_PER_RUN;
    for (int i = 0; i < p->n; i++)
        ns += (double)(p->run[i] * p->outer) * (p->table[i] ? NS_PER_MAPPED_BYTE : NS_PER_BYTE);
    int team = team_size(threads, ns);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (int i = 0; i < team; i++)
        copy_share(p, team, i);
}

/* Adds a part; copies what there is when the list is full or this is the last. */
static void add_part(struct parts *p, char *data, size_t run, size_t *at, int threads, bool last) {
    if (run && data) {
        p->part[p->n] = data;
        p->run[p->n] = run;
        p->at[p->n++] = *at;
    }
    *at += run;
    if ((p->n == PARTS_MAX || last) && p->n) {
        copy_parts(p, threads);
        p->n = 0;
    }
}

/* --- concat --- */

static enum code concat_axis(const struct operand_at *at, int rank, int *axis, struct err *e) {
    if (at->node->opset >= 4 && !attr_find(at->node, "axis"))
        return operand_fail(at, e, FORMAT, "attribute 'axis' is missing");
    return operand_axis(at, attr_int(at->node, "axis", 1), rank, axis, e);
}

/* Adds input i along the axis. */
static enum code concat_add(struct op_infer *c, int i, int axis, struct shape *out, struct err *e) {
    const struct op_value *in = &c->in[i];
    char first[SHAPE_TEXT], other[SHAPE_TEXT];
    if (in->dtype != c->in[0].dtype)
        return operand_fail(c, e, INVALID, "input %d is %s, input 0 is %s", i,
                            dtype_name(in->dtype), dtype_name(c->in[0].dtype));
    bool fits = in->shape.rank == out->rank;
    for (int k = 0; fits && k < out->rank; k++)
        fits = k == axis || in->shape.dims[k] == out->dims[k];
    if (!fits)
        return operand_fail(c, e, INVALID, "input %d of shape %s does not join %s along axis %d", i,
                            shape_print(&in->shape, other), shape_print(&c->in[0].shape, first),
                            axis);
    if (__builtin_add_overflow(out->dims[axis], in->shape.dims[axis], &out->dims[axis]))
        return operand_fail(c, e, LIMIT, "the joined axis is too long");
    return OK;
}

/* Of the first n inputs. */
static enum code infer_parts(struct op_infer *c, int n, struct err *e) {
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    struct shape out = c->in[0].shape;
    int axis;
    TRY(concat_axis(OPERAND_AT(c), out.rank, &axis, e));
    for (int i = 1; i < n; i++)
        TRY(concat_add(c, i, axis, &out, e));
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code infer_concat(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, c->node->n_in > 0 ? c->node->n_in : 1, e));
    return infer_parts(c, c->node->n_in, e);
}

static enum code run_concat(const struct op_call *c, struct err *e) {
    struct tensor *out = c->out[0];
    int axis;
    size_t outer, out_run, at = 0;
    TRY(concat_axis(OPERAND_AT(c), out->shape.rank, &axis, e));
    runs_of(out, axis, &outer, &out_run);
    struct parts p = {.whole = out->data, .whole_run = out_run, .outer = outer, .join = true};
    for (int i = 0; i < c->node->n_in && outer; i++) {
        size_t same, run;
        runs_of(c->in[i], axis, &same, &run);
        add_part(&p, c->in[i]->data, run, &at, c->threads, i == c->node->n_in - 1);
    }
    return OK;
}

/* --- q_linear_concat: parts, then a scale and a zero point of each, then those of y --- */

static int parts_of(const struct node *n) { return (n->n_in - 2) / 3; }

static enum code infer_q_linear_concat(struct op_infer *c, struct err *e) {
    const int n = parts_of(c->node);
    TRY(operand_need(c, c->node->n_in > 5 ? c->node->n_in : 5, e));
    if (c->node->n_in != 3 * n + 2 || !q8_is(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "%d inputs, the first of type %s", c->node->n_in,
                            dtype_name(c->in[0].dtype));
    for (int i = n; i < c->node->n_in; i++) {
        const enum dtype want = (i - n) % 2 ? c->in[0].dtype : DT_F32;
        if (c->in[i].dtype != want)
            return operand_fail(c, e, INVALID, "input %d is %s, %s was expected", i,
                                dtype_name(c->in[i].dtype), dtype_name(want));
        TRY(q8_check(OPERAND_AT(c), &c->in[i], 1, "a scale or zero point", e));
    }
    return infer_parts(c, n, e);
}

/* A scale and a zero point: inputs `at` and `at + 1`. */
static struct q8_meaning meaning_of(const struct op_call *c, int at) {
    return (struct q8_meaning){q8_scale(c->in[at], 0), q8_zero(c->in[at + 1], 0)};
}

static enum code run_q_linear_concat(const struct op_call *c, struct err *e) {
    struct tensor *out = c->out[0];
    const int n = parts_of(c->node);
    const struct q8_meaning y = meaning_of(c, 3 * n);
    uint8_t tables[PARTS_MAX][Q8_BYTES];
    int axis;
    size_t outer, out_run, at = 0;
    TRY(concat_axis(OPERAND_AT(c), out->shape.rank, &axis, e));
    if (!(y.scale > 0))
        return operand_fail(c, e, INVALID, "the scale of the output is %g", (double)y.scale);
    runs_of(out, axis, &outer, &out_run);
    struct parts p = {.whole = out->data, .whole_run = out_run, .outer = outer, .join = true};
    for (int i = 0; i < n && outer; i++) {
        const struct q8_meaning x = meaning_of(c, n + 2 * i);
        const bool same = x.scale == y.scale && x.zero == y.zero;
        size_t rows, run;
        p.table[p.n] = same ? NULL : tables[p.n];
        if (!same)
            q8_table(x, y, out->dtype == DT_I8, tables[p.n]);
        runs_of(c->in[i], axis, &rows, &run);
        add_part(&p, c->in[i]->data, run, &at, c->threads, i == n - 1);
    }
    return OK;
}

/* --- split --- */

/* Sizes named by the node, if any; *known false when only data will tell. */
static enum code split_named(struct op_infer *c, int64_t *sizes, bool *present, bool *known,
                             struct err *e) {
    const int64_t *ints = NULL;
    size_t n = 0;
    const struct tensor *t = operand_data(c, 1);
    *known = true;
    if (c->node->opset < 13) {
        *present = attr_ints(c->node, "split", &ints, &n);
    } else {
        *present = operand_given(c, 1);
        *known = !*present || t;
        n = t ? tensor_count(t) : 0;
        if (t && t->dtype != DT_I64)
            return operand_fail(c, e, INVALID, "split is %s, i64 was expected",
                                dtype_name(t->dtype));
    }
    if (!*present || !*known)
        return OK;
    if (n != (size_t)c->node->n_out)
        return operand_fail(c, e, INVALID, "%zu sizes for %d outputs", n, c->node->n_out);
    for (size_t k = 0; k < n; k++)
        sizes[k] = ints ? ints[k] : tensor_i64(t, k);
    return OK;
}

static enum code split_sizes(struct op_infer *c, int64_t dim, int64_t *sizes, bool *known,
                             struct err *e) {
    bool present;
    int n = c->node->n_out;
    TRY(split_named(c, sizes, &present, known, e));
    if (!*known)
        return OK;
    if (!present) {
        int64_t asked = attr_int(c->node, "num_outputs", n);
        if (asked != n)
            return operand_fail(c, e, INVALID, "num_outputs is %lld, the node has %d outputs",
                                (long long)asked, n);
        int64_t part = c->node->opset >= 18 ? (dim + n - 1) / n : dim / n;
        if (c->node->opset < 18 && part * n != dim)
            return operand_fail(c, e, INVALID, "%lld elements do not split into %d equal parts",
                                (long long)dim, n);
        for (int64_t k = 0, left = dim; k < n; k++, left -= sizes[k - 1])
            sizes[k] = part < left ? part : left;
    }
    int64_t left = dim;
    for (int k = 0; k < n; k++) {
        if (sizes[k] < 0 || sizes[k] > left)
            return operand_fail(c, e, INVALID, "size %d of the split is %lld", k,
                                (long long)sizes[k]);
        left -= sizes[k];
    }
    if (left)
        return operand_fail(c, e, INVALID, "the sizes of the split leave %lld of %lld elements",
                            (long long)left, (long long)dim);
    return OK;
}

static enum code infer_split(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    for (int k = 0; k < c->node->n_out; k++)
        operand_out_later(c, k, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    int axis;
    bool known;
    int64_t *sizes = ARENA_ARRAY(c->scratch, (size_t)c->node->n_out, int64_t);
    if (!sizes)
        return arena_fail(c->scratch, (size_t)c->node->n_out * sizeof *sizes, "sizes of a split",
                          e);
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), c->in[0].shape.rank, &axis, e));
    TRY(split_sizes(c, c->in[0].shape.dims[axis], sizes, &known, e));
    for (int k = 0; known && k < c->node->n_out; k++) {
        struct shape out = c->in[0].shape;
        out.dims[axis] = sizes[k];
        TRY(operand_out(c, k, c->in[0].dtype, &out, e));
    }
    return OK;
}

/* Where a part begins; infer checked that the sizes add up. */
static int64_t split_start(const struct op_call *c, int part, int64_t dim) {
    const int64_t *ints = NULL;
    size_t n = 0;
    const struct tensor *t = c->node->opset < 13 ? NULL : operand_in(c, 1);
    int64_t start = 0, parts = c->node->n_out;
    if (c->node->opset < 13)
        attr_ints(c->node, "split", &ints, &n);
    for (int k = 0; k < part; k++)
        start += ints ? ints[k] : t ? tensor_i64(t, (size_t)k) : (dim + parts - 1) / parts;
    return start;
}

static enum code run_split(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    int axis;
    size_t outer, in_run;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->shape.rank, &axis, e));
    runs_of(in, axis, &outer, &in_run);
    int64_t dim = in->shape.dims[axis];
    size_t one = dim ? in_run / (size_t)dim : 0; /* bytes of one position of the axis */
    struct parts p = {.whole = in->data, .whole_run = in_run, .outer = outer};
    for (int k = 0; k < c->node->n_out && outer; k++) {
        struct tensor *out = c->out[k];
        size_t at = (size_t)split_start(c, k, dim) * one,
               run = out ? (size_t)out->shape.dims[axis] * one : 0;
        add_part(&p, out ? out->data : NULL, run, &at, c->threads, k == c->node->n_out - 1);
    }
    return OK;
}

const struct op op_concat = {.name = "concat",
                             .flags = OP_PURE | OP_NHWC | OP_NHWC_ALL,
                             .infer = infer_concat,
                             .run = run_concat};
const struct op op_q_linear_concat = {.name = "q_linear_concat",
                                      .flags = OP_PURE | OP_NHWC | OP_NHWC_ALL,
                                      .infer = infer_q_linear_concat,
                                      .run = run_q_linear_concat};
const struct op op_split = {.name = "split",
                            .flags = OP_PURE | OP_NHWC | OP_NHWC_ALL,
                            .infer = infer_split,
                            .run = run_split};
