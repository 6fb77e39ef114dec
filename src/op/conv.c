/* SPDX-License-Identifier: Apache-2.0 */
/* conv: convolution of one to three spatial dims, grouped or not. ONNX Conv 1, 11, 22.
 *
 * The work is always done channels last. A PLAIN node carries its input there and its output back
 * through scratch memory. f32 with constant weights: oneDNN for the large ones, our own gathered
 * product and depthwise loops for the small ones and where oneDNN has no fast form, Winograd's
 * transforms for the large ones of 3 x 3; or whichever of these ways a trial found. Weights that
 * are not constant are packed in every run. f16, bf16 and f64 are computed in f32.
 *
 * Scratch, in this order: [x channels last] [y channels last] [packed weights] [what the kernel
 * asks]. */
#include "op/implicit.h"
#include "op/operand.h"
#include "op/pack.h"
#include "op/post.h"
#include "op/reorder.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/winograd.h"
#include "tensor/cast.h"

enum { STREAMED = 250000 }; /* weights; see wants_task */

/* Multiplications whose one run by oneDNN saves the 3 ms that it takes to open it and to make its
 * code. */
static const double BRIEF_DENSE = 2e9, BRIEF_DEPTHWISE = 1e8;

static enum code infer_conv(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) || c->in[1].dtype != t || (operand_given(c, 2) && c->in[2].dtype != t))
        return operand_fail(c, e, INVALID, "input is %s, weights are %s", dtype_name(t),
                            dtype_name(c->in[1].dtype));
    return window_infer_conv(c, t, e);
}

/* Who does it. */
enum way { WAY_TILE, WAY_TASK, WAY_WINOGRAD, WAY_WINOGRAD_2X2, WAY_WINOGRAD_STRIDED, WAYS };
static const struct {
    const char *kernel;
    enum winograd_kind winograd;
    uint64_t packing;
} ways[WAYS] = {
    [WAY_WINOGRAD] = {"winograd 4x4", WINOGRAD_F32, PACK_WINOGRAD},
    [WAY_WINOGRAD_2X2] = {"winograd 2x2", WINOGRAD_F32_2X2, PACK_WINOGRAD_2X2},
    [WAY_WINOGRAD_STRIDED] = {"winograd 2x2 of stride 2", WINOGRAD_F32_STRIDED,
                              PACK_WINOGRAD_STRIDED},
};

struct conv {
    struct implicit implicit;
    enum way way;
    struct dnnl_task *task; /* of WAY_TASK, else NULL. Owned, freed by release */
    struct winograd winograd;
    const void *packed; /* NULL: weights are packed by each run into scratch */
    bool plain;         /* x and y go through scratch */
    bool wide;          /* another float type: x, w, bias and y go through scratch as f32 */
    bool fused;         /* the task does the posts */
    int plus;           /* implicit: the input that it adds, or -1... */
    bool relu;          /* ...and then takes the relu of; posts it does not do follow */
    size_t y_at, w_at, bias_at, inner_at, inner_bytes;
};

/* oneDNN pays from some size on: below it, calling it costs more than the work. Weights beyond the
 * second-level cache are better streamed by the matrix tile, which fetches the next panel while it
 * works on one: measured on AVX-512 over ResNet-50, 0.7 to 0.98 of oneDNN's time. */
static bool wants_task(const struct implicit *p, bool brief) {
    const double weights = (double)p->in * (double)p->out * (double)window_taps(&p->w);
    const bool streamed = cpu_flags() & CPU_AVX512 && p->groups == 1 && weights >= STREAMED;
    const double pays = !brief ? 5e4 : p->in == 1 ? BRIEF_DEPTHWISE : BRIEF_DENSE;
    return implicit_multiplications(p) >= pays && !streamed;
}

/* Measured on AVX-512: 12 ps per multiplication, thrice that where each channel is on its own. */
static double cost_ns(const struct implicit *p) {
    return implicit_multiplications(p) * (p->in == 1 ? 0.036 : 0.012);
}

static void describe(const struct op_prepare *c, const struct implicit *p, struct dnnl_conv *d) {
    implicit_describe(p, d);
    d->bias = c->node->n_in > 2 && c->in[2].dtype != DT_NONE;
    d->threads = team_size(c->threads, cost_ns(p));
}

/* Posts that the matrix tile does itself: a residual, then a relu, at most. */
static void fuse_tile(const struct op_prepare *c, struct conv *s) {
    const struct node *n = c->node;
    int i = 0;
    s->plus = -1;
    if (s->way != WAY_TILE || s->plain || s->wide || s->implicit.depthwise || n->n_post > 2)
        return;
    if (i < n->n_post && n->post[i].kind == POST_ADD &&
        shape_eq(&c->in[n->post[i].input].shape, &c->out[0].shape) &&
        c->in[n->post[i].input].layout == LAYOUT_NHWC)
        i++;
    bool relu = i < n->n_post && n->post[i].kind == POST_RELU;
    s->fused = i + relu == n->n_post;
    s->relu = s->fused && relu;
    s->plus = s->fused && i ? n->post[0].input : -1;
}

