/* SPDX-License-Identifier: Apache-2.0 */
/* q_linear_mat_mul (ONNX QLinearMatMul 10, 21), mat_mul_integer (MatMulInteger 10), q_gemm
 * (com.microsoft QGemm).
 *
 * One product of bytes in int32, then for the linear ones scaled, shifted and saturated. Where
 * every parameter is constant, B is one matrix and the CPU multiplies bytes exactly, our tile of
 * quads (VNNI, unsigned A, k in fours) or oneDNN; else pairs of int16 (q8.h) and our
 * own tile. Parameters of A may be per row, those of B per column; of the output single.
 *
 * Scratch: [A as pairs] [B as pairs] [sums] [scales] [kernel's]; as often as there are threads
 * where batches are shared among them. */
#include "kernel/dnnl.h"
#include "op/implicit.h"
#include "op/op_list.h"
#include "op/operand.h"
#include "op/pack.h"
#include "op/product.h"
#include "op/q8.h"
#include "op/scratch.h"
#include "op/team.h"

struct roles { /* which input is what; -1: there is none */
    int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
};
static const struct roles of_linear = {0, 1, 2, 3, 4, 5, 6, 7, -1},
                          of_integer = {0, -1, 2, 1, -1, 3, -1, -1, -1},
                          of_gemm = {0, 1, 2, 3, 4, 5, 7, 8, 6};

static const struct roles *roles_of(const struct node *n) {
    return n->op == &op_q_linear_mat_mul ? &of_linear
           : n->op == &op_q_gemm         ? &of_gemm
                                         : &of_integer;
}
static const struct tensor *given(const struct op_call *c, int i) {
    return i < 0 ? NULL : operand_in(c, i);
}
static const struct tensor *constant(const struct op_prepare *c, int i) {
    return i >= 0 && i < c->node->n_in && c->in[i].dtype != DT_NONE ? c->in[i].data : NULL;
}
static bool absent(const struct op_prepare *c, int i) {
    return i < 0 || i >= c->node->n_in || c->in[i].dtype == DT_NONE;
}

/* --- shapes --- */

struct dims {
    struct shape out, batch, a_batch, b_batch;
    size_t m, n, k, batches;
    bool a_transposed, b_transposed, b_shared;
};

static enum code shapes(const struct operand_at *at, const struct shape *a, const struct shape *b,
                        struct dims *d, struct err *e) {
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    const bool gemm = at->node->op == &op_q_gemm;
    struct shape x = a->rank == 1 ? (struct shape){2, {1, a->dims[0]}} : *a,
                 y = b->rank == 1 ? (struct shape){2, {b->dims[0], 1}} : *b;
    *d = (struct dims){.a_transposed = gemm && attr_int(at->node, "transA", 0),
                       .b_transposed = gemm && attr_int(at->node, "transB", 0),
                       .a_batch = x,
                       .b_batch = y};
    d->a_batch.rank -= 2, d->b_batch.rank -= 2;
    bool fits = a->rank >= 1 && b->rank >= 1 && (!gemm || (a->rank == 2 && b->rank == 2));
    int64_t m = 0, k = 0, n = 0;
    if (fits) {
        m = x.dims[x.rank - 2 + d->a_transposed], k = x.dims[x.rank - 1 - d->a_transposed],
        n = y.dims[y.rank - 1 - d->b_transposed];
        fits = k == y.dims[y.rank - 2 + d->b_transposed] &&
               shape_broadcast(&d->a_batch, &d->b_batch, &d->batch);
    }
    if (!fits)
        return operand_fail(at, e, INVALID, "shapes %s and %s do not multiply",
                            shape_print(a, text_a), shape_print(b, text_b));
    size_t of_b;
    d->out = d->batch;
    if (a->rank > 1)
        d->out.dims[d->out.rank++] = m;
    if (b->rank > 1)
        d->out.dims[d->out.rank++] = n;
    d->m = (size_t)m, d->n = (size_t)n, d->k = (size_t)k;
    d->b_shared = shape_count(&d->b_batch, &of_b) && of_b == 1;
    if (!shape_count(&d->batch, &d->batches))
        return operand_fail(at, e, LIMIT, "a batch of shape %s", shape_print(&d->batch, text_a));
    return OK;
}

