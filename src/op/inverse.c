/* SPDX-License-Identifier: Apache-2.0 */
/* inverse: of every matrix (N, N) of a batch (com.microsoft's Inverse), by Gauss-Jordan elimination
 * with the largest pivot of a column, in doubles. A matrix without one gives infinities and NaN. */
#include "op/operand.h"
#include "op/scratch.h"

#include <math.h>

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    const struct shape *x = &c->in[0].shape;
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "the input is %s", dtype_name(c->in[0].dtype));
    if (operand_known(c) && (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2]))
        return operand_fail(c, e, INVALID, "the input does not hold square matrices");
    return operand_infer_same(c, e);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    const struct shape *x = &c->in[0].shape;
    const size_t n = (size_t)x->dims[x->rank - 1];
    size_t all, place, numbers;
    c->flops = shape_count(x, &numbers) ? 4.0 * (double)numbers * (double)n : 0;
    if (!mul_size(n, 2 * n, &all) ||
        !scratch_reserve(&c->scratch_bytes, all, sizeof(double), &place))
        return operand_fail(c, e, LIMIT, "matrices of %zu rows are too large", n);
    return OK;
}

/* m: n rows of 2 n, a matrix and beside it the identity, which becomes the inverse. */
static void eliminate(size_t n, double *m) {
    for (size_t col = 0; col < n; col++) {
        size_t best = col;
        for (size_t row = col + 1; row < n; row++)
            if (fabs(m[row * 2 * n + col]) > fabs(m[best * 2 * n + col]))
                best = row;
        double *pivot = m + col * 2 * n, *other = m + best * 2 * n;
        for (size_t i = 0; i < 2 * n; i++) {
            const double v = pivot[i];
            pivot[i] = other[i];
            other[i] = v;
        }
        const double scale = 1 / pivot[col];
        for (size_t i = 0; i < 2 * n; i++)
            pivot[i] *= scale;
        for (size_t row = 0; row < n; row++) {
            const double factor = m[row * 2 * n + col];
            for (size_t i = 0; row != col && i < 2 * n; i++)
                m[row * 2 * n + i] -= factor * pivot[i];
        }
    }
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0];
    const size_t n = (size_t)x->shape.dims[x->shape.rank - 1], all = tensor_count(x);
    double *m = c->scratch;
    for (size_t at = 0; at < all; at += n * n) {
        if (c->host && c->host->check)
            TRY(c->host->check(c->host, e));
        for (size_t row = 0; row < n; row++)
            for (size_t i = 0; i < n; i++) {
                m[row * 2 * n + i] = tensor_f64(x, at + row * n + i);
                m[row * 2 * n + n + i] = row == i;
            }
        eliminate(n, m);
        for (size_t row = 0; row < n; row++)
            for (size_t i = 0; i < n; i++)
                operand_put(c->out[0], at + row * n + i, m[row * 2 * n + n + i]);
    }
    return OK;
}

const struct op op_inverse = {
    .name = "inverse", .flags = OP_PURE, .infer = infer, .prepare = prepare, .run = run};
