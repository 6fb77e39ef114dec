/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in words: one row per step that runs, with the shapes it works on, the kernel that prepare
 * chose and, when the session keeps times, what it has cost so far.
 *
 * What a plan does not know of late steps is told by a runner that has run it and lies idle. */
#include "plan/explain.h"

#include "plan/nested.h"
#include "plan/runner.h"
#include "plan/walk.h"

#include "base/buf.h"
#include "base/mem.h"

enum { ROW_CAP = 4096 };

struct rows { /* grows on the heap: bodies are counted while they are described */
    struct arena *arena;
    struct session_step *at;
    size_t n, room;
};

struct view { /* of one plan while it is described */
    const struct plan *plan;
    const struct runner *runner; /* NULL: it has not run, or all are running */
    int depth;
};

/* Type and shape, or false: not known. */
static bool operand(const struct view *w, value_id id, struct plan_key *out) {
    const struct value *v = &w->plan->graph->values[id];
    if (v->constant)
        *out = (struct plan_key){v->constant->dtype, v->constant->shape};
    else if (walk_known(v))
        *out = (struct plan_key){v->dtype, v->shape};
    else if (w->runner && w->runner->values[id].dtype != DT_NONE &&
             w->runner->values[id].dtype != DT_SEQUENCE)
        *out = (struct plan_key){w->runner->values[id].dtype, w->runner->values[id].shape};
    else
        return false;
    return true;
}

static void put_operand(struct buf *b, const struct view *w, value_id id) {
    struct plan_key k;
    if (!operand(w, id, &k)) {
        buf_put_text(b, "?");
        return;
    }
    if (k.shape.rank == 0)
        buf_put_text(b, "scalar");
    for (int d = 0; d < k.shape.rank; d++)
        buf_printf(b, "%s%lld", d ? "x" : "", (long long)k.shape.dims[d]);
}

static void put_operands(struct buf *b, const struct view *w, const value_id *ids, int n,
                         const char *before) {
    for (int i = 0; i < n; i++) {
        if (ids[i] == VALUE_NONE)
            continue;
        buf_put_text(b, before);
        put_operand(b, w, ids[i]);
        before = ", ";
    }
}

