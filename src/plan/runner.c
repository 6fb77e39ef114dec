/* SPDX-License-Identifier: Apache-2.0 */
/* Runners: see runner.h. Everything but the slab is allocated once, when the runner is made. */
#include "plan/runner.h"

#include "plan/nested.h"

#include "base/mem.h"

enum { RUNNER_CAP = 1 << 30, LATE_CAP = 1 << 30 };

struct runner *runner_next(const struct runner *r) {
    return r->next;
}

static void link_operands(struct runner *r) {
    const struct plan *p = r->plan;
    for (int k = 0; k < p->n_steps; k++) {
        const struct step *s = &p->steps[k];
        for (int i = 0; i < s->node->n_in; i++)
            if (s->node->in[i] != VALUE_NONE)
                r->in[s->first_in + i] = &r->values[s->node->in[i]];
        for (int i = 0; i < s->node->n_out; i++)
            if (s->node->out[i] != VALUE_NONE)
                r->out[s->first_out + i] = &r->values[s->node->out[i]];
    }
}

static void describe_values(struct runner *r) {
    const struct graph *g = r->plan->graph;
    for (int v = 0; v < g->n_values; v++) {
        const struct value *value = &g->values[v];
        if (value->constant)
            r->values[v] = *value->constant;
        else if (r->plan->places[v].kind != PLACE_LATE)
            r->values[v] = (struct tensor){value->dtype, value->layout, value->shape, NULL};
        if (!value->constant && r->plan->places[v].kind == PLACE_CONSTANT) /* a view of one */
            r->values[v].data = g->values[r->plan->places[v].root].constant->data;
    }
}

static bool make_late(struct runner *r) {
    const struct plan *p = r->plan;
    if (!p->has_late)
        return true;
    r->late = ARENA_ARRAY(&r->arena, (size_t)p->n_steps + 1, struct late);
    for (int k = 0; r->late && k < p->n_steps; k++) {
        const struct node *n = p->steps[k].node;
        r->late[k].n = -1;
        arena_init(&r->late[k].arena, LATE_CAP);
        r->late[k].seen = ARENA_ARRAY(&r->arena, (size_t)(n->n_in + n->n_out) + 1, struct plan_key);
        if (!r->late[k].seen)
            return false;
    }
    return r->late != NULL;
}

static size_t widest_body(const struct plan *p) {
    size_t n = 0;
    for (const struct nested *b = p->nested; b; b = b->next)
        if ((size_t)(b->n_formal + b->n_captures) > n)
            n = (size_t)(b->n_formal + b->n_captures);
    return n;
}

static struct runner *new_runner(struct plan *p) {
    struct runner *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->plan = p;
    arena_init(&r->arena, RUNNER_CAP);
    area_init(&r->area);
    r->values = ARENA_ARRAY(&r->arena, (size_t)p->graph->n_values + 1, struct tensor);
    r->in = ARENA_ARRAY(&r->arena, (size_t)p->n_in + 1, const struct tensor *);
    r->out = ARENA_ARRAY(&r->arena, (size_t)p->n_out + 1, struct tensor *);
    r->outputs = ARENA_ARRAY(&r->arena, (size_t)p->n_outputs + 1, struct tensor);
    r->captured = ARENA_ARRAY(&r->arena, widest_body(p) + 1, struct tensor);
    if (!r->values || !r->in || !r->out || !r->outputs || !r->captured || !make_late(r)) {
        runner_free(r);
        return NULL;
    }
    describe_values(r);
    link_operands(r);
    return r;
}

/* Points the values of the slab into the one at hand: a few hundred additions, only when it is
 * another than last time. */
static void bind_slab(struct runner *r) {
    const struct plan *p = r->plan;
    if (r->bound == r->slab->data)
        return;
    r->bound = r->slab->data;
    for (int k = 0; k < p->n_in_slab; k++) {
        value_id v = p->in_slab[k];
        r->values[v].data = (char *)r->bound + p->places[v].offset;
    }
}

enum code runner_take(struct plan *p, struct runner **out, struct err *e) {
    pthread_mutex_lock(&p->lock);
    struct runner *r = p->idle;
    if (r)
        p->idle = r->next;
    pthread_mutex_unlock(&p->lock);
    if (!r) {
        if (!(r = new_runner(p)))
            return fail(e, NOMEM, "no memory for a runner");
        pthread_mutex_lock(&p->lock);
        p->n_runners++;
        pthread_mutex_unlock(&p->lock);
    }
    r->slab = slabs_take(&p->shop->slabs, p->slab_bytes ? p->slab_bytes : 1);
    if (!r->slab) {
        runner_give(r);
        return fail(e, NOMEM, "no memory for a run: %zu bytes", p->slab_bytes);
    }
    bind_slab(r);
    *out = r;
    return OK;
}

void runner_give(struct runner *r) {
    struct plan *p = r->plan;
    slabs_give(&p->shop->slabs, r->slab);
    r->slab = NULL;
    pthread_mutex_lock(&p->lock);
    r->next = p->idle;
    p->idle = r;
    pthread_mutex_unlock(&p->lock);
}

void runner_free(struct runner *r) {
    const struct plan *p = r->plan;
    for (int k = 0; r->late && k < p->n_steps; k++) {
        if (r->late[k].state && p->steps[k].node->op->release)
            p->steps[k].node->op->release(r->late[k].state);
        arena_deinit(&r->late[k].arena);
    }
    area_deinit(&r->area);
    arena_deinit(&r->arena);
    mem_free(r);
}
