/* SPDX-License-Identifier: Apache-2.0 */
/* The executor. A static step has everything decided: its operands lie at fixed places, its state
 * is prepared. A late step repeats infer with the data at hand, takes memory from the run's area
 * and prepares itself, or uses what it prepared when the last run of this runner had the same
 * shapes.
 *
 * 1. A static step allocates nothing.
 * 2. Between two steps the run may be cancelled or time out; loops ask once per iteration.
 * 3. What a body answers is copied into the outermost run's area: the body's runner goes back at
 * once. */
#include "plan/run.h"

#include "plan/nested.h"
#include "plan/pocket.h"
#include "plan/walk.h"

#include "base/clock.h"
#include "base/mem.h"

#include <omp.h>

/* All bodies of a run together, in times of the limit of one loop: loops within loops end too. */
enum { BODIES_PER_LIMIT = 64 };

struct run {
    struct op_host host; /* first: operators hand it back */
    struct runner *r;
    struct run_terms *terms;
};

/* --- what the executor offers to operators --- */

static void *host_alloc(struct op_host *h, size_t bytes) {
    return area_push(((struct run *)h)->terms->area, bytes);
}

enum code run_check(const struct run_terms *t, struct err *e) {
    if (t->cancel && __atomic_load_n(t->cancel, __ATOMIC_RELAXED))
        return fail(e, CANCELLED, "the run was cancelled");
    if (t->deadline_ns && clock_ns() > t->deadline_ns)
        return fail(e, TIMEOUT, "the run passed its deadline");
    return OK;
}

