/* SPDX-License-Identifier: Apache-2.0 */
/* tree_ensemble_classifier, tree_ensemble_regressor (ai.onnx.ml 1 to 3), as sklearn, XGBoost and
 * LightGBM are exported: nodes and leaves in parallel lists, named by (tree, node).
 *
 * 1. Names are looked up once, in prepare: position k of the lists is branch k of the draft, and
 * leaf k where its mode is LEAF. A node that is nobody's child is the root of a tree.
 * 2. A leaf may give to several classes. Numbers come as floats, or as a tensor of f64 since 3.
 * 3. A classifier of two labels whose leaves all give to one class has one sum s, which becomes
 * (1 - s, s) where no weight is negative, else (-s, s), or the logistics of -s and s; the second
 * is the label when s is over 0.5, or 0 if a weight is negative. */
#include "op/forest.h"

#include <stdlib.h>

struct trees {
    struct forest *forest;
    enum scores_after after;
    struct scores_labels labels; /* classifier */
    double *base;                /* (n_base) */
    size_t n_base;
    bool binary; /* classifier: see 3 */
};

/* Numbers in a list of f32 or in a tensor. */
struct numbers {
    const float *floats;
    const struct tensor *tensor;
    size_t n;
};

static double number_at(const struct numbers *x, size_t k) {
    return x->tensor ? tensor_f64(x->tensor, k) : (double)x->floats[k];
}

/* The attribute `name`, or `name`_as_tensor. */
static struct numbers numbers_of(const struct node *n, const char *name) {
    char other[64];
    struct numbers x = {0};
    snprintf(other, sizeof other, "%s_as_tensor", name);
    const struct attr *a = attr_find(n, other);
    if (a && a->kind == ATTR_TENSOR && dtype_is_float(a->tensor->dtype)) {
        x.tensor = a->tensor;
        x.n = tensor_count(a->tensor);
    } else {
        x.floats = scores_floats(n, name, &x.n);
    }
    return x;
}

struct lists { /* attributes, all of n, but for leaves of n_entries */
    size_t n, n_entries;
    const int64_t *tree, *node, *feature, *yes, *no, *missing;
    const struct attr *mode;
    struct numbers value;
    const int64_t *leaf_tree, *leaf_node, *leaf_target;
    struct numbers weight;
};

static enum code list(const struct operand_at *at, const char *name, size_t *n, bool first,
                      const int64_t **out, struct err *e) {
    size_t has = 0;
    *out = NULL;
    (void)attr_ints(at->node, name, out, &has);
    if (first)
        *n = has;
    if (has != *n || !has)
        return operand_fail(at, e, FORMAT, "attribute '%s' has %zu entries, %zu were expected",
                            name, has, *n);
    return OK;
}

static enum code read_lists(const struct operand_at *at, bool classifier, struct lists *l,
                            struct err *e) {
    static const char *const names[2][4] = {
        {"target_treeids", "target_nodeids", "target_ids", "target_weights"},
        {"class_treeids", "class_nodeids", "class_ids", "class_weights"}};
    const char *const *name = names[classifier];
    size_t has = 0;
    *l = (struct lists){0};
    TRY(list(at, "nodes_treeids", &l->n, true, &l->tree, e));
    TRY(list(at, "nodes_nodeids", &l->n, false, &l->node, e));
    TRY(list(at, "nodes_featureids", &l->n, false, &l->feature, e));
    TRY(list(at, "nodes_truenodeids", &l->n, false, &l->yes, e));
    TRY(list(at, "nodes_falsenodeids", &l->n, false, &l->no, e));
    TRY(list(at, name[0], &l->n_entries, true, &l->leaf_tree, e));
    TRY(list(at, name[1], &l->n_entries, false, &l->leaf_node, e));
    TRY(list(at, name[2], &l->n_entries, false, &l->leaf_target, e));
    l->value = numbers_of(at->node, "nodes_values");
    l->weight = numbers_of(at->node, name[3]);
    l->mode = attr_find(at->node, "nodes_modes");
    if (attr_ints(at->node, "nodes_missing_value_tracks_true", &l->missing, &has) && has != l->n)
        l->missing = NULL;
    if (!l->mode || l->mode->kind != ATTR_STRS || l->mode->n != l->n || l->value.n != l->n ||
        l->weight.n != l->n_entries)
        return operand_fail(at, e, FORMAT,
                            "nodes_modes, nodes_values or %s do not have %zu and %zu entries",
                            name[3], l->n, l->n_entries);
    return OK;
}

