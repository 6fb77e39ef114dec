/* SPDX-License-Identifier: Apache-2.0 */
/* A new order of a graph's nodes with conversions put between them: what the passes of a plan's end
 * do (layout.c, narrow.c). A conversion of a value is made once, however many readers want it: it
 * is the value's twin. */
#pragma once

#include "graph/op.h"

struct weave {
    struct graph *g;
    struct arena *arena;
    struct node *nodes; /* the new order, conversions among them */
    int n, room;
    value_id *twin; /* (n_twins) by value: the same, converted, or VALUE_NONE */
    int n_twins;
    bool full, changed; /* full: the arena could not give; weave_close reports */
};

MUST_USE enum code weave_open(struct weave *x, struct graph *g, struct arena *arena, struct err *e);
/* Appends a copy of the node; NULL: full. */
struct node *weave_push(struct weave *x, const struct node *n);
/* v's twin: what a node like `conversion`, appended now, makes of it. The twin has v's name, type
 * and shape; *made tells that it is new, so that the caller may say what is different. v when full.
 */
value_id weave_twin(struct weave *x, value_id v, const struct node *conversion, bool *made);
/* The new order becomes the graph's. */
MUST_USE enum code weave_close(struct weave *x, struct err *e);

static inline const struct shape *weave_shape(const struct weave *x, value_id v) {
    const struct value *value = &x->g->values[v];
    return value->constant ? &value->constant->shape : &value->shape;
}
static inline enum dtype weave_dtype(const struct weave *x, value_id v) {
    const struct value *value = &x->g->values[v];
    return value->constant ? value->constant->dtype : value->dtype;
}
