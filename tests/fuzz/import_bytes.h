/* SPDX-License-Identifier: Apache-2.0 */
/* The import of a model from memory, without a child: read, wire form, back, verify, every byte of
 * every constant touched. What must hold for all inputs is checked on the way: a model that comes
 * through has the same wire form again. */
#pragma once

#include "format/format.h"

#include <stdio.h>
#include <stdlib.h>

enum { IMPORT_CAP = 1 << 26 };

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct import_bytes { /* files[0] is the main one */
    const struct import_file *files;
    int n;
    /* What more is tried with a model that came through; NULL: nothing. */
    void (*then)(const struct model *m);
};

/* External files that are not given exist, are short, and hold zeros. */
static inline struct span import_bytes_file(const struct import_bytes *in, int file) {
    static uint8_t zeros[4096];
    return file < in->n ? in->files[file].bytes : (struct span){zeros, sizeof zeros};
}

static inline enum code import_bytes_resolve(void *ctx, int file, uint64_t offset, uint64_t length,
                                             struct span *out, struct err *e) {
    struct span s = import_bytes_file(ctx, file);
    if (offset > s.n || length > s.n - offset)
        return fail(e, FORMAT, "beyond the end of file %d", file);
    *out = (struct span){s.p + offset, (size_t)length};
    return OK;
}

static inline uint64_t import_bytes_sum(const struct tensor *t) {
    uint64_t sum = 0;
    if (t->dtype == DT_STRING) {
        for (size_t i = 0, n = tensor_count(t); i < n; i++)
            for (size_t k = 0; k < ((struct str *)t->data)[i].n; k++)
                sum += (uint8_t)((struct str *)t->data)[i].p[k];
        return sum;
    }
    for (size_t i = 0, n = tensor_bytes(t); i < n; i++)
        sum = sum * 31 + ((const uint8_t *)t->data)[i];
    return sum;
}

static inline uint64_t import_bytes_touch(const struct graph *g) {
    uint64_t sum = 0;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant)
            sum += import_bytes_sum(g->values[v].constant);
    for (int n = 0; n < g->n_nodes; n++) {
        for (int i = 0; i < g->nodes[n].n_attrs; i++) {
            const struct attr *a = &g->nodes[n].attrs[i];
            if (a->kind == ATTR_TENSOR)
                sum += import_bytes_sum(a->tensor);
            if (a->kind == ATTR_GRAPH)
                sum += import_bytes_touch(a->graph);
        }
    }
    return sum;
}

/* Wire form to a verified model. */
static inline enum code import_bytes_take(const struct import_bytes *in, struct span wire,
                                          struct arena *a, struct err *e) {
    struct model *m;
    struct buf again;
    TRY(wire_take(wire, a, import_bytes_resolve, (void *)(uintptr_t)in, &m, e));
    buf_init(&again, IMPORT_CAP);
    MUST(wire_put(m, &again, e) == OK);
    bool same = again.n == wire.n && memcmp(again.p, wire.p, wire.n) == 0;
    buf_deinit(&again);
    for (int f = 0; f < m->n_files; f++)
        m->files[f].size = import_bytes_file(in, f).n;
    TRY(graph_verify(m, e));
    volatile uint64_t sum = import_bytes_touch(m->main);
    (void)sum;
    if (!same) /* overlong numbers and the like: the second form is the canonical one */
        return fail(e, INVALID, "the wire form differs");
    if (in->then)
        in->then(m);
    return OK;
}

static inline enum code import_bytes_files(const struct format *format,
                                           const struct import_bytes *files, struct err *e) {
    const struct import_file *main = &files->files[0];
    struct arena a, b;
    struct buf wire;
    struct model *m;
    arena_init(&a, IMPORT_CAP);
    arena_init(&b, IMPORT_CAP);
    buf_init(&wire, IMPORT_CAP);
    struct format_input in = {.name = main->name,
                              .bytes = main->bytes,
                              .files = files->files,
                              .n_files = files->n,
                              .arena = &a};
    enum code code = format->read(&in, &m, e);
    if (code == OK)
        code = wire_put(m, &wire, e);
    if (code == OK) {
        code = import_bytes_take(files, (struct span){(const uint8_t *)wire.p, wire.n}, &b, e);
        MUST(code != ERR_INVALID);
    }
    MUST(code == OK || (e->code == code && e->text[0]));
    buf_deinit(&wire);
    arena_deinit(&a);
    arena_deinit(&b);
    return code;
}

static inline enum code import_bytes_as(const struct format *format, struct span bytes,
                                        void (*then)(const struct model *m), struct err *e) {
    struct import_file file = {.name = {"fuzz.bin", 8}, .bytes = bytes};
    return import_bytes_files(format, &(struct import_bytes){&file, 1, then}, e);
}

static inline enum code import_bytes(struct span bytes, struct err *e) {
    return import_bytes_as(&format_onnx, bytes, NULL, e);
}