/* --- names to positions --- */

struct place {
    int64_t tree, node;
    uint32_t at;
};

/* Places by name. Exporters write trees one after the other and number nodes as they come: then
 * node n of a tree is n places behind the first. */
struct places {
    struct place *sorted; /* (n) */
    size_t n;
};

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static enum code index_nodes(const struct operand_at *at, struct arena *a, const struct lists *l,
                             struct places *out, struct err *e) {
    struct place *p = ARENA_ARRAY(a, l->n, struct place);
    bool sorted = true;
    if (!p)
        return arena_fail(a, l->n * sizeof *p, "names of nodes", e);
    for (size_t k = 0; k < l->n; k++) {
        p[k] = (struct place){l->tree[k], l->node[k], (uint32_t)k};
        sorted = sorted && (!k || compare_places(&p[k - 1], &p[k]) < 0);
    }
    if (!sorted)
        qsort(p, l->n, sizeof *p, compare_places);
    for (size_t k = 1; k < l->n && !sorted; k++)
        if (compare_places(&p[k - 1], &p[k]) == 0)
            return operand_fail(at, e, FORMAT, "tree %lld has node %lld twice",
                                (long long)p[k].tree, (long long)p[k].node);
    *out = (struct places){p, l->n};
    return OK;
}

/* near: a place of the same tree, where the search begins. */
static enum code find_node(const struct operand_at *at, const struct places *places, size_t near,
                           int64_t tree, int64_t node, uint32_t *out, struct err *e) {
    const struct place key = {tree, node, 0}, *p = &places->sorted[near];
    uint64_t guess = near + (uint64_t)node - (uint64_t)p->node;
    p = guess < places->n ? &places->sorted[guess] : p;
    if (compare_places(p, &key) != 0)
        p = bsearch(&key, places->sorted, places->n, sizeof key, compare_places);
    if (!p)
        return operand_fail(at, e, FORMAT, "tree %lld has no node %lld", (long long)tree,
                            (long long)node);
    *out = p->at;
    return OK;
}

/* --- drawing --- */

static bool mode_of(struct str word, uint8_t *out) {
    static const char *const words[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "LEAF"};
    for (uint8_t k = 0; k < sizeof words / sizeof *words; k++)
        if (str_is(word, words[k])) {
            *out = k == FOREST_MEMBER ? FOREST_NONE : k; /* classic trees have no sets */
            return true;
        }
    return false;
}

static enum code draw_branch(const struct operand_at *at, const struct lists *l,
                             const struct places *places, struct forest_draft *f, size_t k,
                             struct err *e) {
    struct forest_branch *n = &f->branches[k];
    const int64_t next[2] = {l->no[k], l->yes[k]};
    if (n->mode == FOREST_NONE)
        return OK;
    if (l->feature[k] < 0 || l->feature[k] > INT32_MAX)
        return operand_fail(at, e, INVALID, "node %zu asks for feature %lld", k,
                            (long long)l->feature[k]);
    n->feature = (uint32_t)l->feature[k];
    n->split = number_at(&l->value, k);
    n->missing_true = l->missing && l->missing[k];
    for (int side = 0; side < 2; side++) {
        TRY(find_node(at, places, k, l->tree[k], next[side], &n->next[side], e));
        n->leaf[side] = f->branches[n->next[side]].mode == FOREST_NONE;
    }
    return OK;
}

/* Branches that are nobody's child, in their order. seen: (n) */
static void find_starts(struct forest_draft *f, uint8_t *seen) {
    for (size_t k = 0; k < f->n_branches; k++)
        for (int side = 0; side < 2 && f->branches[k].mode != FOREST_NONE; side++)
            seen[f->branches[k].next[side]] = 1;
    f->n_starts = 0;
    for (size_t k = 0; k < f->n_branches; k++)
        if (!seen[k])
            f->starts[f->n_starts++] =
                (struct forest_start){(uint32_t)k, f->branches[k].mode == FOREST_NONE};
}

