/* SPDX-License-Identifier: Apache-2.0 */
/* q_linear_conv (ONNX QLinearConv 10) and conv_integer (ConvInteger 10).
 *
 * Where every parameter is constant, q_linear_conv of 3 x 3 and stride 1 is Winograd's where that
 * pays; else where the CPU multiplies bytes exactly, it multiplies bytes: our tile of quads where
 * it may (VNNI, unsigned input, channels in fours, or so few that windows are laid out
 * in bands), else oneDNN. Everywhere else bytes become int16 with their zero points taken off,
 * which our own gathered product sums exactly; padding is then really zero. Channels last; a PLAIN
 * node is carried there and back.
 *
 * A q_linear_conv may have one post, made by the pass "fuse_q8": the addition of a value of y's
 * type, rounded as q_linear_add would round it. Its operands are the inputs from PLUS on: the
 * value, its scale and zero point, and the sum's scale and zero point; y_scale and y_zero are then
 * those of what is added to.
 *
 * Scratch: [x channels last] [x as pairs] [weights as pairs] [packed weights] [sums] [y channels
 * last] [scales] [kernel's]. */
#include "op/band.h"
#include "op/implicit.h"
#include "op/op_list.h"
#include "op/operand.h"
#include "op/pack.h"
#include "op/q8.h"
#include "op/reorder.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/winograd.h"

/* Which input is what; -1: there is none. */
struct roles {
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
};
static const struct roles of_linear = {0, 1, 2, 3, 4, 5, 6, 7, 8},
                          of_integer = {0, -1, 2, 1, -1, 3, -1, -1, -1};

static const struct roles *roles_of(const struct node *n) {
    return n->op == &op_q_linear_conv ? &of_linear : &of_integer;
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

/* --- infer --- */

static enum code infer(struct op_infer *c, const struct roles *r, enum dtype result,
                       struct err *e) {
    if (!q8_is(c->in[r->x].dtype) || !q8_is(c->in[r->w].dtype) ||
        (result != DT_I32 && !q8_is(result)))
        return operand_fail(c, e, UNSUPPORTED, "input %s, weights %s, output %s",
                            dtype_name(c->in[r->x].dtype), dtype_name(c->in[r->w].dtype),
                            dtype_name(result));
    operand_out_later(c, 0, result);
    if (!c->in[r->x].known || !c->in[r->w].known)
        return OK;
    const struct shape *x = &c->in[r->x].shape, *w = &c->in[r->w].shape;
    struct window window;
    TRY(window_of_conv(OPERAND_AT(c), x, w, &window, e));
    const int per_channel[] = {r->w_scale, r->w_zero},
              single[] = {r->x_scale, r->x_zero, r->y_scale, r->y_zero};
    for (int i = 0; i < 2; i++)
        if (per_channel[i] >= 0 && operand_given(c, per_channel[i]))
            TRY(q8_check(OPERAND_AT(c), &c->in[per_channel[i]], w->dims[0],
                         "a parameter of the weights", e));
    for (int i = 0; i < 4; i++)
        if (single[i] >= 0 && operand_given(c, single[i]))
            TRY(q8_check(OPERAND_AT(c), &c->in[single[i]], 1, "a parameter of the input or output",
                         e));
    if (r->bias >= 0 && operand_given(c, r->bias) &&
        (c->in[r->bias].dtype != DT_I32 || c->in[r->bias].shape.rank != 1 ||
         c->in[r->bias].shape.dims[0] != w->dims[0]))
        return operand_fail(c, e, INVALID, "the bias is not %lld numbers of type i32",
                            (long long)w->dims[0]);
    struct shape out = {.rank = x->rank, .dims = {x->dims[0], w->dims[0]}};
    for (int i = 0; i < window.n; i++)
        out.dims[2 + i] = window.out[i];
    return operand_out(c, 0, result, &out, e);
}

static enum code infer_q_linear_conv(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 8, e));
    return infer(c, &of_linear, c->in[7].dtype, e);
}

