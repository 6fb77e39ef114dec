/* SPDX-License-Identifier: Apache-2.0 */
/* Applying node->post; see post.h. */
#include "op/post.h"

#include "op/team.h"
#include "op/wide.h"

enum { GRAIN = 1 << 10 /* elements: of a team's parts */ };

static unary_f32_fn *post_function(enum post_kind kind) {
    const struct kernel_set *k = kernel_set();
    switch (kind) {
    case POST_RELU: return k->relu_f32;
    case POST_CLIP: return k->clip_f32;
    case POST_LEAKY_RELU: return k->leaky_relu_f32;
    case POST_ELU: return k->elu_f32;
    case POST_SIGMOID: return k->sigmoid_f32;
    case POST_TANH: return k->tanh_f32;
    case POST_HARD_SIGMOID: return k->hard_sigmoid_f32;
    case POST_HARD_SWISH: return k->hard_swish_f32;
    case POST_SILU: return k->silu_f32;
    case POST_GELU_ERF: return k->gelu_erf_f32;
    case POST_GELU_TANH: return k->gelu_tanh_f32;
    case POST_NONE:
    case POST_ADD:
    case POST_MUL: break;
    }
    return NULL;
}

/* How the other operand of ADD and MUL repeats along y as it lies: element (p / inner) % n. */
struct repeat {
    size_t inner, n;
};

/* true when the operand is a scalar, of y's own shape and layout, or varies along a single axis. */
static bool repeats(const struct tensor *y, const struct tensor *t, struct repeat *out) {
    size_t count = tensor_count(t);
    *out = (struct repeat){1, count};
    if (count == 1 || (shape_eq(&y->shape, &t->shape) && y->layout == t->layout))
        return true;
    struct shape physical;
    tensor_physical_shape(y, &physical);
    for (int own = 0; own < t->shape.rank; own++) {
        int axis = own + y->shape.rank - t->shape.rank;
        if (axis < 0 || t->shape.dims[own] != (int64_t)count ||
            y->shape.dims[axis] != (int64_t)count)
            continue;
        for (int inner = tensor_physical_axis(y, axis) + 1; inner < physical.rank; inner++)
            out->inner *= (size_t)physical.dims[inner];
        return true;
    }
    return false;
}

/* Position in t of element p of y: any broadcast, any layouts. */
static size_t broadcast_position(const struct tensor *y, const struct tensor *t, size_t p) {
    struct shape physical, own;
    int64_t strides[SHAPE_MAX];
    tensor_physical_shape(y, &physical);
    tensor_physical_shape(t, &own);
    shape_strides(&own, strides);
    int64_t at[SHAPE_MAX];
    size_t position = 0;
    for (int axis = physical.rank - 1; axis >= 0; p /= (size_t)physical.dims[axis], axis--)
        at[axis] = (int64_t)(p % (size_t)physical.dims[axis]);
    for (int axis = 0; axis < t->shape.rank; axis++) {
        int outer = axis + y->shape.rank - t->shape.rank;
        if (outer >= 0 && t->shape.dims[axis] != 1)
            position += (size_t)(at[tensor_physical_axis(y, outer)] *
                                 strides[tensor_physical_axis(t, axis)]);
    }
    return position;
}

/* y[0, n) op= other, where other starts in the middle of a period at `at`. */
static void along_rows(binary_f32_fn *fn, float *y, size_t n, const float *other, size_t period,
                       size_t at) {
    while (n) {
        size_t rows = at == 0 && n >= period ? n / period : 1,
               some = at == 0 && n >= period ? period : period - at;
        some = some < n ? some : n;
        fn(&(struct binary_f32){.rows = rows,
                                .n = some,
                                .a = y,
                                .b = other + at,
                                .y = y,
                                .a_row = (ptrdiff_t)some,
                                .y_row = (ptrdiff_t)some});
        y += rows * some, n -= rows * some;
        at = (at + some) % period;
    }
}

static void along_runs(binary_f32_fn *fn, float *y, size_t begin, size_t n, const float *other,
                       struct repeat r) {
    while (n) {
        size_t run = r.inner - begin % r.inner, some = run < n ? run : n;
        fn(&(struct binary_f32){.rows = 1,
                                .n = some,
                                .a = y,
                                .b = other + begin / r.inner % r.n,
                                .b_one = true,
                                .y = y});
        y += some, n -= some, begin += some;
    }
}

