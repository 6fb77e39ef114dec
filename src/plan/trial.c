/* SPDX-License-Identifier: Apache-2.0 */
/* One node on known data: prepare, run, release, as the executor would, with memory from the heap
 * for a moment. */
#include "plan/trial.h"

#include "base/clock.h"
#include "base/mem.h"

#include <omp.h>

enum {
    MOMENT_CAP = 1 << 30, /* prepared state and scratch of one node */
    MOMENT_NS = 1000000000
};

struct trial_host {
    struct op_host host; /* first: operators hand it back */
    struct arena *arena;
    uint64_t end; /* clock_cpu_ns */
};

static void *give_memory(struct op_host *h, size_t bytes) {
    return arena_push_aligned(((struct trial_host *)h)->arena, bytes ? bytes : 1, MEM_LINE);
}

static enum code no_graph(struct op_host *h, const struct op_call *call, const struct graph *g,
                          const struct tensor *const *inputs, struct tensor *outputs,
                          struct err *e) {
    (void)h, (void)call, (void)g, (void)inputs, (void)outputs;
    return fail(e, UNSUPPORTED, "a subgraph is not run while planning");
}

static enum code go_on(struct op_host *h, struct err *e) {
    if (clock_cpu_ns() < ((struct trial_host *)h)->end)
        return OK;
    return fail(e, TIMEOUT, "too long for a constant");
}

static uint64_t no_dice(struct op_host *h) {
    (void)h;
    return 0;
}

static enum code make_outputs(const struct trial *t, struct tensor *out, struct tensor **to,
                              struct err *e) {
    for (int i = 0; i < t->node->n_out; i++) {
        out[i] = (struct tensor){0};
        if (t->node->out[i] == VALUE_NONE)
            continue;
        to[i] = &out[i];
        TRY(tensor_new(t->keep, t->out_values[i].dtype, &t->out_values[i].shape, &out[i], e));
    }
    return OK;
}

static enum code run_with(struct trial *t, struct arena *moment, struct tensor *out,
                          struct err *e) {
    struct op_prepare p = {.graph = t->graph,
                           .node = t->node,
                           .in = t->in_values,
                           .out = t->out_values,
                           .arena = moment,
                           .threads = 1};
    struct tensor **to = ARENA_ARRAY(moment, (size_t)t->node->n_out + 1, struct tensor *);
    if (!to)
        return arena_fail(moment, sizeof *to, "outputs of a node", e);
    TRY(make_outputs(t, out, to, e));
    if (t->node->op->prepare)
        TRY(t->node->op->prepare(&p, e));
    t->flops = p.flops;
    struct trial_host host = {
        {give_memory, no_graph, go_on, no_dice}, moment, clock_cpu_ns() + MOMENT_NS};
    struct op_call call = {.graph = t->graph,
                           .node = t->node,
                           .state = p.state,
                           .in = t->in,
                           .out = to,
                           .threads = 1,
                           .host = &host.host};
    enum code code = OK;
    if (p.flops > t->most)
        code = fail(e, LIMIT, "too much work for a constant");
    else if (p.scratch_bytes &&
             !(call.scratch = arena_push_aligned(moment, p.scratch_bytes, MEM_LINE)))
        code = arena_fail(moment, p.scratch_bytes, "scratch of a node", e);
    else
        code = t->node->op->run(&call, e);
    if (p.state && t->node->op->release)
        t->node->op->release(p.state);
    return code;
}

enum code trial_run(struct trial *t, struct tensor *out, struct err *e) {
    struct arena moment;
    arena_init(&moment, MOMENT_CAP);
    int team = omp_get_max_threads();
    omp_set_num_threads(1);
    enum code code = run_with(t, &moment, out, e);
    omp_set_num_threads(team);
    arena_deinit(&moment);
    return code;
}
