/* SPDX-License-Identifier: Apache-2.0 */
/* An affine map per channel behind a convolution or Gemm (BatchNormalization, or Mul/Add/Sub/Div
 * with constants) goes into its weights and bias; a Pad with zeros before a convolution goes into
 * its pads. Once per session: it makes new weights.
 *
 * 1. The convolution is read by nobody else, and its weights and bias are f32 constants.
 * 2. Weights made by this pass belong to one node and are scaled where they are; those of the file
 * are copied first. Those that an earlier session made are found in the version's crate. */
#include "plan/match.h"
#include "plan/pass.h"

#include <math.h>

enum { MAX_CHANNELS = 1 << 24 };

struct affine { /* y = scale * x + shift, per channel */
    float *scale, *shift;
    int64_t n;
};

struct fusing {
    struct rewire w;
    value_id first_new;        /* values from here on were made by this pass */
    const struct crate *crate; /* or NULL */
};

/* --- the map --- */

static bool affine_new(struct fusing *f, int64_t n, struct affine *a) {
    if (n < 1 || n > MAX_CHANNELS)
        return false;
    a->n = n;
    a->scale = ARENA_ARRAY(&f->w.scratch, (size_t)n, float);
    a->shift = ARENA_ARRAY(&f->w.scratch, (size_t)n, float);
    for (int64_t c = 0; a->scale && a->shift && c < n; c++)
        a->scale[c] = 1;
    return a->scale && a->shift;
}

/* One number per channel, or one for all, as floats; NULL: not that. */
static const float *channel_numbers(struct fusing *f, value_id v, int rank, int axis, int64_t n,
                                    bool *one) {
    const struct tensor *t = rewire_constant_of(&f->w, v);
    if (!t || t->dtype != DT_F32 || !match_per_channel(t, rank, axis, n))
        return NULL;
    *one = tensor_count(t) == 1;
    return *one || (int64_t)tensor_count(t) == n ? t->data : NULL;
}

static bool read_batch_norm(struct fusing *f, const struct node *n, struct affine *a) {
    const float *p[4]; /* gamma, beta, mean, variance */
    bool one;
    if (attr_int(n, "training_mode", 0) || !attr_int(n, "spatial", 1))
        return false;
    for (int i = 0; i < 4; i++) {
        const struct tensor *t = rewire_constant_of(&f->w, rewire_in(&f->w, n, i + 1));
        p[i] = channel_numbers(f, rewire_in(&f->w, n, i + 1), 1, 0, a->n, &one);
        if (!p[i] || (int64_t)tensor_count(t) != a->n)
            return false;
    }
    float epsilon = attr_float(n, "epsilon", 1e-5F);
    for (int64_t c = 0; c < a->n; c++) {
        a->scale[c] = p[0][c] / sqrtf(p[3][c] + epsilon);
        a->shift[c] = p[1][c] - p[2][c] * a->scale[c];
    }
    return true;
}

/* x at operand `at` of a binary node. */
static bool read_binary(struct fusing *f, const struct node *n, int at, int rank, int axis,
                        struct affine *a) {
    bool one, add = str_is(n->op_name, "add"), sub = str_is(n->op_name, "sub");
    bool mul = str_is(n->op_name, "mul"), div = str_is(n->op_name, "div");
    if ((!add && !sub && !mul && !div) || n->n_in != 2 || n->n_post || (at == 1 && (sub || div)))
        return false;
    const float *v = channel_numbers(f, rewire_in(&f->w, n, 1 - at), rank, axis, a->n, &one);
    for (int64_t c = 0; v && c < a->n; c++) {
        float number = v[one ? 0 : c];
        if (div && number == 0)
            return false;
        a->scale[c] = mul ? number : div ? 1 / number : 1;
        a->shift[c] = add ? number : sub ? -number : 0;
    }
    return v != NULL;
}

static bool scales(const struct affine *a) {
    for (int64_t c = 0; c < a->n; c++)
        if (a->scale[c] != 1)
            return true;
    return false;
}

/* --- weights --- */

static bool from_crate(const struct fusing *f, const struct tensor *t) {
    return f->crate && crate_holds(f->crate, t->data);
}

/* A copy of input i of n that may be written; the input itself when this pass made it for this node
 * alone. */
