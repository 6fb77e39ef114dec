/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul_bf16: a matrix product with constant weights, multiplied as bf16 and summed in f32. Only
 * the pass "narrow" makes it, out of mat_mul and gemm: inputs A (bf16, any leading dims), B (f32,
 * constant; (K, N), or (N, K) with transB), bias (f32, N elements), operands of posts (f32 or
 * bf16); "wide" = 1 for a result in f32.
 *
 * oneDNN on processors with AVX512_BF16; else our own f32 product of the same rounded numbers.
 *
 * Scratch, where the product is not oneDNN's or posts remain: [A as f32] [y as f32] [inner]. */
#include "op/operand.h"
#include "op/pack.h"
#include "op/post.h"
#include "op/product.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/wide.h"

static enum code infer_product(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    const bool turned = attr_int(c->node, "transB", 0) != 0;
    enum dtype to = attr_int(c->node, "wide", 0) ? DT_F32 : DT_BF16;
    if (c->in[0].dtype != DT_BF16 || c->in[1].dtype != DT_F32 ||
        (operand_given(c, 2) && c->in[2].dtype != DT_F32))
        return operand_fail(c, e, INVALID, "inputs are %s and %s", dtype_name(c->in[0].dtype),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, to);
    if (!operand_known(c))
        return OK;
    struct shape out = c->in[0].shape;
    const struct shape *b = &c->in[1].shape;
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    size_t bias = 0;
    bool fits = out.rank >= 2 && b->rank == 2 && out.dims[out.rank - 1] == b->dims[turned];
    if (fits && operand_given(c, 2))
        fits = shape_count(&c->in[2].shape, &bias) && (int64_t)bias == b->dims[!turned];
    if (!fits)
        return operand_fail(c, e, INVALID, "shapes %s and %s do not multiply",
                            shape_print(&out, text_a), shape_print(b, text_b));
    out.dims[out.rank - 1] = b->dims[!turned];
    return operand_out(c, 0, to, &out, e);
}

/* --- prepare --- */

struct state {
    struct product p;       /* panels: B for either kernel */
    struct dnnl_task *task; /* or NULL. Owned, freed by release */
    bool fused;             /* the task does the posts, and makes the output's type */
    size_t a_wide, y_wide, inner;
};

static double multiplications(const struct product *p) {
    return (double)p->m * (double)p->n * (double)p->k;
}

static void try_task(const struct op_prepare *c, struct state *s) {
    const struct product *p = &s->p;
    struct err ignored;
    struct dnnl_matmul d = {.batch = 1,
                            .m = (int64_t)p->m,
                            .n = (int64_t)p->n,
                            .k = (int64_t)p->k,
                            .b_batch = 1,
                            .b_transposed = p->b_transposed,
                            .constant = true,
                            .src = DNNL_NUMBER_BF16,
                            .dst = c->out[0].dtype == DT_F32 ? DNNL_NUMBER_F32 : DNNL_NUMBER_BF16,
                            .bias = c->node->n_in > 2 && c->in[2].dtype != DT_NONE,
                            .threads = team_size(c->threads, 0.006 * multiplications(p))};
    if (!(cpu_flags() & CPU_BF16))
        return;
    if (post_fused(c, d.fused) && post_flatten(d.fused, c->node->n_post, &c->out[0].shape, p->m)) {
        d.n_fused = c->node->n_post;
        s->fused = dnnl_task_matmul(&d, &s->task, &ignored) == OK;
    }
    d.n_fused = 0;
    d.dst = DNNL_NUMBER_F32;
    if (!s->fused && dnnl_task_matmul(&d, &s->task, &ignored) != OK)
        s->task = NULL;
}

