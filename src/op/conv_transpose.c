/* SPDX-License-Identifier: Apache-2.0 */
/* conv_transpose: transposed convolution of one to three spatial dims, grouped or not. ONNX
 * ConvTranspose 1, 11, 22.
 *
 * 1. Output sizes follow from the pads, or the pads from the output sizes (output_shape, or
 * auto_pad SAME: input * stride). Then the odd pad is at the end for SAME_UPPER and at the start
 * otherwise.
 * 2. The work is done in f32, channels last: a PLAIN node carries its input there and its output
 * back through scratch memory, f16, bf16 and f64 are converted there and back.
 *
 * Scratch, in this order: [x f32] [x channels last] [y channels last] [y f32] [bias f32] [weights
 * f32] [packed weights] [what the product asks]; each only where needed. */
#include "op/operand.h"
#include "op/pack.h"
#include "op/post.h"
#include "op/reorder.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/transposed.h"
#include "tensor/cast.h"

/* --- geometry --- */

enum pad { PAD_GIVEN, PAD_VALID, PAD_UPPER, PAD_LOWER };

struct wish { /* what the attributes say of the output sizes */
    enum pad pad;
    struct operand_ints padding, shape; /* n = 0: none */
};

static enum code read_wish(const struct operand_at *at, int n, struct wish *out, struct err *e) {
    bool present;
    struct str pad = attr_str(at->node, "auto_pad", "NOTSET");
    out->pad = str_is(pad, "SAME_UPPER")   ? PAD_UPPER
               : str_is(pad, "SAME_LOWER") ? PAD_LOWER
               : str_is(pad, "VALID")      ? PAD_VALID
                                           : PAD_GIVEN;
    if (out->pad == PAD_GIVEN && pad.n && !str_is(pad, "NOTSET"))
        return operand_fail(at, e, INVALID, "auto_pad '%.*s'", STR(pad));
    TRY(operand_attr_ints(at, "output_padding", &out->padding, &present, e));
    TRY(operand_attr_ints(at, "output_shape", &out->shape, &present, e));
    if (out->padding.n != 0 && out->padding.n != n)
        return operand_fail(at, e, INVALID, "output_padding has %d entries, %d were expected",
                            out->padding.n, n);
    if (out->shape.n != 0 && out->shape.n != n && out->shape.n != n + 2)
        return operand_fail(at, e, INVALID, "output_shape has %d entries, %d were expected",
                            out->shape.n, n);
    return OK;
}

static enum code one_dim(const struct operand_at *at, struct window *w, int i,
                         const struct wish *wish, struct err *e) {
    const int64_t limit = (int64_t)1 << 31, extra = wish->padding.n ? wish->padding.v[i] : 0;
    if (extra < 0 || extra >= limit)
        return operand_fail(at, e, INVALID, "output_padding of %lld", (long long)extra);
    if (w->in[i] >= limit)
        return operand_fail(at, e, LIMIT, "a dim of %lld", (long long)w->in[i]);
    const int64_t natural =
        (w->in[i] - 1) * w->stride[i] + extra + (w->kernel[i] - 1) * w->dilation[i] + 1;
    const bool same = wish->pad == PAD_UPPER || wish->pad == PAD_LOWER;
    if (wish->pad != PAD_GIVEN)
        w->before[i] = w->after[i] = 0;
    if (wish->shape.n || same) {
        int64_t size = wish->shape.n ? wish->shape.v[wish->shape.n - w->n + i]
                                     : w->in[i] * w->stride[i],
                total = size >= 0 && natural > size ? natural - size : 0;
        w->before[i] = wish->pad == PAD_UPPER ? total / 2 : total - total / 2;
        w->after[i] = total - w->before[i];
        w->out[i] = wish->shape.n ? size : natural - total;
    } else {
        w->out[i] = natural - w->before[i] - w->after[i];
    }
    if (w->out[i] < 0 || w->out[i] >= limit)
        return operand_fail(at, e, INVALID, "the output would have a dim of %lld",
                            (long long)w->out[i]);
    return OK;
}

