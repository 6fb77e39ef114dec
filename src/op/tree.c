/* SPDX-License-Identifier: Apache-2.0 */
/* tree_ensemble (ai.onnx.ml 5): decision trees over the features of each row (N, F), their leaves
 * added up per target (N, T).
 *
 * prepare checks every index once and draws the trees (forest.h). */
#include "op/forest.h"

#include <math.h>

struct ensemble {
    struct forest *forest;
    enum scores_after after;
};

struct columns { /* attributes as they are */
    size_t n_nodes, n_roots, n_leaves, n_targets;
    const int64_t *roots, *targets; /* (n_roots), (n_leaves) */
    const int64_t *feature, *next[2], *leaf[2], *missing;
    const struct tensor *mode, *split, *weights, *members;
    int64_t sum, after;
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

/* What infer needs. */
static enum code read_sizes(const struct operand_at *at, struct columns *c, struct err *e) {
    TRY(number_list(at, "leaf_weights", &c->weights, e));
    TRY(number_list(at, "membership_values", &c->members, e));
    int64_t targets = attr_int(at->node, "n_targets", 1);
    c->sum = attr_int(at->node, "aggregate_function", FOREST_SUM);
    c->after = attr_int(at->node, "post_transform", SCORES_NONE);
    if (!attr_ints(at->node, "nodes_featureids", &c->feature, &c->n_nodes) ||
        !attr_ints(at->node, "tree_roots", &c->roots, &c->n_roots) || !c->weights)
        return operand_fail(at, e, FORMAT,
                            "nodes_featureids, tree_roots and leaf_weights are needed");
    c->n_leaves = tensor_count(c->weights);
    if (targets < 1 || targets > 1 << 24 || c->sum < 0 || c->sum > FOREST_MAX || c->after < 0 ||
        c->after > SCORES_PROBIT)
        return operand_fail(at, e, FORMAT,
                            "%lld targets, aggregate_function %lld, post_transform %lld",
                            (long long)targets, (long long)c->sum, (long long)c->after);
    c->n_targets = (size_t)targets;
    return OK;
}

static enum code infer_tree_ensemble(struct op_infer *c, struct err *e) {
    struct columns columns = {0};
    TRY(operand_need(c, 1, e));
    TRY(read_sizes(OPERAND_AT(c), &columns, e));
    enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!dtype_is_float(t))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(t));
    if (!c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    if (in->rank != 2)
        return operand_fail(c, e, INVALID, "the input has rank %d, 2 was expected", in->rank);
    return operand_out(c, 0, t, &(struct shape){2, {in->dims[0], (int64_t)columns.n_targets}}, e);
}

/* --- drawing --- */

