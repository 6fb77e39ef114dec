/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN as raw loops: a task is one primitive made for one shape, run over raw pointers.
 * Activations are channels last.
 *
 * 1. A task is immutable after it is made; any number of threads may run it at once. What a run
 * needs besides memory (oneDNN's memory objects, a stream) is kept in kits on a free list: a run
 * takes one and puts it back; only a run that finds the list empty makes a new one.
 * 2. Scratch memory comes from the caller; nothing is kept between runs.
 * 3. The team size is fixed when a task is made.
 * 4. UNSUPPORTED means that oneDNN has no fast form of it: the caller takes another kernel.
 * Reference implementations of oneDNN count as none. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false where the CPU (after SLIPWAY_CPU) is below AVX2, or oneDNN cannot start. */
bool dnnl_task_usable(void);

enum dnnl_number {
    DNNL_NUMBER_F32,
    DNNL_NUMBER_BF16,
    DNNL_NUMBER_U8,
    DNNL_NUMBER_I8,
    DNNL_NUMBER_I32
};

enum dnnl_fused_kind {
    DNNL_FUSED_RELU,
    DNNL_FUSED_CLIP,
    DNNL_FUSED_LEAKY_RELU,
    DNNL_FUSED_ELU,
    DNNL_FUSED_SIGMOID,
    DNNL_FUSED_TANH,
    DNNL_FUSED_HARD_SIGMOID,
    DNNL_FUSED_HARD_SWISH,
    DNNL_FUSED_SILU,
    DNNL_FUSED_GELU_ERF,
    DNNL_FUSED_GELU_TANH,
    DNNL_FUSED_ADD,
    DNNL_FUSED_MUL, /* the operand is dnnl_run.extra[index] */
    DNNL_FUSED_SUM, /* dst += what dst held, scaled by alpha after taking off zero */
};
enum { DNNL_FUSED_MAX = 6, DNNL_DIMS = 6 };
struct dnnl_fused {
    enum dnnl_fused_kind kind;
    float alpha, beta;
    int32_t zero;
    enum dnnl_number number; /* of the operand of ADD, MUL: F32 or BF16 */
    int64_t dims[DNNL_DIMS]; /* ADD, MUL: logical dims, as many as dst's, 1 where repeated; channels
                                last like dst */
};

struct dnnl_task; /* opaque */

struct dnnl_conv {
    int n_spatial; /* 1 to 3 */
    int64_t batch, groups, in_channels, out_channels;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], before[3],
        after[3];              /* dilation 1: dense */
    enum dnnl_number src, dst; /* weights are packed as F32, BF16 for BF16, I8 for bytes */
    bool bias;                 /* F32, or I32 with 8-bit src */
    const float *scales;       /* 8-bit: dst = (sum + bias) * scale + dst_zero; copied */
    int64_t n_scales;          /* 1 or out_channels */
    int32_t src_zero, dst_zero;
    struct dnnl_fused fused[DNNL_FUSED_MAX];
    int n_fused;
    int threads;
};
/* Weights are given plain: (groups * out/groups, in/groups, spatial); those of BF16 as f32. */
MUST_USE enum code dnnl_task_conv(const struct dnnl_conv *c, struct dnnl_task **out, struct err *e);

/* C (batch, M, N) = A (batch, M, K) * B (batch or 1, K, N) + bias (N). Row-major with strides where
 * the flags say. */
struct dnnl_matmul {
    int64_t batch, m, n, k;
    int64_t b_batch;                 /* 1 or batch */
    bool a_transposed, b_transposed; /* stored (K, M); (N, K) */
    bool constant; /* B is packed once: pack_weights; else it is given plain to every run */
    enum dnnl_number src,
        dst;   /* B is F32, BF16 for BF16 (given as f32 when constant), I8 for bytes */
    bool bias; /* F32, or I32 with 8-bit src */
    const float *scales;
    int64_t n_scales; /* 1 or n */
    int32_t src_zero, dst_zero;
    struct dnnl_fused fused[DNNL_FUSED_MAX]; /* dims: batch, m, n */
    int n_fused;
    int threads;
};
MUST_USE enum code dnnl_task_matmul(const struct dnnl_matmul *c, struct dnnl_task **out,
                                    struct err *e);

void dnnl_task_free(struct dnnl_task *t); /* NULL allowed; no run may be in flight */

const char *dnnl_task_kernel(
    const struct dnnl_task *t); /* static text while the task lives: "dnnl brgconv:avx512_core" */
size_t dnnl_task_scratch(const struct dnnl_task *t); /* bytes, 64-byte aligned */
size_t dnnl_task_packed(const struct dnnl_task *t);  /* bytes of the packed weights */
uint64_t dnnl_task_packing(
    const struct dnnl_task *t); /* names the packed form: equal means interchangeable */
/* Writes the packed form of plain weights. */
MUST_USE enum code dnnl_task_pack(struct dnnl_task *t, const void *plain, void *packed,
                                  struct err *e);

struct dnnl_run {
    const void *src, *weights; /* weights: packed */
    const void *bias;
    const void *extra[DNNL_FUSED_MAX]; /* by position in fused */
    void *dst, *scratch;
};
MUST_USE enum code dnnl_task_run(struct dnnl_task *t, const struct dnnl_run *r, struct err *e);