static float *own_input(struct fusing *f, struct node *n, int i) {
    value_id v = rewire_in(&f->w, n, i);
    const struct tensor *t = rewire_constant_of(&f->w, v);
    if (v >= f->first_new && rewire_uses(&f->w, v) == 1 && !from_crate(f, t))
        return t->data;
    struct tensor *copy;
    value_id made = rewire_new_constant(&f->w, DT_F32, &t->shape, &copy);
    if (made == VALUE_NONE)
        return NULL;
    memcpy(copy->data, t->data, tensor_bytes(t));
    return rewire_set_in(&f->w, n, i, made) ? copy->data : NULL;
}

/* Where output channel c lies among weights: conv (M, C/g, ...), conv_transpose (C, M/g, ...), gemm
 * (K, M) or (M, K). */
struct weight_map {
    int64_t outer, channels,
        inner;         /* weight[o][c][i]: channel of c is c, or c + o / per_group * channels */
    int64_t per_group; /* conv_transpose: input channels per group; 0: no groups on this axis */
};

static bool map_weights(const struct node *n, const struct tensor *t, struct weight_map *m,
                        int64_t *channels) {
    const struct shape *s = &t->shape;
    int64_t groups = attr_int(n, "group", 1), all = (int64_t)tensor_count(t);
    if (s->rank < 2 || groups < 1 || all == 0)
        return false;
    *m = (struct weight_map){.outer = 1, .channels = s->dims[0], .inner = all / s->dims[0]};
    *channels = s->dims[0];
    if (str_is(n->op_name, "conv_transpose")) {
        *m = (struct weight_map){s->dims[0], s->dims[1], all / s->dims[0] / s->dims[1],
                                 s->dims[0] / groups};
        *channels = s->dims[1] * groups;
        return m->per_group > 0;
    }
    if (str_is(n->op_name, "gemm") && !attr_int(n, "transB", 0)) {
        *m = (struct weight_map){.outer = s->dims[0], .channels = s->dims[1], .inner = 1};
        *channels = s->dims[1];
    }
    return true;
}

static void scale_weights(float *weights, const struct weight_map *m, const struct affine *a) {
    for (int64_t o = 0; o < m->outer; o++)
        for (int64_t c = 0; c < m->channels; c++) {
            float s = a->scale[m->per_group ? c + o / m->per_group * m->channels : c];
            float *row = weights + (o * m->channels + c) * m->inner;
            for (int64_t i = 0; i < m->inner; i++)
                row[i] *= s;
        }
}

/* Their name once scaled. Raise the number in the word when other bytes come of it. */
static struct provenance scaled_name(const struct fusing *f, value_id weights,
                                     const struct weight_map *m, const struct affine *a) {
    const struct provenance of = provenance_of(&f->w.g->values[weights]);
    return provenance_then(provenance_then(of, "scale 1", m, sizeof *m), "by", a->scale,
                           (size_t)a->n * sizeof *a->scale);
}

/* Weights as an earlier session scaled them, or scaled now. */
static bool scale_input(struct fusing *f, struct node *n, const struct weight_map *m,
                        const struct affine *a) {
    const value_id v = rewire_in(&f->w, n, 1);
    const struct provenance name = scaled_name(f, v, m, a);
    struct tensor t = *rewire_constant_of(&f->w, v);
    const struct crate_item item = {name, CRATE_PLAIN, tensor_bytes(&t), NULL};
    const void *kept = f->crate && provenance_told(name) ? crate_find(f->crate, &item) : NULL;
    if (kept) {
        t.data = (void *)(uintptr_t)kept; /* never written: from_crate */
        const value_id old = rewire_take_constant(&f->w, &t);
        if (old == VALUE_NONE || !rewire_set_in(&f->w, n, 1, old))
            return false;
    } else {
        float *own = own_input(f, n, 1);
        if (!own)
            return false;
        scale_weights(own, m, a);
    }
    f->w.g->values[rewire_in(&f->w, n, 1)].made = name;
    return true;
}

