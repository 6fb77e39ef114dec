/* SPDX-License-Identifier: Apache-2.0 */
/* Where packed weights live: shared by the session's plans when the plan offers that, else in the
 * plan's arena. */
#pragma once

#include "op/operand.h"

/* Packings of our own; oneDNN's are hashes. */
enum {
    PACK_IMPLICIT = 1 << 20,
    PACK_PANEL = 2 << 20,
    PACK_PANEL_TRANSPOSED = 3 << 20,
    PACK_OTHER = 4 << 20,
    PACK_WINOGRAD = 5 << 20,
    PACK_QUADS = 6 << 20,
    PACK_WINOGRAD_Q8 = 7 << 20,
    PACK_STRASSEN = 8 << 20,
    PACK_WINOGRAD_2X2 = 9 << 20,
    PACK_WINOGRAD_STRIDED = 10 << 20,
    PACK_CODES = 11 << 20,
    PACK_BAND = 12 << 20,
    PACK_SCALES = 13 << 20,
    PACK_BF16_WINOGRAD = 16 << 20,
    PACK_BF16_IMPLICIT = 17 << 20,
    PACK_BF16_PANEL = 18 << 20,
    PACK_BF16_PANEL_TRANSPOSED = 19 << 20
};

/* *to: `bytes` of 64-byte aligned memory for the packed form of `constant`; *filled: it has been
 * written already. */
MUST_USE enum code pack_room(struct op_prepare *c, const void *constant, uint64_t packing,
                             size_t bytes, void **to, bool *filled, struct err *e);
/* The same for what is sooner made than read from a store: not kept for the next start. */
MUST_USE enum code pack_room_passing(struct op_prepare *c, const void *constant, uint64_t packing,
                                     size_t bytes, void **to, bool *filled, struct err *e);

/* Numbers too small for a normal f32 (training leaves thousands in dead channels) become 0: each
 * would cost the processor a hundred cycles in every product, and none can be seen in a sum. n
 * floats, in place. */
void pack_flush(float *p, size_t n);
