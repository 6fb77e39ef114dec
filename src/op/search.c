/* SPDX-License-Identifier: Apache-2.0 */
/* Finding elements: non_zero, unique, top_k.
 *
 * Opsets: top_k takes k as an attribute before 10, largest and sorted since 11. Ties keep the lower
 * index first. unique only knows its shapes after the work is done, so it makes its outputs itself
 * (OP_DYNAMIC). */
#include "op/operand.h"

#include <math.h>

/* --- non_zero --- */

static bool is_zero(const struct tensor *t, size_t k) {
    if (t->dtype == DT_STRING)
        return ((const struct str *)t->data)[k].n == 0;
    return dtype_is_float(t->dtype) ? tensor_f64(t, k) == 0 : tensor_i64(t, k) == 0;
}

static enum code infer_non_zero(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, DT_I64);
    const struct tensor *t = operand_data(c, 0);
    if (!t)
        return OK;
    int64_t n = 0;
    for (size_t k = 0; k < tensor_count(t); k++)
        n += !is_zero(t, k);
    /* a scalar is taken as a list of one */
    return operand_out(c, 0, DT_I64,
                       &(struct shape){.rank = 2, .dims = {t->shape.rank ? t->shape.rank : 1, n}},
                       e);
}

static enum code run_non_zero(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *in = c->in[0];
    int64_t *out = c->out[0]->data, n = c->out[0]->shape.dims[1], found = 0;
    int rank = in->shape.rank;
    for (size_t k = 0; k < tensor_count(in) && found < n; k++) {
        if (is_zero(in, k))
            continue;
        size_t rest = k;
        for (int d = rank - 1; d >= 0; d--) {
            out[d * n + found] = (int64_t)(rest % (size_t)in->shape.dims[d]);
            rest /= (size_t)in->shape.dims[d];
        }
        if (rank == 0)
            out[found] = 0;
        found++;
    }
    return OK;
}

/* --- sorting rows by index --- */

/* What is compared: rows of a tensor seen as (outer, dim, inner); a row is all (outer, inner) at
 * one position of dim. */
struct rows {
    const struct tensor *t;
    size_t outer, dim, inner;
};

static int compare_elements(const struct tensor *t, size_t a, size_t b) {
    if (t->dtype == DT_STRING)
        return str_cmp(((const struct str *)t->data)[a], ((const struct str *)t->data)[b]);
    if (dtype_is_float(t->dtype)) {
        double x = tensor_f64(t, a), y = tensor_f64(t, b);
        if (x != x || y != y) /* NaN is the largest */
            return (x != x) - (y != y);
        return (x > y) - (x < y);
    }
    int64_t x = tensor_i64(t, a), y = tensor_i64(t, b);
    if (t->dtype == DT_U64)
        return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
    return (x > y) - (x < y);
}

static int compare_rows(const struct rows *r, size_t a, size_t b) {
    for (size_t o = 0; o < r->outer; o++)
        for (size_t i = 0; i < r->inner; i++) {
            int order = compare_elements(r->t, (o * r->dim + a) * r->inner + i,
                                         (o * r->dim + b) * r->inner + i);
            if (order)
                return order;
        }
    return 0;
}

/* Merge sort, stable: order[n] of row numbers, spare[n] is working memory. */
static void sort_rows(const struct rows *r, int64_t *order, int64_t *spare, size_t n) {
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t mid = from + width < n ? from + width : n,
                   end = mid + width < n ? mid + width : n;
            size_t a = from, b = mid;
            for (size_t k = from; k < end; k++) {
                bool left = a < mid &&
                            (b >= end || compare_rows(r, (size_t)order[a], (size_t)order[b]) <= 0);
                spare[k] = order[left ? a++ : b++];
            }
        }
        memcpy(order, spare, n * sizeof *order);
    }
}

/* --- unique --- */

static enum code infer_unique(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    for (int k = 1; k < 4; k++)
        operand_out_later(c, k, DT_I64);
    return OK;
}

struct unique {       /* groups of equal rows */
    int64_t *first;   /* (n_groups) lowest row of each */
    int64_t *count;   /* (n_groups) */
    int64_t *inverse; /* (dim) group of each row */
    size_t n;
};

/* Groups in the order of their values, then, if wanted, renumbered in the order of their first
 * rows. */