static enum code infer_conv_integer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    return infer(c, &of_integer, DT_I32, e);
}

/* --- prepare --- */

enum { PLUS = 9, PLUS_SCALE, PLUS_ZERO, SUM_SCALE, SUM_ZERO };

struct qconv {
    struct implicit implicit; /* in units: pairs of channels, or quads */
    size_t channels_in, channels_out, pixels_in, pixels_out; /* of one group; of one picture */
    struct dnnl_task *task;                                  /* or NULL. Owned, freed by release */
    const void *packed;                                      /* or NULL: packed by each run */
    bool quarter;                                            /* winograd... */
    struct winograd winograd;
    bool few; /* ...or bands... */
    struct band band;
    bool quads;          /* ...or quads: then packed, and these, of the plan: */
    const float *scale;  /* (groups * channels_out) */
    const int32_t *bias; /* likewise, with the input's zero point taken off */
    bool adds;           /* the post; by the quads' tile where it works on y itself */
    bool plain;
    size_t x_at, pairs_at, w_at, packed_at, sums_at, y_at, scale_at, inner_at;
};

/* oneDNN's byte products saturate in between without VNNI. */
static bool exact_bytes(void) { return (cpu_flags() & (CPU_VNNI | CPU_AVX_VNNI | CPU_AMX)) != 0; }

/* Weights as i8 with a zero point of 0: as they are, or shifted when that fits. NULL: not possible.
 */
static const int8_t *plain_weights(struct op_prepare *c, const struct tensor *w,
                                   const struct tensor *zero, int8_t *room) {
    if (w->dtype == DT_I8 && q8_all_zero(zero))
        return w->data;
    const size_t n = tensor_count(w), each = n / (size_t)w->shape.dims[0];
    for (size_t i = 0; i < n; i++) {
        int64_t v = tensor_i64(w, i) - q8_zero(zero, i / each);
        if (v < -128 || v > 127)
            return NULL;
        room[i] = (int8_t)v;
    }
    (void)c;
    return room;
}

static bool all_constant(const struct op_prepare *c, const struct roles *r) {
    const int needed[] = {r->x_scale, r->w, r->w_scale, r->y_scale},
              zeros[] = {r->x_zero, r->w_zero, r->y_zero};
    for (int i = 0; i < 4; i++)
        if (!constant(c, needed[i]))
            return false;
    for (int i = 0; i < 3; i++)
        if (!absent(c, zeros[i]) && !constant(c, zeros[i]))
            return false;
    return true;
}

static enum code scales_of(const struct operand_at *at, const struct roles *r,
                           const struct tensor *const *in, float *to, size_t n, struct err *e) {
    const float x = q8_scale(in[r->x_scale], 0), y = q8_scale(in[r->y_scale], 0);
    for (size_t i = 0; i < n; i++) {
        to[i] = x * q8_scale(in[r->w_scale], i) / y;
        if (!__builtin_isfinite(to[i]))
            return operand_fail(at, e, INVALID, "the scales of input, weights and output give %g",
                                (double)to[i]);
    }
    return OK;
}

/* Measured with AMX: about 2 ps per multiplication; padding to whole tiles doubles that for few
 * channels. */
static double cost_ns(const struct qconv *s) {
    double outs = (double)s->implicit.batch * (double)s->pixels_out *
                  (double)(s->implicit.groups * s->channels_out);
    return outs * (double)s->channels_in * (double)window_taps(&s->implicit.w) * 0.003 + outs * 0.1;
}

