/* SPDX-License-Identifier: Apache-2.0 */
/* Attention written out in products becomes one operator, which keeps a head's scores in cache:
 *
 *   softmax(q * k^T * c + mask) * v, over heads (B, H, S, D)
 *
 * 1. The scale may be a product or a quotient with a number, of the scores or of q and k each.
 * 2. The mask is a sum, or a Where that puts minus infinity (or the lowest f32) in place of scores.
 * 3. A Where that clears what is not a number falls away: the operator gives zeros to a row that
 * sees no key.
 * 4. Where heads were made by reshaping (B, S, H * D) and swapping axes, for all of q, k, v and the
 * result, the operator reads and writes that form, and nothing is moved at all. f32 only. */
#include "plan/match.h"
#include "plan/pass.h"

#include <float.h>
#include <math.h>

struct found {
    value_id q, turned, v; /* heads; turned: k^T */
    value_id mask;         /* or VALUE_NONE */
    struct node *fill;     /* a Where over scores that becomes the mask, or NULL */
    double scale;
};

/* --- axes --- */

static const int64_t SWAP_LAST[4] = {0, 1, 3, 2}, HEADS_FIRST[4] = {0, 2, 1, 3},
                     HEADS_FIRST_SWAPPED[4] = {0, 2, 3, 1};

/* v's producer when it is a transpose with these axes. */
static const struct node *turn_of(struct rewire *w, value_id v, const int64_t want[4]) {
    const struct node *n = match_producer(w, v, "transpose");
    const int64_t *perm;
    size_t rank;
    return n && attr_ints(n, "perm", &perm, &rank) && rank == 4 &&
                   memcmp(perm, want, 4 * sizeof *perm) == 0
               ? n
               : NULL;
}

/* x behind products and quotients with numbers, which go into *scale. */
static value_id unscaled(struct rewire *w, value_id v, double *scale) {
    for (;;) {
        struct node *n = rewire_producer(w, v);
        value_id x;
        double c;
        if (n && match_scalar_right(w, n, "div", &x, &c) && c != 0)
            *scale /= c;
        else if (n && match_scalar(w, n, "mul", &x, &c))
            *scale *= c;
        else
            return v;
        v = x;
    }
}

/* The (B, S, H * D) that v (B, H, S, D), or k^T, was made of by a reshape and a turn, else
 * VALUE_NONE. */
static value_id flat_of(struct rewire *w, value_id v, const int64_t turn[4]) {
    const struct node *t = turn_of(w, v, turn);
    const struct node *r = t ? match_producer(w, rewire_in(w, t, 0), "reshape") : NULL;
    const struct shape *heads = r ? match_shape(w, r->out[0]) : NULL,
                       *flat = r ? match_shape(w, rewire_in(w, r, 0)) : NULL;
    bool fits = heads && flat && heads->rank == 4 && flat->rank == 3 &&
                flat->dims[0] == heads->dims[0] && flat->dims[1] == heads->dims[1] &&
                flat->dims[2] == heads->dims[2] * heads->dims[3];
    return fits ? rewire_in(w, r, 0) : VALUE_NONE;
}

/* --- the pattern, from the back --- */

/* m repeats along any axes but that of the keys. */
static bool mask_fits(const struct rewire *w, value_id mask, const struct shape *scores) {
    const struct shape *m = match_shape(w, mask);
    if (!m || m->rank < 1 || m->rank > 4 || m->dims[m->rank - 1] != scores->dims[3])
        return false;
    for (int i = 0; i < m->rank; i++)
        if (m->dims[i] != 1 && m->dims[i] != scores->dims[i + 4 - m->rank])
            return false;
    return true;
}

/* Where(seen, 0, minus infinity) is a mask of its own: seen; and what was expanded need not be. */
static value_id plain_mask(struct rewire *w, value_id mask, const struct shape *scores) {
    const struct node *n = match_producer(w, mask, "where");
    double yes, no;
    if (n && match_number(w, rewire_in(w, n, 1), &yes) &&
        match_number(w, rewire_in(w, n, 2), &no) && yes == 0 && isinf(no) && no < 0 &&
        mask_fits(w, rewire_in(w, n, 0), scores))
        mask = rewire_in(w, n, 0);
    n = match_producer(w, mask, "expand");
    return n && mask_fits(w, rewire_in(w, n, 0), scores) ? rewire_in(w, n, 0) : mask;
}

