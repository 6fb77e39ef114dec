/* SPDX-License-Identifier: Apache-2.0 */
/* Quantised models arrive as real arithmetic between DequantizeLinear and QuantizeLinear. Where an
 * operator exists that works on the bytes themselves, the three become one, and whole chains stay
 * in 8 bits:
 *
 * - Q(Conv(D(x), D(w), D(b))): q_linear_conv; Q(MatMul(D(a), D(b))): q_linear_mat_mul;
 *   Gemm(D(a), D(b), D(c)), Q or not: q_gemm;
 * - Q(Add(D(a), D(b))): q_linear_add, Mul likewise; Q(Concat(D(x), ...)): q_linear_concat, or
 * concat where all mean the same;
 * - Q(f(D(x))): q_linear_f, for sigmoid, leaky_relu, average_pool, global_average_pool;
 * - Q(move(D(x))), equal parameters: move(x), for pools of maxima, views, transposes, nearest
 *   pixels, ...; Q(D(x)), equal parameters: x.
 *
 * A Relu or Clip in front of a quantiser that saturates there anyway is dropped. What does not fit
 * is left: constants are dequantised by the fold pass in its next round, the rest runs in f32.
 *
 * 1. Activations have one scale and one zero point, constants of the session; weights may have one
 * per output channel.
 * 2. The operator in the middle is read by the quantiser alone; a dequantiser may have other
 * readers. */
#include "plan/match.h"
#include "plan/pass.h"

#include <math.h>

struct quantum {          /* how bytes mean numbers */
    value_id scale, zero; /* zero: VALUE_NONE when absent */
    enum dtype dtype;
    int64_t channels; /* 1: one for all */
};

struct bytes { /* a dequantised value */
    value_id q;
    struct quantum as;
};

static bool is_byte(enum dtype t) { return t == DT_U8 || t == DT_I8; }

/* --- parameters --- */

static bool read_quantum(struct rewire *w, const struct node *n, struct quantum *out) {
    const struct tensor *scale = rewire_constant_of(w, rewire_in(w, n, 1));
    const struct tensor *zero = rewire_constant_of(w, rewire_in(w, n, 2));
    *out = (struct quantum){rewire_in(w, n, 1), rewire_in(w, n, 2), DT_NONE, 0};
    if (!scale || scale->dtype != DT_F32 || scale->shape.rank > 1 || attr_int(n, "block_size", 0) ||
        (out->zero != VALUE_NONE && !zero))
        return false;
    out->channels = (int64_t)tensor_count(scale);
    out->dtype = zero ? zero->dtype : DT_NONE;
    return !zero || tensor_count(zero) == tensor_count(scale);
}

static float scale_of(const struct rewire *w, const struct quantum *q, int64_t channel) {
    return ((const float *)rewire_constant_of(w, q->scale)->data)[q->channels > 1 ? channel : 0];
}

static int64_t zero_of(const struct rewire *w, const struct quantum *q) {
    return q->zero == VALUE_NONE ? 0 : tensor_i64(rewire_constant_of(w, q->zero), 0);
}

static bool same_quantum(const struct rewire *w, const struct quantum *a, const struct quantum *b) {
    return a->channels == 1 && b->channels == 1 && a->dtype == b->dtype &&
           scale_of(w, a, 0) == scale_of(w, b, 0) && zero_of(w, a) == zero_of(w, b);
}

/* v = D(q): bytes of any number of channels. */
static bool read_dequantised(struct rewire *w, value_id v, struct bytes *out) {
    const struct node *n = match_producer(w, v, "dequantize_linear");
    if (!n || !read_quantum(w, n, &out->as))
        return false;
    out->q = rewire_in(w, n, 0);
    if (out->as.dtype == DT_NONE)
        out->as.dtype = match_dtype(w, out->q);
    return true;
}

static bool read_activation(struct rewire *w, value_id v, struct bytes *out) {
    return read_dequantised(w, v, out) && out->as.channels == 1 && is_byte(out->as.dtype);
}

/* Constant weights with one scale, or one per channel along `axis` (zero point 0 then). */
static bool read_weights(struct rewire *w, value_id v, int axis, struct bytes *out) {
    const struct node *n = match_producer(w, v, "dequantize_linear");
    if (!n || !read_dequantised(w, v, out) || !is_byte(out->as.dtype))
        return false;
    const struct tensor *t = rewire_constant_of(w, out->q);
    if (!t || t->shape.rank <= axis)
        return false;
    int at;
    return out->as.channels == 1 || (shape_axis(attr_int(n, "axis", 1), t->shape.rank, &at) &&
                                     at == axis && out->as.channels == t->shape.dims[axis]);
}

