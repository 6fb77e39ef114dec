/* SPDX-License-Identifier: Apache-2.0 */
/* Constant folding: a pure node whose inputs are all known is run once, now, and its outputs become
 * constants. In a plan, where input shapes are known, this swallows the shape arithmetic of
 * exporters (Shape, Gather, Concat, Range, ...).
 *
 * 1. What folding makes is bounded: an output may be 8 times its inputs, or 1 MiB, and all of them
 * r->budget. So is what it does: an element read or written is an operation, and so are those that
 * the operator counts; all of them may be r->work. What takes longer than its count explains is
 * charged by this thread's clock. A node that comes too late stays.
 * 2. A node that fails here is left alone: it fails again, with its message, when it really runs.
 * 3. Round 0 of a session leaves DequantizeLinear of constants for the qdq pass to see. */
#include "base/clock.h"
#include "plan/pass.h"
#include "plan/trial.h"
#include "plan/walk.h"

enum { SCRATCH_CAP = 256 << 20, SMALL_BYTES = 1 << 20, GROWTH = 8 };
enum { SLOW_NS = 4 }; /* the most that an operation takes, by far */

/* Shape and Size read no data: a known shape is as good as a constant. */
static bool reads_shape_only(const struct node *n) {
    return str_is(n->op_name, "shape") || str_is(n->op_name, "size");
}

static bool inputs_known(const struct node *n, const struct op_value *in) {
    if (reads_shape_only(n))
        return n->n_in == 1 && in[0].known;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != VALUE_NONE && !in[i].data)
            return false;
    return true;
}

struct extent {
    size_t in, out;  /* bytes */
    double elements; /* of both */
};

/* false: something is not known, or its bytes are not all. */
static bool extent_of(const struct node *n, const struct walk_values *w, struct extent *x) {
    size_t bytes, count;
    *x = (struct extent){0};
    for (int i = 0; i < n->n_in; i++)
        if (w->in[i].known && shape_count(&w->in[i].shape, &count) &&
            mul_size(count, dtype_size(w->in[i].dtype), &bytes)) {
            x->in += bytes;
            x->elements += reads_shape_only(n) ? 0 : (double)count;
        }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == VALUE_NONE)
            continue;
        if (!w->out[i].known || w->out[i].dtype == DT_STRING || w->out[i].dtype == DT_SEQUENCE ||
            !shape_count(&w->out[i].shape, &count) ||
            !mul_size(count, dtype_size(w->out[i].dtype), &bytes))
            return false;
        x->out += bytes;
        x->elements += (double)count;
    }
    return true;
}

static bool fits(const struct pass_run *r, const struct extent *x) {
    size_t limit = x->in * GROWTH > SMALL_BYTES ? x->in * GROWTH : SMALL_BYTES;
    if (r->stage == PASS_OPEN)
        limit = r->budget;
    return x->out <= limit && x->out <= r->budget;
}

static bool foldable(struct pass_run *r, const struct node *n, const struct walk_values *w,
                     struct extent *x) {
    unsigned flags = n->op->flags;
    if (!(flags & OP_PURE) || flags & (OP_DYNAMIC | OP_RANDOM) || n->n_post || n->n_out < 1)
        return false;
    if (!inputs_known(n, w->in) || !extent_of(n, w, x) || !fits(r, x))
        return false;
    if (r->stage == PASS_OPEN && r->round == 0 && str_is(n->op_name, "dequantize_linear")) {
        r->changed = true; /* asks for the round that folds it */
        return false;
    }
    return true;
}

/* of: where they are from, when they are the same bytes; NULL: made here. */
static void become_constant(struct rewire *w, struct node *n, const struct tensor *out,
                            const struct value *of) {
    struct graph *g = w->g;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == VALUE_NONE)
            continue;
        struct value *v = &g->values[n->out[i]];
        struct tensor *t = ARENA_NEW(w->arena, struct tensor);
        if (!t) {
            w->full = true;
            return;
        }
        *t = out[i];
        v->constant = t;
        v->dtype = t->dtype;
        v->ranked = true;
        v->shape = t->shape;
        v->origin = of ? of->origin : (struct origin){.file = -1};
        v->made = of ? of->made : (struct provenance){0};
        v->producer = NODE_NONE;
    }
    rewire_drop(w, n);
}

