/* SPDX-License-Identifier: Apache-2.0 */
/* Decision trees of any size over rows of features: what tree.c (ai.onnx.ml 5) and tree_classic.c
 * (1 to 3) draw from their attributes, and how rows walk through them.
 *
 * 1. A draft is what a file says, its indexes checked by whoever draws. Packing it orders the forks
 * for walking and refuses trees that run in circles: a walk needs no checks.
 * 2. A packed forest belongs to the session: plans of other shapes share it; it is kept for the
 * next session, which looks it through once.
 * 3. Branches may meet again (LightGBM's sets of categories are written so); the packed forest has
 * at most two forks per branch of the draft, four where equality is asked. */
#pragma once

#include "op/scores.h"

enum forest_mode {
    FOREST_LEQ,
    FOREST_LT,
    FOREST_GTE,
    FOREST_GT,
    FOREST_EQ,
    FOREST_NEQ,
    FOREST_MEMBER,
    FOREST_NONE /* no branch: a leaf of the same number stands here */
};
enum forest_sum { FOREST_AVERAGE, FOREST_SUM, FOREST_MIN, FOREST_MAX };

struct forest_branch {
    double split;
    uint32_t next[2]; /* false, true: a branch, or a leaf */
    uint32_t feature;
    uint32_t member, n_members; /* of members */
    uint8_t mode;
    bool leaf[2], missing_true;
};

struct forest_start {
    uint32_t at;
    bool leaf; /* a tree of one leaf */
};

struct forest_draft {
    struct forest_branch *branches; /* (n_branches) */
    struct forest_start *starts;    /* (n_starts), one per tree */
    uint32_t *first;              /* (n_leaves + 1): entries of leaf k: [first[k], first[k + 1]) */
    uint32_t *targets;            /* (n_entries) */
    double *weights;              /* (n_entries) */
    const struct tensor *members; /* or NULL */
    size_t n_branches, n_starts, n_leaves, n_entries, n_targets;
    enum forest_sum sum;
};

#define FOREST_DRAFT_CAP ((size_t)8 << 30) /* bytes of a draft and of what packing it takes */
/* A draft with room for these, zeroed. */
MUST_USE enum code forest_draw(struct arena *a, size_t n_branches, size_t n_starts, size_t n_leaves,
                               size_t n_entries, size_t n_targets, struct forest_draft *out,
                               struct err *e);

/* x[feature] <= split ? left : left + 1. A leaf is a fork that leads to itself: its split is a NaN,
 * which nothing is less than, whose low bits are the leaf's number, and left is itself - 1. */
struct forest_fork {
    double split;
    uint32_t feature, left;
};

struct forest_root {
    uint32_t at, least, most; /* steps to the nearest and to the farthest leaf */
};

struct forest_set {
    uint32_t first, n; /* of members */
};

struct forest {
    bool ready;                /* packed; a session may have met an error before */
    bool positive, one_target; /* of all weights; all leaves give to the same target */
    struct forest_fork *forks; /* each tree's by depth, children side by side in one cache line */
    uint8_t *missing;          /* per fork: 1: NaN goes right; 2: a set */
    struct forest_set *sets;   /* per fork, or NULL: there are none */
    double *members;
    struct forest_root *roots;
    uint32_t *first; /* entries of leaf k: [first[k], first[k + 1]); NULL: entry k */
    uint32_t *targets;
    double *weights;
    size_t n_forks, n_roots, n_leaves, n_entries, n_members, n_targets, n_features;
    double steps; /* of a row, at most */
    enum forest_sum sum;
};

/* The forest packed for this node before, or an empty one (!ready) to be packed by forest_pack.
 * constant: an attribute's data, which stands for the node. */
MUST_USE enum code forest_find(struct op_prepare *c, const void *constant, size_t targets,
                               struct forest **out, struct err *e);
/* a: for the moment. */
MUST_USE enum code forest_pack(struct op_prepare *c, struct arena *a, const void *constant,
                               const struct forest_draft *draft, struct forest *out, struct err *e);

/* What a run does with the sums (n_targets) of one row. */
typedef void forest_finish_fn(const struct op_call *c, size_t row, double *sums);
/* Scratch of forest_run for x (rows, features); INVALID when a fork asks for a feature beyond. */
MUST_USE enum code forest_scratch(struct op_prepare *c, const struct forest *f, size_t rows,
                                  size_t features, struct err *e);
/* Every row of the call's first input through every tree. */
void forest_run(const struct op_call *c, const struct forest *f, size_t rows, size_t features,
                forest_finish_fn *finish);