static enum code group_rows(const struct op_call *c, const struct rows *r, bool sorted,
                            struct unique *u, struct err *e) {
    int64_t *order, *spare;
    void *memory;
    TRY(operand_alloc(c, r->dim, 5 * sizeof(int64_t), &memory, e));
    order = memory;
    spare = order + r->dim;
    *u = (struct unique){
        .first = spare + r->dim, .count = spare + 2 * r->dim, .inverse = spare + 3 * r->dim};
    for (size_t k = 0; k < r->dim; k++)
        order[k] = (int64_t)k;
    sort_rows(r, order, spare, r->dim);
    for (size_t k = 0; k < r->dim; k++) {
        if (k == 0 || compare_rows(r, (size_t)order[k - 1], (size_t)order[k]) != 0)
            u->first[u->n++] = order[k];
        u->count[u->n - 1]++;
        u->inverse[order[k]] = (int64_t)u->n - 1;
    }
    if (sorted)
        return OK;
    int64_t *fresh = order, *count = spare; /* by old group */
    memcpy(count, u->count, u->n * sizeof *count);
    for (size_t k = 0; k < u->n; k++)
        fresh[k] = -1;
    int64_t n = 0;
    for (size_t k = 0; k < r->dim; k++) {
        int64_t old = u->inverse[k];
        if (fresh[old] < 0) {
            u->first[n] = (int64_t)k;
            u->count[n] = count[old];
            fresh[old] = n++;
        }
        u->inverse[k] = fresh[old];
    }
    return OK;
}

static enum code put_list(const struct op_call *c, int i, const int64_t *list, size_t n,
                          struct err *e) {
    struct tensor *to = operand_to(c, i);
    if (!to)
        return OK;
    TRY(op_output(c, i, DT_I64, &(struct shape){.rank = 1, .dims = {(int64_t)n}}, e));
    if (n)
        memcpy(to->data, list, n * sizeof *list);
    return OK;
}

static enum code run_unique(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct rows r = {.t = in, .outer = 1, .dim = tensor_count(in), .inner = 1};
    struct shape shape = {.rank = 1};
    int axis = 0;
    if (attr_find(c->node, "axis")) {
        TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->shape.rank, &axis, e));
        shape = in->shape;
        r.dim = (size_t)shape.dims[axis];
        for (int k = 0; k < shape.rank; k++)
            if (k != axis)
                *(k < axis ? &r.outer : &r.inner) *= (size_t)shape.dims[k];
    }
    struct unique u;
    TRY(group_rows(c, &r, attr_int(c->node, "sorted", 1) != 0, &u, e));
    shape.dims[axis] = (int64_t)u.n;
    TRY(op_output(c, 0, in->dtype, &shape, e));
    size_t run = r.inner * dtype_size(in->dtype);
    for (size_t o = 0; c->out[0] && run && o < r.outer; o++)
        for (size_t k = 0; k < u.n; k++)
            memcpy((char *)c->out[0]->data + (o * u.n + k) * run,
                   (const char *)in->data + (o * r.dim + (size_t)u.first[k]) * run, run);
    TRY(put_list(c, 1, u.first, u.n, e));
    TRY(put_list(c, 2, u.inverse, r.dim, e));
    return put_list(c, 3, u.count, u.n, e);
}

/* --- top_k --- */

static enum code infer_top_k(struct op_infer *c, struct err *e) {
    bool by_attribute = c->node->opset < 10;
    int64_t k = attr_int(c->node, "k", -1);
    int axis;
    TRY(operand_need(c, by_attribute ? 1 : 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    operand_out_later(c, 1, DT_I64);
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known || (!by_attribute && !operand_data(c, 1)))
        return OK;
    struct shape out = c->in[0].shape;
    if (!by_attribute)
        TRY(operand_int(OPERAND_AT(c), operand_data(c, 1), "k", &k, e));
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), out.rank, &axis, e));
    if (k < 0 || k > out.dims[axis])
        return operand_fail(c, e, INVALID, "k is %lld for an axis of %lld", (long long)k,
                            (long long)out.dims[axis]);
    out.dims[axis] = k;
    TRY(operand_out(c, 0, c->in[0].dtype, &out, e));
    return operand_out(c, 1, DT_I64, &out, e);
}

/* Scratch of one line: keys in the order of preference, and a heap of positions. */
struct top_line {
    double *key; /* (dim) */
    int64_t *
        whole; /* (dim) the same for 64-bit integers, where a double is too short; NULL otherwise */
    int64_t *heap; /* (k) */
    bool largest;
};

