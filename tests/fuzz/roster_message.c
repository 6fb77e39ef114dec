/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: ModelServerConfig as clients send it, and what is done with one before its folders are
 * read. */
#include "job/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct roster roster, copy;
    struct arena arena;
    struct err e;
    arena_init(&arena, 16 << 20);
    if (roster_read_message((struct span){data, size}, &arena, &roster, &e) == OK &&
        roster_copy(&roster, &arena, &copy, &e) == OK)
        (void)!roster_confine(&copy, &(struct str){"/nowhere", 8}, 1, &arena, &e);
    arena_deinit(&arena);
    return 0;
}