/* n = scores + mask, or Where(hidden, lowest, scores): *scores, and the mask found. */
static bool masked(struct rewire *w, struct node *n, struct found *f, value_id *scores) {
    const struct shape *s = match_shape(w, n->out[0]);
    double low;
    if (s->rank != 4 || n->n_post)
        return false;
    if (str_is(n->op_name, "where") && match_number(w, rewire_in(w, n, 1), &low) &&
        low <= (double)-FLT_MAX && mask_fits(w, rewire_in(w, n, 0), s)) {
        f->fill = n;
        *scores = rewire_in(w, n, 2);
        return true;
    }
    for (int i = 0; i < 2 && str_is(n->op_name, "add") && n->n_in == 2; i++) {
        f->mask = rewire_in(w, n, 1 - i);
        *scores = rewire_in(w, n, i);
        const struct node *of = rewire_producer(w, unscaled(w, *scores, &(double){1}));
        if (mask_fits(w, f->mask, s) && match_dtype(w, f->mask) == DT_F32 && of &&
            str_is(of->op_name, "mat_mul")) {
            f->mask = plain_mask(w, f->mask, s);
            return true;
        }
    }
    f->mask = VALUE_NONE;
    return false;
}

/* The product of scores that the softmax reads. */
static struct node *scores_of(struct rewire *w, value_id v, struct found *f) {
    struct node *n = rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
    value_id scores = v;
    if (!n || !match_shape(w, v))
        return NULL;
    (void)masked(w, n, f, &scores);
    return match_only(w, unscaled(w, scores, &f->scale), "mat_mul");
}

/* p, or what Where(IsNaN(p), 0, p) was made of; only this product reads it. */
static struct node *probabilities(struct rewire *w, value_id p) {
    const struct node *n = match_only(w, p, "where");
    const struct node *asks = n ? match_only(w, rewire_in(w, n, 0), "is_nan") : NULL;
    double zero;
    if (!asks)
        return match_only(w, p, "softmax");
    value_id of = rewire_in(w, asks, 0);
    return match_number(w, rewire_in(w, n, 1), &zero) && zero == 0 && rewire_in(w, n, 2) == of &&
                   rewire_uses(w, of) == 2
               ? match_producer(w, of, "softmax")
               : NULL;
}

static const struct shape *heads_shape(const struct rewire *w, value_id v) {
    const struct shape *s = match_shape(w, v);
    return s && s->rank == 4 && match_dtype(w, v) == DT_F32 ? s : NULL;
}

static bool find(struct rewire *w, const struct node *product, struct found *f) {
    *f = (struct found){.mask = VALUE_NONE, .scale = 1};
    const struct node *softmax = probabilities(w, rewire_in(w, product, 0));
    const struct shape *p = softmax ? heads_shape(w, softmax->out[0]) : NULL;
    int64_t axis = softmax ? attr_int(softmax, "axis", softmax->opset >= 13 ? -1 : 1) : 0;
    if (!p || (axis != -1 && axis != 3))
        return false;
    const struct node *scores = scores_of(w, rewire_in(w, softmax, 0), f);
    if (!scores)
        return false;
    f->q = unscaled(w, rewire_in(w, scores, 0), &f->scale);
    f->turned = unscaled(w, rewire_in(w, scores, 1), &f->scale);
    f->v = rewire_in(w, product, 1);
    const struct shape *q = heads_shape(w, f->q), *k = heads_shape(w, f->turned),
                       *v = heads_shape(w, f->v);
    return q && k && v && q->dims[0] == k->dims[0] && q->dims[1] == k->dims[1] &&
           q->dims[0] == v->dims[0] && q->dims[1] == v->dims[1] && p->dims[2] == q->dims[2] &&
           p->dims[3] == k->dims[3];
}

/* --- rewriting --- */

/* The Where over scores becomes what is added to them. Only once the operator holds q, k and v: the
 * scores that it reads so far hold theirs. */
