/* SPDX-License-Identifier: Apache-2.0 */
/* Are rows independent? The graph is walked at two batch sizes; for each value we follow the axis
 * along which its rows lie, and every operator that touches a batch must be known to keep rows
 * apart. What is not known is not batched.
 *
 * 1. A value's batch axis has k * 2 elements at the one size and k * 3 at the other, the same k;
 * rows are the major part.
 * 2. A value without a batch axis has the same shape at both sizes; where its data differ (a shape
 * for Reshape, say) it may only be an operand that describes, which the rules below never treat as
 * rows.
 * 3. Free dims other than the first are tried with a few sizes: one that the model accepts is
 * enough, for no operator changes its meaning with them. */
#include "plan/rows.h"

#include "plan/pass.h"
#include "plan/walk.h"

enum { NO_AXIS = -1, MIXED = -2, SIZE_A = 2, SIZE_B = 3, CAP = 1 << 30 };

struct rows {
    const struct graph *a, *b; /* the same graph at two sizes */
    int *axis;                 /* by value: where rows lie, NO_AXIS or MIXED */
};

/* --- what is known of a value --- */

static const struct shape *shape_in(const struct graph *g, value_id v) {
    return g->values[v].constant ? &g->values[v].constant->shape : &g->values[v].shape;
}

static int axis_in(const struct rows *r, const struct node *n, int i) {
    return i < n->n_in && n->in[i] != VALUE_NONE ? r->axis[n->in[i]] : NO_AXIS;
}

static int rank_in(const struct rows *r, const struct node *n, int i) {
    return i < n->n_in && n->in[i] != VALUE_NONE ? shape_in(r->a, n->in[i])->rank : 0;
}

