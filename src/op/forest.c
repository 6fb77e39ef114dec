/* SPDX-License-Identifier: Apache-2.0 */
/* Walking decision trees; see forest.h. A walk takes at most as many steps as there are nodes: one
 * that takes more runs in a circle. */
#include "op/forest.h"

#include <math.h>

enum code forest_new(struct arena *a, size_t n_nodes, size_t n_roots, size_t n_leaves,
                     size_t n_entries, size_t n_targets, struct forest **out, struct err *e) {
    struct forest *f = ARENA_NEW(a, struct forest);
    if (n_nodes >= UINT32_MAX || n_leaves >= UINT32_MAX || n_entries >= UINT32_MAX)
        return fail(e, LIMIT, "a forest of more than 2^32 nodes");
    if (!f)
        return arena_fail(a, sizeof *f, "a forest", e);
    *f = (struct forest){.n_nodes = n_nodes,
                         .n_roots = n_roots,
                         .n_leaves = n_leaves,
                         .n_entries = n_entries,
                         .n_targets = n_targets};
    f->nodes = ARENA_ARRAY(a, n_nodes + 1, struct forest_node);
    f->roots = ARENA_ARRAY(a, n_roots + 1, struct forest_root);
    f->first = ARENA_ARRAY(a, n_leaves + 2, uint32_t);
    f->targets = ARENA_ARRAY(a, n_entries + 1, uint32_t);
    f->weights = ARENA_ARRAY(a, n_entries + 1, double);
    if (!f->nodes || !f->roots || !f->first || !f->targets || !f->weights)
        return arena_fail(a, n_nodes * sizeof *f->nodes, "a forest", e);
    *out = f;
    return OK;
}

static bool is_member(const struct forest *f, const struct forest_node *n, double v) {
    for (uint32_t k = 0; k < n->n_members; k++)
        if (tensor_f64(f->members, n->member + k) == v)
            return true;
    return false;
}

static bool holds(const struct forest *f, const struct forest_node *n, double v) {
    if (isnan(v) && n->missing_true)
        return true;
    switch ((enum forest_mode)n->mode) {
    case FOREST_LEQ: return v <= n->split;
    case FOREST_LT: return v < n->split;
    case FOREST_GTE: return v >= n->split;
    case FOREST_GT: return v > n->split;
    case FOREST_EQ: return v == n->split;
    case FOREST_NEQ: return v != n->split;
    case FOREST_MEMBER: return is_member(f, n, v);
    }
    return false;
}

/* The leaf a row comes to; false: the tree is a circle. */
static bool walk(const struct forest *f, const struct forest_root *root, const struct tensor *x,
                 size_t row, size_t *leaf) {
    size_t at = root->at;
    bool there = root->leaf;
    for (size_t steps = 0; steps < f->n_nodes && !there; steps++) {
        const struct forest_node *n = &f->nodes[at];
        int side = holds(f, n, tensor_f64(x, row + n->feature));
        at = n->next[side];
        there = n->leaf[side];
    }
    *leaf = at;
    return there;
}

static void add_leaf(const struct forest *f, size_t leaf, double *sums, uint32_t *counts) {
    for (uint32_t k = f->first[leaf]; k < f->first[leaf + 1]; k++) {
        uint32_t target = f->targets[k];
        double w = f->weights[k], *sum = &sums[target];
        bool first = counts[target]++ == 0;
        if (f->sum == FOREST_MIN)
            *sum = first || w < *sum ? w : *sum;
        else if (f->sum == FOREST_MAX)
            *sum = first || w > *sum ? w : *sum;
        else
            *sum += w;
    }
}

enum code forest_row(const struct forest *f, const struct operand_at *where, const struct tensor *x,
                     size_t at, double *sums, uint32_t *counts, struct err *e) {
    size_t leaf;
    for (size_t k = 0; k < f->n_targets; k++) {
        sums[k] = 0;
        counts[k] = 0;
    }
    for (size_t k = 0; k < f->n_roots; k++) {
        if (!walk(f, &f->roots[k], x, at, &leaf))
            return operand_fail(where, e, INVALID, "tree %zu runs in a circle", k);
        add_leaf(f, leaf, sums, counts);
    }
    for (size_t k = 0; k < f->n_targets && f->sum == FOREST_AVERAGE && f->n_roots; k++)
        sums[k] /= (double)f->n_roots;
    return OK;
}
