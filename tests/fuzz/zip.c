/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: an archive's directory and every entry of it. */
#include "base/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct zip z;
    struct zip_entry entry;
    struct span text;
    struct err e;
    bool more = true;
    arena_init(&arena, 1 << 20);
    if (zip_open((struct span){data, size}, &z, &e) == OK)
        while (zip_next(&z, &entry, &more, &e) == OK && more)
            (void)!zip_read(&z, &entry, 1 << 18, &arena, &text, &e);
    arena_deinit(&arena);
    return 0;
}
