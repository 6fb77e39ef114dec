/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: files of warm-up requests. The sums of TFRecord would stop nearly every mutation: they are
 * put right first, and a length that leads out of the file leads to its end. What was read must be
 * a whole tape. */
#include "job/warmup.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 12, TAIL = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_sum(const uint8_t *p, size_t n, uint8_t *to) {
    uint32_t crc = crc32c(0, p, n), sum = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
    memcpy(to, &sum, sizeof sum);
}

static void put_right(uint8_t *p, size_t size) {
    while (size >= HEAD + TAIL) {
        uint64_t n, most = size - HEAD - TAIL;
        memcpy(&n, p, sizeof n);
        n = n < most ? n : most;
        memcpy(p, &n, sizeof n);
        put_sum(p, sizeof n, p + sizeof n);
        put_sum(p + HEAD, (size_t)n, p + HEAD + n);
        p += HEAD + n + TAIL;
        size -= HEAD + (size_t)n + TAIL;
    }
}

static void walk(struct span rest) {
    struct arena a;
    struct tape t;
    struct err e;
    bool found = true;
    arena_init(&a, 256 << 20);
    while (found && rest.n)
        if (tape_next(&rest, &a, &t, &found, &e) == ERR_CORRUPT)
            abort();
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct live_io io[] = {
        {.name = LIT("x"), .dtype = DT_F32, .shape = {2, {-1, 4}}},
        {.name = LIT("t"), .dtype = DT_STRING, .shape = {1, {-1}}, .optional = true},
    };
    struct buf tapes;
    struct err e;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (size < 4 || memcmp(data, "TAPE", 4) != 0)
        put_right(copy, size);
    buf_init(&tapes, 64 << 20);
    if (warmup_read((struct span){copy, size}, io, 2, &tapes, &e) == OK)
        walk((struct span){(const uint8_t *)tapes.p, tapes.n});
    buf_deinit(&tapes);
    free(copy);
    return 0;
}
