/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: a TorchServe archive up to the import of its model: the ZIP, the manifest, the labels, the
 * recipe of its handler. */
#include "serve/arrival.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum code walk(struct span bytes, struct arena *arena, struct err *e) {
    struct archive archive = {0};
    struct arrival in = {0};
    struct span model;
    TRY(zip_open(bytes, &archive.zip, e));
    TRY(read_manifest(&archive, arena, e));
    TRY(handler_recipe(&archive, &in, arena, e));
    return read_entry(&archive, archive.file, 1 << 20, arena, &model, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct err e;
    arena_init(&arena, 16 << 20);
    (void)walk((struct span){data, size}, &arena, &e);
    arena_deinit(&arena);
    return 0;
}
