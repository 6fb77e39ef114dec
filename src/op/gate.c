/* SPDX-License-Identifier: Apache-2.0 */
/* swi_glu (opset 28): y = a * sigmoid(alpha * a) * b, without broadcasting. */
#include "op/operand.h"

#include "kernel/kernel.h"

#include <math.h>

static enum code infer_swi_glu(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(operand_infer_same(c, e));
    if (!dtype_is_float(c->in[0].dtype) || c->in[1].dtype != c->in[0].dtype)
        return operand_fail(c, e, INVALID, "a gate of %s for values of %s",
                            dtype_name(c->in[0].dtype), dtype_name(c->in[1].dtype));
    if (operand_known(c) && !shape_eq(&c->in[0].shape, &c->in[1].shape))
        return operand_fail(c, e, INVALID, "the gate and the values differ in shape");
    return OK;
}

static void gate_f32(const struct tensor *a, const struct tensor *b, float *y, float alpha) {
    size_t n = tensor_count(a);
    kernel_set()->silu_f32(n, a->data, y, alpha, 0);
    kernel_set()->mul_f32(&(struct binary_f32){.rows = 1, .n = n, .a = y, .b = b->data, .y = y});
}

static enum code run_swi_glu(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *a = c->in[0], *b = c->in[1];
    float alpha = attr_float(c->node, "alpha", 1);
    if (a->dtype == DT_F32) {
        gate_f32(a, b, c->out[0]->data, alpha);
        return OK;
    }
    for (size_t k = 0; k < tensor_count(a); k++) {
        double v = tensor_f64(a, k);
        operand_put(c->out[0], k, v / (1 + exp(-(double)alpha * v)) * tensor_f64(b, k));
    }
    return OK;
}

const struct op op_swi_glu = {
    .name = "swi_glu", .flags = OP_PURE, .infer = infer_swi_glu, .run = run_swi_glu};
