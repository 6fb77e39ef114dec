/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: text protobuf, and the configuration files written in it; the guise that one becomes. */
#include "host/guise.h"
#include "job/roster.h"

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct roster_batching batching;
    struct roster_model model;
    struct roster roster;
    struct guise guise;
    struct arena arena;
    struct err e;
    log_setup(LOG_ERROR, LOG_JSON, 2); /* fields of no use are a warning each */
    arena_init(&arena, 16 << 20);
    (void)!roster_read(text, &arena, &roster, &e);
    if (roster_read_triton(text, "/nowhere", &arena, &model, &e) == OK && model.guise.n)
        (void)!guise_parse(model.guise, &arena, &guise, &e);
    (void)!guise_parse(text, &arena, &guise, &e);
    (void)!roster_read_batching(text, &arena, &batching, &e);
    arena_deinit(&arena);
    return 0;
}