/* v's two shapes differ on this axis only, in the ratio of the sizes. */
static bool rows_on(const struct rows *r, value_id v, int axis) {
    if (!walk_known(&r->a->values[v]) || !walk_known(&r->b->values[v]))
        return false;
    const struct shape *a = shape_in(r->a, v), *b = shape_in(r->b, v);
    if (a->rank != b->rank || axis < 0 || axis >= a->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (d == axis ? a->dims[d] * SIZE_B != b->dims[d] * SIZE_A || a->dims[d] % SIZE_A
                      : a->dims[d] != b->dims[d])
            return false;
    return true;
}

static bool same_shapes(const struct rows *r, value_id v) {
    return walk_known(&r->a->values[v]) && walk_known(&r->b->values[v]) &&
           shape_eq(shape_in(r->a, v), shape_in(r->b, v));
}

static int64_t before(const struct shape *s, int axis) {
    int64_t p = 1;
    for (int d = 0; d < axis; d++)
        p *= s->dims[d];
    return p;
}

/* --- rules: input axes to the axis of output 0 --- */

/* Axes counted from the right, as numpy aligns operands; all that have rows must agree. */
static int rule_broadcast(const struct rows *r, const struct node *n) {
    int from_right = NO_AXIS;
    for (int i = 0; i < n->n_in; i++) {
        int axis = axis_in(r, n, i);
        if (axis == MIXED)
            return MIXED;
        if (axis == NO_AXIS)
            continue;
        int right = rank_in(r, n, i) - axis;
        if (from_right != NO_AXIS && from_right != right)
            return MIXED;
        from_right = right;
    }
    return shape_in(r->a, n->out[0])->rank - from_right;
}

/* Only input 0 has rows, on its first axis; so has the output. */
static int rule_first(const struct rows *r, const struct node *n) {
    for (int i = 1; i < n->n_in; i++)
        if (axis_in(r, n, i) != NO_AXIS)
            return MIXED;
    return axis_in(r, n, 0) == 0 ? 0 : MIXED;
}

static int rule_matmul(const struct rows *r, const struct node *n) {
    int a = axis_in(r, n, 0), b = axis_in(r, n, 1), rank_a = rank_in(r, n, 0),
        rank_b = rank_in(r, n, 1);
    if (a != NO_AXIS && (a == MIXED || a == rank_a - 1))
        return MIXED;
    if (b != NO_AXIS && (b == MIXED || b >= rank_b - 2))
        return MIXED;
    if (rank_a < 2 || rank_b < 2 || (a != NO_AXIS && b != NO_AXIS && rank_a - a != rank_b - b))
        return MIXED;
    return shape_in(r->a, n->out[0])->rank - (a != NO_AXIS ? rank_a - a : rank_b - b);
}

static int rule_gemm(const struct rows *r, const struct node *n) {
    int c = axis_in(r, n, 2);
    bool rows = axis_in(r, n, 0) == 0 && !attr_int(n, "transA", 0) && axis_in(r, n, 1) == NO_AXIS;
    return rows && (c == NO_AXIS || c == 0) ? 0 : MIXED;
}

static int rule_softmax(const struct rows *r, const struct node *n) {
    int axis, at = axis_in(r, n, 0);
    bool flat = n->opset && n->opset < 13; /* dims from axis on are one */
    if (!shape_axis(attr_int(n, "axis", flat ? 1 : -1), rank_in(r, n, 0), &axis))
        return MIXED;
    return at >= 0 && (flat ? at < axis : at != axis) ? at : MIXED;
}

static int rule_layer_norm(const struct rows *r, const struct node *n) {
    int axis, at = axis_in(r, n, 0);
    if (!shape_axis(attr_int(n, "axis", -1), rank_in(r, n, 0), &axis))
        return MIXED;
    return at >= 0 && at < axis ? at : MIXED;
}

/* One axis by attribute must not be the rows'. */
static int rule_axis(const struct rows *r, const struct node *n) {
    int axis, at = MIXED;
    for (int i = 0; i < n->n_in; i++) {
        int rows = axis_in(r, n, i);
        if (rows == MIXED || (rows != NO_AXIS && at >= 0 && rows != at))
            return MIXED;
        if (rows != NO_AXIS)
            at = rows;
    }
    int64_t otherwise = str_is(n->op_name, "top_k") ? -1 : 0;
    if (!shape_axis(attr_int(n, "axis", otherwise), rank_in(r, n, 0), &axis) || axis == at)
        return MIXED;
    bool gone = str_starts(n->op_name, "arg_") && !attr_int(n, "keepdims", 1);
    return gone && axis < at ? at - 1 : at;
}

static int rule_reduce(const struct rows *r, const struct node *n) {
    const int64_t *axes = NULL;
    size_t count = 0;
    int at = axis_in(r, n, 0), rank = rank_in(r, n, 0), lost = 0, axis;
    const struct tensor *given =
        n->n_in > 1 && n->in[1] != VALUE_NONE ? r->a->values[n->in[1]].constant : NULL;
    if (!attr_ints(n, "axes", &axes, &count))
        count = given ? tensor_count(given) : 0;
    if (at < 0 || count == 0 || (n->n_in > 1 && n->in[1] != VALUE_NONE && !given))
        return MIXED;
    for (size_t i = 0; i < count; i++) {
        if (!shape_axis(axes ? axes[i] : tensor_i64(given, i), rank, &axis) || axis == at)
            return MIXED;
        lost += axis < at;
    }
    return attr_int(n, "keepdims", 1) ? at : at - lost;
}

static int rule_transpose(const struct rows *r, const struct node *n) {
    const int64_t *perm = NULL;
    size_t count = 0;
    int at = axis_in(r, n, 0), rank = rank_in(r, n, 0);
    if (!attr_ints(n, "perm", &perm, &count))
        return rank - 1 - at;
    for (int d = 0; d < (int)count && d < rank; d++)
        if (perm[d] == at)
            return d;
    return MIXED;
}

/* The same elements in the same order under another shape: rows stay together when as many elements
 * lie before them. */
static int rule_view(const struct rows *r, const struct node *n) {
    int at = axis_in(r, n, 0);
    const struct shape *in = shape_in(r->a, n->in[0]), *out = shape_in(r->a, n->out[0]);
    for (int d = 0; d < out->rank; d++)
        if (rows_on(r, n->out[0], d) && before(out, d) == before(in, at))
            return d;
    return MIXED;
}

/* Cut or padded, not along the rows: the axis has as many elements after as before. */
static int rule_cut(const struct rows *r, const struct node *n) {
    int at = axis_in(r, n, 0);
    const struct tensor *steps =
        n->n_in > 4 && n->in[4] != VALUE_NONE ? r->a->values[n->in[4]].constant : NULL;
    for (size_t i = 0; steps && i < tensor_count(steps); i++)
        if (tensor_i64(steps, i) < 0)
            return MIXED;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE &&
            shape_in(r->a, n->out[i])->dims[at] != shape_in(r->a, n->in[0])->dims[at])
            return MIXED;
    return at;
}