/* --- infer --- */

static enum code infer(struct op_infer *c, const struct roles *r, enum dtype result,
                       struct err *e) {
    if (!q8_is(c->in[r->a].dtype) || !q8_is(c->in[r->b].dtype) ||
        (result != DT_I32 && result != DT_F32 && !q8_is(result)))
        return operand_fail(c, e, UNSUPPORTED, "inputs %s and %s, output %s",
                            dtype_name(c->in[r->a].dtype), dtype_name(c->in[r->b].dtype),
                            dtype_name(result));
    operand_out_later(c, 0, result);
    if (!c->in[r->a].known || !c->in[r->b].known)
        return OK;
    struct dims d;
    TRY(shapes(OPERAND_AT(c), &c->in[r->a].shape, &c->in[r->b].shape, &d, e));
    const int of_rows[] = {r->a_scale, r->a_zero}, of_columns[] = {r->b_scale, r->b_zero},
              single[] = {r->y_scale, r->y_zero};
    for (int i = 0; i < 2; i++) {
        if (of_rows[i] >= 0 && operand_given(c, of_rows[i]))
            TRY(q8_check(OPERAND_AT(c), &c->in[of_rows[i]], (int64_t)d.m, "a parameter of A", e));
        if (of_columns[i] >= 0 && operand_given(c, of_columns[i]))
            TRY(q8_check(OPERAND_AT(c), &c->in[of_columns[i]], (int64_t)d.n, "a parameter of B",
                         e));
        if (single[i] >= 0 && operand_given(c, single[i]))
            TRY(q8_check(OPERAND_AT(c), &c->in[single[i]], 1, "a parameter of the output", e));
    }
    if (r->bias >= 0 && operand_given(c, r->bias)) {
        struct shape both;
        if (c->in[r->bias].dtype != DT_I32 ||
            (c->in[r->bias].known &&
             (!shape_broadcast(&d.out, &c->in[r->bias].shape, &both) || !shape_eq(&both, &d.out))))
            return operand_fail(c, e, INVALID,
                                "C is not of type i32 or does not broadcast to the product");
    }
    return operand_out(c, 0, result, &d.out, e);
}

static enum code infer_q_linear_mat_mul(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 8, e));
    return infer(c, &of_linear, c->in[7].dtype, e);
}
static enum code infer_mat_mul_integer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    return infer(c, &of_integer, DT_I32, e);
}
static enum code infer_q_gemm(
    struct op_infer *c, struct err *e) { /* without the output's parameters the result is f32 */
    TRY(operand_need(c, 6, e));
    return infer(c, &of_gemm,
                 operand_given(c, 7) ? (operand_given(c, 8) ? c->in[8].dtype : DT_NONE) : DT_F32,
                 e);
}

/* --- prepare --- */

struct qmatmul {
    struct dims d;
    struct product p;       /* of one batch, in units: pairs of k */
    struct dnnl_task *task; /* or NULL. Owned, freed by release */
    bool quads;             /* a convolution of m pixels in one line */
    struct implicit implicit;
    const float *scale;  /* (n), of the plan: quads alone, as is... */
    const int32_t *bias; /* ...this, with A's zero point taken off */
    const void *weights; /* quads or oneDNN's */
    bool packed;         /* p.panels is B */
    int team;            /* batches made side by side; each has scratch of its own */
    size_t a_at, b_at, sums_at, scale_at, inner_at, scratch_each;
};

static bool exact_bytes(void) { return (cpu_flags() & (CPU_VNNI | CPU_AVX_VNNI | CPU_AMX)) != 0; }

static bool one_entry(const struct op_prepare *c, int i) {
    size_t n;
    return absent(c, i) || (shape_count(&c->in[i].shape, &n) && n == 1);
}