static void describe(const struct op_prepare *c, const struct qconv *s, const struct roles *r,
                     struct dnnl_conv *d) {
    const struct window *w = &s->implicit.w;
    const size_t groups = s->implicit.groups;
    *d = (struct dnnl_conv){.n_spatial = w->n,
                            .batch = (int64_t)s->implicit.batch,
                            .groups = (int64_t)groups,
                            .in_channels = (int64_t)(groups * s->channels_in),
                            .out_channels = (int64_t)(groups * s->channels_out),
                            .src = c->in[r->x].dtype == DT_U8 ? DNNL_NUMBER_U8 : DNNL_NUMBER_I8,
                            .dst = c->out[0].dtype == DT_U8 ? DNNL_NUMBER_U8 : DNNL_NUMBER_I8,
                            .bias = !absent(c, r->bias),
                            .src_zero = q8_zero(constant(c, r->x_zero), 0),
                            .dst_zero = q8_zero(constant(c, r->y_zero), 0),
                            .threads = team_size(c->threads, cost_ns(s))};
    for (int i = 0; i < w->n; i++) {
        d->in[i] = w->in[i], d->out[i] = w->out[i];
        d->kernel[i] = w->kernel[i], d->stride[i] = w->stride[i], d->dilation[i] = w->dilation[i];
        d->before[i] = w->before[i], d->after[i] = w->after[i];
    }
}

static size_t weight_units(const struct qconv *s) {
    return s->implicit.groups * s->channels_out * s->implicit.in * window_taps(&s->implicit.w);
}

/* (out, in/groups, taps) bytes to (out, units, taps) quads. */
static void weight_quads(const struct qconv *s, const int8_t *w, int8_t *to) {
    const size_t taps = window_taps(&s->implicit.w), rows = weight_units(s) / taps;
    for (size_t row = 0; row < rows; row++, w += 4 * taps)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < 4; i++)
                *to++ = w[i * taps + tap];
}

/* Products are made of the input as it is; what its zero point adds to a sum is known. */
static void take_off_zero(const struct qconv *s, const int8_t *w, const int32_t *bias, int32_t zero,
                          int32_t *to) {
    const size_t each = s->channels_in * window_taps(&s->implicit.w);
    for (size_t out = 0; out < s->implicit.groups * s->channels_out; out++, w += each) {
        int32_t sum = 0;
        for (size_t i = 0; zero && i < each; i++)
            sum += w[i];
        to[out] = (int32_t)((uint32_t)(bias ? bias[out] : 0) - (uint32_t)sum * (uint32_t)zero);
    }
}

/* The tile of quads may take it. */
static bool allows_quads(const struct op_prepare *c, const struct roles *r) {
    return q8_quads() && c->in[r->x].dtype == DT_U8 && (absent(c, r->bias) || constant(c, r->bias));
}

/* Measured on Zen 5: 0.65 to 1.0 of oneDNN's time where each output is made of one pixel, 0.9
 * to 1.05 where pointers are gathered. */
static bool wants_quads(const struct op_prepare *c, const struct qconv *s, const struct roles *r) {
    const bool one = window_taps(&s->implicit.w) == 1 || s->implicit.groups == 1;
    return allows_quads(c, r) && s->channels_in % 4 == 0 && one;
}

static bool wants_bands(const struct op_prepare *c, struct qconv *s, const struct roles *r) {
    return allows_quads(c, r) && s->implicit.groups == 1 &&
           band_plan(&s->band, &s->implicit.w, s->implicit.batch, s->channels_in, s->channels_out);
}

/* Weights that were shifted are another packed form than the same bytes as they are. */
static uint64_t packing_of(const struct tensor *w, const int8_t *weights, uint64_t packing) {
    return weights == w->data ? packing : packing ^ 0x9e3779b97f4a7c15u;
}

static enum code pack_quads(struct op_prepare *c, struct qconv *s, const struct tensor *w,
                            const int8_t *weights, struct err *e) {
    void *to;
    bool filled;
    implicit_plan(&s->implicit, &s->implicit.w, s->implicit.batch, s->implicit.groups,
                  s->channels_in / 4, s->channels_out);
    TRY(pack_room(c, w->data, packing_of(w, weights, PACK_QUADS + s->implicit.groups),
                  implicit_packed(&s->implicit) * sizeof(float), &to, &filled, e));
    if (!filled) {
        float *quads = mem_alloc(weight_units(s) * sizeof(float));
        if (!quads)
            return operand_fail(c, e, NOMEM, "no memory to pack weights");
        weight_quads(s, weights, (int8_t *)quads);
        implicit_pack(&s->implicit, quads, to);
        mem_free(quads);
    }
    s->quads = true;
    s->packed = to;
    return OK;
}

