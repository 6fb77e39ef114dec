/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the operators with two inputs of one type: broadcasting, layouts, threads, 16-bit
 * floats by way of f32. An operator is a `struct pairwise`: one loop per element type, and for f32
 * a kernel. */
#pragma once

#include "kernel/kernel.h"
#include "op/operand.h"

/* y[i] = f(a[i * a_step], b[i * b_step]); y may be a or b. */
typedef void pair_fn(size_t n, const void *a, ptrdiff_t a_step, const void *b, ptrdiff_t b_step,
                     void *y);

/* A slot of kernel_set as a constant: its offset plus one. */
#define KERNEL_AT(name) (offsetof(struct kernel_set, name) + 1)

struct pairwise {
    size_t kernel;     /* KERNEL_AT(a binary_f32 slot), or 0 */
    bool truth;        /* the output is bool */
    double ns;         /* per element */
    pair_fn *fn[DT_N]; /* by type of a and b; f16 and bf16 go by f32 */
};

bool pairwise_takes(const struct pairwise *p, enum dtype t);
/* out = f(a, b). a and b broadcast to out. out may share memory with a. */
MUST_USE enum code pairwise_run(const struct op_call *c, const struct pairwise *p,
                                const struct tensor *a, const struct tensor *b,
                                const struct tensor *out, struct err *e);
/* Types equal and taken; the shape by broadcast_infer. */
MUST_USE enum code pairwise_infer(struct op_infer *c, const struct pairwise *p, struct err *e);
/* b as the operators of opsets 1 to 6 see it: aligned at `axis` when the node has broadcast = 1. */
MUST_USE enum code pairwise_align(const struct operand_at *at, const struct shape *a,
                                  struct shape *b, struct err *e);

/* Defines pair_NAME_TYPE; u and v are the operands. The usual steps are loops of their own, which
 * the compiler can turn into vector instructions. */
#define PAIR_LOOP(type, result, u_at, v_at, expression)                                            \
    for (size_t i = 0; i < n; i++) {                                                               \
        const type u = p[u_at], v = q[v_at];                                                       \
        r[i] = (result)(expression);                                                               \
    }
#define PAIR_FN(name, type, result, expression)                                                    \
    static void pair_##name##_##type(size_t n, const void *a, ptrdiff_t a_step, const void *b,     \
                                     ptrdiff_t b_step, void *y) {                                  \
        const type *p = a, *q = b;                                                                 \
        result *r = y;                                                                             \
        if (a_step == 1 && b_step == 1) {                                                          \
            PAIR_LOOP(type, result, i, i, expression)                                              \
        } else if (a_step == 1 && b_step == 0) {                                                   \
            PAIR_LOOP(type, result, i, 0, expression)                                              \
        } else if (a_step == 0 && b_step == 1) {                                                   \
            PAIR_LOOP(type, result, 0, i, expression)                                              \
        } else {                                                                                   \
            PAIR_LOOP(type, result, (ptrdiff_t)i *a_step, (ptrdiff_t)i *b_step, expression)        \
        }                                                                                          \
    }
#define PAIR_FLOATS(name, f_expression, d_expression)                                              \
    PAIR_FN(name, float, float, f_expression) PAIR_FN(name, double, double, d_expression)
#define PAIR_SIGNED(name, expression)                                                              \
    PAIR_FN(name, int8_t, int8_t, expression)                                                      \
    PAIR_FN(name, int16_t, int16_t, expression)                                                    \
    PAIR_FN(name, int32_t, int32_t, expression)                                                    \
    PAIR_FN(name, int64_t, int64_t, expression)
#define PAIR_UNSIGNED(name, expression)                                                            \
    PAIR_FN(name, uint8_t, uint8_t, expression)                                                    \
    PAIR_FN(name, uint16_t, uint16_t, expression)                                                  \
    PAIR_FN(name, uint32_t, uint32_t, expression)                                                  \
    PAIR_FN(name, uint64_t, uint64_t, expression)
#define PAIR_FLOAT_ROWS(name) [DT_F32] = pair_##name##_float, [DT_F64] = pair_##name##_double
#define PAIR_SIGNED_ROWS(name)                                                                     \
    [DT_I8] = pair_##name##_int8_t, [DT_I16] = pair_##name##_int16_t,                              \
    [DT_I32] = pair_##name##_int32_t, [DT_I64] = pair_##name##_int64_t
#define PAIR_UNSIGNED_ROWS(name)                                                                   \
    [DT_U8] = pair_##name##_uint8_t, [DT_U16] = pair_##name##_uint16_t,                            \
    [DT_U32] = pair_##name##_uint32_t, [DT_U64] = pair_##name##_uint64_t