/* Does position a come before b? */
static bool top_before(const struct top_line *l, int64_t a, int64_t b) {
    if (l->whole) {
        if (l->whole[a] != l->whole[b])
            return (l->whole[a] > l->whole[b]) == l->largest;
    } else if (l->key[a] != l->key[b]) {
        bool nan_a = isnan(l->key[a]), nan_b = isnan(l->key[b]); /* NaN is the largest */
        if (!nan_a || !nan_b)
            return (nan_a || (!nan_b && l->key[a] > l->key[b])) == l->largest;
    }
    return a < b;
}

/* The heap's top is the worst of those kept. */
static void heap_down(const struct top_line *l, size_t at, size_t n) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && top_before(l, l->heap[child], l->heap[child + 1]))
            child++;
        if (!top_before(l, l->heap[at], l->heap[child]))
            return;
        int64_t swap = l->heap[at];
        l->heap[at] = l->heap[child];
        l->heap[child] = swap;
        at = child;
    }
}

static void top_of_line(const struct top_line *l, size_t dim, size_t k) {
    for (size_t p = 0; p < k; p++)
        l->heap[p] = (int64_t)p;
    for (size_t p = k / 2; p-- > 0;)
        heap_down(l, p, k);
    for (size_t p = k; p < dim && k; p++)
        if (top_before(l, (int64_t)p, l->heap[0])) {
            l->heap[0] = (int64_t)p;
            heap_down(l, 0, k);
        }
    for (size_t n = k; n > 1; n--) { /* worst to the end: best first */
        int64_t worst = l->heap[0];
        l->heap[0] = l->heap[n - 1];
        l->heap[n - 1] = worst;
        heap_down(l, 0, n - 1);
    }
}

static enum code prepare_top_k(struct op_prepare *c, struct err *e) {
    size_t n;
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), c->in[0].shape.rank, &axis, e));
    if (!mul_size((size_t)c->in[0].shape.dims[axis], 2 * sizeof(int64_t), &n))
        return operand_fail(c, e, LIMIT, "the axis is too long");
    c->scratch_bytes = n;
    return OK;
}

static enum code run_top_k(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct tensor *values = c->out[0], *places = operand_to(c, 1);
    const struct tensor *any = values ? values : places;
    int axis;
    if (!any)
        return OK;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), in->shape.rank, &axis, e));
    size_t dim = (size_t)in->shape.dims[axis], k = (size_t)any->shape.dims[axis], inner = 1,
           bytes = dtype_size(in->dtype);
    for (int d = axis + 1; d < in->shape.rank; d++)
        inner *= (size_t)in->shape.dims[d];
    size_t lines = k ? tensor_count(any) / k : 0;
    bool whole = in->dtype == DT_I64 || in->dtype == DT_U64;
    struct top_line l = {.key = c->scratch,
                         .whole = whole ? c->scratch : NULL,
                         .heap = (int64_t *)c->scratch + dim,
                         .largest = c->node->opset < 11 || attr_int(c->node, "largest", 1) != 0};
    for (size_t line = 0; line < lines; line++) {
        size_t from = line / inner * dim * inner + line % inner,
               to = line / inner * k * inner + line % inner;
        for (size_t p = 0; p < dim; p++)
            if (whole) /* u64: flipping the top bit makes signed order right */
                l.whole[p] = (int64_t)((uint64_t)tensor_i64(in, from + p * inner) ^
                                       (in->dtype == DT_U64 ? UINT64_C(1) << 63 : 0));
            else
                l.key[p] = tensor_f64(in, from + p * inner);
        top_of_line(&l, dim, k);
        for (size_t p = 0; p < k; p++) {
            if (values)
                memcpy((char *)values->data + (to + p * inner) * bytes,
                       (const char *)in->data + (from + (size_t)l.heap[p] * inner) * bytes, bytes);
            if (places)
                ((int64_t *)places->data)[to + p * inner] = l.heap[p];
        }
    }
    return OK;
}

const struct op op_non_zero = {
    .name = "non_zero", .flags = OP_PURE, .infer = infer_non_zero, .run = run_non_zero};
const struct op op_unique = {
    .name = "unique", .flags = OP_PURE | OP_DYNAMIC, .infer = infer_unique, .run = run_unique};
const struct op op_top_k = {.name = "top_k",
                            .flags = OP_PURE,
                            .infer = infer_top_k,
                            .prepare = prepare_top_k,
                            .run = run_top_k};
