/* SPDX-License-Identifier: Apache-2.0 */
/* See pack.h. */
#include "op/pack.h"

static enum code room(struct op_prepare *c, const void *constant, uint64_t packing, size_t bytes,
                      bool lasting, void **to, bool *filled, struct err *e) {
    *filled = false;
    *to = c->packs ? c->packs->get(c->packs, constant, packing, bytes, lasting, filled)
                   : arena_push_aligned(c->arena, bytes, MEM_LINE);
    return *to ? OK : operand_fail(c, e, NOMEM, "no memory for %zu bytes of packed weights", bytes);
}

enum code pack_room(struct op_prepare *c, const void *constant, uint64_t packing, size_t bytes,
                    void **to, bool *filled, struct err *e) {
    TRY(room(c, constant, packing, bytes, true, to, filled, e));
    c->weights = (struct op_weights){*to, bytes};
    return OK;
}

enum code pack_room_passing(struct op_prepare *c, const void *constant, uint64_t packing,
                            size_t bytes, void **to, bool *filled, struct err *e) {
    return room(c, constant, packing, bytes, false, to, filled, e);
}

void pack_flush(float *p, size_t n) {
    const uint32_t exponent = 0x7f800000;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + i, sizeof bits);
        bits = bits & exponent ? bits : 0;
        memcpy(p + i, &bits, sizeof bits);
    }
}