/* No C, or one row of it. */
static bool row_bias(const struct op_prepare *c, const struct qmatmul *s, const struct roles *r) {
    size_t n;
    if (absent(c, r->bias))
        return true;
    const struct shape *shape = &c->in[r->bias].shape;
    return shape_count(shape, &n) && n == s->d.n && shape->rank > 0 &&
           shape->dims[shape->rank - 1] == (int64_t)n;
}

static bool task_fits(const struct op_prepare *c, const struct qmatmul *s, const struct roles *r) {
    const int needed[] = {r->a_scale, r->b, r->b_scale, r->y_scale},
              zeros[] = {r->a_zero, r->b_zero, r->y_zero};
    if (r == &of_integer || !exact_bytes() || !s->d.b_shared || c->in[r->b].dtype != DT_I8 ||
        !one_entry(c, r->a_scale) || !one_entry(c, r->a_zero) || !row_bias(c, s, r) ||
        attr_float(c->node, "alpha", 1) != 1 || c->out[0].dtype == DT_F32)
        return false;
    for (int i = 0; i < 4; i++)
        if (!constant(c, needed[i]))
            return false;
    for (int i = 0; i < 3; i++)
        if (!absent(c, zeros[i]) && !constant(c, zeros[i]))
            return false;
    return q8_all_zero(constant(c, r->b_zero)) &&
           (double)s->d.batches * (double)s->d.m * (double)s->d.n * (double)s->d.k >= 1e6;
}

static bool wants_quads(const struct op_prepare *c, const struct qmatmul *s,
                        const struct roles *r) {
    return task_fits(c, s, r) && q8_quads() && c->in[r->a].dtype == DT_U8 && !s->d.a_transposed &&
           s->d.k % 4 == 0 && (absent(c, r->bias) || constant(c, r->bias));
}

/* B as (n, k). */
static void rows_of_b(const struct dims *d, const int8_t *b, int8_t *to) {
    if (d->b_transposed)
        memcpy(to, b, d->n * d->k);
    else
        kernel_set()->transpose_8(d->k, d->n, b, d->n, to, d->k);
}

static enum code pack_quads(struct op_prepare *c, struct qmatmul *s, const struct tensor *b,
                            struct err *e) {
    void *to;
    bool filled;
    TRY(pack_room(c, b->data, PACK_QUADS + s->d.b_transposed,
                  implicit_packed(&s->implicit) * sizeof(float), &to, &filled, e));
    if (!filled) {
        float *rows = mem_alloc(s->d.n * s->d.k);
        if (!rows)
            return operand_fail(c, e, NOMEM, "no memory to pack B");
        rows_of_b(&s->d, b->data, (int8_t *)rows);
        implicit_pack(&s->implicit, rows, to);
        mem_free(rows);
    }
    s->weights = to;
    return OK;
}

static enum code make_quads(struct op_prepare *c, struct qmatmul *s, const struct roles *r,
                            struct err *e) {
    const struct tensor *b = constant(c, r->b), *b_scale = constant(c, r->b_scale),
                        *given_bias = constant(c, r->bias);
    const int64_t pixels = (int64_t)(s->d.batches * s->d.m);
    const uint32_t zero = (uint32_t)q8_zero(constant(c, r->a_zero), 0);
    float *scale = ARENA_ARRAY(c->arena, s->d.n, float);
    int32_t *bias = ARENA_ARRAY(c->arena, s->d.n, int32_t);
    if (!scale || !bias)
        return arena_fail(c->arena, s->d.n * sizeof *scale, "scales", e);
    for (size_t col = 0; col < s->d.n; col++) {
        const int8_t *at = (const int8_t *)b->data + col * (s->d.b_transposed ? s->d.k : 1);
        uint32_t sum = 0;
        for (size_t k = 0; zero && k < s->d.k; k++, at += s->d.b_transposed ? 1 : s->d.n)
            sum += (uint32_t)*at;
        scale[col] = q8_scale(constant(c, r->a_scale), 0) * q8_scale(b_scale, col) /
                     q8_scale(constant(c, r->y_scale), 0);
        if (!__builtin_isfinite(scale[col]))
            return operand_fail(c, e, INVALID, "the scales of inputs and output give %g",
                                (double)scale[col]);
        bias[col] =
            (int32_t)((given_bias ? ((const uint32_t *)given_bias->data)[col] : 0) - sum * zero);
    }
    s->scale = scale, s->bias = bias, s->quads = true;
    implicit_plan(
        &s->implicit,
        &(struct window){
            .n = 1, .in = {pixels}, .out = {pixels}, .kernel = {1}, .stride = {1}, .dilation = {1}},
        1, 1, s->d.k / 4, s->d.n);
    return pack_quads(c, s, b, e);
}

