/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: list.h expanded into an array, looked up by name. The array is in list.h's order
 * (by family), so the look-up is linear over a sorted index made once; resolving a model of some
 * thousand nodes costs well under a millisecond.
 *
 * Invariant: names are unique (a test checks), so the index has one entry per operator. */
#include "op/op_list.h"

#include <pthread.h>
#include <stdlib.h>

static const struct op *const ops[] = {
#define OP(name) &op_##name,
#include "op/list.h"
#undef OP
    NULL, /* so that an empty list is still an array */
};

enum { N_OPS = sizeof ops / sizeof ops[0] - 1 };

static const struct op *by_name[N_OPS + 1]; /* ops sorted; immutable after sort_once */
static pthread_once_t sort_once = PTHREAD_ONCE_INIT;

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const struct op *const *)a)->name, (*(const struct op *const *)b)->name);
}

static void sort_names(void) {
    memcpy(by_name, ops, sizeof by_name);
    qsort(by_name, N_OPS, sizeof by_name[0], compare_names);
}

const struct op *op_find(struct str name) {
    pthread_once(&sort_once, sort_names);
    size_t low = 0, high = N_OPS;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = str_cmp(str_of(by_name[mid]->name), name);
        if (order == 0)
            return by_name[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

size_t op_count(void) { return N_OPS; }

const struct op *op_at(size_t index) { return index < N_OPS ? ops[index] : NULL; }

static enum code resolve_graph(struct graph *g, struct err *e);

static enum code resolve_node(struct graph *g, struct node *n, struct err *e) {
    n->op = op_find(n->op_name);
    if (!n->op) {
        char text[160];
        struct str label = node_label(g, n, text);
        return fail(e, UNSUPPORTED, "%.*s: no operator '%.*s' in this build", STR(label),
                    STR(n->op_name));
    }
    for (int i = 0; i < n->n_attrs; i++) {
        const struct attr *a = &n->attrs[i];
        if (a->kind == ATTR_GRAPH)
            TRY(resolve_graph(a->graph, e));
        for (size_t k = 0; a->kind == ATTR_GRAPHS && k < a->n; k++)
            TRY(resolve_graph(a->graphs[k], e));
    }
    return OK;
}

static enum code resolve_graph(struct graph *g, struct err *e) {
    for (int i = 0; i < g->n_nodes; i++)
        TRY(resolve_node(g, &g->nodes[i], e));
    return OK;
}

enum code op_resolve(struct model *m, struct err *e) { return resolve_graph(m->main, e); }

enum code op_output(const struct op_call *c, int i, enum dtype dtype, const struct shape *shape,
                    struct err *e) {
    struct tensor *t = c->out[i];
    if (!t)
        return OK;
    size_t bytes;
    if (!shape_bytes(shape, dtype_size(dtype), &bytes)) {
        char text[SHAPE_TEXT];
        return fail(e, LIMIT, "output %d of %.*s would have shape %s", i, STR(c->node->op_name),
                    shape_print(shape, text));
    }
    void *data = bytes ? c->host->alloc(c->host, bytes) : NULL;
    if (bytes && !data)
        return fail(e, LIMIT, "output %d of %.*s needs %zu bytes, over the memory limit of the run",
                    i, STR(c->node->op_name), bytes);
    *t = (struct tensor){.dtype = dtype, .layout = LAYOUT_PLAIN, .shape = *shape, .data = data};
    return OK;
}
