/* SPDX-License-Identifier: Apache-2.0 */
/* Activations that exporters spell out in arithmetic become one operator again.
 *
 * A product is read as a number times a set of factors, however it is bracketed (mul and div by
 * numbers, in any order), so that one rule covers all spellings:
 *
 *   silu          x * sigmoid(x)                                       swish (alpha 1)
 *   swish         x * sigmoid(alpha * x)
 *   hard-sigmoid  1/m * clip(x + b, 0, m)
 *   hard-swish    1/6 * x * clip(x + 3, 0, 6)     or   x * hard_sigmoid(x) with alpha 1/6, beta 1/2
 *   gelu          1/2 * x * (1 + erf(x / sqrt 2))
 *   gelu (tanh)   1/2 * x * (1 + tanh(0.79788 * (x + 0.044715 * x^3)))
 *   mish          x * tanh(softplus(x))
 *   clip          min(max(x, low), high), relu: max(x, 0)
 *   add           sum of two, which knows posts
 *
 * Only for f32: the fused kernels are as exact as f32 arithmetic, not as f64. */
#include "plan/match.h"
#include "plan/pass.h"

#include <math.h>

enum { FACTORS = 8, DEPTH = 8 };

struct product {
    double number;
    value_id factor[FACTORS];
    int n;
};

/* --- reading products --- */

static bool product_add(struct rewire *w, struct product *p, value_id v, bool only, int depth);

/* x^2 and x^3 are that many factors. */
static bool product_power(struct rewire *w, struct product *p, const struct node *n, int depth) {
    value_id x;
    double c;
    if (!match_scalar_right(w, n, "pow", &x, &c) || (c != 2 && c != 3))
        return false;
    for (int k = 0; k < (int)c; k++)
        if (!product_add(w, p, x, false, depth))
            return false;
    return true;
}

static bool product_of(struct rewire *w, struct product *p, const struct node *n, int depth) {
    if (n->n_post || depth > DEPTH)
        return false;
    value_id x;
    double c;
    struct product before = *p;
    if (match_scalar(w, n, "mul", &x, &c))
        p->number *= c;
    else if (match_scalar_right(w, n, "div", &x, &c) && c != 0)
        p->number /= c;
    else if (str_is(n->op_name, "neg") && n->n_in == 1) {
        p->number = -p->number;
        x = rewire_in(w, n, 0);
    } else if (str_is(n->op_name, "mul") && n->n_in == 2) {
        if (product_add(w, p, rewire_in(w, n, 0), true, depth) &&
            product_add(w, p, rewire_in(w, n, 1), true, depth))
            return true;
        *p = before;
        return false;
    } else
        return product_power(w, p, n, depth);
    if (product_add(w, p, x, true, depth))
        return true;
    *p = before;
    return false;
}

/* only: v is taken apart when this product is its only reader. A power's operand is always shared,
 * and stays whole. */
static bool product_add(struct rewire *w, struct product *p, value_id v, bool only, int depth) {
    struct node *n = only && rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
    if (n && product_of(w, p, n, depth + 1))
        return true;
    if (p->n == FACTORS)
        return false;
    p->factor[p->n++] = v;
    return true;
}

/* The product that makes v, taken apart one level at least; v alone when nothing is multiplied. */
static struct product product_at(struct rewire *w, value_id v) {
    struct product p = {.number = 1};
    struct node *n = rewire_producer(w, v);
    if (!n || !product_of(w, &p, n, 0))
        p = (struct product){.number = 1, .factor = {v}, .n = 1};
    return p;
}

/* --- reading sums --- */

/* v = x + c */
static bool plus_number(struct rewire *w, value_id v, value_id *x, double *c) {
    const struct node *n = rewire_producer(w, v);
    return n && match_scalar(w, n, "add", x, c);
}

/* v = clip(x, low, high), as attributes or inputs. */
static bool clip_of(struct rewire *w, value_id v, value_id *x, double *low, double *high) {
    const struct node *n = match_producer(w, v, "clip");
    if (!n)
        return false;
    *low = attr_float(n, "min", -INFINITY);
    *high = attr_float(n, "max", INFINITY);
    if (rewire_in(w, n, 1) != VALUE_NONE && !match_number(w, rewire_in(w, n, 1), low))
        return false;
    if (rewire_in(w, n, 2) != VALUE_NONE && !match_number(w, rewire_in(w, n, 2), high))
        return false;
    *x = rewire_in(w, n, 0);
    return true;
}

