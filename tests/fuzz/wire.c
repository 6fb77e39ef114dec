/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes our own wire form of models: what a taken-over import child, or a damaged store, could
 * say. A model that verifies must survive sorting and copying, and be put again. */
#include "import_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct model *m, struct err *e) {
    struct arena b;
    struct buf out;
    struct model *copy;
    arena_init(&b, IMPORT_CAP);
    buf_init(&out, IMPORT_CAP);
    bool sorted = graph_sort(m->main, e) == OK;
    MUST(sorted || e->code == ERR_LIMIT); /* the arena may be nearly full */
    if (sorted)
        MUST(graph_verify(m, e) == OK);
    if (sorted && (copy = graph_copy(m, &b))) {
        MUST(graph_verify(copy, e) == OK);
        MUST(graph_total_nodes(copy->main) == graph_total_nodes(m->main));
        MUST(wire_put(copy, &out, e) == OK);
    }
    buf_deinit(&out);
    arena_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[1024];
    struct import_file main = {.bytes = {file, sizeof file}};
    struct import_bytes in = {&main, 1, NULL};
    struct arena a;
    struct model *m;
    struct err e = {0};
    arena_init(&a, IMPORT_CAP);
    if (wire_take((struct span){data, size}, &a, import_bytes_resolve, &in, &m, &e) == OK) {
        for (int f = 0; f < m->n_files; f++)
            m->files[f].size = f ? 4096 : sizeof file;
        if (graph_verify(m, &e) == OK)
            use(m, &e);
    }
    arena_deinit(&a);
    return 0;
}
