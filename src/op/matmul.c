/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul: numpy's matmul, with 1-D operands and broadcast batches. gemm: alpha * op(A) * op(B) +
 * beta * C.
 *
 * f32 with a constant B: packed once, for oneDNN where the product is large, for our own tile
 * kernel else, by Strassen's algorithm where that pays. Other f32: our own. f16 and bf16 are
 * computed in f32, f64 and integers by plain loops. */
#include "op/broadcast.h"
#include "op/op_list.h"
#include "op/operand.h"
#include "op/pack.h"
#include "op/post.h"
#include "op/product.h"
#include "op/scratch.h"
#include "op/strassen.h"
#include "op/team.h"

/* --- shapes --- */

struct matmul { /* after 1-D operands got their missing dim */
    struct product p;
    size_t batch;      /* of the output */
    struct shape out;  /* as the operator gives it */
    struct shape a, b; /* with at least two dims */
    float alpha, beta; /* gemm */
    bool b_shared;     /* one B for all: A's batch dims are rows of one product */
};

static enum code matmul_shapes(const struct operand_at *at, const struct shape *a,
                               const struct shape *b, struct matmul *m, struct err *e) {
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    *m = (struct matmul){.a = *a, .b = *b, .alpha = 1};
    if (a->rank == 1)
        m->a = (struct shape){2, {1, a->dims[0]}};
    if (b->rank == 1)
        m->b = (struct shape){2, {b->dims[0], 1}};
    struct shape batch_a = m->a, batch_b = m->b, batch;
    batch_a.rank -= 2, batch_b.rank -= 2;
    bool scalars = a->rank == 0 || b->rank == 0;
    int64_t rows = scalars ? 0 : m->a.dims[m->a.rank - 2],
            k = scalars ? 0 : m->a.dims[m->a.rank - 1], n = scalars ? 0 : m->b.dims[m->b.rank - 1];
    if (scalars || k != m->b.dims[m->b.rank - 2] || !shape_broadcast(&batch_a, &batch_b, &batch))
        return operand_fail(at, e, INVALID, "shapes %s and %s do not multiply",
                            shape_print(a, text_a), shape_print(b, text_b));
    size_t batches = 1;
    (void)shape_count(&batch, &batches);
    m->batch = batches;
    m->p = (struct product){.m = (size_t)rows,
                            .n = (size_t)n,
                            .k = (size_t)k,
                            .a_row = (size_t)k,
                            .b_row = (size_t)n,
                            .c_row = (size_t)n};
    m->out = batch;
    if (a->rank > 1)
        m->out.dims[m->out.rank++] = rows;
    if (b->rank > 1)
        m->out.dims[m->out.rank++] = n;
    size_t of_b = 1;
    (void)shape_count(&batch_b, &of_b);
    m->b_shared = of_b == 1;
    if (m->b_shared && shape_eq(&batch, &batch_a)) {
        m->p.m *= m->batch;
        m->batch = 1;
    }
    return OK;
}

static enum code gemm_shapes(const struct operand_at *at, const struct shape *a,
                             const struct shape *b, struct matmul *m, struct err *e) {
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    bool ta = attr_int(at->node, "transA", 0) != 0, tb = attr_int(at->node, "transB", 0) != 0;
    if (a->rank != 2 || b->rank != 2 || a->dims[!ta] != b->dims[tb])
        return operand_fail(at, e, INVALID, "shapes %s and %s do not multiply",
                            shape_print(a, text_a), shape_print(b, text_b));
    *m = (struct matmul){.a = *a,
                         .b = *b,
                         .batch = 1,
                         .b_shared = true,
                         .alpha = attr_float(at->node, "alpha", 1),
                         .beta = attr_float(at->node, "beta", 1)};
    m->p = (struct product){.m = (size_t)a->dims[ta],
                            .n = (size_t)b->dims[!tb],
                            .k = (size_t)a->dims[!ta],
                            .a_row = (size_t)a->dims[1],
                            .b_row = (size_t)b->dims[1],
                            .c_row = (size_t)b->dims[!tb],
                            .a_transposed = ta,
                            .b_transposed = tb};
    m->out = (struct shape){2, {a->dims[ta], b->dims[!tb]}};
    return OK;
}

