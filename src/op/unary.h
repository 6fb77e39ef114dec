/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the operators with one input whose output has its type and shape: f32 by a kernel
 * or a C function, f16 and bf16 by way of f32, f64 by a C function, integers where the operator has
 * them. Any layout. */
#pragma once

#include "op/pairwise.h"

struct unary {
    size_t kernel; /* KERNEL_AT(a unary_f32 slot), or 0: then f64 serves f32 too */
    double (*f64)(double x, double alpha, double beta); /* MUST */
    int64_t (*i64)(int64_t x);                          /* signed integers; NULL: floats only */
    uint64_t (*u64)(uint64_t x);                        /* unsigned ones */
    double ns;                                          /* per element with the kernel */
    const char *alpha_name, *beta_name;                 /* attributes; NULL: none */
    float alpha, beta;                                  /* when the attribute is absent */
};

MUST_USE enum code unary_infer(struct op_infer *c, const struct unary *u, struct err *e);
MUST_USE enum code unary_run(const struct op_call *c, const struct unary *u, struct err *e);
/* The same with parameters that came from elsewhere. */
MUST_USE enum code unary_apply(const struct op_call *c, const struct unary *u, double alpha,
                               double beta, struct err *e);

/* Defines op_NAME around `static const struct unary unary_NAME`. */
#define UNARY_OP(name)                                                                             \
    static enum code infer_##name(struct op_infer *c, struct err *e) {                             \
        return unary_infer(c, &unary_##name, e);                                                   \
    }                                                                                              \
    static enum code run_##name(const struct op_call *c, struct err *e) {                          \
        return unary_run(c, &unary_##name, e);                                                     \
    }                                                                                              \
    const struct op op_##name = {                                                                  \
        #name, OP_PURE | OP_INPLACE | OP_ELEMENTWISE, infer_##name, NULL, run_##name, NULL};