static enum code try_task(struct op_prepare *c, struct qmatmul *s, const struct roles *r,
                          struct err *e) {
    const struct tensor *b = constant(c, r->b), *b_scale = constant(c, r->b_scale);
    float *scales = ARENA_ARRAY(c->arena, s->d.n, float);
    if (!scales)
        return arena_fail(c->arena, s->d.n * sizeof(float), "scales", e);
    for (size_t i = 0; i < s->d.n; i++)
        scales[i] = q8_scale(constant(c, r->a_scale), 0) * q8_scale(b_scale, i) /
                    q8_scale(constant(c, r->y_scale), 0);
    struct dnnl_matmul d = {.batch = 1,
                            .m = (int64_t)(s->d.batches * s->d.m),
                            .n = (int64_t)s->d.n,
                            .k = (int64_t)s->d.k,
                            .b_batch = 1,
                            .a_transposed = s->d.a_transposed,
                            .b_transposed = s->d.b_transposed,
                            .constant = true,
                            .bias = !absent(c, r->bias),
                            .src = c->in[r->a].dtype == DT_U8 ? DNNL_NUMBER_U8 : DNNL_NUMBER_I8,
                            .dst = c->out[0].dtype == DT_U8 ? DNNL_NUMBER_U8 : DNNL_NUMBER_I8,
                            .scales = scales,
                            .n_scales = tensor_count(b_scale) > 1 ? (int64_t)s->d.n : 1,
                            .src_zero = q8_zero(constant(c, r->a_zero), 0),
                            .dst_zero = q8_zero(constant(c, r->y_zero), 0),
                            .threads = team_size(c->threads, 0.003 * (double)s->d.batches *
                                                                 (double)s->d.m * (double)s->d.n *
                                                                 (double)s->d.k)};
    struct err ignored;
    if (dnnl_task_matmul(&d, &s->task, &ignored) != OK) {
        s->task = NULL;
        return OK;
    }
    void *to;
    bool filled;
    TRY(pack_room(c, b->data, dnnl_task_packing(s->task), dnnl_task_packed(s->task), &to, &filled,
                  e));
    if (!filled)
        TRY(dnnl_task_pack(s->task, b->data, to, e));
    s->weights = to;
    return OK;
}

/* Columns [begin, begin + n) of B (k, d->n) as pairs of neighbours in k, their zero points taken
 * off: `zeros` are those of bytes that have been flipped to unsigned. */
static void interleave(const struct dims *d, const uint8_t *b, uint8_t flip, const int16_t *zeros,
                       size_t begin, size_t n, int16_t *to) {
    for (size_t k = 0; k < d->k; k += 2) {
        const uint8_t *even = b + k * d->n + begin, *odd = even + d->n;
        int16_t *pair = to + (k * d->n + 2 * begin);
        const bool whole = k + 1 < d->k;
        for (size_t i = 0; whole && i < n; i++) {
            pair[2 * i] = (int16_t)((even[i] ^ flip) - zeros[i]);
            pair[2 * i + 1] = (int16_t)((odd[i] ^ flip) - zeros[i]);
        }
        for (size_t i = 0; !whole && i < n; i++) {
            pair[2 * i] = (int16_t)((even[i] ^ flip) - zeros[i]);
            pair[2 * i + 1] = 0;
        }
    }
}