static void filled(struct rewire *w, struct node *fill) {
    value_id zero = rewire_new_scalar(w, 0);
    const value_id in[3] = {rewire_in(w, fill, 0), rewire_in(w, fill, 1), zero};
    if (zero != VALUE_NONE)
        (void)rewire_become(w, fill, "where", 3, in);
}

/* heads: 0 when q, k and v are (B, H, S, D). */
static void become(struct rewire *w, struct node *n, const struct found *f, const value_id qkv[3],
                   int64_t heads) {
    const value_id mask = f->fill ? f->fill->out[0] : f->mask,
                   in[] = {qkv[0], qkv[1], qkv[2], mask};
    if (!rewire_become(w, n, "attention", mask == VALUE_NONE ? 3 : 4, in) ||
        !rewire_attr_float(w, n, "scale", (float)f->scale))
        return;
    n->opset = 23;
    if (heads)
        (void)(rewire_attr_int(w, n, "q_num_heads", heads) &&
               rewire_attr_int(w, n, "kv_num_heads", heads));
    if (f->fill)
        filled(w, f->fill);
}

/* A reshape to what only depends on the first two dims of its input, and on how many elements there
 * are. */
static bool only_counts(const struct rewire *w, const struct node *reshape) {
    const struct tensor *to = rewire_constant_of(w, rewire_in(w, reshape, 1));
    if (!to || to->dtype != DT_I64)
        return false;
    for (size_t i = 2; i < tensor_count(to); i++)
        if (tensor_i64(to, i) == 0)
            return false;
    return true;
}

/* reshape(transpose(softmax(...) * v)): the transpose becomes the operator, on (B, S, H * D). */
static bool to_flat(struct rewire *w, const struct node *reshape) {
    struct node *t = rewire_uses(w, rewire_in(w, reshape, 0)) == 1
                         ? rewire_producer(w, rewire_in(w, reshape, 0))
                         : NULL;
    const struct node *product = t && turn_of(w, t->out[0], HEADS_FIRST)
                                     ? match_only(w, rewire_in(w, t, 0), "mat_mul")
                                     : NULL;
    struct found f;
    if (!product || !only_counts(w, reshape) || !find(w, product, &f))
        return false;
    const struct node *swap = turn_of(w, f.turned, SWAP_LAST);
    value_id flat[3] = {flat_of(w, f.q, HEADS_FIRST)};
    flat[1] = swap ? flat_of(w, unscaled(w, rewire_in(w, swap, 0), &f.scale), HEADS_FIRST)
                   : flat_of(w, f.turned, HEADS_FIRST_SWAPPED);
    flat[2] = flat_of(w, f.v, HEADS_FIRST);
    if (flat[0] == VALUE_NONE || flat[1] == VALUE_NONE || flat[2] == VALUE_NONE)
        return false;
    for (int i = 0; i < 2; i++)
        flat[i] = unscaled(w, flat[i], &f.scale);
    become(w, t, &f, flat, match_shape(w, f.q)->dims[1]);
    return true;
}

static void to_heads(struct rewire *w, struct node *product) {
    struct found f;
    const struct node *swap;
    if (!find(w, product, &f) || !(swap = turn_of(w, f.turned, SWAP_LAST)))
        return;
    value_id k = unscaled(w, rewire_in(w, swap, 0), &f.scale);
    become(w, product, &f, (value_id[]){f.q, k, f.v}, 0);
}

static enum code run(struct pass_run *r, struct err *e) {
    struct rewire w;
    TRY(rewire_open(&w, r->graph, r->arena, e));
    for (node_id id = 0; id < r->graph->n_nodes; id++) {
        struct node *n = rewire_visit(&w, id);
        if (n && n->n_post == 0 && str_is(n->op_name, "reshape"))
            (void)to_flat(&w, n);
    }
    for (node_id id = 0; id < r->graph->n_nodes; id++) { /* what the flat form does not fit */
        struct node *n = rewire_visit(&w, id);
        if (n && n->n_post == 0 && str_is(n->op_name, "mat_mul"))
            to_heads(&w, n);
    }
    return rewire_close(&w, &r->changed, e);
}

const struct pass pass_fuse_attention = {.name = "fuse_attention", .stages = PASS_PLAN, .run = run};
