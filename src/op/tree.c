/* SPDX-License-Identifier: Apache-2.0 */
/* tree_ensemble (ai.onnx.ml 5): decision trees over the features of each row (N, F), their leaves
 * added up per target (N, T).
 *
 * prepare checks every index once and lays the nodes side by side, so that run only walks. A walk
 * takes at most as many steps as there are nodes: one that takes more runs in a circle. */
#include "op/operand.h"

#include <math.h>

enum tree_mode { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ, TREE_MEMBER };
enum tree_sum { TREE_AVERAGE, TREE_SUM, TREE_MIN, TREE_MAX };
enum tree_after { AFTER_NONE, AFTER_SOFTMAX, AFTER_LOGISTIC, AFTER_SOFTMAX_ZERO, AFTER_PROBIT };

struct tree_node {
    double split;
    uint32_t next[2]; /* false, true: a node, or a leaf */
    uint32_t feature;
    uint32_t member, n_members; /* of values */
    uint8_t mode;
    bool leaf[2], missing_true;
};

struct forest {
    struct tree_node *nodes;
    const int64_t *roots, *targets; /* (n_roots), (n_leaves) */
    const struct tensor *weights;   /* (n_leaves) */
    const struct tensor *members;   /* or NULL */
    size_t n_nodes, n_roots, n_leaves, n_targets;
    enum tree_sum sum;
    enum tree_after after;
};

/* A list of whole numbers that must have n entries; absent allowed when `may`. */
static enum code whole_list(const struct operand_at *at, const char *name, size_t n, bool may,
                            const int64_t **out, struct err *e) {
    size_t has = 0;
    *out = NULL;
    if (!attr_ints(at->node, name, out, &has) && may)
        return OK;
    if (has != n || (may && !has))
        return operand_fail(at, e, FORMAT, "attribute '%s' has %zu entries, %zu were expected",
                            name, has, n);
    return OK;
}

static enum code number_list(const struct operand_at *at, const char *name,
                             const struct tensor **out, struct err *e) {
    const struct attr *a = attr_find(at->node, name);
    bool tensor = a && a->kind == ATTR_TENSOR;
    *out = tensor ? a->tensor : NULL;
    if (tensor && !dtype_is_float(a->tensor->dtype) && !dtype_is_integer(a->tensor->dtype))
        return operand_fail(at, e, FORMAT, "attribute '%s' is %s", name,
                            dtype_name(a->tensor->dtype));
    return OK;
}

static enum code forest_sizes(const struct operand_at *at, struct forest *f, struct err *e) {
    const int64_t *features;
    TRY(number_list(at, "leaf_weights", &f->weights, e));
    TRY(number_list(at, "membership_values", &f->members, e));
    int64_t targets = attr_int(at->node, "n_targets", 1);
    int64_t sum = attr_int(at->node, "aggregate_function", TREE_SUM);
    int64_t after = attr_int(at->node, "post_transform", AFTER_NONE);
    if (!attr_ints(at->node, "nodes_featureids", &features, &f->n_nodes) ||
        !attr_ints(at->node, "tree_roots", &f->roots, &f->n_roots) || !f->weights)
        return operand_fail(at, e, FORMAT,
                            "nodes_featureids, tree_roots and leaf_weights are needed");
    f->n_leaves = tensor_count(f->weights);
    if (targets < 1 || targets > 1 << 24 || sum < 0 || sum > TREE_MAX || after < 0 ||
        after > AFTER_PROBIT || f->n_nodes > UINT32_MAX || f->n_leaves > UINT32_MAX)
        return operand_fail(at, e, FORMAT,
                            "%lld targets, aggregate_function %lld, post_transform %lld",
                            (long long)targets, (long long)sum, (long long)after);
    f->n_targets = (size_t)targets;
    f->sum = (enum tree_sum)sum;
    f->after = (enum tree_after)after;
    for (size_t k = 0; k < f->n_roots; k++)
        if (f->roots[k] < 0 || (size_t)f->roots[k] >= f->n_nodes)
            return operand_fail(at, e, FORMAT, "tree_roots[%zu] is %lld", k,
                                (long long)f->roots[k]);
    TRY(whole_list(at, "leaf_targetids", f->n_leaves, false, &f->targets, e));
    for (size_t k = 0; k < f->n_leaves; k++)
        if (f->targets[k] < 0 || (size_t)f->targets[k] >= f->n_targets)
            return operand_fail(at, e, FORMAT, "leaf_targetids[%zu] is %lld", k,
                                (long long)f->targets[k]);
    return OK;
}

