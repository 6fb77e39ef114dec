/* SPDX-License-Identifier: Apache-2.0 */
/* conv_transpose. ONNX ConvTranspose 1, 11, 22: y[o] sums x[i] * w[k] over all i * stride + k *
 * dilation - before = o.
 *
 * Along each dim the outputs o with the same o mod stride (a phase) use the same kernel elements,
 * so the work falls into one dense product per tuple of phases, of gathered rows of x, and nothing
 * is multiplied by zeros that a stride would insert. All channels last; PLAIN nodes and other float
 * types go through scratch memory like conv's.
 *
 * Scratch: [x f32 or channels last] [x, when both] [y] [weights f32] [bias f32] [packed weights] [a
 * row of zeros] [per thread: pointers]. */
#include "op/operand.h"
#include "op/pack.h"
#include "op/panel.h"
#include "op/post.h"
#include "op/reorder.h"
#include "op/team.h"
#include "op/window.h"
#include "tensor/cast.h"

enum { PHASES_MAX = 65536 };

/* --- shapes --- */

/* pads from output_shape or auto_pad SAME: how much of the full output is cut, and where. */
static void cut(struct window *w, int i, int64_t full, int64_t want, bool upper) {
    int64_t total = full > want ? full - want : 0;
    w->before[i] = upper ? total / 2 : total - total / 2;
    w->after[i] = total - w->before[i];
    w->out[i] = want;
}

static enum code shapes(const struct operand_at *at, const struct shape *x,
                        const struct shape *weights, struct window *w, struct err *e) {
    char text_x[SHAPE_TEXT], text_w[SHAPE_TEXT];
    int64_t groups = attr_int(at->node, "group", 1);
    if (x->rank < 3 || x->rank > 2 + WINDOW_DIMS || weights->rank != x->rank ||
        weights->dims[0] != x->dims[1] || groups < 1 || x->dims[1] % groups != 0)
        return operand_fail(at, e, INVALID, "input %s with weights %s in %lld groups",
                            shape_print(x, text_x), shape_print(weights, text_w),
                            (long long)groups);
    TRY(window_attributes(at, x->rank - 2, weights->dims + 2, w, e));
    struct operand_ints extra, want;
    bool has_extra, has_want;
    TRY(operand_attr_ints(at, "output_padding", &extra, &has_extra, e));
    TRY(operand_attr_ints(at, "output_shape", &want, &has_want, e));
    if ((has_extra && extra.n != w->n) || (has_want && want.n != w->n && want.n != w->n + 2))
        return operand_fail(at, e, INVALID,
                            "output_padding or output_shape does not have %d entries", w->n);
    for (int i = 0; i < extra.n + want.n; i++) {
        int64_t v = i < extra.n ? extra.v[i] : want.v[i - extra.n];
        if (v < 0 || v >= (int64_t)1 << 31)
            return operand_fail(at, e, INVALID,
                                "output_padding or output_shape has an entry of %lld",
                                (long long)v);
    }
    struct str pad = attr_str(at->node, "auto_pad", "NOTSET");
    bool same = str_is(pad, "SAME_UPPER") || str_is(pad, "SAME_LOWER");
    for (int i = 0; i < w->n; i++) {
        w->in[i] = x->dims[2 + i];
        int64_t full = w->stride[i] * (w->in[i] - 1) + (has_extra ? extra.v[i] : 0) +
                       (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (has_want)
            cut(w, i, full, want.v[want.n - w->n + i], str_is(pad, "SAME_UPPER"));
        else if (same)
            cut(w, i, full, w->in[i] * w->stride[i], str_is(pad, "SAME_UPPER"));
        else
            w->out[i] = full - w->before[i] - w->after[i];
        if (w->out[i] < 0 || w->in[i] >= (int64_t)1 << 31)
            return operand_fail(at, e, INVALID, "an output dim of %lld", (long long)w->out[i]);
    }
    return OK;
}

static enum code infer_conv_transpose(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) || c->in[1].dtype != t || (operand_given(c, 2) && c->in[2].dtype != t))
        return operand_fail(c, e, INVALID, "input is %s, weights are %s", dtype_name(t),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, t);
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[0].shape, *weights = &c->in[1].shape;
    struct window w;
    TRY(shapes(OPERAND_AT(c), x, weights, &w, e));
    int64_t channels = weights->dims[1] * attr_int(c->node, "group", 1);
    if (operand_given(c, 2) && (c->in[2].shape.rank != 1 || c->in[2].shape.dims[0] != channels))
        return operand_fail(c, e, INVALID, "the bias does not have %lld elements",
                            (long long)channels);
    struct shape out = {.rank = x->rank, .dims = {x->dims[0], channels}};
    for (int i = 0; i < w.n; i++)
        out.dims[2 + i] = w.out[i];
    return operand_out(c, 0, t, &out, e);
}

