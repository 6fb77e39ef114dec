/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul_bnb4: y = a * w^T, w (N, K) kept as 4-bit indexes into a table of 16 values, as
 * bitsandbytes quantises (com.microsoft's MatMulBnb4).
 *
 * 1. w is flat (N * K), high bits first, whole bytes; `block_size` values in that order, rows or
 * not, share a largest one (absmax), which the table's values are parts of.
 * 2. quant_type 0 is FP4 (sign, two bits of exponent, one of mantissa; in a table), 1 NF4:
 * quantiles of the normal distribution (Dettmers et al., QLoRA, appendix E).
 * 3. transB = 0, the product of a backward pass, is refused. */
#include "op/columns.h"
#include "op/operand.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/wide.h"

enum { IN_A, IN_W, IN_TOP };

static const float tables[2][16] = {
    {0, 5.208333333e-03F, 0.66666667F, 1, 0.33333333F, 0.5F, 0.16666667F, 0.25F, 0,
     -5.208333333e-03F, -0.66666667F, -1, -0.33333333F, -0.5F, -0.16666667F, -0.25F},
    {-1, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F, -0.28444138169288635F,
     -0.18477343022823334F, -0.09105003625154495F, 0, 0.07958029955625534F, 0.16093020141124725F,
     0.24611230194568634F, 0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F,
     0.7229568362236023F, 1}};

struct sizes {
    int64_t n, k, block, blocks;
    const float *table;
};

static enum code sizes_of(const struct operand_at *at, struct sizes *z, struct err *e) {
    const int64_t type = attr_int(at->node, "quant_type", -1);
    *z = (struct sizes){.n = attr_int(at->node, "N", 0),
                        .k = attr_int(at->node, "K", 0),
                        .block = attr_int(at->node, "block_size", 0)};
    if (z->k < 1 || z->n < 1 || z->k > INT32_MAX || z->n > INT32_MAX || z->block < 16 ||
        z->block > 1 << 16 || z->block & (z->block - 1))
        return operand_fail(at, e, INVALID, "K %lld, N %lld, block_size %lld", (long long)z->k,
                            (long long)z->n, (long long)z->block);
    if (type < 0 || type > 1 || !attr_int(at->node, "transB", 1))
        return operand_fail(at, e, UNSUPPORTED, "quant_type %lld or transB = 0", (long long)type);
    z->table = tables[type];
    z->blocks = (z->n * z->k + z->block - 1) / z->block;
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct sizes z;
    size_t w, tops;
    TRY(operand_need(c, 3, e));
    TRY(sizes_of(OPERAND_AT(c), &z, e));
    const enum dtype t = c->in[IN_A].dtype;
    if ((t != DT_F32 && !wide_half(t)) || c->in[IN_W].dtype != DT_U8 || c->in[IN_TOP].dtype != t)
        return operand_fail(c, e, INVALID, "inputs of type %s, %s and %s", dtype_name(t),
                            dtype_name(c->in[IN_W].dtype), dtype_name(c->in[IN_TOP].dtype));
    operand_out_later(c, 0, t);
    if (!operand_known(c))
        return OK;
    struct shape y = c->in[IN_A].shape;
    if (y.rank < 1 || y.dims[y.rank - 1] != z.k || !shape_count(&c->in[IN_W].shape, &w) ||
        w != (size_t)(z.n * z.k + 1) / 2 || !shape_count(&c->in[IN_TOP].shape, &tops) ||
        tops != (size_t)z.blocks)
        return operand_fail(c, e, INVALID, "the operands do not fit K %lld and N %lld",
                            (long long)z.k, (long long)z.n);
    y.dims[y.rank - 1] = z.n;
    return operand_out(c, 0, t, &y, e);
}

struct plan {
    struct sizes z;
    size_t a, y, team; /* offsets in scratch: f32 forms; the threads' parts */
};

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct plan *p = ARENA_NEW(c->arena, struct plan);
    const bool half = wide_half(c->in[IN_A].dtype);
    size_t na, ny;
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of a product", e);
    TRY(sizes_of(OPERAND_AT(c), &p->z, e));
    const struct columns w = {.n = (size_t)p->z.n, .k = (size_t)p->z.k};
    if (!shape_count(&c->in[IN_A].shape, &na) || !shape_count(&c->out[0].shape, &ny) ||
        !scratch_reserve(&c->scratch_bytes, half ? na : 0, sizeof(float), &p->a) ||
        !scratch_reserve(&c->scratch_bytes, half ? ny : 0, sizeof(float), &p->y) ||
        !scratch_reserve(&c->scratch_bytes, columns_scratch(&w, na / w.k, c->threads), 1, &p->team))
        return operand_fail(c, e, LIMIT, "the operands are too large");
    c->state = p;
    c->kernel = "widened";
    c->flops = 2.0 * (double)na * (double)p->z.n;
    return OK;
}

struct job {
    struct sizes z;
    const uint8_t *w;
    const struct tensor *tops;
};

static void widen(const void *job, size_t row, float *to) {
    const struct job *j = job;
    const size_t k = (size_t)j->z.k, block = (size_t)j->z.block, first = row * k;
    for (size_t at = first; at < first + k;) {
        const size_t next = (at / block + 1) * block, end = next < first + k ? next : first + k;
        const float top = (float)tensor_f64(j->tops, at / block);
        for (; at < end; at++)
            *to++ = top * j->z.table[j->w[at / 2] >> (at % 2 ? 0 : 4) & 15];
    }
}

static enum code run(const struct op_call *c, struct err *e) {
    (void)e;
    const struct plan *p = c->state;
    const struct tensor *a = c->in[IN_A], *y = c->out[0];
    const struct job j = {p->z, c->in[IN_W]->data, c->in[IN_TOP]};
    const struct columns w = {
        .n = (size_t)p->z.n, .k = (size_t)p->z.k, .widen = widen, .context = &j};
    const size_t rows = tensor_count(a) / w.k;
    const double ns = (double)w.n * (double)w.k * (1 + (double)rows * 0.05);
    char *scratch = c->scratch;
    const float *x = a->data;
    float *to = y->data;
    if (rows == 0)
        return OK;
    if (wide_half(a->dtype)) {
        wide_load_all(a->dtype, a->data, tensor_count(a), (float *)(void *)(scratch + p->a),
                      c->threads);
        x = (const float *)(void *)(scratch + p->a);
        to = (float *)(void *)(scratch + p->y);
    }
    columns_multiply(&w, rows, x, NULL, to, w.n, scratch + p->team, team_size(c->threads, ns));
    if (wide_half(a->dtype))
        wide_store_all(y->dtype, y->data, tensor_count(y), to, c->threads);
    return OK;
}

const struct op op_mat_mul_bnb4 = {"mat_mul_bnb4", OP_PURE, infer, prepare, run, NULL};
