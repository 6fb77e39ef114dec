/* SPDX-License-Identifier: Apache-2.0 */
/* transpose: the dims in another order. The copy itself, with its blocked forms, is stride.c's. */
#include "op/operand.h"
#include "op/stride.h"

/* perm, checked; reversed dims when the attribute is absent. */
static enum code permutation(const struct operand_at *at, int rank, struct operand_ints *perm,
                             struct err *e) {
    bool present;
    TRY(operand_attr_ints(at, "perm", perm, &present, e));
    if (!present) {
        perm->n = rank;
        for (int k = 0; k < rank; k++)
            perm->v[k] = rank - 1 - k;
    }
    if (perm->n != rank)
        return operand_fail(at, e, INVALID, "perm has %d entries for a tensor of rank %d", perm->n,
                            rank);
    return operand_axes(at, perm, rank, e);
}

static enum code infer_transpose(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    struct operand_ints perm;
    const struct shape *in = &c->in[0].shape;
    TRY(permutation(OPERAND_AT(c), in->rank, &perm, e));
    struct shape out = {.rank = in->rank};
    for (int k = 0; k < in->rank; k++)
        out.dims[k] = in->dims[perm.v[k]];
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_transpose(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct operand_ints perm;
    int64_t strides[SHAPE_MAX];
    struct stride s = {.rank = 0};
    TRY(permutation(OPERAND_AT(c), in->shape.rank, &perm, e));
    shape_strides(&in->shape, strides);
    for (int k = 0; k < perm.n; k++)
        stride_push(&s, in->shape.dims[perm.v[k]], 0, strides[perm.v[k]]);
    stride_dense(&s);
    stride_copy(&s, c->out[0]->data, in->data, dtype_size(in->dtype), c->threads);
    return OK;
}

const struct op op_transpose = {
    .name = "transpose", .flags = OP_PURE, .infer = infer_transpose, .run = run_transpose};