static enum code infer_tree_ensemble(struct op_infer *c, struct err *e) {
    struct forest f = {0};
    TRY(operand_need(c, 1, e));
    TRY(forest_sizes(OPERAND_AT(c), &f, e));
    enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!dtype_is_float(t))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(t));
    if (!c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    if (in->rank != 2)
        return operand_fail(c, e, INVALID, "the input has rank %d, 2 was expected", in->rank);
    return operand_out(c, 0, t,
                       &(struct shape){.rank = 2, .dims = {in->dims[0], (int64_t)f.n_targets}}, e);
}

/* --- laying out --- */

struct columns { /* nodes_* attributes, each (n_nodes) */
    const int64_t *feature, *next[2], *leaf[2], *missing;
    const struct tensor *mode, *split;
};

static enum code read_columns(const struct operand_at *at, const struct forest *f,
                              struct columns *c, struct err *e) {
    size_t n = f->n_nodes;
    TRY(whole_list(at, "nodes_featureids", n, false, &c->feature, e));
    TRY(whole_list(at, "nodes_falsenodeids", n, false, &c->next[0], e));
    TRY(whole_list(at, "nodes_truenodeids", n, false, &c->next[1], e));
    TRY(whole_list(at, "nodes_falseleafs", n, false, &c->leaf[0], e));
    TRY(whole_list(at, "nodes_trueleafs", n, false, &c->leaf[1], e));
    TRY(whole_list(at, "nodes_missing_value_tracks_true", n, true, &c->missing, e));
    TRY(number_list(at, "nodes_modes", &c->mode, e));
    TRY(number_list(at, "nodes_splits", &c->split, e));
    if (!c->mode || !c->split || tensor_count(c->mode) != n || tensor_count(c->split) != n)
        return operand_fail(at, e, FORMAT, "nodes_modes and nodes_splits must have %zu entries", n);
    return OK;
}

/* The set of the next member node: values up to a NaN, which is skipped. */
static void take_members(const struct forest *f, size_t *at, struct tree_node *n) {
    size_t count = f->members ? tensor_count(f->members) : 0;
    n->member = (uint32_t)*at;
    while (*at < count && !isnan(tensor_f64(f->members, *at)))
        ++*at;
    n->n_members = (uint32_t)*at - n->member;
    *at += *at < count;
}

static enum code lay_node(const struct operand_at *at, const struct forest *f,
                          const struct columns *c, size_t k, int64_t features, struct err *e) {
    struct tree_node *n = &f->nodes[k];
    int64_t mode = tensor_i64(c->mode, k);
    n->split = tensor_f64(c->split, k);
    n->missing_true = c->missing && c->missing[k];
    for (int side = 0; side < 2; side++) {
        n->leaf[side] = c->leaf[side][k] != 0;
        size_t room = n->leaf[side] ? f->n_leaves : f->n_nodes;
        if (c->next[side][k] < 0 || (size_t)c->next[side][k] >= room)
            return operand_fail(at, e, FORMAT, "node %zu leads to %lld of %zu", k,
                                (long long)c->next[side][k], room);
        n->next[side] = (uint32_t)c->next[side][k];
    }
    if (mode < 0 || mode > TREE_MEMBER || c->feature[k] < 0 || c->feature[k] >= features)
        return operand_fail(at, e, FORMAT, "node %zu has mode %lld on feature %lld of %lld", k,
                            (long long)mode, (long long)c->feature[k], (long long)features);
    n->mode = (uint8_t)mode;
    n->feature = (uint32_t)c->feature[k];
    return OK;
}

static enum code prepare_tree_ensemble(struct op_prepare *c, struct err *e) {
    struct forest *f = ARENA_NEW(c->arena, struct forest);
    struct columns columns;
    size_t member = 0;
    if (!f)
        return arena_fail(c->arena, sizeof *f, "a forest", e);
    TRY(forest_sizes(OPERAND_AT(c), f, e));
    TRY(read_columns(OPERAND_AT(c), f, &columns, e));
    f->nodes = ARENA_ARRAY(c->arena, f->n_nodes + 1, struct tree_node);
    if (!f->nodes)
        return arena_fail(c->arena, f->n_nodes * sizeof *f->nodes, "a forest", e);
    for (size_t k = 0; k < f->n_nodes; k++) {
        TRY(lay_node(OPERAND_AT(c), f, &columns, k, c->in[0].shape.dims[1], e));
        if (f->nodes[k].mode == TREE_MEMBER)
            take_members(f, &member, &f->nodes[k]);
    }
    c->state = f;
    c->scratch_bytes = f->n_targets * (sizeof(double) + sizeof(uint64_t));
    return OK;
}

