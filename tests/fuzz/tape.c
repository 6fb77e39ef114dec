/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes tapes. The sum would stop nearly every mutation: it is put right first, so that what is
 * behind it is reached. What was taken must be put and taken again as the same. */
#include "host/tape.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct tape *t) {
    struct buf b;
    struct arena a;
    struct tape got;
    struct err e;
    bool found = false;
    buf_init(&b, 64 << 20);
    arena_init(&a, 64 << 20);
    tape_put(&b, t);
    if (b.code == OK) {
        struct span rest = {(const uint8_t *)b.p, b.n};
        if (tape_next(&rest, &a, &got, &found, &e) != OK || !found || rest.n ||
            got.n_inputs != t->n_inputs || got.version != t->version)
            abort();
    }
    arena_deinit(&a);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct tape t;
    struct err e;
    bool found;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (size >= 20) {
        uint64_t n = size - 16;
        uint32_t crc = crc32c(0, copy + 16, size - 20);
        memcpy(copy + 8, &n, sizeof n);
        memcpy(copy + size - 4, &crc, sizeof crc);
    }
    struct span rest = {copy, size};
    arena_init(&a, 16 << 20);
    if (tape_next(&rest, &a, &t, &found, &e) == OK && found)
        again(&t);
    arena_deinit(&a);
    free(copy);
    return 0;
}