/* --- infer --- */

static bool multiplies(enum dtype t) { return dtype_is_float(t) || dtype_is_integer(t); }

static enum code infer_mat_mul(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    if (c->in[0].dtype != c->in[1].dtype || !multiplies(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "inputs are %s and %s", dtype_name(c->in[0].dtype),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known || !c->in[1].known)
        return OK;
    struct matmul m;
    TRY(matmul_shapes(OPERAND_AT(c), &c->in[0].shape, &c->in[1].shape, &m, e));
    return operand_out(c, 0, c->in[0].dtype, &m.out, e);
}

static enum code infer_gemm(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    if (c->in[0].dtype != c->in[1].dtype || !multiplies(c->in[0].dtype) ||
        (operand_given(c, 2) && c->in[2].dtype != c->in[0].dtype))
        return operand_fail(c, e, INVALID, "inputs are %s and %s", dtype_name(c->in[0].dtype),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    struct matmul m;
    struct shape both;
    TRY(gemm_shapes(OPERAND_AT(c), &c->in[0].shape, &c->in[1].shape, &m, e));
    if (operand_given(c, 2) &&
        (!shape_broadcast(&m.out, &c->in[2].shape, &both) || !shape_eq(&both, &m.out)))
        return operand_fail(c, e, INVALID, "C does not broadcast to the product");
    return operand_out(c, 0, c->in[0].dtype, &m.out, e);
}

/* --- prepare --- */

struct state {
    struct matmul m;
    struct dnnl_task *task;           /* or NULL. Owned, freed by release */
    bool fused;                       /* the task does the posts */
    int bias;                         /* the input that is a row which the kernel adds; 0: none */
    int plus;                         /* the input of C's shape that the kernel adds; 0: none */
    int done;                         /* posts that are made so, of the node's first */
    bool inside;                      /* the other ones are applied to stretches of the product */
    bool seven;                       /* by Strassen's algorithm... */
    struct strassen strassen;         /* ...this one */
    const size_t *a_at, *b_at, *c_at; /* (batch) element offsets */
    size_t a_wide, b_wide, y_wide;    /* scratch offsets of the f32 forms of 16-bit operands */
    size_t inner;                     /* of what the kernel asks */
    bool half;
};

static enum code offsets(struct op_prepare *c, struct state *s, struct err *e) {
    const struct matmul *m = &s->m;
    size_t *at = ARENA_ARRAY(c->arena, 3 * m->batch, size_t);
    if (!at)
        return arena_fail(c->arena, 24 * m->batch, "offsets of a batch", e);
    struct shape a = m->a, b = m->b, out = m->out;
    a.rank -= 2, b.rank -= 2;
    out.rank -= (c->in[0].shape.rank > 1) + (c->in[1].shape.rank > 1);
    int64_t a_steps[SHAPE_MAX] = {0}, b_steps[SHAPE_MAX] = {0};
    if (out.rank > 0 && m->batch > 1) {
        shape_strides_to(&a, &out, a_steps);
        shape_strides_to(&b, &out, b_steps);
    }
    for (size_t i = 0; i < m->batch; i++) {
        size_t rest = i, of_a = 0, of_b = 0;
        for (int axis = out.rank - 1; axis >= 0 && m->batch > 1;
             rest /= (size_t)out.dims[axis], axis--) {
            size_t index = rest % (size_t)out.dims[axis];
            of_a += index * (size_t)a_steps[axis];
            of_b += index * (size_t)b_steps[axis];
        }
        at[i] = of_a * m->p.m * m->p.k;
        at[m->batch + i] = of_b * m->p.k * m->p.n;
        at[2 * m->batch + i] = i * m->p.m * m->p.n;
    }
    s->a_at = at, s->b_at = at + m->batch, s->c_at = at + 2 * m->batch;
    return OK;
}

static void try_task(const struct op_prepare *c, struct state *s) {
    const struct product *p = &s->m.p;
    struct err ignored;
    struct dnnl_matmul d = {
        .batch = 1,
        .m = (int64_t)p->m,
        .n = (int64_t)p->n,
        .k = (int64_t)p->k,
        .b_batch = 1,
        .a_transposed = p->a_transposed,
        .b_transposed = p->b_transposed,
        .constant = true,
        .bias = s->bias != 0,
        .threads = team_size(c->threads, 0.012 * (double)p->m * (double)p->n * (double)p->k)};
    struct dnnl_fused fused[DNNL_FUSED_MAX];
    const int left = c->node->n_post - s->done;
    if (left && s->m.out.rank >= 2 && post_fused(c, fused) &&
        post_flatten(fused + s->done, left, &s->m.out, p->m)) {
        memcpy(d.fused, fused + s->done, (size_t)left * sizeof *fused);
        d.n_fused = left;
        s->fused = dnnl_task_matmul(&d, &s->task, &ignored) == OK;
    }
    d.n_fused = 0;
    if (!s->task && dnnl_task_matmul(&d, &s->task, &ignored) != OK)
        s->task = NULL;
}

static double multiplications(const struct matmul *m) {
    return (double)m->batch * (double)m->p.m * (double)m->p.n * (double)m->p.k;
}

/* With some rows our own tiles win, which fetch the next panel of weights meanwhile: weights of a
 * model are seldom in a cache. */
static bool for_dnnl(const struct matmul *m, bool brief) {
    enum { FEW = 16, SOME = 256 };
    return multiplications(m) >= (brief ? 2e9 : 1e7) && m->batch == 1 && m->alpha == 1 &&
           (m->p.m < FEW || m->p.m > SOME || m->p.a_transposed);
}

/* Many rows, which an entry of the input has to itself. */
static bool for_strassen(const struct op_prepare *c, struct state *s) {
    const struct matmul *m = &s->m;
    const struct shape *a = &c->in[0].shape;
    if (m->batch != 1 || m->alpha != 1 || m->p.a_transposed || m->p.b_transposed || a->rank < 3)
        return false;
    const size_t rows = (size_t)a->dims[a->rank - 2];
    return rows && strassen_plan(&s->strassen, m->p.m / rows, rows, m->p.n, m->p.k, c->threads);
}

static enum code pack_b(struct op_prepare *c, struct state *s, struct err *e) {
    const struct tensor *b = c->in[1].data;
    struct product *p = &s->m.p;
    s->seven = for_strassen(c, s);
    if (!s->seven && for_dnnl(&s->m, c->brief))
        try_task(c, s);
    size_t bytes = s->task    ? dnnl_task_packed(s->task)
                   : s->seven ? strassen_floats(&s->strassen) * sizeof(float)
                              : product_pack_floats(p) * sizeof(float);
    uint64_t packing = s->task           ? dnnl_task_packing(s->task)
                       : s->seven        ? PACK_STRASSEN
                       : p->b_transposed ? PACK_PANEL_TRANSPOSED
                                         : PACK_PANEL;
    void *to;
    bool filled;
    TRY(pack_room(c, b->data, packing, bytes, &to, &filled, e));
    if (!filled && s->task)
        TRY(dnnl_task_pack(s->task, b->data, to, e));
    else if (!filled && s->seven)
        strassen_pack(&s->strassen, b->data, to);
    else if (!filled)
        product_pack(p, b->data, to);
    if (!filled)
        pack_flush(to, bytes / sizeof(float));
    p->panels = to;
    return OK;
}

static size_t elements(const struct shape *s) {
    size_t n;
    return shape_count(s, &n) ? n : 0;
}

static void release_matmul(void *state) {
    struct state *s = state;
    if (s)
        dnnl_task_free(s->task);
}

static bool is_row(const struct op_prepare *c, int input, size_t n) {
    const struct shape *s = &c->in[input].shape;
    return c->in[input].dtype == DT_F32 && s->rank >= 1 && elements(s) == n &&
           s->dims[s->rank - 1] == (int64_t)n;
}

/* The row that is added as it is: gemm's C, or else what the first post adds. */
static void find_bias(const struct op_prepare *c, bool gemm, struct state *s) {
    const struct node *n = c->node;
    const bool third = gemm && n->n_in > 2 && c->in[2].dtype != DT_NONE;
    if (c->out[0].dtype != DT_F32 || s->m.alpha != 1)
        return;
    if (third && s->m.beta == 1 && is_row(c, 2, s->m.p.n))
        s->bias = 2;
    if (third || !n->n_post || n->post[0].kind != POST_ADD || s->m.out.rank < 2 ||
        !is_row(c, n->post[0].input, s->m.p.n))
        return;
    s->bias = n->post[0].input;
    s->done = 1;
}

/* What our own tile does behind a product with packed weights: a residual is added as sums are
 * stored, other posts are applied to what has just been made. */
static void find_inside(const struct op_prepare *c, bool gemm, struct state *s) {
    const struct node *n = c->node;
    const bool third = gemm && n->n_in > 2 && c->in[2].dtype != DT_NONE && s->bias != 2;
    if (!s->m.p.panels || s->task || s->m.batch != 1 || s->m.alpha != 1 || third)
        return;
    if (!s->seven && n->n_post > s->done && n->post[s->done].kind == POST_ADD) {
        const struct op_value *other = &c->in[n->post[s->done].input];
        if (other->dtype == DT_F32 && shape_eq(&other->shape, &c->out[0].shape))
            s->plus = n->post[s->done++].input;
    }
    s->inside = n->n_post > s->done;
}

static enum code prepare(struct op_prepare *c, bool gemm, struct err *e) {
    enum dtype t = c->in[0].dtype;
    struct state *s = ARENA_NEW(c->arena, struct state);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a matrix product", e);
    TRY((gemm ? gemm_shapes : matmul_shapes)(OPERAND_AT(c), &c->in[0].shape, &c->in[1].shape, &s->m,
                                             e));
    s->half = t == DT_F16 || t == DT_BF16;
    find_bias(c, gemm, s);
    if (t == DT_F32 && c->in[1].data && s->m.b_shared) {
        enum code code = pack_b(c, s, e);
        if (code != OK) {
            release_matmul(s);
            return code;
        }
        find_inside(c, gemm, s);
    }
    TRY(offsets(c, s, e));
    size_t at = 0;
    s->a_wide = scratch_take(&at, s->half ? elements(&c->in[0].shape) * sizeof(float) : 0);
    s->b_wide = scratch_take(&at, s->half ? elements(&c->in[1].shape) * sizeof(float) : 0);
    s->y_wide = scratch_take(&at, s->half ? elements(&s->m.out) * sizeof(float) : 0);
    s->inner = scratch_take(&at, s->task    ? dnnl_task_scratch(s->task)
                                 : s->seven ? strassen_scratch(&s->strassen)
                                 : t == DT_F32 || s->half
                                     ? product_batch_scratch(&s->m.p, s->m.batch, c->threads)
                                     : 0);
    c->scratch_bytes = at;
    c->state = s;
    c->flops = 2 * multiplications(&s->m);
    c->kernel = s->task                  ? dnnl_task_kernel(s->task)
                : s->seven               ? "strassen gemm"
                : t == DT_F32 || s->half ? (s->m.p.panels ? "panel gemm" : "gemm")
                                         : "plain loops";
    return OK;
}

static enum code prepare_mat_mul(struct op_prepare *c, struct err *e) {
    return prepare(c, false, e);
}
static enum code prepare_gemm(struct op_prepare *c, struct err *e) { return prepare(c, true, e); }

/* --- run: f32 --- */

static enum code run_task(const struct op_call *c, const struct state *s, struct err *e) {
    struct dnnl_run run = {.src = c->in[0]->data,
                           .weights = s->m.p.panels,
                           .bias = s->bias ? c->in[s->bias]->data : NULL,
                           .dst = c->out[0]->data,
                           .scratch = (char *)c->scratch + s->inner};
    post_extras(c, s->fused, s->done, &run);
    return dnnl_task_run(s->task, &run, e);
}

/* What is left of a node's posts. */
struct rest {
    const struct op_call *call;
    int done;
};

static void apply_rest(const void *context, size_t begin, size_t count) {
    const struct rest *r = context;
    post_apply_from(r->call, r->call->out[0], r->done, begin, count);
}

static void run_strassen(const struct op_call *c, const struct state *s, const struct rest *rest) {
    strassen_run(&s->strassen, &(struct strassen_run){.a = c->in[0]->data,
                                                      .packed = s->m.p.panels,
                                                      .bias = s->bias ? c->in[s->bias]->data : NULL,
                                                      .c = c->out[0]->data,
                                                      .scratch = (char *)c->scratch + s->inner,
                                                      .done = s->inside ? apply_rest : NULL,
                                                      .context = rest});
}

static void run_f32(const struct op_call *c, const struct state *s, const float *a, const float *b,
                    float *y) {
    const struct rest rest = {c, s->done};
    if (s->seven) {
        run_strassen(c, s, &rest);
        return;
    }
    struct product_batch batch = {.product = s->m.p,
                                  .batch = s->m.batch,
                                  .a_at = s->a_at,
                                  .b_at = s->b_at,
                                  .c_at = s->c_at,
                                  .a = a,
                                  .b = b,
                                  .c = y};
    batch.product.bias = s->bias ? c->in[s->bias]->data : NULL;
    batch.product.plus = s->plus ? c->in[s->plus]->data : NULL;
    batch.product.done = s->inside ? apply_rest : NULL;
    batch.product.context = &rest;
    product_batch_run(&batch, (char *)c->scratch + s->inner, c->threads);
}

static void run_half(const struct op_call *c, const struct state *s) {
    const struct kernel_set *k = kernel_set();
    bool f16 = c->in[0]->dtype == DT_F16;
    float *a = (float *)((char *)c->scratch + s->a_wide),
          *b = (float *)((char *)c->scratch + s->b_wide),
          *y = (float *)((char *)c->scratch + s->y_wide);
    (f16 ? k->widen_f16 : k->widen_bf16)(tensor_count(c->in[0]), c->in[0]->data, a);
    (f16 ? k->widen_f16 : k->widen_bf16)(tensor_count(c->in[1]), c->in[1]->data, b);
    run_f32(c, s, a, b, y);
    (f16 ? k->narrow_f16 : k->narrow_bf16)(tensor_count(c->out[0]), y, c->out[0]->data);
}

/* --- run: other types, by plain loops; integers wrap --- */

#define LOOPS(type, sum_type)                                                                      \
    static void loops_##type(const struct product *p, const type *a, const type *b, type *c) {     \
        for (size_t row = 0; row < p->m; row++)                                                    \
            for (size_t col = 0; col < p->n; col++) {                                              \
                sum_type sum = 0;                                                                  \
                for (size_t k = 0; k < p->k; k++) {                                                \
                    type u = a[p->a_transposed ? k * p->a_row + row : row * p->a_row + k];         \
                    type v = b[p->b_transposed ? col * p->b_row + k : k * p->b_row + col];         \
                    sum += (sum_type)u * (sum_type)v;                                              \
                }                                                                                  \
                c[row * p->c_row + col] = (type)sum;                                               \
            }                                                                                      \
    }
LOOPS(double, double)
LOOPS(int8_t, uint64_t)
LOOPS(int16_t, uint64_t)
LOOPS(int32_t, uint64_t)
LOOPS(int64_t, uint64_t)

/* Unsigned products are the same bits as signed ones. */
static void run_plain(const struct op_call *c, const struct state *s) {
    const size_t bytes = dtype_size(c->in[0]->dtype);
    for (size_t i = 0; i < s->m.batch; i++) {
        const void *a = (const char *)c->in[0]->data + s->a_at[i] * bytes,
                   *b = (const char *)c->in[1]->data + s->b_at[i] * bytes;
        void *y = (char *)c->out[0]->data + s->c_at[i] * bytes;
        if (c->in[0]->dtype == DT_F64)
            loops_double(&s->m.p, a, b, y);
        else if (bytes == 1)
            loops_int8_t(&s->m.p, a, b, y);
        else if (bytes == 2)
            loops_int16_t(&s->m.p, a, b, y);
        else if (bytes == 4)
            loops_int32_t(&s->m.p, a, b, y);
        else
            loops_int64_t(&s->m.p, a, b, y);
    }
}

/* --- y = alpha * y + beta * C --- */

struct scaling {
    const struct tensor *y, *c;
    double alpha, beta;
};

static void add_whole(const struct tensor *y, size_t at, uint64_t v) { /* little-endian */
    size_t bytes = dtype_size(y->dtype);
    uint64_t sum = (uint64_t)tensor_i64(y, at) + v;
    memcpy((char *)y->data + at * bytes, &sum, bytes);
}

static void scale_piece(const struct broadcast_piece *p, void *ctx) {
    const struct scaling *s = ctx;
    const bool whole = dtype_is_integer(s->y->dtype);
    for (size_t row = 0; row < p->rows; row++)
        for (size_t i = 0; i < p->n; i++) {
            size_t at = p->out + row * p->n + i,
                   other =
                       (size_t)(p->in[0] + (ptrdiff_t)row * p->row[0] + (ptrdiff_t)i * p->step[0]);
            if (whole && s->alpha == 1 && s->beta == 1)
                add_whole(s->y, at, (uint64_t)tensor_i64(s->c, other));
            else
                operand_put(s->y, at,
                            s->alpha * tensor_f64(s->y, at) + s->beta * tensor_f64(s->c, other));
        }
}

static void scale(const struct op_call *c, const struct state *s) {
    const struct tensor *third = operand_in(c, 2), *y = c->out[0];
    const float zero[2] = {0};
    const struct tensor none = {.dtype = DT_F32, .data = (void *)(uintptr_t)zero};
    bool add = third && s->m.beta != 0;
    struct scaling scaling = {y, add ? third : &none, (double)s->m.alpha,
                              add ? (double)s->m.beta : 0};
    struct broadcast walk;
    broadcast_plan(&walk, y, &scaling.c, 1);
    broadcast_each(&walk, team_size(c->threads, 5.0 * (double)tensor_count(y)), scale_piece,
                   &scaling);
}

static enum code run_matmul(const struct op_call *c, struct err *e) {
    const struct state *s = c->state;
    const struct tensor *y = c->out[0];
    if (tensor_count(y) == 0)
        return OK;
    if (s->task)
        TRY(run_task(c, s, e));
    else if (y->dtype == DT_F32)
        run_f32(c, s, c->in[0]->data, c->in[1]->data, y->data);
    else if (s->half)
        run_half(c, s);
    else
        run_plain(c, s);
    bool third = c->node->op == &op_gemm && operand_in(c, 2) && s->bias != 2;
    if (third || s->m.alpha != 1)
        scale(c, s);
    if (!s->fused && !s->inside)
        post_apply_all(c, y, s->done);
    return OK;
}

const struct op op_mat_mul = {"mat_mul",       OP_PURE | OP_POST, infer_mat_mul,
                              prepare_mat_mul, run_matmul,        release_matmul};
const struct op op_gemm = {"gemm",       OP_PURE | OP_POST, infer_gemm,
                           prepare_gemm, run_matmul,        release_matmul};
