/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights of a session, by constant and packing; made during one prepare, read by all plans
 * until the session ends.
 *
 * 1. Only constants of the session are remembered: one that a plan folded for itself may die, and
 * its address be used again, so it is packed into the plan's own arena.
 * 2. The caller holds the session's build lock: packs are written by one thread at a time.
 * 3. Forms that a keeper has are its memory; what it does not have can be given to it: large forms
 * of a blob one by one, all others that can be named together (crate.h). */
#pragma once

#include "graph/keeper.h"
#include "graph/op.h"
#include "plan/crate.h"

#include <stdatomic.h>

struct packs {
    struct op_packs face;  /* first: operators hand it back */
    struct keeper *keeper; /* or NULL; outlives this */
    struct crate crate;    /* the keeper's, of what has no blob of its own */
    struct arena memory;   /* of the packs */
    struct arena names;    /* of the two tables */
    struct arena *moment;  /* the arena of the plan being made */
    struct owned *owned;   /* open addressing: the session's constants */
    size_t n_owned, room_owned;
    struct pack **table; /* open addressing */
    struct pack *fresh;  /* what the prepare at work has to write */
    size_t n, room;
    size_t bytes;
};
void packs_init(struct packs *p, size_t cap_bytes, struct keeper *keeper);
void packs_deinit(struct packs *p);
/* Constants of this graph live as long as the session. */
MUST_USE enum code packs_own(struct packs *p, const struct graph *g, struct err *e);
/* Around a prepare: one that failed has not written what it asked for. */
void packs_begin(struct packs *p);
void packs_undo(struct packs *p);
bool packs_owns(const struct packs *p, const void *constant);
/* Lasting forms that the keeper was not found to have: how many, the first `room` of them in *out.
 * They stay where they are, and are written by now. */
struct packs_made {
    struct keeper_pack pack;
    char layout[32];
    const void *data;
};
size_t packs_made(const struct packs *p, struct packs_made *out, size_t room);
/* The version's crate with what this session made added to it: OK and *added 0 where there is
 * nothing new; out's cap bounds it. NULL: only counts. */
MUST_USE enum code packs_crate(const struct packs *p, struct buf *out, size_t *added,
                               struct err *e);
MUST_USE enum code packs_keep_crate(const struct packs *p, struct span crate, struct err *e);
