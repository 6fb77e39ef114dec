/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes that move nothing, or move it back, are removed.
 *
 *   two in a row become one; one that keeps the order of all dims longer than 1 becomes a Reshape,
 * which is free; one behind element-wise operators behind another is joined with it through them.
 *
 *   Reshape, Transpose, Reshape that only change the order of channels become channel_shuffle,
 * which knows both layouts.
 *
 * Where a pair cancels, exporters' NHWC/NCHW sandwiches dissolve; a transpose that equals a change
 * of layout is left to the layout pass. */
#include "plan/match.h"
#include "plan/pass.h"
#include "plan/walk.h"

/* A node's permutation of its input's rank; the default reverses. */
static bool perm_of(struct rewire *w, const struct node *n, int *rank, int perm[SHAPE_MAX]) {
    const struct shape *s = match_shape(w, rewire_in(w, n, 0));
    const int64_t *ints;
    size_t count;
    if (!s || n->n_post)
        return false;
    *rank = s->rank;
    bool given = attr_ints(n, "perm", &ints, &count);
    if (given && count != (size_t)s->rank)
        return false;
    for (int d = 0; d < s->rank; d++) {
        perm[d] = given ? (int)ints[d] : s->rank - 1 - d;
        if (perm[d] < 0 || perm[d] >= s->rank)
            return false;
    }
    return true;
}

static bool set_perm(struct rewire *w, struct node *n, value_id in, int rank, const int *perm) {
    int64_t ints[SHAPE_MAX];
    for (int d = 0; d < rank; d++)
        ints[d] = perm[d];
    return rewire_become(w, n, "transpose", 1, &in) &&
           rewire_attr_ints(w, n, "perm", ints, (size_t)rank);
}

static bool is_identity(int rank, const int *perm) {
    for (int d = 0; d < rank; d++)
        if (perm[d] != d)
            return false;
    return true;
}

/* The dims longer than 1 come in the same order. */
static bool moves_nothing(const struct shape *s, const int *perm) {
    int last = -1;
    for (int d = 0; d < s->rank; d++) {
        if (s->dims[perm[d]] == 1)
            continue;
        if (perm[d] < last)
            return false;
        last = perm[d];
    }
    return true;
}

static bool to_reshape(struct rewire *w, struct node *n, value_id in, const struct shape *to) {
    struct tensor *t;
    value_id shape = rewire_new_constant(w, DT_I64, &(struct shape){1, {to->rank}}, &t);
    if (shape == VALUE_NONE)
        return false;
    for (int d = 0; d < to->rank; d++)
        ((int64_t *)t->data)[d] = to->dims[d];
    if (!rewire_become(w, n, "reshape", 2, (value_id[]){in, shape}))
        return false;
    n->opset = 14;
    return rewire_attr_int(w, n, "allowzero", 1);
}

/* n works element by element on operand `at` alone: all others are one-element constants. */
static bool single_operand(struct rewire *w, const struct node *n, int *at) {
    double ignored;
    if (!(n->op->flags & OP_ELEMENTWISE) || n->n_post || n->n_out != 1)
        return false;
    *at = -1;
    for (int i = 0; i < n->n_in; i++) {
        value_id v = rewire_in(w, n, i);
        if (v == VALUE_NONE || match_number(w, v, &ignored))
            continue;
        if (*at >= 0)
            return false;
        *at = i;
    }
    return *at >= 0;
}

/* Walks up from v through operators with one operand and one reader to another transpose; first:
 * the topmost of them. */
static struct node *transpose_above(struct rewire *w, value_id v, struct node **first, int *at) {
    *first = NULL;
    for (;;) {
        struct node *n = rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
        if (!n)
            return NULL;
        if (str_is(n->op_name, "transpose"))
            return n;
        if (!single_operand(w, n, at))
            return NULL;
        *first = n;
        v = rewire_in(w, n, *at);
    }
}

/* (N, g * c, ...) as (N, g, c, ...), turned to (N, c, g, ...), as (N, c * g, ...). */
static bool to_shuffle(struct rewire *w, struct node *n) {
    if (!str_is(n->op_name, "reshape"))
        return false;
    const struct node *turn = match_only(w, rewire_in(w, n, 0), "transpose");
    const struct node *split = turn ? match_only(w, rewire_in(w, turn, 0), "reshape") : NULL;
    value_id x = split ? rewire_in(w, split, 0) : VALUE_NONE;
    const struct shape *in = match_shape(w, x), *out = match_shape(w, n->out[0]);
    const struct shape *apart = split ? match_shape(w, split->out[0]) : NULL;
    int rank, perm[SHAPE_MAX];
    if (!in || !out || !apart || !shape_eq(in, out) || in->rank < 3 ||
        apart->rank != in->rank + 1 || !perm_of(w, turn, &rank, perm) || perm[0] != 0 ||
        perm[1] != 2 || perm[2] != 1)
        return false;
    for (int d = 3; d < rank; d++)
        if (perm[d] != d || apart->dims[d] != in->dims[d - 1])
            return false;
    int64_t group = apart->dims[1];
    if (apart->dims[0] != in->dims[0] || group * apart->dims[2] != in->dims[1])
        return false;
    return rewire_become(w, n, "channel_shuffle", 1, &x) && rewire_attr_int(w, n, "group", group);
}

static void visit(struct rewire *w, struct node *n) {
    if (to_shuffle(w, n))
        return;
    int rank, perm[SHAPE_MAX], rank_above, above[SHAPE_MAX], joined[SHAPE_MAX], at = 0;
    if (!str_is(n->op_name, "transpose") || !perm_of(w, n, &rank, perm))
        return;
    value_id in = rewire_in(w, n, 0);
    struct node *first, *upper = match_producer(w, in, "transpose");
    if (upper)
        first = NULL;
    else
        upper = transpose_above(w, in, &first, &at);
    if (upper && perm_of(w, upper, &rank_above, above) && rank_above == rank) {
        for (int d = 0; d < rank; d++)
            joined[d] = above[perm[d]];
        if (first && !is_identity(rank, joined))
            return; /* one transpose less, but on the other side: no gain is certain */
        value_id source = rewire_in(w, upper, 0);
        if (first && !rewire_set_in(w, first, at, source))
            return;
        if (is_identity(rank, joined))
            rewire_replace(w, n->out[0], first ? in : source);
        else
            (void)set_perm(w, n, source, rank, joined);
        return;
    }
    const struct shape *s = match_shape(w, in);
    if (is_identity(rank, perm))
        rewire_replace(w, n->out[0], in);
    else if (s && moves_nothing(s, perm) && walk_known(&w->g->values[n->out[0]]))
        (void)to_reshape(w, n, in, match_shape(w, n->out[0]));
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_transpose = {.name = "transpose", .stages = PASS_PLAN, .run = run};