static enum code pack_few(struct op_prepare *c, struct qconv *s, const struct tensor *w,
                          const int8_t *weights, struct err *e) {
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, packing_of(w, weights, PACK_BAND), band_packed(&s->band), &to,
                  &filled, e));
    if (!filled && !band_pack(&s->band, weights, to))
        return operand_fail(c, e, NOMEM, "no memory to pack weights");
    s->packed = to;
    return OK;
}

static enum code pack_quarter(struct op_prepare *c, struct qconv *s, const struct tensor *w,
                              const int8_t *weights, struct err *e) {
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, packing_of(w, weights, PACK_WINOGRAD_Q8),
                  winograd_packed(&s->winograd), &to, &filled, e));
    if (!filled)
        winograd_pack_q8(&s->winograd, weights, to);
    s->packed = to;
    return OK;
}

static enum code pack_task(struct op_prepare *c, struct qconv *s, const struct tensor *w,
                           const int8_t *weights, struct err *e) {
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, packing_of(w, weights, dnnl_task_packing(s->task)),
                  dnnl_task_packed(s->task), &to, &filled, e));
    if (!filled)
        TRY(dnnl_task_pack(s->task, weights, to, e));
    s->packed = to;
    return OK;
}

/* What Winograd's form reads: x as unsigned bytes. */
static int32_t unsigned_zero(const struct op_prepare *c, const struct roles *r) {
    return q8_zero(constant(c, r->x_zero), 0) + (c->in[r->x].dtype == DT_I8 ? 128 : 0);
}

/* A form that is there was exact when it was made. */
static bool is_exact(const struct op_prepare *c, const struct qconv *s, const struct tensor *w,
                     const int8_t *weights) {
    return (c->packs && c->packs->find(c->packs, w->data, packing_of(w, weights, PACK_WINOGRAD_Q8),
                                       winograd_packed(&s->winograd))) ||
           winograd_is_exact(&s->winograd, weights);
}

static bool wants_quarter(const struct op_prepare *c, struct qconv *s, const struct roles *r,
                          const int8_t *weights) {
    struct implicit of;
    implicit_plan(&of, &s->implicit.w, s->implicit.batch, s->implicit.groups, s->channels_in,
                  s->channels_out);
    return (absent(c, r->bias) || constant(c, r->bias)) &&
           winograd_plan(&s->winograd, &of, WINOGRAD_Q8, c->threads) &&
           winograd_pays(&s->winograd) && is_exact(c, s, constant(c, r->w), weights);
}