/* B of one batch as pairs: (k, n) as (units, n), transposed (n, k) as (n, units). */
static void pairs_of_b(const struct dims *d, const struct tensor *b, size_t first,
                       const struct tensor *zero, int16_t *to) {
    enum { BLOCK = 256 };
    const bool is_signed = b->dtype == DT_I8;
    int16_t zeros[BLOCK];
    for (size_t col = 0; d->b_transposed && col < d->n; col++)
        for (size_t k = 0; k < 2 * q8_units(d->k); k++)
            *to++ = k < d->k ? (int16_t)(tensor_i64(b, first + col * d->k + k) - q8_zero(zero, col))
                             : 0;
    for (size_t col = 0; !d->b_transposed && col < d->n; col += BLOCK) {
        const size_t n = d->n - col < BLOCK ? d->n - col : BLOCK;
        for (size_t i = 0; i < n; i++)
            zeros[i] = (int16_t)(q8_zero(zero, col + i) + (is_signed ? 128 : 0));
        interleave(d, (const uint8_t *)b->data + first, is_signed ? 0x80 : 0, zeros, col, n, to);
    }
}

static enum code pack_b(struct op_prepare *c, struct qmatmul *s, const struct roles *r,
                        struct err *e) {
    const struct tensor *b = constant(c, r->b), *zero = constant(c, r->b_zero);
    void *to;
    bool filled;
    if (!b || !s->d.b_shared || (!zero && !absent(c, r->b_zero)))
        return OK;
    TRY(pack_room(c, b->data, PACK_OTHER + 7 + s->d.b_transposed,
                  product_pack_floats(&s->p) * sizeof(float), &to, &filled, e));
    if (!filled) {
        int16_t *pairs = mem_alloc(s->d.n * s->p.k * sizeof(float) + 1);
        if (!pairs)
            return operand_fail(c, e, NOMEM, "no memory to pack B");
        pairs_of_b(&s->d, b, 0, zero, pairs);
        product_pack(&s->p, (const float *)pairs, to);
        mem_free(pairs);
    }
    s->p.panels = to;
    s->packed = true;
    return OK;
}

static void release_qmatmul(void *state) {
    struct qmatmul *s = state;
    if (s)
        dnnl_task_free(s->task);
}

static enum code prepare_qmatmul(struct op_prepare *c, struct err *e) {
    const struct roles *r = roles_of(c->node);
    struct qmatmul *s = ARENA_NEW(c->arena, struct qmatmul);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a matrix product", e);
    TRY(shapes(OPERAND_AT(c), &c->in[r->a].shape, &c->in[r->b].shape, &s->d, e));
    const size_t units = q8_units(s->d.k);
    s->p = (struct product){.m = s->d.m,
                            .n = s->d.n,
                            .k = units,
                            .a_row = units,
                            .b_row = s->d.b_transposed ? units : s->d.n,
                            .c_row = s->d.n,
                            .b_transposed = s->d.b_transposed,
                            .pairs = true};
    enum code code = wants_quads(c, s, r) ? make_quads(c, s, r, e)
                     : task_fits(c, s, r) ? try_task(c, s, r, e)
                                          : OK;
    if (code == OK && !s->task && !s->quads)
        code = pack_b(c, s, r, e);
    if (code != OK) {
        release_qmatmul(s);
        return code;
    }
    const bool own = s->task == NULL && !s->quads;
    size_t at = 0;
    s->a_at = scratch_take(&at, own ? s->d.m * units * sizeof(float) : 0);
    s->b_at = scratch_take(&at, own && !s->packed ? s->d.n * units * sizeof(float) : 0);
    s->sums_at = scratch_take(&at, own ? s->d.m * s->d.n * sizeof(int32_t) : 0);
    s->scale_at = scratch_take(&at, s->d.n * sizeof(float));
    s->inner_at = scratch_take(&at, s->quads ? implicit_scratch(&s->implicit, c->threads)
                                    : own    ? product_scratch(&s->p)
                                             : dnnl_task_scratch(s->task));
    c->flops = 2.0 * (double)s->d.batches * (double)s->d.m * (double)s->d.n * (double)s->d.k;
    s->team =
        own && s->d.batches >= (size_t)c->threads ? team_size(c->threads, 0.02 * c->flops) : 1;
    s->scratch_each = at;
    c->scratch_bytes = at * (size_t)s->team;
    c->state = s;
    c->kernel = s->quads ? "panel bytes" : s->task ? dnnl_task_kernel(s->task) : "panel int16";
    return OK;
}

