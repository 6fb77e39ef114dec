/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul_n_bits: y = a * w^T + bias, w (N, K) kept as 2-, 4- or 8-bit numbers in blocks along K
 * that share a scale and a zero point (the form in which ONNX exports of language models hold their
 * weights).
 *
 * 1. w is (N, blocks, block_size * bits / 8) bytes, low bits first; a value is
 * (number - zero) * scale of its block.
 * 2. Zero points are packed like w, per row in whole bytes, or numbers of the scales' type; without
 * them half of the range.
 * 3. g_idx (K) names the block of each position, when positions were reordered.
 * 4. Some columns at a time are widened into scratch and multiplied at once: w is read once per
 * call, whatever the number of rows of a. */
#include "op/operand.h"
#include "op/product.h"
#include "op/team.h"
#include "op/wide.h"

enum { IN_A, IN_W, IN_SCALES, IN_ZERO, IN_GROUP, IN_BIAS, COLUMNS = 32 };

struct sizes {
    int64_t k, n, bits, block, blocks;
};

static enum code sizes_of(const struct operand_at *at, struct sizes *z, struct err *e) {
    *z = (struct sizes){.k = attr_int(at->node, "K", 0),
                        .n = attr_int(at->node, "N", 0),
                        .bits = attr_int(at->node, "bits", 4),
                        .block = attr_int(at->node, "block_size", 0)};
    if (z->k < 1 || z->n < 1 || z->k > INT32_MAX || z->n > INT32_MAX || z->block < 16 ||
        z->block > 1 << 16 || z->block & (z->block - 1))
        return operand_fail(at, e, INVALID, "K %lld, N %lld, block_size %lld", (long long)z->k,
                            (long long)z->n, (long long)z->block);
    if (z->bits != 2 && z->bits != 4 && z->bits != 8)
        return operand_fail(at, e, UNSUPPORTED, "%lld bits; 2, 4 and 8 are supported",
                            (long long)z->bits);
    z->blocks = (z->k + z->block - 1) / z->block;
    return OK;
}

static int64_t zero_bytes(const struct sizes *z) { return (z->blocks * z->bits + 7) / 8; }

static enum code check_count(const struct op_infer *c, int i, int64_t want, struct err *e) {
    size_t count = 0;
    if (!operand_given(c, i))
        return OK;
    if (!shape_count(&c->in[i].shape, &count) || count != (size_t)want)
        return operand_fail(c, e, INVALID, "input %d has %zu elements, expected %lld", i, count,
                            (long long)want);
    return OK;
}

static enum code check_types(const struct op_infer *c, struct err *e) {
    const enum dtype t = c->in[IN_A].dtype;
    const enum dtype zero = operand_given(c, IN_ZERO) ? c->in[IN_ZERO].dtype : DT_U8;
    bool fits = (t == DT_F32 || wide_half(t)) && c->in[IN_W].dtype == DT_U8 &&
                c->in[IN_SCALES].dtype == t && (zero == DT_U8 || zero == t);
    if (operand_given(c, IN_GROUP))
        fits = fits && c->in[IN_GROUP].dtype == DT_I32;
    if (operand_given(c, IN_BIAS))
        fits = fits && c->in[IN_BIAS].dtype == t;
    if (!fits)
        return operand_fail(c, e, INVALID, "inputs of type %s, %s and %s", dtype_name(t),
                            dtype_name(c->in[IN_W].dtype), dtype_name(c->in[IN_SCALES].dtype));
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct sizes z;
    TRY(operand_need(c, 3, e));
    TRY(sizes_of(OPERAND_AT(c), &z, e));
    TRY(check_types(c, e));
    operand_out_later(c, 0, c->in[IN_A].dtype);
    if (!operand_known(c))
        return OK;
    struct shape y = c->in[IN_A].shape;
    if (y.rank < 1 || y.dims[y.rank - 1] != z.k)
        return operand_fail(c, e, INVALID, "rows of the input must have %lld elements",
                            (long long)z.k);
    bool packed = operand_given(c, IN_ZERO) && c->in[IN_ZERO].dtype == DT_U8;
    TRY(check_count(c, IN_W, z.n * z.blocks * (z.block * z.bits / 8), e));
    TRY(check_count(c, IN_SCALES, z.n * z.blocks, e));
    TRY(check_count(c, IN_ZERO, z.n * (packed ? zero_bytes(&z) : z.blocks), e));
    TRY(check_count(c, IN_GROUP, z.k, e));
    TRY(check_count(c, IN_BIAS, z.n, e));
    y.dims[y.rank - 1] = z.n;
    return operand_out(c, 0, c->in[IN_A].dtype, &y, e);
}