static enum code geometry(const struct operand_at *at, const struct shape *x, const struct shape *w,
                          struct window *window, struct err *e) {
    char text_x[SHAPE_TEXT], text_w[SHAPE_TEXT];
    const int64_t groups = attr_int(at->node, "group", 1);
    struct wish wish;
    if (x->rank < 3 || x->rank > 2 + WINDOW_DIMS || w->rank != x->rank)
        return operand_fail(at, e, INVALID, "input %s with weights %s", shape_print(x, text_x),
                            shape_print(w, text_w));
    if (groups < 1 || x->dims[1] != w->dims[0] || x->dims[1] % groups != 0)
        return operand_fail(at, e, INVALID, "input %s with weights %s in %lld groups",
                            shape_print(x, text_x), shape_print(w, text_w), (long long)groups);
    TRY(window_attributes(at, x->rank - 2, w->dims + 2, window, e));
    TRY(read_wish(at, window->n, &wish, e));
    for (int i = 0; i < window->n; i++) {
        window->in[i] = x->dims[2 + i];
        TRY(one_dim(at, window, i, &wish, e));
    }
    return OK;
}

static enum code infer_conv_transpose(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    const enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) || c->in[1].dtype != t || (operand_given(c, 2) && c->in[2].dtype != t))
        return operand_fail(c, e, INVALID, "input is %s, weights are %s", dtype_name(t),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, t);
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[0].shape, *w = &c->in[1].shape;
    struct window window;
    int64_t channels;
    TRY(geometry(OPERAND_AT(c), x, w, &window, e));
    if (__builtin_mul_overflow(w->dims[1], attr_int(c->node, "group", 1), &channels))
        return operand_fail(c, e, LIMIT, "%lld channels in each group", (long long)w->dims[1]);
    if (operand_given(c, 2) && (c->in[2].shape.rank != 1 || c->in[2].shape.dims[0] != channels))
        return operand_fail(c, e, INVALID, "the bias does not have %lld elements",
                            (long long)channels);
    struct shape out = {.rank = x->rank, .dims = {x->dims[0], channels}};
    for (int i = 0; i < window.n; i++)
        out.dims[2 + i] = window.out[i];
    return operand_out(c, 0, t, &out, e);
}

/* --- prepare --- */

struct conv_transpose {
    struct transposed transposed;
    const float *packed; /* NULL: weights are packed by each run into scratch */
    bool plain;          /* x and y go through scratch, channels last */
    bool wide;           /* another float type: x, weights, bias and y go through scratch as f32 */
    size_t channels;     /* of y */
    size_t x_last, y_last, y_wide, bias_wide, w_wide, packed_at, inner; /* offsets in scratch */
};

static size_t take(size_t *at, bool wanted, size_t floats) {
    return scratch_take(at, wanted ? floats * sizeof(float) : 0);
}

static enum code lay_out(struct op_prepare *c, struct conv_transpose *s, struct err *e) {
    size_t in, out, weights, at = 0;
    if (!shape_count(&c->in[0].shape, &in) || !shape_count(&c->out[0].shape, &out) ||
        !shape_count(&c->in[1].shape, &weights))
        return operand_fail(c, e, LIMIT, "the input is too large");
    take(&at, s->wide, in);
    s->x_last = take(&at, s->plain, in);
    s->y_last = take(&at, s->plain, out);
    s->y_wide = take(&at, s->wide, out);
    s->bias_wide = take(&at, s->wide, s->channels);
    s->w_wide = take(&at, s->wide, weights);
    s->packed_at = take(&at, !s->packed, transposed_packed(&s->transposed));
    s->inner = at;
    c->scratch_bytes = at + transposed_scratch(&s->transposed, c->threads);
    return OK;
}

static enum code pack_weights(struct op_prepare *c, struct conv_transpose *s, struct err *e) {
    const struct tensor *w = c->in[1].data;
    void *to;
    bool filled;
    TRY(pack_room(c, w->data, transposed_packing(&s->transposed),
                  transposed_packed(&s->transposed) * sizeof(float), &to, &filled, e));
    if (!filled)
        transposed_pack(&s->transposed, w->data, to);
    s->packed = to;
    return OK;
}

static double multiplications(const struct transposed *p) {
    return (double)p->batch * (double)window_inputs(&p->w) * (double)(p->groups * p->out) *
           (double)p->in * (double)window_taps(&p->w);
}

