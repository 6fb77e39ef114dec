/* SPDX-License-Identifier: Apache-2.0 */
/* conv_bf16: a convolution whose input and constant weights are multiplied as bf16 and summed in
 * f32. Only the pass "narrow" makes it, out of conv: inputs x (bf16), weights (f32, constant), bias
 * (f32), operands of posts (f32 or bf16); attributes are conv's, and "wide" = 1 for a result in
 * f32.
 *
 * On processors with AVX512_BF16: large dense 3 x 3 windows by Winograd (winograd.h), whose patches
 * and weights are rounded once more; all else by oneDNN; or whichever of the two a trial found.
 * Other processors run our own f32 kernels over the same rounded numbers.
 *
 * A result goes straight to the output when the kernel can apply all posts and the layout is
 * channels last. Else it is staged in scratch as f32: [x channels last] [x as f32] [y channels
 * last] [y plain] [what the kernel asks]. */
#include "op/implicit.h"
#include "op/operand.h"
#include "op/pack.h"
#include "op/post.h"
#include "op/reorder.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/wide.h"
#include "op/winograd.h"

static enum code infer_conv(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    enum dtype to = attr_int(c->node, "wide", 0) ? DT_F32 : DT_BF16;
    if (c->in[0].dtype != DT_BF16 || c->in[1].dtype != DT_F32 ||
        (operand_given(c, 2) && c->in[2].dtype != DT_F32))
        return operand_fail(c, e, INVALID, "input is %s, weights are %s",
                            dtype_name(c->in[0].dtype), dtype_name(c->in[1].dtype));
    return window_infer_conv(c, to, e);
}

/* --- prepare --- */

/* Who does it: the first two are tried by whoever tunes, the last is for processors without bf16,
 * and for what oneDNN does not take. */
enum way { WAY_TASK, WAY_WINOGRAD, WAYS, WAY_WIDE = WAYS };

struct conv {
    struct implicit implicit;
    enum way way;
    struct dnnl_task *task; /* of WAY_TASK, else NULL. Owned, freed by release */
    struct winograd winograd;
    const void *packed;
    bool plain;  /* x and y go through scratch */
    bool fused;  /* the way does the posts */
    bool staged; /* the result is made in scratch, as f32 */
    bool wide;   /* the output is f32 */
    size_t x_last, x_wide, y_last, y_plain, inner;
};

/* An estimate: half of what conv.c counts for f32; six times that where each channel is on its own.
 */
static double cost_ns(const struct implicit *p) {
    return implicit_multiplications(p) * (p->in == 1 ? 0.036 : 0.006);
}

static void describe(const struct op_prepare *c, const struct conv *s, struct dnnl_conv *d) {
    const struct implicit *p = &s->implicit;
    implicit_describe(p, d);
    d->src = DNNL_NUMBER_BF16;
    d->dst = s->wide ? DNNL_NUMBER_F32 : DNNL_NUMBER_BF16;
    d->bias = c->node->n_in > 2 && c->in[2].dtype != DT_NONE;
    d->threads = team_size(c->threads, cost_ns(p));
}

static void try_task(const struct op_prepare *c, struct conv *s) {
    struct dnnl_conv d;
    struct err ignored;
    describe(c, s, &d);
    if (!s->plain && post_fused(c, d.fused)) {
        d.n_fused = c->node->n_post;
        s->fused = dnnl_task_conv(&d, &s->task, &ignored) == OK;
    }
    d.n_fused = 0;
    d.dst = DNNL_NUMBER_F32;
    if (!s->fused && dnnl_task_conv(&d, &s->task, &ignored) != OK)
        s->task = NULL;
}

/* Can it be done that way? Then everything is ready for it. */
static bool goes(const struct op_prepare *c, struct conv *s, enum way way) {
    const struct node *n = c->node;
    s->way = way;
    if (way == WAY_WINOGRAD) {
        s->fused =
            !s->plain && (n->n_post == 0 || (n->n_post == 1 && n->post[0].kind == POST_RELU));
        return winograd_plan(&s->winograd, &s->implicit, WINOGRAD_BF16, c->threads);
    }
    s->fused = false;
    try_task(c, s);
    return s->task != NULL;
}

static void choose(const struct op_prepare *c, struct conv *s) {
    if (!(cpu_flags() & CPU_BF16)) {
        s->way = WAY_WIDE;
        return;
    }
    if (c->way > 0 && c->way <= WAYS && goes(c, s, (enum way)(c->way - 1)))
        return;
    if (goes(c, s, WAY_WINOGRAD) && winograd_pays(&s->winograd))
        return;
    if (!goes(c, s, WAY_TASK))
        s->way = WAY_WIDE;
}

static enum code pack_weights(struct op_prepare *c, struct conv *s, struct err *e) {
    const struct tensor *w = c->in[1].data;
    size_t bytes = s->way == WAY_WINOGRAD ? winograd_packed(&s->winograd)
                   : s->task              ? dnnl_task_packed(s->task)
                                          : implicit_packed(&s->implicit) * sizeof(float);
    uint64_t packing = s->way == WAY_WINOGRAD ? PACK_BF16_WINOGRAD
                       : s->task              ? dnnl_task_packing(s->task)
                                              : PACK_BF16_IMPLICIT + s->implicit.groups;
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, packing, bytes, &to, &filled, e));
    if (!filled && s->way == WAY_WINOGRAD) {
        winograd_pack(&s->winograd, w->data, to);
    } else if (!filled && s->task) {
        TRY(dnnl_task_pack(s->task, w->data, to, e));
    } else if (!filled) {
        implicit_pack(&s->implicit, w->data, to);
        wide_round_bf16(to, bytes / sizeof(float));
    }
    s->packed = to;
    return OK;
}