/* Entries sorted by leaf. */
static enum code draw_leaves(const struct operand_at *at, struct arena *a, const struct lists *l,
                             const struct places *places, struct forest_draft *f, struct err *e) {
    uint32_t *leaf = ARENA_ARRAY(a, l->n_entries, uint32_t);
    size_t near = 0;
    if (!leaf)
        return arena_fail(a, l->n_entries * sizeof *leaf, "leaves", e);
    for (size_t k = 0; k < l->n_entries; k++) {
        TRY(find_node(at, places, near, l->leaf_tree[k], l->leaf_node[k], &leaf[k], e));
        near = leaf[k];
        if (l->leaf_target[k] < 0 || (size_t)l->leaf_target[k] >= f->n_targets)
            return operand_fail(at, e, FORMAT, "a leaf gives to %lld of %zu",
                                (long long)l->leaf_target[k], f->n_targets);
        f->first[leaf[k] + 1]++; /* counts, then ends */
    }
    for (size_t k = 0; k < f->n_leaves; k++)
        f->first[k + 1] += f->first[k];
    for (size_t k = l->n_entries; k-- > 0;) { /* from behind: each leaf's entries in their order */
        uint32_t to = --f->first[leaf[k] + 1];
        f->targets[to] = (uint32_t)l->leaf_target[k];
        f->weights[to] = number_at(&l->weight, k);
    }
    /* first[k + 1] is now where leaf k begins: shift */
    for (size_t k = 0; k < f->n_leaves; k++)
        f->first[k] = f->first[k + 1];
    f->first[f->n_leaves] = (uint32_t)l->n_entries;
    return OK;
}

static enum code draw(const struct operand_at *at, struct arena *a, const struct lists *l,
                      size_t targets, struct forest_draft *f, struct err *e) {
    struct places places = {0};
    uint8_t *seen = ARENA_ARRAY(a, l->n, uint8_t);
    TRY(index_nodes(at, a, l, &places, e));
    TRY(forest_draw(a, l->n, l->n, l->n, l->n_entries, targets, f, e));
    if (!seen)
        return arena_fail(a, l->n, "nodes", e);
    for (size_t k = 0; k < l->n; k++)
        if (!mode_of(l->mode->strs[k], &f->branches[k].mode))
            return operand_fail(at, e, FORMAT, "node %zu has the mode '%.*s'", k,
                                STR(l->mode->strs[k]));
    for (size_t k = 0; k < l->n; k++)
        TRY(draw_branch(at, l, &places, f, k, e));
    find_starts(f, seen);
    return draw_leaves(at, a, l, &places, f, e);
}

/* --- both --- */

static enum code read_base(struct op_prepare *c, struct trees *t, struct err *e) {
    const struct numbers base = numbers_of(c->node, "base_values");
    t->base = ARENA_ARRAY(c->arena, base.n + 1, double);
    if (!t->base)
        return arena_fail(c->arena, base.n * sizeof(double), "base values", e);
    for (size_t k = 0; k < base.n; k++)
        t->base[k] = number_at(&base, k);
    t->n_base = base.n;
    return scores_after_of(OPERAND_AT(c), &t->after, e);
}

static enum code targets_of(const struct operand_at *at, size_t *out, struct err *e) {
    int64_t n = attr_int(at->node, "n_targets", 1);
    if (n < 1 || n > 1 << 24)
        return operand_fail(at, e, FORMAT, "n_targets is %lld", (long long)n);
    *out = (size_t)n;
    return OK;
}

static enum code infer_regressor(struct op_infer *c, struct err *e) {
    size_t rows, features, targets;
    TRY(operand_need(c, 1, e));
    TRY(targets_of(OPERAND_AT(c), &targets, e));
    operand_out_later(c, 0, DT_F32);
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    return operand_out(c, 0, DT_F32, &(struct shape){2, {(int64_t)rows, (int64_t)targets}}, e);
}

static enum code infer_classifier(struct op_infer *c, struct err *e) {
    struct scores_labels labels;
    TRY(scores_labels_of(OPERAND_AT(c), &labels, e));
    return scores_infer(c, &labels, labels.n, e);
}