static enum code host_check(struct op_host *h, struct err *e) {
    return run_check(((struct run *)h)->terms, e);
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t host_random(struct op_host *h) {
    uint64_t z = ((struct run *)h)->terms->seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void *host_pocket_open(struct op_host *h) { return pocket_open(((struct run *)h)->terms); }
static void host_pocket_enter(void *p) { pocket_enter(p); }
static void host_pocket_leave(void *p) { pocket_leave(p); }
static enum code host_pocket_keep(void *p, struct tensor *values, int n, struct err *e) {
    return pocket_keep(p, values, n, e);
}
static void host_pocket_close(void *p) { pocket_close(p); }

/* A copy in the area. Elements that are texts or sequences point into the area, constants or
 * inputs, which live as long. */
static enum code keep(struct area *area, const struct tensor *from, struct tensor *to,
                      struct err *e) {
    size_t bytes = from->dtype == DT_SEQUENCE ? sizeof(struct sequence) : tensor_bytes(from);
    *to = *from;
    if (!from->data)
        return OK;
    to->data = area_push(area, bytes);
    if (!to->data)
        return fail(e, LIMIT, "a run needs more than its limit of memory (%zu bytes)",
                    area->cap_bytes);
    memcpy(to->data, from->data, bytes);
    return OK;
}

static enum code keep_outputs(struct run *x, const struct runner *inner, struct tensor *outputs,
                              struct err *e) {
    const struct plan *p = inner->plan;
    for (int i = 0; i < p->n_outputs; i++) {
        outputs[i] = inner->outputs[i];
        value_id v = p->graph->outputs[i];
        if (v != VALUE_NONE && p->places[v].kind != PLACE_LATE)
            TRY(keep(x->terms->area, &inner->outputs[i], &outputs[i], e));
    }
    return OK;
}

static enum code run_body(struct run *x, struct nested *n, struct tensor *outputs, struct err *e) {
    struct plan *p;
    struct runner *inner;
    struct plan_ask ask = {.inputs = x->r->captured, .threads = x->r->plan->threads};
    TRY(shelf_take(&n->shelf, &ask, &p, e));
    enum code code = runner_take(p, &inner, e);
    if (code == OK) {
        area_meter_add(x->terms->meter, p->slab_bytes);
        code = run_plan(inner, x->r->captured, x->terms, e);
        if (code == OK)
            code = keep_outputs(x, inner, outputs, e);
        x->terms->meter->now -= p->slab_bytes;
        runner_give(inner);
    }
    shelf_give(&n->shelf, p);
    return code;
}

static enum code host_run_graph(struct op_host *h, const struct op_call *call,
                                const struct graph *g, const struct tensor *const *inputs,
                                struct tensor *outputs, struct err *e) {
    struct run *x = (struct run *)h;
    struct nested *n = nested_find(x->r->plan, g);
    (void)call;
    if (!n)
        return fail(e, INTERNAL, "a body that the plan does not know");
    if (x->terms->bodies++ / BODIES_PER_LIMIT >= x->host.loop_limit)
        return fail(e, LIMIT, "the loops of a run go round more than %d times %llu times",
                    BODIES_PER_LIMIT, (unsigned long long)x->host.loop_limit);
    for (int i = 0; i < n->n_formal; i++)
        x->r->captured[i] = inputs && inputs[i] ? *inputs[i] : (struct tensor){0};
    for (int i = 0; i < n->n_captures; i++)
        x->r->captured[n->n_formal + i] = x->r->values[n->captures[i]];
    enum code code = run_body(x, n, outputs, e);
    omp_set_num_threads(x->r->plan->threads);
    return code;
}

/* --- late steps --- */

static void know_operands(const struct run *x, const struct step *s, struct op_value *in) {
    for (int i = 0; i < s->node->n_in; i++) {
        const struct tensor *t = x->r->in[s->first_in + i];
        if (t && t->dtype != DT_NONE)
            in[i] = (struct op_value){t->dtype, true, t->shape, t->layout, t};
    }
}

static enum code late_output(struct run *x, const struct step *s, int i, const struct op_value *v,
                             struct err *e) {
    struct tensor *to = x->r->out[s->first_out + i];
    const struct graph *g = x->r->plan->graph;
    char text[160];
    size_t bytes;
    if (!to)
        return OK;
    if (!v->known || !shape_bytes(&v->shape, dtype_size(v->dtype), &bytes))
        return fail(e, INVALID, "%.*s: the shape of output %d cannot be told from its inputs",
                    STR(node_label(g, s->node, text)), i);
    *to = (struct tensor){v->dtype, LAYOUT_PLAIN, v->shape, area_push(x->terms->area, bytes)};
    if (!to->data)
        return fail(e, LIMIT, "%.*s: the run needs more than its limit of memory (%zu bytes)",
                    STR(node_label(g, s->node, text)), x->terms->area->cap_bytes);
    return OK;
}

static bool same_operands(const struct late *l, const struct node *n, const struct op_value *in,
                          const struct op_value *out) {
    if (l->n != n->n_in + n->n_out)
        return false;
    for (int i = 0; i < l->n; i++) {
        const struct op_value *v = i < n->n_in ? &in[i] : &out[i - n->n_in];
        if (l->seen[i].dtype != v->dtype || !shape_eq(&l->seen[i].shape, &v->shape))
            return false;
    }
    return true;
}

/* Prepared state depends on types and shapes only, except where infer reads data; such operators
 * prepare nothing. */
static enum code late_prepare(struct run *x, const struct step *s, struct late *l,
                              struct op_value *in, struct op_value *out, struct err *e) {
    const struct node *n = s->node;
    if (!n->op->prepare || same_operands(l, n, in, out))
        return OK;
    if (l->state && n->op->release)
        n->op->release(l->state);
    l->state = NULL;
    l->n = -1;
    arena_deinit(&l->arena);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] == VALUE_NONE || !x->r->plan->graph->values[n->in[i]].constant)
            in[i].data = NULL; /* as in a plan: only constants may be packed */
    struct op_prepare c = {.graph = x->r->plan->graph,
                           .node = n,
                           .in = in,
                           .out = out,
                           .arena = &l->arena,
                           .threads = s->threads};
    TRY(n->op->prepare(&c, e));
    l->state = c.state;
    l->scratch_bytes = c.scratch_bytes;
    l->kernel = c.kernel;
    l->flops = c.flops;
    l->n = n->n_in + n->n_out;
    for (int i = 0; i < l->n; i++) {
        const struct op_value *v = i < n->n_in ? &in[i] : &out[i - n->n_in];
        l->seen[i] = (struct plan_key){v->dtype, v->shape};
    }
    return OK;
}

static enum code late_infer(struct run *x, const struct step *s, struct arena *scratch,
                            struct op_call *call, struct err *e) {
    const struct node *n = s->node;
    struct late *l = &x->r->late[s - x->r->plan->steps];
    struct op_value *in = ARENA_ARRAY(scratch, (size_t)n->n_in + 1, struct op_value);
    struct op_value *out = ARENA_ARRAY(scratch, (size_t)n->n_out + 1, struct op_value);
    if (!in || !out)
        return arena_fail(scratch, (size_t)n->n_in * sizeof *in, "operands of a node", e);
    know_operands(x, s, in);
    struct op_infer infer = {
        .graph = x->r->plan->graph, .node = n, .in = in, .out = out, .scratch = scratch};
    TRY(n->op->infer(&infer, e));
    if (n->op->flags & OP_DYNAMIC)
        return OK; /* it makes its outputs itself; infer has checked its operands */
    for (int i = 0; i < n->n_out; i++)
        TRY(late_output(x, s, i, &out[i], e));
    TRY(late_prepare(x, s, l, in, out, e));
    call->state = l->state;
    if (l->scratch_bytes && !(call->scratch = area_push(x->terms->area, l->scratch_bytes)))
        return fail(e, LIMIT, "a run needs more than its limit of memory (%zu bytes)",
                    x->terms->area->cap_bytes);
    return OK;
}