/* v = clip(x + b, 0, m) */
static bool ramp_of(struct rewire *w, value_id v, value_id *x, double *b, double *m) {
    double low;
    value_id sum;
    if (!clip_of(w, v, &sum, &low, m) || low != 0 || !isfinite(*m) || *m <= 0)
        return false;
    return plus_number(w, sum, x, b);
}

/* --- rules on { factors } of p; true when n was rewritten --- */

static bool to_hard_swish(struct rewire *w, struct node *n, value_id x) {
    return rewire_become(w, n, "hard_swish", 1, &x);
}

static bool rule_ramp(struct rewire *w, struct node *n, const struct product *p) {
    value_id x;
    double b, m;
    if (p->n == 1 && ramp_of(w, p->factor[0], &x, &b, &m) && match_near(p->number * m, 1))
        return rewire_become(w, n, "hard_sigmoid", 1, &x) &&
               rewire_attr_float(w, n, "alpha", (float)p->number) &&
               rewire_attr_float(w, n, "beta", (float)(b * p->number));
    for (int k = 0; k < 2 && p->n == 2; k++) {
        value_id other = p->factor[1 - k];
        if (ramp_of(w, p->factor[k], &x, &b, &m) && x == other && b == 3 && m == 6 &&
            match_near(p->number, 1.0 / 6))
            return to_hard_swish(w, n, x);
        const struct node *h = match_producer(w, p->factor[k], "hard_sigmoid");
        if (h && rewire_in(w, h, 0) == other && match_near(p->number, 1) &&
            match_near(attr_float(h, "alpha", 0.2F), 1.0 / 6) &&
            match_near(attr_float(h, "beta", 0.5F), 0.5))
            return to_hard_swish(w, n, other);
    }
    return false;
}

static bool rule_sigmoid(struct rewire *w, struct node *n, const struct product *p) {
    if (p->n != 2 || !match_near(p->number, 1))
        return false;
    for (int k = 0; k < 2; k++) {
        value_id x = p->factor[1 - k];
        const struct node *s = match_producer(w, p->factor[k], "sigmoid");
        if (!s)
            continue;
        struct product inner = product_at(w, rewire_in(w, s, 0));
        double alpha = rewire_in(w, s, 0) == x                ? 1
                       : inner.n == 1 && inner.factor[0] == x ? inner.number
                                                              : 0;
        if (alpha != 0)
            return rewire_become(w, n, "swish", 1, &x) &&
                   rewire_attr_float(w, n, "alpha", (float)alpha);
    }
    return false;
}

static bool rule_mish(struct rewire *w, struct node *n, const struct product *p) {
    for (int k = 0; k < 2 && p->n == 2 && match_near(p->number, 1); k++) {
        value_id x = p->factor[1 - k];
        const struct node *t = match_producer(w, p->factor[k], "tanh");
        const struct node *s = t ? match_producer(w, rewire_in(w, t, 0), "softplus") : NULL;
        if (s && rewire_in(w, s, 0) == x)
            return rewire_become(w, n, "mish", 1, &x);
    }
    return false;
}

/* v = 0.79788 * (x + 0.044715 x^3), or 0.79788 * x * (1 + 0.044715 x^2) */
static bool gelu_cubic(struct rewire *w, value_id v, value_id x) {
    struct product p = product_at(w, v);
    double c;
    value_id rest;
    if (!match_near(p.number, sqrt(2 / M_PI)) && fabs(p.number - 0.7978845608) > 1e-4)
        return false;
    if (p.n == 2)
        for (int k = 0; k < 2; k++)
            if (p.factor[1 - k] == x && plus_number(w, p.factor[k], &rest, &c) && c == 1) {
                struct product q = product_at(w, rest);
                return fabs(q.number - 0.044715) < 1e-5 && q.n == 2 && q.factor[0] == x &&
                       q.factor[1] == x;
            }
    const struct node *sum = p.n == 1 ? match_producer(w, p.factor[0], "add") : NULL;
    rest = sum ? match_other(w, sum, x) : VALUE_NONE;
    if (rest == VALUE_NONE)
        return false;
    struct product q = product_at(w, rest);
    return fabs(q.number - 0.044715) < 1e-5 && q.n == 3 && q.factor[0] == x && q.factor[1] == x &&
           q.factor[2] == x;
}