/* --- phases --- */

struct phase {
    size_t taps;
    const size_t *tap; /* (taps) kernel elements, flat */
    size_t packed;     /* offset of its panels, of group 0 */
};

struct conv_transpose {
    struct window w;
    size_t batch, groups, in, out; /* channels of one group */
    size_t n_phases, packed_floats, most_taps;
    int64_t phases[WINDOW_DIMS]; /* per dim */
    struct phase *phase;         /* (n_phases), last dim fastest */
    const float *packed;         /* NULL: packed by each run */
    bool plain, wide;
    size_t x_at, y_at, w_at, bias_at, packed_at, zeros_at, own_at, own_bytes;
};

/* Does kernel element k of dim i reach outputs of this phase? */
static bool reaches(const struct window *w, int i, int64_t k, int64_t phase) {
    int64_t d = (k * w->dilation[i] - w->before[i] - phase) % w->stride[i];
    return d == 0;
}

static bool tap_in_phase(const struct conv_transpose *s, size_t tap, size_t phase) {
    for (int i = s->w.n - 1; i >= 0; i--) {
        if (!reaches(&s->w, i, (int64_t)(tap % (size_t)s->w.kernel[i]),
                     (int64_t)(phase % (size_t)s->phases[i])))
            return false;
        tap /= (size_t)s->w.kernel[i];
        phase /= (size_t)s->phases[i];
    }
    return true;
}

static enum code make_phases(struct op_prepare *c, struct conv_transpose *s, struct err *e) {
    const size_t taps = window_taps(&s->w);
    s->n_phases = 1;
    for (int i = 0; i < s->w.n; i++) {
        s->phases[i] = s->w.stride[i] < s->w.out[i] ? s->w.stride[i] : s->w.out[i];
        s->n_phases *= (size_t)s->phases[i];
        if (s->n_phases > PHASES_MAX)
            return operand_fail(c, e, LIMIT, "strides that make more than %d phases", PHASES_MAX);
    }
    s->phase = ARENA_ARRAY(c->arena, s->n_phases + 1, struct phase);
    size_t *list = ARENA_ARRAY(c->arena, taps, size_t); /* each tap reaches one phase at most */
    if (!s->phase || !list)
        return arena_fail(c->arena, s->n_phases * sizeof *s->phase + taps * sizeof *list,
                          "a transposed convolution", e);
    for (size_t p = 0; p < s->n_phases; p++) {
        struct phase *phase = &s->phase[p];
        *phase = (struct phase){.tap = list, .packed = s->packed_floats};
        for (size_t tap = 0; tap < taps; tap++)
            if (tap_in_phase(s, tap, p))
                list[phase->taps++] = tap;
        list += phase->taps;
        s->packed_floats += s->groups * panel_floats(phase->taps * s->in, s->out);
        s->most_taps = phase->taps > s->most_taps ? phase->taps : s->most_taps;
    }
    return OK;
}

/* Weights are (groups * in, out, taps). A phase's taps are not evenly spaced, so each is gathered
 * as one piece of k. */
static void pack_phase(const struct conv_transpose *s, const struct phase *p, const float *weights,
                       size_t group, float *to) {
    const size_t taps = window_taps(&s->w);
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    for (size_t col = 0; col < s->out; col += tile.nr)
        for (size_t t = 0; t < p->taps; t++)
            for (size_t k = 0; k < s->in; k++, to += tile.nr)
                for (size_t i = 0; i < tile.nr; i++) {
                    const float *row = weights + (group * s->in + k) * s->out * taps + p->tap[t];
                    to[i] = col + i < s->out ? row[(col + i) * taps] : 0;
                }
}