static void lay_out(struct op_prepare *c, struct conv *s) {
    const struct implicit *p = &s->implicit;
    size_t at = 0, in = p->batch * window_inputs(&p->w) * p->groups * p->in,
           out = p->batch * window_pixels(&p->w) * p->groups * p->out;
    s->staged = s->plain || !s->fused;
    s->x_last = scratch_take(&at, s->plain ? in * sizeof(uint16_t) : 0);
    s->x_wide = scratch_take(&at, s->task || s->way == WAY_WINOGRAD ? 0 : in * sizeof(float));
    s->y_last = scratch_take(&at, s->staged ? out * sizeof(float) : 0);
    s->y_plain = scratch_take(&at, s->staged && s->plain ? out * sizeof(float) : 0);
    s->inner = scratch_take(&at, s->way == WAY_WINOGRAD ? winograd_scratch(&s->winograd, c->threads)
                                 : s->task              ? dnnl_task_scratch(s->task)
                                                        : implicit_scratch(p, c->threads));
    c->scratch_bytes = at;
}

static void release_conv(void *state) {
    struct conv *s = state;
    if (s)
        dnnl_task_free(s->task);
}

static enum code prepare_conv(struct op_prepare *c, struct err *e) {
    const struct shape *x = &c->in[0].shape, *w = &c->in[1].shape;
    struct window window;
    if (!c->in[1].data)
        return operand_fail(c, e, INVALID, "the weights are not constant");
    TRY(window_of_conv(OPERAND_AT(c), x, w, &window, e));
    window_lay_down(&window);
    struct conv *s = ARENA_NEW(c->arena, struct conv);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a convolution", e);
    size_t groups = (size_t)attr_int(c->node, "group", 1);
    implicit_plan(&s->implicit, &window, (size_t)x->dims[0], groups, (size_t)w->dims[1],
                  (size_t)w->dims[0] / groups);
    s->plain = c->in[0].layout == LAYOUT_PLAIN;
    s->wide = c->out[0].dtype == DT_F32;
    choose(c, s);
    if (s->way < WAYS) {
        c->took = (int)s->way + 1;
        c->n_ways = WAYS;
    }
    enum code code = pack_weights(c, s, e);
    if (code != OK) {
        release_conv(s);
        return code;
    }
    lay_out(c, s);
    c->state = s;
    c->flops = 2 * implicit_multiplications(&s->implicit);
    c->kernel = s->way == WAY_WINOGRAD ? "winograd 2x2"
                : s->task              ? dnnl_task_kernel(s->task)
                                       : "bf16 in f32";
    return OK;
}

/* --- run --- */

static enum code run_task(const struct op_call *c, const struct conv *s, const void *x, void *y,
                          struct err *e) {
    const struct tensor *bias = operand_in(c, 2);
    struct dnnl_run run = {.src = x,
                           .weights = s->packed,
                           .bias = bias ? bias->data : NULL,
                           .dst = y,
                           .scratch = (char *)c->scratch + s->inner};
    post_extras(c, s->fused, 0, &run);
    return dnnl_task_run(s->task, &run, e);
}

static void run_winograd(const struct op_call *c, const struct conv *s, const void *x, void *y) {
    const struct tensor *bias = operand_in(c, 2);
    winograd_run(&s->winograd, &(struct winograd_run){.x = x,
                                                      .packed = s->packed,
                                                      .bias = bias ? bias->data : NULL,
                                                      .y = y,
                                                      .wide = s->staged || s->wide,
                                                      .scratch = (char *)c->scratch + s->inner,
                                                      .threads = c->threads,
                                                      .relu = s->fused && c->node->n_post == 1});
}

static void run_wide(const struct op_call *c, const struct conv *s, const void *x, float *y) {
    const struct tensor *bias = operand_in(c, 2);
    float *wide = (float *)((char *)c->scratch + s->x_wide);
    wide_load_all(DT_BF16, x, tensor_count(c->in[0]), wide, c->threads);
    implicit_run(&s->implicit, &(struct implicit_run){.x = wide,
                                                      .packed = s->packed,
                                                      .bias = bias ? bias->data : NULL,
                                                      .y = y,
                                                      .scratch = (char *)c->scratch + s->inner,
                                                      .threads = c->threads});
}

/* What was made in scratch becomes the output. */
static void deliver(const struct op_call *c, const struct conv *s, float *y) {
    const struct implicit *p = &s->implicit;
    if (s->plain) {
        float *plain = (float *)((char *)c->scratch + s->y_plain);
        reorder_planes(y, plain, p->batch, window_pixels(&p->w), p->groups * p->out, sizeof *y,
                       c->threads);
        y = plain;
    }
    post_deliver(c, y);
}

static enum code run_conv(const struct op_call *c, struct err *e) {
    const struct conv *s = c->state;
    const struct implicit *p = &s->implicit;
    if (tensor_count(c->out[0]) == 0)
        return OK;
    const void *x = c->in[0]->data;
    if (s->plain) {
        void *last = (char *)c->scratch + s->x_last;
        reorder_planes(x, last, p->batch, p->groups * p->in, window_inputs(&p->w), sizeof(uint16_t),
                       c->threads);
        x = last;
    }
    void *y = s->staged ? (char *)c->scratch + s->y_last : c->out[0]->data;
    if (s->way == WAY_WINOGRAD)
        run_winograd(c, s, x, y);
    else if (s->task)
        TRY(run_task(c, s, x, y, e));
    else
        run_wide(c, s, x, y);
    if (s->staged)
        deliver(c, s, y);
    return OK;
}

const struct op op_conv_bf16 = {"conv_bf16", OP_PURE | OP_NHWC | OP_NHWC_WINS | OP_POST | OP_TEAM,
                                infer_conv,  prepare_conv,
                                run_conv,    release_conv};
