/* SPDX-License-Identifier: Apache-2.0 */
/* A session: see session.h. It owns a copy of the model's graph with the passes of PASS_OPEN
 * applied, the shelf of plans and what plans share (struct shop). */
#include "plan/session.h"

#include "plan/explain.h"
#include "plan/pass.h"
#include "plan/rows.h"
#include "plan/run.h"
#include "plan/shelf.h"
#include "plan/walk.h"

#include "base/clock.h"
#include "base/mem.h"

enum { DEFAULT_PLANS = 16, DEFAULT_ITERATIONS = 1000000 };
static const size_t DEFAULT_MEMORY = (size_t)8 << 30, MODEL_CAP = (size_t)16 << 30,
                    PACKS_CAP = (size_t)64 << 30, CRATE_CAP = (size_t)1 << 30;

/* Whether requests may be joined is asked by those who would. */
enum rows { ROWS_UNKNOWN, ROWS_APART, ROWS_TOGETHER };

struct session {
    struct shop shop;
    struct shelf shelf;
    struct arena arena; /* the model's copy and its folded constants */
    struct model *model;
    struct session_io *inputs, *outputs;
    const struct tensor **defaults; /* (n_inputs) of optional inputs */
    size_t n_inputs, n_outputs;
    size_t constant_bytes;
    _Atomic enum rows rows;
    _Atomic bool unsteady;
};

/* --- opening --- */

static bool has_body(const struct graph *g) {
    for (int n = 0; n < g->n_nodes; n++)
        for (int a = 0; a < g->nodes[n].n_attrs; a++)
            if (g->nodes[n].attrs[a].kind == ATTR_GRAPH || g->nodes[n].attrs[a].kind == ATTR_GRAPHS)
                return true;
    return false;
}

static struct session_io describe(const struct value *v) {
    struct session_io io = {
        .name = v->name, .dtype = v->dtype, .shape = v->shape, .optional = v->constant != NULL};
    memcpy(io.dim_names, v->dim_names, sizeof io.dim_names);
    if (v->constant) {
        io.dtype = v->constant->dtype;
        io.shape = v->constant->shape;
    } else if (!v->ranked) {
        io.shape = (struct shape){.rank = -1};
    }
    return io;
}

/* Inputs and outputs as the file declares them; a default leaves the graph, so that nothing is
 * folded into it. */
static enum code describe_ends(struct session *s, struct err *e) {
    struct graph *g = s->model->main;
    s->n_inputs = (size_t)g->n_inputs;
    s->n_outputs = (size_t)g->n_outputs;
    s->inputs = ARENA_ARRAY(&s->arena, s->n_inputs + 1, struct session_io);
    s->outputs = ARENA_ARRAY(&s->arena, s->n_outputs + 1, struct session_io);
    s->defaults = ARENA_ARRAY(&s->arena, s->n_inputs + 1, const struct tensor *);
    if (!s->inputs || !s->outputs || !s->defaults)
        return arena_fail(&s->arena, s->n_inputs * sizeof *s->inputs, "a session", e);
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct value *v = &g->values[g->inputs[i]];
        s->inputs[i] = describe(v);
        s->defaults[i] = v->constant;
        v->constant = NULL;
    }
    for (size_t i = 0; i < s->n_outputs; i++)
        s->outputs[i] = describe(&g->values[g->outputs[i]]);
    return OK;
}

static bool passes_on(const struct node *n) {
    static const char *const names[] = {"identity", "cast", "reshape", "squeeze", "unsqueeze"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(n->op_name, names[i]))
            return n->n_in > 0 && n->n_out > 0 && n->in[0] != VALUE_NONE && n->out[0] != VALUE_NONE;
    return false;
}

/* Rows of the constant table that a node picks with its input 1; 0: it is no such node. */
static int64_t table_rows(const struct graph *g, const struct node *n) {
    if (!str_is(n->op_name, "gather") || n->n_in < 2 || n->in[0] == VALUE_NONE ||
        n->in[1] == VALUE_NONE)
        return 0;
    const struct tensor *table = g->values[n->in[0]].constant;
    const int64_t axis = attr_int(n, "axis", 0);
    return table && axis >= 0 && axis < table->shape.rank ? table->shape.dims[axis] : 0;
}