static void pack_all(const struct conv_transpose *s, const float *weights, float *to) {
    for (size_t p = 0; p < s->n_phases; p++)
        for (size_t group = 0; group < s->groups; group++)
            pack_phase(s, &s->phase[p], weights, group,
                       to + s->phase[p].packed +
                           group * panel_floats(s->phase[p].taps * s->in, s->out));
}

/* --- prepare --- */

static size_t take(size_t *at, size_t bytes) {
    size_t here = *at;
    *at = mem_round_up(here + bytes, MEM_LINE);
    return here;
}

static size_t line_pixels(const struct conv_transpose *s) { /* of one phase in a line of y */
    int last = s->w.n - 1;
    return s->phases[last] ? (size_t)((s->w.out[last] + s->w.stride[last] - 1) / s->w.stride[last])
                           : 0;
}

static void lay_out(struct op_prepare *c, struct conv_transpose *s) {
    const size_t channels = s->groups * s->out,
                 in = s->batch * window_inputs(&s->w) * s->groups * s->in * sizeof(float);
    const size_t out = s->batch * window_pixels(&s->w) * channels * sizeof(float);
    const size_t weights = s->groups * s->in * s->out * window_taps(&s->w) * sizeof(float);
    size_t at = 0;
    take(&at, s->wide ? in : 0);
    s->x_at = take(&at, s->plain ? in : 0);
    s->y_at = take(&at, s->plain || s->wide ? out * (s->plain && s->wide ? 2 : 1) : 0);
    s->w_at = take(&at, s->wide ? weights : 0);
    s->bias_at = take(&at, s->wide ? channels * sizeof(float) : 0);
    s->packed_at = take(&at, s->packed ? 0 : s->packed_floats * sizeof(float));
    s->zeros_at = take(&at, s->in * sizeof(float));
    s->own_bytes = mem_round_up(line_pixels(s) * s->most_taps * sizeof(float *) + 1, MEM_LINE);
    s->own_at = take(&at, s->own_bytes * (size_t)c->threads);
    c->scratch_bytes = at;
}

static double multiplications(const struct conv_transpose *s) {
    return (double)s->batch * (double)window_inputs(&s->w) * (double)(s->groups * s->in) *
           (double)s->out * (double)window_taps(&s->w);
}

static enum code prepare_conv_transpose(struct op_prepare *c, struct err *e) {
    const struct shape *x = &c->in[0].shape, *weights = &c->in[1].shape;
    struct conv_transpose *s = ARENA_NEW(c->arena, struct conv_transpose);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a transposed convolution", e);
    TRY(shapes(OPERAND_AT(c), x, weights, &s->w, e));
    s->batch = (size_t)x->dims[0], s->groups = (size_t)attr_int(c->node, "group", 1);
    s->in = (size_t)x->dims[1] / s->groups, s->out = (size_t)weights->dims[1];
    s->plain = c->in[0].layout == LAYOUT_PLAIN;
    s->wide = c->in[0].dtype != DT_F32;
    TRY(make_phases(c, s, e));
    if (!s->wide && c->in[1].data) {
        void *to;
        bool filled;
        uint64_t packing = PACK_OTHER;
        for (int i = 0; i < s->w.n; i++)
            packing = packing * 31 + (uint64_t)(s->phases[i] * 1000003 + s->w.stride[i] * 997 +
                                                s->w.dilation[i] * 31 + s->w.before[i]);
        TRY(pack_room(c, c->in[1].data->data, packing, s->packed_floats * sizeof(float) + 1, &to,
                      &filled, e));
        if (!filled)
            pack_all(s, c->in[1].data->data, to);
        s->packed = to;
    }
    lay_out(c, s);
    c->state = s;
    c->flops = 2 * multiplications(s);
    c->kernel = "phase gemm";
    return OK;
}

/* --- run --- */