/* --- run: our own --- */

/* A (m, k) of one batch as pairs, row by row since its zero point may be per row. */
static void pairs_of_a(const struct op_call *c, const struct qmatmul *s, const struct roles *r,
                       size_t first, int16_t *to, int threads) {
    const struct tensor *a = c->in[r->a], *zero = given(c, r->a_zero);
    const size_t even = 2 * s->p.k;
    if (!s->d.a_transposed && (!zero || tensor_count(zero) == 1)) {
        q8_widen(&(struct q8_widen){.x = (const char *)a->data + first,
                                    .is_signed = a->dtype == DT_I8,
                                    .rows = s->d.m,
                                    .n = s->d.k,
                                    .x_row = s->d.k,
                                    .zero = q8_zero(zero, 0),
                                    .y = to},
                 threads);
        return;
    }
    for (size_t row = 0; row < s->d.m; row++)
        for (size_t k = 0; k < even; k++) {
            size_t at = first + (s->d.a_transposed ? k * s->d.m + row : row * s->d.k + k);
            to[row * even + k] = k < s->d.k ? (int16_t)(tensor_i64(a, at) - q8_zero(zero, row)) : 0;
        }
}

/* C of q_gemm, added to the sums. */
static void add_bias(const struct qmatmul *s, const struct tensor *bias, int32_t *sums) {
    int64_t steps[SHAPE_MAX];
    shape_strides_to(&bias->shape, &s->d.out, steps);
    for (size_t row = 0; row < s->d.m; row++)
        for (size_t col = 0; col < s->d.n; col++) {
            int64_t v = tensor_i64(bias, row * (size_t)steps[0] + col * (size_t)steps[1]);
            sums[row * s->d.n + col] = (int32_t)((uint32_t)sums[row * s->d.n + col] + (uint32_t)v);
        }
}

static enum code finish(const struct op_call *c, const struct qmatmul *s, const struct roles *r,
                        const int32_t *sums, char *y, float *scale, struct err *e) {
    const float alpha = attr_float(c->node, "alpha", 1), of_y = q8_scale(given(c, r->y_scale), 0);
    const struct tensor *of_a = given(c, r->a_scale), *of_b = given(c, r->b_scale);
    const enum dtype t = c->out[0]->dtype;
    for (size_t row = 0; row < s->d.m; row++) {
        for (size_t col = 0; (row == 0 || tensor_count(of_a) > 1) && col < s->d.n; col++) {
            scale[col] =
                alpha * q8_scale(of_a, row) * q8_scale(of_b, col) / (t == DT_F32 ? 1 : of_y);
            if (!__builtin_isfinite(scale[col]))
                return operand_fail(c, e, INVALID, "the scales of inputs and output give %g",
                                    (double)scale[col]);
        }
        if (t == DT_F32)
            for (size_t col = 0; col < s->d.n; col++)
                ((float *)y)[row * s->d.n + col] = (float)sums[row * s->d.n + col] * scale[col];
        else
            q8_narrow(&(struct q8_narrow){.rows = 1,
                                          .n = s->d.n,
                                          .sums = sums + row * s->d.n,
                                          .scale = scale,
                                          .zero = q8_zero(given(c, r->y_zero), 0),
                                          .is_signed = t == DT_I8,
                                          .y = y + row * s->d.n});
    }
    return OK;
}