/* --- scratch: a and y as f32 where they are not, then per thread a block of w and the product's
 * --- */

struct plan {
    size_t a, y, bias, team, each, product; /* bytes */
};

static struct product block_product(const struct sizes *z, size_t rows) {
    return (struct product){.m = rows,
                            .n = COLUMNS,
                            .k = (size_t)z->k,
                            .a_row = (size_t)z->k,
                            .b_row = (size_t)z->k,
                            .c_row = (size_t)z->n,
                            .b_transposed = true};
}

static bool reserve(size_t *total, size_t count, size_t bytes, size_t *place) {
    size_t size;
    *place = *total;
    return mul_size(count, bytes, &size) && add_size(size, 63, &size) &&
           add_size(*total, size / 64 * 64, total);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct plan *p = ARENA_NEW(c->arena, struct plan);
    struct sizes z;
    size_t na, ny, total = 0, team = 0, place;
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of a product", e);
    TRY(sizes_of(OPERAND_AT(c), &z, e));
    const bool half = wide_half(c->in[IN_A].dtype);
    bool ok = shape_count(&c->in[IN_A].shape, &na) && shape_count(&c->out[0].shape, &ny);
    struct product product = block_product(&z, ok ? na / (size_t)z.k : 0);
    ok = ok && reserve(&total, half ? na : 0, sizeof(float), &p->a) &&
         reserve(&total, half ? ny : 0, sizeof(float), &p->y) &&
         reserve(&total, (size_t)z.n, sizeof(float), &p->bias) &&
         reserve(&team, COLUMNS * (size_t)z.k, sizeof(float), &place) &&
         reserve(&team, product_scratch(&product), 1, &p->product);
    p->each = team;
    if (!ok || !reserve(&total, (size_t)c->threads, team, &p->team))
        return operand_fail(c, e, LIMIT, "the operands are too large");
    c->state = p;
    c->scratch_bytes = total;
    c->flops = 2.0 * (double)na * (double)z.n;
    return OK;
}

/* --- widening --- */

struct job {
    const struct op_call *call;
    const struct plan *plan;
    struct sizes z;
    const float *a;
    float *y;
    size_t rows;
};

static float zero_of(const struct job *j, size_t row, size_t block) {
    const struct tensor *t = operand_in(j->call, IN_ZERO);
    const size_t bits = (size_t)j->z.bits;
    if (!t)
        return (float)(1 << (bits - 1));
    if (t->dtype != DT_U8)
        return (float)tensor_f64(t, row * (size_t)j->z.blocks + block);
    const uint8_t byte =
        ((const uint8_t *)t->data)[row * (size_t)zero_bytes(&j->z) + block * bits / 8];
    return (float)(byte >> block * bits % 8 & ((1 << bits) - 1));
}

static unsigned number_at(const uint8_t *w, size_t k, size_t bits) {
    return (unsigned)w[k * bits / 8] >> k * bits % 8 & ((1U << bits) - 1);
}

