/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes by name. One of another kind than asked for counts as absent: importers see to it that
 * kinds are right. */
#include "graph/model.h"

const struct attr *attr_find(const struct node *n, const char *name) {
    for (int i = 0; i < n->n_attrs; i++)
        if (str_is(n->attrs[i].name, name))
            return &n->attrs[i];
    return NULL;
}

const struct attr *model_fact(const struct model *m, const char *name) {
    for (int i = 0; i < m->n_facts; i++)
        if (str_is(m->facts[i].name, name))
            return &m->facts[i];
    return NULL;
}

bool model_is_language(const struct model *m) { return model_fact(m, "arch") != NULL; }

static const struct attr *find_kind(const struct node *n, const char *name, enum attr_kind kind) {
    const struct attr *a = attr_find(n, name);
    return a && a->kind == kind ? a : NULL;
}

int64_t attr_int(const struct node *n, const char *name, int64_t otherwise) {
    const struct attr *a = find_kind(n, name, ATTR_INT);
    return a ? a->i : otherwise;
}

float attr_float(const struct node *n, const char *name, float otherwise) {
    const struct attr *a = find_kind(n, name, ATTR_FLOAT);
    return a ? a->f : otherwise;
}

struct str attr_str(const struct node *n, const char *name, const char *otherwise) {
    const struct attr *a = find_kind(n, name, ATTR_STR);
    return a ? a->s : str_of(otherwise);
}

bool attr_ints(const struct node *n, const char *name, const int64_t **out, size_t *count) {
    const struct attr *a = find_kind(n, name, ATTR_INTS);
    if (!a)
        return false;
    *out = a->ints;
    *count = a->n;
    return true;
}

struct graph *attr_graph(const struct node *n, const char *name) {
    const struct attr *a = find_kind(n, name, ATTR_GRAPH);
    return a ? a->graph : NULL;
}