/* "1x64x56x56, 64x64x3x3 -> 1x64x56x56" */
static struct str shapes_of(const struct view *w, const struct node *n, struct arena *a) {
    struct buf b;
    buf_init(&b, ROW_CAP);
    put_operands(&b, w, n->in, n->n_in, "");
    put_operands(&b, w, n->out, n->n_out, " -> ");
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static const char *const post_names[] = {
    [POST_NONE] = "",
    [POST_RELU] = "relu",
    [POST_CLIP] = "clip",
    [POST_LEAKY_RELU] = "leaky_relu",
    [POST_ELU] = "elu",
    [POST_SIGMOID] = "sigmoid",
    [POST_TANH] = "tanh",
    [POST_HARD_SIGMOID] = "hard_sigmoid",
    [POST_HARD_SWISH] = "hard_swish",
    [POST_SILU] = "silu",
    [POST_GELU_ERF] = "gelu",
    [POST_GELU_TANH] = "gelu_tanh",
    [POST_ADD] = "add",
    [POST_MUL] = "mul",
};

/* "conv+add+relu" */
static struct str op_of(const struct node *n, struct arena *a) {
    struct buf b;
    buf_init(&b, ROW_CAP);
    buf_put_str(&b, n->op_name);
    for (int k = 0; k < n->n_post; k++)
        buf_printf(&b, "+%s", post_names[n->post[k].kind]);
    struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* Every operand once, though it be named twice, and every result. */
static double bytes_of(const struct view *w, const struct node *n) {
    double sum = 0;
    struct plan_key k;
    size_t bytes;
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        value_id id = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        bool again = false;
        for (int j = 0; j < i && i < n->n_in; j++)
            again |= n->in[j] == id;
        if (id != VALUE_NONE && !again && operand(w, id, &k) &&
            shape_bytes(&k.shape, dtype_size(k.dtype), &bytes))
            sum += (double)bytes;
    }
    return sum;
}

static const char *layout_of(const struct graph *g, const struct node *n) {
    bool in = n->n_in && n->in[0] != VALUE_NONE && g->values[n->in[0]].layout == LAYOUT_NHWC;
    bool out = n->n_out && n->out[0] != VALUE_NONE && g->values[n->out[0]].layout == LAYOUT_NHWC;
    return in == out ? (in ? "nhwc" : "plain") : in ? "nhwc -> plain" : "plain -> nhwc";
}

static enum dtype computes(const struct view *w, const struct node *n) {
    struct plan_key k;
    return n->n_in && n->in[0] != VALUE_NONE && operand(w, n->in[0], &k) ? k.dtype : DT_NONE;
}

static struct session_step describe(const struct view *w, int index, struct arena *a) {
    const struct graph *g = w->plan->graph;
    const struct step *s = &w->plan->steps[index];
    const struct late *late = s->late && w->runner ? &w->runner->late[index] : NULL;
    const char *kernel = late ? late->kernel : s->kernel;
    char text[160];
    struct str name = s->node->name.n ? s->node->name : node_label(g, s->node, text);
    return (struct session_step){
        .node = arena_str(a, name),
        .op = op_of(s->node, a),
        .kernel = arena_str(a, str_of(kernel ? kernel : "")),
        .shapes = shapes_of(w, s->node, a),
        .layout = str_of(layout_of(g, s->node)),
        .plan = w->plan->serial,
        .step = index,
        .depth = w->depth,
        .threads = s->threads,
        .late = s->late,
        .computes = computes(w, s->node),
        .flops = late ? late->flops : s->flops,
        .bytes = bytes_of(w, s->node),
        .choice = s->choice,
        .way = s->took,
        .n_ways = s->n_ways,
        .tried = s->tried,
        .calls = atomic_load_explicit(&s->calls, memory_order_relaxed),
        .total_ns = atomic_load_explicit(&s->total_ns, memory_order_relaxed),
        .min_ns = atomic_load_explicit(&s->min_ns, memory_order_relaxed),
    };
}

static bool put_row(struct rows *rows, const struct session_step *row) {
    if (rows->n == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 64;
        struct session_step *at = mem_realloc(rows->at, room * sizeof *at);
        if (!at)
            return false;
        rows->at = at;
        rows->room = room;
    }
    rows->at[rows->n++] = *row;
    return true;
}

static bool put_plan(struct rows *rows, struct plan *p, int depth);

/* Plans of a body, most recently used first. */
static bool put_body(struct rows *rows, const struct plan *p, const struct graph *body, int depth) {
    struct nested *n = nested_find(p, body);
    bool room = true;
    if (!n)
        return true;
    pthread_mutex_lock(&n->shelf.lock);
    for (struct plan *inner = n->shelf.plans; inner && room; inner = inner->next)
        room = !inner->ready || put_plan(rows, inner, depth);
    pthread_mutex_unlock(&n->shelf.lock);
    return room;
}

static bool put_bodies(struct rows *rows, const struct plan *p, const struct node *n, int depth) {
    bool room = true;
    for (int i = 0; i < n->n_attrs && room; i++) {
        const struct attr *a = &n->attrs[i];
        if (a->kind == ATTR_GRAPH)
            room = put_body(rows, p, a->graph, depth);
        for (size_t b = 0; a->kind == ATTR_GRAPHS && b < a->n && room; b++)
            room = put_body(rows, p, a->graphs[b], depth);
    }
    return room;
}

static bool put_steps(struct rows *rows, const struct view *w) {
    for (int k = 0; k < w->plan->n_steps; k++) {
        if (w->plan->steps[k].alias)
            continue;
        struct session_step row = describe(w, k, rows->arena);
        if (!put_row(rows, &row) ||
            !put_bodies(rows, w->plan, w->plan->steps[k].node, w->depth + 1))
            return false;
    }
    return true;
}

/* An idle runner is taken out of the pool meanwhile: its plan's lock is not held for long. */
static bool put_plan(struct rows *rows, struct plan *p, int depth) {
    pthread_mutex_lock(&p->lock);
    struct runner *r = p->idle;
    if (r)
        p->idle = runner_next(r);
    pthread_mutex_unlock(&p->lock);
    bool room = put_steps(rows, &(struct view){p, r, depth});
    if (r)
        runner_give(r);
    return room;
}

enum code explain_plan(struct plan *p, struct arena *a, struct session_step **out, size_t *n,
                       struct err *e) {
    struct rows rows = {.arena = a};
    bool room = put_plan(&rows, p, 0);
    struct session_step *kept = room ? ARENA_ARRAY(a, rows.n + 1, struct session_step) : NULL;
    if (kept && rows.n)
        memcpy(kept, rows.at, rows.n * sizeof *kept);
    mem_free(rows.at);
    if (!kept)
        return arena_fail(a, rows.n * sizeof *kept, "the rows of a plan", e);
    *out = kept;
    *n = rows.n;
    return OK;
}
