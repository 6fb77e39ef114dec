/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: text protobuf, and the configuration files written in it. */
#include "job/roster.h"

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct roster_batching batching;
    struct roster_model model;
    struct roster roster;
    struct arena arena;
    struct err e;
    log_setup(LOG_ERROR, LOG_JSON, 2); /* fields of no use are a warning each */
    arena_init(&arena, 16 << 20);
    (void)!roster_read(text, &arena, &roster, &e);
    (void)!roster_read_triton(text, "/nowhere", &arena, &model, &e);
    (void)!roster_read_batching(text, &arena, &batching, &e);
    arena_deinit(&arena);
    return 0;
}