/* --- walking --- */

static bool is_member(const struct forest *f, const struct tree_node *n, double v) {
    for (uint32_t k = 0; k < n->n_members; k++)
        if (tensor_f64(f->members, n->member + k) == v)
            return true;
    return false;
}

static bool holds(const struct forest *f, const struct tree_node *n, double v) {
    if (isnan(v) && n->missing_true)
        return true;
    switch ((enum tree_mode)n->mode) {
    case TREE_LEQ: return v <= n->split;
    case TREE_LT: return v < n->split;
    case TREE_GTE: return v >= n->split;
    case TREE_GT: return v > n->split;
    case TREE_EQ: return v == n->split;
    case TREE_NEQ: return v != n->split;
    case TREE_MEMBER: return is_member(f, n, v);
    }
    return false;
}

/* The leaf a row comes to; false: the tree is a circle. */
static bool walk(const struct forest *f, size_t root, const struct tensor *x, size_t row,
                 size_t *leaf) {
    size_t at = root;
    for (size_t steps = 0; steps < f->n_nodes; steps++) {
        const struct tree_node *n = &f->nodes[at];
        int side = holds(f, n, tensor_f64(x, row + n->feature));
        at = n->next[side];
        if (n->leaf[side]) {
            *leaf = at;
            return true;
        }
    }
    return false;
}

static void add_leaf(const struct forest *f, size_t leaf, double *sums, uint64_t *counts) {
    int64_t target = f->targets[leaf];
    double w = tensor_f64(f->weights, leaf), *sum = &sums[target];
    bool first = counts[target]++ == 0;
    if (f->sum == TREE_MIN)
        *sum = first || w < *sum ? w : *sum;
    else if (f->sum == TREE_MAX)
        *sum = first || w > *sum ? w : *sum;
    else
        *sum += w;
}

/* Winitzki's approximation of erf^-1, as good as f32 needs in the middle and 2e-3 at the ends. */
static double inverse_erf(double x) {
    double sign = x < 0 ? -1 : 1, l = log((1 - x) * (1 + x));
    double v = 2 / (M_PI * 0.147) + 0.5 * l;
    return sign * sqrt(sqrt(v * v - l / 0.147) - v);
}

static void finish(const struct forest *f, double *v) {
    double top = -INFINITY, sum = 0;
    bool zero_stays = f->after == AFTER_SOFTMAX_ZERO;
    for (size_t k = 0; k < f->n_targets; k++) {
        top = fmax(top, v[k]);
        if (f->after == AFTER_LOGISTIC)
            v[k] = 1 / (1 + exp(-v[k]));
        if (f->after == AFTER_PROBIT)
            v[k] = M_SQRT2 * inverse_erf(2 * v[k] - 1);
    }
    if (f->after != AFTER_SOFTMAX && !zero_stays)
        return;
    for (size_t k = 0; k < f->n_targets; k++) {
        v[k] = zero_stays && v[k] == 0 ? 0 : exp(v[k] - top);
        sum += v[k];
    }
    for (size_t k = 0; k < f->n_targets && sum > 0; k++)
        v[k] /= sum;
}

static enum code run_tree_ensemble(const struct op_call *c, struct err *e) {
    const struct forest *f = c->state;
    const struct tensor *x = c->in[0];
    size_t features = (size_t)x->shape.dims[1], leaf;
    double *sums = c->scratch;
    uint64_t *counts = (uint64_t *)(sums + f->n_targets);
    for (size_t row = 0; row < (size_t)x->shape.dims[0]; row++) {
        for (size_t k = 0; k < f->n_targets; k++) {
            sums[k] = 0;
            counts[k] = 0;
        }
        for (size_t k = 0; k < f->n_roots; k++) {
            if (!walk(f, (size_t)f->roots[k], x, row * features, &leaf))
                return operand_fail(c, e, INVALID, "tree %zu runs in a circle", k);
            add_leaf(f, leaf, sums, counts);
        }
        for (size_t k = 0; k < f->n_targets && f->sum == TREE_AVERAGE && f->n_roots; k++)
            sums[k] /= (double)f->n_roots;
        finish(f, sums);
        for (size_t k = 0; k < f->n_targets; k++)
            operand_put(c->out[0], row * f->n_targets + k, sums[k]);
    }
    return OK;
}

const struct op op_tree_ensemble = {.name = "tree_ensemble",
                                    .flags = OP_PURE,
                                    .infer = infer_tree_ensemble,
                                    .prepare = prepare_tree_ensemble,
                                    .run = run_tree_ensemble};
