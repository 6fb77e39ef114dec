/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the layout of every value. Convolutions and pools are faster over channels that lie side
 * by side (NHWC), and oneDNN's NHWC kernels are as fast as its blocked ones, so NHWC is the one
 * layout of chains:
 *
 *   a chain starts at an operator with OP_NHWC_WINS, runs on through those that work on either
 * (OP_ELEMENTWISE, OP_NHWC, OP_NHWC_ALL) while their largest operand is in it, and ends where an
 * operator knows only plain tensors.
 *
 * A "reorder" node stands at each edge, once per value and direction, however many readers there
 * are. Where layouts are the same bytes (one channel, or one pixel) place.c makes it a view.
 *
 * 1. Inputs and outputs of the graph, captures of bodies, and values whose shape only data tells
 * are plain.
 * 2. Operands that are not of the full shape stay as they are: broadcasting walks by logical axes.
 */
#include "plan/pass.h"

#include "op/op_list.h"
#include "plan/walk.h"
#include "plan/weave.h"

struct weaving {
    struct weave w;
    struct graph *g; /* of w */
    const struct op *reorder;
};

static const struct shape *shape_at(const struct weaving *x, value_id v) {
    return weave_shape(&x->w, v);
}

static enum layout layout_at(const struct weaving *x, value_id v) {
    const struct value *value = &x->g->values[v];
    return value->constant ? value->constant->layout : value->layout;
}

/* --- edges --- */

/* v in this layout: itself, or what a reorder makes of it. */
static value_id as(struct weaving *x, value_id v, enum layout to) {
    if (v == VALUE_NONE || layout_at(x, v) == to || !walk_known(&x->g->values[v]) ||
        shape_at(x, v)->rank < 3)
        return v;
    const struct node n = {.op = x->reorder, .op_name = str_of(x->reorder->name)};
    bool made;
    value_id twin = weave_twin(&x->w, v, &n, &made);
    if (made)
        x->g->values[twin].layout = to;
    return twin;
}

/* --- who wants what --- */

static bool is_full(const struct weaving *x, value_id v, const struct shape *out) {
    return v != VALUE_NONE && walk_known(&x->g->values[v]) && shape_eq(shape_at(x, v), out);
}

static bool posts_read(const struct node *n, int input) {
    for (int k = 0; k < n->n_post; k++)
        if ((n->post[k].kind == POST_ADD || n->post[k].kind == POST_MUL) &&
            n->post[k].input == input)
            return true;
    return false;
}

/* Input i carries pictures in the chain's layout. */
static bool in_chain(const struct weaving *x, const struct node *n, int i,
                     const struct shape *out) {
    if (n->in[i] == VALUE_NONE || x->g->values[n->in[i]].constant)
        return false;
    if (posts_read(n, i) || n->op->flags & OP_ELEMENTWISE)
        return is_full(x, n->in[i], out);
    return i == 0 || n->op->flags & OP_NHWC_ALL;
}

/* A value that could lie in NHWC: 3 to 5 dims, all known, made here. */
static bool is_picture(const struct weaving *x, value_id v) {
    if (v == VALUE_NONE || !walk_known(&x->g->values[v]))
        return false;
    int rank = shape_at(x, v)->rank;
    return rank >= 3 && rank <= 5;
}

/* Constants stay plain, so an operator that takes its layout from one cannot give another. */
static bool constant_picture(const struct weaving *x, const struct node *n) {
    for (int i = 0; i < n->n_in && !(n->op->flags & OP_ELEMENTWISE); i++)
        if ((i == 0 || n->op->flags & OP_NHWC_ALL) && n->in[i] != VALUE_NONE &&
            x->g->values[n->in[i]].constant && is_picture(x, n->in[i]))
            return true;
    return false;
}

/* v is in the chain's layout, or has been brought to it for another reader. */
static bool ready_nhwc(const struct weaving *x, value_id v) {
    return layout_at(x, v) == LAYOUT_NHWC || (v < x->w.n_twins && x->w.twin[v] != VALUE_NONE);
}

static bool wants_nhwc(const struct weaving *x, const struct node *n) {
    unsigned flags = n->op->flags;
    if (!(flags & (OP_NHWC | OP_NHWC_ALL | OP_NHWC_WINS | OP_ELEMENTWISE)) || flags & OP_DYNAMIC ||
        n->n_in < 1)
        return false;
    if (!is_picture(x, n->out[0]) || constant_picture(x, n))
        return false;
    if (!(flags & OP_ELEMENTWISE) && !is_picture(x, n->in[0]))
        return false;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE && !(flags & OP_NHWC_ALL && is_picture(x, n->out[i])))
            return false;
    if (flags & OP_NHWC_WINS)
        return true;
    const struct shape *out = shape_at(x, n->out[0]);
    double inside = 0, outside = 0;
    for (int i = 0; i < n->n_in; i++) {
        size_t count;
        if (!in_chain(x, n, i, out) || !shape_count(shape_at(x, n->in[i]), &count))
            continue;
        *(ready_nhwc(x, n->in[i]) ? &inside : &outside) += (double)count;
    }
    return inside > 0 && inside >= outside;
}

