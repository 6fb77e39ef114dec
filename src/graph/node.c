/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: how messages call them, how many there are, how much they weigh. */
#include "graph/model.h"

#include <stdio.h>

/* Names are cut so that the whole always fits. */
#define CUT(s) (int)((s).n < 90 ? (s).n : 90), ((s).p ? (s).p : "")
#define CUT_TYPE(s) (int)((s).n < 40 ? (s).n : 40), ((s).p ? (s).p : "")

struct str node_label(const struct graph *g, const struct node *n, char text[160]) {
    struct str what = n->name, type = n->op_type.n ? n->op_type : n->op_name;
    const char *before = "node";
    if (!what.n && n->n_out && n->out[0] >= 0 && n->out[0] < g->n_values) {
        what = g->values[n->out[0]].name;
        before = "the node of";
    }
    int length = snprintf(text, 160, "%s '%.*s' (%.*s)", before, CUT(what), CUT_TYPE(type));
    return (struct str){text, (size_t)length};
}

/* Calls fn for every subgraph of a node, in order. */
#define EACH_SUBGRAPH(node, sub, body)                                                             \
    for (int a_ = 0; a_ < (node)->n_attrs; a_++) {                                                 \
        const struct attr *at_ = &(node)->attrs[a_];                                               \
        size_t n_ = at_->kind == ATTR_GRAPH ? 1 : at_->kind == ATTR_GRAPHS ? at_->n : 0;           \
        for (size_t s_ = 0; s_ < n_; s_++) {                                                       \
            const struct graph *sub = at_->kind == ATTR_GRAPH ? at_->graph : at_->graphs[s_];      \
            body;                                                                                  \
        }                                                                                          \
    }

int graph_total_nodes(const struct graph *g) {
    int total = g->n_nodes;
    for (int n = 0; n < g->n_nodes; n++)
        EACH_SUBGRAPH(&g->nodes[n], sub, total += graph_total_nodes(sub))
    return total;
}

static uint64_t graph_parameters(const struct graph *g) {
    uint64_t total = 0;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant)
            total += tensor_count(g->values[v].constant);
    for (int n = 0; n < g->n_nodes; n++)
        EACH_SUBGRAPH(&g->nodes[n], sub, total += graph_parameters(sub))
    return total;
}

uint64_t model_parameters(const struct model *m) { return graph_parameters(m->main); }