static enum code pack_b(struct op_prepare *c, struct state *s, struct err *e) {
    const struct tensor *b = c->in[1].data;
    struct product *p = &s->p;
    size_t bytes = s->task ? dnnl_task_packed(s->task) : product_pack_floats(p) * sizeof(float);
    uint64_t packing = s->task           ? dnnl_task_packing(s->task)
                       : p->b_transposed ? PACK_BF16_PANEL_TRANSPOSED
                                         : PACK_BF16_PANEL;
    void *to;
    bool filled;
    TRY(pack_room(c, b->data, packing, bytes, &to, &filled, e));
    if (!filled && s->task) {
        TRY(dnnl_task_pack(s->task, b->data, to, e));
    } else if (!filled) {
        product_pack(p, b->data, to);
        wide_round_bf16(to, bytes / sizeof(float));
    }
    p->panels = to;
    return OK;
}

static void release_product(void *state) {
    struct state *s = state;
    if (s)
        dnnl_task_free(s->task);
}

static void lay_out(struct op_prepare *c, struct state *s) {
    size_t at = 0;
    const size_t a = s->p.m * s->p.k, y = s->p.m * s->p.n;
    s->a_wide = scratch_take(&at, s->task ? 0 : a * sizeof(float));
    s->y_wide = scratch_take(&at, s->fused ? 0 : y * sizeof(float));
    s->inner = scratch_take(&at, s->task ? dnnl_task_scratch(s->task) : product_scratch(&s->p));
    c->scratch_bytes = at;
}

static enum code prepare_product(struct op_prepare *c, struct err *e) {
    const struct shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    const bool turned = attr_int(c->node, "transB", 0) != 0;
    if (!c->in[1].data)
        return operand_fail(c, e, INVALID, "the weights are not constant");
    struct state *s = ARENA_NEW(c->arena, struct state);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a matrix product", e);
    s->p = (struct product){.m = 1,
                            .n = (size_t)b->dims[!turned],
                            .k = (size_t)b->dims[turned],
                            .a_row = (size_t)b->dims[turned],
                            .b_row = (size_t)b->dims[1],
                            .c_row = (size_t)b->dims[!turned],
                            .b_transposed = turned};
    for (int axis = 0; axis < a->rank - 1; axis++)
        s->p.m *= (size_t)a->dims[axis];
    if (multiplications(&s->p) > 0)
        try_task(c, s);
    enum code code = pack_b(c, s, e);
    if (code != OK) {
        release_product(s);
        return code;
    }
    lay_out(c, s);
    c->state = s;
    c->flops = 2 * multiplications(&s->p);
    c->kernel = s->task ? dnnl_task_kernel(s->task) : "bf16 in f32";
    return OK;
}

/* --- run --- */

static enum code run_task(const struct op_call *c, const struct state *s, void *y, struct err *e) {
    const struct tensor *bias = operand_in(c, 2);
    struct dnnl_run run = {.src = c->in[0]->data,
                           .weights = s->p.panels,
                           .bias = bias ? bias->data : NULL,
                           .dst = y,
                           .scratch = (char *)c->scratch + s->inner};
    post_extras(c, s->fused, 0, &run);
    return dnnl_task_run(s->task, &run, e);
}

static void run_wide(const struct op_call *c, const struct state *s, float *y) {
    const struct tensor *bias = operand_in(c, 2);
    float *a = (float *)((char *)c->scratch + s->a_wide);
    struct product p = s->p;
    p.bias = bias ? bias->data : NULL;
    wide_load_all(DT_BF16, c->in[0]->data, tensor_count(c->in[0]), a, c->threads);
    product_run(&p, a, NULL, y, (char *)c->scratch + s->inner, c->threads);
}

static enum code run_product(const struct op_call *c, struct err *e) {
    const struct state *s = c->state;
    if (tensor_count(c->out[0]) == 0)
        return OK;
    void *y = s->fused ? c->out[0]->data : (char *)c->scratch + s->y_wide;
    if (s->task)
        TRY(run_task(c, s, y, e));
    else
        run_wide(c, s, y);
    if (s->fused)
        return OK;
    post_deliver(c, y);
    return OK;
}

const struct op op_mat_mul_bf16 = {"mat_mul_bf16", OP_PURE | OP_POST | OP_TEAM,
                                   infer_product,  prepare_product,
                                   run_product,    release_product};
