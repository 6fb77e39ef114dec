/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in words: one row per step that runs, with the shapes it works on, the kernel that prepare
 * chose and, when the session keeps times, what it has cost so far. */
#include "plan/explain.h"

#include "plan/walk.h"

#include "base/buf.h"

enum { ROW_CAP = 4096 };

static void put_shape(struct buf *b, const struct value *v) {
    const struct shape *s = v->constant ? &v->constant->shape : &v->shape;
    if (!walk_known(v)) {
        buf_put_text(b, "?");
        return;
    }
    if (s->rank == 0)
        buf_put_text(b, "scalar");
    for (int d = 0; d < s->rank; d++)
        buf_printf(b, "%s%lld", d ? "x" : "", (long long)s->dims[d]);
}

/* "1x64x56x56, 64x64x3x3 -> 1x64x56x56" */
static struct str shapes_of(const struct graph *g, const struct node *n, struct arena *a) {
    struct buf b;
    buf_init(&b, ROW_CAP);
    const char *between = "";
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == VALUE_NONE)
            continue;
        buf_put_text(&b, between);
        put_shape(&b, &g->values[n->in[i]]);
        between = ", ";
    }
    between = " -> ";
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == VALUE_NONE)
            continue;
        buf_put_text(&b, between);
        put_shape(&b, &g->values[n->out[i]]);
        between = ", ";
    }
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

static double bytes_of(const struct graph *g, const struct node *n) {
    double sum = 0;
    size_t bytes;
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        value_id id = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        if (id == VALUE_NONE || !walk_known(&g->values[id]))
            continue;
        const struct value *v = &g->values[id];
        if (shape_bytes(v->constant ? &v->constant->shape : &v->shape,
                        dtype_size(v->constant ? v->constant->dtype : v->dtype), &bytes))
            sum += (double)bytes;
    }
    return sum;
}

static const char *layout_of(const struct graph *g, const struct node *n) {
    bool in = n->n_in && n->in[0] != VALUE_NONE && g->values[n->in[0]].layout == LAYOUT_NHWC;
    bool out = n->n_out && n->out[0] != VALUE_NONE && g->values[n->out[0]].layout == LAYOUT_NHWC;
    return in == out ? (in ? "nhwc" : "plain") : in ? "nhwc -> plain" : "plain -> nhwc";
}

static void describe_step(const struct plan *p, const struct step *s, struct arena *a,
                          struct session_step *row) {
    const struct graph *g = p->graph;
    char text[160];
    struct str name = s->node->name.n ? s->node->name : node_label(g, s->node, text);
    *row = (struct session_step){
        .node = arena_str(a, name),
        .op = op_of(s->node, a),
        .kernel = str_of(s->late     ? "late"
                         : s->kernel ? s->kernel
                                     : ""),
        .shapes = shapes_of(g, s->node, a),
        .layout = str_of(layout_of(g, s->node)),
        .flops = s->flops,
        .bytes = bytes_of(g, s->node),
        .calls = atomic_load_explicit(&s->calls, memory_order_relaxed),
        .total_ns = atomic_load_explicit(&s->total_ns, memory_order_relaxed),
        .min_ns = atomic_load_explicit(&s->min_ns, memory_order_relaxed),
    };
}

enum code explain_plan(struct plan *p, struct arena *a, struct session_step **out, size_t *n,
                       struct err *e) {
    struct session_step *rows = ARENA_ARRAY(a, (size_t)p->n_steps + 1, struct session_step);
    if (!rows)
        return arena_fail(a, (size_t)p->n_steps * sizeof *rows, "the rows of a plan", e);
    size_t used = 0;
    for (int k = 0; k < p->n_steps; k++)
        if (!p->steps[k].alias)
            describe_step(p, &p->steps[k], a, &rows[used++]);
    *out = rows;
    *n = used;
    return OK;
}