static enum code read_columns(const struct operand_at *at, struct columns *c, struct err *e) {
    const size_t n = c->n_nodes;
    TRY(whole_list(at, "leaf_targetids", c->n_leaves, false, &c->targets, e));
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
static void take_members(const struct forest_draft *f, size_t *at, struct forest_branch *n) {
    size_t count = f->members ? tensor_count(f->members) : 0;
    n->member = (uint32_t)*at;
    while (*at < count && !isnan(tensor_f64(f->members, *at)))
        ++*at;
    n->n_members = (uint32_t)*at - n->member;
    *at += *at < count;
}

static enum code draw_branch(const struct operand_at *at, const struct forest_draft *f,
                             const struct columns *c, size_t k, struct err *e) {
    struct forest_branch *n = &f->branches[k];
    int64_t mode = tensor_i64(c->mode, k);
    n->split = tensor_f64(c->split, k);
    n->missing_true = c->missing && c->missing[k];
    for (int side = 0; side < 2; side++) {
        n->leaf[side] = c->leaf[side][k] != 0;
        size_t room = n->leaf[side] ? f->n_leaves : f->n_branches;
        if (c->next[side][k] < 0 || (size_t)c->next[side][k] >= room)
            return operand_fail(at, e, FORMAT, "node %zu leads to %lld of %zu", k,
                                (long long)c->next[side][k], room);
        n->next[side] = (uint32_t)c->next[side][k];
    }
    if (mode < 0 || mode > FOREST_MEMBER || c->feature[k] < 0 || c->feature[k] > INT32_MAX)
        return operand_fail(at, e, FORMAT, "node %zu has mode %lld on feature %lld", k,
                            (long long)mode, (long long)c->feature[k]);
    n->mode = (uint8_t)mode;
    n->feature = (uint32_t)c->feature[k];
    return OK;
}

static enum code draw_leaves(const struct operand_at *at, struct forest_draft *f,
                             const struct columns *c, struct err *e) {
    for (size_t k = 0; k < f->n_leaves; k++) {
        if (c->targets[k] < 0 || (size_t)c->targets[k] >= f->n_targets)
            return operand_fail(at, e, FORMAT, "leaf_targetids[%zu] is %lld", k,
                                (long long)c->targets[k]);
        f->first[k] = (uint32_t)k;
        f->targets[k] = (uint32_t)c->targets[k];
        f->weights[k] = tensor_f64(c->weights, k);
    }
    f->first[f->n_leaves] = (uint32_t)f->n_leaves;
    for (size_t k = 0; k < f->n_starts; k++) {
        if (c->roots[k] < 0 || (size_t)c->roots[k] >= f->n_branches)
            return operand_fail(at, e, FORMAT, "tree_roots[%zu] is %lld", k,
                                (long long)c->roots[k]);
        f->starts[k] = (struct forest_start){.at = (uint32_t)c->roots[k]};
    }
    return OK;
}

static enum code draw(struct op_prepare *c, struct arena *a, const struct columns *columns,
                      struct forest_draft *f, struct err *e) {
    size_t member = 0;
    TRY(forest_draw(a, columns->n_nodes, columns->n_roots, columns->n_leaves, columns->n_leaves,
                    columns->n_targets, f, e));
    f->members = columns->members;
    f->sum = (enum forest_sum)columns->sum;
    TRY(draw_leaves(OPERAND_AT(c), f, columns, e));
    for (size_t k = 0; k < f->n_branches; k++) {
        TRY(draw_branch(OPERAND_AT(c), f, columns, k, e));
        if (f->branches[k].mode == FOREST_MEMBER)
            take_members(f, &member, &f->branches[k]);
    }
    return OK;
}

static enum code pack(struct op_prepare *c, const struct columns *columns, struct forest *f,
                      struct err *e) {
    struct arena a; /* of the draft */
    struct forest_draft draft;
    arena_init(&a, FOREST_DRAFT_CAP);
    enum code code = draw(c, &a, columns, &draft, e);
    if (code == OK)
        code = forest_pack(c, &a, columns->feature, &draft, f, e);
    arena_deinit(&a);
    return code;
}

static enum code prepare_tree_ensemble(struct op_prepare *c, struct err *e) {
    struct ensemble *x = ARENA_NEW(c->arena, struct ensemble);
    struct columns columns = {0};
    if (!x)
        return arena_fail(c->arena, sizeof *x, "a forest", e);
    TRY(read_sizes(OPERAND_AT(c), &columns, e));
    TRY(read_columns(OPERAND_AT(c), &columns, e));
    x->after = (enum scores_after)columns.after;
    TRY(forest_find(c, columns.feature, columns.n_targets, &x->forest, e));
    if (!x->forest->ready)
        TRY(pack(c, &columns, x->forest, e));
    c->state = x;
    return forest_scratch(c, x->forest, (size_t)c->in[0].shape.dims[0],
                          (size_t)c->in[0].shape.dims[1], e);
}

static void finish(const struct op_call *c, size_t row, double *sums) {
    const struct ensemble *x = c->state;
    const size_t n = x->forest->n_targets;
    scores_finish(x->after, sums, n);
    for (size_t k = 0; k < n; k++)
        operand_put(c->out[0], row * n + k, sums[k]);
}

static enum code run_tree_ensemble(const struct op_call *c, struct err *e) {
    const struct ensemble *x = c->state;
    const struct shape *in = &c->in[0]->shape;
    (void)e;
    forest_run(c, x->forest, (size_t)in->dims[0], (size_t)in->dims[1], finish);
    return OK;
}

const struct op op_tree_ensemble = {.name = "tree_ensemble",
                                    .flags = OP_PURE | OP_TEAM,
                                    .infer = infer_tree_ensemble,
                                    .prepare = prepare_tree_ensemble,
                                    .run = run_tree_ensemble};