static enum code find_tables(struct session *s, struct err *e) {
    const struct graph *g = s->model->main;
    struct session_io **from = mem_zalloc((size_t)g->n_values + 1, sizeof(struct session_io *));
    if (!from)
        return fail(e, NOMEM, "no memory for a session");
    for (size_t i = 0; i < s->n_inputs; i++)
        from[g->inputs[i]] = &s->inputs[i];
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = &g->nodes[i];
        const int64_t rows = table_rows(g, n);
        struct session_io *io = rows ? from[n->in[1]] : NULL;
        if (io && (!io->rows || rows < io->rows))
            io->rows = rows;
        if (passes_on(n))
            from[n->out[0]] = from[n->in[0]];
    }
    mem_free(from);
    return OK;
}

static void count_constants(struct session *s) {
    const struct graph *g = s->model->main;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant && g->values[v].origin.file >= 0)
            s->constant_bytes += tensor_bytes(g->values[v].constant);
}

static enum code open_model(struct session *s, const struct model *m, struct err *e) {
    s->model = graph_copy(m, &s->arena);
    if (!s->model)
        return arena_fail(&s->arena, (size_t)m->main->n_values * sizeof(struct value),
                          "a session's graph", e);
    count_constants(s);
    TRY(describe_ends(s, e));
    TRY(find_tables(s, e));
    walk_forget(s->model->main);
    struct pass_terms terms = {&s->arena, s->shop.o.passes_off, s->shop.o.memory_bytes,
                               s->shop.o.precision, &s->shop.packs.crate};
    TRY(pass_all(s->model->main, PASS_OPEN, &terms, e));
    TRY(packs_own(&s->shop.packs, s->model->main, e));
    shelf_init(&s->shelf, &s->shop, s->model, s->shop.o.plans);
    s->shelf.defaults = s->defaults;
    s->unsteady = has_body(s->model->main);
    return OK;
}

enum code session_open(const struct model *m, const struct session_options *o, struct session **out,
                       struct err *e) {
    struct session *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return fail(e, NOMEM, "no memory for a session");
    s->shop.o = o ? *o : (struct session_options){0};
    if (!s->shop.o.memory_bytes)
        s->shop.o.memory_bytes = DEFAULT_MEMORY;
    if (!s->shop.o.loop_limit)
        s->shop.o.loop_limit = DEFAULT_ITERATIONS;
    if (!s->shop.o.plans)
        s->shop.o.plans = DEFAULT_PLANS;
    arena_init(&s->arena, MODEL_CAP);
    packs_init(&s->shop.packs, PACKS_CAP, s->shop.o.keeper);
    slabs_init(&s->shop.slabs);
    pthread_mutex_init(&s->shop.build, NULL);
    enum code code = open_model(s, m, e);
    if (code != OK) {
        session_close(s);
        return code;
    }
    *out = s;
    return OK;
}

void session_close(struct session *s) {
    if (!s)
        return;
    if (s->shelf.shop)
        shelf_deinit(&s->shelf);
    slabs_deinit(&s->shop.slabs);
    packs_deinit(&s->shop.packs);
    pthread_mutex_destroy(&s->shop.build);
    arena_deinit(&s->arena);
    mem_free(s);
}

size_t session_inputs(const struct session *s, const struct session_io **out) {
    *out = s->inputs;
    return s->n_inputs;
}

size_t session_outputs(const struct session *s, const struct session_io **out) {
    *out = s->outputs;
    return s->n_outputs;
}

bool session_batches(struct session *s) {
    enum rows rows = s->rows;
    if (rows == ROWS_UNKNOWN) { /* by two at once: the same answer */
        rows = rows_independent(s->model, s->inputs, s->outputs) ? ROWS_APART : ROWS_TOGETHER;
        s->rows = rows;
    }
    return rows == ROWS_APART;
}

static bool fixed_but_rows(struct session *s) {
    const int first = session_batches(s) ? 1 : 0;
    for (size_t i = 0; i < s->n_inputs; i++) {
        const struct session_io *io = &s->inputs[i];
        if (io->dtype == DT_STRING || io->dtype == DT_SEQUENCE || io->shape.rank < 0)
            return false;
        for (int d = first; d < io->shape.rank; d++)
            if (io->shape.dims[d] < 0)
                return false;
    }
    return true;
}

bool session_steady(struct session *s) {
    return !atomic_load_explicit(&s->unsteady, memory_order_relaxed) && fixed_but_rows(s);
}