/* The zero point as an operand: the one given, or a new 0. */
static value_id zero_operand(struct rewire *w, const struct quantum *q) {
    struct tensor *made;
    if (q->zero != VALUE_NONE)
        return q->zero;
    struct shape s = {.rank = q->channels > 1 ? 1 : 0, .dims = {q->channels}};
    return rewire_new_constant(w, q->dtype, &s, &made);
}

/* --- bias: int32 in units of x's scale times the weights' --- */

static bool read_bias(struct rewire *w, value_id v, const struct quantum *x,
                      const struct quantum *weights, int64_t channels, value_id *out) {
    struct bytes b;
    *out = VALUE_NONE;
    if (v == VALUE_NONE)
        return true;
    const struct tensor *f = rewire_constant_of(w, v);
    bool quantised = !f && read_dequantised(w, v, &b);
    const struct tensor *q = quantised ? rewire_constant_of(w, b.q) : NULL;
    if (q && q->dtype == DT_I32 && (int64_t)tensor_count(q) == channels && zero_of(w, &b.as) == 0) {
        bool agrees = true;
        for (int64_t c = 0; c < channels; c++)
            agrees &=
                match_near(scale_of(w, &b.as, c), scale_of(w, x, 0) * scale_of(w, weights, c));
        *out = b.q;
        return agrees;
    }
    if (!f || f->dtype != DT_F32 || (int64_t)tensor_count(f) != channels)
        return false;
    struct tensor *made;
    if ((*out = rewire_new_constant(w, DT_I32, &(struct shape){1, {channels}}, &made)) ==
        VALUE_NONE)
        return false;
    for (int64_t c = 0; c < channels; c++) {
        double units =
            ((const float *)f->data)[c] / ((double)scale_of(w, x, 0) * scale_of(w, weights, c));
        ((int32_t *)made->data)[c] = (int32_t)fmax(fmin(rint(units), INT32_MAX), INT32_MIN);
    }
    return true;
}

/* --- operators --- */

struct site { /* Q(op(...)) */
    struct rewire *w;
    struct node *quantiser, *op;
    struct quantum y;
};

/* The quantiser becomes the operator, with the attributes of the one in the middle. */
static bool become(struct site *s, const char *op_name, int n_in, const value_id *in) {
    const struct node middle = *s->op; /* its slot may be dropped below */
    if (s->w->full || !rewire_become(s->w, s->quantiser, op_name, n_in, in))
        return false;
    s->quantiser->name = middle.name;
    s->quantiser->op_type = middle.op_type;
    s->quantiser->opset = middle.opset;
    return rewire_attr_all(s->w, s->quantiser, &middle);
}

static bool rule_conv(struct site *s) {
    struct rewire *w = s->w;
    struct bytes x, k;
    value_id bias;
    if (!str_is(s->op->op_name, "conv") || s->op->n_in < 2 ||
        !read_activation(w, rewire_in(w, s->op, 0), &x) ||
        !read_weights(w, rewire_in(w, s->op, 1), 0, &k) ||
        !read_bias(w, rewire_in(w, s->op, 2), &x.as, &k.as,
                   rewire_constant_of(w, k.q)->shape.dims[0], &bias))
        return false;
    value_id in[] = {x.q,
                     x.as.scale,
                     zero_operand(w, &x.as),
                     k.q,
                     k.as.scale,
                     zero_operand(w, &k.as),
                     s->y.scale,
                     zero_operand(w, &s->y),
                     bias};
    return become(s, "q_linear_conv", bias == VALUE_NONE ? 8 : 9, in);
}

static bool rule_mat_mul(struct site *s) {
    struct rewire *w = s->w;
    struct bytes a, b;
    if (!str_is(s->op->op_name, "mat_mul") || s->op->n_in != 2 ||
        !read_activation(w, rewire_in(w, s->op, 0), &a) ||
        !(read_activation(w, rewire_in(w, s->op, 1), &b) ||
          read_weights(w, rewire_in(w, s->op, 1), 1, &b)))
        return false;
    value_id in[] = {a.q,
                     a.as.scale,
                     zero_operand(w, &a.as),
                     b.q,
                     b.as.scale,
                     zero_operand(w, &b.as),
                     s->y.scale,
                     zero_operand(w, &s->y)};
    return become(s, "q_linear_mat_mul", 8, in);
}

