/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcast walks; see broadcast.h. */
#include "op/broadcast.h"

#include "op/operand.h"
#include "op/team.h"

/* Strides of an input along the logical axes of the output, right-aligned. */
static void input_strides(const struct tensor *t, int out_rank, ptrdiff_t strides[SHAPE_MAX]) {
    struct shape physical;
    int64_t dense[SHAPE_MAX];
    tensor_physical_shape(t, &physical);
    shape_strides(&physical, dense);
    for (int axis = 0; axis < out_rank; axis++) {
        int own = axis - (out_rank - t->shape.rank);
        bool there = own >= 0 && t->shape.dims[own] != 1;
        strides[axis] = there ? (ptrdiff_t)dense[tensor_physical_axis(t, own)] : 0;
    }
}

/* May dim `inner` be walked as a continuation of dim `outer`, for every input? */
static bool mergeable(const struct broadcast *b, int outer, int inner) {
    for (int i = 0; i < b->n_in; i++)
        if (b->in[i][outer] != b->in[i][inner] * (ptrdiff_t)b->dims[inner])
            return false;
    return true;
}

static void copy_dim(struct broadcast *b, int to, int from) {
    b->dims[to] = b->dims[from];
    for (int i = 0; i < b->n_in; i++)
        b->in[i][to] = b->in[i][from];
}

static void merge(struct broadcast *b) {
    int rank = 0;
    for (int axis = 0; axis < b->rank; axis++) {
        if (b->dims[axis] == 1)
            continue;
        if (rank > 0 && mergeable(b, rank - 1, axis)) {
            size_t outer = b->dims[rank - 1];
            copy_dim(b, rank - 1, axis);
            b->dims[rank - 1] *= outer;
        } else {
            copy_dim(b, rank++, axis);
        }
    }
    if (rank == 0) { /* one element */
        b->dims[0] = 1;
        for (int i = 0; i < b->n_in; i++)
            b->in[i][0] = 0;
        rank = 1;
    }
    b->rank = rank;
}

void broadcast_plan(struct broadcast *b, const struct tensor *out, const struct tensor *const *in,
                    int n_in) {
    struct shape physical;
    tensor_physical_shape(out, &physical);
    *b = (struct broadcast){.rank = physical.rank, .n_in = n_in};
    for (int i = 0; i < n_in; i++) {
        ptrdiff_t strides[SHAPE_MAX];
        input_strides(in[i], out->shape.rank, strides);
        for (int axis = 0; axis < physical.rank; axis++)
            b->in[i][tensor_physical_axis(out, axis)] = strides[axis];
    }
    for (int axis = 0; axis < physical.rank; axis++)
        b->dims[axis] = (size_t)physical.dims[axis];
    merge(b);
}

/* Elements [begin, end) of a walk of one dim. */
static void one_row(const struct broadcast *b, size_t begin, size_t end, broadcast_fn *fn,
                    void *ctx) {
    struct broadcast_piece p = {.rows = 1, .n = end - begin, .out = begin};
    for (int i = 0; i < b->n_in; i++) {
        p.step[i] = b->in[i][0];
        p.in[i] = p.step[i] * (ptrdiff_t)begin;
    }
    if (p.n)
        fn(&p, ctx);
}

/* Rows [begin, end) of a walk of two dims or more, as many rows of the last but one dim at once as
 * there are. */
static void some_rows(const struct broadcast *b, size_t begin, size_t end, broadcast_fn *fn,
                      void *ctx) {
    const int inner = b->rank - 1, middle = b->rank - 2;
    while (begin < end) {
        size_t at = begin % b->dims[middle], rows = b->dims[middle] - at;
        if (rows > end - begin)
            rows = end - begin;
        struct broadcast_piece p = {
            .rows = rows, .n = b->dims[inner], .out = begin * b->dims[inner]};
        for (int i = 0; i < b->n_in; i++) {
            size_t rest = begin;
            for (int axis = middle; axis >= 0; rest /= b->dims[axis], axis--)
                p.in[i] += b->in[i][axis] * (ptrdiff_t)(rest % b->dims[axis]);
            p.row[i] = b->in[i][middle];
            p.step[i] = b->in[i][inner];
        }
        fn(&p, ctx);
        begin += rows;
    }
}

void broadcast_each(const struct broadcast *b, int threads, broadcast_fn *fn, void *ctx) {
    size_t rows = 1;
    for (int axis = 0; axis < b->rank; axis++)
        if (b->dims[axis] == 0)
            return;
    for (int axis = 0; axis < b->rank - 1; axis++)
        rows *= b->dims[axis];
    void (*part)(const struct broadcast *, size_t, size_t, broadcast_fn *, void *) =
        b->rank == 1 ? one_row : some_rows;
    size_t n = b->rank == 1 ? b->dims[0] : rows, grain = b->rank == 1 ? 64 : 1;
    if (threads <= 1) {
        part(b, 0, n, fn, ctx);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        part(b, team_cut(n, grain, threads, t), team_cut(n, grain, threads, t + 1), fn, ctx);
}

enum code broadcast_infer(struct op_infer *c, int n, enum dtype dtype, struct err *e) {
    if (!operand_known(c)) {
        operand_out_later(c, 0, dtype);
        return OK;
    }
    struct shape out = c->in[0].shape;
    for (int i = 1; i < n; i++) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        if (!shape_broadcast(&out, &c->in[i].shape, &out))
            return operand_fail(c, e, INVALID, "shapes %s and %s do not broadcast",
                                shape_print(&out, a), shape_print(&c->in[i].shape, b));
    }
    return operand_out(c, 0, dtype, &out, e);
}
