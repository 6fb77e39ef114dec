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
 * 4. There are three ways: numbers as they lie, by op/numbers (4 and 8 bits, blocks of whole
 * groups); the same packed, with a as bytes, by op/codes_q8, where accuracy_level is 4 and w
 * constant; and for all others number by number, some columns at a time widened into scratch. w is
 * read once per call, whatever the number of rows of a. */
#include "op/numbers.h"
#include "op/codes_q8.h"
#include "op/columns.h"
#include "op/operand.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/wide.h"

enum { IN_A, IN_W, IN_SCALES, IN_ZERO, IN_GROUP, IN_BIAS };

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

/* --- scratch: operands that are not f32 as f32, and what the way asks --- */

enum way { BY_NUMBER, BY_CODES, BY_BYTES };

struct plan {
    enum way way;
    struct codes codes;      /* its sizes; where numbers lie is known when it runs */
    struct codes_q8 bytes;   /* of BY_BYTES */
    const float *scales;     /* of BY_CODES: as f32; NULL: not constant */
    size_t a, y, bias, wide; /* bytes: f32 forms; of scales that are not constant */
    size_t arranged;         /* of BY_CODES: a in its order */
    size_t team;             /* the threads' parts */
};

static bool as_codes(const struct op_prepare *c, const struct sizes *z) {
    return z->bits != 2 && z->block % CODES_GROUP == 0 && !operand_takes(c, IN_GROUP) &&
           (!operand_takes(c, IN_ZERO) || c->in[IN_ZERO].dtype == DT_U8);
}

static struct codes sizes_as_codes(const struct sizes *z) {
    return (struct codes){.n = (size_t)z->n,
                          .k = (size_t)(z->blocks * z->block),
                          .block = (size_t)z->block,
                          .bits = (int)z->bits,
                          .zeros_row = (size_t)zero_bytes(z)};
}

static enum code wide_scales(const struct tensor *scales, struct arena *a, const float **out,
                             struct err *e) {
    const size_t n = tensor_count(scales);
    *out = scales->data;
    if (scales->dtype == DT_F32)
        return OK;
    float *wide = ARENA_ARRAY(a, n, float);
    if (!wide)
        return arena_fail(a, n * sizeof *wide, "scales", e);
    wide_load(scales->dtype, scales->data, 0, n, wide);
    *out = wide;
    return OK;
}

/* Packs w where bytes are allowed and nothing is lost by it; else leaves the way as it is. */
static enum code try_bytes(struct op_prepare *c, const struct sizes *z, struct plan *p,
                           struct err *e) {
    enum { BYTES_ALLOWED = 4 };
    struct codes w = p->codes;
    const bool given = operand_takes(c, IN_ZERO);
    const struct tensor *zeros = given ? c->in[IN_ZERO].data : NULL;
    if (attr_int(c->node, "accuracy_level", 0) != BYTES_ALLOWED || (size_t)z->k != w.k ||
        !c->in[IN_W].data || !c->in[IN_SCALES].data || (given && !zeros))
        return OK;
    struct arena wide;
    w.w = c->in[IN_W].data->data;
    w.zeros = zeros ? zeros->data : NULL;
    arena_init(&wide, SIZE_MAX / 2);
    enum code code = wide_scales(c->in[IN_SCALES].data, &wide, &w.scales, e);
    if (code == OK && codes_q8_fits(&w)) {
        p->way = BY_BYTES;
        code = codes_q8_prepare(c, &w, IN_SCALES, &p->bytes, e);
    }
    arena_deinit(&wide);
    return code;
}

static bool plan_scratch(const struct op_prepare *c, const struct sizes *z, struct plan *p,
                         size_t na, size_t ny, size_t *total) {
    const bool half = wide_half(c->in[IN_A].dtype);
    const size_t rows = na / (size_t)z->k;
    const struct columns columns = {.n = (size_t)z->n, .k = (size_t)z->k};
    size_t padded;
    if (!mul_size(rows, p->codes.k, &padded) || !scratch_reserve(total, half ? na : 0, 4, &p->a) ||
        !scratch_reserve(total, half ? ny : 0, 4, &p->y) ||
        !scratch_reserve(total, (size_t)z->n, 4, &p->bias))
        return false;
    if (p->way == BY_BYTES)
        return scratch_reserve(total, codes_q8_scratch(&p->bytes, rows), 1, &p->team);
    if (p->way == BY_CODES)
        return scratch_reserve(total, half && !p->scales ? (size_t)(z->n * z->blocks) : 0, 4,
                               &p->wide) &&
               scratch_reserve(total, padded, 4, &p->arranged) &&
               scratch_reserve(total, numbers_scratch(&p->codes, rows, c->threads), 1, &p->team);
    return scratch_reserve(total, columns_scratch(&columns, rows, c->threads), 1, &p->team);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    static const char *const kernels[] = {
        [BY_NUMBER] = "widened", [BY_CODES] = "numbers", [BY_BYTES] = "packed bytes"};
    struct plan *p = ARENA_NEW(c->arena, struct plan);
    struct sizes z;
    size_t na, ny, total = 0;
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of a product", e);
    TRY(sizes_of(OPERAND_AT(c), &z, e));
    p->codes = sizes_as_codes(&z);
    if (as_codes(c, &z)) {
        p->way = BY_CODES;
        TRY(try_bytes(c, &z, p, e));
    }
    if (p->way == BY_CODES)
        TRY(numbers_scales(c, IN_SCALES, &p->scales, e));
    if (!shape_count(&c->in[IN_A].shape, &na) || !shape_count(&c->out[0].shape, &ny) ||
        !plan_scratch(c, &z, p, na, ny, &total))
        return operand_fail(c, e, LIMIT, "the operands are too large");
    c->state = p;
    c->scratch_bytes = total;
    c->kernel = kernels[p->way];
    c->flops = 2.0 * (double)na * (double)z.n;
    return OK;
}