/* A view shares the bytes: weights that are only reshaped stay in the file's map. */
static enum code make_view(const struct op_value *in, const struct op_value *made,
                           struct tensor *out) {
    *out = *in->data;
    out->shape = made->shape;
    return OK;
}

/* Runs the node once, and takes what that was off r->work. */
static enum code work_out(struct pass_run *r, struct trial *t, const struct extent *x,
                          struct tensor *out) {
    struct err ignored;
    const uint64_t began = clock_cpu_ns();
    const enum code code = trial_run(t, out, &ignored);
    const double counted = x->elements + (code == ERR_LIMIT ? 0 : t->flops),
                 timed = (double)(clock_cpu_ns() - began) / SLOW_NS;
    r->work -= counted > timed ? counted : timed;
    return code;
}

static enum code fold_node(struct pass_run *r, struct rewire *w, struct node *n,
                           struct arena *scratch, const struct walk_values *known,
                           const struct extent *x) {
    const struct tensor **in = ARENA_ARRAY(scratch, (size_t)n->n_in + 1, const struct tensor *);
    struct tensor *out = ARENA_ARRAY(scratch, (size_t)n->n_out + 1, struct tensor);
    struct tensor *shaped = ARENA_NEW(scratch, struct tensor);
    if (!in || !out || !shaped)
        return OK;
    for (int i = 0; i < n->n_in; i++)
        in[i] = known->in[i].data;
    if (n->n_in && !in[0] && n->in[0] != VALUE_NONE) {
        *shaped = (struct tensor){
            .dtype = known->in[0].dtype, .shape = known->in[0].shape, .data = shaped};
        in[0] = shaped;
    }
    struct trial t = {r->graph, n, in, known->in, known->out, r->arena, r->work - x->elements, 0};
    struct arena_mark mark = arena_mark(r->arena);
    bool view = n->op->flags & OP_VIEW && n->n_out == 1 && known->in[0].data;
    if (!view && t.most < 0)
        return OK;
    enum code code = view ? make_view(&known->in[0], &known->out[0], out) : work_out(r, &t, x, out);
    if (code != OK) {
        arena_reset(r->arena, mark);
        return OK;
    }
    for (int i = 0; i < n->n_out && !view; i++)
        if (n->out[i] != VALUE_NONE)
            r->budget -= tensor_bytes(&out[i]);
    become_constant(w, n, out, view ? &r->graph->values[n->in[0]] : NULL);
    return OK;
}

static enum code visit(struct pass_run *r, struct rewire *w, struct node *n, struct arena *scratch,
                       struct err *e) {
    TRY(walk_node(r->graph, n, scratch, e));
    struct walk_values known;
    TRY(walk_values(r->graph, n, scratch, &known, e));
    struct extent x;
    return foldable(r, n, &known, &x) ? fold_node(r, w, n, scratch, &known, &x) : OK;
}

static enum code run(struct pass_run *r, struct err *e) {
    struct rewire w;
    struct arena scratch;
    TRY(rewire_open(&w, r->graph, r->arena, e));
    arena_init(&scratch, SCRATCH_CAP);
    struct arena_mark mark = arena_mark(&scratch);
    enum code code = OK;
    for (node_id id = 0; id < r->graph->n_nodes && code == OK; id++) {
        struct node *n = rewire_visit(&w, id);
        if (n)
            code = visit(r, &w, n, &scratch, e);
        arena_reset(&scratch, mark);
    }
    arena_deinit(&scratch);
    struct err closing;
    enum code closed = rewire_close(&w, &r->changed, code == OK ? e : &closing);
    return code == OK ? closed : code;
}

const struct pass pass_fold = {.name = "fold", .stages = PASS_OPEN | PASS_PLAN, .run = run};