static bool change_bias(struct fusing *f, struct node *n, const struct affine *a) {
    value_id old = rewire_in(&f->w, n, 2);
    const struct tensor *t = rewire_constant_of(&f->w, old);
    struct tensor *made;
    value_id v = rewire_new_constant(&f->w, DT_F32, &(struct shape){1, {a->n}}, &made);
    if (v == VALUE_NONE)
        return false;
    float *bias = made->data;
    size_t count = t ? tensor_count(t) : 0;
    for (int64_t c = 0; c < a->n; c++) {
        float before = count ? ((const float *)t->data)[count == 1 ? 0 : c] : 0;
        bias[c] = before * a->scale[c] + a->shift[c];
    }
    return rewire_set_in(&f->w, n, 2, v);
}

/* --- the rules --- */

/* The convolution or Gemm that makes v for this reader alone, with constants that may be changed.
 */
static struct node *host_of(struct fusing *f, value_id v) {
    struct node *n = rewire_uses(&f->w, v) == 1 ? rewire_producer(&f->w, v) : NULL;
    if (!n || n->n_post || n->n_in < 2 || n->n_in > 3 || n->n_out != 1)
        return NULL;
    bool gemm = str_is(n->op_name, "gemm");
    if (!gemm && !str_is(n->op_name, "conv") && !str_is(n->op_name, "conv_transpose"))
        return NULL;
    if (gemm && (attr_float(n, "alpha", 1) != 1 || attr_float(n, "beta", 1) != 1))
        return NULL;
    const struct tensor *weights = rewire_constant_of(&f->w, rewire_in(&f->w, n, 1));
    const struct tensor *bias = rewire_constant_of(&f->w, rewire_in(&f->w, n, 2));
    if (!weights || weights->dtype != DT_F32 || (rewire_in(&f->w, n, 2) != VALUE_NONE && !bias))
        return NULL;
    return !bias || (bias->dtype == DT_F32 && bias->shape.rank <= 1) ? n : NULL;
}

static bool bias_fits(struct fusing *f, const struct node *host, int64_t channels) {
    const struct tensor *bias = rewire_constant_of(&f->w, rewire_in(&f->w, host, 2));
    return !bias || tensor_count(bias) == 1 || (int64_t)tensor_count(bias) == channels;
}

static bool only_output_0(struct fusing *f, const struct node *n) {
    for (int i = 1; i < n->n_out; i++)
        if (rewire_uses(&f->w, n->out[i]) > 0)
            return false;
    return n->n_out >= 1;
}

/* A BatchNormalization that found no convolution before it (DenseNet's order) takes the map into
 * gamma and beta. */
static bool fuse_behind_norm(struct fusing *f, struct node *n, int at) {
    value_id in = rewire_in(&f->w, n, at);
    struct node *host =
        rewire_uses(&f->w, in) == 1 ? match_producer(&f->w, in, "batch_normalization") : NULL;
    const struct tensor *gamma = host ? rewire_constant_of(&f->w, rewire_in(&f->w, host, 1)) : NULL;
    const struct tensor *beta = host ? rewire_constant_of(&f->w, rewire_in(&f->w, host, 2)) : NULL;
    struct affine a;
    if (!gamma || !beta || gamma->dtype != DT_F32 || beta->dtype != DT_F32 ||
        gamma->shape.rank != 1 || !shape_eq(&gamma->shape, &beta->shape) ||
        attr_int(host, "training_mode", 0) || !only_output_0(f, host) ||
        !affine_new(f, gamma->shape.dims[0], &a))
        return false;
    const struct shape *s = match_shape(&f->w, in); /* broadcasting needs the rank */
    if (!s || s->rank < 2 || !read_binary(f, n, at, s->rank, 1, &a))
        return false;
    float *scale = own_input(f, host, 1), *shift = scale ? own_input(f, host, 2) : NULL;
    for (int64_t c = 0; shift && c < a.n; c++) {
        scale[c] *= a.scale[c];
        shift[c] = shift[c] * a.scale[c] + a.shift[c];
    }
    if (shift)
        (void)rewire_absorb(&f->w, host, n);
    return shift != NULL;
}