/* Forms that need every parameter. Leaves s unset when none will do. */
static enum code try_constant(struct op_prepare *c, struct qconv *s, const struct roles *r,
                              struct err *e) {
    const struct tensor *w = constant(c, r->w), *in[9] = {0};
    const size_t n = s->implicit.groups * s->channels_out;
    float *scale = ARENA_ARRAY(c->arena, n, float);
    int32_t *bias = ARENA_ARRAY(c->arena, n, int32_t);
    const struct arena_mark mark = arena_mark(c->arena);
    int8_t *room = ARENA_ARRAY(c->arena, tensor_count(w), int8_t);
    if (!scale || !bias || !room)
        return arena_fail(c->arena, tensor_count(w), "weights", e);
    for (int i = 0; i < c->node->n_in && i < 9; i++)
        in[i] = constant(c, i);
    TRY(scales_of(OPERAND_AT(c), r, in, scale, n, e));
    s->scale = scale, s->bias = bias;
    const int8_t *weights = plain_weights(c, w, in[r->w_zero], room);
    const int32_t *given_bias = constant(c, r->bias) ? constant(c, r->bias)->data : NULL;
    struct dnnl_conv d;
    struct err ignored;
    s->quarter = weights && wants_quarter(c, s, r, weights);
    if (s->quarter) {
        take_off_zero(s, weights, given_bias, unsigned_zero(c, r), bias);
        TRY(pack_quarter(c, s, w, weights, e));
    } else if (weights && wants_bands(c, s, r)) {
        s->few = true;
        take_off_zero(s, weights, given_bias, q8_zero(in[r->x_zero], 0), bias);
        TRY(pack_few(c, s, w, weights, e));
    } else if (weights && wants_quads(c, s, r)) {
        take_off_zero(s, weights, given_bias, q8_zero(in[r->x_zero], 0), bias);
        TRY(pack_quads(c, s, w, weights, e));
    } else if (weights && exact_bytes()) {
        describe(c, s, r, &d);
        d.scales = scale;
        d.n_scales = tensor_count(in[r->w_scale]) > 1 ? (int64_t)n : 1;
        if (dnnl_task_conv(&d, &s->task, &ignored) == OK)
            TRY(pack_task(c, s, w, weights, e));
    }
    if (s->packed == NULL || c->packs)
        arena_reset(c->arena, mark);
    return OK;
}

/* (out, in/groups, taps) bytes to (out, units, taps) pairs. */
static void weight_pairs(const struct qconv *s, const struct tensor *w, const struct tensor *zero,
                         int16_t *to) {
    const size_t taps = window_taps(&s->implicit.w), units = s->implicit.in,
                 outs = s->implicit.groups * s->channels_out;
    for (size_t out = 0; out < outs; out++)
        for (size_t unit = 0; unit < units; unit++)
            for (size_t tap = 0; tap < taps; tap++)
                for (size_t half = 0; half < 2; half++) {
                    size_t in = 2 * unit + half, at = (out * s->channels_in + in) * taps + tap;
                    *to++ =
                        in < s->channels_in ? (int16_t)(tensor_i64(w, at) - q8_zero(zero, out)) : 0;
                }
}

static enum code pack_pairs(struct op_prepare *c, struct qconv *s, const struct roles *r,
                            struct err *e) {
    const struct tensor *w = constant(c, r->w), *zero = constant(c, r->w_zero);
    void *to;
    bool filled;
    if (!w || (!zero && !absent(c, r->w_zero)))
        return OK;
    TRY(pack_room(c, w->data, PACK_OTHER + 1 + s->implicit.groups,
                  implicit_packed(&s->implicit) * sizeof(float), &to, &filled, e));
    if (!filled) {
        float *pairs = mem_alloc(weight_units(s) * sizeof(float));
        if (!pairs)
            return operand_fail(c, e, NOMEM, "no memory to pack weights");
        weight_pairs(s, w, zero, (int16_t *)pairs);
        implicit_pack(&s->implicit, pairs, to);
        mem_free(pairs);
    }
    s->packed = to;
    return OK;
}

static void lay_out(struct op_prepare *c, struct qconv *s) {
    const struct implicit *p = &s->implicit;
    const size_t in = p->batch * s->pixels_in * p->groups,
                 out = p->batch * s->pixels_out * p->groups * s->channels_out;
    const bool pairs = !s->task && !s->quads && !s->few && !s->quarter;
    size_t at = 0;
    s->x_at = scratch_take(&at, s->plain ? in * s->channels_in : 0);
    s->pairs_at = scratch_take(&at, pairs ? in * p->in * sizeof(float) : 0);
    s->w_at = scratch_take(&at, s->packed ? 0 : weight_units(s) * sizeof(float));
    s->packed_at = scratch_take(&at, s->packed ? 0 : implicit_packed(p) * sizeof(float));
    s->sums_at = scratch_take(&at, pairs ? out * sizeof(int32_t) : 0);
    s->y_at = scratch_take(&at, s->plain ? out : 0);
    s->scale_at = scratch_take(&at, pairs ? p->groups * s->channels_out * sizeof(float) : 0);
    s->inner_at = scratch_take(&at, s->quarter ? winograd_scratch(&s->winograd, c->threads)
                                    : s->few   ? band_scratch(&s->band, c->threads)
                                    : s->task  ? dnnl_task_scratch(s->task)
                                               : implicit_scratch(p, c->threads));
    c->scratch_bytes = at;
}