struct job {
    const struct op_call *call;
    const struct conv_transpose *s;
    const float *x, *packed, *bias, *zeros;
    float *y;
    bool posts;
};

/* Input coordinate of output o under kernel element k, or -1. */
static int64_t source(const struct window *w, int i, int64_t o, int64_t k) {
    int64_t d = o + w->before[i] - k * w->dilation[i];
    return d < 0 || d % w->stride[i] != 0 || d / w->stride[i] >= w->in[i] ? -1 : d / w->stride[i];
}

/* Offset in pixels of the line of x that output line `line` (all dims but the last) sees under a
 * tap; -1: outside. */
static int64_t source_line(const struct window *w, size_t line, size_t tap) {
    int64_t at = 0, step = w->in[w->n - 1];
    for (int i = w->n - 2; i >= 0; i--) {
        int64_t in = source(w, i, (int64_t)(line % (size_t)w->out[i]),
                            (int64_t)(tap % (size_t)w->kernel[i]));
        if (in < 0)
            return -1;
        at += in * step;
        step *= w->in[i];
        line /= (size_t)w->out[i];
        tap /= (size_t)w->kernel[i];
    }
    return at;
}

static size_t phase_of_line(const struct conv_transpose *s, size_t line) {
    size_t phase = 0, step = (size_t)s->phases[s->w.n - 1];
    for (int i = s->w.n - 2; i >= 0; i--) {
        phase += line % (size_t)s->w.out[i] % (size_t)s->w.stride[i] * step;
        step *= (size_t)s->phases[i];
        line /= (size_t)s->w.out[i];
    }
    return phase;
}

/* Tile after tile: (taps, rows of the tile) pointers. */
static void point(const struct job *j, const struct phase *p, const float *x, size_t line,
                  int64_t first, size_t n, const float **to) {
    const struct conv_transpose *s = j->s;
    const int last = s->w.n - 1;
    const size_t pixel = s->groups * s->in;
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    for (size_t row = 0; row < n; row += tile.mr) {
        size_t some = n - row < tile.mr ? n - row : tile.mr;
        for (size_t t = 0; t < p->taps; t++) {
            int64_t kernel = s->w.kernel[last],
                    base = source_line(&s->w, line, p->tap[t] / (size_t)kernel),
                    k = (int64_t)p->tap[t] % kernel;
            for (size_t i = 0; i < some; i++) {
                int64_t in = source(&s->w, last, first + (int64_t)(row + i) * s->w.stride[last], k);
                *to++ = base < 0 || in < 0 ? j->zeros : x + (size_t)(base + in) * pixel;
            }
        }
    }
}

static void bias_only(const struct job *j, float *y, size_t n, size_t row) {
    const size_t channels = j->s->groups * j->s->out;
    for (size_t i = 0; i < n; i++, y += row) {
        if (j->bias)
            memcpy(y, j->bias, channels * sizeof(float));
        else
            memset(y, 0, channels * sizeof(float));
    }
}

static void one_line(const struct job *j, size_t index, const float **pointers) {
    const struct conv_transpose *s = j->s;
    const int last = s->w.n - 1;
    const size_t lines = window_pixels(&s->w) / (size_t)s->w.out[last],
                 channels = s->groups * s->out;
    const size_t line = index % lines, begin = index * (size_t)s->w.out[last] * channels;
    const float *x = j->x + index / lines * window_inputs(&s->w) * s->groups * s->in;
    for (int64_t first = 0; first < s->phases[last]; first++) {
        const struct phase *p = &s->phase[phase_of_line(s, line) + (size_t)first];
        size_t n = (size_t)((s->w.out[last] - first + s->w.stride[last] - 1) / s->w.stride[last]);
        float *y = j->y + begin + (size_t)first * channels;
        size_t row = (size_t)s->w.stride[last] * channels;
        if (p->taps == 0) {
            bias_only(j, y, n, row);
            continue;
        }
        for (size_t group = 0; group < s->groups; group++) {
            point(j, p, x + group * s->in, line, first, n, pointers);
            panel_multiply_rows(&(struct panel_rows){
                .m = n,
                .n = s->out,
                .k = s->in,
                .taps = p->taps,
                .a = pointers,
                .panels = j->packed + p->packed + group * panel_floats(p->taps * s->in, s->out),
                .bias = j->bias ? j->bias + group * s->out : NULL,
                .c = y + group * s->out,
                .c_row = row});
        }
    }
    if (j->posts)
        post_apply(j->call, j->call->out[0], begin, (size_t)s->w.out[last] * channels);
}