static enum code prepare_conv_transpose(struct op_prepare *c, struct err *e) {
    const struct shape *x = &c->in[0].shape, *w = &c->in[1].shape;
    const size_t groups = (size_t)attr_int(c->node, "group", 1);
    struct window window;
    TRY(geometry(OPERAND_AT(c), x, w, &window, e));
    struct conv_transpose *s = ARENA_NEW(c->arena, struct conv_transpose);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a transposed convolution", e);
    window_cube(&window);
    transposed_plan(&s->transposed, &window, (size_t)x->dims[0], groups,
                    (size_t)w->dims[0] / groups, (size_t)w->dims[1]);
    s->plain = c->in[0].layout == LAYOUT_PLAIN;
    s->wide = c->in[0].dtype != DT_F32;
    s->channels = groups * (size_t)w->dims[1];
    s->packed = NULL;
    if (!s->wide && c->in[1].data)
        TRY(pack_weights(c, s, e));
    TRY(lay_out(c, s, e));
    c->state = s;
    c->flops = 2 * multiplications(&s->transposed);
    c->kernel = s->transposed.depthwise ? "depthwise phases" : "phases of gather gemm";
    return OK;
}

/* --- run --- */

static enum code to_f32(const struct tensor *t, float *to, struct err *e) {
    return cast_elements(DT_F32, to, t->dtype, t->data, tensor_count(t), true, NULL, e);
}

/* r->x, packed and bias: f32, channels last, packed. */
static enum code gather_inputs(const struct op_call *c, const struct conv_transpose *s,
                               struct transposed_run *r, struct err *e) {
    const struct transposed *p = &s->transposed;
    const struct tensor *bias = operand_in(c, 2);
    char *scratch = c->scratch;
    const float *x = c->in[0]->data, *w = c->in[1]->data, *b = bias ? bias->data : NULL;
    if (s->wide) {
        float *w_wide = (float *)(scratch + s->w_wide), *b_wide = (float *)(scratch + s->bias_wide);
        TRY(to_f32(c->in[0], c->scratch, e));
        TRY(to_f32(c->in[1], w_wide, e));
        if (bias)
            TRY(to_f32(bias, b_wide, e));
        x = c->scratch, w = w_wide, b = bias ? b_wide : NULL;
    }
    if (s->plain) {
        reorder_planes(x, scratch + s->x_last, p->batch, p->groups * p->in, window_inputs(&p->w),
                       sizeof(float), c->threads);
        x = (float *)(scratch + s->x_last);
    }
    if (!s->packed)
        transposed_pack(p, w, (float *)(scratch + s->packed_at));
    r->x = x;
    r->bias = b;
    r->packed = s->packed ? s->packed : (float *)(scratch + s->packed_at);
    return OK;
}

static enum code run_conv_transpose(const struct op_call *c, struct err *e) {
    const struct conv_transpose *s = c->state;
    const struct transposed *p = &s->transposed;
    const struct tensor *y = c->out[0];
    char *scratch = c->scratch;
    const size_t count = tensor_count(y);
    if (count == 0)
        return OK;
    float *y_f32 = s->wide ? (float *)(scratch + s->y_wide) : y->data;
    struct transposed_run r = {.y = s->plain ? (float *)(scratch + s->y_last) : y_f32,
                               .scratch = scratch + s->inner,
                               .threads = c->threads};
    TRY(gather_inputs(c, s, &r, e));
    transposed_run(p, &r);
    if (s->plain)
        reorder_planes(r.y, y_f32, p->batch, count / p->batch / s->channels, s->channels,
                       sizeof(float), c->threads);
    if (s->wide)
        return cast_elements(y->dtype, y->data, DT_F32, y_f32, count, true, NULL, e);
    if (c->node->n_post)
        post_apply_all(c, c->out[0], 0);
    return OK;
}

const struct op op_conv_transpose = {
    "conv_transpose",     OP_PURE | OP_NHWC | OP_NHWC_WINS | OP_POST,
    infer_conv_transpose, prepare_conv_transpose,
    run_conv_transpose,   NULL};
