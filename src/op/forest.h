/* SPDX-License-Identifier: Apache-2.0 */
/* Decision trees laid side by side: what tree.c (ai.onnx.ml 5) and tree_classic.c (1 to 3) read
 * their attributes into, and how a row walks them. Every index was checked when it was laid. */
#pragma once

#include "op/scores.h"

enum forest_mode {
    FOREST_LEQ,
    FOREST_LT,
    FOREST_GTE,
    FOREST_GT,
    FOREST_EQ,
    FOREST_NEQ,
    FOREST_MEMBER
};
enum forest_sum { FOREST_AVERAGE, FOREST_SUM, FOREST_MIN, FOREST_MAX };

struct forest_node {
    double split;
    uint32_t next[2]; /* false, true: a node, or a leaf */
    uint32_t feature;
    uint32_t member, n_members; /* of values */
    uint8_t mode;
    bool leaf[2], missing_true;
};

struct forest_root {
    uint32_t at;
    bool leaf; /* a tree of one leaf */
};

struct forest {
    struct forest_node *nodes;    /* (n_nodes) */
    struct forest_root *roots;    /* (n_roots) */
    uint32_t *first;              /* (n_leaves + 1) entries of a leaf: [first[k], first[k + 1]) */
    uint32_t *targets;            /* (n_entries) */
    double *weights;              /* (n_entries) */
    const struct tensor *members; /* or NULL */
    size_t n_nodes, n_roots, n_leaves, n_entries, n_targets;
    enum forest_sum sum;
};

/* A forest with room for these. */
MUST_USE enum code forest_new(struct arena *a, size_t n_nodes, size_t n_roots, size_t n_leaves,
                              size_t n_entries, size_t n_targets, struct forest **out,
                              struct err *e);
/* Sums (n_targets) and how many leaves gave to each, over the features at x[at...]. INVALID: a tree
 * runs in a circle. */
MUST_USE enum code forest_row(const struct forest *f, const struct operand_at *where,
                              const struct tensor *x, size_t at, double *sums, uint32_t *counts,
                              struct err *e);
