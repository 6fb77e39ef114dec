/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the passes of a stage in the list's order until none changes anything. A bound on the rounds
 * keeps two passes that undo each other from spinning for ever: the answer would still be right. */
#include "plan/pass.h"

#include "plan/session.h"
#include "plan/walk.h"

enum { ROUNDS = 12 };
enum { OPEN_BUDGET = 1 << 30, PLAN_BUDGET = 64 << 20 }; /* bytes of folded constants */
enum {
    OPEN_WORK = 256 << 20,
    PLAN_WORK = 64 << 20,
    WORK_PER_BYTE = 16
}; /* operations of making them */

static const struct pass *const passes[] = {
#define PASS(name) &pass_##name,
#include "plan/list.h"
#undef PASS
};

enum { N_PASSES = sizeof passes / sizeof passes[0] };

size_t pass_count(void) { return N_PASSES; }

const char *pass_name(size_t index) { return index < N_PASSES ? passes[index]->name : NULL; }

static enum code one_round(struct pass_run *r, unsigned off, struct err *e) {
    for (unsigned i = 0; i < N_PASSES; i++) {
        if (off >> i & 1 || !(passes[i]->stages & r->stage))
            continue;
        bool before = r->changed;
        r->changed = false;
        TRY(passes[i]->run(r, e));
        if (r->changed) /* new nodes have no shapes yet */
            TRY(walk_graph(r->graph, e));
        r->changed |= before;
    }
    return OK;
}

/* Weights that a file describes rather than holds (ConstantOfShape, ...) are made once, when the
 * session opens; a plan is made often, and folds shapes. */
static size_t budget(enum pass_stage stage, size_t memory_bytes) {
    size_t most = stage == PASS_OPEN ? OPEN_BUDGET : PLAN_BUDGET;
    return memory_bytes / 4 < most ? memory_bytes / 4 : most;
}

/* A load may take time in proportion to what the file holds, and a moment more. */
static double work(const struct graph *g, enum pass_stage stage) {
    double bytes = 0;
    if (stage != PASS_OPEN)
        return PLAN_WORK;
    for (value_id v = 0; v < g->n_values; v++)
        if (g->values[v].constant)
            bytes += (double)tensor_bytes(g->values[v].constant);
    return OPEN_WORK + WORK_PER_BYTE * bytes;
}

enum code pass_all(struct graph *g, enum pass_stage stage, const struct pass_terms *t,
                   struct err *e) {
    struct pass_run r = {.graph = g,
                         .arena = t->arena,
                         .stage = stage,
                         .precision = t->precision,
                         .crate = t->crate,
                         .budget = budget(stage, t->memory_bytes),
                         .work = work(g, stage)};
    TRY(walk_graph(g, e));
    do {
        r.changed = false;
        TRY(one_round(&r, t->off, e));
    } while (r.changed && stage != PASS_LAST && ++r.round < ROUNDS);
    return OK;
}
