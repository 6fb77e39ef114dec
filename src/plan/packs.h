/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights of a session, by constant and packing; made during one prepare, read by all plans
 * until the session ends.
 *
 * 1. Only constants of the session are remembered: one that a plan folded for itself may die, and
 * its address be used again, so it is packed into the plan's own arena.
 * 2. The caller holds the session's build lock: packs are written by one thread at a time. */
#pragma once

#include "graph/op.h"

struct packs {
    struct op_packs face; /* first: operators hand it back */
    struct arena memory;  /* of the packs */
    struct arena names;   /* of the two tables */
    struct arena *moment; /* the arena of the plan being made */
    const void **owned;   /* open addressing: addresses of the session's constants */
    size_t n_owned, room_owned;
    struct pack **table; /* open addressing */
    size_t n, room;
    size_t bytes;
};
void packs_init(struct packs *p, size_t cap_bytes);
void packs_deinit(struct packs *p);
/* Constants of this graph live as long as the session. */
MUST_USE enum code packs_own(struct packs *p, const struct graph *g, struct err *e);
bool packs_owns(const struct packs *p, const void *constant);