/* --- widening --- */

struct job {
    const struct op_call *call;
    const struct plan *plan;
    struct sizes z;
    const float *a, *bias; /* bias: or NULL */
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
    return (float)codes_number((const uint8_t *)t->data + row * (size_t)zero_bytes(&j->z), block,
                               bits);
}

/* Row `row` of w, one f32 per position. */
static void widen_row(const void *job, size_t row, float *to) {
    const struct job *j = job;
    const struct sizes *z = &j->z;
    const size_t blocks = (size_t)z->blocks, block = (size_t)z->block, bits = (size_t)z->bits;
    const struct tensor *scales = j->call->in[IN_SCALES], *group = operand_in(j->call, IN_GROUP);
    const uint8_t *w = (const uint8_t *)j->call->in[IN_W]->data + row * blocks * block * bits / 8;
    for (size_t b = 0; b < blocks && !group; b++) {
        const float scale = (float)tensor_f64(scales, row * blocks + b), zero = zero_of(j, row, b);
        const size_t end = (b + 1) * block < (size_t)z->k ? (b + 1) * block : (size_t)z->k;
        for (size_t k = b * block; k < end; k++)
            to[k] = ((float)codes_number(w, k, bits) - zero) * scale;
    }
    for (size_t k = 0; group && k < (size_t)z->k; k++) {
        const size_t b = (size_t)((const int32_t *)group->data)[k];
        to[k] = ((float)codes_number(w, k, bits) - zero_of(j, row, b)) *
                (float)tensor_f64(scales, row * blocks + b);
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

static void run_by_number(const struct job *j, char *scratch, int threads) {
    const struct columns w = {
        .n = (size_t)j->z.n, .k = (size_t)j->z.k, .widen = widen_row, .context = j};
    const double ns = (double)j->z.n * (double)j->z.k * (1 + (double)j->rows * 0.05);
    columns_multiply(&w, j->rows, j->a, j->bias, j->y, w.n, scratch + j->plan->team,
                     team_size(threads, ns));
}

static void run_by_codes(const struct job *j, char *scratch, int threads) {
    const struct plan *p = j->plan;
    const struct tensor *scales = j->call->in[IN_SCALES], *zeros = operand_in(j->call, IN_ZERO);
    struct codes w = p->codes;
    float *arranged = (float *)(void *)(scratch + p->arranged);
    w.w = j->call->in[IN_W]->data;
    w.scales = p->scales ? p->scales : scales->data;
    w.zeros = zeros ? zeros->data : NULL;
    if (!p->scales && wide_half(scales->dtype)) {
        float *wide = (float *)(void *)(scratch + p->wide);
        wide_load(scales->dtype, scales->data, 0, tensor_count(scales), wide);
        w.scales = wide;
    }
    for (size_t row = 0; row < j->rows; row++)
        numbers_arrange(&w, (size_t)j->z.k, j->a + row * (size_t)j->z.k, arranged + row * w.k);
    numbers_multiply(&w, j->rows, arranged, j->bias, j->y, (size_t)j->z.n, scratch + p->team,
                     threads);
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct plan *p = c->state;
    const struct tensor *a = c->in[IN_A], *y = c->out[0], *bias = operand_in(c, IN_BIAS);
    struct job j = {.call = c, .plan = p, .a = a->data, .y = y->data};
    char *scratch = c->scratch;
    float *bias_wide = (float *)(void *)(scratch + p->bias);
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
        wide_load(bias->dtype, bias->data, 0, tensor_count(bias), bias_wide);
    j.bias = bias ? bias_wide : NULL;
    switch (p->way) {
    case BY_NUMBER: run_by_number(&j, scratch, c->threads); break;
    case BY_CODES: run_by_codes(&j, scratch, c->threads); break;
    case BY_BYTES:
        codes_q8_multiply(&p->bytes, j.rows, j.a, j.bias, j.y, scratch + p->team, c->threads);
        break;
    }
    if (half)
        wide_store(y->dtype, y->data, 0, tensor_count(y), j.y);
    return OK;
}

const struct op op_mat_mul_n_bits = {"mat_mul_n_bits", OP_PURE, infer, prepare, run, NULL};