/* y: elements [begin, begin + count) of what has out's shape and layout. */
static void post_operand(const struct tensor *t, const struct post *p, const struct tensor *out,
                         float *y, size_t begin, size_t count) {
    binary_f32_fn *fn = p->kind == POST_ADD ? kernel_set()->add_f32 : kernel_set()->mul_f32;
    const float *other = t->data;
    struct repeat r;
    if (!repeats(out, t, &r))
        for (size_t i = 0; i < count; i++)
            fn(&(struct binary_f32){.rows = 1,
                                    .n = 1,
                                    .a = y + i,
                                    .b = other + broadcast_position(out, t, begin + i),
                                    .y = y + i});
    else if (r.n > 1 && r.inner == 1)
        along_rows(fn, y, count, other, r.n, begin % r.n);
    else if (r.n > 1)
        along_runs(fn, y, begin, count, other, r);
    else
        fn(&(struct binary_f32){.rows = 1, .n = count, .a = y, .b = other, .b_one = true, .y = y});
}

/* The other operand is of 16 bits: a block of it as f32 at a time. */
static void post_half(const struct tensor *t, const struct post *p, const struct tensor *out,
                      float *y, size_t begin, size_t count) {
    enum { BLOCK = 256 };
    binary_f32_fn *fn = p->kind == POST_ADD ? kernel_set()->add_f32 : kernel_set()->mul_f32;
    float other[BLOCK];
    uint16_t gathered[BLOCK];
    struct repeat r;
    const bool simple = repeats(out, t, &r),
               same = simple && r.inner == 1 && r.n == tensor_count(out);
    for (size_t i = 0; i < count; i += BLOCK) {
        const size_t some = count - i < BLOCK ? count - i : BLOCK, at = begin + i;
        for (size_t k = 0; k < some && !same; k++) {
            size_t from = simple ? (at + k) / r.inner % r.n : broadcast_position(out, t, at + k);
            gathered[k] = ((const uint16_t *)t->data)[from];
        }
        wide_load(t->dtype, same ? t->data : gathered, same ? at : 0, some, other);
        fn(&(struct binary_f32){.rows = 1, .n = some, .a = y + i, .b = other, .y = y + i});
    }
}

static void stretch(const struct op_call *c, const struct tensor *y, float *at, int done,
                    size_t begin, size_t count) {
    for (int i = done; i < c->node->n_post; i++) {
        const struct post *p = &c->node->post[i];
        unary_f32_fn *fn = post_function(p->kind);
        if (p->kind == POST_SILU)
            fn(count, at, at, 1.0f, 0);
        else if (p->kind == POST_HARD_SWISH)
            fn(count, at, at, 1.0f / 6, 0.5f);
        else if (fn)
            fn(count, at, at, p->alpha, p->beta);
        else if (p->kind != POST_NONE && wide_half(c->in[p->input]->dtype))
            post_half(c->in[p->input], p, y, at, begin, count);
        else if (p->kind != POST_NONE)
            post_operand(c->in[p->input], p, y, at, begin, count);
    }
}

void post_apply_at(const struct op_call *c, const struct tensor *y, float *at, size_t begin,
                   size_t count) {
    stretch(c, y, at, 0, begin, count);
}

void post_apply_from(const struct op_call *c, const struct tensor *y, int done, size_t begin,
                     size_t count) {
    stretch(c, y, (float *)y->data + begin, done, begin, count);
}

void post_apply(const struct op_call *c, const struct tensor *y, size_t begin, size_t count) {
    post_apply_from(c, y, 0, begin, count);
}