static enum code run_late(struct run *x, const struct step *s, struct op_call *call,
                          struct err *e) {
    const struct node *n = s->node;
    for (int i = 0; i < n->n_out; i++)
        if (x->r->out[s->first_out + i])
            *x->r->out[s->first_out + i] = (struct tensor){0};
    struct arena scratch; /* a few pages of the heap: the path of late steps may allocate */
    arena_init(&scratch, 64 << 20);
    enum code code = late_infer(x, s, &scratch, call, e);
    arena_deinit(&scratch);
    if (code != OK)
        return code;
    return n->op->run(call, e);
}

/* --- the walk over the steps --- */

static void note_event(struct session_trace *t, const struct session_event *event) {
    if (t->n == t->room)
        t->lost++;
    else
        t->events[t->n++] = *event;
}

static void note_time(struct step *s, uint64_t ns) {
    atomic_fetch_add_explicit(&s->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->total_ns, ns, memory_order_relaxed);
    uint64_t least = atomic_load_explicit(&s->min_ns, memory_order_relaxed);
    while ((!least || ns < least) &&
           !atomic_compare_exchange_weak_explicit(&s->min_ns, &least, ns, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

static enum code run_step(struct run *x, const struct step *s, struct err *e) {
    struct runner *r = x->r;
    struct op_call call = {.graph = r->plan->graph,
                           .node = s->node,
                           .state = s->state,
                           .in = r->in + s->first_in,
                           .out = r->out + s->first_out,
                           .scratch =
                               s->scratch_bytes ? (char *)r->bound + r->plan->scratch_offset : NULL,
                           .threads = s->threads,
                           .ahead = s->ahead,
                           .host = &x->host};
    return s->late ? run_late(x, s, &call, e) : s->node->op->run(&call, e);
}

static enum code run_steps(struct run *x, struct err *e) {
    struct plan *p = x->r->plan;
    bool watched = x->terms->cancel || x->terms->deadline_ns, profile = p->shop->o.profile;
    int team = 0;
    for (int k = 0; k < p->n_steps; k++) {
        struct step *s = &p->steps[k];
        if (s->alias)
            continue;
        if (watched && k) /* whoever began the run has looked just now */
            TRY(run_check(x->terms, e));
        if (s->threads != team)
            omp_set_num_threads(team = s->threads);
        uint64_t began = profile ? clock_ns() : 0;
        TRY(run_step(x, s, e));
        if (!profile)
            continue;
        uint64_t ns = clock_ns() - began;
        note_time(s, ns);
        if (x->terms->trace)
            note_event(x->terms->trace, &(struct session_event){p->serial, k, began, ns});
    }
    return OK;
}

static void bind_inputs(struct runner *r, const struct tensor *inputs) {
    const struct plan *p = r->plan;
    for (int k = 0; k < p->n_in_inputs; k++) {
        value_id v = p->in_inputs[k];
        r->values[v].data = inputs[p->places[v].input].data;
    }
}

static void hand_out(struct runner *r) {
    const struct plan *p = r->plan;
    for (int i = 0; i < p->n_outputs; i++) {
        value_id v = p->graph->outputs[i];
        r->outputs[i] = v == VALUE_NONE ? (struct tensor){0} : r->values[v];
    }
    for (int k = 0; k < p->n_copies; k++) {
        const struct plan_copy *c = &p->copies[k];
        void *to = (char *)r->bound + c->offset;
        if (c->bytes)
            memcpy(to, r->outputs[c->output].data, c->bytes);
        r->outputs[c->output].data = to;
    }
}

enum code run_plan(struct runner *r, const struct tensor *inputs, struct run_terms *terms,
                   struct err *e) {
    struct run x = {.host = {.alloc = host_alloc,
                             .run_graph = host_run_graph,
                             .check = host_check,
                             .random = host_random,
                             .pocket_open = host_pocket_open,
                             .pocket_enter = host_pocket_enter,
                             .pocket_leave = host_pocket_leave,
                             .pocket_keep = host_pocket_keep,
                             .pocket_close = host_pocket_close,
                             .loop_limit = r->plan->shop->o.loop_limit},
                    .r = r,
                    .terms = terms};
    bind_inputs(r, inputs);
    TRY(run_steps(&x, e));
    hand_out(r);
    return OK;
}