static void all_lines(const struct job *j) {
    const struct conv_transpose *s = j->s;
    const size_t lines = s->batch * window_pixels(&s->w) / (size_t)s->w.out[s->w.n - 1];
    char *own = (char *)j->call->scratch + s->own_at;
    const int team = team_size(j->call->threads,
                               0.03 * multiplications(s) + 2 * (double)(lines * line_pixels(s)));
#pragma omp parallel for num_threads(team) if (team > 1) schedule(static)
    for (int t = 0; t < team; t++)
        for (size_t i = team_cut(lines, 1, team, t); i < team_cut(lines, 1, team, t + 1); i++)
            one_line(j, i, (const float **)(own + (size_t)t * s->own_bytes));
}

static enum code to_f32(const struct tensor *t, void *to, struct err *e) {
    return cast_elements(DT_F32, to, t->dtype, t->data, tensor_count(t), true, NULL, e);
}

static enum code gather_inputs(const struct op_call *c, const struct conv_transpose *s,
                               struct job *j, struct err *e) {
    char *scratch = c->scratch;
    const struct tensor *bias = operand_in(c, 2);
    const float *weights = c->in[1]->data;
    *j = (struct job){.call = c,
                      .s = s,
                      .x = c->in[0]->data,
                      .packed = s->packed,
                      .bias = bias ? bias->data : NULL,
                      .y = c->out[0]->data,
                      .zeros = (const float *)(scratch + s->zeros_at)};
    memset(scratch + s->zeros_at, 0, s->in * sizeof(float));
    if (s->wide) {
        TRY(to_f32(c->in[0], scratch, e));
        TRY(to_f32(c->in[1], scratch + s->w_at, e));
        if (bias)
            TRY(to_f32(bias, scratch + s->bias_at, e));
        j->x = (const float *)scratch;
        weights = (const float *)(scratch + s->w_at);
        j->bias = bias ? (const float *)(scratch + s->bias_at) : NULL;
        j->y = (float *)(scratch + s->y_at);
    }
    if (s->plain) {
        reorder_planes(j->x, scratch + s->x_at, s->batch, s->groups * s->in, window_inputs(&s->w),
                       sizeof(float), c->threads);
        j->x = (const float *)(scratch + s->x_at);
        j->y = (float *)(scratch + s->y_at);
    }
    if (!s->packed) {
        pack_all(s, weights, (float *)(scratch + s->packed_at));
        j->packed = (const float *)(scratch + s->packed_at);
    }
    return OK;
}

static enum code run_conv_transpose(const struct op_call *c, struct err *e) {
    const struct conv_transpose *s = c->state;
    struct job j;
    const size_t count = tensor_count(c->out[0]);
    if (count == 0)
        return OK;
    TRY(gather_inputs(c, s, &j, e));
    j.posts = c->node->n_post && j.y == c->out[0]->data;
    all_lines(&j);
    if (s->plain) {
        float *back = s->wide ? j.y + count : c->out[0]->data;
        reorder_planes(j.y, back, s->batch, window_pixels(&s->w), s->groups * s->out, sizeof(float),
                       c->threads);
        j.y = back;
    }
    if (s->wide)
        return cast_elements(c->out[0]->dtype, c->out[0]->data, DT_F32, j.y, count, true, NULL, e);
    if (c->node->n_post && !j.posts)
        post_apply(c, c->out[0], 0, count);
    return OK;
}

const struct op op_conv_transpose = {
    "conv_transpose",     OP_PURE | OP_NHWC | OP_NHWC_WINS | OP_POST,
    infer_conv_transpose, prepare_conv_transpose,
    run_conv_transpose,   NULL};