static bool fuse_behind(struct fusing *f, struct node *n, int at) {
    struct node *host = host_of(f, rewire_in(&f->w, n, at));
    struct weight_map map;
    struct affine a;
    int64_t channels;
    const struct tensor *weights =
        host ? rewire_constant_of(&f->w, rewire_in(&f->w, host, 1)) : NULL;
    if (!host || !only_output_0(f, n) || !map_weights(host, weights, &map, &channels) ||
        !bias_fits(f, host, channels) || !affine_new(f, channels, &a))
        return false;
    int rank = weights->shape.rank; /* of the result: conv keeps it, gemm makes 2 */
    bool read = str_is(n->op_name, "batch_normalization") ? at == 0 && read_batch_norm(f, n, &a)
                                                          : read_binary(f, n, at, rank, 1, &a);
    if (!read)
        return false;
    if (scales(&a) && !scale_input(f, host, &map, &a))
        return false;
    if (!change_bias(f, host, &a))
        return false;
    (void)rewire_absorb(&f->w, host, n);
    return true;
}

/* pads of (begin..., end...) over all dims: zero for the first two, none negative. */
static bool spatial_pads(struct fusing *f, const struct node *pad, int64_t *out, int spatial) {
    const int64_t *ints = NULL;
    size_t count = 0;
    const struct tensor *t = rewire_constant_of(&f->w, rewire_in(&f->w, pad, 1));
    if (!attr_ints(pad, "pads", &ints, &count))
        count = t ? tensor_count(t) : 0;
    if (count != (size_t)(spatial + 2) * 2)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t v = ints ? ints[i] : tensor_i64(t, i);
        int dim = (int)i % (spatial + 2), end = (int)i / (spatial + 2);
        if (v < 0 || (dim < 2 && v))
            return false;
        if (dim >= 2)
            out[end * spatial + dim - 2] += v;
    }
    return true;
}

static bool pads_with_zero(struct fusing *f, const struct node *pad) {
    double value = attr_float(pad, "value", 0);
    value_id v = rewire_in(&f->w, pad, 2);
    return pad->n_in <= 3 && str_is(attr_str(pad, "mode", "constant"), "constant") &&
           (v == VALUE_NONE || match_number(&f->w, v, &value)) && value == 0;
}

static bool fuse_pad(struct fusing *f, struct node *conv) {
    const struct tensor *weights = rewire_constant_of(&f->w, rewire_in(&f->w, conv, 1));
    struct node *pad = match_only(&f->w, rewire_in(&f->w, conv, 0), "pad");
    int64_t pads[2 * SHAPE_MAX] = {0};
    const int64_t *own;
    size_t n_own;
    if (!pad || !weights || !str_is(conv->op_name, "conv") || weights->shape.rank < 3 ||
        !pads_with_zero(f, pad) || !str_is(attr_str(conv, "auto_pad", "NOTSET"), "NOTSET"))
        return false;
    int spatial = weights->shape.rank - 2;
    if (attr_ints(conv, "pads", &own, &n_own))
        for (size_t i = 0; i < n_own && i < (size_t)spatial * 2; i++)
            pads[i] = own[i];
    if (!spatial_pads(f, pad, pads, spatial))
        return false;
    return rewire_attr_ints(&f->w, conv, "pads", pads, (size_t)spatial * 2) &&
           rewire_set_in(&f->w, conv, 0, rewire_in(&f->w, pad, 0));
}

static void visit(struct fusing *f, struct node *n, bool weights) {
    if (weights && str_is(n->op_name, "conv"))
        (void)fuse_pad(f, n);
    else if (weights && str_is(n->op_name, "batch_normalization"))
        (void)fuse_behind(f, n, 0);
    for (int at = 0; at < 2 && n->n_in == 2 && n->n_out == 1; at++)
        if ((weights && fuse_behind(f, n, at)) || fuse_behind_norm(f, n, at))
            return;
}

static enum code run(struct pass_run *r, struct err *e) {
    struct fusing f = {.first_new = r->graph->n_values, .crate = r->crate};
    TRY(rewire_open(&f.w, r->graph, r->arena, e));
    for (node_id id = 0; id < r->graph->n_nodes; id++) {
        struct node *n = rewire_visit(&f.w, id);
        if (n)
            visit(&f, n, r->stage == PASS_OPEN);
    }
    return rewire_close(&f.w, &r->changed, e);
}

const struct pass pass_fuse_conv = {
    .name = "fuse_conv", .stages = PASS_OPEN | PASS_PLAN, .run = run};