/* A transpose that turns NCHW into NHWC, or back, is a change of layout: its output has the bytes
 * of its input. */
static bool is_layout_change(struct weaving *x, const struct node *n, bool *to_last) {
    const int64_t *perm;
    size_t rank;
    if (!str_is(n->op_name, "transpose") || n->n_post || !is_picture(x, n->in[0]) ||
        !is_picture(x, n->out[0]) || !attr_ints(n, "perm", &perm, &rank) ||
        (int)rank != shape_at(x, n->in[0])->rank || perm[0] != 0)
        return false;
    *to_last = perm[rank - 1] == 1;
    for (size_t d = 1; d < rank; d++) {
        int64_t last = d == rank - 1 ? 1 : (int64_t)d + 1,
                first = d == 1 ? (int64_t)rank - 1 : (int64_t)d - 1;
        if (perm[d] != (*to_last ? last : first))
            return false;
    }
    return true;
}

static bool weave_transpose(struct weaving *x, struct node *n) {
    bool to_last;
    if (!is_layout_change(x, n, &to_last))
        return false;
    value_id twin = n->in[0] < x->w.n_twins ? x->w.twin[n->in[0]] : VALUE_NONE;
    if (to_last && layout_at(x, n->in[0]) == LAYOUT_PLAIN && twin == VALUE_NONE)
        return false;
    n->in[0] = as(x, n->in[0], to_last ? LAYOUT_NHWC : LAYOUT_PLAIN);
    x->g->values[n->out[0]].layout = to_last ? LAYOUT_PLAIN : LAYOUT_NHWC;
    (void)weave_push(&x->w, n);
    return true;
}

static void weave(struct weaving *x, struct node *n) {
    if (weave_transpose(x, n))
        return;
    bool nhwc = wants_nhwc(x, n), elementwise = n->op->flags & OP_ELEMENTWISE;
    const struct shape out =
        n->n_out && n->out[0] != VALUE_NONE ? *shape_at(x, n->out[0]) : (struct shape){0};
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == VALUE_NONE || x->g->values[n->in[i]].constant)
            continue;
        if (nhwc && in_chain(x, n, i, &out))
            n->in[i] = as(x, n->in[i], LAYOUT_NHWC);
        else if (!elementwise || posts_read(n, i) || is_full(x, n->in[i], &out))
            n->in[i] = as(x, n->in[i], LAYOUT_PLAIN);
    }
    for (int i = 0; i < n->n_out && nhwc; i++)
        if (n->out[i] != VALUE_NONE)
            x->g->values[n->out[i]].layout = LAYOUT_NHWC;
    (void)weave_push(&x->w, n);
}

/* What bodies capture stays plain: they were planned to see it so. */
static void plain_captures(struct weaving *x, struct graph *body) {
    for (int v = 0; v < body->n_values; v++)
        if (body->values[v].capture != VALUE_NONE)
            body->values[v].capture = as(x, body->values[v].capture, LAYOUT_PLAIN);
}

static void plain_bodies(struct weaving *x, struct node *n) {
    for (int k = 0; k < n->n_attrs; k++) {
        if (n->attrs[k].kind == ATTR_GRAPH)
            plain_captures(x, n->attrs[k].graph);
        for (size_t i = 0; n->attrs[k].kind == ATTR_GRAPHS && i < n->attrs[k].n; i++)
            plain_captures(x, n->attrs[k].graphs[i]);
    }
}

static enum code run(struct pass_run *r, struct err *e) {
    struct graph *g = r->graph;
    struct weaving x = {.g = g, .reorder = op_find(LIT("reorder"))};
    if (!x.reorder)
        return OK;
    TRY(weave_open(&x.w, g, r->arena, e));
    for (int k = 0; k < g->n_nodes; k++) {
        plain_bodies(&x, &g->nodes[k]);
        weave(&x, &g->nodes[k]);
    }
    for (int i = 0; i < g->n_outputs; i++)
        g->outputs[i] = as(&x, g->outputs[i], LAYOUT_PLAIN);
    /* the walk of shapes is not repeated: a reorder's are known, and it must not reset a layout */
    return weave_close(&x.w, e);
}

const struct pass pass_layout = {.name = "layout", .stages = PASS_LAST, .run = run};