static void release_qconv(void *state) {
    struct qconv *s = state;
    if (s)
        dnnl_task_free(s->task);
}

static enum code prepare_qconv(struct op_prepare *c, struct err *e) {
    const struct roles *r = roles_of(c->node);
    const struct shape *x = &c->in[r->x].shape, *w = &c->in[r->w].shape;
    struct window window;
    TRY(window_of_conv(OPERAND_AT(c), x, w, &window, e));
    struct qconv *s = ARENA_NEW(c->arena, struct qconv);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a convolution", e);
    size_t groups = (size_t)attr_int(c->node, "group", 1);
    s->channels_in = (size_t)w->dims[1], s->channels_out = (size_t)w->dims[0] / groups;
    s->pixels_in = window_inputs(&window), s->pixels_out = window_pixels(&window);
    s->plain = c->in[r->x].layout == LAYOUT_PLAIN;
    implicit_plan(&s->implicit, &window, (size_t)x->dims[0], groups, q8_units(s->channels_in),
                  s->channels_out);
    s->implicit.depthwise = false;
    s->implicit.pairs = true;
    s->adds = c->node->n_post > 0;
    enum code code = OK;
    if (r == &of_linear && all_constant(c, r))
        code = try_constant(c, s, r, e);
    if (code == OK && !s->packed)
        code = pack_pairs(c, s, r, e);
    if (code != OK) {
        release_qconv(s);
        return code;
    }
    lay_out(c, s);
    c->state = s;
    c->flops = 2.0 * (double)(s->implicit.batch * s->pixels_out) *
               (double)(groups * s->channels_out) * (double)(s->channels_in * window_taps(&window));
    c->kernel = s->quarter ? "winograd 4x4 int16"
                : s->task  ? dnnl_task_kernel(s->task)
                : s->few   ? "bands of bytes"
                : s->quads ? "gather bytes"
                           : "gather int16";
    return OK;
}

/* --- run --- */

struct finish { /* what turns sums into bytes */
    struct q8_narrow narrow;
    const int32_t *sums;
    uint8_t *y;
};

/* Whole pixels, or some channels of one. */
static void narrow_stretch(void *ctx, size_t begin, size_t count) {
    const struct finish *f = ctx;
    struct q8_narrow n = f->narrow;
    const size_t channel = begin % n.n;
    n.rows = count < n.n ? 1 : count / n.n;
    n.n = count < n.n ? count : n.n;
    n.bias = n.bias ? n.bias + channel : NULL, n.scale += channel;
    n.sums = f->sums + begin, n.y = f->y + begin;
    q8_narrow(&n);
}