void post_apply_all(const struct op_call *c, const struct tensor *y, int done) {
    const size_t n = c->node->n_post > done ? tensor_count(y) : 0;
    const int team = team_size(c->threads, (double)n * post_cost(c->node));
    if (team == 1) {
        post_apply_from(c, y, done, 0, n);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (int t = 0; t < team; t++) {
        size_t from = team_cut(n, GRAIN, team, t);
        post_apply_from(c, y, done, from, team_cut(n, GRAIN, team, t + 1) - from);
    }
}

void post_deliver(const struct op_call *c, float *made) {
    enum { AT_ONCE = 4096 }; /* elements between posts and rounding: 16 KB */
    const struct tensor *y = c->out[0];
    const size_t n = tensor_count(y);
    const int team = team_size(c->threads, (double)n * (0.15 + post_cost(c->node)));
#pragma omp parallel for num_threads(team) if (team > 1) schedule(static)
    for (int t = 0; t < team; t++) {
        const size_t end = team_cut(n, GRAIN, team, t + 1);
        for (size_t at = team_cut(n, GRAIN, team, t); at < end; at += AT_ONCE) {
            const size_t some = end - at < AT_ONCE ? end - at : AT_ONCE;
            post_apply_at(c, y, made + at, at, some);
            wide_store(y->dtype, y->data, at, some, made + at);
        }
    }
}

double post_cost(const struct node *n) {
    double ns = 0;
    for (int i = 0; i < n->n_post; i++)
        ns += n->post[i].kind <= POST_LEAKY_RELU ? 0.1 : 0.5;
    return ns;
}

/* --- for oneDNN --- */

static bool fuse_operand(const struct op_value *out, const struct op_value *in,
                         struct dnnl_fused *f) {
    if ((in->dtype != DT_F32 && in->dtype != DT_BF16) || out->shape.rank > DNNL_DIMS)
        return false;
    f->number = in->dtype == DT_BF16 ? DNNL_NUMBER_BF16 : DNNL_NUMBER_F32;
    const int shift = out->shape.rank - in->shape.rank;
    bool channels = false, others = false; /* more than one element along them */
    for (int axis = 0; axis < out->shape.rank; axis++) {
        f->dims[axis] = axis < shift ? 1 : in->shape.dims[axis - shift];
        if (axis == 1)
            channels = f->dims[axis] != 1;
        else if (axis > 1)
            others = others || f->dims[axis] != 1;
    }
    return out->layout == in->layout || !channels || !others;
}

bool post_fused(const struct op_prepare *c, struct dnnl_fused out[DNNL_FUSED_MAX]) {
    static const enum dnnl_fused_kind kinds[] = {[POST_RELU] = DNNL_FUSED_RELU,
                                                 [POST_CLIP] = DNNL_FUSED_CLIP,
                                                 [POST_LEAKY_RELU] = DNNL_FUSED_LEAKY_RELU,
                                                 [POST_ELU] = DNNL_FUSED_ELU,
                                                 [POST_SIGMOID] = DNNL_FUSED_SIGMOID,
                                                 [POST_TANH] = DNNL_FUSED_TANH,
                                                 [POST_HARD_SIGMOID] = DNNL_FUSED_HARD_SIGMOID,
                                                 [POST_HARD_SWISH] = DNNL_FUSED_HARD_SWISH,
                                                 [POST_SILU] = DNNL_FUSED_SILU,
                                                 [POST_GELU_ERF] = DNNL_FUSED_GELU_ERF,
                                                 [POST_GELU_TANH] = DNNL_FUSED_GELU_TANH,
                                                 [POST_ADD] = DNNL_FUSED_ADD,
                                                 [POST_MUL] = DNNL_FUSED_MUL};
    for (int i = 0; i < c->node->n_post; i++) {
        const struct post *p = &c->node->post[i];
        out[i] = (struct dnnl_fused){.kind = kinds[p->kind], .alpha = p->alpha, .beta = p->beta};
        if (p->kind == POST_NONE)
            return false;
        if ((p->kind == POST_ADD || p->kind == POST_MUL) &&
            !fuse_operand(&c->out[0], &c->in[p->input], &out[i]))
            return false;
    }
    return true;
}

bool post_flatten(struct dnnl_fused *f, int n, const struct shape *out, size_t rows) {
    for (int i = 0; i < n; i++) {
        int64_t lead = 1, last = f[i].dims[out->rank - 1];
        for (int axis = 0; axis < out->rank - 1; axis++)
            lead *= f[i].dims[axis];
        if (lead != 1 && lead != (int64_t)rows)
            return false;
        f[i].dims[0] = 1, f[i].dims[1] = lead, f[i].dims[2] = last;
    }
    return true;
}

void post_extras(const struct op_call *c, bool fused, int done, struct dnnl_run *run) {
    for (int i = done; fused && i < c->node->n_post; i++) {
        const struct post *p = &c->node->post[i];
        if (p->kind == POST_ADD || p->kind == POST_MUL)
            run->extra[i - done] = c->in[p->input]->data;
    }
}