static int rule_gather(const struct rows *r, const struct node *n) {
    int data = axis_in(r, n, 0), index = axis_in(r, n, 1), axis;
    if (!shape_axis(attr_int(n, "axis", 0), rank_in(r, n, 0), &axis))
        return MIXED;
    if (data == NO_AXIS)
        return index == MIXED ? MIXED : axis + index;
    if (index != NO_AXIS || data == axis)
        return MIXED;
    return data < axis ? data : data + rank_in(r, n, 1) - 1;
}

static int rule_expand(const struct rows *r, const struct node *n) {
    int at = axis_in(r, n, 0);
    return at < 0 ? MIXED : shape_in(r->a, n->out[0])->rank - (rank_in(r, n, 0) - at);
}

static const struct {
    const char *name;
    int (*rule)(const struct rows *r, const struct node *n);
} rules[] = {
    {"conv", rule_first},
    {"conv_transpose", rule_first},
    {"max_pool", rule_first},
    {"average_pool", rule_first},
    {"lp_pool", rule_first},
    {"global_average_pool", rule_first},
    {"global_max_pool", rule_first},
    {"global_lp_pool", rule_first},
    {"batch_normalization", rule_first},
    {"instance_normalization", rule_first},
    {"group_normalization", rule_first},
    {"lrn", rule_first},
    {"resize", rule_first},
    {"upsample", rule_first},
    {"depth_to_space", rule_first},
    {"space_to_depth", rule_first},
    {"q_linear_conv", rule_first},
    {"quantize_linear", rule_first},
    {"dequantize_linear", rule_first},
    {"prelu", rule_first},
    {"mat_mul", rule_matmul},
    {"gemm", rule_gemm},
    {"softmax", rule_softmax},
    {"log_softmax", rule_softmax},
    {"layer_normalization", rule_layer_norm},
    {"rms_normalization", rule_layer_norm},
    {"concat", rule_axis},
    {"arg_max", rule_axis},
    {"arg_min", rule_axis},
    {"top_k", rule_axis},
    {"transpose", rule_transpose},
    {"reshape", rule_view},
    {"flatten", rule_view},
    {"squeeze", rule_view},
    {"unsqueeze", rule_view},
    {"identity", rule_view},
    {"slice", rule_cut},
    {"split", rule_cut},
    {"pad", rule_cut},
    {"tile", rule_cut},
    {"gather", rule_gather},
    {"expand", rule_expand},
    {"q_linear_global_average_pool", rule_first},
    {"q_gemm", rule_gemm},
    {"where", rule_broadcast},
    {"cast", rule_broadcast},
    {"dropout", rule_first},
};

static int find_axis(const struct rows *r, const struct node *n) {
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++)
        if (str_is(n->op_name, rules[k].name))
            return rules[k].rule(r, n);
    if (str_starts(n->op_name, "reduce_"))
        return rule_reduce(r, n);
    return n->op->flags & OP_ELEMENTWISE ? rule_broadcast(r, n) : MIXED;
}

/* --- the walk --- */

/* A constant whose shape follows the batch (zeros of a state, ...) has rows when all are alike. */
static int constant_axis(const struct rows *r, value_id v) {
    const struct tensor *t = r->b->values[v].constant;
    if (!r->a->values[v].constant || !t || same_shapes(r, v))
        return NO_AXIS;
    if (!rows_on(r, v, 0) || t->dtype == DT_STRING || t->dtype == DT_SEQUENCE)
        return MIXED;
    size_t row = tensor_bytes(t) / SIZE_B;
    const char *p = t->data;
    return memcmp(p, p + row, row) == 0 && memcmp(p, p + 2 * row, row) == 0 ? 0 : MIXED;
}

