/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a temporary folder and versions of a one-node model, y = x + c over f32 [-1, 4], made
 * without any file format. */
#pragma once

#include "graph/model.h"
#include "op/op_list.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static inline value_id tiny_value(struct graph *g, const char *name, int64_t rows) {
    value_id id = graph_add_value(g, str_of(name));
    g->values[id].dtype = DT_F32;
    g->values[id].ranked = true;
    g->values[id].shape = (struct shape){2, {rows, 4}};
    return id;
}

/* Wire bytes of y = x + c, where every element of c is `constant`. */
static inline enum code tiny_wire(float constant, struct arena *a, struct buf *out, struct err *e) {
    struct model *m = model_new(a);
    struct graph *g = graph_new(m, NULL);
    m->main = g;
    m->format = LIT("test");
    m->opset = 17;
    value_id x = tiny_value(g, "x", -1), c = tiny_value(g, "c", 1), y = tiny_value(g, "y", -1);
    struct tensor *t = ARENA_NEW(a, struct tensor);
    TRY(tensor_new(a, DT_F32, &g->values[c].shape, t, e));
    for (int i = 0; i < 4; i++)
        ((float *)t->data)[i] = constant;
    g->values[c].constant = t;
    g->values[c].origin = (struct origin){.file = -1};
    struct node *n = graph_add_node(g, 2, 1, 0);
    n->op_type = LIT("Add");
    n->op_name = LIT("add");
    n->opset = 17;
    n->in[0] = x;
    n->in[1] = c;
    n->out[0] = y;
    g->values[y].producer = 0;
    static value_id io[2];
    io[0] = x;
    io[1] = y;
    g->inputs = &io[0];
    g->n_inputs = 1;
    g->outputs = &io[1];
    g->n_outputs = 1;
    return wire_put(m, out, e);
}

/* more: a part besides the graph; NULL: none */
static inline enum code tiny_add_with(struct store *s, const char *model, float constant,
                                      const struct store_part *more, uint64_t *version,
                                      struct err *e) {
    struct arena a;
    struct buf wire;
    char body[64];
    int n = snprintf(body, sizeof body, "y = x + %g", (double)constant);
    arena_init(&a, 1 << 20);
    buf_init(&wire, 1 << 20);
    enum code code = tiny_wire(constant, &a, &wire, e);
    struct store_source source = {LIT("model.txt"), {(const uint8_t *)body, (size_t)n}, NULL, 0};
    struct store_part parts[2] = {{LIT("graph"), {(const uint8_t *)wire.p, wire.n}}};
    if (more)
        parts[1] = *more;
    struct store_new add = {.model = str_of(model),
                            .format = LIT("test"),
                            .sources = &source,
                            .n_sources = 1,
                            .parts = parts,
                            .n_parts = more ? 2 : 1};
    struct store_added added;
    if (code == OK)
        code = store_add(s, &add, &added, e);
    if (code == OK && version)
        *version = added.version;
    buf_deinit(&wire);
    arena_deinit(&a);
    return code;
}

static inline enum code tiny_add(struct store *s, const char *model, float constant,
                                 uint64_t *version, struct err *e) {
    return tiny_add_with(s, model, constant, NULL, version, e);
}