static enum code one_batch(const struct op_call *c, const struct qmatmul *s, size_t index,
                           char *scratch, int threads, struct err *e) {
    const struct roles *r = roles_of(c->node);
    char *y = (char *)c->out[0]->data + index * s->d.m * s->d.n * dtype_size(c->out[0]->dtype);
    int64_t a_steps[SHAPE_MAX] = {0}, b_steps[SHAPE_MAX] = {0};
    size_t rest = index, of_a = 0, of_b = 0;
    shape_strides_to(&s->d.a_batch, &s->d.batch, a_steps);
    shape_strides_to(&s->d.b_batch, &s->d.batch, b_steps);
    for (int axis = s->d.batch.rank - 1; axis >= 0; rest /= (size_t)s->d.batch.dims[axis], axis--) {
        of_a += rest % (size_t)s->d.batch.dims[axis] * (size_t)a_steps[axis];
        of_b += rest % (size_t)s->d.batch.dims[axis] * (size_t)b_steps[axis];
    }
    pairs_of_a(c, s, r, of_a * s->d.m * s->d.k, (int16_t *)(scratch + s->a_at), threads);
    if (!s->packed)
        pairs_of_b(&s->d, c->in[r->b], of_b * s->d.k * s->d.n, given(c, r->b_zero),
                   (int16_t *)(scratch + s->b_at));
    int32_t *sums = c->out[0]->dtype == DT_I32 ? (int32_t *)y : (int32_t *)(scratch + s->sums_at);
    product_run(&s->p, (const float *)(scratch + s->a_at), (const float *)(scratch + s->b_at),
                (float *)sums, scratch + s->inner_at, threads);
    if (given(c, r->bias))
        add_bias(s, given(c, r->bias), sums);
    return r == &of_integer ? OK : finish(c, s, r, sums, y, (float *)(scratch + s->scale_at), e);
}

/* Part `part` of the team's batches. */
static enum code some_batches(const struct op_call *c, const struct qmatmul *s, int part,
                              struct err *e) {
    const size_t end = team_cut(s->d.batches, 1, s->team, part + 1);
    for (size_t i = team_cut(s->d.batches, 1, s->team, part); i < end; i++)
        TRY(one_batch(c, s, i, (char *)c->scratch + (size_t)part * s->scratch_each,
                      s->team > 1 ? 1 : c->threads, e));
    return OK;
}

static enum code all_batches(const struct op_call *c, const struct qmatmul *s, struct err *e) {
    if (s->team == 1)
        return some_batches(c, s, 0, e);
    enum code worst = OK;
#pragma omp parallel for num_threads(s->team) schedule(static)
    for (int part = 0; part < s->team; part++) {
        struct err own;
        enum code code = some_batches(c, s, part, &own);
        if (code != OK) {
#pragma omp critical
            *e = own, worst = code;
        }
    }
    return worst;
}

static void run_quads(const struct op_call *c, const struct qmatmul *s, const struct roles *r) {
    const struct quads_finish finish = {.is_signed = c->out[0]->dtype == DT_I8,
                                        .zero = q8_zero(given(c, r->y_zero), 0)};
    implicit_run(&s->implicit, &(struct implicit_run){.x = c->in[r->a]->data,
                                                      .packed = s->weights,
                                                      .bias = (const float *)s->bias,
                                                      .scale = s->scale,
                                                      .finish = &finish,
                                                      .y = c->out[0]->data,
                                                      .scratch = (char *)c->scratch + s->inner_at,
                                                      .threads = c->threads});
}

static enum code run_qmatmul(const struct op_call *c, struct err *e) {
    const struct qmatmul *s = c->state;
    const struct roles *r = roles_of(c->node);
    if (tensor_count(c->out[0]) == 0)
        return OK;
    if (s->task) {
        const struct tensor *bias = given(c, r->bias);
        struct dnnl_run run = {.src = c->in[r->a]->data,
                               .weights = s->weights,
                               .bias = bias ? bias->data : NULL,
                               .dst = c->out[0]->data,
                               .scratch = (char *)c->scratch + s->inner_at};
        return dnnl_task_run(s->task, &run, e);
    }
    if (s->quads) {
        run_quads(c, s, r);
        return OK;
    }
    return all_batches(c, s, e);
}

#define QMATMUL_OP(name)                                                                           \
    const struct op op_##name = {#name,           OP_PURE | OP_TEAM, infer_##name,                 \
                                 prepare_qmatmul, run_qmatmul,       release_qmatmul};
QMATMUL_OP(q_linear_mat_mul)
QMATMUL_OP(mat_mul_integer)
QMATMUL_OP(q_gemm)