/* --- what comes in --- */

static bool shape_matches(const struct shape *want, const struct shape *got) {
    if (want->rank < 0)
        return true;
    bool same = want->rank == got->rank;
    for (int d = 0; same && d < want->rank; d++)
        same = want->dims[d] < 0 || want->dims[d] == got->dims[d];
    return same;
}

static enum code check_input(const struct session_io *io, const struct tensor *t, struct err *e) {
    char want[SHAPE_TEXT], got[SHAPE_TEXT];
    size_t count;
    if (t->dtype == DT_NONE)
        return io->optional ? OK : fail(e, INVALID, "input '%.*s' is missing", STR(io->name));
    /* an optional is declared as a sequence and passed as what it holds */
    bool any = io->dtype == DT_SEQUENCE;
    if (!any && (t->dtype != io->dtype || !shape_matches(&io->shape, &t->shape)))
        return fail(e, INVALID, "input '%.*s': expected %s %s, got %s %s", STR(io->name),
                    dtype_name(io->dtype),
                    io->shape.rank < 0 ? "of any shape" : shape_print(&io->shape, want),
                    dtype_name(t->dtype), shape_print(&t->shape, got));
    if (t->dtype != DT_SEQUENCE &&
        (!shape_count(&t->shape, &count) || (count && !t->data) || t->layout != LAYOUT_PLAIN))
        return fail(e, INVALID, "input '%.*s': %s %s is not a tensor", STR(io->name),
                    dtype_name(t->dtype), shape_print(&t->shape, got));
    return OK;
}

static bool misaligned(const struct tensor *t) {
    size_t unit = t->dtype == DT_STRING ? sizeof(void *) : dtype_size(t->dtype);
    return t->data && unit > 1 && unit <= MEM_LINE &&
           (uintptr_t)t->data % (unit > 8 ? 8 : unit) != 0;
}

/* Numbers at odd addresses, as they lie in a message: copied, so that no operator needs to care. */
static enum code align_inputs(const struct session *s, const struct tensor **inputs,
                              struct area *area, struct err *e) {
    struct tensor *own = NULL;
    for (size_t i = 0; i < s->n_inputs; i++) {
        const struct tensor *t = &(*inputs)[i];
        if (!misaligned(t))
            continue;
        if (!own) {
            if (!(own = area_push(area, s->n_inputs * sizeof *own)))
                return fail(e, LIMIT, "inputs need more than the run's limit of memory");
            memcpy(own, *inputs, s->n_inputs * sizeof *own);
            *inputs = own;
        }
        void *copy = area_push(area, tensor_bytes(t));
        if (!copy)
            return fail(e, LIMIT, "inputs need more than the run's limit of memory");
        memcpy(copy, t->data, tensor_bytes(t));
        own[i].data = copy;
    }
    return OK;
}

/* --- running --- */

static enum code run_on(struct session *s, struct runner *r, const struct session_ask *ask,
                        struct area_meter *meter, struct err *e) {
    const struct tensor *inputs = ask->inputs;
    area_reset(&r->area, s->shop.o.memory_bytes - r->plan->slab_bytes, meter);
    TRY(align_inputs(s, &inputs, &r->area, e));
    struct run_terms terms = {.cancel = ask->cancel,
                              .deadline_ns = ask->deadline_ns,
                              .seed = ask->seed,
                              .area = &r->area,
                              .meter = meter,
                              .trace = ask->trace};
    TRY(run_check(&terms, e));
    return run_plan(r, inputs, &terms, e);
}

/* The plan of an ask whose inputs are what they should be; shelf_give must follow. */
static enum code plan_for(struct session *s, const struct session_ask *ask, struct plan **out,
                          struct err *e) {
    for (size_t i = 0; i < s->n_inputs; i++)
        TRY(check_input(&s->inputs[i], &ask->inputs[i], e));
    struct plan_ask what = {ask->inputs, ask->want, ask->threads > 0 ? ask->threads : 1};
    return shelf_take(&s->shelf, &what, out, e);
}