static enum code run_own(const struct op_call *c, const struct qconv *s, const struct roles *r,
                         const void *x, void *y, struct err *e) {
    const struct implicit *p = &s->implicit;
    char *scratch = c->scratch;
    const struct tensor *w_zero = given(c, r->w_zero), *bias = given(c, r->bias);
    const size_t outs = p->groups * s->channels_out;
    q8_widen(&(struct q8_widen){.x = x,
                                .is_signed = c->in[r->x]->dtype == DT_I8,
                                .rows = p->batch * s->pixels_in * p->groups,
                                .n = s->channels_in,
                                .x_row = s->channels_in,
                                .zero = q8_zero(given(c, r->x_zero), 0),
                                .y = (int16_t *)(scratch + s->pairs_at)},
             c->threads);
    const float *packed = s->packed;
    if (!packed) {
        weight_pairs(s, c->in[r->w], w_zero, (int16_t *)(scratch + s->w_at));
        implicit_pack(p, (const float *)(scratch + s->w_at), (float *)(scratch + s->packed_at));
        packed = (const float *)(scratch + s->packed_at);
    }
    const bool sums_only = r == &of_integer;
    float *scale = (float *)(scratch + s->scale_at),
          *sums = sums_only ? y : (float *)(scratch + s->sums_at);
    struct finish f = {.sums = (const int32_t *)sums, .y = y};
    if (!sums_only) {
        TRY(scales_of(OPERAND_AT(c), r, c->in, scale, outs, e));
        f.narrow = (struct q8_narrow){.n = outs,
                                      .bias = bias ? bias->data : NULL,
                                      .scale = scale,
                                      .zero = q8_zero(given(c, r->y_zero), 0),
                                      .is_signed = c->out[0]->dtype == DT_I8};
    }
    implicit_run(p, &(struct implicit_run){.x = (const float *)(scratch + s->pairs_at),
                                           .packed = packed,
                                           .y = sums,
                                           .scratch = scratch + s->inner_at,
                                           .threads = c->threads,
                                           .done = sums_only ? NULL : narrow_stretch,
                                           .ctx = &f});
    return OK;
}

/* The post: y = y * y_scale + plus * plus_scale + offset, in units of the sum's scale. */
static enum code finish_of(const struct op_call *c, const struct roles *r, struct quads_finish *f,
                           struct err *e) {
    *f = (struct quads_finish){.is_signed = c->out[0]->dtype == DT_I8,
                               .zero = q8_zero(given(c, r->y_zero), 0)};
    if (c->node->n_post == 0)
        return OK;
    const float sum = q8_scale(given(c, SUM_SCALE), 0);
    f->y_scale = q8_scale(given(c, r->y_scale), 0) / sum;
    f->plus_scale = q8_scale(given(c, PLUS_SCALE), 0) / sum;
    f->plus_zero = q8_zero(given(c, SUM_ZERO), 0);
    f->offset =
        -((float)f->zero * f->y_scale + (float)q8_zero(given(c, PLUS_ZERO), 0) * f->plus_scale);
    if (!__builtin_isfinite(f->y_scale) || !__builtin_isfinite(f->plus_scale) ||
        !__builtin_isfinite(f->offset))
        return operand_fail(c, e, INVALID, "the scales of addends and sum do not divide");
    return OK;
}

static void run_quads(const struct op_call *c, const struct qconv *s, const struct roles *r,
                      const struct quads_finish *f, const void *x, void *y) {
    const void *plus = s->adds && !s->plain ? c->in[PLUS]->data : NULL;
    const uint8_t padding = (uint8_t)q8_zero(given(c, r->x_zero), 0);
    void *scratch = (char *)c->scratch + s->inner_at;
    if (s->few) {
        band_run(&s->band, &(struct band_run){.x = x,
                                              .padding = padding,
                                              .packed = s->packed,
                                              .bias = s->bias,
                                              .scale = s->scale,
                                              .finish = f,
                                              .plus = plus,
                                              .y = y,
                                              .scratch = scratch,
                                              .threads = c->threads});
        return;
    }
    implicit_run(&s->implicit, &(struct implicit_run){.x = x,
                                                      .packed = s->packed,
                                                      .bias = (const float *)s->bias,
                                                      .plus = plus,
                                                      .scale = s->scale,
                                                      .finish = f,
                                                      .padding = padding,
                                                      .y = y,
                                                      .scratch = scratch,
                                                      .threads = c->threads});
}