static void try_task(const struct op_prepare *c, struct conv *s) {
    struct dnnl_conv d;
    struct err ignored;
    describe(c, &s->implicit, &d);
    if (!s->plain && c->node->n_post && post_fused(c, d.fused)) {
        d.n_fused = c->node->n_post;
        s->fused = dnnl_task_conv(&d, &s->task, &ignored) == OK;
    }
    d.n_fused = 0;
    if (!s->task && dnnl_task_conv(&d, &s->task, &ignored) != OK)
        s->task = NULL;
}

static bool by_winograd(const struct conv *s) { return s->way >= WAY_WINOGRAD; }

/* Can it be done that way? Then everything is ready for it. */
static bool goes(const struct op_prepare *c, struct conv *s, enum way way) {
    s->way = way;
    if (by_winograd(s))
        return winograd_plan(&s->winograd, &s->implicit, ways[way].winograd, c->threads);
    if (way == WAY_TASK)
        try_task(c, s);
    return way == WAY_TILE || s->task;
}

static void choose(const struct op_prepare *c, struct conv *s) {
    if (!c->brief && c->way > 0 && c->way <= WAYS && goes(c, s, (enum way)(c->way - 1)))
        return;
    for (enum way way = WAY_WINOGRAD; way < WAYS; way++)
        if (goes(c, s, way) && winograd_pays(&s->winograd))
            return;
    if (!wants_task(&s->implicit, c->brief) || !goes(c, s, WAY_TASK))
        s->way = WAY_TILE;
}

static enum code pack_weights(struct op_prepare *c, struct conv *s, struct err *e) {
    const struct tensor *w = c->in[1].data;
    size_t bytes = by_winograd(s) ? winograd_packed(&s->winograd)
                   : s->task      ? dnnl_task_packed(s->task)
                                  : implicit_packed(&s->implicit) * sizeof(float);
    uint64_t packing = by_winograd(s) ? ways[s->way].packing
                       : s->task      ? dnnl_task_packing(s->task)
                                      : PACK_IMPLICIT + s->implicit.groups;
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, packing, bytes, &to, &filled, e));
    if (!filled && by_winograd(s))
        winograd_pack(&s->winograd, w->data, to);
    else if (!filled && s->task)
        TRY(dnnl_task_pack(s->task, w->data, to, e));
    else if (!filled)
        implicit_pack(&s->implicit, w->data, to);
    if (!filled)
        pack_flush(to, bytes / sizeof(float));
    s->packed = to;
    return OK;
}

static void lay_out(struct op_prepare *c, struct conv *s) {
    const struct implicit *p = &s->implicit;
    const size_t channels_out = p->groups * p->out;
    size_t at = 0, in = p->batch * window_inputs(&p->w) * p->groups * p->in,
           out = p->batch * window_pixels(&p->w) * channels_out;
    bool carried = s->plain || s->wide;
    scratch_take(&at, carried ? in * sizeof(float) * (s->plain && s->wide ? 2 : 1) : 0);
    s->y_at = scratch_take(&at, carried ? out * sizeof(float) * (s->plain && s->wide ? 2 : 1) : 0);
    s->bias_at = scratch_take(&at, s->wide ? channels_out * sizeof(float) : 0);
    s->w_at =
        scratch_take(&at, s->packed ? 0
                                    : (implicit_packed(p) +
                                       (s->wide ? channels_out * p->in * window_taps(&p->w) : 0)) *
                                          sizeof(float));
    s->inner_bytes = by_winograd(s) ? winograd_scratch(&s->winograd, c->threads)
                     : s->task      ? dnnl_task_scratch(s->task)
                                    : implicit_scratch(p, c->threads);
    s->inner_at = scratch_take(&at, s->inner_bytes);
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
    TRY(window_of_conv(OPERAND_AT(c), x, w, &window, e));
    window_lay_down(&window);
    struct conv *s = ARENA_NEW(c->arena, struct conv);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a convolution", e);
    size_t groups = (size_t)attr_int(c->node, "group", 1);
    implicit_plan(&s->implicit, &window, (size_t)x->dims[0], groups, (size_t)w->dims[1],
                  (size_t)w->dims[0] / groups);
    s->plain = c->in[0].layout == LAYOUT_PLAIN;
    s->wide = c->in[0].dtype != DT_F32;
    if (!s->wide && c->in[1].data) {
        choose(c, s);
        c->took = (int)s->way + 1;
        c->n_ways = WAYS;
        enum code code = pack_weights(c, s, e);
        if (code != OK) {
            release_conv(s);
            return code;
        }
    }
    fuse_tile(c, s);
    lay_out(c, s);
    c->state = s;
    c->flops = 2 * implicit_multiplications(&s->implicit);
    c->kernel = by_winograd(s)          ? ways[s->way].kernel
                : s->task               ? dnnl_task_kernel(s->task)
                : s->implicit.depthwise ? "depthwise"
                                        : "gather gemm";
    return OK;
}