static bool rule_pair(struct site *s) {
    struct rewire *w = s->w;
    bool add = str_is(s->op->op_name, "add");
    struct bytes a, b;
    if ((!add && !str_is(s->op->op_name, "mul")) || s->op->n_in != 2 ||
        !read_activation(w, rewire_in(w, s->op, 0), &a) ||
        !read_activation(w, rewire_in(w, s->op, 1), &b) || a.as.dtype != s->y.dtype ||
        b.as.dtype != s->y.dtype)
        return false;
    value_id in[] = {a.q,
                     a.as.scale,
                     zero_operand(w, &a.as),
                     b.q,
                     b.as.scale,
                     zero_operand(w, &b.as),
                     s->y.scale,
                     zero_operand(w, &s->y)};
    return become(s, add ? "q_linear_add" : "q_linear_mul", 8, in);
}

static bool rule_single(struct site *s) {
    static const char *const names[][2] = {{"sigmoid", "q_linear_sigmoid"},
                                           {"leaky_relu", "q_linear_leaky_relu"},
                                           {"average_pool", "q_linear_average_pool"},
                                           {"global_average_pool", "q_linear_global_average_pool"}};
    struct rewire *w = s->w;
    struct bytes x;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (!str_is(s->op->op_name, names[k][0]))
            continue;
        if (!read_activation(w, rewire_in(w, s->op, 0), &x) || x.as.dtype != s->y.dtype)
            return false;
        value_id in[] = {x.q, x.as.scale, zero_operand(w, &x.as), s->y.scale,
                         zero_operand(w, &s->y)};
        return become(s, names[k][1], 5, in);
    }
    return false;
}

/* A resize without a sum, and without a number for what lies outside. */
static bool takes_nearest(const struct node *n) {
    const struct attr *mode = attr_find(n, "mode"),
                      *where = attr_find(n, "coordinate_transformation_mode");
    return (str_is(n->op_name, "resize") || str_is(n->op_name, "upsample")) &&
           (!mode || str_is(mode->s, "nearest")) &&
           !(where && str_is(where->s, "tf_crop_and_resize"));
}

