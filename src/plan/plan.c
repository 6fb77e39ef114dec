/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan: copy the session's graph, bind the shapes, let the passes of a plan work, prepare
 * each node for its team, place every buffer. */
#include "plan/plan.h"

#include "plan/nested.h"
#include "plan/pass.h"
#include "plan/place.h"
#include "plan/runner.h"
#include "plan/walk.h"

#include "base/mem.h"

#include <omp.h>

enum { PLAN_CAP = 2000 << 20, SCRATCH_CAP = 64 << 20 };

/* A step shorter than this runs on one thread: waking and joining a team costs about as much. */
enum { TEAM_PAYS_NS = 30000 };
static const double ONE_CORE_GFLOPS = 40,
                    ONE_CORE_GBS = 8; /* rough: only the order of magnitude matters */

/* --- what it is for --- */

static _Atomic uint64_t plans_made;

struct plan *plan_new(struct shop *shop, const struct plan_ask *ask, int n_inputs, int n_outputs) {
    struct plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return NULL;
    arena_init(&p->arena, PLAN_CAP);
    pthread_mutex_init(&p->lock, NULL);
    p->shop = shop;
    p->serial = atomic_fetch_add(&plans_made, 1) + 1;
    p->threads = ask->threads;
    p->n_inputs = n_inputs;
    p->n_outputs = n_outputs;
    p->inputs = ARENA_ARRAY(&p->arena, (size_t)n_inputs + 1, struct plan_key);
    p->want = ARENA_ARRAY(&p->arena, (size_t)n_outputs + 1, bool);
    if (!p->inputs || !p->want) {
        plan_free(p);
        return NULL;
    }
    for (int i = 0; i < n_inputs; i++)
        p->inputs[i] = (struct plan_key){ask->inputs[i].dtype, ask->inputs[i].shape};
    for (int i = 0; i < n_outputs; i++)
        p->want[i] = !ask->want || ask->want[i];
    return p;
}

bool plan_fits(const struct plan *p, const struct plan_ask *ask) {
    if (p->threads != ask->threads)
        return false;
    for (int i = 0; i < p->n_inputs; i++)
        if (p->inputs[i].dtype != ask->inputs[i].dtype ||
            (p->inputs[i].dtype && !shape_eq(&p->inputs[i].shape, &ask->inputs[i].shape)))
            return false;
    for (int i = 0; i < p->n_outputs; i++)
        if (p->want[i] != (!ask->want || ask->want[i]))
            return false;
    return true;
}

/* --- binding --- */

static void bind(struct plan *p, const struct tensor *const *defaults) {
    struct graph *g = p->graph;
    for (int i = 0; i < p->n_inputs; i++) {
        struct value *v = &g->values[g->inputs[i]];
        if (p->inputs[i].dtype == DT_NONE) {
            v->constant =
                defaults ? (struct tensor *)(uintptr_t)defaults[i] : NULL; /* never written */
            g->inputs[i] = VALUE_NONE;
            continue;
        }
        v->dtype = p->inputs[i].dtype;
        v->shape = p->inputs[i].shape;
        v->ranked = v->dtype != DT_SEQUENCE;
    }
    for (int i = 0; i < p->n_outputs; i++)
        if (!p->want[i])
            g->outputs[i] = VALUE_NONE;
}

/* --- preparing --- */

static double moved_bytes(const struct node *n, const struct walk_values *w) {
    double sum = 0;
    size_t bytes;
    for (int i = 0; i < n->n_in; i++)
        if (w->in[i].known && shape_bytes(&w->in[i].shape, dtype_size(w->in[i].dtype), &bytes))
            sum += (double)bytes;
    for (int i = 0; i < n->n_out; i++)
        if (w->out[i].known && shape_bytes(&w->out[i].shape, dtype_size(w->out[i].dtype), &bytes))
            sum += (double)bytes;
    return sum;
}

/* Operators that multiply by a weight: its elements per output channel, times the outputs. Others:
 * one per element. */
static double guess_flops(const struct node *n, const struct walk_values *w) {
    size_t outs, weights;
    if (n->n_out < 1 || !w->out[0].known || !shape_count(&w->out[0].shape, &outs))
        return 0;
    bool conv = str_is(n->op_name, "conv") || str_is(n->op_name, "q_linear_conv");
    int at = str_is(n->op_name, "q_linear_conv") ? 3 : 1;
    bool mat = str_is(n->op_name, "mat_mul") || str_is(n->op_name, "gemm");
    if ((!conv && !mat) || n->n_in <= at || !shape_count(&w->in[at].shape, &weights) ||
        !w->in[at].shape.rank)
        return (double)outs;
    const struct shape *s = &w->in[at].shape;
    int64_t columns = conv ? s->dims[0] : s->rank > 1 ? s->dims[s->rank - 1] : 1;
    int64_t depth =
        conv ? (int64_t)weights / (columns ? columns : 1) : s->dims[s->rank > 1 ? s->rank - 2 : 0];
    return 2 * (double)outs * (double)depth;
}