static void follow_node(struct rows *r, const struct node *n) {
    bool touched = false, mixed = false;
    for (int i = 0; i < n->n_in; i++) {
        touched |= axis_in(r, n, i) != NO_AXIS;
        mixed |= axis_in(r, n, i) == MIXED;
    }
    bool recurrent =
        str_is(n->op_name, "lstm") || str_is(n->op_name, "gru") || str_is(n->op_name, "rnn");
    int axis = mixed || recurrent ? MIXED : NO_AXIS;
    if (touched && axis == NO_AXIS)
        axis = n->n_out && n->out[0] != VALUE_NONE && walk_known(&r->a->values[n->out[0]])
                   ? find_axis(r, n)
                   : MIXED;
    for (int i = 0; i < n->n_out; i++) {
        value_id v = n->out[i];
        if (v == VALUE_NONE)
            continue;
        r->axis[v] = axis >= 0 && rows_on(r, v, axis)       ? axis
                     : axis == NO_AXIS && same_shapes(r, v) ? NO_AXIS
                                                            : MIXED;
    }
}

static bool same_nodes(const struct graph *a, const struct graph *b) {
    if (a->n_nodes != b->n_nodes || a->n_values != b->n_values)
        return false;
    for (int k = 0; k < a->n_nodes; k++) {
        const struct node *x = &a->nodes[k], *y = &b->nodes[k];
        if (x->op != y->op || x->n_in != y->n_in ||
            memcmp(x->in, y->in, (size_t)x->n_in * sizeof *x->in) != 0)
            return false;
    }
    return true;
}

static bool follow_graph(struct rows *r, struct arena *arena) {
    r->axis = ARENA_ARRAY(arena, (size_t)r->a->n_values + 1, int);
    if (!r->axis || !same_nodes(r->a, r->b))
        return false;
    for (int v = 0; v < r->a->n_values; v++)
        r->axis[v] = constant_axis(r, v);
    for (int i = 0; i < r->a->n_inputs; i++)
        r->axis[r->a->inputs[i]] = 0;
    for (int k = 0; k < r->a->n_nodes; k++)
        follow_node(r, &r->a->nodes[k]);
    for (int i = 0; i < r->a->n_outputs; i++) {
        value_id v = r->a->outputs[i];
        if (r->axis[v] != 0 || shape_in(r->a, v)->dims[0] != SIZE_A)
            return false;
    }
    return true;
}

/* --- the two sizes --- */

static unsigned structure_passes_only(void) {
    unsigned off = ~0u;
    for (size_t i = 0; i < pass_count(); i++) {
        struct str name = str_of(pass_name(i));
        if (str_is(name, "fold") || str_is(name, "branch") || str_is(name, "dead"))
            off &= ~(1u << i);
    }
    return off;
}

static const struct graph *at_size(const struct model *m, int64_t batch, int64_t other,
                                   struct arena *a) {
    struct model *copy = graph_copy(m, a);
    struct err ignored;
    struct pass_terms terms = {a, structure_passes_only(), CAP, PRECISION_F32, NULL};
    if (!copy)
        return NULL;
    struct graph *g = copy->main;
    for (int i = 0; i < g->n_inputs; i++) {
        struct value *v = &g->values[g->inputs[i]];
        v->shape.dims[0] = batch;
        for (int d = 1; d < v->shape.rank; d++)
            if (v->shape.dims[d] < 0)
                v->shape.dims[d] = other;
    }
    return pass_all(g, PASS_PLAN, &terms, &ignored) == OK ? g : NULL;
}

static bool free_first(const struct session_io *io, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (io[i].shape.rank < 1 || io[i].shape.dims[0] >= 0 || io[i].optional ||
            io[i].dtype == DT_SEQUENCE)
            return false;
    return n > 0;
}

bool rows_independent(const struct model *m, const struct session_io *inputs,
                      const struct session_io *outputs) {
    static const int64_t sizes[] = {32, 64, 224, 320, 640, 16, 8, 1};
    if (!free_first(inputs, (size_t)m->main->n_inputs))
        return false;
    for (int i = 0; i < m->main->n_outputs; i++) /* an output of unknown rank may still have rows */
        if (outputs[i].shape.rank >= 0 &&
            (outputs[i].shape.rank < 1 || outputs[i].shape.dims[0] >= 0))
            return false;
    bool found = false, apart = false;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes && !found; k++) {
        struct arena arena;
        arena_init(&arena, CAP);
        struct rows r = {.a = at_size(m, SIZE_A, sizes[k], &arena)};
        r.b = r.a ? at_size(m, SIZE_B, sizes[k], &arena) : NULL;
        found = r.a && r.b;
        apart = found && follow_graph(&r, &arena);
        arena_deinit(&arena);
    }
    return apart;
}