/* Operators that put elements elsewhere, or choose among them in their order. */
static bool only_moves(const struct node *n) {
    static const char *const names[] = {
        "max_pool",       "reshape",  "flatten",        "squeeze", "unsqueeze",
        "transpose",      "slice",    "gather",         "expand",  "depth_to_space",
        "space_to_depth", "identity", "global_max_pool"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (str_is(n->op_name, names[k]))
            return n->n_out == 1 || str_is(n->op_name, "max_pool");
    return takes_nearest(n);
}

static bool rule_move(struct site *s) {
    struct rewire *w = s->w;
    struct bytes x;
    if (!only_moves(s->op) || !read_activation(w, rewire_in(w, s->op, 0), &x) ||
        !same_quantum(w, &x.as, &s->y))
        return false;
    value_id in[8];
    if (s->op->n_in > 8)
        return false;
    for (int i = 0; i < s->op->n_in; i++)
        in[i] = rewire_in(w, s->op, i);
    in[0] = x.q;
    return become(s, s->op->op->name, s->op->n_in, in);
}

/* Concat of bytes; of those that do not all mean the same by tables. */
static bool rule_concat(struct site *s) {
    enum { MOST = 64 };
    struct rewire *w = s->w;
    const int n = s->op->n_in;
    value_id in[3 * MOST + 2];
    bool same = true;
    if (!str_is(s->op->op_name, "concat") || n > MOST)
        return false;
    for (int i = 0; i < n; i++) {
        struct bytes x;
        if (!read_activation(w, rewire_in(w, s->op, i), &x) || x.as.dtype != s->y.dtype)
            return false;
        same &= same_quantum(w, &x.as, &s->y);
        in[i] = x.q;
        in[n + 2 * i] = x.as.scale;
        in[n + 2 * i + 1] = zero_operand(w, &x.as);
    }
    in[3 * n] = s->y.scale;
    in[3 * n + 1] = zero_operand(w, &s->y);
    return same ? become(s, "concat", n, in) : become(s, "q_linear_concat", 3 * n + 2, in);
}

/* Gemm in front of a quantiser, or not: then its result is real. */
static bool gemm_to_bytes(struct rewire *w, struct node *n, const struct node *gemm,
                          const struct quantum *y) {
    struct bytes a, b;
    value_id bias;
    bool turned = attr_int(gemm, "transB", 0);
    if (gemm->n_in < 2 || attr_int(gemm, "transA", 0) || attr_float(gemm, "alpha", 1) != 1 ||
        attr_float(gemm, "beta", 1) != 1 || !read_activation(w, rewire_in(w, gemm, 0), &a) ||
        !read_weights(w, rewire_in(w, gemm, 1), turned ? 0 : 1, &b) ||
        !read_bias(w, rewire_in(w, gemm, 2), &a.as, &b.as,
                   rewire_constant_of(w, b.q)->shape.dims[turned ? 0 : 1], &bias))
        return false;
    value_id in[] = {a.q,  a.as.scale, zero_operand(w, &a.as),
                     b.q,  b.as.scale, zero_operand(w, &b.as),
                     bias, VALUE_NONE, VALUE_NONE};
    if (y) {
        in[7] = y->scale;
        in[8] = zero_operand(w, y);
    }
    struct site s = {.w = w, .quantiser = n, .op = (struct node *)(uintptr_t)gemm};
    return become(&s, "q_gemm", y ? 9 : 7, in);
}

/* v's maker, looking through a Relu or Clip that the quantiser's own limits make needless. */
static struct node *middle_of(struct rewire *w, const struct quantum *y, value_id v) {
    struct node *n = rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
    double low = -INFINITY, high = INFINITY, step = scale_of(w, y, 0);
    if (!n || n->n_post)
        return NULL;
    if (str_is(n->op_name, "relu"))
        low = 0;
    else if (str_is(n->op_name, "clip")) {
        low = attr_float(n, "min", -INFINITY);
        high = attr_float(n, "max", INFINITY);
        if ((rewire_in(w, n, 1) != VALUE_NONE && !match_number(w, rewire_in(w, n, 1), &low)) ||
            (rewire_in(w, n, 2) != VALUE_NONE && !match_number(w, rewire_in(w, n, 2), &high)))
            return n;
    } else
        return n;
    int64_t zero = zero_of(w, y), least = y->dtype == DT_I8 ? -128 : 0, most = least + 255;
    bool needless = (double)(least - zero) * step >= low - step / 4 &&
                    (double)(most - zero) * step <= high + step / 4;
    value_id before = rewire_in(w, n, 0);
    return needless && rewire_uses(w, before) == 1 && rewire_producer(w, before)
               ? rewire_producer(w, before)
               : n;
}

static void visit_quantiser(struct rewire *w, struct node *n) {
    struct site s = {.w = w, .quantiser = n};
    struct bytes x;
    if (!read_quantum(w, n, &s.y) || s.y.channels != 1)
        return;
    if (s.y.dtype == DT_NONE)
        s.y.dtype = DT_U8;
    if (!is_byte(s.y.dtype) || attr_int(n, "output_dtype", 0))
        return;
    if (read_activation(w, rewire_in(w, n, 0), &x) && same_quantum(w, &x.as, &s.y)) {
        rewire_replace(w, n->out[0], x.q);
        return;
    }
    s.op = middle_of(w, &s.y, rewire_in(w, n, 0));
    if (!s.op)
        return;
    if (str_is(s.op->op_name, "gemm"))
        (void)gemm_to_bytes(w, n, s.op, &s.y);
    else if (!rule_conv(&s) && !rule_mat_mul(&s) && !rule_pair(&s) && !rule_single(&s) &&
             !rule_move(&s))
        (void)rule_concat(&s);
}

static enum code run(struct pass_run *r, struct err *e) {
    struct rewire w;
    TRY(rewire_open(&w, r->graph, r->arena, e));
    for (node_id id = 0; id < r->graph->n_nodes; id++) {
        struct node *n = rewire_visit(&w, id);
        if (n && str_is(n->op_name, "quantize_linear"))
            visit_quantiser(&w, n);
    }
    for (node_id id = 0; id < r->graph->n_nodes; id++) { /* what no quantiser took */
        struct node *n = rewire_visit(&w, id);
        if (n && str_is(n->op_name, "gemm") && n->n_post == 0)
            (void)gemm_to_bytes(&w, n, n, NULL);
    }
    return rewire_close(&w, &r->changed, e);
}

const struct pass pass_qdq = {.name = "qdq", .stages = PASS_OPEN, .run = run};
