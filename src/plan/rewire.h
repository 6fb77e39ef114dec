/* SPDX-License-Identifier: Apache-2.0 */
/* Editing a graph inside one pass: who uses a value, replace it, turn a node into another, drop
 * what nobody needs.
 *
 * A pass opens a rewire, visits the nodes in order with rewire_visit (patterns look backwards, at
 * producers), and closes it, which removes dropped nodes and makes inputs, outputs and captures
 * follow the replacements.
 *
 * 1. uses[v] counts node inputs, graph outputs and captures by subgraphs: 1 means "only the reader
 * at hand".
 * 2. A replacement must come earlier in the order than the first reader that is visited after it.
 * 3. Node ids are stable until rewire_close; a rewritten node keeps its place, so its inputs must
 * precede it. */
#pragma once

#include "graph/op.h"

struct rewire {
    struct graph *g;
    struct arena *arena; /* of the graph: new lists, values and constants */
    int *uses;           /* (room) by value */
    value_id *forward;   /* (room) by value: what replaced it, or itself */
    bool *dropped;       /* (n_nodes) */
    int room;
    bool changed, full; /* full: the arena could not give; rewire_close reports */
    struct arena scratch;
};

MUST_USE enum code rewire_open(struct rewire *w, struct graph *g, struct arena *arena,
                               struct err *e);
/* Ends the editing, always: *changed is set when anything was. Reports NOMEM/LIMIT when the arena
 * was full. */
MUST_USE enum code rewire_close(struct rewire *w, bool *changed, struct err *e);

/* A whole pass that looks at each node once, in order: from rewire_open to rewire_close. */
MUST_USE enum code rewire_each(struct graph *g, struct arena *arena,
                               void (*visit)(struct rewire *w, struct node *n), bool *changed,
                               struct err *e);

/* The node, its inputs up to date; NULL when it has been dropped. */
struct node *rewire_visit(struct rewire *w, node_id id);
value_id rewire_in(const struct rewire *w, const struct node *n, int i); /* VALUE_NONE: absent */
int rewire_uses(const struct rewire *w, value_id v);
/* The node that makes v, inputs up to date; NULL: none. */
struct node *rewire_producer(struct rewire *w, value_id v);
/* v's constant, or NULL. */
const struct tensor *rewire_constant_of(const struct rewire *w, value_id v);

/* Every use of `old` becomes a use of `new`; what made `old` is dropped when nothing else needs it.
 */
void rewire_replace(struct rewire *w, value_id old, value_id new);
/* The node becomes operator op_name over these inputs, without attributes or posts; outputs stay.
 * false: the arena is full, or there is no such operator (then nothing changes). */
bool rewire_become(struct rewire *w, struct node *n, const char *op_name, int n_in,
                   const value_id *in);
/* One input is another value; an index beyond n_in appends. */
bool rewire_set_in(struct rewire *w, struct node *n, int i, value_id v);
/* Node `into` takes over output 0 of `from`, a reader of it that is then dropped: `into` moves to
 * the place of `from`, so that inputs which `from` had are there. Returns the node at its new
 * place. */
struct node *rewire_absorb(struct rewire *w, struct node *into, struct node *from);
void rewire_drop(struct rewire *w, struct node *n);

value_id rewire_new_value(struct rewire *w, struct str name);
/* A fresh constant of this shape with memory of the arena to be filled; VALUE_NONE: full. */
value_id rewire_new_constant(struct rewire *w, enum dtype dtype, const struct shape *shape,
                             struct tensor **out);
/* A constant of numbers that are there as long as the graph; they are only read. */
value_id rewire_take_constant(struct rewire *w, const struct tensor *numbers);
value_id rewire_new_scalar(struct rewire *w, float v);

bool rewire_attr_int(struct rewire *w, struct node *n, const char *name, int64_t v);
bool rewire_attr_float(struct rewire *w, struct node *n, const char *name, float v);
bool rewire_attr_ints(struct rewire *w, struct node *n, const char *name, const int64_t *v,
                      size_t count);
bool rewire_attr_str(struct rewire *w, struct node *n, const char *name, const char *v);
/* All attributes of another node, as they are. */
bool rewire_attr_all(struct rewire *w, struct node *n, const struct node *of);
