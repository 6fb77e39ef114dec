/* SPDX-License-Identifier: Apache-2.0 */
/* What follows a node element by element is applied while its result is still in cache:
 * activations, and additions or products with another value of the same shape (a residual) or one
 * number per channel (a bias), become node->post.
 *
 * 1. The node before must honour posts (OP_POST), have room for one, and be read by nobody else.
 * 2. The other operand of an addition must never be larger than the result: a post does not
 * broadcast its own side.
 * 3. The fused node takes the place of the later one, where both operands are there. */
#include "plan/match.h"
#include "plan/pass.h"
#include "plan/walk.h"

#include <math.h>

/* The activation n is, as a post; false: none. */
static bool as_post(struct rewire *w, const struct node *n, struct post *p) {
    static const struct {
        const char *op_name;
        enum post_kind kind;
        const char *alpha_name, *beta_name;
        float alpha, beta;
    } kinds[] = {
        {"relu", POST_RELU, NULL, NULL, 0, 0},
        {"sigmoid", POST_SIGMOID, NULL, NULL, 0, 0},
        {"tanh", POST_TANH, NULL, NULL, 0, 0},
        {"hard_swish", POST_HARD_SWISH, NULL, NULL, 0, 0},
        {"leaky_relu", POST_LEAKY_RELU, "alpha", NULL, 0.01F, 0},
        {"elu", POST_ELU, "alpha", NULL, 1, 0},
        {"hard_sigmoid", POST_HARD_SIGMOID, "alpha", "beta", 0.2F, 0.5F},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (str_is(n->op_name, kinds[k].op_name)) {
            *p = (struct post){.kind = kinds[k].kind};
            p->alpha = kinds[k].alpha_name ? attr_float(n, kinds[k].alpha_name, kinds[k].alpha) : 0;
            p->beta = kinds[k].beta_name ? attr_float(n, kinds[k].beta_name, kinds[k].beta) : 0;
            return true;
        }
    if (str_is(n->op_name, "swish")) {
        *p = (struct post){.kind = POST_SILU};
        return attr_float(n, "alpha", 1) == 1;
    }
    if (str_is(n->op_name, "gelu")) {
        *p = (struct post){.kind = str_is(attr_str(n, "approximate", "none"), "tanh")
                                       ? POST_GELU_TANH
                                       : POST_GELU_ERF};
        return true;
    }
    if (!str_is(n->op_name, "clip"))
        return false;
    double low = attr_float(n, "min", -INFINITY), high = attr_float(n, "max", INFINITY);
    if ((rewire_in(w, n, 1) != VALUE_NONE && !match_number(w, rewire_in(w, n, 1), &low)) ||
        (rewire_in(w, n, 2) != VALUE_NONE && !match_number(w, rewire_in(w, n, 2), &high)))
        return false;
    *p = (struct post){.kind = POST_CLIP, .alpha = (float)low, .beta = (float)high};
    return true;
}

/* The node that makes v, when it can take one more post. */
static struct node *host_of(struct rewire *w, value_id v) {
    struct node *n = rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
    if (!n || !(n->op->flags & OP_POST) || n->n_post == POST_MAX || n->out[0] != v ||
        match_dtype(w, v) != DT_F32)
        return NULL;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE)
            return NULL;
    return n;
}

static bool same_shape(const struct rewire *w, value_id a, value_id b) {
    const struct shape *x = match_shape(w, a), *y = match_shape(w, b);
    return x && y && shape_eq(x, y);
}

/* One number, or one per channel: the last axis of a matrix product, axis 1 of everything else. */
static bool per_channel(const struct rewire *w, const struct node *host, value_id v, value_id out) {
    const struct tensor *t = rewire_constant_of(w, v);
    const struct shape *s = match_shape(w, out);
    if (!t || !s || t->dtype != DT_F32 || s->rank < 1)
        return false;
    bool rows = str_is(host->op_name, "mat_mul") || str_is(host->op_name, "gemm");
    int axis = rows ? s->rank - 1 : 1;
    return tensor_count(t) == 1
               ? t->shape.rank <= s->rank
               : axis < s->rank && match_per_channel(t, s->rank, axis, s->dims[axis]);
}

/* Where an operand of a post goes: behind the operator's own inputs, given or not. */
static int next_input(const struct node *host) {
    bool biased = str_is(host->op_name, "conv") || str_is(host->op_name, "conv_transpose") ||
                  str_is(host->op_name, "gemm");
    return biased && host->n_in < 3 ? 3 : host->n_in;
}

static bool join_operand(struct rewire *w, struct node *n, enum post_kind kind) {
    if (n->n_in != 2 || n->n_post)
        return false;
    for (int k = 0; k < 2; k++) {
        value_id mine = rewire_in(w, n, k), other = rewire_in(w, n, 1 - k);
        struct node *host = host_of(w, mine);
        if (!host || mine == other || match_dtype(w, other) != DT_F32 ||
            !same_shape(w, mine, n->out[0]))
            continue;
        if (!per_channel(w, host, other, n->out[0]) &&
            !(same_shape(w, other, n->out[0]) && !rewire_constant_of(w, other)))
            continue;
        struct post p = {.kind = kind, .input = next_input(host)};
        if (!rewire_set_in(w, host, p.input, other))
            return false;
        host->post[host->n_post++] = p;
        (void)rewire_absorb(w, host, n);
        return true;
    }
    return false;
}

static void visit(struct rewire *w, struct node *n) {
    struct post p;
    if (n->n_out != 1 || match_dtype(w, n->out[0]) != DT_F32)
        return;
    if (n->n_in >= 1 && !n->n_post && as_post(w, n, &p)) {
        struct node *host = host_of(w, rewire_in(w, n, 0));
        if (host) {
            host->post[host->n_post++] = p;
            (void)rewire_absorb(w, host, n);
        }
        return;
    }
    if (str_is(n->op_name, "add"))
        (void)join_operand(w, n, POST_ADD);
    else if (str_is(n->op_name, "mul"))
        (void)join_operand(w, n, POST_MUL);
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_fuse_post = {.name = "fuse_post", .stages = PASS_PLAN, .run = run};