/* Row `row` of w, one f32 per position. */
static void widen_row(const struct job *j, size_t row, float *to) {
    const struct sizes *z = &j->z;
    const size_t blocks = (size_t)z->blocks, block = (size_t)z->block, bits = (size_t)z->bits;
    const struct tensor *scales = j->call->in[IN_SCALES], *group = operand_in(j->call, IN_GROUP);
    const uint8_t *w = (const uint8_t *)j->call->in[IN_W]->data + row * blocks * block * bits / 8;
    for (size_t b = 0; b < blocks && !group; b++) {
        const float scale = (float)tensor_f64(scales, row * blocks + b), zero = zero_of(j, row, b);
        const size_t end = (b + 1) * block < (size_t)z->k ? (b + 1) * block : (size_t)z->k;
        for (size_t k = b * block; k < end; k++)
            to[k] = ((float)number_at(w, k, bits) - zero) * scale;
    }
    for (size_t k = 0; group && k < (size_t)z->k; k++) {
        const size_t b = (size_t)((const int32_t *)group->data)[k];
        to[k] = ((float)number_at(w, k, bits) - zero_of(j, row, b)) *
                (float)tensor_f64(scales, row * blocks + b);
    }
}

/* Blocks [begin, end) of COLUMNS columns. */
static void columns(const struct job *j, size_t begin, size_t end, char *part) {
    float *w = (float *)(void *)part;
    const float *bias =
        (const float *)(const void *)((const char *)j->call->scratch + j->plan->bias);
    for (size_t block = begin; block < end; block++) {
        const size_t first = block * COLUMNS, left = (size_t)j->z.n - first;
        struct product p = block_product(&j->z, j->rows);
        p.n = left < COLUMNS ? left : COLUMNS;
        p.bias = operand_in(j->call, IN_BIAS) ? bias + first : NULL;
        for (size_t r = 0; r < p.n; r++)
            widen_row(j, first + r, w + r * (size_t)j->z.k);
        product_run(&p, j->a, w, j->y + first, part + j->plan->product, 1);
    }
}

static enum code check_groups(const struct op_call *c, const struct sizes *z, struct err *e) {
    const struct tensor *group = operand_in(c, IN_GROUP);
    for (size_t k = 0; group && k < tensor_count(group); k++) {
        int64_t b = tensor_i64(group, k);
        if (b < 0 || b >= z->blocks)
            return operand_fail(c, e, INVALID, "g_idx[%zu] is %lld, there are %lld blocks", k,
                                (long long)b, (long long)z->blocks);
    }
    return OK;
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct plan *p = c->state;
    const struct tensor *a = c->in[IN_A], *y = c->out[0], *bias = operand_in(c, IN_BIAS);
    struct job j = {.call = c, .plan = p, .a = a->data, .y = y->data};
    char *scratch = c->scratch;
    const bool half = wide_half(a->dtype);
    TRY(sizes_of(OPERAND_AT(c), &j.z, e));
    TRY(check_groups(c, &j.z, e));
    j.rows = tensor_count(a) / (size_t)j.z.k;
    if (j.rows == 0)
        return OK;
    if (half) {
        float *wide = (float *)(void *)(scratch + p->a);
        wide_load(a->dtype, a->data, 0, tensor_count(a), wide);
        j.a = wide;
        j.y = (float *)(void *)(scratch + p->y);
    }
    if (bias)
        wide_load(bias->dtype, bias->data, 0, tensor_count(bias),
                  (float *)(void *)(scratch + p->bias));
    const size_t blocks = ((size_t)j.z.n + COLUMNS - 1) / COLUMNS;
    const int threads =
        team_size(c->threads, (double)j.z.n * (double)j.z.k * (1 + (double)j.rows * 0.05));
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        columns(&j, team_cut(blocks, 1, threads, t), team_cut(blocks, 1, threads, t + 1),
                scratch + p->team + (size_t)t * p->each);
    if (half)
        wide_store(y->dtype, y->data, 0, tensor_count(y), j.y);
    return OK;
}

const struct op op_mat_mul_n_bits = {"mat_mul_n_bits", OP_PURE, infer, prepare, run, NULL};
