/* SPDX-License-Identifier: Apache-2.0 */
/* The shape walk: types and shapes of every value of a graph from those of its inputs and
 * constants, node by node.
 *
 * What a file declares about inner values is not believed: walk_forget removes it first. A value
 * whose shape only data can tell stays unranked; so does everything behind it. */
#pragma once

#include "graph/op.h"

/* Marks every value that a node makes as unknown. */
void walk_forget(struct graph *g);

struct walk_values { /* of one node; live in the arena they were made in */
    struct op_value *in, *out;
};
/* What is known of a node's inputs and outputs now (layouts included), for infer and prepare. */
MUST_USE enum code walk_values(const struct graph *g, const struct node *n, struct arena *scratch,
                               struct walk_values *out, struct err *e);
/* True when every present input has a known shape. */
bool walk_ready(const struct node *n, const struct op_value *in);

/* Runs infer of one node when its inputs are known and writes what it found into the graph's
 * values. */
MUST_USE enum code walk_node(struct graph *g, const struct node *n, struct arena *scratch,
                             struct err *e);
MUST_USE enum code walk_graph(struct graph *g, struct err *e);

static inline bool walk_known(const struct value *v) {
    return v->constant || (v->ranked && shape_known(&v->shape));
}