static void run_quarter(const struct op_call *c, const struct qconv *s, const struct roles *r,
                        const void *x, void *y) {
    const struct winograd_q8 q8 = {.bias = s->bias,
                                   .scale = s->scale,
                                   .padding = (uint8_t)q8_zero(given(c, r->x_zero), 0),
                                   .x_signed = c->in[r->x]->dtype == DT_I8,
                                   .y_signed = c->out[0]->dtype == DT_I8,
                                   .y_zero = q8_zero(given(c, r->y_zero), 0)};
    winograd_run(&s->winograd, &(struct winograd_run){.x = x,
                                                      .packed = s->packed,
                                                      .y = y,
                                                      .scratch = (char *)c->scratch + s->inner_at,
                                                      .threads = c->threads,
                                                      .q8 = &q8});
}

/* What no tile has added. */
static void add_after(const struct op_call *c, const struct quads_finish *f) {
    const size_t n = tensor_count(c->out[0]);
    const int team = team_size(c->threads, 0.1 * (double)n);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int t = 0; t < team; t++) {
        const size_t from = team_cut(n, MEM_LINE, team, t);
        uint8_t *y = (uint8_t *)c->out[0]->data + from;
        const struct qadd q = {.n = team_cut(n, MEM_LINE, team, t + 1) - from,
                               .a = y,
                               .b = (const uint8_t *)c->in[PLUS]->data + from,
                               .y = y,
                               .a_scale = f->y_scale,
                               .b_scale = f->plus_scale,
                               .offset = f->offset,
                               .y_zero = f->plus_zero,
                               .low = f->is_signed ? -128 : 0};
        if (q.n)
            (f->is_signed ? kernel_set()->qadd_i8 : kernel_set()->qadd_u8)(&q);
    }
}

static enum code run_channels_last(const struct op_call *c, const struct qconv *s,
                                   const struct quads_finish *f, const void *x, void *y,
                                   struct err *e) {
    const struct roles *r = roles_of(c->node);
    const struct tensor *bias = given(c, r->bias);
    if (s->quarter)
        run_quarter(c, s, r, x, y);
    else if (s->quads || s->few)
        run_quads(c, s, r, f, x, y);
    else if (s->task)
        return dnnl_task_run(s->task,
                             &(struct dnnl_run){.src = x,
                                                .weights = s->packed,
                                                .bias = bias ? bias->data : NULL,
                                                .dst = y,
                                                .scratch = (char *)c->scratch + s->inner_at},
                             e);
    else
        return run_own(c, s, r, x, y, e);
    return OK;
}

static enum code run_qconv(const struct op_call *c, struct err *e) {
    const struct qconv *s = c->state;
    const struct implicit *p = &s->implicit;
    const struct roles *r = roles_of(c->node);
    const size_t bytes = dtype_size(c->out[0]->dtype), outs = p->groups * s->channels_out;
    char *scratch = c->scratch;
    const void *x = c->in[r->x]->data;
    void *y = c->out[0]->data;
    struct quads_finish f;
    if (tensor_count(c->out[0]) == 0)
        return OK;
    TRY(finish_of(c, r, &f, e));
    if (s->plain) {
        reorder_planes(x, scratch + s->x_at, p->batch, p->groups * s->channels_in, s->pixels_in, 1,
                       c->threads);
        x = scratch + s->x_at;
        y = scratch + (bytes == 1 ? s->y_at : s->sums_at);
    }
    TRY(run_channels_last(c, s, &f, x, y, e));
    if (s->plain)
        reorder_planes(y, c->out[0]->data, p->batch, s->pixels_out, outs, bytes, c->threads);
    if (s->adds && (s->plain || !(s->quads || s->few)))
        add_after(c, &f);
    return OK;
}

const struct op op_q_linear_conv = {"q_linear_conv",     OP_PURE | OP_NHWC | OP_NHWC_WINS,
                                    infer_q_linear_conv, prepare_qconv,
                                    run_qconv,           release_qconv};
const struct op op_conv_integer = {"conv_integer",     OP_PURE | OP_NHWC | OP_NHWC_WINS,
                                   infer_conv_integer, prepare_qconv,
                                   run_qconv,          release_qconv};