static enum code sum_of(const struct operand_at *at, enum forest_sum *out, struct err *e) {
    static const char *const words[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const struct str word = attr_str(at->node, "aggregate_function", "SUM");
    for (int k = 0; k < 4; k++)
        if (str_is(word, words[k])) {
            *out = (enum forest_sum)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "aggregate_function '%.*s' is not known", STR(word));
}

static enum code pack(struct op_prepare *c, const struct lists *l, size_t targets,
                      enum forest_sum sum, struct forest *f, struct err *e) {
    struct arena a; /* of the draft */
    struct forest_draft draft;
    arena_init(&a, FOREST_DRAFT_CAP);
    enum code code = draw(OPERAND_AT(c), &a, l, targets, &draft, e);
    draft.sum = sum;
    if (code == OK)
        code = forest_pack(c, &a, l->node, &draft, f, e);
    arena_deinit(&a);
    return code;
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    const bool classifier = str_is(c->node->op_name, "tree_ensemble_classifier");
    struct trees *t = ARENA_NEW(c->arena, struct trees);
    enum forest_sum sum = FOREST_SUM;
    struct lists l;
    size_t rows, features, targets;
    if (!t)
        return arena_fail(c->arena, sizeof *t, "a forest", e);
    TRY(read_lists(OPERAND_AT(c), classifier, &l, e));
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    if (classifier) {
        TRY(scores_labels_of(OPERAND_AT(c), &t->labels, e));
        targets = t->labels.n;
    } else {
        TRY(targets_of(OPERAND_AT(c), &targets, e));
        TRY(sum_of(OPERAND_AT(c), &sum, e));
    }
    TRY(forest_find(c, l.node, targets, &t->forest, e));
    if (!t->forest->ready)
        TRY(pack(c, &l, targets, sum, t->forest, e));
    t->binary = targets == 2 && t->forest->one_target;
    TRY(read_base(c, t, e));
    c->state = t;
    return forest_scratch(c, t->forest, rows, features, e);
}

/* --- a row --- */

static void add_base(const struct trees *t, double *v, size_t n) {
    for (size_t k = 0; k < n && k < t->n_base; k++)
        v[k] += t->base[k];
}

/* All leaves give to one class. v: (2) sums, then scores; the index of the label. */
static size_t classify_binary(const struct trees *t, double *v) {
    const uint32_t only = t->forest->n_entries ? t->forest->targets[0] : 0;
    double s = v[only] + (t->n_base ? t->base[t->n_base > only ? only : 0] : 0);
    scores_of_binary(t->after, t->forest->positive, s, v);
    if (t->after == SCORES_PROBIT)
        scores_finish(t->after, v, 2);
    return s > (t->forest->positive ? 0.5 : 0);
}

static size_t classify(const struct trees *t, double *v) {
    const size_t n = t->labels.n;
    if (t->binary)
        return classify_binary(t, v);
    add_base(t, v, n);
    size_t top = scores_top(v, n);
    scores_finish(t->after, v, n);
    return top;
}

static void finish_class(const struct op_call *c, size_t row, double *v) {
    const struct trees *t = c->state;
    struct tensor *labels = operand_to(c, 0), *scores = operand_to(c, 1);
    const size_t n = t->labels.n, top = classify(t, v);
    if (labels)
        scores_put_label(&t->labels, top, labels, row);
    for (size_t k = 0; k < n && scores; k++)
        ((float *)scores->data)[row * n + k] = (float)v[k];
}

static void finish_number(const struct op_call *c, size_t row, double *v) {
    const struct trees *t = c->state;
    const size_t n = t->forest->n_targets;
    add_base(t, v, n);
    if (n > 1 || t->after == SCORES_PROBIT)
        scores_finish(t->after, v, n);
    for (size_t k = 0; k < n; k++)
        ((float *)c->out[0]->data)[row * n + k] = (float)v[k];
}

static enum code run_classifier(const struct op_call *c, struct err *e) {
    const struct trees *t = c->state;
    size_t rows, features;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    forest_run(c, t->forest, rows, features, finish_class);
    return OK;
}

static enum code run_regressor(const struct op_call *c, struct err *e) {
    const struct trees *t = c->state;
    size_t rows, features;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    forest_run(c, t->forest, rows, features, finish_number);
    return OK;
}

const struct op op_tree_ensemble_classifier = {.name = "tree_ensemble_classifier",
                                               .flags = OP_PURE | OP_TEAM,
                                               .infer = infer_classifier,
                                               .prepare = prepare,
                                               .run = run_classifier};
const struct op op_tree_ensemble_regressor = {.name = "tree_ensemble_regressor",
                                              .flags = OP_PURE | OP_TEAM,
                                              .infer = infer_regressor,
                                              .prepare = prepare,
                                              .run = run_regressor};
