/* SPDX-License-Identifier: Apache-2.0 */
/* Facts in the making: see fact_list.h. */
#include "format/fact_list.h"

void fact_list_begin(struct fact_list *l, struct arena *a) { *l = (struct fact_list){.arena = a}; }

void fact_add(struct fact_list *l, struct attr a) {
    if (l->n == l->room) {
        int room = l->room ? l->room * 2 : 64;
        struct attr *bigger = ARENA_ARRAY(l->arena, (size_t)room, struct attr);
        l->full |= !bigger;
        if (!bigger)
            return;
        if (l->n)
            memcpy(bigger, l->attrs, (size_t)l->n * sizeof *bigger);
        l->attrs = bigger;
        l->room = room;
    }
    a.origin.file = -1;
    l->attrs[l->n++] = a;
}

void fact_int(struct fact_list *l, const char *name, int64_t v) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_INT, .i = v});
}

void fact_float(struct fact_list *l, const char *name, double v) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_FLOAT, .f = (float)v});
}

void fact_str(struct fact_list *l, const char *name, struct str v) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_STR, .s = v});
}

void fact_ints(struct fact_list *l, const char *name, const int64_t *v, size_t n) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_INTS, .n = n, .ints = v});
}

void fact_floats(struct fact_list *l, const char *name, const float *v, size_t n) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_FLOATS, .n = n, .floats = v});
}

void fact_strs(struct fact_list *l, const char *name, const struct str *v, size_t n) {
    fact_add(l, (struct attr){.name = str_of(name), .kind = ATTR_STRS, .n = n, .strs = v});
}

bool fact_list_has(const struct fact_list *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (str_is(l->attrs[i].name, name))
            return true;
    return false;
}

enum code fact_list_end(struct fact_list *l, struct model *m, struct err *e) {
    if (l->full)
        return arena_fail(l->arena, (size_t)l->n * sizeof *l->attrs, "facts of the model", e);
    m->facts = l->attrs;
    m->n_facts = l->n;
    return OK;
}
