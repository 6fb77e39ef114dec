/* SPDX-License-Identifier: Apache-2.0 */
/* A pass: one improvement of a graph that does not change its answers. One file each, listed in
 * list.h in the order in which they run; every one can be switched off (session_options.passes_off,
 * bit = position in the list), and the answers must agree.
 *
 * PASS_OPEN runs once per session, where inputs may have free dims: what touches weights belongs
 * here. PASS_PLAN runs for each plan, on the plan's own copy, where all shapes are known that
 * inputs decide. Both repeat until nothing changes. PASS_LAST runs once, after the plan's others.
 */
#pragma once

#include "plan/crate.h"
#include "plan/rewire.h"
#include "plan/session.h"

enum pass_stage { PASS_OPEN = 1, PASS_PLAN = 2, PASS_LAST = 4 };

struct pass_run {
    struct graph *graph;
    struct arena *arena; /* lives as long as the graph */
    enum pass_stage stage;
    enum precision precision;
    int round;     /* 0, 1, ...: earlier rounds leave a pattern to passes that must see it first */
    size_t budget; /* bytes that folded constants may still take */
    double work;   /* operations that making them may still take */
    const struct crate *crate; /* what earlier sessions made of constants; NULL: nothing */
    bool changed;              /* out: set, never cleared, by a pass that changed something */
};

struct pass { /* const record at the bottom of each pass's file */
    const char *name;
    unsigned stages; /* enum pass_stage, or-ed */
    enum code (*run)(struct pass_run *r, struct err *e);
};

#define PASS(name) extern const struct pass pass_##name;
#include "plan/list.h"
#undef PASS

struct pass_terms {
    struct arena *arena; /* of the graph */
    unsigned off;        /* bit mask */
    size_t memory_bytes; /* limit of a run: folding may take a part of it */
    enum precision precision;
    const struct crate *crate; /* or NULL */
};
/* All passes of a stage on a graph. Walks the shapes first and after every change. */
MUST_USE enum code pass_all(struct graph *g, enum pass_stage stage, const struct pass_terms *t,
                            struct err *e);