enum code session_begin(struct session *s, const struct session_ask *ask, struct session_run *run,
                        struct err *e) {
    struct plan *p;
    struct runner *r;
    TRY(plan_for(s, ask, &p, e));
    if (p->has_late)
        atomic_store_explicit(&s->unsteady, true, memory_order_relaxed);
    enum code code = runner_take(p, &r, e);
    if (code != OK) {
        shelf_give(&s->shelf, p);
        return code;
    }
    struct area_meter meter = {0};
    area_meter_add(&meter, p->slab_bytes);
    uint64_t began = clock_ns();
    code = run_on(s, r, ask, &meter, e);
    r->area.meter = NULL;
    if (code != OK) {
        runner_give(r);
        shelf_give(&s->shelf, p);
        return code;
    }
    *run = (struct session_run){r->outputs, r, clock_ns() - began, meter.peak};
    return OK;
}

void session_end(struct session *s, struct session_run *run) {
    struct runner *r = run->runner;
    if (!r)
        return;
    struct plan *p = r->plan;
    runner_give(r);
    shelf_give(&s->shelf, p);
    *run = (struct session_run){0};
}

/* --- looking --- */

enum code session_predict(struct session *s, const struct session_ask *ask,
                          struct session_needs *out, struct err *e) {
    struct plan *p;
    TRY(plan_for(s, ask, &p, e));
    *out = (struct session_needs){.slab_bytes = p->slab_bytes, .live_bytes = p->live_bytes};
    for (int k = 0; k < p->n_steps; k++)
        out->late += p->steps[k].late;
    shelf_give(&s->shelf, p);
    return OK;
}

enum code session_explain(struct session *s, const struct session_ask *ask, struct arena *a,
                          struct session_step **out, size_t *n, struct err *e) {
    struct plan *p;
    TRY(plan_for(s, ask, &p, e));
    enum code code = explain_plan(p, a, out, n, e);
    shelf_give(&s->shelf, p);
    return code;
}

void session_memory(struct session *s, struct session_memory *out) {
    *out = (struct session_memory){.constant_bytes = s->constant_bytes,
                                   .slab_bytes = slabs_total(&s->shop.slabs)};
    pthread_mutex_lock(&s->shop.build);
    out->packed_bytes = s->shop.packs.bytes;
    pthread_mutex_unlock(&s->shop.build);
    pthread_mutex_lock(&s->shelf.lock);
    for (struct plan *p = s->shelf.plans; p; p = p->next) {
        pthread_mutex_lock(&p->lock);
        out->plans++;
        out->runners += p->n_runners;
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&s->shelf.lock);
}

/* --- keeping packed weights --- */

static size_t list_made(struct session *s, struct packs_made *out, size_t room) {
    pthread_mutex_lock(&s->shop.build);
    size_t n = packs_made(&s->shop.packs, out, room);
    pthread_mutex_unlock(&s->shop.build);
    return n < room || !room ? n : room;
}

/* What goes into the version's crate. b NULL: only counted. */
static enum code fill_crate(struct session *s, struct buf *b, size_t *added, struct err *e) {
    pthread_mutex_lock(&s->shop.build);
    enum code code = packs_crate(&s->shop.packs, b, added, e);
    pthread_mutex_unlock(&s->shop.build);
    return code;
}

size_t session_unkept(struct session *s) {
    struct err ignored;
    size_t added;
    return list_made(s, NULL, 0) + (fill_crate(s, NULL, &added, &ignored) == OK ? added : 0);
}

static enum code keep_crate(struct session *s, struct err *e) {
    struct buf b;
    size_t added;
    buf_init(&b, CRATE_CAP);
    enum code code = fill_crate(s, &b, &added, e);
    if (code == OK && added)
        code = packs_keep_crate(&s->shop.packs, (struct span){(const uint8_t *)b.p, b.n}, e);
    buf_deinit(&b);
    return code;
}

enum code session_keep(struct session *s, const atomic_bool *stop, struct err *e) {
    size_t n = list_made(s, NULL, 0);
    struct packs_made *made = n ? mem_zalloc(n, sizeof *made) : NULL;
    if (n && !made)
        return fail(e, NOMEM, "no memory for a list of packed weights");
    n = n ? list_made(s, made, n) : 0;
    struct keeper *k = s->shop.o.keeper;
    enum code code = OK;
    for (size_t i = 0; i < n && code == OK && !atomic_load(stop); i++)
        code = k->keep(k, &made[i].pack, made[i].data, e);
    mem_free(made);
    return code == OK && !atomic_load(stop) ? keep_crate(s, e) : code;
}