/* --- run --- */

struct ready { /* f32, channels last */
    const float *x, *w, *bias;
    float *y;
};

static enum code to_f32(const struct tensor *t, float *to, struct err *e) {
    return cast_elements(DT_F32, to, t->dtype, t->data, tensor_count(t), true, NULL, e);
}

static enum code gather_inputs(const struct op_call *c, const struct conv *s, struct ready *r,
                               struct err *e) {
    const struct implicit *p = &s->implicit;
    const struct tensor *bias = operand_in(c, 2);
    char *scratch = c->scratch;
    size_t in = tensor_count(c->in[0]), pixels = window_inputs(&p->w);
    float *x = c->scratch, *plain = s->wide && s->plain ? x + in : x;
    *r = (struct ready){c->in[0]->data, c->in[1]->data, bias ? bias->data : NULL, c->out[0]->data};
    if (s->wide) {
        float *w = (float *)(scratch + s->w_at) + implicit_packed(p),
              *b = (float *)(scratch + s->bias_at);
        TRY(to_f32(c->in[0], plain, e));
        TRY(to_f32(c->in[1], w, e));
        if (bias)
            TRY(to_f32(bias, b, e));
        *r = (struct ready){plain, w, bias ? b : NULL, (float *)(scratch + s->y_at)};
    }
    if (s->plain) {
        reorder_planes(r->x, x, p->batch, p->groups * p->in, pixels, sizeof(float), c->threads);
        r->x = x;
        r->y = (float *)(scratch + s->y_at);
    }
    if (!s->packed) {
        float *packed = (float *)(scratch + s->w_at);
        implicit_pack(p, r->w, packed);
        r->w = packed;
    } else {
        r->w = s->packed;
    }
    return OK;
}

static enum code run_task(const struct op_call *c, const struct conv *s, const struct ready *r,
                          struct err *e) {
    struct dnnl_run run = {.src = r->x,
                           .weights = r->w,
                           .bias = r->bias,
                           .dst = r->y,
                           .scratch = (char *)c->scratch + s->inner_at};
    post_extras(c, s->fused, 0, &run);
    return dnnl_task_run(s->task, &run, e);
}

static void finish(void *ctx, size_t begin, size_t count) {
    const struct op_call *c = ctx;
    post_apply(c, c->out[0], begin, count);
}

static void run_winograd(const struct op_call *c, const struct conv *s, const struct ready *r,
                         bool here) {
    const struct node *n = c->node;
    const bool relu = here && n->n_post == 1 && n->post[0].kind == POST_RELU;
    winograd_run(&s->winograd,
                 &(struct winograd_run){.x = r->x,
                                        .packed = r->w,
                                        .bias = r->bias,
                                        .y = r->y,
                                        .scratch = (char *)c->scratch + s->inner_at,
                                        .threads = c->threads,
                                        .relu = relu,
                                        .done = here && n->n_post && !relu ? finish : NULL,
                                        .ctx = (void *)(uintptr_t)c});
}

static enum code run_conv(const struct op_call *c, struct err *e) {
    const struct conv *s = c->state;
    const struct implicit *p = &s->implicit;
    struct ready r;
    if (tensor_count(c->out[0]) == 0)
        return OK;
    TRY(gather_inputs(c, s, &r, e));
    const bool here = r.y == c->out[0]->data; /* then posts can follow each stretch */
    if (by_winograd(s)) {
        run_winograd(c, s, &r, here);
    } else if (s->task) {
        TRY(run_task(c, s, &r, e));
    } else {
        implicit_run(
            p, &(struct implicit_run){.x = r.x,
                                      .packed = r.w,
                                      .bias = r.bias,
                                      .plus = s->plus < 0 ? NULL : c->in[s->plus]->data,
                                      .relu = s->relu,
                                      .y = r.y,
                                      .scratch = (char *)c->scratch + s->inner_at,
                                      .threads = c->threads,
                                      .ahead = {c->ahead.p, c->ahead.bytes / sizeof(float)},
                                      .done = here && c->node->n_post && !s->fused ? finish : NULL,
                                      .ctx = (void *)(uintptr_t)c});
    }
    size_t count = tensor_count(c->out[0]);
    if (s->plain) {
        float *y = s->wide ? r.y + count : c->out[0]->data;
        reorder_planes(r.y, y, p->batch, window_pixels(&p->w), p->groups * p->out, sizeof(float),
                       c->threads);
        r.y = y;
    }
    if (s->wide)
        return cast_elements(c->out[0]->dtype, c->out[0]->data, DT_F32, r.y, count, true, NULL, e);
    if (!s->fused && (s->task || !here) && c->node->n_post)
        post_apply_all(c, c->out[0], 0);
    return OK;
}

const struct op op_conv = {"conv",     OP_PURE | OP_NHWC | OP_NHWC_WINS | OP_POST,
                           infer_conv, prepare_conv,
                           run_conv,   release_conv};