static int team(const struct node *n, const struct walk_values *w, int threads) {
    if (n->op->flags & (OP_DYNAMIC | OP_TEAM))
        return threads;
    double ns = guess_flops(n, w) / ONE_CORE_GFLOPS + moved_bytes(n, w) / ONE_CORE_GBS;
    return ns < TEAM_PAYS_NS ? 1 : threads;
}

/* The way that a trial found for a node, or that it is trying; 0: the operator's rule. */
static int way_of(const struct plan *p, uint64_t choice) {
    const struct session_options *o = &p->shop->o;
    if (o->way)
        return o->way == CHOICE_RULE ? 0 : o->way;
    return choice_find(o->choices, o->n_choices, choice);
}

static enum code prepare_step(struct plan *p, struct step *s, struct arena *scratch,
                              struct err *e) {
    const struct node *n = s->node;
    struct walk_values w;
    TRY(walk_values(p->graph, n, scratch, &w, e));
    s->late = place_is_late(p->graph, n);
    s->threads = s->late ? p->threads : team(n, &w, p->threads);
    s->first_in = p->n_in;
    s->first_out = p->n_out;
    p->n_in += n->n_in;
    p->n_out += n->n_out;
    p->has_late |= s->late;
    if (s->late || !n->op->prepare)
        return OK;
    /* a name is read off all attributes, and a forest is nothing but attributes */
    uint64_t choice = p->shop->o.n_choices ? choice_node(n, w.in, w.out, s->threads) : 0;
    struct op_prepare c = {.graph = p->graph,
                           .node = n,
                           .in = w.in,
                           .out = w.out,
                           .arena = &p->arena,
                           .packs = &p->shop->packs.face,
                           .threads = s->threads,
                           .brief = p->shop->o.brief,

                           .way = way_of(p, choice)};
    omp_set_num_threads(s->threads); /* oneDNN shapes its primitives for the team it sees */
    packs_begin(&p->shop->packs);
    enum code code = n->op->prepare(&c, e);
    if (code != OK) {
        packs_undo(&p->shop->packs);
        return code;
    }
    s->state = c.state;
    s->scratch_bytes = c.scratch_bytes;
    s->weights = c.weights;
    if (c.n_ways && !choice)
        choice = choice_node(n, w.in, w.out, s->threads);
    s->choice = c.n_ways ? choice : 0;
    s->took = c.took;
    s->n_ways = c.n_ways;
    s->tried = c.n_ways && !p->shop->o.way && c.way == c.took;
    s->kernel = c.kernel;
    s->flops = c.flops;
    return OK;
}

/* Each step may fetch the weights of the one behind it. */
static void look_ahead(struct plan *p) {
    struct op_weights next = {NULL, 0};
    for (int k = p->n_steps; k-- > 0;) {
        p->steps[k].ahead = next;
        if (p->steps[k].weights.p)
            next = p->steps[k].weights;
    }
}

static enum code prepare_steps(struct plan *p, struct err *e) {
    struct arena scratch;
    int before = omp_get_max_threads();
    p->steps = ARENA_ARRAY(&p->arena, (size_t)p->graph->n_nodes + 1, struct step);
    if (!p->steps)
        return arena_fail(&p->arena, (size_t)p->graph->n_nodes * sizeof(struct step),
                          "steps of a plan", e);
    arena_init(&scratch, SCRATCH_CAP);
    struct arena_mark mark = arena_mark(&scratch);
    enum code code = OK;
    for (int k = 0; k < p->graph->n_nodes && code == OK; k++) {
        p->steps[k].node = &p->graph->nodes[k];
        code = prepare_step(p, &p->steps[k], &scratch, e);
        p->n_steps = k + 1; /* what plan_free releases */
        arena_reset(&scratch, mark);
    }
    arena_deinit(&scratch);
    omp_set_num_threads(before);
    look_ahead(p);
    return code;
}

enum code plan_build(struct plan *p, const struct model *m, const struct tensor *const *defaults,
                     struct err *e) {
    struct model *copy = graph_copy(m, &p->arena);
    if (!copy)
        return arena_fail(&p->arena, (size_t)m->main->n_values * sizeof(struct value),
                          "a plan's graph", e);
    p->graph = copy->main;
    p->shop->packs.moment = &p->arena;
    bind(p, defaults);
    struct pass_terms terms = {&p->arena, p->shop->o.passes_off, p->shop->o.memory_bytes,
                               p->shop->o.precision, NULL};
    TRY(pass_all(p->graph, PASS_PLAN, &terms, e));
    TRY(pass_all(p->graph, PASS_LAST, &terms, e));
    TRY(nested_make(p, e));
    TRY(prepare_steps(p, e));
    return place_values(p, e);
}

void plan_free(struct plan *p) {
    while (p->idle) {
        struct runner *next = runner_next(p->idle);
        runner_free(p->idle);
        p->idle = next;
    }
    nested_free(p);
    for (int k = 0; k < p->n_steps; k++)
        if (p->steps[k].state && p->steps[k].node->op->release)
            p->steps[k].node->op->release(p->steps[k].state);
    pthread_mutex_destroy(&p->lock);
    arena_deinit(&p->arena);
    mem_free(p);
}
