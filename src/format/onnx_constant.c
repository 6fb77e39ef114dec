/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX constants: initializers, tensor attributes and Constant nodes, inside the model's file or
 * beside it. */
#include "format/onnx_read.h"

#include "tensor/nibble.h"

/* --- external data --- */

/* A relative path that stays in its folder, by its text; the folder's links are the opener's
 * business. */
static bool location_ok(struct str path) {
    if (!path.n || path.n > 1024 || path.p[0] == '/' || memchr(path.p, '\0', path.n) ||
        memchr(path.p, '\\', path.n))
        return false;
    for (size_t from = 0; from <= path.n;) {
        size_t n;
        struct str rest = str_sub(path, from, path.n), part = rest;
        if (str_find(rest, '/', &n))
            part.n = n;
        if (part.n == 0 || str_is(part, "..") || str_is(part, "."))
            return false;
        from += part.n + 1;
    }
    return true;
}

static enum code add_file(struct onnx_reader *r, struct str name, int *out, struct err *e) {
    struct model *m = r->m;
    if (m->n_files == r->room_files) {
        int room = r->room_files * 2;
        struct model_file *files = ARENA_ARRAY(r->a, (size_t)room, struct model_file);
        if (!files)
            return arena_fail(r->a, (size_t)room * sizeof *files, "external files", e);
        memcpy(files, m->files, (size_t)m->n_files * sizeof *files);
        m->files = files;
        r->room_files = room;
    }
    TRY(map_put(&r->files, name, (void *)(uintptr_t)(m->n_files + 1), e));
    m->files[m->n_files] = (struct model_file){.name = name};
    *out = m->n_files++;
    return OK;
}

static enum code read_external(struct onnx_reader *r, const struct onnx_tensor *t,
                               struct origin *at, struct err *e) {
    size_t need;
    struct str name = t->location;
    if (t->dtype == DT_STRING || !nibble_bytes(t->dtype, t->count, &need))
        return fail(e, FORMAT, "tensor '%.*s': strings cannot be external data", STR(t->name));
    if (str_starts(name, "./"))
        name = str_sub(name, 2, name.n);
    if (!location_ok(name))
        return fail(e, FORMAT,
                    "tensor '%.*s': external data in '%.*s'; only relative paths below the "
                    "model's folder, without '..', are followed",
                    STR(t->name), STR(t->location));
    if (t->has_length && t->length != need)
        return fail(e, FORMAT,
                    "tensor '%.*s': its shape needs %zu bytes, its external data has %llu",
                    STR(t->name), need, (unsigned long long)t->length);
    uintptr_t known = (uintptr_t)map_get(&r->files, name);
    int file = (int)known - 1;
    if (!known)
        TRY(add_file(r, name, &file, e));
    if (need)
        *at = (struct origin){.file = file, .offset = t->offset, .length = need};
    return OK;
}

/* --- tensors --- */

enum code onnx_constant_read(struct onnx_reader *r, struct span message, struct str *name,
                             struct tensor *out, struct origin *at, struct err *e) {
    struct onnx_tensor t;
    struct span range = {0};
    *at = (struct origin){.file = -1};
    TRY(onnx_tensor_parse(message, &t, e));
    *name = t.name;
    if (t.external) {
        *out = (struct tensor){.dtype = t.dtype, .shape = t.shape};
        return read_external(r, &t, at, e);
    }
    TRY(onnx_tensor_load(&t, r->a, out, &range, e));
    if (range.n)
        *at = (struct origin){
            .file = 0, .offset = (uint64_t)(range.p - r->file.p), .length = range.n};
    return OK;
}

enum code onnx_constant_read_sparse(struct onnx_reader *r, struct span message, struct str *name,
                                    struct tensor *out, struct err *e) {
    return onnx_tensor_dense(message, r->a, name, out, e);
}

/* --- Constant nodes --- */

static struct tensor list_tensor(enum dtype t, const void *data, size_t n, int rank) {
    return (struct tensor){
        .dtype = t, .shape = {.rank = rank, .dims = {(int64_t)n}}, .data = (void *)(uintptr_t)data};
}

static bool value_of_attr(const struct attr *a, struct tensor *out, struct origin *at) {
    if (str_is(a->name, "value") && a->kind == ATTR_TENSOR) {
        *out = *a->tensor;
        *at = a->origin;
    } else if (str_is(a->name, "sparse_value") && a->kind == ATTR_TENSOR)
        *out = *a->tensor;
    else if (str_is(a->name, "value_int") && a->kind == ATTR_INT)
        *out = list_tensor(DT_I64, &a->i, 1, 0);
    else if (str_is(a->name, "value_float") && a->kind == ATTR_FLOAT)
        *out = list_tensor(DT_F32, &a->f, 1, 0);
    else if (str_is(a->name, "value_string") && a->kind == ATTR_STR)
        *out = list_tensor(DT_STRING, &a->s, 1, 0);
    else if (str_is(a->name, "value_ints") && a->kind == ATTR_INTS)
        *out = list_tensor(DT_I64, a->ints, a->n, 1);
    else if (str_is(a->name, "value_floats") && a->kind == ATTR_FLOATS)
        *out = list_tensor(DT_F32, a->floats, a->n, 1);
    else if (str_is(a->name, "value_strings") && a->kind == ATTR_STRS)
        *out = list_tensor(DT_STRING, a->strs, a->n, 1);
    else
        return false;
    return true;
}

enum code onnx_constant_of_node(struct onnx_reader *r, struct onnx_scope *s,
                                const struct onnx_node *n, struct tensor **out, struct origin *at,
                                struct err *e) {
    struct attr *attrs;
    int n_attrs;
    TRY(onnx_attr_read_all(r, s, n->message, 5, &attrs, &n_attrs, e));
    struct tensor *t = ARENA_NEW(r->a, struct tensor);
    if (!t)
        return arena_fail(r->a, sizeof *t, "a constant", e);
    *at = (struct origin){.file = -1};
    for (int i = 0; i < n_attrs; i++) {
        if (value_of_attr(&attrs[i], t, at)) {
            *out = t;
            return OK;
        }
    }
    return fail(e, FORMAT, "a Constant without a value");
}