/* v = x / sqrt 2 */
static bool gelu_scaled(struct rewire *w, value_id v, value_id x) {
    struct product p = product_at(w, v);
    return p.n == 1 && p.factor[0] == x && fabs(p.number - M_SQRT1_2) < 1e-5;
}

static bool rule_gelu(struct rewire *w, struct node *n, const struct product *p) {
    if (p->n != 2 || !match_near(p->number, 0.5))
        return false;
    for (int k = 0; k < 2; k++) {
        value_id x = p->factor[1 - k], f;
        double c;
        if (!plus_number(w, p->factor[k], &f, &c) || c != 1)
            continue;
        const struct node *erf = match_producer(w, f, "erf"), *tanh_ = match_producer(w, f, "tanh");
        if (erf && gelu_scaled(w, rewire_in(w, erf, 0), x))
            return rewire_become(w, n, "gelu", 1, &x);
        if (tanh_ && gelu_cubic(w, rewire_in(w, tanh_, 0), x))
            return rewire_become(w, n, "gelu", 1, &x) &&
                   rewire_attr_str(w, n, "approximate", "tanh");
    }
    return false;
}

/* --- clip --- */

static bool to_clip(struct rewire *w, struct node *n, value_id x, double low, double high) {
    if (low == 0 && high == INFINITY)
        return rewire_become(w, n, "relu", 1, &x);
    value_id in[3] = {x, VALUE_NONE, VALUE_NONE};
    if (low != -INFINITY)
        in[1] = rewire_new_scalar(w, (float)low);
    if (high != INFINITY)
        in[2] = rewire_new_scalar(w, (float)high);
    if (w->full || !rewire_become(w, n, "clip", 3, in))
        return false;
    n->opset = 13;
    return true;
}

/* min and max with a number; a clip, relu or the like below joins when nobody else reads it. */
static bool rule_limits(struct rewire *w, struct node *n) {
    value_id x, inner;
    double c, low = -INFINITY, high = INFINITY, l, h;
    if (match_scalar(w, n, "max", &x, &c))
        low = c;
    else if (match_scalar(w, n, "min", &x, &c))
        high = c;
    else
        return false;
    if (!shape_eq(match_shape(w, x) ? match_shape(w, x) : &(struct shape){.rank = -1},
                  match_shape(w, n->out[0]) ? match_shape(w, n->out[0])
                                            : &(struct shape){.rank = -2}))
        return false;
    const struct node *r = rewire_uses(w, x) == 1 ? match_producer(w, x, "relu") : NULL;
    if (r && high > 0 && low == -INFINITY)
        return to_clip(w, n, rewire_in(w, r, 0), 0, high);
    if (rewire_uses(w, x) == 1 && clip_of(w, x, &inner, &l, &h) && fmax(l, low) <= fmin(h, high))
        return to_clip(w, n, inner, fmax(l, low), fmin(h, high));
    return to_clip(w, n, x, low, high);
}

static void visit(struct rewire *w, struct node *n) {
    if (n->n_out != 1 || n->n_post || match_dtype(w, n->out[0]) != DT_F32)
        return;
    bool times = str_is(n->op_name, "mul") || str_is(n->op_name, "div");
    struct product p = times ? product_at(w, n->out[0]) : (struct product){0};
    if (times && p.n <= 2 &&
        (rule_ramp(w, n, &p) || rule_sigmoid(w, n, &p) || rule_gelu(w, n, &p) ||
         rule_mish(w, n, &p)))
        return;
    if (!rule_limits(w, n) && str_is(n->op_name, "sum") && n->n_in == 2)
        (void)rewire_become(w, n, "add", 2, (value_id[]){n->in[0], n->in[1]});
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_fuse_act = {.name = "fuse_act", .stages = PASS_PLAN, .run = run};
