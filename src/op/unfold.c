/* SPDX-License-Identifier: Apache-2.0 */
/* unfold: slices of `size` along `dim`, one every `step`; x (..., D, ...) becomes
 * (..., (D - size) / step + 1, ..., size) (com.microsoft's UnfoldTensor, torch's unfold). */
#include "op/operand.h"
#include "op/stride.h"

struct unfolding {
    int dim;
    int64_t size, step, slices;
};

static enum code unfolding_of(const struct operand_at *at, const struct shape *x,
                              struct unfolding *u, struct err *e) {
    TRY(operand_axis(at, attr_int(at->node, "dim", -1), x->rank, &u->dim, e));
    u->size = attr_int(at->node, "size", 0);
    u->step = attr_int(at->node, "step", 1);
    if (u->step < 1 || u->size < 1 || u->size > x->dims[u->dim])
        return operand_fail(at, e, INVALID, "slices of %lld every %lld in a dim of %lld",
                            (long long)u->size, (long long)u->step, (long long)x->dims[u->dim]);
    u->slices = (x->dims[u->dim] - u->size) / u->step + 1;
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct unfolding u;
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    struct shape y = c->in[0].shape;
    TRY(unfolding_of(OPERAND_AT(c), &y, &u, e));
    if (y.rank == SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "more than %d dims", SHAPE_MAX);
    y.dims[u.dim] = u.slices;
    y.dims[y.rank++] = u.size;
    return operand_out(c, 0, c->in[0].dtype, &y, e);
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0], *y = c->out[0];
    struct unfolding u;
    struct stride s = {0};
    int64_t natural[SHAPE_MAX];
    TRY(unfolding_of(OPERAND_AT(c), &x->shape, &u, e));
    shape_strides(&x->shape, natural);
    for (int k = 0; k < x->shape.rank; k++)
        stride_push(&s, y->shape.dims[k], 0, natural[k] * (k == u.dim ? u.step : 1));
    stride_push(&s, u.size, 0, natural[u.dim]);
    stride_dense(&s);
    stride_copy(&s, y->data, x->data, dtype_size(x->dtype), c->threads);
    return OK;
}

const struct op op_unfold = {.name = "unfold", .flags = OP_PURE, .infer = infer, .run = run};
