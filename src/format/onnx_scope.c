/* SPDX-License-Identifier: Apache-2.0 */
/* Names of an ONNX graph, and what a subgraph takes from the graphs around it. */
#include "format/onnx_read.h"

static void *to_pointer(value_id id) { return (void *)(uintptr_t)(id + 2); }
static value_id from_pointer(const void *p) { return (value_id)((intptr_t)p - 2); }

bool onnx_scope_has(const struct onnx_scope *s, struct str name, value_id *out) {
    const void *p = map_get(&s->names, name);
    if (p)
        *out = from_pointer(p);
    return p != NULL;
}

enum code onnx_scope_bind(struct onnx_scope *s, struct str name, value_id id, struct err *e) {
    return map_put(&s->names, name, to_pointer(id), e);
}

/* The array of values could not grow. */
static enum code full(const struct onnx_reader *r, const struct graph *g, struct err *e) {
    return arena_fail(r->a, 2 * sizeof(struct value) * (size_t)(g->room_values + 8),
                      "values of a graph", e);
}

static enum code add_value(struct onnx_reader *r, struct onnx_scope *s, struct str name,
                           value_id *out, struct err *e) {
    struct str whole = name;
    if (s->prefix.n) {
        whole = str_of(arena_printf(r->a, "%.*s/%.*s", STR(s->prefix), STR(name)));
        if (!whole.p)
            return arena_fail(r->a, name.n, "names of a function body", e);
    }
    *out = graph_add_value(s->g, whole);
    return *out == VALUE_NONE ? full(r, s->g, e) : OK;
}

enum code onnx_scope_declare(struct onnx_reader *r, struct onnx_scope *s, struct str name,
                             value_id *out, struct err *e) {
    if (map_has(&s->names, name))
        return fail(e, FORMAT, "value '%.*s' is made twice", STR(name));
    TRY(add_value(r, s, name, out, e));
    return onnx_scope_bind(s, name, *out, e);
}

enum code onnx_scope_resolve(struct onnx_reader *r, struct onnx_scope *s, struct str name,
                             value_id *out, bool *found, struct err *e) {
    *found = true;
    if (onnx_scope_has(s, name, out))
        return OK;
    *found = false;
    if (!s->up)
        return OK;
    value_id outer;
    TRY(onnx_scope_resolve(r, s->up, name, &outer, found, e));
    if (!*found)
        return OK;
    if (outer == VALUE_NONE)
        *out = VALUE_NONE;
    else {
        *out = graph_add_value(s->g, name);
        if (*out == VALUE_NONE)
            return full(r, s->g, e);
        const struct value *from = &s->up->g->values[outer];
        struct value *to = &s->g->values[*out];
        to->capture = outer;
        to->dtype = from->dtype;
        to->ranked = from->ranked;
        to->shape = from->shape;
    }
    return onnx_scope_bind(s, name, *out, e);
}
